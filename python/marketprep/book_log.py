"""Log lines about order books that become suspect, valid again, or are dropped."""

import time
from collections.abc import Callable, Sequence

import structlog

from marketprep._core import Change

#: How often a book may be told of.
_EVERY_SECONDS = 10.0


#: Beyond this number of books the times of those that may be logged again are forgotten.
_MAX_TIMES = 1_000

#: An exchange and an instrument. All dropped books of an exchange count as one, without a name.
_Name = tuple[str, str]


class BookLog:
    """Tells of each book at most every ten seconds; what it has become in between, thereafter."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[_Name, float] = {}
        #: The last change that was not told, and how many there were before it.
        self._untold: dict[_Name, tuple[Change, int]] = {}

    def tell(self, changes: Sequence[Change]) -> None:
        """Tells of changes, in their order, and of earlier ones whose time has come."""
        now = self._clock()
        for change in changes:
            is_dropped = change.quality == "dropped"
            book = change.exchange, "" if is_dropped else change.instrument
            _, before = self._untold.get(book, (change, -1))
            self._untold[book] = change, before + 1
            self._tell(book, now)
        for book in list(self._untold):
            self._tell(book, now)
        if len(self._told) > _MAX_TIMES:
            self._told = {
                book: told for book, told in self._told.items() if now - told < _EVERY_SECONDS
            }

    def _tell(self, book: _Name, now: float) -> None:
        if now - self._told.get(book, -_EVERY_SECONDS) < _EVERY_SECONDS:
            return
        self._told[book] = now
        change, before = self._untold.pop(book)
        is_bad = change.quality in ("suspect", "dropped")
        log = self._log.warning if is_bad else self._log.info
        log(
            f"book is {change.quality}",
            exchange=change.exchange,
            instrument=change.instrument,
            reason=change.reason,
            changes_untold=before,
        )
