"""The test oracle: what marketprep makes of an envelope, told anew in plain Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from fractions import Fraction
from typing import Literal, TypeAlias

from oracle_books import Book, Key, Summary, read_frame, step
from oracle_json import (
    EPOCH,
    YEAR_10000,
    Json,
    Message,
    Number,
    RejectedError,
    first_time,
    has,
    objects_of,
    parse,
    read,
    read_optional,
    read_word,
)

REGION_NAMES = {"asia": "Asia", "korea": "Korea", "ne": "NE"}
HOME_REGIONS = {
    "upbit": "korea",
    "bithumb": "korea",
    "coinone": "korea",
    "korbit": "korea",
    "okx": "asia",
    "bybit": "asia",
    "gateio": "asia",
    "binance": "ne",
    "kraken": "ne",
}
MARKETS = {**{name: name for name in HOME_REGIONS}, "digitalx": "korbit"}

# Keys are parted by blanks, the long form of a key from its short form by a bar.
# First the object(s) that hold the values, which Upbit has at the top of a message. So has Bithumb,
# except in answers like those of its older REST API.
PAYLOAD_KEYS = {
    "bithumb": "data",
    "korbit": "data",
    "coinone": "data|d",
    "okx": "data",
    "bybit": "data",
    "gateio": "result",
    "binance": "data",
    "kraken": "data",
}
# Where a message says its kind: OKX in its "arg", Binance beside its values.
KIND_KEYS = {
    "upbit": "type|ty",
    "bithumb": "type|ty",
    "coinone": "channel|c",
    "korbit": "type",
    "okx": "channel",
    "bybit": "topic",
    "gateio": "channel",
    "binance": "e",
    "kraken": "channel",
}
TICKER_TIME_KEYS = {
    "upbit": "timestamp|tms",
    "bithumb": "timestamp|tms",
    "coinone": "timestamp|t",
    "korbit": "timestamp",
    "okx": "ts",
    "bybit": "ts",
    "gateio": "time_ms time",
    "binance": "E",
    "kraken": "timestamp",
}
# Opening, trade, highest, lowest and previous closing price, volume, change, rate of change;
# "-" is what an exchange does not send.
TICKER_KEYS = {
    "upbit": "opening_price|op trade_price|tp high_price|hp low_price|lp prev_closing_price|pcp"
    " acc_trade_volume_24h|atv24h signed_change_price|scp signed_change_rate|scr",
    "korbit": "open close high low prevClose volume priceChange -",
    "coinone": "first|fi last|la high|hi low|lo yesterday_last|yla target_volume|tv - -",
    "okx": "open24h last high24h low24h open24h vol24h - -",
    "bybit": "prevPrice24h lastPrice highPrice24h lowPrice24h prevPrice24h volume24h - -",
    "gateio": "- last high_24h low_24h - base_volume - change_percentage",
    "binance": "o c h l x v p -",
    "kraken": "- last high low - volume change -",
}
TICKER_KEYS["bithumb"] = TICKER_KEYS["upbit"]
TICKER_FIELDS = (
    "opening_price",
    "trade_price",
    "max_price",
    "min_price",
    "prev_closing_price",
    "acc_trade_volume_24h",
    "signed_change_price",
    "signed_change_rate",
)

# Every operation must be exact: one that would round raises instead.
EXACT = Context(prec=100_000, traps=[Inexact, InvalidOperation])
Sort: TypeAlias = Literal["record", "control", "held_back", "rejected"]


@dataclass(frozen=True)
class Outcome:
    """What became of one item (or of a whole rejected envelope), with its records as JSON text."""

    sort: Sort
    records: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """What an envelope says about all of its items."""

    exchange: str
    region: str
    market: str
    symbol: str
    kafka_time: int | None


class Oracle:
    """Turns envelopes into records, one kind of them, and keeps the books between the calls."""

    def __init__(self, kind: str, depths: Mapping[str, int] | None = None) -> None:
        """Take "ticker" or "orderbook"; `depths` by exchange, for books that do not tell theirs."""
        if kind not in ("ticker", "orderbook"):
            raise ValueError(f"no such kind: {kind}")
        self.kind = kind
        self.depths = dict(depths or {})
        self.books: dict[Key, Book] = {}

    def envelope(self, value: bytes, kafka_timestamp_ms: int | None = None) -> list[Outcome]:
        """Give one outcome for each item, or a single one if the whole envelope is rejected."""
        with localcontext(EXACT):
            try:
                envelope = parse(value.decode("utf-8"))
                if not isinstance(envelope, Message):
                    raise RejectedError("an envelope is an object")
                origin = read_origin(envelope, kafka_timestamp_ms)
                items = read(envelope, "data")
                if not isinstance(items, list):
                    raise RejectedError("data is an array")
            except (RejectedError, UnicodeError):
                return [Outcome("rejected")]
            return [self._item(origin, item) for item in items]

    def _item(self, origin: Origin, item: Json) -> Outcome:
        """Decode an item as a whole or not at all: only then are its changes to books kept."""
        if item in ("ping", "pong"):
            return Outcome("control")
        books = dict(self.books)
        try:
            outcomes = [self._message(origin, message, books) for message in messages_of(item)]
        except RejectedError:
            return Outcome("rejected")
        self.books = books
        records = tuple(record for outcome in outcomes for record in outcome.records)
        sorts = [outcome.sort for outcome in outcomes]
        precedence: tuple[Sort, ...] = ("record", "held_back", "control")
        return Outcome(next(sort for sort in precedence if sort in sorts), records)

    def _message(self, origin: Origin, message: Message, books: dict[Key, Book]) -> Outcome:
        """Decode one message: data if it can be, else control, else rejected."""
        try:
            payloads = payloads_of(origin.exchange, message, self.kind)
            for payload in payloads:
                check_kind(origin.exchange, message, payload, self.kind)
            if self.kind == "ticker":
                tickers = [ticker_record(origin, message, payload) for payload in payloads]
                return Outcome("record", tuple(tickers))
            depth = self.depths.get(origin.exchange)
            frames = [
                read_frame(origin.exchange, origin.symbol, message, payload, depth)
                for payload in payloads
            ]
        except RejectedError:
            if is_control(origin.exchange, message):
                return Outcome("control")
            raise
        # Only now, when nothing can fail any more, do the frames touch the books.
        summaries = [(step(books, frame), frame.time) for frame in frames]
        records = tuple(book_record(origin, book, time) for book, time in summaries if book)
        return Outcome("record" if records else "held_back", records)


def read_origin(envelope: Message, kafka_timestamp_ms: int | None) -> Origin:
    """Read what an envelope says about all of its items."""
    market = read_word(envelope, "market")
    symbol = read_word(envelope, "symbol")
    symbol.encode("utf-8")  # raises UnicodeError for half a surrogate pair
    exchange = MARKETS.get(market.lower()) if market.isascii() else None
    if exchange is None:
        raise RejectedError(f"unknown market {market}")
    region = read(envelope, "region")
    known = isinstance(region, str) and region.isascii() and region.lower() in REGION_NAMES
    name = REGION_NAMES[str(region).lower() if known else HOME_REGIONS[exchange]]
    kafka_time = kafka_timestamp_ms * 1000 if kafka_timestamp_ms else 0
    has_time = 0 < kafka_time < YEAR_10000
    return Origin(exchange, name, market.upper(), symbol, kafka_time if has_time else None)


def messages_of(item: Json) -> list[Message]:
    """Give the messages of an item: one, or those of an array, perhaps once more in a string."""
    if isinstance(item, str) and not isinstance(item, Number):
        item = parse(item)
    return objects_of(item if isinstance(item, list) else [item])


def payloads_of(exchange: str, message: Message, kind: str) -> list[Message]:
    """Give the objects that hold the values: an inner one, several, or the message itself."""
    keys = PAYLOAD_KEYS.get(exchange)
    if keys and has(message, keys):
        inner = read(message, keys)
        return objects_of(inner if isinstance(inner, list) else [inner])
    # A flattened ticker has no inner object; a Binance message is bare unless it is combined.
    if keys is None or kind == "ticker" or exchange in ("binance", "bithumb"):
        return [message]
    raise RejectedError(f"no {keys}")


# What a message is


def kind_word(exchange: str, message: Message, payload: Message) -> Json:
    """Give the word by which a message says its kind, None if it does not say it."""
    holder: Json = message
    if exchange == "okx":
        holder = read(message, "arg")
    elif exchange == "binance":
        holder = payload
    return read(holder, KIND_KEYS[exchange]) if isinstance(holder, Message) else None


def check_kind(exchange: str, message: Message, payload: Message, kind: str) -> None:
    """Reject a message that says it is of another kind."""
    word = kind_word(exchange, message, payload)
    if word is None:
        return
    lower = word.lower() if isinstance(word, str) else ""
    if exchange == "binance":
        is_ticker = word in ("24hrTicker", "24hrMiniTicker")
        is_book = word == "depthUpdate"
    else:
        is_ticker = "ticker" in lower
        is_book = "book" in lower or lower in ("bbo-tbt", "spot.obu")
    if not (is_ticker if kind == "ticker" else is_book):
        raise RejectedError(f"{word!r} is no {kind}")


def has_market_data(exchange: str, message: Message) -> bool:
    """Tell whether a message has prices or sizes, at whatever depth."""
    columns = {key for keys in TICKER_KEYS[exchange].split() for key in keys.split("|")} - {"-"}
    sides = {"bids", "asks", "b", "a", "orderbook_units", "obu"}
    parts: list[Json] = [message]
    while parts:
        part = parts.pop()
        if isinstance(part, Message):
            lists = {key for key, value in part.items() if isinstance(value, list)}
            if columns & part.keys() or sides & lists:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False


def has_payload(exchange: str, message: Message) -> bool:
    """Tell whether a message has a payload that no answer of the exchange has."""
    payload = read(message, "result" if exchange in ("gateio", "binance") else "data")
    if not isinstance(payload, list | Message) or not payload:
        return False
    match exchange:
        case "upbit" | "coinone":
            return False
        case "bybit":
            return read(message, "type") != "COMMAND_RESP"
        case "kraken":
            return read(message, "channel") != "status"
        case "gateio":
            return isinstance(payload, list) or not has(payload, "status")
        case "binance" if isinstance(payload, Message):
            return not has(payload, "subscriptionId|serverTime|apiKey")
        case "binance":
            return not all(isinstance(name, str) for name in payload)
    return True


def is_control(exchange: str, message: Message) -> bool:
    """Tell whether a message that is no data is an answer, a heartbeat, a status or a notice."""
    is_typed = exchange in ("upbit", "bithumb") and has(message, "type|ty")
    if is_typed or has_payload(exchange, message) or has_market_data(exchange, message):
        return False
    if read(message, "error") is not None:
        return True
    match exchange:
        case "upbit" | "bithumb" | "korbit":
            return isinstance(read(message, "status"), str)
        case "coinone":
            answers = ("CONNECTED", "SUBSCRIBED", "UNSUBSCRIBED", "PONG", "ERROR")
            return read(message, "response_type|r") in answers
        case "okx":
            return isinstance(read(message, "event"), str)
        case "bybit":
            is_answer = has(message, "op|success") and not has(message, "topic")
            return is_answer or read(message, "type") == "COMMAND_RESP"
        case "gateio":
            is_answer = read(message, "event") in ("subscribe", "unsubscribe")
            return is_answer or read(message, "channel") == "spot.pong"
        case "binance":
            inner = read(message, "data")
            bare = inner if isinstance(inner, Message) else message
            is_answer = has(message, "id") and has(message, "result|status")
            return is_answer or read(bare, "e") == "serverShutdown"
    # What is left is Kraken, whose first version had "event" where the second has "method".
    return has(message, "method|event") or read(message, "channel") in ("status", "heartbeat")


# Tickers


def ticker_time(exchange: str, message: Message, payload: Message) -> int | None:
    """Give the exchange's time of a ticker, which stands beside the values or further out."""
    holder = message if exchange in ("korbit", "bybit", "gateio") else payload
    holders = (payload, message) if exchange == "bithumb" else (holder,)
    keys = TICKER_TIME_KEYS[exchange].split()
    return first_time(*((holder, key) for holder in holders for key in keys))


