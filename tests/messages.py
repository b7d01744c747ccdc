"""Strategies for the messages of all exchanges, in any spelling that JSON allows."""

import json
from collections.abc import Callable
from typing import TypeAlias

from hypothesis import strategies as st


class Bare(str):
    """A number's text that stands in JSON without quotes."""

    __slots__ = ()


Json: TypeAlias = "bool | str | list[Json] | dict[str, Json] | None"


def write(value: Json, comma: str = ",", colon: str = ":", *, ascii_only: bool = True) -> str:
    """The value as JSON text, its numbers as they are."""
    if isinstance(value, Bare):
        return str(value)
    if isinstance(value, list):
        return f"[{comma.join(write(part, comma, colon, ascii_only=ascii_only) for part in value)}]"
    if isinstance(value, dict):
        members = (
            json.dumps(key, ensure_ascii=ascii_only)
            + colon
            + write(part, comma, colon, ascii_only=ascii_only)
            for key, part in value.items()
        )
        return "{" + comma.join(members) + "}"
    return json.dumps(value, ensure_ascii=ascii_only)


def _digits(at_most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=1, max_size=at_most)


_whole = st.one_of(
    st.integers(0, 10**9).map(str),
    _digits(30).map(lambda text: text.lstrip("0") or "0"),
)
_fraction = st.one_of(st.just(""), _digits(9).map(".".__add__), _digits(30).map(".".__add__))
_exponent = st.one_of(
    st.just(""),
    st.just(""),
    st.tuples(st.sampled_from(("e", "E")), st.sampled_from(("", "+", "-")), st.integers(0, 25)).map(
        lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"
    ),
)

#: The text of a number that is not negative: any length, any exponent.
positive = st.tuples(_whole, _fraction, _exponent).map("".join)
negative = positive.map("-".__add__)
signed = st.one_of(positive, negative)
#: A few prices, so that changes meet levels that are there.
price = st.one_of(
    st.integers(1, 12).map(str), st.sampled_from(("7.0", "7.50", "1e1", "0")), positive
)
size = st.one_of(st.just("0"), st.just("0.0"), positive)


def number(text: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    """A number in quotes or without."""
    return text.flatmap(lambda digits: st.sampled_from((digits, Bare(digits))))


_pair = st.tuples(number(price), number(size)).map(list)
_four = st.tuples(number(price), number(size), st.just("0"), st.just("3")).map(list)


def _members(*names: str) -> st.SearchStrategy[Json]:
    prices = [number(price if "p" in name and "size" not in name else size) for name in names]
    return st.tuples(*prices).map(lambda values: dict(zip(names, values, strict=True)))


def _levels(level: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.lists(level, max_size=8)


_milliseconds = st.integers(1_500_000_000_000, 1_900_000_000_000)
time = st.one_of(
    _milliseconds.map(lambda time: Bare(str(time))),
    _milliseconds.map(str),
    _milliseconds.map(lambda time: Bare(f"{time}123")),
    _milliseconds.map(lambda time: Bare(f"{time // 1000}")),
    _milliseconds.map(lambda time: Bare(f"{time}.0")),
)
_rfc3339 = st.tuples(
    _milliseconds,
    st.sampled_from("Tt "),
    st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=15).map(".".__add__)),
    st.sampled_from(("Z", "z", "+00:00", "+09:00", "-08:30")),
).map(
    lambda parts: (
        f"2026-0{parts[0] % 9 + 1}-1{parts[0] % 8}{parts[1]}"
        f"0{parts[0] % 10}:2{parts[0] % 7}:59{parts[2]}{parts[3]}"
    )
)


def _upbit_book(units: str, unit: tuple[str, ...], time_key: str) -> st.SearchStrategy[Json]:
    keys = {units: _levels(_members(*unit)), time_key: time}
    return st.fixed_dictionaries(keys)


_upbit_books = st.one_of(
    _upbit_book("orderbook_units", ("ask_price", "bid_price", "ask_size", "bid_size"), "timestamp"),
    _upbit_book("obu", ("ap", "bp", "as", "bs"), "tms"),
)


