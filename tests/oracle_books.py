"""The order-book half of the oracle: payloads into frames, and frames into whole or kept books."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from oracle_json import (
    Json,
    Message,
    RejectedError,
    event_time,
    first_time,
    has,
    objects_of,
    read,
    read_id,
    read_number,
    read_word,
)

# Price and size, in the order of the message.
Level: TypeAlias = tuple[Decimal, Decimal]
# What a book is kept under: the exchange, then whatever tells its books apart.
Key: TypeAlias = tuple[str, ...]
Effect: TypeAlias = Literal["whole", "snapshot", "delta"]

# Where a level is an object, its price and size; elsewhere it is an array that begins with them.
LEVEL_KEYS = {"korbit": "price qty", "coinone": "price|p qty|q", "kraken": "price qty"}
BID_KEYS = "bid_price|bp bid_size|bs"
ASK_KEYS = "ask_price|ap ask_size|as"
OKX_DEPTHS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}
KRAKEN_DEPTHS = (10, 25, 100, 500, 1000)


@dataclass(frozen=True)
class Frame:
    """One order-book payload after reading: its levels and what it does to a kept book.

    A `whole` frame stands for itself; with a key and an id it is a base for later deltas too.
    A `snapshot` replaces the kept book, a `delta` changes it.
    """

    effect: Effect
    bids: list[Level]
    asks: list[Level]
    time: int | None
    key: Key = ()
    depth: int | None = None
    last_id: int | None = None


@dataclass(frozen=True)
class Book:
    """A kept book; it never changes, a delta makes a new one, so a failed item costs nothing."""

    depth: int | None
    bids: Mapping[Decimal, Decimal]
    asks: Mapping[Decimal, Decimal]
    last_id: int | None


class Summary(NamedTuple):
    """What a record says about a book, under the record's own names."""

    highest_bid: Decimal | None
    lowest_ask: Decimal | None
    spread: Decimal | None
    total_bid_volume: Decimal
    total_ask_volume: Decimal


# Frames into books


def summarise(bids: Iterable[Level], asks: Iterable[Level]) -> Summary:
    """Sum a book up; a level without a price or without a size is padding and does not count."""
    live_bids = [(price, size) for price, size in bids if price and size]
    live_asks = [(price, size) for price, size in asks if price and size]
    highest_bid = max((price for price, _ in live_bids), default=None)
    lowest_ask = min((price for price, _ in live_asks), default=None)
    spread = None
    if highest_bid is not None and lowest_ask is not None:
        spread = lowest_ask - highest_bid
    return Summary(
        highest_bid,
        lowest_ask,
        spread,
        sum((size for _, size in live_bids), Decimal(0)),
        sum((size for _, size in live_asks), Decimal(0)),
    )


def changed_side(side: Mapping[Decimal, Decimal], levels: list[Level]) -> list[Level]:
    """Apply levels in their order: size 0 deletes a price, else the last size given to it wins."""
    changed = dict(side)
    for price, size in levels:
        if size == 0:
            changed.pop(price, None)
        elif price != 0:
            changed[price] = size
    return sorted(changed.items())


def changed_book(book: Book, frame: Frame) -> Book:
    """Give the book after the frame, cut: no exchange deletes what falls out at the far end."""
    bids = changed_side(book.bids, frame.bids)[::-1][: book.depth]
    asks = changed_side(book.asks, frame.asks)[: book.depth]
    return replace(book, bids=dict(bids), asks=dict(asks), last_id=frame.last_id)


def is_newer(frame: Frame, kept: Book) -> bool:
    """Tell whether the frame is later than the kept book; without ids the order of arrival is."""
    if kept.last_id is None or frame.last_id is None:
        return True
    return frame.last_id > kept.last_id


