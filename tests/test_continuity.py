"""Books are proven, or say that they are not: streams with and without losses."""

import json
import os
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from book_streams import BookStream, envelope
from conftest import CAPTURES, lines_of, needs_captures
from continuity import FEEDS, examine
from marketprep import Decoder
from marketprep.settings import Settings, load_settings
from marketprep.settings.sources import DEFAULT_FOLDER

#: How many messages of each stream.
COUNT = int(os.environ.get("MARKETPREP_TEST_MESSAGES", "6000"))
IDS = ["-".join([exchange, feed, *made]) for exchange, feed, made in FEEDS]


@pytest.mark.parametrize(("exchange", "feed", "made"), FEEDS, ids=IDS)
def test_a_clean_stream(exchange: str, feed: str, made: dict[str, Any]) -> None:
    found = examine(exchange, feed, COUNT, 1, **made)
    assert found.first_valid is not None
    assert found.first_valid < (200 if "has_snapshots" in made else 3)
    assert found.records >= COUNT - found.first_valid
    assert (found.alarms, found.wrong, found.too_early) == (0, 0, 0)


@pytest.mark.parametrize(("exchange", "feed", "made"), FEEDS, ids=IDS)
def test_a_stream_with_losses(exchange: str, feed: str, made: dict[str, Any]) -> None:
    found = examine(exchange, feed, COUNT, 2, drop=0.01, duplicate=0.02, **made)
    assert found.dropped > 30
    assert found.alarms > 10
    assert found.records > COUNT / 10
    assert (found.unnoticed, found.false_alarms) == (0, 0)
    assert (found.wrong, found.too_early) == (0, 0)
    assert exchange == "kraken" or found.losses > 30


def test_a_lost_restart_of_bybit_is_noticed() -> None:
    """Its numbers begin at 1 again with a snapshot; the next change then seems to be an old one."""

    def message(kind: str, number: int, time: int, bid: str) -> str:
        data = {"s": "A", "b": [[bid, "1"]], "a": [["90", "1"]], "u": number, "seq": number}
        return json.dumps({"topic": "orderbook.50.A", "type": kind, "data": data, "cts": time})

    texts = [message("snapshot", 100, 1_790_000_000_000, "50")]
    texts.append(message("delta", 2, 1_790_000_000_100, "51"))
    assert qualities("bybit", texts) == [("valid", "snapshot"), ("suspect", "gap")]


def test_a_lost_reset_of_okx_is_noticed() -> None:
    def message(action: str, previous: int, number: int, time: int) -> str:
        sides = {"asks": [["90", "1", "0", "1"]], "bids": [["50", "1", "0", "1"]]}
        data = {**sides, "ts": str(time), "checksum": 0, "seqId": number, "prevSeqId": previous}
        argument = {"channel": "books", "instId": "A"}
        return json.dumps({"arg": argument, "action": action, "data": [data]})

    texts = [message("snapshot", -1, 5000, 1_790_000_000_000)]
    texts.append(message("update", 7, 9, 1_790_000_000_100))
    assert qualities("okx", texts) == [("valid", "snapshot"), ("suspect", "gap")]


def test_a_book_that_stays_crossed() -> None:
    """It is suspect when its grace is over, and until a snapshot comes."""

    def message(kind: str, number: int, bid: int) -> str:
        data = {"s": "A", "b": [[str(bid), "1"]], "a": [["90", "1"]], "u": number, "seq": number}
        return json.dumps({"topic": "orderbook.50.A", "type": kind, "data": data})

    texts = [message("snapshot", 1, 50), message("delta", 2, 95)]
    texts += [message("delta", number, 96 + number) for number in range(3, 13)]
    decoder = Decoder("orderbook")
    records = [decoder.decode([envelope("bybit", [text])]).records for text in texts]
    assert [bool(record) for record in records] == [True] * 11 + [False]
    [book] = decoder.books()
    assert (book.quality, book.crossed, book.held_back) == ("suspect", 11, 1)
    decoder.decode([envelope("bybit", [message("snapshot", 20, 50)])])
    [book] = decoder.books()
    assert book.quality == "valid"


def test_a_deep_book_of_kraken_is_not_proven_by_its_best_levels(tmp_path: Path) -> None:
    """The checksum covers ten levels a side, so without a snapshot nobody knows of the others."""
    decoder = Decoder("orderbook", kraken(tmp_path, depth=25))
    stream = BookStream("kraken", "book", 3, 25, has_snapshots=False)
    for sent, _ in zip(stream, range(2_000), strict=False):
        assert decoder.decode([envelope("kraken", [sent.text])]).records == b""
    [book] = decoder.books()
    assert book.quality == "warming"
    assert book.checksums_matched > 1_000


def test_numbers_that_floats_cannot_hold_prove_nothing() -> None:
    """Upstream reads and writes floats: a size of 17 digits is not what was in the checksum."""
    levels = [{"price": 0.00001 + step / 1e8, "qty": 123456789012.12345678} for step in range(12)]

    def message(kind: str, checksum: int, second: int) -> str:
        bids, asks = levels[:5], levels[6:11]
        data = {"symbol": "A", "bids": bids, "asks": asks, "checksum": checksum}
        data["timestamp"] = f"2026-11-25T10:00:{second:02}.000000Z"
        data["bids"] = [*bids, {"price": 0.00001, "qty": 1.5}]
        return json.dumps({"channel": "book", "type": kind, "data": [data]})

    texts = [message("snapshot", 1, 1), message("update", 2, 2), message("update", 3, 3)]
    assert qualities("kraken", texts) == [("valid", "snapshot")]


