"""Log lines about order books that become suspect, or valid again."""

import time
from collections.abc import Callable, Sequence

import structlog

from marketprep._core import Change

#: How often a book may be told of.
_EVERY_SECONDS = 10.0


class BookLog:
    """Tells of each book at most every ten seconds; what it has become in between, thereafter."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        #: The last change that was not told, and how many there were before it.
        self._untold: dict[tuple[str, str], tuple[Change, int]] = {}

    def tell(self, changes: Sequence[Change]) -> None:
        """Tells of changes, in their order, and of earlier ones whose time has come."""
        now = self._clock()
        for change in changes:
            book = change.exchange, change.instrument
            _, before = self._untold.get(book, (change, -1))
            self._untold[book] = change, before + 1
            self._tell(book, now)
        for book in list(self._untold):
            self._tell(book, now)

    def _tell(self, book: tuple[str, str], now: float) -> None:
        if now - self._told.get(book, -_EVERY_SECONDS) < _EVERY_SECONDS:
            return
        self._told[book] = now
        change, before = self._untold.pop(book)
        log = self._log.warning if change.quality == "suspect" else self._log.info
        log(
            f"book is {change.quality}",
            exchange=change.exchange,
            instrument=change.instrument,
            reason=change.reason,
            changes_untold=before,
        )
