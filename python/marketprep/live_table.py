"""What flows, as a table in the terminal."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from marketprep.lane import Lane
from marketprep.metrics import ExchangeMetrics

_REFRESHES_PER_SECOND = 2

#: Over how many seconds a rate is measured.
_RATE_SECONDS = 5.0

_COLUMNS = ("records/s", "symbol", "bid", "ask", "spread", "price", "lag", "dead letters")


class LiveTable:
    """A row for each exchange and kind, brought up to date twice a second."""

    def __init__(self, lanes: Sequence[Lane], caption: str) -> None:
        self._lanes = lanes
        self._caption = caption
        self._history: dict[int, list[tuple[float, int]]] = {}

    async def show(self) -> None:
        """Shows the table until cancelled, from a thread, as a terminal may be slow.

        Logs stand above it.
        """
        is_shared = sys.stderr is not None and sys.stderr.isatty()
        with Live(
            console=Console(),
            get_renderable=self._table,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stderr=is_shared,
        ):
            await asyncio.Event().wait()

    def _table(self) -> Table:
        table = Table(caption=self._caption, caption_justify="left")
        table.add_column("exchange")
        table.add_column("kind")
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for lane in self._lanes:
            for name, of in list(lane.metrics.exchanges.items()):
                lag = lane.metrics.lag.get(of.partition, 0)
                cells = (*_prices(of), "?" if lag is None else f"{lag:,}", f"{of.dead_letters:,}")
                table.add_row(name, lane.assignment.kind, f"{self._rate(of):,.0f}", *cells)
        return table

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
