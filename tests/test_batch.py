"""Batching: nothing is lost between the core and the messages, whatever the batches are."""

import json
import time
from typing import Literal

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from cluster import split_array
from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from marketprep import Batch, Decoder, Kind
from marketprep.batch import BatchProcessor, Message, TimeStacker

ENVELOPES = {name: lines_of(FIXTURES / name / "ticker.jsonl")[0] for name in ("upbit", "bithumb")}
RECORDS = {
    name: lines_of(FIXTURES / name / "ticker.expected.jsonl")[0] for name in ("upbit", "bithumb")
}


def batch_of(envelopes: list[tuple[str, int | None]]) -> Batch:
    """A batch with a record of each of these exchanges, one envelope with a time each."""
    values = [ENVELOPES[name] for name, _ in envelopes]
    return Decoder("ticker").decode(values, [time for _, time in envelopes])


def batcher(size: int, framing: Literal["array", "record"] = "array") -> BatchProcessor:
    return BatchProcessor("out", 1, "ticker", framing, size)


polls = st.lists(
    st.lists(
        st.tuples(st.sampled_from(sorted(ENVELOPES)), st.none() | st.integers(1, 1000)),
        max_size=9,
    ),
    max_size=8,
)


@given(polls, st.integers(1, 5), st.sets(st.integers(0, 7)))
def test_every_record_leaves_once_and_in_order(
    taken: list[list[tuple[str, int | None]]], size: int, flushed: set[int]
) -> None:
    batches = batcher(size)
    sent: list[Message] = []
    for place, envelopes in enumerate(taken):
        sent += batches.messages(batch_of(envelopes))
        if place in flushed:
            sent += batches.messages()
            assert list(batches.messages()) == []
    full = len(sent)
    sent += batches.messages()
    names = [name for envelopes in taken for name, _ in envelopes]
    records = [(message.key, split_array(message.value or b"")) for message in sent]
    flat = [(key, record) for key, array in records for record in array]
    keys = {"upbit": b'"UpbitTicker"', "bithumb": b'"BithumbTicker"'}
    assert flat == [(keys[name], RECORDS[name]) for name in names]
    assert all(1 <= len(array) <= size for _, array in records)
    if not flushed and size == 1:
        assert full == len(sent), "what is full does not wait"


@given(polls, st.integers(1, 5), st.sampled_from(["none", "lz4", "zstd"]), st.booleans())
def test_record_batches_have_the_same_values(
    taken: list[list[tuple[str, int | None]]],
    size: int,
    compression: str,
    is_transactional: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    """As aiokafka reads them."""
    apart, together = batcher(size), batcher(size)
    expected: list[Message] = []
    found: list[tuple[int, bytes | None, bytes | None]] = []
    before = int(time.time() * 1000)
    for envelopes in [*taken, None]:
        expected += apart.messages(None if envelopes is None else batch_of(envelopes))
        batch = None if envelopes is None else batch_of(envelopes)
        for finished in together.finished(batch, compression, is_transactional=is_transactional):
            read = MemoryRecords(finished.by(7, 3, len(found))).next_batch()
            assert read.validate_crc()
            assert (read.producer_id, read.producer_epoch) == (7, 3)
            assert read.base_sequence == len(found)
            assert read.is_transactional == is_transactional
            records = list(read)
            assert len(records) == finished.count == read.last_offset_delta + 1
            assert read.max_timestamp == max(record.timestamp for record in records)
            found += [(record.timestamp, record.key, record.value) for record in records]
    assert [found[1:] for found in found] == [(one.key, one.value) for one in expected]
    for (timestamp, _, _), message in zip(found, expected, strict=True):
        assert timestamp == message.timestamp or (message.timestamp is None and timestamp >= before)


def test_a_time_to_come_is_the_present() -> None:
    batch = batch_of([("upbit", 1 << 50)])
    [finished] = batcher(1).finished(batch, "none", is_transactional=False)
    [record] = MemoryRecords(finished.by(1, 1, 1)).next_batch()
    assert record.timestamp <= time.time() * 1000


@given(st.lists(st.none() | st.integers(1, 1000), min_size=1, max_size=9))
def test_a_value_has_the_time_of_its_newest_record(times: list[int | None]) -> None:
    batches = batcher(100)
    assert list(batches.messages(batch_of([("upbit", time) for time in times]))) == []
    [message] = batches.messages()
    assert message.timestamp == max((time for time in times if time is not None), default=None)


def test_a_line_break_within_a_symbol_parts_nothing() -> None:
    envelope = json.loads(ENVELOPES["upbit"])
    for symbol in ("a\\nb", "a\nb", "a\rb", "a\u2028b"):
        value = json.dumps(envelope | {"symbol": "@"}).replace("@", symbol).encode()
        batch = Decoder("ticker").decode([value, ENVELOPES["upbit"]])
        messages = list(batcher(1, "record").messages(batch))
        assert len(messages) == sum(count for _, _, count in batch.runs)
        for message in messages:
            json.loads(message.value or b"")
        assert messages[-1].value == RECORDS["upbit"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_keys_are_those_of_the_contract(exchange: str, kind: Kind) -> None:
    lines = [line for line in lines_of(FIXTURES / exchange / f"{kind}.jsonl") if line.strip()]
    batches = BatchProcessor("out", 1, kind, "array", 20)
    batch = Decoder(kind).decode(lines)
    keys = {message.key for message in (*batches.messages(batch), *batches.messages())}
    assert keys == {f'"{exchange.capitalize()}{kind.capitalize()}"'.encode()}


def test_time_runs_from_the_start() -> None:
    now = 100.0
    stacker = TimeStacker(50, lambda: now)
    stacker.start()
    assert stacker.remaining() == pytest.approx(0.05)
    now = 100.04
    assert stacker.remaining() == pytest.approx(0.01)
    now = 101.0
    assert stacker.remaining() == 0


def test_a_framer_takes_the_records() -> None:
    """Else they were held until they are committed, beside what became of them."""
    batch = batch_of([("upbit", 1), ("upbit", 2)])
    held, last = batch.held, batch.last
    assert held >= len(batch.records) > 0
    values = list(batcher(2).messages(batch))
    assert [len(split_array(message.value or b"")) for message in values] == [2]
    assert (batch.records, batch.held) == (b"", held - 2 * (len(RECORDS["upbit"]) + 1))
    assert last == batch.last == ("upbit", RECORDS["upbit"])
    assert batch.counts["upbit"]["records"] == 2
