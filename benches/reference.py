"""What a careful engineer would write in Python: orjson and Decimal, exact, as fast as it goes.

It knows only what the benches feed it: sound messages in one spelling, and control messages, which
lack what data has.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import orjson

Levels = list[tuple[Decimal, Decimal]]
Message = dict[str, Any]

#: A time above this is in microseconds.
FIRST_IN_MICROSECONDS = 100_000_000_000_000
TEN_PLACES = Decimal("0.0000000001")
ZERO = Decimal(0)


def exact(value: str | float) -> Decimal:
    """A number of a message; a float's text is what the exchange had sent, as it is short."""
    return Decimal(value) if isinstance(value, str) else Decimal(repr(value))


def messages(envelope: Message) -> Iterator[Message]:
    """The messages of an envelope: as JSON in a string, as they are, or in an array."""
    for item in envelope["data"]:
        if item == "pong":
            continue
        message = orjson.loads(item) if isinstance(item, str) else item
        yield message[0] if isinstance(message, list) else message


def plain(value: Decimal | None) -> str | None:
    """Plain notation without trailing zeros."""
    if value is None:
        return None
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def pairs(levels: list[list[str]]) -> Levels:
    return [(Decimal(level[0]), Decimal(level[1])) for level in levels]


def named(levels: list[dict[str, Any]]) -> Levels:
    return [(exact(level["price"]), exact(level["qty"])) for level in levels]


def units(message: Message) -> tuple[Levels, Levels]:
    of = message["orderbook_units"]
    bids = [(exact(unit["bid_price"]), exact(unit["bid_size"])) for unit in of]
    return bids, [(exact(unit["ask_price"]), exact(unit["ask_size"])) for unit in of]


class Kept:
    """One side of a book that is kept, in order, with its total."""

    def __init__(self, *, highest: bool) -> None:
        self.sizes: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []
        self.total = ZERO
        self.best = -1 if highest else 0
        self.worst = 0 if highest else -1

    def take(self, levels: Levels, depth: int) -> None:
        for price, size in levels:
            before = self.sizes.pop(price, None)
            if before is not None:
                self.total -= before
                if not size:
                    del self.prices[bisect_left(self.prices, price)]
            if size:
                if before is None:
                    insort(self.prices, price)
                self.sizes[price] = size
                self.total += size
        while len(self.prices) > depth:
            self.total -= self.sizes.pop(self.prices.pop(self.worst))

    def top(self) -> tuple[Decimal | None, Decimal]:
        return self.prices[self.best] if self.prices else None, self.total


Top = tuple[Decimal | None, Decimal]


def summed(levels: Levels, best: Callable[..., Decimal | None]) -> Top:
    counted = [level for level in levels if level[0] and level[1]]
    price = best((price for price, _ in counted), default=None)
    return price, sum((size for _, size in counted), ZERO)


def order_book_record(message: Message, bids: Top, asks: Top, time: str) -> bytes:
    (bid, total_bid), (ask, total_ask) = bids, asks
    spread = None if bid is None or ask is None else ask - bid
    numbers = {
        "highest_bid": plain(bid),
        "lowest_ask": plain(ask),
        "spread": plain(spread),
        "total_bid_volume": plain(total_bid),
        "total_ask_volume": plain(total_ask),
    }
    fragments = {
        name: None if text is None else orjson.Fragment(text) for name, text in numbers.items()
    }
    return orjson.dumps(
        {
            "region": message["region"],
            "market": message["market"],
            "coin_symbol": message["symbol"],
            **fragments,
            "timestamp": time,
        }
    )


def utc(time: int) -> str:
    """A time in milliseconds, or microseconds as at Bithumb."""
    seconds = time / 1_000_000 if time > FIRST_IN_MICROSECONDS else time / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "microseconds")