def ticker_values(exchange: str, payload: Message) -> list[Decimal | None]:
    """Give the eight values of a ticker, sent or derived, in the order of TICKER_FIELDS."""
    opening, last, highest, lowest, closing, volume, change, rate = (
        None if keys == "-" else read_optional(payload, keys)
        for keys in TICKER_KEYS[exchange].split()
    )
    if last is None:
        raise RejectedError("a ticker without a price")
    match exchange:
        case "korbit":
            rate = quotient(change, closing)
        case "coinone" | "okx" | "bybit":
            change = difference(last, closing)
            rate = quotient(change, closing)
        case "binance":
            rate = quotient(change, opening)
        case "kraken":
            opening = closing = difference(last, change)
            rate = quotient(change, opening)
        case "gateio":
            grown = None if rate is None else rate + 100
            # The opening price is as fine as the price was sent: 1.20 has two decimals.
            exponent = last.as_tuple().exponent
            decimals = max(0, -exponent) if isinstance(exponent, int) else 0
            opening = closing = quotient(last * 100, grown, decimals)
            change = difference(last, opening)
            rate = quotient(rate, Decimal(100))
    return [opening, last, highest, lowest, closing, volume, change, rate]


def difference(minuend: Decimal | None, subtrahend: Decimal | None) -> Decimal | None:
    """Subtract, None where an operand is missing."""
    return None if minuend is None or subtrahend is None else minuend - subtrahend


