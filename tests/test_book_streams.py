"""The streams of books against a naive client: their truth, checksums and sequence numbers hold."""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any

import pytest

from book_streams import WIRES, BookStream, Sent, Truth, envelope, faulty

MESSAGES = 3000
# The sides of a book, each price with its size, both as they were sent.
Book = tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]]
FEEDS = pytest.mark.parametrize(("exchange", "feed"), WIRES)


def taken(stream: BookStream) -> list[Sent]:
    return list(islice(stream, MESSAGES))


def parsed(sent: Sent) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(sent.text, parse_float=str)
    return message


def payload_of(message: dict[str, Any]) -> dict[str, Any]:
    inner = message.get("data") or message.get("result") or message
    payload: dict[str, Any] = inner[0] if isinstance(inner, list) else inner
    return payload


def payloads(stream: BookStream) -> list[tuple[Sent, dict[str, Any]]]:
    return [(sent, payload_of(parsed(sent))) for sent in taken(stream)]


def applied(book: Book, sent: Sent, depth: int) -> Book:
    payload = payload_of(parsed(sent))
    sides = []
    for index, keys in enumerate((("bids", "b"), ("asks", "a"))):
        side = {} if sent.is_base else dict(book[index])
        for level in next((payload[key] for key in keys if key in payload), []):
            values = level.values() if isinstance(level, dict) else level
            price, size = [str(value) for value in values][:2]
            side.pop(Decimal(price), None)
            if Decimal(size):
                side[Decimal(price)] = (price, size)
        best_first = sorted(side.items(), reverse=index == 0)
        sides.append(dict(best_first[:depth]))
    return sides[0], sides[1]


def truth_of(book: Book, stream: BookStream) -> Truth:
    def units(value: Decimal | str, places: int) -> int:
        scaled = Decimal(value).scaleb(places)
        assert scaled == int(scaled)
        return int(scaled)

    bids, asks = book
    best_bid, best_ask = (next(iter(side), None) for side in book)
    return Truth(
        None if best_bid is None else units(best_bid, stream.price_places),
        None if best_ask is None else units(best_ask, stream.price_places),
        sum(units(size, stream.size_places) for _, size in bids.values()),
        sum(units(size, stream.size_places) for _, size in asks.values()),
    )


@FEEDS
@pytest.mark.parametrize("depth", [None, 7])
def test_a_client_that_misses_nothing_has_the_truth(
    exchange: str, feed: str, depth: int | None
) -> None:
    stream = BookStream(exchange, feed, 1, depth)
    book: Book = ({}, {})
    bests = set()
    for sent in taken(stream):
        book = applied(book, sent, depth or WIRES[exchange, feed].depth)
        assert truth_of(book, stream) == sent.truth
        bid, ask = sent.truth[:2]
        assert bid is None or ask is None or bid < ask
        bests.add(bid)
    assert len(bests) > 10


@FEEDS
def test_a_thin_book_becomes_empty_and_recovers(exchange: str, feed: str) -> None:
    truths = [sent.truth for sent in islice(BookStream(exchange, feed, 2, 2), 5 * MESSAGES)]
    assert any(truth.highest_bid is None for truth in truths)
    assert any(truth.lowest_ask is None for truth in truths)
    assert sum(None in truth for truth in truths) < len(truths) / 20


@pytest.mark.parametrize("depth", [400, 20])
def test_checksums_of_okx(depth: int) -> None:
    book: Book = ({}, {})
    lengths = set()
    for sent in taken(BookStream("okx", "books", 3, depth, checksums=True)):
        book = applied(book, sent, depth)
        bids, asks = (list(side.values())[:25] for side in book)
        texts = []
        for rank in range(25):
            texts += [text for level in (bids[rank:][:1] + asks[rank:][:1]) for text in level]
        expected = int.from_bytes(zlib.crc32(":".join(texts).encode()).to_bytes(4), signed=True)
        assert payload_of(parsed(sent))["checksum"] == expected
        lengths.add(len(bids) - len(asks))
    assert len(lengths) > 1
    assert all('"checksum":0,' in sent.text for sent in taken(BookStream("okx", "books", 3)))


@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("has_snapshots", [False, True])
def test_checksums_of_kraken(*, rewritten: bool, has_snapshots: bool) -> None:
    stream = BookStream("kraken", "book", 4, has_snapshots=has_snapshots, rewritten=rewritten)

    def spelled(text: str, places: int) -> str:
        padded = f"{Decimal(text):.{places}f}" if rewritten else text
        return padded.replace(".", "").lstrip("0")

    book: Book = ({}, {})
    is_certain = False
    levels_told: Counter[bool] = Counter()
    for sent in taken(stream):
        book = applied(book, sent, 10)
        levels = [level for side in reversed(book) for level in list(side.values())[:10]]
        spellings = [spelled(price, 1) + spelled(size, 8) for price, size in levels]
        payload = payload_of(parsed(sent))
        matches = zlib.crc32("".join(spellings).encode()) == payload["checksum"]
        is_certain |= matches
        assert matches == is_certain == (truth_of(book, stream) == sent.truth)
        prices = [level["price"] for side in ("bids", "asks") for level in payload[side]]
        levels_told[len(set(prices)) < len(prices)] += 1
        assert sent.is_base <= has_snapshots
    assert is_certain
    assert levels_told[True] > 10


