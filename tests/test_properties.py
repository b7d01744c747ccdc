"""Any message in any spelling: the core against the independent oracle of exact decimals."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketprep import Decoder, Kind
from messages import KEPT_BOOKS, TICKERS, WHOLE_BOOKS, Json, envelope, respelled, write
from oracle import Oracle

KAFKA_TIME = 1_790_000_000_123


def outcome(decoder: Decoder, value: bytes) -> tuple[list[str], int]:
    """The records of an envelope, and how many of its items were rejected."""
    batch = decoder.decode([value], [KAFKA_TIME])
    return batch.records.decode().splitlines(), len(batch.rejects)


def expected(oracle: Oracle, value: bytes) -> tuple[list[str], int]:
    outcomes = oracle.envelope(value, KAFKA_TIME)
    records = [record for outcome in outcomes for record in outcome.records]
    return records, sum(outcome.sort == "rejected" for outcome in outcomes)


def check(data: st.DataObject, exchange: str, kind: Kind, message: st.SearchStrategy[Json]) -> None:
    items = data.draw(st.lists(message.flatmap(respelled), min_size=1, max_size=4))
    decoder, oracle = Decoder(kind), Oracle(kind)
    for part in (items[:2], items[2:]):
        value = envelope(exchange, part)
        assert outcome(decoder, value) == expected(oracle, value)


@pytest.mark.parametrize("exchange", WHOLE_BOOKS)
@given(data=st.data())
def test_whole_books(exchange: str, data: st.DataObject) -> None:
    check(data, exchange, "orderbook", WHOLE_BOOKS[exchange])


@pytest.mark.parametrize("exchange", KEPT_BOOKS)
@settings(max_examples=200)
@given(data=st.data())
def test_kept_books(exchange: str, data: st.DataObject) -> None:
    messages = data.draw(st.lists(KEPT_BOOKS[exchange], min_size=2, max_size=12))
    decoder, oracle = Decoder("orderbook"), Oracle("orderbook")
    for message in messages:
        value = envelope(exchange, [data.draw(respelled(message))])
        assert outcome(decoder, value) == expected(oracle, value)


@pytest.mark.parametrize("exchange", TICKERS)
@given(data=st.data())
def test_tickers(exchange: str, data: st.DataObject) -> None:
    check(data, exchange, "ticker", TICKERS[exchange])


@pytest.mark.parametrize("exchange", TICKERS)
@given(data=st.data())
def test_spelling_never_matters(exchange: str, data: st.DataObject) -> None:
    message = data.draw(TICKERS[exchange])
    plain = envelope(exchange, [json.dumps(write(message))])
    other = envelope(exchange, [data.draw(respelled(message))])
    assert outcome(Decoder("ticker"), plain) == outcome(Decoder("ticker"), other)
