"""Batching: nothing is lost between the core and the messages, whatever the batches are."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import split_array
from conftest import FIXTURES, lines_of
from marketprep import Batch, Decoder
from marketprep.batch import BatchProcessor, MemoryWatch, Message, TimeStacker, output_key
from marketprep.byte_queue import ByteQueue

ENVELOPES = {name: lines_of(FIXTURES / name / "ticker.jsonl")[0] for name in ("upbit", "bithumb")}
RECORDS = {
    name: lines_of(FIXTURES / name / "ticker.expected.jsonl")[0] for name in ("upbit", "bithumb")
}


def batch_of(exchanges: list[str]) -> Batch:
    """A batch with a record of each of these exchanges, one envelope each."""
    return Decoder("ticker").decode([ENVELOPES[name] for name in exchanges])


polls = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(
            st.tuples(st.sampled_from(sorted(ENVELOPES)), st.none() | st.integers(1, 1000)),
            max_size=9,
        ),
    ),
    max_size=8,
)


@given(polls, st.integers(1, 5), st.sets(st.integers(0, 7)))
def test_every_record_leaves_once_and_in_order(
    taken: list[tuple[int, list[tuple[str, int | None]]]], size: int, flushed: set[int]
) -> None:
    batcher = BatchProcessor("out", "ticker", "array", size)
    sent: list[Message] = []
    for place, (partition, envelopes) in enumerate(taken):
        batch = batch_of([name for name, _ in envelopes])
        sent += batcher.add(partition, batch, [time for _, time in envelopes])
        if place in flushed:
            sent += batcher.flush()
            assert list(batcher.flush()) == []
    full = len(sent)
    sent += batcher.flush()
    for partition in range(3):
        mine = [message for message in sent if message.partition == partition]
        names = [name for of, envelopes in taken if of == partition for name, _ in envelopes]
        records = [(message.key, split_array(message.value or b"")) for message in mine]
        flat = [(key, record) for key, array in records for record in array]
        assert flat == [(output_key(name, "ticker"), RECORDS[name]) for name in names]
        assert all(1 <= len(array) <= size for _, array in records)
    if not flushed and size == 1:
        assert full == len(sent), "what is full does not wait"


@given(st.lists(st.none() | st.integers(1, 1000), min_size=1, max_size=9))
def test_a_value_has_the_time_of_its_newest_record(times: list[int | None]) -> None:
    batcher = BatchProcessor("out", "ticker", "array", 100)
    assert list(batcher.add(0, batch_of(["upbit"] * len(times)), times)) == []
    [message] = batcher.flush()
    assert message.timestamp == max((time for time in times if time is not None), default=None)


def test_a_line_break_within_a_symbol_parts_nothing() -> None:
    envelope = json.loads(ENVELOPES["upbit"])
    for symbol in ("a\\nb", "a\nb", "a\rb", "a\u2028b"):
        value = json.dumps(envelope | {"symbol": "@"}).replace("@", symbol).encode()
        batch = Decoder("ticker").decode([value, ENVELOPES["upbit"]])
        messages = list(BatchProcessor("out", "ticker", "record", 1).add(0, batch, [1, 2]))
        assert len(messages) == sum(count for _, _, count in batch.runs)
        for message in messages:
            json.loads(message.value or b"")
        assert messages[-1].value == RECORDS["upbit"]


def test_keys_are_those_of_the_contract() -> None:
    assert output_key("upbit", "ticker") == b'"UpbitTicker"'
    assert output_key("gateio", "orderbook") == b'"GateioOrderbook"'


def test_time_runs_from_the_start() -> None:
    now = 100.0
    stacker = TimeStacker(50, lambda: now)
    stacker.start()
    assert stacker.remaining() == pytest.approx(0.05)
    now = 100.04
    assert stacker.remaining() == pytest.approx(0.01)
    now = 101.0
    assert stacker.remaining() == 0


def test_memory_is_measured() -> None:
    assert MemoryWatch(1).is_over()
    assert not MemoryWatch(1 << 20).is_over()
    assert MemoryWatch(512).share(4) == 32 << 20


def test_a_queue_says_when_it_is_full() -> None:
    async def main() -> None:
        queue = ByteQueue[int](100)
        sizes, held = [30, 30, 40, 1000, 1], []
        for number, size in enumerate(sizes):
            assert queue.is_full == (sum(sizes[:number]) >= 100)
            await queue.put(number, size)
            held.append(queue.held_bytes)
        assert held == [30, 60, 100, 1100, 1101]
        await queue.close()
        taken = [number async for number in everything(queue)]
        assert taken == [0, 1, 2, 3, 4]
        assert not queue.is_full
        assert queue.held_bytes == 0

    async def everything(queue: ByteQueue[int]) -> AsyncIterator[int]:
        while (number := await queue.get()) is not None:
            yield number

    asyncio.run(main())


def test_a_queue_gives_what_is_there_even_if_there_is_no_time_left() -> None:
    async def main() -> None:
        queue = ByteQueue[str](10)
        assert await queue.get(0) is None
        assert await queue.get(0.01) is None
        await queue.put("a", 1)
        assert await queue.get(0) == "a"
        await queue.put("b", 1)
        drained = asyncio.create_task(queue.drained())
        await asyncio.sleep(0.01)
        assert not drained.done()
        assert await queue.get(0) == "b"
        await drained

    asyncio.run(main())
