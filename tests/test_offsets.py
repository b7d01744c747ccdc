"""Tests of the offset at which the service starts to read a partition, on a real Kafka."""

import asyncio
import signal

import pytest

from cluster import Cluster, wait_for_line
from conftest import KINDS
from marketprep import Kind
from test_lane import running, until
from test_service import UPBIT, UPBIT_RECORDS

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
