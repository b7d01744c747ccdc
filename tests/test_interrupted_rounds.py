"""Rounds of checkpoints that a kill cuts off: the books go on as if there had been no kill.

The log of checkpoints is a list here, so that every cut, every committed offset that deliveries at
least once can leave, and compaction at any time can be tried.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import pytest
import structlog
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from book_streams import BookStream, envelope, faulty
from marketprep import Decoder
from marketprep.assignment import Assignment, assignments
from marketprep.batch import Message
from marketprep.checkpoints import Checkpoints
from marketprep.log_reader import LogReader
from marketprep.partition import Partition, Poll, Surroundings
from marketprep.resources import Resources
from marketprep.settings import load_settings

SETTINGS = load_settings()
BEGIN_MS = 1_790_000_000_000


def lane_of(exchange: str) -> tuple[Assignment, int]:
    """The lane of the order books of an exchange, and its partition there."""
    [lane] = assignments(SETTINGS, kinds=["orderbook"], exchanges=[exchange])
    [partition] = lane.exchanges
    return lane, partition


class Logs:
    """The input of a partition and its checkpoints, as a reader of the broker finds them."""

    def __init__(self, exchange: str, values: Sequence[bytes]) -> None:
        self.lane, self.partition = lane_of(exchange)
        self.values = values
        #: Offset and message; compaction leaves gaps.
        self.saved: list[tuple[int, Message]] = []
        self._end = 0

    def append(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.saved.append((self._end, message))
            self._end += 1

    def compact(self, end: int) -> None:
        """Leaves of every key the newest message before an offset of the log, and all after it."""
        newest = {message.key: offset for offset, message in self.saved if offset < end}
        self.saved = [
            (offset, message)
            for offset, message in self.saved
            if offset >= end or newest[message.key] == offset
        ]

    @property
    def end(self) -> int:
        return self._end

    def saved_messages(self) -> list[Message]:
        return [message for _, message in self.saved]

    @asynccontextmanager
    async def open(self, _: object) -> Any:  # noqa: ANN401 - as LogReader.open
        yield self

    async def bounds(self, place: TopicPartition) -> tuple[int, int]:
        is_input = place.topic == self.lane.topics.input
        return 0, len(self.values) if is_input else self._end

    async def batches(
        self, place: TopicPartition, begin: int, end: int, most: int
    ) -> AsyncGenerator[list[ConsumerRecord], None]:
        if place.topic == self.lane.topics.input:
            found = [_record(place, offset, None, self.values[offset]) for offset in range(end)]
        else:
            found = [
                _record(place, offset, message.key, message.value, message.headers)
                for offset, message in self.saved
            ]
        found = [record for record in found if begin <= record.offset < end]
        for start in range(0, len(found), most):
            yield found[start : start + most]


def _record(
    place: TopicPartition,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> ConsumerRecord:
    return ConsumerRecord(*place, offset, BEGIN_MS, 0, key, value, None, -1, -1, tuple(headers))


async def replay(decoder: Decoder, records: Sequence[ConsumerRecord]) -> None:
    values = [record.value or b"" for record in records]
    decoder.decode(values, [BEGIN_MS] * len(values), [record.offset for record in records])


class After(NamedTuple):
    """What a decoder has made of messages, and what its books are then."""

    records: list[bytes]
    qualities: list[tuple[str, str]]


def decode(decoder: Decoder, values: Sequence[bytes], start: int, end: int) -> After:
    offsets = list(range(start, end))
    batch = decoder.decode(values[start:end], [BEGIN_MS] * len(offsets), offsets)
    return After(batch.records.splitlines(), qualities(decoder))


def qualities(decoder: Decoder) -> list[tuple[str, str]]:
    return sorted((book.instrument, book.quality) for book in decoder.books())


# The messages


def levels(rng: random.Random, lowest: int) -> list[list[str]]:
    return [[str(lowest + rng.randrange(40)), str(rng.randrange(1, 9))]]


def numbered(exchange: str, rng: random.Random, *, are_bases_shared: bool) -> list[bytes]:
    """Bases and changes of two instruments with small numbers, which collide often.

    Changes are lost and come twice, and numbers begin anew. Bases that are shared do not say of
    which instrument they are, as with Binance's REST interface: the symbol tells.
    """
    last, told = [10, 10], [10, 10]
    restarts, repeats, losses = rng.choice([0, 0.1]), rng.choice([0, 0.2]), rng.choice([0, 0.05])
    values: list[bytes] = []
    for step in range(120):
        which = rng.randrange(2)
        name, time = "AB"[which] + "USDT", BEGIN_MS + 5 * step
        if rng.random() < restarts:
            last[which] = told[which] = rng.randrange(1, last[which] + 2)
        if is_base := rng.random() < 0.2:
            number = last[which] + rng.choice([-1, 0, 0, 0, 1])
            content: dict[str, Any] = {"lastUpdateId": number}
            content |= {"bids": levels(rng, 1), "asks": levels(rng, 50)}
        else:
            first = told[which] + 1
            told[which] = last[which] = max(last[which], told[which]) + rng.randrange(1, 4)
            content = {"e": "depthUpdate", "E": time, "s": name, "U": first, "u": told[which]}
            content |= {"b": levels(rng, 1), "a": levels(rng, 50)}
        if exchange == "gateio":
            channel = "spot.order_book" if is_base else "spot.order_book_update"
            result = {"t": time, "s": name} | content
            content = {"time_ms": time, "channel": channel, "event": "update", "result": result}
        elif is_base and not are_bases_shared:
            content = {"stream": f"{name.lower()}@depth20", "data": content}
        if rng.random() >= losses:
            values.append(envelope(exchange, [json.dumps(content)]))
        if values and rng.random() < repeats:
            values.append(rng.choice(values[-6:]))
    return values


def streamed(exchange: str, feeds: Sequence[str], rng: random.Random) -> list[bytes]:
    """Two books of each feed, with losses and repetitions."""
    streams = []
    for feed in feeds:
        for number in range(2):
            name = f"ob.{feed}{number}.400" if feed == "spot.obu" else f"{feed}{number}".upper()
            made = {"has_snapshots": exchange != "kraken", "snapshot_every": 8}
            seed = rng.randrange(1 << 30)
            stream = BookStream(exchange, feed, seed, depth=5, instrument=name, **made)  # type: ignore[arg-type]
            drop, duplicate = rng.choice([(0.0, 0.0), (0.02, 0.04)])
            streams.append(faulty(stream, rng, drop=drop, duplicate=duplicate))
    values = []
    for _ in range(150):
        sent, kind = next(rng.choice(streams))
        if kind != "dropped":
            values.append(envelope(exchange, [sent.text]))
    return values


STREAMS: dict[str, Sequence[str]] = {
    "okx": ["books"],
    "bybit": ["orderbook.50"],
    "gateio": ["spot.order_book_update", "spot.obu"],
    "binance": ["@depth", "futures"],
    "kraken": ["book"],
}


# The service


def live(logs: Logs, rng: random.Random, *, compacts: bool) -> None:
    """Runs until the input is read, with kills; checks what each start makes of the checkpoints."""
    values, committed = logs.values, 0
    reference = Decoder("orderbook")
    decode(reference, values, 0, 0)
    known = 0  # up to where the reference is
    is_first = True
    while known < len(values):
        saving = Checkpoints(logs.lane, SETTINGS, logs.partition)
        before = None if is_first else committed
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LogReader, "open", logs.open)
            decoder = asyncio.run(saving.restore(before, replay))
        logs.append(saving.beginning(committed))
        is_first = False
        decode(reference, values, known, committed)
        known = committed
        assert qualities(decoder) == qualities(reference)
        is_killed = False
        while not is_killed and committed < len(values):
            # a commit may be of several rounds, which are sent behind it
            rounds: list[Message] = []
            for _ in range(rng.randrange(1, 3)):
                end = min(len(values), committed + rng.randrange(1, 25))
                ours = decode(decoder, values, committed, end)
                assert ours == decode(reference, values, known, end)
                committed = known = end
                rounds += saving.round(end, decoder) if rng.random() < 0.7 else []
            is_killed = rng.random() < 0.4
            logs.append(rounds[: rng.randrange(len(rounds) + 1)] if is_killed else rounds)
            if compacts and rng.random() < 0.3:
                logs.compact(rng.randrange(logs.end + 1))
        if is_killed and committed < len(values):  # read, delivered, and committed without a round
            committed = min(len(values), committed + rng.randrange(10))


seeds = st.integers(0, 2**32).map(random.Random)


@example_settings(max_examples=50)
@given(rng=seeds)
@pytest.mark.parametrize("exchange", sorted(STREAMS))
def test_books_go_on_after_any_kill(exchange: str, rng: random.Random) -> None:
    live(Logs(exchange, streamed(exchange, STREAMS[exchange], rng)), rng, compacts=True)


@example_settings(max_examples=300)
@given(rng=seeds)
@pytest.mark.parametrize("exchange", ["binance", "gateio"])
def test_bases_are_used_once(exchange: str, rng: random.Random) -> None:
    """Those too that several books could build on."""
    values = numbered(exchange, rng, are_bases_shared=rng.random() < 0.5)
    live(Logs(exchange, values), rng, compacts=False)


@example_settings(max_examples=300)
@given(rng=seeds)
@pytest.mark.parametrize("exchange", ["binance", "gateio"])
def test_compaction_at_any_time_costs_nothing(exchange: str, rng: random.Random) -> None:
    """It may remove what a round without an end replaces; then that round has to do."""
    values = numbered(exchange, rng, are_bases_shared=False)
    live(Logs(exchange, values), rng, compacts=True)


# The ends of rounds


def messages_of(saved: Sequence[Message]) -> list[tuple[str | None, bytes | None]]:
    """Names and contents."""
    return [(json.loads(message.key or b"")[1], message.value) for message in saved]


def restored(logs: Logs, committed: int | None) -> tuple[Checkpoints, Decoder]:
    saving = Checkpoints(logs.lane, SETTINGS, logs.partition)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogReader, "open", logs.open)
        return saving, asyncio.run(saving.restore(committed, replay))


def one_round(logs: Logs, end: int) -> list[Message]:
    """All messages of the round of a service that has read the input up to an offset."""
    saving, decoder = restored(logs, None)
    decode(decoder, logs.values, 0, end)
    return saving.round(end, decoder)


def okx() -> Logs:
    return Logs("okx", streamed("okx", STREAMS["okx"], random.Random(1)))  # noqa: S311 - reproducible


def test_a_round_without_an_end_is_replaced_by_the_next() -> None:
    logs = okx()
    logs.append(one_round(logs, 50))
    [*books, _] = one_round(logs, 80)
    logs.append(books)
    saving, _ = restored(logs, 80)
    # nothing is read, so nothing has changed but what the log has
    again = saving.round(80, Decoder("orderbook"))
    assert dict(messages_of(again)[:-1]) == dict(messages_of(logs.saved_messages()[:2]))
    logs.append(again)
    _, decoder = restored(logs, 80)
    assert len(decoder.books()) == 2


def test_a_book_that_only_a_round_without_an_end_has_is_removed() -> None:
    logs = okx()
    logs.append(one_round(logs, 0))
    logs.append(one_round(logs, 50)[:1])
    saving, _ = restored(logs, 50)
    [(name, content), (no_name, _)] = messages_of(saving.round(50, Decoder("orderbook")))
    assert (name is not None, content, no_name) == (True, None, None)


def test_what_compaction_has_removed_is_taken_from_the_round_without_an_end() -> None:
    logs = okx()
    logs.append(one_round(logs, 50))
    logs.append(one_round(logs, 80)[:1])
    logs.compact(logs.end)
    _, decoder = restored(logs, 80)
    reference = Decoder("orderbook")
    decode(reference, logs.values, 0, 80)
    assert qualities(decoder) == qualities(reference)


def test_books_that_start_cold_are_removed() -> None:
    """Their offsets may mean other messages, if the topic was made anew."""
    logs = okx()
    logs.append(one_round(logs, 50))
    for committed in (None, 20):
        saving, decoder = restored(logs, committed)
        assert decoder.books() == []
        beginning = saving.beginning(20)
        [*removed, (no_name, _)] = messages_of(beginning)
        assert {content for _, content in removed} == {None}
        assert (len(removed), no_name) == (2, None)
        assert saving.beginning(20) == []
    logs.append(beginning)
    _, decoder = restored(logs, 20)
    assert decoder.books() == []


def test_checkpoints_of_an_earlier_version() -> None:
    """Their messages have no headers: each counts at once."""
    logs = okx()
    old = [replace(message, headers=()) for message in one_round(logs, 50)]
    logs.append([*old, replace(one_round(logs, 80)[0], headers=())])
    saving, decoder = restored(logs, 80)
    assert len(decoder.books()) == 2
    reference = Decoder("orderbook")
    decode(reference, logs.values, 0, 80)
    assert qualities(decoder) == qualities(reference)
    assert saving.beginning(80) == []


class Delivered:
    """A delivery at least once that notes what it is given, in its order."""

    is_transactional = False

    def __init__(self) -> None:
        self.steps: list[object] = []

    async def begin(self) -> None:
        pass

    async def start(self) -> None:
        pass

    async def settle(self) -> None:
        pass

    async def send(self, messages: Sequence[Message]) -> None:
        self.steps += [message.value for message in messages]

    async def send_finished(self, *_: object) -> None:
        pass

    async def commit(self, next_offset: int, checkpoints: Sequence[Message] = ()) -> None:
        self.steps.append(next_offset)
        await self.send(checkpoints)


def partition_of(monkeypatch: pytest.MonkeyPatch) -> tuple[Delivered, Partition, Resources]:
    """A partition of OKX whose deliveries are noted."""
    delivered = Delivered()
    monkeypatch.setattr("marketprep.partition._delivery", lambda *_: delivered)
    resources = Resources.of(256, 1)
    lane, number = lane_of("okx")
    around = Surroundings(
        lane,
        SETTINGS,
        resources,
        committed=lambda *_: None,
        changed=asyncio.Event(),
        until_end=False,
        log=structlog.get_logger(),
    )
    return delivered, Partition(number, MagicMock(), around), resources


def test_a_cold_beginning_is_saved_before_what_is_read_from_there_is_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a kill between would restore books of before, whose offsets mean other messages."""

    async def steps() -> list[object]:
        delivered, partition, resources = partition_of(monkeypatch)
        values = (None, b"1", b"2", b"3")
        removed, before, cold, later = (Message("", 0, None, value, None) for value in values)
        queue = partition._queue  # noqa: SLF001 - what the reader fills
        await queue.put(Poll(70, checkpoints=[removed, before]))
        await queue.put(Poll(20, beginning=[cold]))
        await queue.put(Poll(30, checkpoints=[later]))
        await queue.close()
        await partition.write()
        resources.close()
        return delivered.steps

    # a checkpoint that was to be removed is removed all the same
    assert asyncio.run(steps()) == [None, b"2", 30, b"3"]


