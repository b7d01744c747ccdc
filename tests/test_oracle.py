"""The oracle against what others recorded, against the golden fixtures and against its rules."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from conftest import CAPTURES, EXCHANGES, FIXTURES, KINDS, lines_of, needs_captures
from oracle import Oracle, Outcome, Sort


def exact(value: object) -> Decimal | None:
    """Give a value of a record or of an expectation as the number it stands for."""
    return None if value is None else Decimal(str(value))


def values_of(record: str) -> dict[str, object]:
    """Give the values of a record, be they in itself or, in a ticker, one step further in."""
    parsed = json.loads(record, parse_float=Decimal, parse_int=Decimal)
    values: dict[str, object] = parsed["data"][0] if "data" in parsed else parsed
    return values


@needs_captures
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_captures(exchange: str, kind: str) -> None:
    """Every value that comes with a capture is the oracle's too, as an exact number."""
    oracle = Oracle(kind)
    for line in lines_of(CAPTURES / exchange / f"{kind}.jsonl"):
        capture = json.loads(line)
        outcomes = oracle.envelope(json.dumps(capture["envelope"]).encode())
        records = [record for outcome in outcomes for record in outcome.records]
        assert len(records) == 1, capture["source"]
        values = values_of(records[0])
        # Whether a checksum held is not yet a part of a record.
        expected = {k: v for k, v in capture["expected"].items() if k != "checksum_verified"}
        assert {name: exact(values[name]) for name in expected} == {
            name: exact(value) for name, value in expected.items()
        }, capture["source"]


@needs_captures
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_control_captures(exchange: str, kind: str) -> None:
    """What exchanges say beside the market is control, whichever kind is asked for."""
    oracle = Oracle(kind)
    for line in lines_of(CAPTURES / exchange / "control.jsonl"):
        capture = json.loads(line)
        value = json.dumps(capture["envelope"])
        # The depth reply of Binance's API is market data.
        sort: Sort = "rejected" if "lastUpdateId" in value else "control"
        assert oracle.envelope(value.encode()) == [Outcome(sort)], capture["source"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_fixtures(exchange: str, kind: str) -> None:
    """The fixtures, whose expected records were written by hand, give these records to the byte."""
    oracle = Oracle(kind)
    lines = lines_of(FIXTURES / exchange / f"{kind}.jsonl")
    outcomes = [outcome for line in lines for outcome in oracle.envelope(line)]
    records = [record.encode() for outcome in outcomes for record in outcome.records]
    assert records == lines_of(FIXTURES / exchange / f"{kind}.expected.jsonl")
    assert {outcome.sort for outcome in outcomes} <= {"record", "held_back"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_control_fixtures(exchange: str, kind: str) -> None:
    """Every item of the control fixtures is control, whichever kind is asked for."""
    oracle = Oracle(kind)
    for line in lines_of(FIXTURES / exchange / "control.jsonl"):
        outcomes = oracle.envelope(line)
        assert outcomes == [Outcome("control")] * len(outcomes)


def envelope_of(market: str, *items: str) -> bytes:
    """Write an envelope around items that are JSON text already."""
    return f'{{"market":"{market}","symbol":"BTC","data":[{",".join(items)}]}}'.encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"market":"OKX","data":[]}',
        b'{"market":"OKX","symbol":"BTC"}',
        b'{"market":"OKX","symbol":"BTC","data":{}}',
        b'{"market":"OKX","symbol":1,"data":[]}',
        b'{"market":"NOWHERE","symbol":"BTC","data":[]}',
        b'{"market":"OKX","symbol":"BTC","symbol":"BTC","data":[]}',
    ],
)
def test_what_is_no_envelope(value: bytes) -> None:
    """An envelope without a known market, a symbol or data is rejected as a whole."""
    assert Oracle("ticker").envelope(value) == [Outcome("rejected")]


