"""Several processes share the work: by a group, by hand, and by mistake."""

import json
import signal
import subprocess

import pytest

from cluster import Cluster, totals_of, wait_for_line, wait_until
from conftest import EXCHANGES, without_unknown_times
from marketprep import Kind
from test_service import market

KOREA = ("upbit", "bithumb", "coinone", "korbit")


def produce(cluster: Cluster, exchange: str, kind: Kind, size: int, seed: int = 5) -> list[bytes]:
    """Puts a market on its input topic; the records that it must lead to."""
    topics, partition = cluster.of(exchange, kind)
    envelopes, truth = market(exchange, kind, size, seed)
    cluster.produce(topics.input, partition, envelopes)
    return truth


def all_done(cluster: Cluster, exchange: str, kind: Kind) -> bool:
    topics, partition = cluster.of(exchange, kind)
    return cluster.committed(exchange, kind) == cluster.end(topics.input, partition)


def positions(service: subprocess.Popen[bytes]) -> set[str]:
    """The partitions that a service tells to have been assigned to it next."""
    assert service.stderr is not None
    while True:
        line = service.stderr.readline()
        assert line, "the service has ended"
        if b"partitions assigned" in line:
            return set(json.loads(line)["positions"])


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_group_shares_the_partitions(cluster: Cluster, delivery: str) -> None:
    """Whoever comes gets some, whoever goes gives them back, and the books go on."""
    cluster.configure(assignment="group", delivery=delivery)
    cluster.create_topics()
    parts = ("--region", "asia", "--kind", "orderbook")
    asia = [name for name in EXCHANGES if cluster.settings.exchanges[name].region == "Asia"]
    truth = {name: produce(cluster, name, "orderbook", 300_000) for name in asia}
    one = cluster.start("run", *parts)
    assert positions(one) == {"0", "1", "2"}
    two = cluster.start("run", *parts)
    assert {len(positions(one)), len(positions(two))} == {1, 2}
    one.send_signal(signal.SIGTERM)
    _, told = one.communicate(timeout=120)
    assert one.returncode == 0, told.decode()
    assert positions(two) == {"0", "1", "2"}
    for name in asia:
        wait_until(lambda name=name: all_done(cluster, name, "orderbook"), name)  # type: ignore[misc]
    two.send_signal(signal.SIGTERM)
    _, told = two.communicate(timeout=120)
    assert two.returncode == 0, told.decode()
    assert b"Traceback" not in told
    for name in asia:
        records = cluster.records(name, "orderbook")
        assert without_unknown_times(records, truth[name]) == truth[name]


def test_a_group_until_its_end(cluster: Cluster) -> None:
    cluster.configure(assignment="group")
    cluster.create_topics()
    truth = {name: produce(cluster, name, "ticker", 50_000) for name in KOREA}
    cluster.run_until_end("--region", "korea")
    for name in KOREA:
        records = cluster.records(name, "ticker")
        assert without_unknown_times(records, truth[name]) == truth[name]


def test_a_group_shares_by_partitions_not_by_exchanges(cluster: Cluster) -> None:
    cluster.configure(assignment="group")
    done = cluster.marketprep("run", "--exchange", "okx")
    assert done.returncode == 2
    assert "--exchange" in done.stderr
    assert "assignment" in done.stderr


def test_the_same_work_twice_by_mistake(cluster: Cluster) -> None:
    """The later one goes on, the earlier one says why it does not; nothing is doubled."""
    cluster.create_topics()
    first, second = (market("upbit", "ticker", 400_000, seed) for seed in (5, 6))
    topics, partition = cluster.of("upbit", "ticker")
    one = cluster.start("run", "--exchange", "upbit", "--kind", "ticker")
    wait_for_line(one, b"partitions assigned")
    cluster.produce(topics.input, partition, first[0])
    wait_until(lambda: all_done(cluster, "upbit", "ticker"), "the first half")
    two = cluster.start("run", "--region", "korea", "--kind", "ticker")
    wait_for_line(two, b"partitions assigned")
    cluster.produce(topics.input, partition, second[0])
    _, told = one.communicate(timeout=120)
    assert one.returncode == 1
    [error] = [line for line in told.decode().splitlines() if line.startswith("Error: ")]
    assert error.startswith(
        f"Error: Another instance, started after this one, works on partition {partition} of "
        f"{topics.input} (upbit): stop one of them, or give each its own"
    )
    assert b"Traceback" not in told
    wait_until(lambda: all_done(cluster, "upbit", "ticker"), "the second half")
    two.send_signal(signal.SIGTERM)
    two.communicate(timeout=120)
    assert two.returncode == 0
    truth = first[1] + second[1]
    assert without_unknown_times(cluster.records("upbit", "ticker"), truth) == truth


