"""A lane from within: what its clients tell nobody, what holds up what, and what is left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from cluster import Cluster
from conftest import without_unknown_times
from marketprep import lane as lane_module
from marketprep import offsets
from marketprep.assignment import assignments
from marketprep.batch import MemoryWatch
from marketprep.delivery import ExactlyOnce
from marketprep.kafka import connection
from marketprep.lane import Lane
from marketprep.outbox import close
from test_service import UPBIT, UPBIT_RECORDS, market


@asynccontextmanager
async def running(cluster: Cluster, region: str = "Korea") -> AsyncIterator[Lane]:
    """A lane of tickers in this process, until the end of the context."""
    [work] = assignments(cluster.settings, [region], ["ticker"])  # type: ignore[list-item]
    memory = MemoryWatch(4096)
    lane = Lane(work, cluster.settings, memory, 4 << 20)
    task = asyncio.create_task(lane.run())
    try:
        await until(lambda: lane.is_ready)
        yield lane
    finally:
        lane.stop()
        await task


async def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.05)


def items(lane: Lane) -> int:
    return lane.metrics.totals.records


@pytest.mark.parametrize("assignment", ["manual", "group"])
def test_a_consumer_that_has_stopped_fetching_is_noticed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, assignment: str
) -> None:
    cluster.configure(assignment=assignment)
    cluster.create_topics()
    consumers: list[Any] = []
    new = lane_module._new_consumer  # noqa: SLF001 - whose consumers are to be hurt

    def noted(*arguments: Any) -> Any:  # noqa: ANN401
        consumers.append(new(*arguments))
        return consumers[-1]

    monkeypatch.setattr(lane_module, "_new_consumer", noted)

    async def run() -> None:
        async with running(cluster) as lane:
            consumers[0]._fetcher._fetch_task.cancel()  # noqa: SLF001
            topics, partition = cluster.of("upbit", "ticker")
            await asyncio.to_thread(cluster.produce, topics.input, partition, UPBIT)
            await until(lambda: items(lane) == len(UPBIT_RECORDS))

    asyncio.run(run())
    assert len(consumers) == 2
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS


def test_what_a_poll_hands_over_after_its_partitions_have_begun_anew(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group took them away and gave them back meanwhile: they are not what was asked for."""
    cluster.configure(assignment="group")
    cluster.create_topics()
    monkeypatch.setattr(lane_module, "_POLL_MS", 3000)
    fed = {name: market(name, "ticker", 20_000) for name in ("upbit", "bithumb", "coinone")}
    expected = sum(len(truth) for _, truth in fed.values())

    def open_partitions(lane: Lane) -> int:
        return len(lane._partitions.open) if lane._partitions else 0  # noqa: SLF001 - nobody tells

    async def feed() -> None:
        for name, (envelopes, _) in fed.items():
            topics, partition = cluster.of(name, "ticker")
            await asyncio.to_thread(cluster.produce, topics.input, partition, envelopes)

    async def run() -> None:
        async with running(cluster) as lane:
            await feed()
            await until(lambda: items(lane) == expected)
            before = open_partitions(lane)
            async with running(cluster):
                await until(lambda: lane.is_ready and open_partitions(lane) < before)
            await until(lambda: lane.is_ready and open_partitions(lane) == before)
            await feed()
            await until(lambda: items(lane) == 2 * expected)

    asyncio.run(run())
    for name, (_, truth) in fed.items():
        records = cluster.records(name, "ticker")
        assert without_unknown_times(records, 2 * truth) == 2 * truth


@pytest.mark.parametrize(
    "error", [errors.NotCoordinatorForGroupError, errors.GroupLoadInProgressError]
)
def test_an_answer_that_is_an_error_does_not_mean_that_nothing_is_committed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: type[errors.KafkaError]
) -> None:
    """Brokers give it for a moment while a coordinator moves: too short to be met by a test."""
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.commit("upbit", "ticker", 7)
    place = TopicPartition(topics.input, partition)
    asked: list[object] = []

    async def run() -> int | None:
        consumer = AIOKafkaConsumer(
            **connection(cluster.settings.kafka),
            group_id=topics.group_id,
            enable_auto_commit=False,
        )
        consumer.assign([place])
        await consumer.start()
        send = consumer._coordinator._send_req  # noqa: SLF001 - which is to answer wrongly

        async def moving(request: Any) -> Any:  # noqa: ANN401
            asked.append(request)
            if len(asked) < 3:
                return OffsetFetchResponse_v3(0, [], error.errno)
            return await send(request)

        monkeypatch.setattr(consumer._coordinator, "_send_req", moving)  # noqa: SLF001
        try:
            return await offsets.committed(consumer, place)
        finally:
            await close(consumer)

    assert asyncio.run(run()) == 7
    assert len(asked) >= 3


