"""A lane from within: what its clients tell nobody, what holds up what, and what is left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from cluster import Cluster
from conftest import without_unknown_times
from marketprep import lane as lane_module
from marketprep import offsets
from marketprep.assignment import assignments
from marketprep.delivery import ExactlyOnce
from marketprep.kafka import connection
from marketprep.lane import Lane
from marketprep.outbox import close
from marketprep.partition import Partition
from marketprep.resources import MemoryBudget, Resources
from marketprep.settings import Region
from test_service import UPBIT, UPBIT_RECORDS, market


@asynccontextmanager
async def running(
    cluster: Cluster, budget_mb: float = 512, region: Region = "Korea", held_mb: int = 0
) -> AsyncIterator[Lane]:
    """A lane of tickers in this process, until the end of the context.

    So much of its memory is held by somebody else.
    """
    [work] = assignments(cluster.settings, [region], ["ticker"])
    budget = MemoryBudget(int(budget_mb * (1 << 20)))
    budget.change(held_mb << 20)
    resources = replace(Resources.of(4096, 1), budget=budget)
    lane = Lane(work, cluster.settings, resources)
    task = asyncio.create_task(lane.run())
    try:
        await until(lambda: lane.is_ready)
        yield lane
        lane.stop()
        await task
    finally:
        task.cancel()  # after a failure it might wait for what the test holds up
        with suppress(asyncio.CancelledError):
            await task
        resources.close()


async def until(is_so: Callable[[], bool], seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.05)


def hold_commits(
    monkeypatch: pytest.MonkeyPatch, besides: int | None = None
) -> tuple[list[int], asyncio.Event]:
    """Offsets that are to be committed, and what lets these commits go on.

    Those of the partition `besides` are left alone, and offset 0: it is committed at open.
    """
    committed: list[int] = []
    goes_on = asyncio.Event()
    commit = ExactlyOnce.commit

    async def held(self: ExactlyOnce, next_offset: int, *checkpoints: Any) -> None:  # noqa: ANN401
        if self._place.partition != besides and next_offset:
            committed.append(next_offset)
            await goes_on.wait()
        await commit(self, next_offset, *checkpoints)

    monkeypatch.setattr(ExactlyOnce, "commit", held)
    return committed, goes_on


def opened(lane: Lane, number: int) -> Partition:
    """A partition that it works on."""
    [found] = [of for of in lane._partitions.open if of.number == number]  # type: ignore[union-attr] # noqa: SLF001
    return found


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


@pytest.mark.parametrize("names", [["upbit"], ["upbit", "coinone", "korbit"]])
def test_slow_partitions_hold_up_no_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """Though they have more to read than they may hold; even if nothing is left for others."""
    # the first commit is to come, and be held up, while most is still to be read
    cluster.configure(batch={"commit_interval_ms": 10, "max_wait_ms": 5})
    cluster.create_topics()
    sent = 0
    for name in names:
        envelopes, truth = market(name, "ticker", 12_000_000)
        topics, slow = cluster.of(name, "ticker")
        cluster.produce(topics.input, slow, envelopes, compression_type="lz4")
        sent += len(truth)
    other, wanted = market("bithumb", "ticker", 50_000)
    topics, quick = cluster.of("bithumb", "ticker")
    _, goes_on = hold_commits(monkeypatch, besides=quick)

    async def run() -> None:
        async with running(cluster, budget_mb=4) as lane:
            budget = lane._resources.budget  # noqa: SLF001 - which is to be exhausted
            if len(names) > 1:
                await until(lambda: not budget.has_room)
            await asyncio.sleep(1)
            await asyncio.to_thread(cluster.produce, topics.input, quick, other)
            await until(lambda: items(lane) == len(wanted))
            goes_on.set()
            await until(lambda: items(lane) == len(wanted) + sent)
            accounts = [of._account for of in lane._partitions.open]  # type: ignore[union-attr] # noqa: SLF001
            await until(lambda: not any(of.held_bytes for of in accounts))

    asyncio.run(run())


def test_where_there_is_no_memory_one_after_the_other_gets_a_little(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not all of them at once, or always the same one."""
    cluster.create_topics()
    sent = 0
    for name in ("upbit", "bithumb", "coinone", "korbit"):
        envelopes, truth = market(name, "ticker", 600_000)
        topics, number = cluster.of(name, "ticker")
        cluster.produce(topics.input, number, envelopes)
        sent += len(truth)
    passes = 0
    served: list[tuple[int, int]] = []
    poll, take = Lane._poll, Partition.take  # noqa: SLF001 - which are looked at

    async def counted_poll(*arguments: Any) -> Any:  # noqa: ANN401 - as it is
        nonlocal passes
        passes += 1
        return await poll(*arguments)

    async def noted_take(partition: Partition, most_bytes: int) -> tuple[int, int]:
        served.append((passes, partition.number))
        return await take(partition, most_bytes)

    monkeypatch.setattr(Lane, "_poll", counted_poll)
    monkeypatch.setattr(Partition, "take", noted_take)

    async def run() -> None:
        async with running(cluster, budget_mb=4, held_mb=4) as lane:
            await until(lambda: items(lane) == sent)

    asyncio.run(run())
    assert len(served) == len({of_pass for of_pass, _ in served})
    numbers = [number for _, number in served]
    third = next(at for at, number in enumerate(numbers) if numbers[:at].count(number) == 2)
    assert set(numbers[:third]) == set(numbers)


