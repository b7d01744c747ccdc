"""`deadletters` on a real Kafka: what is listed and shown, and that each is replayed once."""

import base64
import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from confluent_kafka import IsolationLevel, Message, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster, Headers, headers_of, java_of, wait_until
from conftest import FIXTURES, lines_of
from marketprep.kafka import KafkaFailure
from marketprep.local import LocalKafka
from marketprep.replayed import Note, Notes
from marketprep.settings import load_settings

KILLS = int(os.environ.get("MARKETPREP_TEST_KILLS", "4"))

UPBIT = lines_of(FIXTURES / "upbit" / "ticker.jsonl")
UPBIT_RECORDS = lines_of(FIXTURES / "upbit" / "ticker.expected.jsonl")
KEY = b'"UPBIT:ticker-BTC"'
#: Some days ago, as brokers delete what is older than a week.
TIME = int(time.time() - 300_000) * 1000 + 500
TIME_TEXT = f"{datetime.fromtimestamp(TIME / 1000, UTC):%Y-%m-%dT%H:%M:%S}"


def headers(cluster: Cluster, **more: str) -> Headers:
    """Headers of a dead letter of Upbit's tickers."""
    topics, partition = cluster.of("upbit", "ticker")
    described = {
        "reason": "not_json",
        "detail": "no JSON",
        "topic": topics.input,
        "partition": str(partition),
        "offset": "0",
        "kind": "ticker",
        "item": "0",
        "exchange": "upbit",
    } | more
    ours = [(f"marketprep.{name}", value.encode()) for name, value in described.items()]
    return [("collector", b"\xff7"), ("empty", None), *ours]


def put(cluster: Cluster, values: Sequence[bytes | None], **more: str) -> tuple[str, str, int]:
    """Puts dead letters of Upbit's tickers; their topic, that of the input, and the partition."""
    topics, partition = cluster.of("upbit", "ticker")
    letters, described = f"{topics.input}-DLT", headers(cluster, **more)
    more_of_producer = {"enable_idempotence": True}  # else what is sent again may change places
    cluster.produce(
        letters,
        partition,
        values,
        key=KEY,
        headers=described,
        timestamp=TIME,
        **more_of_producer,
    )
    return letters, topics.input, partition


def listed(cluster: Cluster, *arguments: str) -> list[dict[str, object]]:
    done = cluster.marketprep("deadletters", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def settle(cluster: Cluster) -> None:
    """Waits until readers see what was committed, which is a moment later than the commit."""
    topics = cluster.admin.list_topics(timeout=10).topics
    places = [
        Place(name, partition)
        for name, topic in topics.items()
        if cluster.is_mine(name)
        for partition in topic.partitions
    ]

    def ends(isolation: IsolationLevel) -> list[int]:
        asked = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]
        found = cluster.admin.list_offsets(asked, isolation_level=isolation)
        return [found[place].result().offset for place in places]

    wait_until(
        lambda: ends(IsolationLevel.READ_COMMITTED) == ends(IsolationLevel.READ_UNCOMMITTED),
        "the end of all transactions",
    )


def replay(cluster: Cluster, *arguments: str) -> str:
    """Replays, and returns the line that tells what was done."""
    done = cluster.marketprep("deadletters", "replay", *arguments)
    assert done.returncode == 0, done.stderr
    settle(cluster)
    [line] = done.stderr.splitlines()
    return line


def told(now: int, earlier: int = 0, failed: int = 0, what: str = "replayed") -> str:
    hint = " (--again replays these too)" if failed else ""
    return (
        f"{what} {now:,}, left out: replayed earlier {earlier:,}, "
        f"failed again after a replay {failed:,}{hint}"
    )


def values_of(messages: Sequence[Message]) -> list[bytes | None]:
    return [message.value() for message in messages]