@pytest.mark.parametrize(
    ("kind", "is_taken_over"), [("orderbook", False), ("ticker", False), ("orderbook", True)]
)
def test_a_process_that_was_stopped_for_longer_than_its_transactions_may_last(
    cluster: Cluster, kind: Kind, *, is_taken_over: bool
) -> None:
    """It goes on from where it was; or if another one does meanwhile, leaves that to it."""
    cluster.configure(kafka={"transaction_timeout_ms": 1000}, batch={"max_wait_ms": 300})
    cluster.create_topics()
    topics, partition = cluster.of("okx", kind)
    envelopes, truth = market("okx", kind, 1_000_000)
    third = len(envelopes) // 3
    parts = ("--exchange", "okx", "--kind", kind)
    one = cluster.start("run", *parts)
    wait_for_line(one, b"partitions assigned")
    cluster.produce(topics.input, partition, envelopes[:third])
    wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
    one.send_signal(signal.SIGSTOP)
    cluster.produce(topics.input, partition, envelopes[third : 2 * third])
    if is_taken_over:
        two = cluster.start("run", *parts)
        wait_until(lambda: all_done(cluster, "okx", kind), "the other one")
    else:  # brokers look for such every ten seconds
        wait_until(lambda: is_undone(cluster, topics.output, partition), "the end of its time")
    one.send_signal(signal.SIGCONT)
    cluster.produce(topics.input, partition, envelopes[2 * third :])
    if is_taken_over:
        _, told = one.communicate(timeout=120)
        assert one.returncode == 1
        assert b"Error: Another instance, started after this one" in told
        one = two
    wait_until(lambda: all_done(cluster, "okx", kind), "the end")
    one.send_signal(signal.SIGTERM)
    _, told = one.communicate(timeout=120)
    assert one.returncode == 0, told.decode()
    records = cluster.records("okx", kind)
    assert without_unknown_times(records, truth) == truth


def is_undone(cluster: Cluster, topic: str, partition: int) -> bool:
    """Whether all that stands on a partition was undone: nothing can be read, up to its end."""
    stable = cluster.end(topic, partition, "read_committed")
    return stable == cluster.end(topic, partition) and not cluster.consume(topic, partition)


@pytest.mark.parametrize("assignment", ["manual", "group"])
def test_a_topic_that_is_keyed_by_instrument(cluster: Cluster, assignment: str) -> None:
    """More partitions than exchanges: each instrument stays in order on its own."""
    cluster.configure(assignment=assignment, topics={"NE": {"partitions": 6}})
    cluster.plan(binance="all", kraken=[1, 3, 5])
    cluster.create_topics()
    fed = cluster.marketprep(
        *("simulate", "topics", "--megabytes", "0.5", "--truth", cluster.folder / "truth"),
        *("--exchange", "binance", "--exchange", "kraken", "--kind", "orderbook"),
    )
    assert fed.returncode == 0, fed.stderr
    told = cluster.run_until_end("--region", "ne", "--kind", "orderbook")
    topics = cluster.settings.topics.of("NE").of("orderbook")
    found: dict[tuple[str, str], list[bytes]] = {}
    places: dict[tuple[str, str], set[int]] = {}
    for partition in range(6):
        for record in cluster.records_of(topics.output, partition):
            content = json.loads(record)
            instrument = (content["market"], content["coin_symbol"])
            found.setdefault(instrument, []).append(record)
            places.setdefault(instrument, set()).add(partition)
    assert all(len(partitions) == 1 for partitions in places.values())
    assert len(set.union(*places.values())) > 3
    for name in ("binance", "kraken"):
        lines = (cluster.folder / "truth" / f"{name}.orderbook.expected.jsonl").read_bytes()
        wanted: dict[tuple[str, str], list[bytes]] = {}
        for line in lines.splitlines():
            content = json.loads(line)
            wanted.setdefault((content["market"], content["coin_symbol"]), []).append(line)
        for instrument, truth in wanted.items():
            assert without_unknown_times(found.pop(instrument), truth) == truth
    assert not found
    assert "held back 0, rejected 0" in told


def test_part_of_a_topic_that_is_keyed_by_instrument(cluster: Cluster) -> None:
    """An exchange's partitions are worked on whole, with all that others have on them."""
    cluster.configure(topics={"NE": {"partitions": 3}})
    cluster.plan(binance=[0, 1], kraken=[1, 2])
    cluster.create_topics()
    topics = cluster.settings.topics.of("NE").of("ticker")
    for partition, exchange in enumerate(("binance", "kraken", "kraken")):
        cluster.produce(topics.input, partition, market(exchange, "ticker", 20_000)[0])
    told = totals_of(cluster.marketprep("run", "--until-end", "--exchange", "binance").stderr)
    assert "rejected 0" in told
    assert [len(cluster.records_of(topics.output, n)) > 0 for n in range(3)] == [True, True, False]