def test_what_is_not_decoded_yet_is_left_to_whoever_comes_next(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is taken away is read no more, though the reader has some of it left."""
    cluster.create_topics()
    topics, number = cluster.of("upbit", "ticker")
    envelopes, truth = market("upbit", "ticker", 8_000_000)
    cluster.produce(topics.input, number, envelopes, compression_type="lz4")
    _, goes_on = hold_commits(monkeypatch)

    async def run() -> None:
        async with running(cluster, budget_mb=0.25) as lane:  # a batch leads to several chunks
            partition = opened(lane, number)
            await until(lambda: partition.has_rest and not partition.has_room)
            await partition.finish()  # as a group would have it
            assert (partition.has_rest, partition.has_room, partition.is_empty) == (False,) * 3
            await asyncio.sleep(0.5)
            goes_on.set()
            await until(lambda: 0 < items(lane) < len(truth))
            await until(lambda: partition not in lane._partitions.open)  # type: ignore[union-attr] # noqa: SLF001
        async with running(cluster) as lane:
            await until(lambda: lane.metrics.lag.get(number) == 0)

    asyncio.run(run())
    records = cluster.records("upbit", "ticker")
    assert without_unknown_times(records, truth) == truth


def test_a_member_without_partitions_waits_for_some(cluster: Cluster) -> None:
    """There may be more members than partitions: whoever has none is there for when others go."""
    cluster.configure(assignment="group")
    cluster.create_topics()
    topics, partition = cluster.of("kraken", "ticker")
    envelopes, truth = market("kraken", "ticker", 20_000)

    def counts(lanes: list[Lane]) -> list[int]:
        return sorted(len(of._partitions.open) if of._partitions else -1 for of in lanes)  # noqa: SLF001

    async def run() -> None:
        async with AsyncExitStack() as stack:
            stacks = [await stack.enter_async_context(AsyncExitStack()) for _ in range(3)]
            lanes = [await one.enter_async_context(running(cluster, region="NE")) for one in stacks]
            await until(lambda: counts(lanes) == [0, 1, 1])
            assert all(lane.is_ready for lane in lanes)
            [spare] = [lane for lane in lanes if counts([lane]) == [0]]
            for one, lane in zip(stacks, lanes, strict=True):
                if lane is not spare:
                    await one.aclose()
            await until(lambda: counts([spare]) == [2])
            await asyncio.to_thread(cluster.produce, topics.input, partition, envelopes)
            await until(lambda: items(spare) == len(truth))

    asyncio.run(run())


def test_what_waits_without_memory_for_more_is_committed_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in as many transactions as there were polls."""
    cluster.configure(batch={"commit_interval_ms": 5000})  # time is not to be what ends one
    cluster.create_topics()
    topics, number = cluster.of("upbit", "ticker")
    envelopes, _ = market("upbit", "ticker", 2_000_000)
    committed, goes_on = hold_commits(monkeypatch)

    async def run() -> None:
        async with running(cluster, budget_mb=1) as lane:
            partition = opened(lane, number)
            polls = 0
            for envelope in envelopes:
                if not partition.has_room:
                    break
                before = partition.position
                await asyncio.to_thread(cluster.produce, topics.input, number, [envelope])
                await until(lambda before=before: partition.position > before)  # type: ignore[misc]
                polls += 1
            assert not partition.has_room
            goes_on.set()
            await until(lambda: len(committed) > 1)
            assert committed[1] == partition.position
            assert polls > 2

    asyncio.run(run())


def test_nothing_is_learnt_from_nothing() -> None:
    """Of a batch whose last records were compacted away there may be none that is wanted."""
    size = lane_module._Size()  # noqa: SLF001 - what is tested
    first = size.messages(800)
    size.learn(0, 1)
    assert size.messages(800) == first
    size.learn(400, 1)
    assert [size.messages(wanted) for wanted in (800, 1)] == [2, 1]
    size.learn(100, 100)
    assert size.messages(800) == 2, "not at once"
    size.learn(800, 1)
    assert size.messages(800) == 1


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
        joining = asyncio.create_task(other.start())
        await stubborn.is_asked.wait()
        await close(one)
        async with asyncio.timeout(40):  # the session would last longer
            await joining
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

    committed, goes_on = hold_commits(monkeypatch)

    async def run() -> None:
        async with running(cluster) as lane:
            partition = opened(lane, number)
            for count in range(1, 5):
                await asyncio.to_thread(cluster.produce, topics.input, number, UPBIT[:1])
                await until(lambda count=count: partition.position == count)  # type: ignore[misc]
            goes_on.set()
            await until(lambda: len(committed) > 1)

    asyncio.run(run())
    assert committed[:2] == [1, 4]


def test_at_least_once_readers_need_not_wait_for_a_commit(cluster: Cluster) -> None:
    cluster.configure(delivery="at_least_once", batch={"commit_interval_ms": 60_000})
    cluster.create_topics()
    topics, number = cluster.of("upbit", "ticker")

    async def run() -> None:
        async with running(cluster) as lane:
            for count in (1, 2):
                await asyncio.to_thread(cluster.produce, topics.input, number, UPBIT[:1])
                await until(lambda count=count: cluster.end(topics.output, number) == count)  # type: ignore[misc]
            assert items(lane) == 0, "which is counted when it is committed"
            assert cluster.committed("upbit", "ticker") == 0
            assert opened(lane, number)._account.held_bytes > 4000, "counts, which wait for it"  # noqa: SLF001
            lane.stop()  # which leaves nothing, and does not wait for the time of the commit
            await until(lambda: cluster.committed("upbit", "ticker") == 2, seconds=30)

    asyncio.run(run())
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * 2
