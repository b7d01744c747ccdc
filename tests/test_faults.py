"""Faults on three real brokers, each ending in a count of what went in and what came out."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from balance import Account, accounts, table
from brokers import Brokers
from cluster import Cluster, wait_for_line, wait_until
from conftest import FIXTURES, lines_of
from faults import FAULTS
from rig import Rig, Sharing, Work
from traffic import Pair, Traffic

#: How long all brokers are away.
OUTAGE_SECONDS = float(os.environ.get("MARKETPREP_TEST_OUTAGE_S", "20"))

#: Kept books, whole ones and tickers, of one region.
PAIRS: tuple[Pair, ...] = (
    ("okx", "orderbook"),
    ("okx", "ticker"),
    ("gateio", "orderbook"),
    ("bybit", "ticker"),
)

#: Where one is enough.
PAIR: Pair = ("upbit", "ticker")

#: Everything is allowed until a test denies something.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}

RATE = 400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with Brokers(tmp_path_factory.mktemp("brokers")) as brokers:
        yield brokers


def struck(brokers: Brokers, folder: Path, faults: list[str], work: Work) -> Rig:
    """Nothing is lost, doubled or different after faults, and all that ends was ended."""
    with Rig(brokers, folder, work) as rig:
        rig.flowing()
        for fault in faults:
            strike = rig.strike(fault, FAULTS[fault])
            rig.recovered(strike)
            click.echo(f"{fault}: {strike}")
        found = rig.settle()
    click.echo(table(found))
    assert not rig.problems(found)
    return rig


@pytest.mark.parametrize("fault", ["kill", "leader", "transactions", "offsets", "slow", "clock"])
def test_a_fault(brokers: Brokers, tmp_path: Path, fault: str) -> None:
    struck(brokers, tmp_path, [fault], Work(pairs=PAIRS, processes=1, items_per_second=RATE))


def test_no_broker_for_long(brokers: Brokers, tmp_path: Path) -> None:
    work = Work(pairs=PAIRS, processes=1, items_per_second=RATE, outage_seconds=OUTAGE_SECONDS)
    struck(brokers, tmp_path, ["outage"], work)


@pytest.mark.parametrize("sharing", ["manual", "group"])
def test_a_rolling_restart_of_two(brokers: Brokers, tmp_path: Path, sharing: Sharing) -> None:
    work = Work(pairs=PAIRS, processes=2, items_per_second=RATE, sharing=sharing)
    struck(brokers, tmp_path, ["rolling"], work)


@pytest.mark.parametrize(("sharing", "processes"), [("manual", 1), ("group", 2)])
def test_a_process_that_stands_still_for_long(
    brokers: Brokers, tmp_path: Path, sharing: Sharing, processes: int
) -> None:
    """In a group others have its partitions meanwhile."""
    work = Work(pairs=PAIRS, processes=processes, items_per_second=RATE, sharing=sharing)
    struck(brokers, tmp_path, ["pause"], work)


def test_a_process_that_was_replaced_meanwhile(brokers: Brokers, tmp_path: Path) -> None:
    work = Work(pairs=PAIRS, processes=1, items_per_second=RATE)
    rig = struck(brokers, tmp_path, ["rival"], work)
    [told] = [end.told for end in rig.ends if end.cause == "rival"]
    assert told.startswith("Error: ")


def test_members_that_come_and_go(brokers: Brokers, tmp_path: Path) -> None:
    work = Work(pairs=PAIRS, processes=2, items_per_second=RATE, sharing="group")
    struck(brokers, tmp_path, ["storm"], work)


def test_a_full_disk_for_logs(brokers: Brokers, tmp_path: Path) -> None:
    """From the start on, and later."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "marketprep.log").symlink_to("/dev/full")
    work = Work(pairs=PAIRS, processes=1, items_per_second=RATE)
    struck(brokers, tmp_path, ["disk"], work)


def test_a_topic_of_outputs_that_goes_away(brokers: Brokers, tmp_path: Path) -> None:
    """The service says so, waits, and goes on once it is there again."""
    with Cluster(brokers.address, tmp_path) as cluster:
        cluster.configure(kafka={"request_timeout_ms": 3000})
        cluster.create_topics()
        topics, partition = cluster.of(*PAIR)
        service = cluster.start("run", "--exchange", PAIR[0], "--kind", PAIR[1])
        wait_for_line(service, b"partitions assigned")
        cluster.admin.delete_topics([topics.output])[topics.output].result()
        traffic = Traffic(cluster, [PAIR], RATE)
        traffic.send(RATE)
        wait_for_line(service, b"`marketprep topics create`")
        cluster.create_topics()
        wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
        service.send_signal(signal.SIGTERM)
        _, told = service.communicate(timeout=120)
        assert (service.returncode, b"Traceback" in told) == (0, False)
        settled(cluster, traffic)