def test_a_slow_partition_holds_up_no_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it has more to read than it may hold."""
    cluster.create_topics()
    topics, slow = cluster.of("upbit", "ticker")
    envelopes, truth = market("upbit", "ticker", 12_000_000)
    cluster.produce(topics.input, slow, envelopes, compression_type="lz4")
    end = ExactlyOnce.end
    goes_on = asyncio.Event()

    async def held(delivery: Any, offsets: Any = None, group_id: str = "") -> None:  # noqa: ANN401
        if any(place.partition == slow for place in offsets):
            await goes_on.wait()
        await end(delivery, offsets, group_id)

    monkeypatch.setattr(ExactlyOnce, "end", held)

    async def run() -> None:
        async with running(cluster) as lane:
            _, partition = cluster.of("bithumb", "ticker")
            other, wanted = market("bithumb", "ticker", 50_000)
            await asyncio.sleep(1)
            await asyncio.to_thread(cluster.produce, topics.input, partition, other)
            await until(lambda: items(lane) == len(wanted))
            goes_on.set()
            await until(lambda: items(lane) == len(wanted) + len(truth))

    asyncio.run(run())


class Stubborn(ConsumerRebalanceListener):  # type: ignore[misc] # it has no types
    """Never lets go of anything."""

    def __init__(self) -> None:
        self.has_some = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002 - aiokafka calls it
        self.has_some.set()

    async def on_partitions_revoked(self, revoked: object) -> None:
        if revoked:
            self.is_asked.set()
            await asyncio.Event().wait()


def test_a_consumer_that_cannot_be_stopped_leaves_its_group_all_the_same(cluster: Cluster) -> None:
    """Else the group would wait for it, and its tasks would go on."""
    cluster.create_topics()
    topics, _ = cluster.of("upbit", "ticker")

    def consumer() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **connection(cluster.settings.kafka),
            group_id=topics.group_id,
            session_timeout_ms=45_000,
            heartbeat_interval_ms=500,
        )

    async def run() -> None:
        before = asyncio.all_tasks()
        one, other = consumer(), consumer()
        stubborn, quick = Stubborn(), Stubborn()
        one.subscribe([topics.input], listener=stubborn)
        await one.start()
        await stubborn.has_some.wait()
        other.subscribe([topics.input], listener=quick)
        await other.start()
        await stubborn.is_asked.wait()
        await close(one)
        async with asyncio.timeout(15):  # the session would last longer
            await quick.has_some.wait()
        await close(other)
        await asyncio.sleep(0.5)
        left = asyncio.all_tasks() - before
        for task in left:
            with suppress(asyncio.CancelledError):
                assert task.done(), task

    asyncio.run(run())


def test_what_has_come_meanwhile_is_committed_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the wait is, each commit takes all that is there: else it would fall behind."""
    cluster.configure(batch={"max_wait_ms": 0})
    cluster.create_topics()
    topics, number = cluster.of("upbit", "ticker")
    committed: list[int] = []
    commit = ExactlyOnce.commit

    async def check() -> None:
        goes_on = asyncio.Event()

        async def held(self: ExactlyOnce, next_offset: int, *checkpoints: Any) -> None:  # noqa: ANN401
            committed.append(next_offset)
            await goes_on.wait()
            await commit(self, next_offset, *checkpoints)

        monkeypatch.setattr(ExactlyOnce, "commit", held)
        async with running(cluster) as lane:
            [partition] = [
                of
                for of in lane._partitions.open  # type: ignore[union-attr] # noqa: SLF001 - to see it read
                if of.number == number
            ]
            for count in range(1, 5):
                await asyncio.to_thread(cluster.produce, topics.input, number, UPBIT[:1])
                await until(lambda count=count: partition.position == count)  # type: ignore[misc]
            goes_on.set()
            await until(lambda: len(committed) > 1)

    asyncio.run(check())
    assert committed[:2] == [1, 4]
