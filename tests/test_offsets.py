"""Tests of the offset at which the service starts to read a partition, on a real Kafka."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster, wait_for_line, wait_until
from conftest import KINDS
from marketprep import Kind
from marketprep.delivery import AtLeastOnce, ExactlyOnce
from marketprep.local import LocalKafka
from marketprep.settings import load_settings
from test_lane import running, until
from test_service import UPBIT, UPBIT_RECORDS, market

#: The options that leave one lane of one partition.
LANE = ("--exchange", "upbit", "--kind", "ticker")


@pytest.mark.parametrize(
    ("delivery", "assignment"),
    [("exactly_once", "manual"), ("at_least_once", "manual"), ("exactly_once", "group")],
)
def test_latest_means_since_the_partition_was_first_opened(
    cluster: Cluster, delivery: str, assignment: str
) -> None:
    """Messages that arrive while the service is stopped are read, although none was read before."""
    cluster.configure(consumer={"start": "latest"}, delivery=delivery, assignment=assignment)
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:1])
    lane = LANE if assignment == "manual" else ("--region", "Korea", "--kind", "ticker")
    service = cluster.start("run", *lane)
    wait_for_line(service, b"partitions assigned")
    service.send_signal(signal.SIGTERM)
    service.communicate(timeout=120)
    assert service.returncode == 0
    assert cluster.committed("upbit", "ticker") == 1
    cluster.produce(topics.input, partition, UPBIT)
    cluster.run_until_end(*lane)
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS


def test_latest_outlasts_a_restart_of_the_lane(cluster: Cluster) -> None:
    cluster.configure(consumer={"start": "latest"})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:1])

    async def run() -> None:
        async with running(cluster) as lane:
            consumer = lane._partitions._consumer  # type: ignore[union-attr] # noqa: SLF001 - to be broken
            consumer._fetcher._fetch_task.cancel()  # noqa: SLF001 - the lane restarts because of it
            await asyncio.to_thread(cluster.produce, topics.input, partition, UPBIT)
            await until(lambda: lane.metrics.totals.records == len(UPBIT_RECORDS), 30)

    asyncio.run(run())
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_committed_offset_after_the_end(cluster: Cluster, kind: Kind) -> None:
    """It stops the service with `--until-end` too, which must not take it for the end."""
    cluster.create_topics()
    topics, partition = cluster.of("upbit", kind)
    cluster.produce(topics.input, partition, UPBIT[:3])
    cluster.commit("upbit", kind, 99)
    for arguments in (("--until-end",), ()):
        done = cluster.marketprep("run", "--exchange", "upbit", "--kind", kind, *arguments)
        assert done.returncode == 1, done.stderr
        assert done.stderr.splitlines()[-1] == (
            f"Error: Offset 99 of {topics.input}, partition {partition} is not there, the oldest "
            "is 0 and the end 3: retention has overtaken the service, or the topic was made anew. "
            "To go on without what is lost, set consumer.lost_offset to earliest or latest."
        )
    assert cluster.committed("upbit", kind) == 99


@pytest.mark.parametrize(("choice", "count"), [("earliest", 3), ("latest", 0)])
def test_going_on_from_an_offset_after_the_end(cluster: Cluster, choice: str, count: int) -> None:
    cluster.configure(consumer={"lost_offset": choice})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:1] * 3)
    cluster.commit("upbit", "ticker", 99)
    done = cluster.marketprep("run", "--until-end", *LANE)
    assert done.returncode == 0, done.stderr
    assert "messages are lost" in done.stderr
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * count
    assert cluster.committed("upbit", "ticker") == 3


def test_the_end_itself_is_no_lost_offset(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:3])
    cluster.commit("upbit", "ticker", 3)
    cluster.run_until_end(*LANE)
    assert cluster.records("upbit", "ticker") == []


@pytest.mark.parametrize("choice", ["stop", "earliest", "latest"])
def test_a_missing_offset_where_checkpoints_show_earlier_work(
    cluster: Cluster, choice: str
) -> None:
    """As after its expiry. Reading does not start anew from the oldest message."""
    cluster.configure(consumer={"lost_offset": choice})
    cluster.create_topics()
    topics, partition = cluster.of("okx", "orderbook")
    envelopes, truth = market("okx", "orderbook", 300_000)
    half = len(envelopes) // 2
    lane = ("--exchange", "okx", "--kind", "orderbook")
    cluster.produce(topics.input, partition, envelopes[:half])
    cluster.run_until_end(*lane)
    before = cluster.records("okx", "orderbook")
    [deleted] = cluster.admin.delete_consumer_groups([topics.group_id]).values()
    deleted.result()
    cluster.produce(topics.input, partition, envelopes[half:])
    done = cluster.marketprep("run", "--until-end", *lane)
    records = cluster.records("okx", "orderbook")
    if choice == "stop":
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(
            f"Error: No offset of {topics.input}, partition {partition} is committed, but the "
            f"checkpoints of its books go up to offset {half}: the offset has expired"
        )
        assert cluster.committed("okx", "orderbook") < 0
        assert records == before
        return
    assert done.returncode == 0, done.stderr
    assert "committed offset is missing" in done.stderr
    assert records == (truth if choice == "earliest" else before)
    assert cluster.committed("okx", "orderbook") == len(envelopes)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_offsets_are_committed_at_open_and_without_progress(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    cluster.configure(delivery=delivery, consumer={"commit_every_s": 0.2})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:1])
    cluster.run_until_end("--region", "Korea", "--kind", "ticker")
    kind: Any = ExactlyOnce if delivery == "exactly_once" else AtLeastOnce
    commit, committed = kind.commit, list[int]()

    async def noted(self: Any, next_offset: int, *checkpoints: Any) -> None:  # noqa: ANN401
        await commit(self, next_offset, *checkpoints)
        if self._place.partition == partition:
            committed.append(next_offset)

    monkeypatch.setattr(kind, "commit", noted)

    async def run() -> None:
        async with running(cluster):
            assert committed, "at open"
            await until(lambda: len(committed) >= 3)

    asyncio.run(run())
    assert set(committed) == {1}
    assert cluster.committed("upbit", "ticker") == 1
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1]


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_offsets_of_a_running_service_do_not_expire(tmp_path: Path, delivery: str) -> None:
    """Brokers delete offsets a minute after their commit, the shortest time that they know."""
    folder = {"local_kafka.folder": str(tmp_path / "kafka")}
    short = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"}
    with (
        LocalKafka(load_settings(options=folder).local_kafka, print, extra=short) as kafka,
        Cluster(kafka.address, tmp_path) as cluster,
    ):
        cluster.configure(delivery=delivery, consumer={"commit_every_s": 10})
        cluster.create_topics()
        for kind in KINDS:
            topics, partition = cluster.of("upbit", kind)
            cluster.produce(topics.input, partition, UPBIT[:1])
        service = cluster.start("run", "--exchange", "upbit")
        wait_until(
            lambda: all(cluster.committed("upbit", kind) == 1 for kind in KINDS), "the commits"
        )
        # that of a service which does not run; it is committed later and expires all the same
        cluster.produce(cluster.of("okx", "ticker")[0].input, 0, UPBIT[:1])
        cluster.commit("okx", "ticker", 1)
        wait_until(lambda: cluster.committed("okx", "ticker") < 0, "its expiry", seconds=240)
        assert [cluster.committed("upbit", kind) for kind in KINDS] == [1, 1]
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=120)
        assert service.returncode == 0