def test_what_is_listed_shown_and_replayed(cluster: Cluster) -> None:  # noqa: PLR0915 - in its order
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    good = json.loads(UPBIT[0])
    bad = json.dumps(good | {"data": ['{"code": "KRW-BTC"}']}).encode()
    unknown = json.dumps(good | {"market": "MTGOX"}).encode()
    values = [UPBIT[0], bad, b"\xff\x00no envelope", unknown, bad]
    given: Headers = [("collector", b"7"), ("empty", None)]
    cluster.produce(topics.input, partition, values, key=KEY, headers=given, timestamp=TIME)
    cluster.run_until_end("--exchange", "upbit")
    name = f"{topics.input}-DLT"

    rows = {row["reason"]: row for row in listed(cluster)}
    assert {reason: row["count"] for reason, row in rows.items()} == {
        "missing_field": 2,
        "not_an_envelope": 1,
        "unknown_market": 1,
    }
    row = rows["missing_field"]
    assert row.pop("detail")
    assert row == {
        "topic": name,
        "region": "Korea",
        "kind": "ticker",
        "reason": "missing_field",
        "exchange": "upbit",
        "count": 2,
        "replayed": 0,
        "first": f"{TIME_TEXT}.500Z",
        "last": f"{TIME_TEXT}.500Z",
        "sample": f"{name}:{partition}:3",
    }
    assert rows["not_an_envelope"]["exchange"] == "upbit", "that of the partition"
    table = cluster.marketprep("deadletters", "list")
    assert (table.returncode, table.stderr) == (0, "")
    lines = table.stdout.splitlines()
    assert lines[0].split() == [
        *("reason", "exchange", "letters", "replayed", "first", "last", "sample", "detail")
    ]
    assert lines[1].split()[:7] == [
        *("missing_field", "upbit", "2", "0"),
        *(f"{TIME_TEXT}Z", f"{TIME_TEXT}Z", f"{name}:{partition}:3"),
    ]
    assert len(lines) == 4

    shown = cluster.marketprep("deadletters", "show", f"{name}:{partition}:0")
    assert (shown.returncode, shown.stderr) == (0, "")
    head, _, value = shown.stdout.partition("\n\n")
    assert value == bad.decode() + "\n"
    assert f"place: {name}:{partition}:0\ntime: {TIME_TEXT}.500Z\n" in head
    assert f"\nkey: {KEY.decode()}\ncollector: 7\nempty: (none)\nmarketprep.reason: miss" in head
    shown = cluster.marketprep("deadletters", "show", f"{name}:{partition}:1")
    encoded = base64.b64encode(values[2]).decode()
    assert shown.stdout.endswith(f"\n\nbase64 {encoded}\n")
    raw = cluster.start("deadletters", "show", "--raw", f"{name}:{partition}:1")
    assert raw.communicate(timeout=120) == (values[2], b"")

    assert replay(cluster, "--dry-run") == told(4, what="to replay")
    assert cluster.end(topics.input, partition) == len(values)
    assert replay(cluster) == told(4)
    again = cluster.consume(topics.input, partition)[len(values) :]
    assert values_of(again) == values[1:]
    for message in again:
        assert (message.key(), message.timestamp()[1]) == (KEY, TIME)
        assert headers_of(message) == [*given, ("marketprep.attempt", b"1")]
    assert [row["replayed"] for row in listed(cluster)] == [2, 1, 1]
    assert replay(cluster) == told(0, 4)
    assert len(cluster.consume(topics.input, partition)) == 9

    cluster.run_until_end("--exchange", "upbit")
    letters = cluster.dead_letters("upbit", "ticker")
    assert values_of(letters[4:]) == values[1:]
    assert [dict(headers_of(letter)).get("marketprep.attempt") for letter in letters] == [
        *[None] * 4,
        *[b"1"] * 4,
    ]
    assert replay(cluster) == told(0, 4, 4)
    assert replay(cluster, "--again", "--reason", "unknown_market") == told(1, 1)
    [last] = cluster.consume(topics.input, partition)[9:]
    assert (last.value(), headers_of(last)) == (unknown, [*given, ("marketprep.attempt", b"2")])
    assert replay(cluster, "--again") == told(3, 5)
    assert replay(cluster, "--again") == told(0, 8)