def test_kraken_leaves_it_to_the_client_to_forget() -> None:
    stream = BookStream("kraken", "book", 4, has_snapshots=False)
    book: Book = ({}, {})
    for sent in taken(stream):
        book = applied(book, sent, 1000)
    assert min(len(side) for side in book) > 10


def test_kraken_as_rewritten_has_floats() -> None:
    texts = [sent.text for sent in taken(BookStream("kraken", "book", 5, rewritten=True))]
    assert any("e-05}" in text for text in texts)
    assert all(json.dumps(json.loads(text)) == text for text in texts)


def test_sequence_of_okx() -> None:
    seen: Counter[str] = Counter()
    stream = islice(BookStream("okx", "books", 6, 10), 5 * MESSAGES)
    for before, after in pairwise(payload_of(parsed(sent)) for sent in stream):
        last, previous, number = before["seqId"], after["prevSeqId"], after["seqId"]
        assert previous in (last, -1)
        if previous == -1:
            seen["repeated" if number == last else "snapshot"] += 1
        elif number == last:
            assert after["bids"] == after["asks"] == []
            seen["idle"] += 1
        else:
            seen["update" if number > last else "reset"] += 1
    assert set(seen) == {"repeated", "snapshot", "idle", "update", "reset"}


def test_sequence_of_bybit() -> None:
    seen: Counter[str] = Counter()
    for (_, before), (sent, after) in pairwise(payloads(BookStream("bybit", "orderbook.50", 7))):
        assert after["seq"] > before["seq"]
        if not sent.is_base:
            assert after["u"] == before["u"] + 1
        elif after["u"] == before["u"]:
            assert (after["b"], after["a"]) == (before["b"], before["a"])
            seen["repeated"] += 1
        else:
            assert after["u"] in (1, before["u"] + 1)
            seen["restart" if after["u"] == 1 else "snapshot"] += 1
    assert set(seen) == {"repeated", "restart", "snapshot"}


@pytest.mark.parametrize(("exchange", "feed"), [key for key in WIRES if key[0] == "gateio"])
def test_sequence_of_gateio(exchange: str, feed: str) -> None:
    sides = set()
    last = 0
    for sent, payload in payloads(BookStream(exchange, feed, 8)):
        if sent.is_base:
            last = payload.get("lastUpdateId") or payload["u"]
            continue
        assert payload["U"] == last + 1
        last = payload["u"]
        assert last >= payload["U"]
        sides.add(("b" in payload, "a" in payload))
    assert len(sides) == (4 if feed == "spot.obu" else 3)


@pytest.mark.parametrize("feed", ["@depth", "futures"])
def test_sequence_of_binance(feed: str) -> None:
    told = base = None
    overlaps = skips = 0
    for sent, payload in payloads(BookStream("binance", feed, 9)):
        if sent.is_base:
            base = payload["lastUpdateId"]
            continue
        first, last = payload["U"], payload["u"]
        if base is not None:
            assert first <= base + 1 <= last
            overlaps += first <= base
        if told is not None:
            assert payload.get("pu", told) == told
            skips += first != told + 1
            assert first > told
        told, base = last, None
    assert overlaps > 2
    assert (skips > 0) == (feed == "futures")


@FEEDS
def test_a_seed_is_a_stream(exchange: str, feed: str) -> None:
    one, same, other = (taken(BookStream(exchange, feed, seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert all(before.time_ms < after.time_ms for before, after in pairwise(one))
    assert 5 < sum(sent.is_base for sent in one) < 60
    bare = taken(BookStream(exchange, feed, 1, has_snapshots=False))
    assert not any(sent.is_base for sent in bare)


def test_faults() -> None:
    clean = taken(BookStream("bybit", "orderbook.50", 1))
    rng = random.Random(1)  # noqa: S311 - to be reproducible, not secret
    outcomes = list(faulty(clean, rng, drop=0.02, duplicate=0.03))
    assert [sent for sent, kind in outcomes if kind != "duplicate"] == clean
    kinds = Counter(kind for _, kind in outcomes)
    assert 30 < kinds["dropped"] < 90
    assert 50 < kinds["duplicate"] < 130
    delivered: list[Sent] = []
    for sent, kind in outcomes:
        if kind == "duplicate":
            assert sent in delivered[-5:]
        elif kind == "sent":
            delivered.append(sent)


def test_envelopes() -> None:
    assert json.loads(envelope("okx", ['{"a":1}'])) == {
        "region": "Asia",
        "market": "OKX",
        "symbol": "BTC",
        "data": ['{"a":1}'],
    }
