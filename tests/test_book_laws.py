"""Laws of maintained books: what their history must not change, and what their size must not."""

import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketprep import Batch, Decoder, parse
from marketprep._core import Change
from marketprep.settings import load_settings

TIME = 1_793_577_600_000


def envelope(exchange: str, item: object) -> bytes:
    whole = {"region": "asia", "market": exchange, "symbol": "A", "data": [item]}
    return json.dumps(whole).encode()


def bybit(kind: str, number: int, bids: list[Any], asks: list[Any]) -> bytes:
    book = {"s": "A", "b": bids, "a": asks, "u": number}
    message = {"topic": "orderbook.200.A", "type": kind, "ts": TIME + number, "data": book}
    return envelope("BYBIT", message)


def with_row(exchange: str, **changed: int) -> Decoder:
    """A decoder with settings of an exchange that are not the usual ones."""
    settings = load_settings()
    rows = {**settings.exchanges}
    rows[exchange] = rows[exchange].model_copy(update=changed)
    return Decoder("orderbook", settings.model_copy(update={"exchanges": rows}))


def qualities(decoder: Decoder, values: list[bytes]) -> list[Batch]:
    return [decoder.decode([value], [TIME]) for value in values]


_level = st.tuples(st.integers(1, 9).map(str), st.integers(0, 2).map(str)).map(list)
_side = st.lists(_level, max_size=4)
_messages = st.lists(
    st.tuples(st.sampled_from(("snapshot", "delta", "delta", "gap")), _side, _side), max_size=40
)


@given(history=_messages, bids=_side, asks=_side)
def test_a_base_makes_an_experienced_book_a_fresh_one(
    history: list[tuple[str, list[Any], list[Any]]], bids: list[Any], asks: list[Any]
) -> None:
    """Whatever came before, crossed or not: after a base a book is as a new one."""
    experienced, number = Decoder("orderbook"), 10
    for kind, old_bids, old_asks in history:
        number += 5 if kind == "gap" else 1
        kind = "delta" if kind == "gap" else kind  # noqa: PLW2901 - the wire has two words
        experienced.decode([bybit(kind, number, old_bids, old_asks)], [TIME])
    base = bybit("snapshot", number + 1, bids, asks)
    # as many crossed messages as are borne, and one more
    after = [bybit("delta", number + 1 + step, [["5", "1"]], [["4", "1"]]) for step in range(1, 13)]
    fresh = Decoder("orderbook")
    for value in (base, *after):
        one, other = (decoder.decode([value], [TIME]) for decoder in (experienced, fresh))
        assert one.records == other.records
        assert experienced.books()[0].quality == fresh.books()[0].quality


@given(history=_messages)
def test_changes_are_changes(history: list[tuple[str, list[Any], list[Any]]]) -> None:
    """Each reported change leads from another quality to the one that the book has then."""
    decoder, number, quality = Decoder("orderbook"), 10, "warming"
    for kind, bids, asks in history:
        number += 5 if kind == "gap" else 1
        word = "delta" if kind == "gap" else kind
        batch = decoder.decode([bybit(word, number, bids, asks)], [TIME])
        changes: list[Change] = batch.changes
        now = decoder.books()[0].quality
        assert [change.quality for change in changes] == ([now] if now != quality else [])
        quality = now


def test_changes_without_grace() -> None:
    """A crossed base on a suspect book is suspect at once where no crossed message is borne."""
    decoder = with_row("bybit", crossed_grace=0)
    crossed = ([["5", "1"]], [["4", "1"]])
    batches = qualities(decoder, [bybit("snapshot", number, *crossed) for number in (1, 2)])
    assert [[change.quality for change in batch.changes] for batch in batches] == [["suspect"], []]


def test_a_deep_book_is_exact_everywhere() -> None:
    """Changes anywhere in a book of many thousand levels, wide numbers among them, beside a map."""
    rng = random.Random(5)  # noqa: S311 - to be reproducible, not secret
    bids = {str(price): "1" for price in range(1, 30_001)}

    def message(action: str, number: int, levels: dict[str, str]) -> bytes:
        payload = {
            "asks": [["40000", "1"]],
            "bids": list(levels.items()),
            "ts": str(TIME + number),
            "seqId": number,
            "prevSeqId": number - 1,
        }
        argument = {"channel": "books-full", "instId": "A"}
        return envelope("OKX", {"arg": argument, "action": action, "data": [payload]})

    decoder = with_row("okx", depth=100_000)
    decoder.decode([message("snapshot", 1, bids)], [TIME])
    for number in range(2, 400):
        changes: dict[str, str] = {}
        for _ in range(rng.choice((0, 1, 3, 3, 70, 3_000))):
            price = str(rng.randint(1, 33_000))
            if rng.random() < 0.02:
                price += ".1234567890123456789012345"
            changes[price] = rng.choice(("0", "0", "1", "2"))
        bids.update(changes)
        bids = {price: size for price, size in bids.items() if size != "0"}
        [record] = parse(decoder.decode([message("update", number, changes)], [TIME]).records)
        assert record["total_bid_volume"] == sum(map(int, bids.values()))
        assert decoder.books()[0].levels == (len(bids), 1)