def test_a_precision_from_the_settings(tmp_path: Path) -> None:
    """It counts from the first message on, however few decimals were seen by then."""
    stream = BookStream("kraken", "book", 4, has_snapshots=False, rewritten=True)
    right, wrong = (
        Decoder("orderbook", kraken(tmp_path, precision={"BTC/USD": places}))
        for places in ([1, 8], [2, 8])
    )
    for sent, _ in zip(stream, range(500), strict=False):
        value = envelope("kraken", [sent.text])
        right.decode([value])
        wrong.decode([value])
    assert [book.quality for book in right.books()] == ["valid"]
    assert [book.quality for book in wrong.books()] == ["warming"]


def kraken(folder: Path, **row: object) -> Settings:
    """Settings with another row for Kraken."""
    content = yaml.safe_load((DEFAULT_FOLDER / "exchanges.yml").read_text())
    content["exchanges"]["kraken"] |= row
    (folder / "exchanges.yml").write_text(json.dumps(content))
    return load_settings(folder)


def qualities(exchange: str, texts: list[str]) -> list[tuple[str, str]]:
    batch = Decoder("orderbook").decode([envelope(exchange, [text]) for text in texts])
    return [(change.quality, change.reason) for change in batch.changes]


# Declared totals


def test_declared_totals() -> None:
    def item(total: object) -> str:
        unit = {"ask_price": 101, "bid_price": 99, "ask_size": 1.5, "bid_size": 2e-5}
        totals = {"total_ask_size": 1.5, "total_bid_size": total}
        return json.dumps({"type": "orderbook", **totals, "orderbook_units": [unit]})

    value = json.dumps(
        {
            "region": "korea",
            "market": "UPBIT",
            "symbol": "BTC",
            "data": [item(2e-5), item(2.1e-5), item(None), item("what"), item([1])],
        }
    ).encode()
    batch = Decoder("orderbook").decode([value])
    counts = batch.counts["upbit"]
    assert (counts["records"], counts["odd_totals_mismatch"], counts["rejected"]) == (5, 1, 0)


# Captures


def captured(exchange: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for line in lines_of(CAPTURES / exchange / "orderbook.jsonl"):
        row = json.loads(line)
        yield json.dumps(row["envelope"]).encode(), row["expected"]


@needs_captures
@pytest.mark.parametrize("exchange", ["okx", "kraken"])
def test_every_checksum_of_the_captures(exchange: str) -> None:
    decoder = Decoder("orderbook")
    verified = 0
    for value, expected in captured(exchange):
        assert decoder.decode([value]).counts[exchange]["records"] == 1
        verified += bool(expected.get("checksum_verified"))
    [book] = decoder.books()
    assert (book.quality, book.checksums_failed) == ("valid", 0)
    assert book.checksums_matched == verified > 0


@needs_captures
@pytest.mark.parametrize("number", [Decimal, float])
def test_floats_would_not_do(number: type) -> None:
    """The guard of the guard: what this finds with exact numbers, it does not find with floats."""
    totals_wrong = checksums_wrong = 0
    for exchange in ("bybit", "kraken"):
        sides: dict[str, dict[Any, Any]] = {}
        for value, expected in captured(exchange):
            [item] = json.loads(value)["data"]
            message = json.loads(item, parse_float=number)
            _apply(message, sides, number)
            for name, side in (("bid", sides["bids"]), ("ask", sides["asks"])):
                total = Decimal(str(sum(side.values(), number(0))))
                totals_wrong += total != Decimal(expected[f"total_{name}_volume"])
            if exchange == "kraken":
                checksums_wrong += _checksum(sides) != message["data"][0]["checksum"]
    assert (totals_wrong > 0, checksums_wrong > 0) == ((number is float,) * 2)


def _apply(message: Any, sides: dict[str, dict[Any, Any]], number: type) -> None:  # noqa: ANN401
    """Lets a message take effect on a book, as naively as can be."""
    payload = message["data"][0] if isinstance(message["data"], list) else message["data"]
    for name, short in (("bids", "b"), ("asks", "a")):
        side = {} if message["type"] == "snapshot" else sides.get(name, {})
        for level in payload.get(name, payload.get(short)):
            price, size = map(number, level.values() if isinstance(level, dict) else level)
            side.pop(price, None)
            if size:
                side[price] = size
        depth = 10 if message.get("channel") == "book" else 50
        sides[name] = {price: side[price] for price in _best(side, name)[:depth]}


def _best(side: dict[Any, Any], name: str) -> list[Any]:
    return sorted(side, reverse=name == "bids")


def _checksum(sides: dict[str, dict[Any, Any]]) -> int:
    """Kraken's, of the numbers as they print."""
    levels = [
        (price, sides[name][price])
        for name in ("asks", "bids")
        for price in _best(sides[name], name)
    ]
    digits = (
        f"{number:f}" if isinstance(number, Decimal) else str(number)
        for level in levels
        for number in level
    )
    text = "".join(each.replace(".", "").lstrip("0") for each in digits)
    return zlib.crc32(text.encode())


@needs_captures
def test_captured_changes_alone_are_never_valid_before_a_proof() -> None:
    decoder = Decoder("orderbook")
    changes = [value for value, _ in captured("kraken") if b"snapshot" not in value]
    for value in changes:
        assert decoder.decode([value]).records == b""
    assert [book.quality for book in decoder.books()] == ["warming"]