def test_what_was_mended_leads_to_records(cluster: Cluster) -> None:
    cluster.create_topics()
    put(cluster, UPBIT[:1])
    assert replay(cluster) == told(1)
    told_by_run = cluster.run_until_end("--exchange", "upbit", "--kind", "ticker")
    assert "rejected 0" in told_by_run
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1]


def test_a_part(cluster: Cluster) -> None:
    cluster.create_topics()
    letters, topic, partition = put(cluster, [b"a", b"b"])
    put(cluster, [b"c"], reason="too_deep")
    put(cluster, [b"d", b"e"], exchange="okx")
    others, _ = cluster.of("kraken", "orderbook")
    cluster.produce(f"{others.input}-DLT", 1, [b"f"], headers=[("marketprep.reason", b"too_deep")])

    def found(*arguments: str) -> list[tuple[object, object, object]]:
        rows = listed(cluster, *arguments)
        return [(row["reason"], row["exchange"], row["count"]) for row in rows]

    everything = [("not_json", "okx", 2), ("not_json", "upbit", 2), ("too_deep", "upbit", 1)]
    kraken = ("too_deep", "kraken", 1)
    assert found() == [*everything, kraken]
    assert found("--region", "korea", "--kind", "ticker") == everything
    assert found("--kind", "orderbook") == [kraken]
    assert found("--exchange", "okx", "--exchange", "kraken") == [everything[0], kraken]
    assert found("--reason", "too_deep") == [everything[2], kraken]
    assert found("--region", "asia") == []
    assert (
        "no dead letters"
        in cluster.marketprep("deadletters", "list", "--region", "NE", "--kind", "ticker").stderr
    )
    # what is between others that are replayed stays, and is not taken for replayed later
    assert replay(cluster, "--reason", "too_deep", "--region", "Korea") == told(1)
    assert replay(cluster, f"{letters}:{partition}:1") == told(1)
    assert replay(cluster, f"{letters}:{partition}:1") == told(0, 1)
    assert replay(cluster, "--exchange", "okx") == told(2)
    assert replay(cluster, "--kind", "orderbook") == told(1)
    assert [(row["count"], row["replayed"]) for row in listed(cluster)] == [
        *((2, 2), (2, 1), (1, 1), (1, 1))
    ]
    assert replay(cluster) == told(1, 5)
    values = values_of(cluster.consume(topic, partition))
    assert values == [b"c", b"b", b"d", b"e", b"a"]
    assert values_of(cluster.consume(others.input, 1)) == [b"f"]