def kraken(kind: str, bids: list[tuple[str, str]], checksum: int) -> bytes:
    levels = ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in bids)
    book = f'{{"symbol":"A","bids":[{levels}],"asks":[],"checksum":{checksum}}}'
    item = f'{{"channel":"book","type":"{kind}","data":[{book}]}}'
    return f'{{"market":"KRAKEN","symbol":"A","data":[{item}]}}'.encode()


def checksum_of(book: dict[str, str]) -> int:
    """Kraken's rule, of bids whose prices have one decimal and whose sizes have eight."""
    best = sorted(book.items(), key=lambda level: -float(level[0]))[:10]
    digits = (
        f"{float(price):.1f}".replace(".", "").lstrip("0")
        + f"{float(size):.8f}".replace(".", "").lstrip("0")
        for price, size in best
    )
    return zlib.crc32("".join(digits).encode())


@pytest.mark.parametrize(
    "wrong",
    [
        ("99.00000000", "1.000000000000"),
        ("0.5000", "0.0000000000000"),
        ("0e-65536", "0"),
        ("98." + "0" * 70_000, "1"),
        ("97.0", "1e-30"),
    ],
)
def test_a_wrong_guess_of_precision_heals(wrong: tuple[str, str]) -> None:
    """What one level was written with does not keep Kraken's checksums from matching for long."""
    rng = random.Random(6)  # noqa: S311 - to be reproducible, not secret
    decoder, book = Decoder("orderbook"), dict[str, str]()
    decoder.decode([kraken("update", [wrong], 1)], [TIME])
    decoder.decode([kraken("update", [(wrong[0], "0")], 1)], [TIME])
    for _ in range(80):
        # numbers as a program writes that has read floats: without zeros at the end
        level = str(rng.randint(500, 900) / 10), str(rng.randint(10**7, 10**9) / 10**8)
        book[level[0]] = level[1]
        for price in sorted(book, key=lambda price: -float(price))[10:]:
            del book[price]
        batch = decoder.decode([kraken("update", [level], checksum_of(book))], [TIME])
    assert decoder.books()[0].quality == "valid"
    assert batch.records


def test_a_base_of_another_form_makes_a_crossed_book_a_fresh_one() -> None:
    def full(number: int) -> bytes:
        item = {"lastUpdateId": number, "s": "A", "bids": [["5", "1"]], "asks": [["6", "1"]]}
        return envelope("BINANCE", item)

    def change(number: int, bid: str) -> bytes:
        item = {"e": "depthUpdate", "s": "A", "U": number, "u": number, "b": [[bid, "1"]], "a": []}
        return envelope("BINANCE", item)

    decoder = with_row("binance", crossed_grace=3)
    qualities(decoder, [full(1), change(2, "7"), change(3, "8"), change(4, "8"), full(5)])
    decoder.decode([change(6, "7")], [TIME])
    assert decoder.books()[0].quality == "valid"


def test_an_empty_book_proves_no_precision() -> None:
    decoder = Decoder("orderbook")
    decoder.decode([kraken("snapshot", [], 0)], [TIME])
    batch = decoder.decode([kraken("update", [("6", "0.5")], zlib.crc32(b"6050000000"))], [TIME])
    assert decoder.books()[0].quality == "valid"
    assert batch.counts["kraken"]["odd_gap"] == 0


@pytest.mark.parametrize("decimals", [18, 20, 30])
def test_long_sizes_have_the_same_checksum_in_any_values(decimals: int) -> None:
    """A level that needs more than 128 bits comes and goes; zeros at the end count all the time."""
    rng = random.Random(7)  # noqa: S311 - to be reproducible, not secret
    decoder, book = Decoder("orderbook"), dict[str, str]()
    for number in range(60):
        digits = str(rng.randint(10 ** (decimals - 1), 10**decimals - 1))
        size = f"1.{digits}" if number % 9 == 0 else f"1.{digits[:3]}{'0' * (decimals - 3)}"
        if number % 9 == 5:
            size = "0"
        price = f"{rng.randint(50, 53)}.0"
        book.pop(price, None)
        if size != "0":
            book[price] = size
        best = sorted(book.items(), key=lambda level: -float(level[0]))
        text = "".join(f"{price}{size}".replace(".", "") for price, size in best)
        kind = "snapshot" if number == 0 else "update"
        decoder.decode([kraken(kind, [(price, size)], zlib.crc32(text.encode()))], [TIME])
        assert decoder.books()[0].quality == "valid"
    assert decoder.books()[0].checksums_matched > 50
