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
from marketprep import Decoder, parse
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


def test_what_is_from_before_a_restart_is_old_whatever_its_number() -> None:
    """A late duplicate must not bring back the book of before, nor go into the one of now."""

    def message(kind: str, number: int, time: int, bid: int) -> str:
        data = {"s": "A", "b": [[str(bid), "1"]], "a": [["90", "1"]], "u": number, "seq": number}
        return json.dumps({"topic": "orderbook.50.A", "type": kind, "data": data, "cts": time})

    begin = 1_790_000_000_000
    before = [message("snapshot", 5000, begin, 50), message("delta", 5001, begin + 100, 51)]
    late = [message("snapshot", 5000, begin, 50), message("delta", 2, begin + 50, 52)]
    after = [message("snapshot", 1, begin + 200, 60), *late, message("delta", 2, begin + 300, 61)]
    batch = Decoder("orderbook").decode([envelope("bybit", [text]) for text in before + after])
    assert [record["highest_bid"] for record in parse(batch.records)] == [50, 51, 60, 61]
    assert [change.quality for change in batch.changes] == ["valid"]


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


def kraken_message(
    kind: str, second: int, sides: dict[str, dict[str, str]], book: dict[str, dict[Any, Any]]
) -> str:
    """A message of Kraken, and what it makes of a book."""
    for name, levels in sides.items():
        for price, size in levels.items():
            book[name][Decimal(price)] = Decimal(size)
        alive = {price: size for price, size in book[name].items() if size}
        book[name] = {price: alive[price] for price in _best(alive, name)[:10]}
    told = {
        name: [f'{{"price":{price},"qty":{size}}}' for price, size in sides.get(name, {}).items()]
        for name in ("bids", "asks")
    }
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"A","checksum":{_checksum(book)},'
        f'"bids":[{",".join(told["bids"])}],"asks":[{",".join(told["asks"])}],'
        f'"timestamp":"2026-11-25T10:{second // 60:02}:{second % 60:02}.000000Z"}}]}}'
    )


@pytest.mark.parametrize("size", ["2.50000000", "12345678.12345678"])
def test_a_loss_beside_sizes_of_any_length_is_noticed(size: str) -> None:
    book: dict[str, dict[Any, Any]] = {"bids": {}, "asks": {}}
    start = {"bids": {"100.0": "1.00000000", "99.0": size}, "asks": {"101.0": "3.00000000"}}
    texts = [kraken_message("snapshot", 0, start, book)]
    texts.append(kraken_message("update", 1, {"bids": {"98.0": "5.00000000"}}, book))
    kraken_message("update", 2, {"bids": {"100.0": "7.00000000"}}, book)  # which is lost
    texts.append(kraken_message("update", 3, {"asks": {"102.0": "4.00000000"}}, book))
    assert qualities("kraken", texts) == [("valid", "snapshot"), ("suspect", "checksum")]


def test_a_book_of_kraken_gets_over_a_lost_removal() -> None:
    """A level that is there no more contradicts what comes later, when the market has moved on."""
    book: dict[str, dict[Any, Any]] = {"bids": {}, "asks": {}}
    asks = {f"{100 + step}.0": "1.00000000" for step in range(10)}
    start = {"bids": {"99.0": "1.00000000"}, "asks": asks}
    texts = [kraken_message("snapshot", 0, start, book)]
    for step in range(60):
        taken = {f"{100 + step}.0": "0.00000000", f"{110 + step}.0": "1.00000000"}
        moved = {"bids": {f"{100 + step}.0": "2.00000000"}, "asks": taken}
        text = kraken_message("update", step + 1, moved, book)
        if step != 5:
            texts.append(text)
    changes = qualities("kraken", texts)
    assert changes[:2] == [("valid", "snapshot"), ("suspect", "checksum")]
    assert changes[-1] == ("valid", "checksum")