def test_a_first_start_is_committed_before_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a kill between would leave a mark without an offset, as if an offset had expired."""

    async def steps(saved: int | None) -> list[object]:
        delivered, partition, resources = partition_of(monkeypatch)

        async def returns(value: object, *_: object) -> object:
            return value

        for name, value in (("committed", None), ("first", 5), ("after_expiry", 5)):
            monkeypatch.setattr(f"marketprep.offsets.{name}", partial(returns, value))
        checkpoints = partition._checkpoints  # noqa: SLF001 - what it is made of
        monkeypatch.setattr(checkpoints, "saved_offset", partial(returns, saved))
        monkeypatch.setattr(checkpoints, "restore", partial(returns, Decoder("orderbook")))
        await partition.open()
        resources.close()
        return [type(step) for step in delivered.steps]

    assert asyncio.run(steps(None)) == [int, bytes]
    assert asyncio.run(steps(4)) == [bytes, int]


def test_a_book_that_a_repaired_round_removes_is_not_counted() -> None:
    logs = okx()
    logs.append(one_round(logs, 50))
    [first, second, _] = one_round(logs, 80)
    logs.append([first, replace(second, value=None)])
    logs.compact(logs.end)
    saving, _ = restored(logs, 80)
    [*_, mark] = saving.round(81, Decoder("orderbook"))
    assert dict(mark.headers)["books"] == b"1"