def quotient(
    dividend: Decimal | None, divisor: Decimal | None, decimals: int = 10
) -> Decimal | None:
    """Divide and round half-even; None where an operand is missing or the divisor is zero."""
    if dividend is None or divisor is None or divisor == 0:
        return None
    # Fractions round once, from the exact quotient; Python rounds them half to even.
    scaled = Fraction(dividend) / Fraction(divisor) * 10**decimals
    return Decimal(round(scaled)).scaleb(-decimals)


# Records


def plain(number: Decimal | None) -> str:
    """Write a number as JSON without exponent and trailing zeros, a missing one as null."""
    if number is None:
        return "null"
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def head(origin: Origin) -> str:
    """Write the beginning that all records share."""
    symbol = json.dumps(origin.symbol, ensure_ascii=False)
    return f'{{"region":"{origin.region}","market":"{origin.market}","coin_symbol":{symbol}'


def ticker_record(origin: Origin, message: Message, payload: Message) -> str:
    """Write the record of a ticker; its timestamp is milliseconds with at least one decimal."""
    values = ticker_values(origin.exchange, payload)
    time = ticker_time(origin.exchange, message, payload) or origin.kafka_time
    milliseconds = plain(None if time is None else Decimal(time).scaleb(-3))
    if time is not None and "." not in milliseconds:
        milliseconds += ".0"
    texts = ["null" if value is None else f'"{plain(value)}"' for value in values]
    pairs = zip(TICKER_FIELDS, texts, strict=True)
    fields = ",".join(f'"{name}":{text}' for name, text in pairs)
    return f'{head(origin)},"timestamp":{milliseconds},"data":[{{{fields}}}]}}'


def book_record(origin: Origin, book: Summary, time: int | None) -> str:
    """Write the record of a book; its timestamp is UTC with six decimals."""
    fields = ",".join(f'"{name}":{plain(value)}' for name, value in book._asdict().items())
    time = time or origin.kafka_time
    moment = "null"
    if time is not None:
        when = EPOCH + timedelta(microseconds=time)
        moment = f'"{when.isoformat(sep=" ", timespec="microseconds")}"'
    return f'{head(origin)},{fields},"timestamp":{moment}}}'