def step(books: dict[Key, Book], frame: Frame) -> Summary | None:
    """Take one frame into the kept books and sum up what is to be published, None if nothing is."""
    empty = Book(frame.depth, {}, {}, None)
    kept = books.get(frame.key)
    if frame.effect == "whole":
        if frame.key and frame.last_id is not None and is_newer(frame, kept or empty):
            books[frame.key] = changed_book(empty, frame)
        return summarise(frame.bids, frame.asks)
    if frame.effect == "snapshot":
        kept = empty
    elif kept is None or not is_newer(frame, kept):
        return None
    book = changed_book(kept, frame)
    books[frame.key] = book
    return summarise(book.bids.items(), book.asks.items())


# Payloads into frames


def read_frame(
    exchange: str, symbol: str, message: Message, payload: Message, depth: int | None
) -> Frame:
    """Read a payload in the way of its exchange; `depth` is for books that do not tell theirs."""
    match exchange:
        case "upbit" | "bithumb":
            return upbit_frame(message, payload)
        case "korbit":
            bids, asks = read_sides(exchange, payload, "bids asks")
            time = first_time((payload, "timestamp"), (message, "timestamp"))
            return Frame("whole", bids, asks, time)
        case "coinone":
            bids, asks = read_sides(exchange, payload, "bids|b asks|a")
            return Frame("whole", bids, asks, coinone_time(payload))
        case "okx":
            return okx_frame(message, payload)
        case "bybit":
            return bybit_frame(message, payload)
        case "gateio":
            return gateio_frame(message, payload, depth)
        case "binance":
            return binance_frame(symbol, payload, depth)
    return kraken_frame(message, payload, depth or KRAKEN_DEPTHS[0])


def upbit_frame(message: Message, payload: Message) -> Frame:
    """Read a whole book of Upbit or Bithumb, whose units hold a level of either side."""
    keys = "orderbook_units|obu"
    units = read(payload, keys)
    if not has(payload, keys) or not isinstance(units, list | None):
        raise RejectedError("a book without units")
    objects = objects_of(units) if units else []
    bids = [price_and_size(unit, BID_KEYS) for unit in objects]
    asks = [price_and_size(unit, ASK_KEYS) for unit in objects]
    time = first_time((payload, "timestamp|tms"), (message, "timestamp|tms"))
    return Frame("whole", bids, asks, time)


def coinone_time(payload: Message) -> int | None:
    """Give the time of a Coinone book: its id begins with it, its timestamp can be older."""
    identity = read(payload, "id|i")
    if isinstance(identity, str) and re.match("[0-9]{13}", identity):
        return event_time(identity[:13]) or first_time((payload, "timestamp|t"))
    return first_time((payload, "timestamp|t"))


def okx_frame(message: Message, payload: Message) -> Frame:
    """Read a snapshot or update of OKX, or a whole book, which has no action."""
    bids, asks = read_sides("okx", payload, "bids asks")
    time = first_time((payload, "ts"))
    action = read(message, "action")
    if action is None:
        return Frame("whole", bids, asks, time)
    argument = read(message, "arg")
    if not isinstance(argument, Message):
        raise RejectedError("a delta of an unknown book")
    channel = read_word(argument, "channel")
    key = ("okx", channel, read_word(argument, "instId"))
    return Frame(effect_of(action, "update"), bids, asks, time, key, OKX_DEPTHS.get(channel))


def bybit_frame(message: Message, payload: Message) -> Frame:
    """Read a snapshot or delta of Bybit, whose depth stands in the topic."""
    bids, asks = read_sides("bybit", payload, "b a")
    topic = read_word(message, "topic")
    effect = effect_of(read(message, "type"), "delta")
    time = first_time((message, "cts"), (message, "ts"))
    depth = whole_or_none(topic.split(".")[1]) if "." in topic else None
    return Frame(effect, bids, asks, time, ("bybit", topic), depth)


