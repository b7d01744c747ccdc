"""What flows, as a table in the terminal."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from marketprep.lane import Lane
from marketprep.metrics import ExchangeMetrics

_REFRESHES_PER_SECOND = 2

#: Over how many seconds a rate is measured.
_RATE_SECONDS = 5.0

#: The columns after exchange and kind, how wide each is at least, and whether a narrow terminal
#: goes without it. Numbers are never cut off.
_COLUMNS = (
    ("rec/s", 5, False),
    ("symbol", 6, False),
    ("bid", 9, False),
    ("ask", 9, False),
    ("spread", 9, True),
    ("price", 9, False),
    ("lag", 4, False),
    ("held back", 4, True),
    ("dead", 4, False),
)

#: Terminals of fewer columns are narrow.
_WIDE = 100


class LiveTable:
    """A row for each exchange and kind, brought up to date twice a second."""

    def __init__(self, lanes: Sequence[Lane], caption: Callable[[], str]) -> None:
        self._lanes = lanes
        self._caption = caption
        self._console = Console()
        self._history: dict[int, list[tuple[float, int]]] = {}

    async def show(self) -> None:
        """Shows the table until cancelled, from a thread, as a terminal may be slow.

        Logs stand above it.
        """
        is_shared = sys.stderr is not None and sys.stderr.isatty()
        with Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stderr=is_shared,
        ):
            await asyncio.Event().wait()

    def _table(self) -> Group:
        is_wide = self._console.width >= _WIDE
        table = Table(box=None, pad_edge=False)
        table.add_column("exchange", no_wrap=True)
        table.add_column("kind", no_wrap=True)
        shown = [is_wide or not is_spare for _, _, is_spare in _COLUMNS]
        for name, width, _ in itertools.compress(_COLUMNS, shown):
            table.add_column(name, justify="right", min_width=width, overflow="fold")
        for lane in self._lanes:
            for name, of in list(lane.metrics.exchanges.items()):
                lag = lane.metrics.lag_of(name)
                cells = (
                    f"{self._rate(of):,.0f}",
                    *_prices(of),
                    "?" if lag is None else f"{lag:,}",
                    f"{of.held_back.total():,}",
                    f"{of.dead_letters:,}",
                )
                table.add_row(name, lane.assignment.kind, *itertools.compress(cells, shown))
        return Group(table, Text(self._caption()))

    def _rate(self, of: ExchangeMetrics) -> float:
        now = time.monotonic()
        history = self._history.setdefault(id(of), [])
        history.append((now, of.records))
        while now - history[0][0] > _RATE_SECONDS:
            history.pop(0)
        since, before = history[0]
        return (of.records - before) / (now - since) if now > since else 0.0


def _prices(of: ExchangeMetrics) -> tuple[str, str, str, str, str]:
    """Symbol, bid, ask, spread and price of the newest record, digit by digit as they are in it."""
    if not of.last_record:
        return ("", "", "", "", "")
    record = json.loads(of.last_record, parse_float=str, parse_int=str)
    ticker = record["data"][0] if "data" in record else {}
    cells = (
        record["coin_symbol"],
        record.get("highest_bid"),
        record.get("lowest_ask"),
        record.get("spread"),
        ticker.get("trade_price"),
    )
    symbol, bid, ask, spread, price = ("" if cell is None else str(cell) for cell in cells)
    return symbol, bid, ask, spread, price


def has_terminal() -> bool:
    """Whether somebody sits there to look at a table."""
    return sys.stdout is not None and sys.stdout.isatty()
