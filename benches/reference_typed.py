"""The same exact Python as reference.py, with messages read into types, by msgspec.

It makes Decimals of numbers as they stand in the text: none is a string or a float before.
"""

# ruff: noqa: D101 - most classes are messages, key by key

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from msgspec import Struct

import reference
from reference import Message, Top, order_book_record, summed, utc


def texts(envelope: Message) -> list[str | bytes]:
    """The messages of an envelope as JSON: most items are, and the others are made so."""
    return [item if isinstance(item, str) else dumped(item) for item in envelope["data"]]


def dumped(item: Any) -> bytes:  # noqa: ANN401 - whatever JSON is
    return orjson.dumps(item[0] if isinstance(item, list) else item)


Pairs = list[tuple[Decimal, Decimal]]
#: Price, size, a zero, and how many orders.
Fours = list[tuple[Decimal, Decimal, str, str]]


class Named(Struct):
    price: Decimal
    qty: Decimal


class Unit(Struct):
    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class Units(Struct):
    orderbook_units: list[Unit]
    timestamp: int


class NamedSides(Struct):
    bids: list[Named]
    asks: list[Named]
    timestamp: int | str
    id: str = ""
    symbol: str = ""


class NamedBook(Struct):
    data: NamedSides


class NamedBooks(Struct):
    type: str
    data: list[NamedSides]


class GateioResult(Struct):
    bids: Pairs
    asks: Pairs
    t: int


class GateioBook(Struct):
    result: GateioResult


class BinanceBook(Struct):
    bids: Pairs
    asks: Pairs


class OkxArgument(Struct, rename={"instrument": "instId"}):
    instrument: str


class OkxData(Struct):
    bids: Fours
    asks: Fours
    ts: str


class OkxBook(Struct):
    arg: OkxArgument
    action: str
    data: list[OkxData]


class BybitData(Struct):
    s: str
    b: Pairs
    a: Pairs


class BybitBook(Struct):
    type: str
    data: BybitData
    cts: int


def pairs(levels: list[Named]) -> Pairs:
    return [(level.price, level.qty) for level in levels]


def whole(bids: Pairs, asks: Pairs, time: str) -> tuple[Top, Top, str]:
    return summed(bids, max), summed(asks, min), time


class OrderBooks(reference.OrderBooks):
    """Order books of one exchange."""

    def __init__(self, exchange: str) -> None:
        super().__init__(exchange)
        of_exchange: dict[str, tuple[type[Any], Callable[[Any], tuple[Top, Top, str]]]] = {
            "upbit": (Units, self.of_units),
            "bithumb": (Units, self.of_units),
            "coinone": (NamedBook, self.of_coinone),
            "korbit": (NamedBook, self.of_korbit),
            "gateio": (GateioBook, self.of_gateio),
            "binance": (BinanceBook, self.of_binance),
            "okx": (OkxBook, self.of_okx),
            "bybit": (BybitBook, self.of_bybit),
            "kraken": (NamedBooks, self.of_kraken),
        }
        form, self.comes_to = of_exchange[exchange]
        self.decode = msgspec.json.Decoder(form).decode

    def records(self, value: bytes) -> list[bytes]:
        envelope, records = orjson.loads(value), []
        for text in texts(envelope):
            try:
                message = self.decode(text)
            except msgspec.DecodeError:
                continue  # a control message
            records.append(order_book_record(envelope, *self.comes_to(message)))
        return records

    def of_units(self, message: Units) -> tuple[Top, Top, str]:
        units = message.orderbook_units
        bids = [(unit.bid_price, unit.bid_size) for unit in units]
        asks = [(unit.ask_price, unit.ask_size) for unit in units]
        return whole(bids, asks, utc(message.timestamp))

    def of_coinone(self, message: NamedBook) -> tuple[Top, Top, str]:
        data = message.data
        return whole(pairs(data.bids), pairs(data.asks), utc(int(data.id[:13])))

    def of_korbit(self, message: NamedBook) -> tuple[Top, Top, str]:
        data = message.data
        return whole(pairs(data.bids), pairs(data.asks), utc(int(data.timestamp)))

    def of_gateio(self, message: GateioBook) -> tuple[Top, Top, str]:
        result = message.result
        return whole(result.bids, result.asks, utc(result.t))

    def of_binance(self, message: BinanceBook) -> tuple[Top, Top, str]:
        return whole(message.bids, message.asks, utc(0))

    def of_okx(self, message: OkxBook) -> tuple[Top, Top, str]:
        [data] = message.data
        bids = [(price, size) for price, size, _, _ in data.bids]
        asks = [(price, size) for price, size, _, _ in data.asks]
        instrument, time = message.arg.instrument, utc(int(data.ts))
        return self._kept(instrument, (bids, asks), message.action, 400, time)

    def of_bybit(self, message: BybitBook) -> tuple[Top, Top, str]:
        data = message.data
        return self._kept(data.s, (data.b, data.a), message.type, 50, utc(message.cts))

    def of_kraken(self, message: NamedBooks) -> tuple[Top, Top, str]:
        [data] = message.data
        changes = pairs(data.bids), pairs(data.asks)
        time = datetime.fromisoformat(str(data.timestamp)).isoformat(" ", "microseconds")
        depth = max(10, len(data.bids), len(data.asks))
        return self._kept(data.symbol, changes, message.type, depth, time)


#: The exchanges whose payload is an array of one object.
IN_ARRAY = {"okx", "kraken"}


def ticker_type(exchange: str, *, is_flattened: bool) -> tuple[type[Any], str]:
    """What a message of an exchange is read into, and where its columns are, if not in itself."""
    names, payload = reference.COLUMNS[exchange]
    *columns, time = (name for name in names.split() if name != "-")
    fields: list[tuple[str, Any, Any]] = [
        (name, Decimal | None, None) for name in dict.fromkeys(columns)
    ]
    sent_at: tuple[str, Any, Any] = (time, int | str, 0)
    inner = msgspec.defstruct(exchange, [*fields, sent_at])
    if is_flattened or not payload:
        return inner, ""
    of_payload: Any = list[inner] if exchange in IN_ARRAY else inner  # type: ignore[valid-type]
    return msgspec.defstruct(f"{exchange}_message", [(payload, of_payload), sent_at]), payload


class Tickers(reference.Tickers):
    """Tickers of one exchange, all raw or all flattened."""

    def __init__(self, exchange: str, *, is_flattened: bool = False) -> None:
        super().__init__(exchange)
        form, self.inside = ticker_type(exchange, is_flattened=is_flattened)
        self.decode = msgspec.json.Decoder(form).decode

    def records(self, value: bytes) -> list[bytes]:
        envelope, records = orjson.loads(value), []
        for text in texts(envelope):
            try:
                message = self.decode(text)
            except msgspec.DecodeError:
                record = self._otherwise(envelope, text)
            else:
                record = self._typed(envelope, message)
            if record:
                records.append(record)
        return records

    def _typed(self, envelope: Message, message: Any) -> bytes | None:  # noqa: ANN401 - as above
        payload = getattr(message, self.inside) if self.inside else message
        payload = payload[0] if isinstance(payload, list) else payload
        *names, time_name = self.columns
        values = [None if name == "-" else getattr(payload, name) for name in names]
        time = getattr(message, time_name) or getattr(payload, time_name)
        return self.record_of(envelope, values, time)

    def _otherwise(self, envelope: Message, text: str | bytes) -> bytes | None:
        """A control message, or a ticker with an empty string, which is nothing."""
        try:
            return self.record(envelope, orjson.loads(text))
        except orjson.JSONDecodeError:
            return None
