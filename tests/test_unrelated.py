"""The same value gives the same result, whatever numbers stand beside it in the message."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conftest import EXCHANGES
from marketprep import Decoder
from marketprep.settings import load_settings
from messages import envelope
from oracle import TICKER_FIELDS, TICKER_KEYS

USUAL = load_settings()
EXTENDED = USUAL.model_copy(update={"output": USUAL.output.model_copy(update={"extended": True})})
KAFKA_TIME = 1_790_000_000_123

#: Columns that are computed, by the members of which they are made.
COMPUTED: dict[str, dict[str, tuple[str, ...]]] = {
    "korbit": {"signed_change_rate": ("priceChange", "prevClose")},
    "coinone": {
        "signed_change_price": ("last", "yesterday_last"),
        "signed_change_rate": ("last", "yesterday_last"),
    },
    "okx": {
        "signed_change_price": ("last", "open24h"),
        "signed_change_rate": ("last", "open24h"),
    },
    "bybit": {
        "signed_change_price": ("lastPrice", "prevPrice24h"),
        "signed_change_rate": ("lastPrice", "prevPrice24h"),
    },
    "gateio": {
        "opening_price": ("last", "change_percentage"),
        "prev_closing_price": ("last", "change_percentage"),
        "signed_change_price": ("last", "change_percentage"),
    },
    "binance": {"signed_change_rate": ("p", "o")},
    "kraken": {
        "opening_price": ("last", "change"),
        "prev_closing_price": ("last", "change"),
        "signed_change_rate": ("last", "change"),
    },
}

#: Numbers that do not fit 128 bits in units of 1e-18.
wide = st.one_of(
    st.text("123456789", min_size=30, max_size=40),
    st.text("123456789", min_size=25, max_size=60).map("0.".__add__),
    st.just("1" * 300 + "." + "7" * 300),
)
_places = st.one_of(st.integers(0, 12), st.integers(15, 25))
#: A price of any number of decimals, zeros at its end or not.
price = st.tuples(st.integers(1, 10**9), _places, st.sampled_from(("", "0", "0" * 15))).map(
    lambda parts: f"{Decimal(parts[0]).scaleb(-parts[1]):f}{parts[2] if parts[1] else ''}"
)
change = st.one_of(st.integers(-9999, 9999).map(lambda change: f"{Decimal(change) / 100:f}"))


def sources(exchange: str) -> dict[str, tuple[str, ...]]:
    """By column of a record, the members that it is made of."""
    keys = [key.split("|")[0] for key in TICKER_KEYS[exchange].split()]
    sent = {field: (key,) for field, key in zip(TICKER_FIELDS, keys, strict=True) if key != "-"}
    return {**sent, **COMPUTED.get(exchange, {})}


def columns(exchange: str, message: dict[str, str]) -> dict[str, Any]:
    batch = Decoder("ticker", USUAL).decode([envelope(exchange, [json.dumps(message)])], [1])
    assert not batch.rejects, batch.rejects[0].reason
    [record] = batch.records.splitlines()
    found: dict[str, Any] = json.loads(record)["data"][0]
    return found


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(data=st.data())
def test_a_column_depends_on_its_own_members_alone(exchange: str, data: st.DataObject) -> None:
    made_of = sources(exchange)
    members = sorted({key for keys in made_of.values() for key in keys})
    is_change = ("hange", "rate")
    message = {
        key: data.draw(
            change if key == "p" or any(part in key for part in is_change) else price, label=key
        )
        for key in members
    }
    before = columns(exchange, message)
    key = data.draw(st.sampled_from(members))
    after = columns(exchange, {**message, key: data.draw(wide)})
    for column, keys in made_of.items():
        if key not in keys:
            assert after[column] == before[column], (column, message)


def book(sizes: list[str]) -> dict[str, Any]:
    bids = [[str(90 - level), size, "0", "1"] for level, size in enumerate(sizes)]
    asks = [["91.7", "3", "0", "1"], ["92", "1", "0", "1"]]
    payload = {"asks": asks, "bids": bids, "ts": str(KAFKA_TIME), "seqId": 5, "prevSeqId": -1}
    argument = {"channel": "books", "instId": "A"}
    message = {"arg": argument, "action": "snapshot", "data": [payload]}
    value = envelope("okx", [json.dumps(message)])
    [record] = Decoder("orderbook", EXTENDED).decode([value], [KAFKA_TIME]).records.splitlines()
    found: dict[str, Any] = json.loads(record, parse_float=str, parse_int=str)
    return found


@given(sizes=st.lists(price, min_size=2, max_size=15), size=wide, data=st.data())
def test_figures_depend_on_their_own_levels_alone(
    sizes: list[str], size: str, data: st.DataObject
) -> None:
    assume(all(Decimal(text) for text in sizes))
    at = data.draw(st.integers(1, len(sizes) - 1))
    before, after = book(sizes), book([*sizes[:at], size, *sizes[at + 1 :]])
    for name, value in before.items():
        levels = int(name.rpartition("_")[2]) if name.startswith("imbalance_1") else 0
        is_of_all = name == "total_bid_volume" or name.startswith("bid_depth_")
        if not is_of_all and (at >= levels or name == "imbalance_l1"):
            assert after[name] == value, name


@pytest.mark.parametrize(
    ("last", "percentage", "opening"),
    [
        ("1.20", "3", "1.17"),
        ("1.2", "3", "1.2"),
        ("120", "3", "117"),
        ("1.2e2", "3", "117"),
        ("12e-1", "3", "1.2"),
        ("1." + "0" * 18, "3", "0.970873786407766990"),
        ("1." + "0" * 19, "3", "0.9708737864077669903"),
        ("1." + "0" * 30, "3", "0.970873786407766990291262135922"),
        # half-even where an end is
        ("0.5", "100", "0.2"),
        ("1.5", "100", "0.8"),
    ],
)
@pytest.mark.parametrize("high", ["1", "1" * 30, "0." + "1" * 25])
def test_an_opening_price_has_the_decimals_of_the_trade_price(
    last: str, percentage: str, opening: str, high: str
) -> None:
    found = columns("gateio", {"last": last, "change_percentage": percentage, "high_24h": high})
    assert found["opening_price"] == (opening.rstrip("0") if "." in opening else opening)


@pytest.mark.parametrize("places", [399, 400, 401, 70_000])
def test_an_opening_price_of_very_many_decimals(places: int) -> None:
    """It has 400 of them at most, as any number."""
    found = columns("gateio", {"last": "1." + "0" * places, "change_percentage": "200"})
    assert found["opening_price"] == "0." + "3" * min(places, 400)