def _wrapped(
    key: str, inner: dict[str, st.SearchStrategy[Json]], **outer: Json
) -> st.SearchStrategy[Json]:
    around = {name: st.just(value) for name, value in outer.items()}
    return st.fixed_dictionaries({**around, key: st.fixed_dictionaries(inner)})


def _two_sided(
    level: st.SearchStrategy[Json], asks: str = "asks", bids: str = "bids"
) -> dict[str, st.SearchStrategy[Json]]:
    return {asks: _levels(level), bids: _levels(level)}


def _in_an_answer(message: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """A message of Bithumb, or an answer with that as its payload."""
    return st.one_of(message, message.map(lambda payload: {"status": "0000", "data": payload}))


_named = _members("price", "qty")

#: Messages that are whole books.
WHOLE_BOOKS: dict[str, st.SearchStrategy[Json]] = {
    "upbit": _upbit_books,
    "bithumb": _in_an_answer(_upbit_books),
    "coinone": st.one_of(
        _wrapped("data", {**_two_sided(_named), "timestamp": time}, channel="ORDERBOOK"),
        _wrapped("d", {**_two_sided(_members("p", "q"), "a", "b"), "t": time}, c="ORDERBOOK"),
    ),
    "korbit": _wrapped("data", {**_two_sided(_named), "timestamp": time}, type="orderbook"),
    "gateio": _wrapped("result", {**_two_sided(_pair), "t": time}, channel="spot.order_book"),
    "binance": st.fixed_dictionaries(_two_sided(_pair)),
    "okx": _wrapped(
        "data", {**_two_sided(_four), "ts": time}, arg={"channel": "books5", "instId": "A"}
    ),
}


def _kept(
    level: st.SearchStrategy[Json], build: Callable[[bool, str, Json, Json, Json], Json]
) -> st.SearchStrategy[Json]:
    parts = (
        st.integers(0, 4).map(bool),
        st.sampled_from("AB"),
        _levels(level),
        _levels(level),
        time,
    )
    return st.tuples(*parts).map(lambda drawn: build(not drawn[0], *drawn[1:]))


def _okx(snapshot: bool, name: str, asks: Json, bids: Json, at: Json) -> Json:  # noqa: FBT001
    payload: Json = {"asks": asks, "bids": bids, "ts": at}
    action = "snapshot" if snapshot else "update"
    return {"arg": {"channel": "books", "instId": name}, "action": action, "data": [payload]}


def _bybit(snapshot: bool, name: str, asks: Json, bids: Json, at: Json) -> Json:  # noqa: FBT001
    payload: Json = {"s": name, "b": bids, "a": asks}
    kind = "snapshot" if snapshot else "delta"
    return {"topic": f"orderbook.5.{name}", "type": kind, "ts": at, "data": payload}


def _kraken(snapshot: bool, name: str, asks: Json, bids: Json, _: Json) -> Json:  # noqa: FBT001
    at = "2026-08-24T22:21:57.110183Z"
    payload: Json = {"symbol": name, "bids": bids, "asks": asks, "timestamp": at}
    return {"channel": "book", "type": "snapshot" if snapshot else "update", "data": [payload]}


#: Messages of books that are kept.
KEPT_BOOKS: dict[str, st.SearchStrategy[Json]] = {
    "okx": _kept(_four, _okx),
    "bybit": _kept(_pair, _bybit),
    "kraken": _kept(_named, _kraken),
}


def _ticker(keys: str, **more: st.SearchStrategy[Json]) -> dict[str, st.SearchStrategy[Json]]:
    missing = st.sampled_from((None, ""))
    price = st.one_of(number(positive), number(positive), number(positive), missing)
    change = st.one_of(number(signed), missing)
    of = {
        key: change if "hange" in key or key in ("p", "scp", "scr") else price
        for key in keys.split()
    }
    return {**of, **more}


_UPBIT = (
    "opening_price trade_price high_price low_price prev_closing_price acc_trade_volume_24h"
    " signed_change_price signed_change_rate"
)
_UPBIT_SIMPLE = "op tp hp lp pcp atv24h scp scr"
_COINONE = "first last high low yesterday_last target_volume"
_KORBIT = "open close high low prevClose volume priceChange priceChangePercent"
_OKX = "open24h last high24h low24h vol24h"
_BYBIT = "prevPrice24h lastPrice highPrice24h lowPrice24h volume24h price24hPcnt"
_GATEIO = "last high_24h low_24h base_volume change_percentage highest_bid"
_BINANCE = "o c h l x v p"
_KRAKEN = "last high low volume change change_pct"

_upbit_tickers = st.one_of(
    st.fixed_dictionaries(_ticker(_UPBIT, timestamp=st.one_of(time, _rfc3339))),
    st.fixed_dictionaries(_ticker(_UPBIT_SIMPLE, tms=time)),
)

#: Ticker messages, whole and flattened.
TICKERS: dict[str, st.SearchStrategy[Json]] = {
    "upbit": _upbit_tickers,
    "bithumb": _in_an_answer(_upbit_tickers),
    "coinone": st.one_of(
        _wrapped("data", _ticker(_COINONE, timestamp=time), channel="TICKER"),
        st.fixed_dictionaries(_ticker(_COINONE, timestamp=time)),
    ),
    "korbit": st.one_of(
        st.fixed_dictionaries({"timestamp": time, "data": st.fixed_dictionaries(_ticker(_KORBIT))}),
        st.fixed_dictionaries(_ticker(_KORBIT, timestamp=time)),
    ),
    "okx": st.one_of(
        st.fixed_dictionaries(
            {"data": st.fixed_dictionaries(_ticker(_OKX, ts=time)).map(lambda payload: [payload])}
        ),
        st.fixed_dictionaries(_ticker(_OKX, ts=time)),
    ),
    "bybit": st.one_of(
        st.fixed_dictionaries({"data": st.fixed_dictionaries(_ticker(_BYBIT)), "ts": time}),
        st.fixed_dictionaries(_ticker(_BYBIT, ts=time)),
    ),
    "gateio": st.one_of(
        st.fixed_dictionaries({"time_ms": time, "result": st.fixed_dictionaries(_ticker(_GATEIO))}),
        st.fixed_dictionaries(_ticker(_GATEIO, time_ms=time)),
    ),
    "binance": st.fixed_dictionaries(_ticker(_BINANCE, E=time)),
    "kraken": st.one_of(
        st.fixed_dictionaries(
            {
                "data": st.fixed_dictionaries(_ticker(_KRAKEN, timestamp=_rfc3339)).map(
                    lambda payload: [payload]
                )
            }
        ),
        st.fixed_dictionaries(_ticker(_KRAKEN, timestamp=_rfc3339)),
    ),
}


_STRANGE: tuple[Json, ...] = ([Bare("1"), {"asks": "값"}], None, '"\\/\n', {})


@st.composite
def respelled(draw: st.DrawFn, message: Json) -> str:
    """The item of an envelope that holds a message: any order, spaces, escapes and wrapping."""
    comma = draw(st.sampled_from((",", ", ", " ,\n ")))
    colon = draw(st.sampled_from((":", ": ", " :\t")))
    ascii_only = draw(st.booleans())
    text = write(_shuffled(draw, message), comma, colon, ascii_only=ascii_only)
    form = draw(st.sampled_from(("string", "string", "object", "array", "array in a string")))
    if "array" in form:
        text = f"[{text}]"
    return json.dumps(text, ensure_ascii=ascii_only) if "string" in form else text


def _shuffled(draw: st.DrawFn, value: Json) -> Json:
    """The same with the members of its objects in another order, and one more that nobody knows."""
    if isinstance(value, list):
        return [_shuffled(draw, part) for part in value]
    if not isinstance(value, dict):
        return value
    members = [(key, _shuffled(draw, part)) for key, part in value.items()]
    if draw(st.integers(0, 3)) == 3:
        strange: Json = draw(st.sampled_from(_STRANGE))
        members.append((draw(st.sampled_from(("unknown", "가격", 'a"b'))), strange))
    return dict(draw(st.permutations(members)))


def envelope(exchange: str, items: list[str], symbol: str = "BTC") -> bytes:
    """An envelope of the items, which are JSON already."""
    header = f'"region": "asia", "market": "{exchange.upper()}", "symbol": "{symbol}"'
    return f'{{{header}, "data": [{", ".join(items)}]}}'.encode()