class OrderBooks:
    """Order books of one exchange, of one instrument where they are kept."""

    def __init__(self, exchange: str) -> None:
        self.read: Callable[[Message], tuple[Top, Top, str]] = getattr(self, exchange)
        self.kept: dict[str, tuple[Kept, Kept, int]] = {}

    def records(self, value: bytes) -> list[bytes]:
        envelope, read, records = orjson.loads(value), self.read, []
        for message in messages(envelope):
            try:
                records.append(order_book_record(envelope, *read(message)))
            except (KeyError, IndexError, TypeError):
                continue  # a control message
        return records

    def upbit(self, message: Message) -> tuple[Top, Top, str]:
        bids, asks = units(message)
        return summed(bids, max), summed(asks, min), utc(message["timestamp"])

    bithumb = upbit

    def coinone(self, message: Message) -> tuple[Top, Top, str]:
        data = message["data"]
        bids, asks = named(data["bids"]), named(data["asks"])
        return summed(bids, max), summed(asks, min), utc(int(data["id"][:13]))

    def korbit(self, message: Message) -> tuple[Top, Top, str]:
        data = message["data"]
        bids, asks = named(data["bids"]), named(data["asks"])
        return summed(bids, max), summed(asks, min), utc(data["timestamp"])

    def gateio(self, message: Message) -> tuple[Top, Top, str]:
        result = message["result"]
        bids, asks = pairs(result["bids"]), pairs(result["asks"])
        return summed(bids, max), summed(asks, min), utc(result["t"])

    def binance(self, message: Message) -> tuple[Top, Top, str]:
        bids, asks = pairs(message["bids"]), pairs(message["asks"])
        return summed(bids, max), summed(asks, min), utc(0)

    def okx(self, message: Message) -> tuple[Top, Top, str]:
        data = message["data"][0]
        changes = (pairs(data["bids"]), pairs(data["asks"]))
        name = message["arg"]["instId"]
        return self._kept(name, changes, message["action"], 400, utc(int(data["ts"])))

    def bybit(self, message: Message) -> tuple[Top, Top, str]:
        data = message["data"]
        changes = (pairs(data["b"]), pairs(data["a"]))
        return self._kept(data["s"], changes, message["type"], 50, utc(message["cts"]))

    def kraken(self, message: Message) -> tuple[Top, Top, str]:
        data = message["data"][0]
        bids, asks = named(data["bids"]), named(data["asks"])
        time = datetime.fromisoformat(data["timestamp"]).isoformat(" ", "microseconds")
        depth = max(10, len(bids), len(asks))
        return self._kept(data["symbol"], (bids, asks), message["type"], depth, time)

    def _kept(
        self, name: str, changes: tuple[Levels, Levels], form: str, depth: int, time: str
    ) -> tuple[Top, Top, str]:
        if form == "snapshot":
            self.kept[name] = (Kept(highest=True), Kept(highest=False), depth)
        bids, asks, depth = self.kept[name]
        bids.take(changes[0], depth)
        asks.take(changes[1], depth)
        return bids.top(), asks.top(), time


#: Opening, trade, max, min, previous close, volume, change, rate, time; and where the payload is.
COLUMNS: dict[str, tuple[str, str]] = {
    "upbit": (
        (
            "opening_price trade_price high_price low_price prev_closing_price acc_trade_volume_24h"
            " signed_change_price signed_change_rate timestamp"
        ),
        "",
    ),
    "coinone": ("first last high low yesterday_last target_volume - - timestamp", "data"),
    "korbit": ("open close high low prevClose volume priceChange - timestamp", "data"),
    "okx": ("open24h last high24h low24h open24h vol24h - - ts", "data"),
    "bybit": (
        "prevPrice24h lastPrice highPrice24h lowPrice24h prevPrice24h volume24h - - ts",
        "data",
    ),
    "gateio": ("- last high_24h low_24h - base_volume - change_percentage time_ms", "result"),
    "binance": ("o c h l x v p - E", ""),
    "kraken": ("- last high low - volume change - timestamp", "data"),
}
COLUMNS["bithumb"] = COLUMNS["upbit"]


class Tickers:
    """Tickers of one exchange, raw or flattened."""

    def __init__(self, exchange: str) -> None:
        columns, self.payload = COLUMNS[exchange]
        self.columns = columns.split()
        self.exchange = exchange
        self.computes_change = exchange in {"coinone", "okx", "bybit", "gateio"}
        self.computes_rate = exchange not in {"upbit", "bithumb", "gateio"}

    def records(self, value: bytes) -> list[bytes]:
        envelope, records = orjson.loads(value), []
        for message in messages(envelope):
            record = self.record(envelope, message)
            if record:
                records.append(record)
        return records

    def record(self, envelope: Message, message: Message) -> bytes | None:
        """The record; nothing of a control message."""
        payload = message.get(self.payload, message) or message
        payload = payload[0] if isinstance(payload, list) else payload
        *names, time_name = self.columns
        sent = [payload.get(name) for name in names]
        values = [None if value in {None, ""} else exact(value) for value in sent]
        time = message.get(time_name, payload.get(time_name, 0))
        return self.record_of(envelope, values, time)

    def record_of(
        self, envelope: Message, values: Sequence[Decimal | None], time: int | str
    ) -> bytes | None:
        """The record of what was sent, and of what follows from it."""
        opening, trade, highest, lowest, previous, volume, change, rate = values
        if trade is None:
            return None
        if self.exchange == "gateio" and rate is not None:
            rate = rate / 100
            if rate != -1:
                opening = previous = (trade / (1 + rate)).quantize(trade, ROUND_HALF_EVEN)
        if self.exchange == "kraken" and change is not None:
            opening = previous = trade - change
        if change is None and previous is not None and self.computes_change:
            change = trade - previous
        base = opening if self.exchange == "binance" else previous
        if rate is None and base and change is not None and self.computes_rate:
            rate = (change / base).quantize(TEN_PLACES, ROUND_HALF_EVEN)
        columns = (opening, trade, highest, lowest, previous, volume, change, rate)
        return orjson.dumps(
            {
                "region": envelope["region"],
                "market": envelope["market"],
                "coin_symbol": envelope["symbol"],
                "timestamp": time,
                "data": [dict(zip(OUTPUT_COLUMNS, map(plain, columns), strict=True))],
            }
        )


OUTPUT_COLUMNS = (
    "opening_price",
    "trade_price",
    "max_price",
    "min_price",
    "prev_closing_price",
    "acc_trade_volume_24h",
    "signed_change_price",
    "signed_change_rate",
)
