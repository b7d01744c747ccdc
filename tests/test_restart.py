"""Order books outlive the process: after any end, the next record is what it would have been."""

import json
import os
import random
import time

import click
import pytest
from confluent_kafka import TopicPartition as Place

from cluster import Cluster
from conftest import FIXTURES, lines_of, without_unknown_times
from marketprep._core import Market
from restarts import Restored, expected, feeding, feeds, killed, send, without_repetitions

#: How often the service is killed.
KILLS = int(os.environ.get("MARKETPREP_TEST_KILLS", "6"))

#: Exchanges all of whose messages, as the simulator makes them, change books that are kept.
KEPT = ("bybit", "kraken", "okx")


@pytest.mark.parametrize("exchange", KEPT)
def test_another_process_goes_on_with_the_books(cluster: Cluster, exchange: str) -> None:
    """With the last checkpoints, and with none since long: what is missing is read again."""
    cluster.create_topics()
    topics, partition = cluster.of(exchange, "orderbook")
    stretch = Market(exchange, "orderbook", "reserialised", 5, True).envelopes(1_500_000)  # noqa: FBT003
    envelopes, truth = stretch.lines.splitlines(), stretch.truth.splitlines()
    third = len(envelopes) // 3
    for number, every in ((0, None), (1, 3600), (2, 0.001)):
        cluster.configure(books={"checkpoint_every_s": every or 5})
        end = len(envelopes) if number == 2 else (number + 1) * third
        cluster.produce(topics.input, partition, envelopes[number * third : end])
        told = cluster.run_until_end("--exchange", exchange)
        assert "held back 0, rejected 0" in told
    records = cluster.records(exchange, "orderbook")
    assert without_unknown_times(records, truth) == truth


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_kills_at_any_time(cluster: Cluster, delivery: str) -> None:
    cluster.configure(delivery=delivery)
    cluster.create_topics()
    all_feeds, rng = feeds(), random.Random(7)  # noqa: S311 - to be reproducible, not secret
    restored: list[Restored] = []
    begin = time.monotonic()
    with feeding(cluster, all_feeds, 30):
        for _ in range(KILLS):
            restored += killed(cluster, rng, 1.5)
    seconds = time.monotonic() - begin
    assert cluster.marketprep("run", "--until-end", "--kind", "orderbook").returncode == 0
    assert sum(one.books for one in restored) > KILLS
    assert sum(one.replayed for one in restored) > KILLS
    written = messages = repeated = 0
    for feed in all_feeds:
        topics, partition = cluster.of(feed.exchange, "orderbook")
        times = [one.timestamp()[1] for one in cluster.consume(topics.input, partition)]
        wanted = expected(feed, times)
        records = cluster.records(feed.exchange, "orderbook")
        assert wanted
        if delivery == "exactly_once":
            assert records == wanted, feed.exchange
        assert without_repetitions(records) == without_repetitions(wanted), feed.exchange
        messages += len(feed.values)
        repeated += len(records) - len(wanted)
        checkpoints = cluster.consume(*saved(cluster, feed.exchange))
        written += sum(len(one.value() or b"") for one in checkpoints)
    slowest = max(restored, key=lambda one: one.seconds)
    click.echo(f"{KILLS} kills in {seconds:.0f} s, {messages} messages, {repeated} repeated")
    click.echo(f"{len(restored)} partitions restored, the slowest: {slowest}")
    click.echo(f"mean {sum(one.seconds for one in restored) / len(restored):.3f} s")
    click.echo(
        f"checkpoints before compression: {written / seconds / len(all_feeds):.0f} bytes/s a book"
    )


def saved(cluster: Cluster, exchange: str) -> tuple[str, int]:
    """The topic of its checkpoints, and its partition there."""
    topics, partition = cluster.of(exchange, "orderbook")
    return f"{topics.input}-Books", partition


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"{}", "a book starts cold"),
        (b'{"version":9,"crc32":0,"book":{}}', "written by a later version"),
    ],
)
def test_a_checkpoint_that_cannot_be_used(cluster: Cluster, value: bytes, told: str) -> None:
    """That book starts cold, until its next snapshot; nothing else suffers."""
    cluster.create_topics()
    okx, bybit = feeds()[:2]
    for feed in (okx, bybit):
        send(cluster, feed, 50)
    cluster.run_until_end("--region", "asia")
    topic, partition = saved(cluster, "okx")
    keys = [message.key() for message in cluster.consume(topic, partition)]
    [key] = {key for key in keys if key and b"kept" in key}
    cluster.produce(topic, partition, [value], key=key)
    for feed in (okx, bybit):
        send(cluster, feed, 50)
    done = cluster.marketprep("run", "--until-end", "--region", "asia")
    assert done.returncode == 0
    assert told in done.stderr
    assert len(cluster.records("okx", "orderbook")) == 50
    assert len(cluster.records("bybit", "orderbook")) == 100