def test_a_topic_of_outputs_that_may_not_be_written(tmp_path: Path) -> None:
    """The service ends with a sentence, and nothing is committed that was not sent."""
    with (
        Brokers(tmp_path / "brokers", 1, AUTHORIZER) as brokers,
        Cluster(brokers.address, tmp_path) as cluster,
    ):
        cluster.create_topics()
        topics, _ = cluster.of(*PAIR)
        traffic = Traffic(cluster, [PAIR], RATE)
        traffic.send(RATE)
        cluster.run_until_end("--exchange", PAIR[0], "--kind", PAIR[1])
        service = cluster.start("run", "--exchange", PAIR[0], "--kind", PAIR[1])
        wait_for_line(service, b"partitions assigned")
        allow = rule(AclOperation.ALL, AclPermissionType.ALLOW, topics.output)
        deny = rule(AclOperation.WRITE, AclPermissionType.DENY, topics.output)
        rules = [AclBinding(**allow), AclBinding(**deny)]
        for made in brokers.admin.create_acls(rules).values():
            made.result()
        traffic.send(RATE)
        _, told = service.communicate(timeout=120)
        assert service.returncode == 1
        assert b"Traceback" not in told
        assert topics.output in told.decode().splitlines()[-1]
        for gone in brokers.admin.delete_acls([AclBindingFilter(**deny)]).values():
            gone.result()
        settled(cluster, traffic)


def rule(operation: AclOperation, permission: AclPermissionType, topic: str) -> dict[str, Any]:
    """For everybody."""
    return {
        "restype": ResourceType.TOPIC,
        "name": topic,
        "resource_pattern_type": ResourcePatternType.LITERAL,
        "principal": "User:*",
        "host": "*",
        "operation": operation,
        "permission_type": permission,
    }


def settled(cluster: Cluster, traffic: Traffic) -> None:
    """Lets the service do what is left; everything is there once then."""
    cluster.run_until_end("--exchange", PAIR[0], "--kind", PAIR[1])
    found = accounts(cluster, PAIR, traffic.fed[PAIR])
    click.echo(table(found))
    assert not [problem for one in found for problem in one.problems()]


def test_doubled_records_are_seen(brokers: Brokers, tmp_path: Path) -> None:
    """Without transactions a kill doubles; nothing is lost."""
    found = killed(brokers, tmp_path, times=3, delivery="at_least_once")
    assert sum(one.doubled for one in found)
    assert not sum(one.lost + one.misplaced + one.different for one in found)


def test_lost_records_are_seen(brokers: Brokers, tmp_path: Path) -> None:
    """With a bug that was planted: offsets are committed before records are sent."""
    found = killed(brokers, tmp_path, times=2, bug="commit-before-send")
    assert sum(one.lost for one in found)


def killed(
    brokers: Brokers,
    folder: Path,
    times: int,
    **how: Any,  # noqa: ANN401 - as Work has them
) -> list[Account]:
    work = Work(pairs=PAIRS, processes=1, items_per_second=8 * RATE, **how)
    with Rig(brokers, folder, work) as rig:
        rig.flowing()
        for _ in range(times):
            rig.recovered(rig.strike("kill", FAULTS["kill"]))
        found = rig.settle()
    click.echo(table(found))
    return found


@pytest.mark.parametrize("choice", ["stop", "earliest"])
def test_retention_that_overtakes_the_service(
    brokers: Brokers, tmp_path: Path, choice: str
) -> None:
    """While it runs; `test_service.py` has the same at a start."""
    values = lines_of(FIXTURES / "upbit" / "ticker.jsonl")[:1] * 300
    with Cluster(brokers.address, tmp_path) as cluster:
        cluster.configure(consumer={"lost_offset": choice})
        cluster.create_topics()
        topics, partition = cluster.of("upbit", "ticker")
        service = cluster.start("run", "--exchange", "upbit", "--kind", "ticker")
        wait_for_line(service, b"partitions assigned")
        service.send_signal(signal.SIGSTOP)
        cluster.produce(topics.input, partition, values)
        place = TopicPartition(topics.input, partition, 200)
        [deleted] = cluster.admin.delete_records([place]).values()
        deleted.result()
        service.send_signal(signal.SIGCONT)
        if choice == "stop":
            _, told = service.communicate(timeout=120)
            assert service.returncode == 1
            assert (
                f"Offset 0 of {topics.input}, partition {partition} is not there".encode() in told
            )
        else:
            wait_for_line(service, b"messages are lost")
            service.send_signal(signal.SIGTERM)
            service.communicate(timeout=120)
            cluster.run_until_end("--exchange", "upbit", "--kind", "ticker")
        count = len(cluster.records("upbit", "ticker"))
    click.echo(f"300 went in, 200 were deleted, {count} came out")
    assert count == {"stop": 0, "earliest": 100}[choice]