def test_messages_of_others(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("bithumb", "orderbook")
    letters = f"{topics.input}-DLT"
    escape = b"\x1b[2J[red]\n" + "é".encode()
    given: Headers = [("a", b"1"), ("marketprep.detail", escape)]
    cluster.produce(letters, partition, [b"theirs", None], key=b"\x00k", headers=given)
    cluster.produce(letters, 3, [None, escape])
    rows = listed(cluster)
    assert [(row["reason"], row["exchange"], row["count"]) for row in rows] == [
        *(("(none)", "bithumb", 2), ("(none)", "korbit", 2))
    ]
    assert rows[0]["detail"] == escape.decode()
    table = cluster.marketprep("deadletters", "list").stdout
    assert "\\x1b[2J[red] é" in table
    assert "\x1b" not in table
    shown = cluster.marketprep("deadletters", "show", f"{letters}:3:1").stdout
    assert shown.endswith("\n\n\\x1b[2J[red]\né\n")
    assert replay(cluster, "--reason", "not_json") == told(0)
    assert replay(cluster, "--reason", "(none)") == told(4)
    messages = cluster.consume(topics.input, partition)
    assert values_of(messages) == [b"theirs", None]
    assert [message.key() for message in messages] == [b"\x00k"] * 2
    assert headers_of(messages[0]) == [("a", b"1"), ("marketprep.attempt", b"1")]
    assert values_of(cluster.consume(topics.input, 3)) == [b"", escape], "nothing cannot be sent"


def test_letters_that_name_no_input_topic(cluster: Cluster) -> None:
    """They are named and left out, and hold up none after them; --to says where to put them."""
    cluster.create_topics()
    output = cluster.of("upbit", "ticker")[0].output
    other = f"{cluster.prefix}other"
    cluster.admin.create_topics([NewTopic(other, 4, 1)])[other].result()
    wait_until(lambda: other in cluster.admin.list_topics(timeout=10).topics, "the topic")
    letters, topic, partition = put(cluster, [b"a"], topic="gone")
    put(cluster, [b"b"], partition="99")
    foreign = [f"{letters}-Replayed", "__consumer_offsets", "__transaction_state", output, other]
    for name in foreign:
        put(cluster, [name.encode()], topic=name)
    put(cluster, [b"escape"], topic="\x1b[2J")
    put(cluster, [b"d"])
    done = cluster.marketprep("deadletters", "replay")
    settle(cluster)
    assert done.returncode == 1
    [line, error] = done.stderr.splitlines()
    assert line == told(1)
    named = {"gone": 0, **{name: number for number, name in enumerate(foreign, 2)}, "\\x1b[2J": 7}
    places = [
        f"{name}, partition {partition} (by {letters}:{partition}:{at})"
        for name, at in named.items()
    ]
    places.append(f"{topic}, partition 99 (by {letters}:{partition}:1)")
    start = "Error: Dead letters left out: 8. They name what is no partition of an input topic in "
    start += "the settings: "
    assert error.startswith(start)
    rest = error.removeprefix(start)
    listing, _, remedy = rest.partition(". Correct")
    assert sorted(listing.split("; ")) == sorted(places)
    assert remedy.endswith("or name an existing topic with --to.")
    assert values_of(cluster.consume(topic, partition)) == [b"d"]
    assert [cluster.end(name, partition) for name in (output, other)] == [0, 0]

    for wrong in (output, letters, f"{letters}-Replayed", "__consumer_offsets"):
        done = cluster.marketprep("deadletters", "replay", "--to", wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{wrong} is written by" in done.stderr
    done = cluster.marketprep("deadletters", "replay", "--to", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--to: is empty: name a topic" in done.stderr
    done = cluster.marketprep("deadletters", "replay", "--to", "gone")
    assert (done.returncode, done.stderr) == (
        *(1, "Error: There is no topic gone: name another with --to.\n"),
    )
    assert replay(cluster, f"{letters}:{partition}:0", "--to", other) == told(1)
    done = cluster.marketprep("deadletters", "replay", "--to", other)
    settle(cluster)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, told(6, 2))
    assert "Dead letters left out: 1. " in done.stderr
    assert f"{topic}, partition 99 (by {letters}:{partition}:1)" in done.stderr
    expected = [b"a", *(name.encode() for name in foreign), b"escape"]
    assert values_of(cluster.consume(other, partition)) == expected
    assert values_of(cluster.consume(topic, partition)) == [b"d"]


def test_places(cluster: Cluster) -> None:
    cluster.create_topics()
    letters, topic, partition = put(cluster, [b"a"])
    producer = Producer(
        {"bootstrap.servers": cluster.address, "transactional.id": f"{cluster.prefix}id"}
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(letters, b"undone", partition=partition)
    producer.flush()
    producer.abort_transaction()
    for command in ("show", "replay"):
        for wrong in (letters, f"{letters}:0", f"{letters}:0:-1", f"{topic}:0:0", "x:0:0", ":0:0"):
            done = cluster.marketprep("deadletters", command, "--", wrong)
            assert (done.returncode, done.stdout) == (2, ""), wrong
            assert "Traceback" not in done.stderr
        for place, text in (
            (f"{letters}:77:0", f"{letters} has no partition 77, only 4."),
            (f"{letters}:{partition}:9999999999999999999", "in that partition there is offsets 0 "),
            (f"{letters}:{partition}:1", "that offset is a mark of a transaction, or of a message"),
            (f"{letters}:{partition}:2", "that offset is a mark of a transaction, or of a message"),
            (f"{letters}:{partition}:3", "in that partition there is offsets 0 to 2."),
            (f"{letters}:3:0", "in that partition there is nothing."),
        ):
            done = cluster.marketprep("deadletters", command, place)
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert done.stderr.startswith("Error: ")
            assert text in done.stderr
            assert len(done.stderr.splitlines()) == 1
    done = cluster.marketprep(
        "deadletters", "replay", f"{letters}:{partition}:0", "--kind", "ticker"
    )
    assert done.returncode == 2
    assert replay(cluster, f"{letters}:{partition}:0") == told(1)


def test_topics_that_are_not_there(cluster: Cluster) -> None:
    done = cluster.marketprep("deadletters", "list", "--region", "NE")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"there is no topic {cluster.prefix}neSocketDataIn-ticker-DLT\n"
        f"there is no topic {cluster.prefix}neSocketDataIn-Orderbook-DLT\n"
        "there are no dead letters\n"
    )
    assert replay(cluster) == told(0)
    place = f"{cluster.prefix}neSocketDataIn-ticker-DLT:0:0"
    done = cluster.marketprep("deadletters", "show", place)
    assert (done.returncode, "There is no topic" in done.stderr) == (1, True)


def test_large_ones_and_old_ones(cluster: Cluster) -> None:
    cluster.create_topics()
    large = [os.urandom((16 << 20) - 3000), b"\xfe" * 20_000_000]
    topics, partition = cluster.of("upbit", "ticker")
    letters = f"{topics.input}-DLT"
    cluster.produce(letters, partition, [b"a", *large, b"b"], compression_type="zstd")
    assert replay(cluster) == told(4)
    assert values_of(cluster.consume(topics.input, partition)) == [b"a", *large, b"b"]


def test_what_kafka_refuses_is_not_replayed(cluster: Cluster) -> None:
    topics, _ = cluster.of("upbit", "ticker")
    small = {"max.message.bytes": "800"}
    cluster.admin.create_topics([NewTopic(topics.input, 4, 1, config=small)])[topics.input].result()
    cluster.create_topics()
    letters, topic, partition = put(cluster, [b"a", os.urandom(900), b"b"])
    done = cluster.marketprep("deadletters", "replay")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: A batch is larger than the topic {topic} allows: raise the topic's "
        "max.message.bytes.\n"
    )
    assert cluster.consume(topic, partition) == []
    assert [row["replayed"] for row in listed(cluster)] == [0]
    for offset in (0, 2):
        assert replay(cluster, f"{letters}:{partition}:{offset}") == told(1)
    assert values_of(cluster.consume(topic, partition)) == [b"a", b"b"]


def test_a_topic_that_was_made_anew(cluster: Cluster) -> None:
    cluster.create_topics()
    letters, topic, partition = put(cluster, [b"a", b"b"])
    assert replay(cluster) == told(2)
    cluster.delete_topic(letters)
    cluster.create_topics()
    for values in ([b"c"], [b"d", b"e"]):
        put(cluster, values)
        done = cluster.marketprep("deadletters", "replay")
        assert (done.returncode, done.stdout) == (1, "")
        [error] = done.stderr.splitlines()
        assert error.endswith(
            f"Delete {letters}-Replayed too, to have all dead letters replayed that are there."
        )
    cluster.delete_topic(f"{letters}-Replayed")
    assert replay(cluster) == told(3)
    assert values_of(cluster.consume(topic, partition)) == [b"a", b"b", b"c", b"d", b"e"]


def test_notes_that_nobody_understands(cluster: Cluster) -> None:
    cluster.create_topics()
    letters, topic, partition = put(cluster, [b"a"])
    assert replay(cluster) == told(1)
    cluster.produce(f"{letters}-Replayed", partition, [b'{"version":2}'], key=b"[0,9]")
    done = cluster.marketprep("deadletters", "replay")
    assert done.returncode == 1
    assert f"The note at {letters}-Replayed:{partition}:2, which tells what" in done.stderr
    assert len(cluster.consume(topic, partition)) == 1


def many(cluster: Cluster, count: int) -> tuple[list[bytes], str, str, int]:
    """Puts so many dead letters, in this order."""
    values = [b"%d %s" % (number, b"x" * 100) for number in range(count)]
    letters, topic, partition = put(cluster, values)
    assert values_of(cluster.consume(letters, partition)) == values
    return values, letters, topic, partition


def are_once(cluster: Cluster, topic: str, partition: int, values: Sequence[bytes]) -> None:
    """Checks that each value is on a topic once, in order, for readers of what is committed."""
    found = values_of(cluster.consume(topic, partition))
    twice = [value for value, count in Counter(found).items() if count > 1]
    lost = set(values) - set(found)
    assert (len(found), twice[:5], sorted(lost)[:5]) == (len(values), [], [])
    assert found == values


def is_on_its_way(cluster: Cluster, topic: str, partition: int) -> None:
    """Waits until a replay sends."""
    end = cluster.end(topic, partition)
    wait_until(lambda: cluster.end(topic, partition) > end, "a transaction")


def replayed_so_far(cluster: Cluster) -> object:
    return sum(int(str(row["replayed"])) for row in listed(cluster))


def test_killed_at_any_moment(cluster: Cluster) -> None:
    cluster.create_topics()
    values, _, topic, partition = many(cluster, 40_000)
    chance = random.Random(7)  # noqa: S311 - no secret
    kills, done = 0, 0
    while kills < KILLS and done < len(values):
        replaying = cluster.start("deadletters", "replay")
        is_on_its_way(cluster, topic, partition)
        time.sleep(chance.random() * 0.2)
        replaying.kill()
        replaying.communicate()
        done = len(cluster.consume(topic, partition))
        kills += done < len(values)
    assert kills > 1, "killed too late to tell anything"
    line = replay(cluster)
    are_once(cluster, topic, partition, values)
    assert line == told(len(values) - done, done) or done == len(values)
    assert replayed_so_far(cluster) == len(values)
    assert replay(cluster) == told(0, len(values))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_behind_a_transaction(cluster: Cluster, number: signal.Signals) -> None:
    cluster.create_topics()
    values, _, topic, partition = many(cluster, 40_000)
    replaying = cluster.start("deadletters", "replay")
    is_on_its_way(cluster, topic, partition)
    replaying.send_signal(number)
    out, error = replaying.communicate(timeout=120)
    assert replaying.returncode == 130, error
    [line, interrupted] = error.decode().splitlines()
    assert interrupted == "interrupted: running it again goes on"
    settle(cluster)
    done = len(cluster.consume(topic, partition))
    assert 0 < done < len(values)
    assert line == told(done)
    assert out.decode().splitlines()[1].split() == ["not_json", "upbit", f"{done:,}", "0", "0"]
    assert replay(cluster) == told(len(values) - done, done)
    are_once(cluster, topic, partition, values)


def test_another_one_takes_its_place(cluster: Cluster) -> None:
    cluster.create_topics()
    values, letters, topic, partition = many(cluster, 40_000)
    first = cluster.start("deadletters", "replay")
    is_on_its_way(cluster, topic, partition)
    first.send_signal(signal.SIGSTOP)
    line = replay(cluster)
    found = re.fullmatch(r"replayed ([\d,]+), left out: replayed earlier ([\d,]+), .*", line)
    assert found, line
    of_second, of_first = (int(number.replace(",", "")) for number in found.groups())
    assert (of_first > 0, of_second > 0, of_first + of_second) == (True, True, len(values))
    first.send_signal(signal.SIGCONT)
    _, error = first.communicate(timeout=120)
    told_by_first = error.decode().splitlines()
    assert first.returncode == 1, told_by_first
    # it may have stood still between a commit and the word of it, so it may not know of the last
    assert told_by_first[0] in (told(of_first), told(of_first - 1000))
    assert len(told_by_first) == 2
    assert told_by_first[1].startswith(f"Error: Another replay of {letters} has begun and goes on ")
    are_once(cluster, topic, partition, values)


def test_two_side_by_side(cluster: Cluster) -> None:
    cluster.create_topics()
    values, _, topic, partition = many(cluster, 10_000)
    both = [cluster.start("deadletters", "replay") for _ in range(2)]
    for one in both:
        _, error = one.communicate(timeout=120)
        assert one.returncode == 0 or b"Another replay" in error.splitlines()[-1], error
    assert 0 in {one.returncode for one in both}
    settle(cluster)
    are_once(cluster, topic, partition, values)


def test_brokers_that_fall_silent(tmp_path: Path) -> None:
    folder = {"local_kafka.folder": str(tmp_path / "kafka")}
    with (
        LocalKafka(load_settings(options=folder).local_kafka, print) as kafka,
        Cluster(kafka.address, tmp_path) as cluster,
    ):
        cluster.configure(kafka={"transaction_timeout_ms": 3000, "request_timeout_ms": 3000})
        cluster.create_topics()
        values, _, topic, partition = many(cluster, 90_000)
        [broker] = java_of(tmp_path / "kafka")  # looked for now, as the replay does not take long
        replaying = cluster.start("deadletters", "replay")
        while cluster.end(topic, partition) < 5_000:  # some transactions have ended by then
            assert replaying.poll() is None
        broker.suspend()
        _, error = replaying.communicate(timeout=120)
        broker.resume()
        [line, sentence] = error.decode().splitlines()
        assert replaying.returncode == 1
        assert sentence.startswith(f"Error: Kafka at {kafka.address} did not answer in time")
        assert line.startswith("replayed ")
        again = replay(cluster)
        assert again.startswith("replayed ")
        assert not again.startswith(("replayed 0", "replayed 90,000"))
        are_once(cluster, topic, partition, values)


# Notes, by law


def record(offset: int, value: bytes = b"", topic_value: bytes | None = None) -> ConsumerRecord:
    content = value if topic_value is None else topic_value
    return ConsumerRecord("letters", 2, offset, 5, 0, b"k", content, None, 1, len(content), ())


@given(st.data())
def test_notes_have_what_was_replayed_and_nothing_else(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=60))
    offsets = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    fates = data.draw(st.lists(st.integers(-1, 3), min_size=len(offsets), max_size=len(offsets)))
    written: list[ConsumerRecord] = []
    runs = 0
    for transaction in range(4):
        note, before, is_empty, was_in = Note(2), None, True, False
        for offset, fate in zip(offsets, fates, strict=True):
            if fate == transaction:
                note.add(record(offset), before)
                is_empty = False
            runs += fate == transaction and not was_in
            before, was_in = offset, fate == transaction
        if not is_empty:
            message = note.message("notes")
            assert (message.topic, message.partition) == ("notes", 2)
            written.append(record(len(written), topic_value=message.value))
    assert sum(len(json.loads(one.value)["replayed"]) for one in written) == runs, "the fewest"
    notes = Notes("notes", 2)
    notes.read(data.draw(st.permutations(written)), offsets[-1] + 1)
    for offset, fate in zip(offsets, fates, strict=True):
        assert notes.has(record(offset)) == (fate >= 0)
    firsts = {json.loads(one.value)["replayed"][0][0] for one in written}
    for first in firsts:
        with pytest.raises(KafkaFailure, match="made anew"):
            notes.has(record(first, b"another"))
    if any(fate >= 0 for fate in fates):
        with pytest.raises(KafkaFailure, match="made anew"):
            Notes("notes", 2).read(written, offsets[0])


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"{", b"[]", b"7", b"{}", b'{"version":1,"replayed":[],"checksum":1}'),
        *(b'{"version":2,"replayed":[[1,2]],"checksum":1}', b'{"version":1,"replayed":[[1,2]]}'),
        *(
            b'{"version":1,"replayed":[[1]],"checksum":1}',
            b'{"version":1,"replayed":[["1",2]],"checksum":1}',
        ),
        b'{"version":1,"replayed":[[1,true]],"checksum":1}',
    ],
)
def test_damaged_notes_are_told(value: bytes) -> None:
    with pytest.raises(KafkaFailure, match="damaged or of a later version"):
        Notes("notes", 2).read([record(0, value)], 100)
