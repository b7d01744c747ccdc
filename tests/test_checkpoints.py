"""Checkpoints: a decoder that is restored goes on as the one would have that was saved."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book_streams import BookStream, envelope, faulty
from continuity import FEEDS
from marketprep import Decoder
from marketprep.settings import load_settings

COUNT = 400
#: More than any offset here.
FAR = 1 << 40


def stream(seed: int) -> list[bytes]:
    """Kafka values of all feeds, interleaved, with losses and duplicates, and whole books."""
    rng = random.Random(seed)  # noqa: S311 - to be reproducible, not secret
    streams = []
    for number, (exchange, feed, made) in enumerate(FEEDS):
        instrument = f"{exchange}-{number}"
        name = f"ob.{instrument}.400" if feed == "spot.obu" else instrument
        name = name.upper() if exchange == "binance" else name
        messages = BookStream(
            exchange, feed, seed + number, instrument=name, snapshot_every=20, **made
        )
        streams.append((exchange, faulty(messages, rng, drop=0.02, duplicate=0.04)))
    values: list[bytes] = []
    while len(values) < COUNT:
        exchange, messages_of = rng.choice(streams)
        sent, kind = next(messages_of)
        if kind != "dropped":
            values.append(envelope(exchange, [sent.text]))
        if rng.random() < 0.1:
            values.append(coinone(rng.randrange(1_790_000_000_000_000, 1_790_000_000_000_100)))
    return values


def coinone(number: int) -> bytes:
    level = {"price": "5", "qty": "1"}
    data = {"target_currency": "BTC", "id": str(number), "asks": [level], "bids": [level]}
    text = json.dumps({"response_type": "DATA", "channel": "ORDERBOOK", "data": data})
    return json.dumps(
        {"region": "korea", "market": "COINONE", "symbol": "BTC", "data": [text]}
    ).encode()


VALUES = {seed: stream(seed) for seed in range(3)}


def decode(decoder: Decoder, values: list[bytes], start: int, end: int) -> list[bytes]:
    """The records of the values from one offset to another."""
    offsets = list(range(start, end))
    times: list[int | None] = [1_790_000_000_000] * len(offsets)
    return decoder.decode(values[start:end], times, offsets).records.splitlines()


@settings(max_examples=60)
@given(data=st.data())
def test_the_next_record_is_what_it_would_have_been(data: st.DataObject) -> None:
    """Rounds at any offsets, the last one cut off anywhere; a kill anywhere after it."""
    values = VALUES[data.draw(st.sampled_from(sorted(VALUES)))]
    never_stopped = decode(Decoder("orderbook"), values, 0, len(values))
    rounds = sorted(data.draw(st.sets(st.integers(0, len(values)), min_size=1, max_size=4)))
    committed = data.draw(st.integers(rounds[-1], len(values)))
    first, saved, mark, written = Decoder("orderbook"), dict[str, bytes](), 0, list[bytes]()
    for number, end in enumerate(rounds):
        written += decode(first, values, mark if number == 0 else rounds[number - 1], end)
        changed = [(name, content) for name, content in first.checkpoints() if content]
        is_cut = number == len(rounds) - 1 and data.draw(st.booleans())
        if is_cut:
            changed = changed[: data.draw(st.integers(0, len(changed)))]
        saved |= dict(changed)
        if not is_cut:
            mark = end
    written += decode(first, values, rounds[-1], committed)

    second = Decoder("orderbook")
    for name, content in saved.items():
        second.restore(name, content, committed)
    decode(second, values, mark, committed)  # read again without output
    written += decode(second, values, committed, len(values))
    assert written == never_stopped

    names = dict(second.checkpoints()).keys() | saved.keys()
    reference = Decoder("orderbook")
    decode(reference, values, 0, len(values))
    assert names == dict(reference.checkpoints()).keys()


def test_what_has_not_changed_is_not_saved_again() -> None:
    decoder, values = Decoder("orderbook"), VALUES[0]
    decode(decoder, values, 0, 200)
    names = [name for name, _ in decoder.checkpoints()]
    assert len(names) > 5
    assert decoder.checkpoints() == []
    decode(decoder, values, 200, 201)
    assert len(decoder.checkpoints()) <= 2


def test_a_base_that_a_restored_book_has_used_is_used() -> None:
    """A book that is newer than its base leaves that base to no other book of the same symbol."""

    def change(instrument: str) -> str:
        return json.dumps(
            {"e": "depthUpdate", "s": instrument, "U": 101, "u": 101, "b": [["11", "1"]], "a": []}
        )

    base = json.dumps({"lastUpdateId": 100, "bids": [["10", "1"]], "asks": [["90", "1"]]})
    values = [envelope("binance", [text]) for text in (base, change("AUSDT"), change("BUSDT"))]
    first, second = Decoder("orderbook"), Decoder("orderbook")
    assert len(decode(first, values, 0, 2)) == 2
    [(name, value)] = [one for one in first.checkpoints() if "kept" in one[0]]
    assert value
    second.restore(name, value, 2)
    decode(second, values, 0, 2)
    assert decode(second, values, 2, 3) == decode(first, values, 2, 3) == []


def content(seed: int = 0) -> list[tuple[str, bytes]]:
    decoder = Decoder("orderbook")
    decode(decoder, VALUES[seed], 0, 200)
    return [(name, content) for name, content in decoder.checkpoints() if content]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("{}", lambda text: text.replace(b'"version":2', b'"version":3'), "a later version"),
        ("{}", lambda text: text[:-3], "damaged"),
        ("{}", lambda text: text.replace(b"5", b"6"), "damaged"),
        ('["okx","kept","books","other"]', lambda text: text, "damaged"),
        ("{}", lambda _: b"", "damaged"),
        ("[1]", lambda text: text, "damaged"),
        ('["mtgox","kept","",""]', lambda text: text, "a later version"),
        ('["okx","other","",""]', lambda text: text, "a later version"),
        ("{}", lambda text: text, "ahead of the committed offset"),
    ],
)
def test_what_cannot_be_used(name: str, change: Any, reason: str) -> None:  # noqa: ANN401
    decoder = Decoder("orderbook")
    before = 0 if "ahead" in reason else FAR
    for known, value in content():
        with pytest.raises(ValueError, match=reason):
            decoder.restore(known if name == "{}" else name, change(value), before)
    assert decoder.books() == []
    assert decode(decoder, VALUES[0], 0, 50) == decode(Decoder("orderbook"), VALUES[0], 0, 50)


def test_a_book_of_another_depth_starts_cold() -> None:
    """Of a book of Kraken no message says how deep it is, so what was cut may be missing now."""
    settings = load_settings()
    rows = {**settings.exchanges}
    rows["kraken"] = rows["kraken"].model_copy(update={"depth": 25})
    decoder = Decoder("orderbook", settings.model_copy(update={"exchanges": rows}))
    for name, value in content():
        if "kraken" in name:
            with pytest.raises(ValueError, match="the depth of its book is another by now"):
                decoder.restore(name, value, FAR)
        else:
            decoder.restore(name, value, FAR)


def test_nothing_is_restored_twice_over() -> None:
    """What a book knows by its checkpoint has no effect on it when it is read again."""
    values = VALUES[1]
    first, second = Decoder("orderbook"), Decoder("orderbook")
    decode(first, values, 0, 300)
    for name, value in first.checkpoints():
        assert value
        second.restore(name, value, FAR)
    before = [(book.instrument, book.levels, book.quality) for book in second.books()]
    assert len(before) >= 8
    decode(second, values, 100, 300)
    assert sorted(before) == sorted(
        (book.instrument, book.levels, book.quality) for book in second.books()
    )
    assert second.checkpoints() == []


def with_max_books(count: int) -> Decoder:
    settings = load_settings()
    books = settings.books.model_copy(update={"max_books": count})
    return Decoder("orderbook", settings.model_copy(update={"books": books}))


def snapshot(instrument: int) -> bytes:
    book = {"s": str(instrument), "b": [["1", "1"]], "a": [["2", "1"]], "u": 1}
    message = {"topic": f"orderbook.50.{instrument}", "type": "snapshot", "ts": FAR, "data": book}
    whole = {"region": "asia", "market": "BYBIT", "symbol": "A", "data": [message]}
    return json.dumps(whole).encode()


def test_dropped_books_are_reported_and_their_checkpoints_removed() -> None:
    decoder = with_max_books(3)
    decode(decoder, [snapshot(number) for number in (1, 2, 3, 1)], 0, 4)
    assert len(decoder.checkpoints()) == 3
    batch = decoder.decode([snapshot(4), snapshot(5), snapshot(6)])
    dropped = [(change.instrument, change.quality, change.reason) for change in batch.changes]
    assert [drop for drop in dropped if drop[1] == "dropped"] == [
        (name, "dropped", "limit") for name in "231"
    ]
    assert batch.counts["bybit"]["odd_dropped"] == 3
    assert {book.instrument for book in decoder.books()} == set("456")
    contents = dict(decoder.checkpoints())
    removed = {json.loads(name)[-1] for name, content in contents.items() if content is None}
    assert removed == set("123")
    assert len(contents) == 6


def test_a_book_that_comes_back_has_a_checkpoint_again() -> None:
    decoder = with_max_books(1)
    decode(decoder, [snapshot(1)], 0, 1)
    [(name, _)] = decoder.checkpoints()
    decode(decoder, [snapshot(2), snapshot(1)], 0, 2)
    changes = [content for other, content in decoder.checkpoints() if other == name]
    assert changes[0] is None  # upon which the newer one follows
    assert changes[1]
    assert len(changes) == 2


def test_a_lower_limit_holds_for_what_is_restored() -> None:
    decoder = with_max_books(10)
    decode(decoder, [snapshot(number) for number in range(10)], 0, 10)
    fewer = with_max_books(4)
    for name, content in reversed(decoder.checkpoints()):
        assert content
        fewer.restore(name, content, FAR)
    assert {book.instrument for book in fewer.books()} == set("6789")
    batch = fewer.decode([])
    assert sorted(change.instrument for change in batch.changes) == list("012345")
    assert sum(content is None for _, content in fewer.checkpoints()) == 6


def test_what_a_restored_book_ignores_counts_as_an_update() -> None:
    """Replayed messages that a book knows already do not make it the one updated longest ago."""
    first = with_max_books(2)
    values = [snapshot(number) for number in (1, 2, 3, 2, 4)]
    decode(first, values[:2], 0, 2)
    first.checkpoints()
    decode(first, [*values[:2], *values[2:4]], 2, 4)
    saved = [(name, content) for name, content in first.checkpoints() if content and "2" in name]
    never_stopped = first
    decode(never_stopped, values, 4, 5)
    restored = with_max_books(2)
    for name, content in saved:
        assert content
        restored.restore(name, content, FAR)
    decode(restored, values, 2, 5)
    kept = [{book.instrument for book in decoder.books()} for decoder in (never_stopped, restored)]
    assert kept[0] == kept[1] == {"2", "4"}


def test_a_drop_counts_for_the_exchange_of_its_book() -> None:
    decoder = with_max_books(1)
    book = {"symbol": "A", "bids": [], "asks": [], "checksum": 0}
    message = {"channel": "book", "type": "snapshot", "data": [book]}
    whole = {"region": "ne", "market": "KRAKEN", "symbol": "A", "data": [message]}
    decoder.decode([snapshot(1)])
    batch = decoder.decode([json.dumps(whole).encode(), snapshot(2)])
    assert [batch.counts[name]["odd_dropped"] for name in ("bybit", "kraken")] == [1, 1]