def gateio_frame(message: Message, payload: Message, depth: int | None) -> Frame:
    """Read a whole book of Gate.io, or an update, where an absent side means no change."""
    time = first_time((payload, "t"), (message, "time_ms"), (message, "time"))
    channel = read(message, "channel")
    if channel not in ("spot.order_book_update", "spot.obu"):
        bids, asks = read_sides("gateio", payload, "bids asks")
        pair = read(payload, "s")
        key = ("gateio", pair) if isinstance(pair, str) else ()
        return Frame("whole", bids, asks, time, key, depth, read_id(payload, "lastUpdateId"))
    is_full = read(payload, "full") is True
    bids, asks = read_sides("gateio", payload, "b a", both=is_full)
    stream = read_word(payload, "s")
    if channel == "spot.obu":
        depth = whole_or_none(stream.rpartition(".")[2])
    effect: Effect = "snapshot" if is_full else "delta"
    return Frame(effect, bids, asks, time, ("gateio", stream), depth, last_id_of(payload))


def binance_frame(symbol: str, payload: Message, depth: int | None) -> Frame:
    """Read a partial book of Binance, which names no symbol, or a diff upon it."""
    key = ("binance", symbol)
    time = first_time((payload, "E"))
    if read(payload, "e") is None:
        bids, asks = read_sides("binance", payload, "bids asks")
        return Frame("whole", bids, asks, time, key, depth, read_id(payload, "lastUpdateId"))
    bids, asks = read_sides("binance", payload, "b a")
    return Frame("delta", bids, asks, time, key, depth, last_id_of(payload))


def kraken_frame(message: Message, payload: Message, depth: int) -> Frame:
    """Read a snapshot or update of Kraken; only the length of a snapshot tells its depth."""
    bids, asks = read_sides("kraken", payload, "bids asks")
    effect = effect_of(read(message, "type"), "update")
    longer = max(len(bids), len(asks))
    fitting = next((each for each in KRAKEN_DEPTHS if each >= longer), KRAKEN_DEPTHS[-1])
    key = ("kraken", read_word(payload, "symbol"))
    time = first_time((payload, "timestamp"))
    return Frame(effect, bids, asks, time, key, max(depth, fitting))


def effect_of(word: Json, delta_word: str) -> Effect:
    """Tell what a message does to the kept book by the exchange's word for it."""
    if word == "snapshot":
        return "snapshot"
    if word == delta_word:
        return "delta"
    raise RejectedError("neither snapshot nor delta")


def whole_or_none(text: str) -> int | None:
    """Give the depth that part of a topic names, None where it names something else."""
    return int(text) if re.fullmatch("[0-9]+", text) else None


def last_id_of(payload: Message) -> int:
    """Give the last update id of a diff, without which its place is unknown."""
    last_id = read_id(payload, "u")
    if last_id is None:
        raise RejectedError("a diff without an id")
    return last_id


# Levels


def read_sides(
    exchange: str, payload: Message, keys: str, *, both: bool = True
) -> tuple[list[Level], list[Level]]:
    """Read bids and asks; an absent side is an error unless it may stand for no change."""
    sides = keys.split()
    if both and not all(has(payload, side) for side in sides):
        raise RejectedError("a side is absent")
    bids, asks = (read_levels(exchange, read(payload, side)) for side in sides)
    return bids, asks


def read_levels(exchange: str, values: Json) -> list[Level]:
    """Read one side of a book; null is an empty side."""
    if values is None:
        return []
    if not isinstance(values, list):
        raise RejectedError("a side of a book is an array")
    return [read_level(exchange, value) for value in values]


def read_level(exchange: str, value: Json) -> Level:
    """Read the price and the size of a level, an object or an array as its exchange sends it."""
    if exchange in LEVEL_KEYS and isinstance(value, Message):
        return price_and_size(value, LEVEL_KEYS[exchange])
    if exchange not in LEVEL_KEYS and isinstance(value, list) and len(value) > 1:
        return not_negative(value[0]), not_negative(value[1])
    raise RejectedError("no level")


def price_and_size(message: Message, keys: str) -> Level:
    """Read the price and the size that stand under two keys of an object."""
    price, size = (not_negative(read(message, key)) for key in keys.split())
    return price, size


def not_negative(value: Json) -> Decimal:
    """Read a price or a size; unlike a ticker's value it cannot be missing."""
    number = read_number(value)
    if number < 0:
        raise RejectedError("a negative price or size")
    return number