@pytest.mark.parametrize(
    ("market", "kind", "item"),
    [
        # not a message
        ("okx", "ticker", "7"),
        ("okx", "ticker", "null"),
        ("okx", "ticker", "[]"),
        ("okx", "ticker", "[7]"),
        ("okx", "ticker", '"{"'),
        ("okx", "ticker", '{"data":[]}'),
        # a ticker without a price, or with something else in the place of a number
        ("okx", "ticker", '{"last":null,"open24h":"1"}'),
        ("okx", "ticker", '{"last":"","open24h":"1"}'),
        ("okx", "ticker", '{"last":"NaN"}'),
        ("okx", "ticker", '{"last":true}'),
        ("okx", "ticker", '{"last":"1","open24h":"?"}'),
        # a key twice, if it is one that is read
        ("okx", "ticker", '{"last":"1","last":"1"}'),
        # times
        ("okx", "ticker", '{"last":"1","ts":"soon"}'),
        ("okx", "ticker", '{"last":"1","ts":true}'),
        ("okx", "ticker", '{"last":"1","ts":"253402300800000000000"}'),
        ("kraken", "ticker", '{"last":1,"timestamp":"2026-13-01T00:00:00Z"}'),
        # the other kind
        ("upbit", "ticker", '{"type":"trade","trade_price":1}'),
        ("upbit", "orderbook", '{"type":"ticker","orderbook_units":[]}'),
        ("binance", "ticker", '{"e":"24hrTickerX","c":"1"}'),
        ("gateio", "ticker", '{"channel":"spot.trades","result":{"last":"1"}}'),
        # books: a side absent or no array, a level that is none
        ("binance", "orderbook", '{"bids":[]}'),
        ("binance", "orderbook", '{"bids":[],"asks":{}}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["1"]]}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["1",""]]}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["1",null]]}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["1","Infinity"]]}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["1","-1"]]}'),
        ("binance", "orderbook", '{"bids":[],"asks":[["-1","1"]]}'),
        ("upbit", "orderbook", '{"orderbook_units":[{"ask_price":1,"ask_size":1}]}'),
        ("upbit", "orderbook", '{"timestamp":1790000000000}'),
        ("korbit", "orderbook", '{"bids":[],"asks":[]}'),
        ("bybit", "orderbook", '{"topic":"orderbook.1.X","type":"delta","data":{"b":[]}}'),
        ("bybit", "orderbook", '{"topic":"orderbook.1.X","type":"new","data":{"b":[],"a":[]}}'),
    ],
)
def test_what_is_rejected(market: str, kind: str, item: str) -> None:
    """What is neither data of the kind nor control is rejected, as an object and in a string."""
    rejected = [Outcome("rejected")]
    assert Oracle(kind).envelope(envelope_of(market, item)) == rejected
    assert Oracle(kind).envelope(envelope_of(market, json.dumps(item))) == rejected


def test_one_bad_item_costs_that_item_only() -> None:
    """Its neighbours give their records, and nothing of a bad array takes effect on a book."""
    oracle = Oracle("orderbook")
    snapshot = '{"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}'
    diff = '{"e":"depthUpdate","E":1790000000000,"u":2,"b":[["1","5"]],"a":[]}'
    outcomes = oracle.envelope(envelope_of("binance", snapshot, "7", f"[{diff},7]", diff))
    assert [outcome.sort for outcome in outcomes] == ["record", "rejected", "rejected", "record"]
    assert values_of(outcomes[-1].records[0])["total_bid_volume"] == 5


def test_time_of_the_kafka_record() -> None:
    """It stands in where a message has no time of its own; 1970 is no time."""
    value = envelope_of("kraken", '{"last":1,"timestamp":"1970-01-01T00:00:00Z"}')
    (with_time,) = Oracle("ticker").envelope(value, 1_790_000_000_001)
    assert '"timestamp":1790000000001.0,' in with_time.records[0]
    (without,) = Oracle("ticker").envelope(value)
    assert '"timestamp":null,' in without.records[0]


def test_depths() -> None:
    """A book that does not tell its depth is cut to the one that is given for its exchange."""
    oracle = Oracle("orderbook", {"binance": 1})
    snapshot = '{"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}'
    diff = '{"e":"depthUpdate","u":2,"b":[["1.5","5"]],"a":[]}'
    outcomes = oracle.envelope(envelope_of("binance", snapshot, diff))
    assert values_of(outcomes[1].records[0])["total_bid_volume"] == 5
