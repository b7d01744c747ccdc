"""`topics` and `simulate topics` on a real Kafka, and what `run` says of wrong topics."""

import re
import signal
import time

import pytest
from confluent_kafka.cimpl import NewPartitions, NewTopic

from cluster import Cluster, wait_until
from conftest import lines_of


def partitions(cluster: Cluster) -> dict[str, int]:
    """The partitions of each of the test's topics, by the name in the default settings."""
    topics = cluster.admin.list_topics(timeout=10).topics
    return {
        name.removeprefix(cluster.prefix): len(topic.partitions)
        for name, topic in topics.items()
        if cluster.is_mine(name)
    }


def test_what_is_missing_is_created(cluster: Cluster) -> None:
    cluster.create_topics()
    expected = {}
    for region, word, count in (("Asia", "asia", 3), ("Korea", "kora", 4), ("NE", "ne", 2)):
        for kind, output in (("ticker", "Ticker"), ("Orderbook", "Orderbook")):
            expected[f"{word}SocketDataIn-{kind}"] = count
            expected[f"{word}SocketDataIn-{kind}-DLT"] = count
            if kind == "Orderbook":
                expected[f"{word}SocketDataIn-{kind}-Books"] = count
            expected[f"Region.{region}_{output}Preprocessing"] = count
    assert partitions(cluster) == expected
    again = cluster.marketprep("topics", "create")
    assert (again.returncode, again.stdout) == (0, "all 21 topics are there already\n")


def test_a_topic_grows_but_never_shrinks(cluster: Cluster) -> None:
    few, many = f"{cluster.prefix}neSocketDataIn-ticker", f"{cluster.prefix}koraSocketDataIn-ticker"
    for made in cluster.admin.create_topics([NewTopic(few, 1, 1), NewTopic(many, 5, 1)]).values():
        made.result()
    refused = cluster.marketprep("topics", "create")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"Error: {many} has 5 partitions, and topics.Korea.partitions says 4: Kafka cannot take "
        "any away, so set topics.Korea.partitions to 5 or use another topic.\n"
    )
    assert partitions(cluster) == {"neSocketDataIn-ticker": 1, "koraSocketDataIn-ticker": 5}
    for deleted in cluster.admin.delete_topics([many]).values():
        deleted.result()
    wait_until(lambda: len(partitions(cluster)) == 1, "deletion")
    done = cluster.marketprep("topics", "create")
    assert done.returncode == 0
    assert f"{few}: extended from 1 to 2 partitions" in done.stdout
    assert f"{many}: created with 4 partitions" in done.stdout
    assert partitions(cluster)["neSocketDataIn-ticker"] == 2


def test_another_replication_is_refused(cluster: Cluster) -> None:
    cluster.create_topics()
    cluster.configure(topics={"replication_factor": 2})
    refused = cluster.marketprep("topics", "create")
    assert refused.returncode == 1
    assert refused.stderr.count("is replicated 1 times, and topics.replication_factor says 2") == 21


def test_more_replicas_than_brokers(cluster: Cluster) -> None:
    cluster.configure(topics={"replication_factor": 32})
    refused = cluster.marketprep("topics", "create")
    assert refused.returncode == 1
    assert "could not be made: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_list_shows_partitions_replication_and_size(cluster: Cluster) -> None:
    missing = cluster.marketprep("topics", "list")
    assert (missing.returncode, missing.stdout.count("missing")) == (0, 21)
    assert "`marketprep topics create`" in missing.stderr
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, [b"x" * 50_000])
    listed = cluster.marketprep("topics", "list")
    rows = {row.split()[0]: row.split()[1:] for row in listed.stdout.splitlines()}
    assert rows.pop("topic") == ["partitions", "replication", "bytes"]
    assert len(rows) == 21
    *counts, size = rows[topics.input]
    assert counts == ["4", "1"]
    assert 50_000 < int(size.replace(",", "")) < 51_000
    assert listed.stderr == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (
            3,
            "has 3 partitions, and topics.Korea.partitions says 4: `marketprep topics create` adds",
        ),
        (6, "has 6 partitions, and topics.Korea.partitions says 4: Kafka cannot take any away"),
    ],
)
def test_run_refuses_wrong_partition_counts(cluster: Cluster, count: int, text: str) -> None:
    topics, _ = cluster.of("upbit", "ticker")
    if count < 4:
        cluster.admin.create_topics([NewTopic(topics.input, count, 1)])[topics.input].result()
    else:
        cluster.create_topics()
        grown = cluster.admin.create_partitions([NewPartitions(topics.input, count)])
        grown[topics.input].result()
    told = []

    def is_told() -> bool:  # brokers hear of new partitions a little later
        done = cluster.marketprep("run", "--until-end", "--exchange", "upbit")
        told.append(done.stderr)
        return done.returncode == 1 and f"Error: {topics.input} {text}" in done.stderr

    wait_until(is_told, "the refusal")
    assert "Traceback" not in told[-1]