def test_a_message_without_a_checksum_is_taken_in_all_the_same() -> None:
    book: dict[str, dict[Any, Any]] = {"bids": {}, "asks": {}}
    start = {"bids": {"100.0": "1.00000000"}, "asks": {"101.0": "3.00000000"}}
    texts = [kraken_message("snapshot", 0, start, book)]
    silent = json.loads(kraken_message("update", 1, {"asks": {"101.0": "4.00000000"}}, book))
    del silent["data"][0]["checksum"]
    texts.append(json.dumps(silent))
    texts.append(kraken_message("update", 2, {"bids": {"100.0": "2.00000000"}}, book))
    assert qualities("kraken", texts) == [("valid", "snapshot")]


def test_numbers_that_never_match_refute_nothing() -> None:
    """Where no form of the numbers has matched yet, it may be these that are not what was sent."""
    book: dict[str, dict[Any, Any]] = {"bids": {}, "asks": {}}
    start = {"bids": {"100.0": "1.00000000"}, "asks": {"101.0": "3.00000000"}}
    texts = [kraken_message("snapshot", 0, start, book).replace('"checksum":', '"checksum":1')]
    assert qualities("kraken", texts) == [("valid", "snapshot")]


def test_a_long_number_in_a_long_message_costs_no_levels() -> None:
    def message(action: str, number: int, bids: list[list[str]]) -> str:
        data = {"asks": [["2000", "1"]], "bids": bids, "seqId": number, "prevSeqId": number - 1}
        argument = {"channel": "books", "instId": "A"}
        return json.dumps({"arg": argument, "action": action, "data": [data]})

    start = [[str(1000 - step), "1"] for step in range(200)]
    for size in ("1", "1.0000000000000000001"):
        changes = [[str(500 - step), "1"] for step in range(80)] + [["300", size]]
        texts = [message("snapshot", 1, start), message("update", 2, changes)]
        decoder = Decoder("orderbook")
        _, record = parse(decoder.decode([envelope("okx", [text]) for text in texts]).records)
        assert (record["highest_bid"], record["total_bid_volume"]) == (1000, 280 + Decimal(size))


# Bases of changes


def base(number: int, bid: int) -> str:
    book = {"lastUpdateId": number, "bids": [[str(bid), "1"]], "asks": [["90", "1"]]}
    return json.dumps({"stream": "btcusdt@depth20", "data": book})


def diff(first: int, last: int, bid: int, previous: int | None = None) -> str:
    change = {"e": "depthUpdate", "s": "BTCUSDT", "U": first, "u": last, "b": [[str(bid), "1"]]}
    return json.dumps(change | {"a": []} | ({} if previous is None else {"pu": previous}))


def bids(texts: list[str]) -> list[Any]:
    """The best bid after each message; None where it leaves no record."""
    decoder = Decoder("orderbook")
    batches = [decoder.decode([envelope("binance", [text])]) for text in texts]
    return [next((one["highest_bid"] for one in parse(batch.records)), None) for batch in batches]


def test_a_base_of_futures_fits_by_the_number_before() -> None:
    texts = [base(100, 10), diff(97, 100, 11, 95), diff(105, 110, 12, 100), diff(111, 120, 13, 110)]
    assert bids(texts) == [10, None, 12, 13]


def test_a_base_of_the_past_changes_nothing() -> None:
    texts = [base(90, 10), diff(91, 95, 11), diff(96, 120, 12), base(100, 11), diff(96, 105, 11)]
    assert bids([*texts, diff(121, 121, 14)]) == [10, 11, 12, 11, None, 14]


def test_a_base_that_is_ahead_holds_up_nobody() -> None:
    texts = [base(90, 10), diff(91, 95, 11), base(200, 20), diff(96, 150, 12), diff(151, 210, 13)]
    assert bids(texts) == [10, 11, 20, 12, 20]


def test_numbers_that_begin_anew_below_a_base() -> None:
    changes = [diff(number, number, 11) for number in range(1, 1003)]
    assert bids([base(10**6, 10), *changes])[:2] == [10, None]
    decoder = Decoder("orderbook")
    for text in [base(10**6, 10), *changes]:
        decoder.decode([envelope("binance", [text])])
    [book] = decoder.books()
    assert (book.quality, book.outdated) == ("warming", 1000)


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