@pytest.mark.parametrize("value", [b"{}", b'{"version":2,"next_offset":5}', b"\xff"])
def test_a_round_that_cannot_be_used(cluster: Cluster, value: bytes) -> None:
    cluster.create_topics()
    okx = feeds()[0]
    send(cluster, okx, 50)
    cluster.run_until_end("--exchange", "okx")
    topic, partition = saved(cluster, "okx")
    mark = cluster.consume(topic, partition)[-1]
    assert json.loads(mark.value() or b"") == {"version": 1, "next_offset": 50}
    cluster.produce(topic, partition, [value], key=mark.key())
    send(cluster, okx, 50)
    done = cluster.marketprep("run", "--until-end", "--exchange", "okx")
    assert "checkpoints cannot be used: they are damaged, or of a later version" in done.stderr
    assert len(cluster.records("okx", "orderbook")) == 50


def test_offsets_that_were_set_back(cluster: Cluster) -> None:
    """Books that know messages which are to come again start cold."""
    cluster.create_topics()
    okx = feeds()[0]
    send(cluster, okx, 50)
    cluster.run_until_end("--exchange", "okx")
    cluster.commit("okx", "orderbook", 0)
    done = cluster.marketprep("run", "--until-end", "--exchange", "okx")
    assert "books start cold: their checkpoints are ahead of the committed offset" in done.stderr
    records = cluster.records("okx", "orderbook")
    assert records == [*records[:50]] * 2


def test_messages_that_are_gone(cluster: Cluster) -> None:
    """What a book would have to read again may be deleted: its numbers tell that it is missing."""
    cluster.create_topics()
    cluster.configure(books={"checkpoint_every_s": 3600})
    okx = feeds()[0]
    send(cluster, okx, 20)
    cluster.run_until_end("--exchange", "okx")
    send(cluster, okx, 50)
    topics, partition = cluster.of("okx", "orderbook")
    cluster.commit("okx", "orderbook", 70)  # as if another had read them
    [deleted] = cluster.admin.delete_records([Place(topics.input, partition, 60)]).values()
    deleted.result()
    send(cluster, okx, 30)
    done = cluster.marketprep("run", "--until-end", "--exchange", "okx")
    assert "messages that books need are there no more" in done.stderr
    assert "held back 30 (suspect 30)" in done.stderr
    assert len(cluster.records("okx", "orderbook")) == 20


def test_what_keeps_no_books_is_not_read_again(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "orderbook")
    values = lines_of(FIXTURES / "upbit" / "orderbook.jsonl")
    for _ in range(2):
        cluster.produce(topics.input, partition, values)
        done = cluster.marketprep("run", "--until-end", "--exchange", "upbit")
    [restored] = [line for line in done.stderr.splitlines() if "books restored" in line]
    assert json.loads(restored)["replayed"] == 0


def test_a_topic_that_was_made_anew(cluster: Cluster) -> None:
    """Books that were restored know other messages by its offsets."""
    cluster.configure(consumer={"lost_offset": "earliest"})
    cluster.create_topics()
    okx, anew = feeds(), feeds(9)
    send(cluster, okx[0], 50)
    cluster.run_until_end("--exchange", "okx")
    topics, _ = cluster.of("okx", "orderbook")
    cluster.delete_topic(topics.input)
    cluster.create_topics()
    send(cluster, anew[0], 20)
    done = cluster.marketprep("run", "--until-end", "--exchange", "okx")
    assert done.returncode == 0, done.stderr
    assert len(cluster.records("okx", "orderbook")) == 70


def test_without_checkpoints(cluster: Cluster) -> None:
    cluster.configure(books={"checkpoint_every_s": None})
    cluster.create_topics()
    okx = feeds()[0]
    for _ in range(2):
        send(cluster, okx, 50)
        cluster.run_until_end("--exchange", "okx")
    assert saved(cluster, "okx")[0] not in cluster.admin.list_topics().topics
    assert len(cluster.records("okx", "orderbook")) == 50