def test_run_refuses_missing_topics(cluster: Cluster) -> None:
    done = cluster.marketprep("run", "--exchange", "kraken", "--kind", "ticker")
    prefix = cluster.prefix
    assert done.returncode == 1
    assert (
        f"There is no topic {prefix}neSocketDataIn-ticker, {prefix}Region.NE_TickerPreprocessing, "
        f"{prefix}neSocketDataIn-ticker-DLT: `marketprep topics create`, with the same"
    ) in done.stderr
    fed = cluster.marketprep("simulate", "topics", "--exchange", "kraken", "--kind", "ticker")
    assert fed.returncode == 1
    assert f"Error: There is no topic {prefix}neSocketDataIn-ticker: " in fed.stderr


def test_simulate_refuses_wrong_topics(cluster: Cluster) -> None:
    topics, _ = cluster.of("korbit", "ticker")
    small = {"max.message.bytes": "500"}
    cluster.admin.create_topics([NewTopic(topics.input, 1, 1, config=small)])[topics.input].result()
    feed = ("simulate", "topics", "--exchange", "korbit", "--kind", "ticker")
    fed = cluster.marketprep(*feed)
    assert fed.returncode == 1
    assert fed.stderr.startswith(f"Error: {topics.input} has 1 partitions, and topics.Korea")
    cluster.create_topics()
    fed = cluster.marketprep(*feed)
    assert fed.returncode == 1
    assert f"Error: A batch is larger than the topic {topics.input} allows" in fed.stderr
    assert "Traceback" not in fed.stderr


def test_simulate_at_a_rate_until_ctrl_c(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("okx", "ticker")
    truth = cluster.folder / "truth"
    arguments = ("--exchange", "okx", "--kind", "ticker", "--rate", "20", "--truth", truth)
    began = time.monotonic()
    feed = cluster.start("simulate", "topics", *arguments)
    wait_until(lambda: cluster.end(topics.input, partition) >= 10, "envelopes")
    feed.send_signal(signal.SIGINT)
    _, told = feed.communicate(timeout=120)
    elapsed = time.monotonic() - began
    assert feed.returncode == 0
    found = re.search(
        rb"^([\d,]+) envelopes, [\d,]+ items of 1 exchanges and kinds on ", told, re.MULTILINE
    )
    assert found, told
    envelopes = int(found[1].replace(b",", b""))
    assert envelopes == cluster.end(topics.input, partition)
    assert envelopes <= 20 * elapsed + 1, "no faster than was asked for"
    cluster.run_until_end("--exchange", "okx", "--kind", "ticker")
    assert cluster.records("okx", "ticker") == lines_of(truth / "okx.ticker.expected.jsonl")


def test_a_seed_is_a_market_on_topics_too(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "orderbook")
    fed = ("simulate", "topics", "--exchange", "upbit", "--kind", "orderbook", "--megabytes", "0.1")
    for _ in range(2):
        assert cluster.marketprep(*fed, "--seed", "9").returncode == 0
    values = [message.value() for message in cluster.consume(topics.input, partition)]
    half = len(values) // 2
    assert values[:half] == values[half:] != []
