"""The service on a real Kafka: what goes in, what comes out, to the byte."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import cast

import click
import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place

from cluster import (
    Cluster,
    Headers,
    headers_of,
    java_of,
    split_array,
    totals_of,
    wait_for_line,
    wait_until,
)
from conftest import EXCHANGES, FIXTURES, KINDS, lines_of, without_unknown_times
from marketprep import Kind
from marketprep._core import Market
from marketprep.kafka import KafkaFailure
from marketprep.local import LocalKafka
from marketprep.service import Service, until_stopped
from marketprep.settings import load_settings

#: How long the backlog is that must not fill the memory.
BACKLOG_MB = int(os.environ.get("MARKETPREP_TEST_BACKLOG_MB", "270"))

UPBIT = lines_of(FIXTURES / "upbit" / "ticker.jsonl")
UPBIT_RECORDS = lines_of(FIXTURES / "upbit" / "ticker.expected.jsonl")


def market(exchange: str, kind: Kind, size: int, seed: int = 5) -> tuple[list[bytes], list[bytes]]:
    """Envelopes, and the records that they must lead to."""
    stretch = Market(exchange, kind, "reserialised", seed, True).envelopes(size)  # noqa: FBT003
    return stretch.lines.splitlines(), stretch.truth.splitlines()


def test_all_exchanges_in_both_kinds(cluster: Cluster, tmp_path: Path) -> None:
    cluster.create_topics()
    truth = tmp_path / "truth"
    fed = cluster.marketprep("simulate", "topics", "--megabytes", "0.3", "--truth", truth)
    assert fed.returncode == 0, fed.stderr
    told = cluster.run_until_end()
    assert "rejected 0" in told
    total = 0
    for exchange in EXCHANGES:
        for kind in KINDS:
            expected = lines_of(truth / f"{exchange}.{kind}.expected.jsonl")
            topics, partition = cluster.of(exchange, kind)
            messages = cluster.consume(topics.output, partition)
            arrays = [split_array(message.value() or b"") for message in messages]
            records = [record for array in arrays for record in array]
            assert without_unknown_times(records, expected) == expected
            total += len(records)
            assert max(map(len, arrays)) <= 20
            word = kind.capitalize()
            assert {message.key() for message in messages} == {
                f'"{exchange.capitalize()}{word}"'.encode()
            }
            assert cluster.committed(exchange, kind) == cluster.end(topics.input, partition)
            inputs = cluster.consume(topics.input, partition)
            keys = {message.key() or b"" for message in inputs}
            pattern = rb'"%b:%b-[A-Z0-9]+"' % (exchange.upper().encode(), kind.encode())
            assert all(re.fullmatch(pattern, key) for key in keys)
    assert f"records {total}," in told
    assert "held back 0, rejected 0" in told


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize(
    ("is_direct", "compression"),
    [(True, "none"), (True, "lz4"), (True, "zstd"), (True, "gzip"), (False, "lz4")],
)
def test_all_ways_lead_to_the_same(
    cluster: Cluster,
    is_direct: bool,  # noqa: FBT001 - a parameter
    compression: str,
    delivery: str,
) -> None:
    """Record batches whole, or messages one by one; however inputs are compressed."""
    output = {"compression": compression}
    cluster.configure(kafka={"direct": is_direct}, output=output, delivery=delivery)
    cluster.create_topics()
    topics, partition = cluster.of("okx", "orderbook")
    envelopes, truth = market("okx", "orderbook", 400_000)
    headers: Headers = [("trace", b"\x00\xff"), ("empty", None), ("trace", b"again")]
    now = int(time.time() * 1000) - 5000
    codecs = ("none", "lz4", "zstd", "gzip", "snappy")
    for place, codec in enumerate(codecs):
        start, end = (len(envelopes) * at // len(codecs) for at in (place, place + 1))
        some = envelopes[start:end]
        cluster.produce(topics.input, partition, some, compression_type=codec)
        junk = json.dumps({**json.loads(some[0]), "data": ["1", "2"]}).encode()
        cluster.produce(
            topics.input,
            partition,
            [b"{}", None, junk],
            key=b"k",
            headers=headers,
            timestamp=now,
            compression_type=codec,
        )
        abort(cluster, topics.input, partition, some, codec)
    told = cluster.run_until_end("--exchange", "okx", "--kind", "orderbook")
    assert cluster.records("okx", "orderbook") == truth
    assert f"rejected {4 * len(codecs)} " in told
    letters = cluster.dead_letters("okx", "orderbook")
    assert len(letters) == 4 * len(codecs)
    for letter in letters:
        theirs = [of for of in letter.headers() or [] if not of[0].startswith("marketprep.")]
        assert (letter.key(), theirs) == (b"k", headers)
        assert letter.timestamp()[1] == now
    assert [letter.value() for letter in letters[:2]] == [b"{}", None]
    assert cluster.committed("okx", "orderbook") == cluster.end(topics.input, partition)


def abort(
    cluster: Cluster, topic: str, partition: int, values: Iterable[bytes], codec: str
) -> None:
    """Sends what nobody is to see."""
    producer = Producer(
        {
            "bootstrap.servers": cluster.address,
            "transactional.id": f"{cluster.prefix}aborted",
            "compression.type": codec,
        }
    )
    producer.init_transactions()
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    producer.flush()
    producer.abort_transaction()


def test_a_record_a_message(cluster: Cluster) -> None:
    cluster.configure(output={"framing": "record"})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT, timestamp=1_790_000_000_000)
    cluster.run_until_end("--exchange", "upbit", "--kind", "ticker")
    messages = cluster.consume(topics.output, partition)
    assert [message.value() for message in messages] == UPBIT_RECORDS
    assert {message.key() for message in messages} == {b'"UpbitTicker"'}


def test_records_have_the_time_of_their_input(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    yesterday = int(time.time() - 86_400) * 1000  # brokers delete what is older than a week
    cluster.produce(topics.input, partition, UPBIT[:1], timestamp=yesterday)
    cluster.produce(topics.input, partition, UPBIT[:1], timestamp=4_000_000_000_000)
    cluster.run_until_end("--exchange", "upbit")
    messages = cluster.consume(topics.output, partition)
    times = [message.timestamp()[1] for message in messages]
    assert times[0] < 4_000_000_000_000, "a time to come is the present"
    assert len(times) == 1 or times[0] == yesterday


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(cluster: Cluster, number: signal.Signals) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("korbit", "orderbook")
    envelopes, truth = market("korbit", "orderbook", 3_000_000)
    service = cluster.start("run", "--exchange", "korbit")
    cluster.produce(topics.input, partition, envelopes)
    wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
    service.send_signal(number)
    _, told = service.communicate(timeout=120)
    assert service.returncode == 0, told.decode()
    assert b"Traceback" not in told
    done = cluster.committed("korbit", "orderbook")
    decoded = sum(len(json.loads(line)["data"]) for line in envelopes[:done])
    assert f"items {decoded}," in totals_of(told.decode())
    records = cluster.records("korbit", "orderbook")
    assert records == truth[: len(records)]
    cluster.run_until_end("--exchange", "korbit")
    assert cluster.records("korbit", "orderbook") == truth, "none lost, none twice"


def test_killed_in_the_middle(cluster: Cluster) -> None:
    # Nobody is told what is committed before brokers end what a killed process had begun. And it
    # is to take a while: the direct way might be at the end before anybody has seen its beginning.
    cluster.configure(kafka={"transaction_timeout_ms": 10_000, "direct": False})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "orderbook")
    envelopes, truth = market("upbit", "orderbook", 60_000_000)
    cluster.produce(topics.input, partition, envelopes)
    with cluster.watching(topics.output, partition) as output:
        service = cluster.start("run", "--exchange", "upbit")
        assert output.poll(90), "nothing has come"
        service.kill()
        service.wait()
    before = cluster.records("upbit", "orderbook")
    committed = max(0, cluster.committed("upbit", "orderbook"))
    assert len(before) < len(truth), "killed too late to tell anything"
    cluster.run_until_end("--exchange", "upbit")
    records = cluster.records("upbit", "orderbook")
    assert records[: len(before)] == truth[: len(before)]
    again = records[len(before) :]
    assert again == truth[len(truth) - len(again) :], "what came after is the end of the truth"
    assert len(before) + len(again) >= len(truth), "nothing is lost"
    controls = sum(len(json.loads(line)["data"]) for line in envelopes[:committed])
    assert len(truth) - len(again) <= controls, "only what was not committed came twice"


def test_poison_costs_itself_alone(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    good = json.loads(UPBIT[0])
    item = good["data"][0]
    half_bad = json.dumps(good | {"data": [item, '{"code": "KRW-BTC"}', item]}).encode()
    unknown = json.dumps(good | {"market": "MTGOX"}).encode()
    values = [UPBIT[0], half_bad, b"\xff\x00no envelope", unknown, None, UPBIT[1]]
    key = b'"UPBIT:ticker-BTC"'
    headers: Headers = [("collector", b"7"), ("empty", None)]
    cluster.produce(topics.input, partition, values, key=key, headers=headers, timestamp=1_700)
    told = cluster.run_until_end("--exchange", "upbit")
    first, second = UPBIT_RECORDS[:1], UPBIT_RECORDS[1:3]
    assert cluster.records("upbit", "ticker") == [*first * 3, *second]
    assert "rejected 4 " in told
    letters = cluster.dead_letters("upbit", "ticker")
    only_bad = json.dumps(good | {"data": ['{"code": "KRW-BTC"}']}).encode()
    assert [letter.value() for letter in letters] == [only_bad, *values[2:5]]
    assert {letter.key() for letter in letters} == {key}
    assert {letter.timestamp()[1] for letter in letters} == {1_700}
    details = [dict(headers_of(letter)) for letter in letters]
    reasons = ["missing_field", "not_an_envelope", "unknown_market", "not_an_envelope"]
    for offset, reason in enumerate(reasons, 1):
        detail = details[offset - 1]
        assert detail.pop("marketprep.detail")
        wanted = {
            "collector": b"7",
            "empty": None,
            "marketprep.reason": reason.encode(),
            "marketprep.topic": topics.input.encode(),
            "marketprep.partition": str(partition).encode(),
            "marketprep.offset": str(offset).encode(),
            "marketprep.kind": b"ticker",
        }
        if offset == 1:
            wanted |= {"marketprep.item": b"1", "marketprep.exchange": b"upbit"}
        assert detail == wanted


def test_a_dead_letter_that_is_produced_back_is_the_replay(cluster: Cluster) -> None:
    cluster.create_topics()
    tickers, partition = cluster.of("upbit", "ticker")
    books, _ = cluster.of("upbit", "orderbook")
    cluster.produce(books.input, partition, UPBIT[:1], key=b"k")
    cluster.run_until_end("--exchange", "upbit")
    [letter] = cluster.dead_letters("upbit", "orderbook")
    assert dict(headers_of(letter))["marketprep.reason"] == b"other_kind"
    headers = headers_of(letter)
    for topic in (tickers.input, books.input):
        cluster.produce(topic, partition, [letter.value()], key=letter.key(), headers=headers)
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1]
    again = cluster.dead_letters("upbit", "orderbook")[1]
    assert again.value() == letter.value()
    names = [name for name, _ in headers_of(again)]
    assert len(names) == len(set(names)), "headers of the first time are replaced"


def test_an_envelope_of_five_megabytes(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    good = json.loads(UPBIT[0])
    count = 5_000_000 // len(good["data"][0])
    items = [*good["data"] * count, "{}"]
    large = json.dumps(good | {"data": items, "more": "x" * 600}).encode()
    assert len(large) > 5_000_000
    poison = b"\xfe" * 5_000_000
    cluster.produce(topics.input, partition, [UPBIT[0], large, poison, UPBIT[0]])
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * (count + 2)
    item, whole = cluster.dead_letters("upbit", "ticker")
    assert whole.value() == poison
    assert json.loads(item.value() or b"")["data"] == ["{}"]


def test_poison_as_large_as_topics_take(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    full = os.urandom((16 << 20) - 200)
    packed = b"\xfe" * 20_000_000
    cluster.produce(topics.input, partition, [UPBIT[0], full])
    cluster.produce(topics.input, partition, [packed], compression_type="zstd")
    cluster.produce(topics.input, partition, [UPBIT[0]])
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * 2
    values = [letter.value() for letter in cluster.dead_letters("upbit", "ticker")]
    assert values == [full, packed]


def test_many_records_in_a_value_stay_below_what_brokers_take(cluster: Cluster) -> None:
    cluster.configure(batch={"max_records": 10_000})
    cluster.create_topics()
    cluster.set_limit(cluster.of("upbit", "ticker")[0].output, 1_048_588)
    topics, partition = cluster.of("upbit", "ticker")
    good = json.loads(UPBIT[0])
    many = json.dumps(good | {"data": good["data"] * 9_000}).encode()
    cluster.produce(topics.input, partition, [many])
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * 9_000


def test_another_member_of_the_group_is_told(cluster: Cluster) -> None:
    """With transactions it does no harm; without them offsets cannot be committed beside it."""
    cluster.configure(delivery="at_least_once")
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT)
    configuration = {"bootstrap.servers": cluster.address, "group.id": topics.group_id}
    member = Consumer(configuration)
    member.subscribe([topics.output])
    wait_until(lambda: member.poll(0.2) is None and bool(member.assignment()), "the member")
    done = cluster.marketprep("run", "--until-end", "--exchange", "upbit", "--kind", "ticker")
    member.close()
    assert done.returncode == 1
    error = next(line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert error.startswith("Error: Kafka refuses to commit offsets, as another program has joined")


def test_a_service_that_cannot_drain_after_a_failure_ends_all_the_same() -> None:
    class Stuck:
        """A service with a lane that has failed, and one that waits for brokers for ever."""

        def __init__(self) -> None:
            self.failing = asyncio.Event()
            self.failure = KafkaFailure("a lane cannot go on")

        async def run(self, *, until_end: bool) -> None:
            assert not until_end
            self.failing.set()
            await asyncio.Event().wait()

        def stop(self) -> None:
            """Does not help."""

    async def main() -> None:
        service = cast("Service", Stuck())
        signals = asyncio.Queue[signal.Signals]()
        await until_stopped(service, signals, until_end=False, drain_seconds=0)

    with pytest.raises(KafkaFailure, match="a lane cannot go on"):
        asyncio.run(main())


def test_a_partition_that_is_not_heard_of_stands_still(cluster: Cluster) -> None:
    cluster.configure(watch={"stall_after_s": 2})
    cluster.create_topics()
    topics, _ = cluster.of("upbit", "ticker")
    service = cluster.start("run", "--exchange", "upbit", "--kind", "ticker")
    wait_for_line(service, b"partitions assigned")
    cluster.admin.delete_topics([topics.input])[topics.input].result()
    wait_for_line(service, b"partition stands still")
    service.send_signal(signal.SIGTERM)
    _, told = service.communicate(timeout=120)
    assert (service.returncode, b"Traceback" in told) == (0, False)


def test_compressed_input(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("coinone", "ticker")
    envelopes, truth = market("coinone", "ticker", 400_000)
    quarter = len(envelopes) // 4 + 1
    for place, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        part = envelopes[place * quarter : (place + 1) * quarter]
        cluster.produce(topics.input, partition, part, compression_type=codec)
    cluster.run_until_end("--exchange", "coinone")
    assert cluster.records("coinone", "ticker") == truth


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_output(cluster: Cluster, codec: str) -> None:
    cluster.configure(output={"compression": codec})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT)
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS


def test_several_exchanges_on_one_partition(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    bithumb = lines_of(FIXTURES / "bithumb" / "ticker.jsonl")[0]
    cluster.produce(topics.input, partition, [UPBIT[0], bithumb, UPBIT[0]])
    cluster.run_until_end("--exchange", "upbit")
    messages = cluster.consume(topics.output, partition)
    keys = [message.key() for message in messages]
    assert keys == [b'"UpbitTicker"', b'"BithumbTicker"', b'"UpbitTicker"']


def test_transactions_of_the_input_are_honoured(cluster: Cluster) -> None:
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    producer = Producer(
        {"bootstrap.servers": cluster.address, "transactional.id": f"{cluster.prefix}id"}
    )
    producer.init_transactions()
    for value, end in (
        (UPBIT[0], producer.commit_transaction),
        (UPBIT[1], producer.abort_transaction),
    ):
        producer.begin_transaction()
        producer.produce(topics.input, value, partition=partition)
        producer.flush()
        end()
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1]
    end_offset = cluster.end(topics.input, partition)
    assert cluster.committed("upbit", "ticker") == end_offset == 4, "markers are passed over"


def test_a_part_of_the_work(cluster: Cluster) -> None:
    cluster.create_topics()
    for exchange in ("upbit", "korbit"):
        for kind in KINDS:
            topics, partition = cluster.of(exchange, kind)
            cluster.produce(
                topics.input, partition, lines_of(FIXTURES / exchange / f"{kind}.jsonl")
            )
    cluster.run_until_end("--region", "korea", "--kind", "ticker", "--exchange", "korbit")
    assert cluster.records("korbit", "ticker")
    others: list[tuple[str, Kind]] = [("upbit", "ticker"), ("korbit", "orderbook")]
    for exchange, kind in others:
        topics, partition = cluster.of(exchange, kind)
        assert cluster.end(topics.output, partition) == 0
        assert cluster.committed(exchange, kind) < 0
    done = cluster.marketprep("run", "--region", "NE", "--exchange", "okx")
    assert (done.returncode, "no partition is in" in done.stderr) == (2, True)


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_where_reading_begins_without_a_committed_offset(cluster: Cluster, start: str) -> None:
    cluster.configure(consumer={"start": start})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT)
    cluster.run_until_end("--exchange", "upbit")
    expected = UPBIT_RECORDS if start == "earliest" else []
    assert cluster.records("upbit", "ticker") == expected


@pytest.mark.parametrize("choice", ["stop", "earliest", "latest"])
def test_a_committed_offset_that_is_lost(cluster: Cluster, choice: str) -> None:
    cluster.configure(consumer={"lost_offset": choice})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, UPBIT[:1])
    cluster.run_until_end("--exchange", "upbit", "--kind", "ticker")
    cluster.produce(topics.input, partition, UPBIT[1:3])
    for deleted in cluster.admin.delete_records([Place(topics.input, partition, 2)]).values():
        deleted.result()
    done = cluster.marketprep("run", "--until-end", "--exchange", "upbit", "--kind", "ticker")
    if choice == "stop":
        assert done.returncode == 1
        assert f"Offset 1 of {topics.input}, partition {partition} is not there" in done.stderr
        assert "Traceback" not in done.stderr
    else:
        assert done.returncode == 0
        assert "messages are lost" in done.stderr
        assert "starting anew" not in done.stderr
    count = {"stop": 1, "earliest": 2, "latest": 1}[choice]
    records = cluster.records("upbit", "ticker")
    assert len(records) == count


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_what_kafka_refuses_stops_the_service_and_commits_nothing(
    cluster: Cluster, delivery: str
) -> None:
    cluster.configure(delivery=delivery)
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    cluster.set_limit(topics.output, 200)
    cluster.produce(topics.input, partition, UPBIT)
    done = cluster.marketprep("run", "--exchange", "upbit")
    assert done.returncode == 1
    error = next(line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert error == (
        f"Error: A batch is larger than the topic {topics.output} allows: "
        "raise the topic's max.message.bytes."
    )
    assert "Traceback" not in done.stderr
    assert cluster.committed("upbit", "ticker") == 0, "the offset at which reading starts"
    cluster.set_limit(topics.output, 1_000_000)
    cluster.run_until_end("--exchange", "upbit")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS


def test_a_drain_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    folder = {"local_kafka.folder": str(tmp_path / "kafka")}
    with (
        LocalKafka(load_settings(options=folder).local_kafka, print) as kafka,
        Cluster(kafka.address, tmp_path) as cluster,
    ):
        # A cycle a message: however fast the machine is, there is work left when the broker stops.
        cluster.configure(watch={"drain_timeout_s": 2}, batch={"max_records": 1})
        cluster.create_topics()
        topics, partition = cluster.of("upbit", "orderbook")
        envelopes, _ = market("upbit", "orderbook", 60_000_000)
        cluster.produce(topics.input, partition, envelopes, compression_type="lz4")
        service = cluster.start("run", "--exchange", "upbit", "--kind", "orderbook")
        wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
        [broker] = java_of(tmp_path / "kafka")
        broker.suspend()
        time.sleep(1)  # by then the service waits for an acknowledgement
        service.send_signal(signal.SIGTERM)
        _, told = service.communicate(timeout=120)
        broker.resume()
    assert service.returncode == 1
    assert b"Error: Not all that was read could be sent and committed in time" in told
    assert b"Traceback" not in told


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """With a long backlog, envelopes of five megabytes, and a broker that stalls meanwhile."""
    limit = 256
    folder = {"local_kafka.folder": str(tmp_path / "kafka")}
    kept = {"log.retention.bytes": "-1"}
    with (
        LocalKafka(load_settings(options=folder).local_kafka, print, extra=kept) as kafka,
        Cluster(kafka.address, tmp_path) as cluster,
    ):
        cluster.configure(batch={"max_memory_mb": limit})
        cluster.create_topics()
        fed = ("simulate", "topics", "--megabytes", BACKLOG_MB // 9, "--kind", "orderbook")
        assert cluster.marketprep(*fed).returncode == 0
        topics, partition = cluster.of("binance", "orderbook")
        good = json.loads(market("binance", "orderbook", 1)[0][0])
        large = json.dumps(good | {"data": good["data"][:1] * 2000}).encode()
        assert len(large) > 3_000_000
        cluster.produce(topics.input, partition, [large] * 40, compression_type="lz4")
        service = cluster.start("run", "--until-end")
        wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
        [broker] = java_of(tmp_path / "kafka")
        stall = Timer(2, broker.suspend), Timer(7, broker.resume)
        for timer in stall:
            timer.start()
        peak = 0
        while service.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, psutil.Process(service.pid).memory_info().rss)
            time.sleep(0.02)
        for timer in stall:
            timer.join()
        _, told = service.communicate()
        assert service.returncode == 0, told.decode()
    click.echo(f"{BACKLOG_MB} MB of backlog: {peak >> 20} MB at most")
    assert peak < limit << 20, f"{peak >> 20} MB"


def test_nobody_answers(cluster: Cluster) -> None:
    cluster.address = "127.0.0.1:1"
    for command in (("run",), ("topics", "list"), ("topics", "create"), ("simulate", "topics")):
        done = cluster.marketprep(*command)
        assert done.returncode == 1
        [line] = [line for line in done.stderr.splitlines() if not line.startswith("envelopes 0")]
        assert line.startswith("Error: No Kafka answers at 127.0.0.1:1: is it running")
