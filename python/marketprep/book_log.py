"""Log lines about order books that become suspect, or valid again."""

import time
from collections.abc import Callable, Sequence

import structlog

from marketprep._core import Change

#: How often a book may be told of.
_EVERY_SECONDS = 10.0


class BookLog:
    """Tells of each book at most every ten seconds, and how often it has changed in between."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def tell(self, changes: Sequence[Change]) -> None:
        """Tells of changes, in their order."""
        now = self._clock()
        for change in changes:
            book = change.exchange, change.instrument
            if now - self._told.get(book, -_EVERY_SECONDS) < _EVERY_SECONDS:
                self._untold[book] = self._untold.get(book, 0) + 1
                continue
            self._told[book] = now
            log = self._log.warning if change.quality == "suspect" else self._log.info
            log(
                f"book is {change.quality}",
                exchange=change.exchange,
                instrument=change.instrument,
                reason=change.reason,
                changes_untold=self._untold.pop(book, 0),
            )
