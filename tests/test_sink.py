"""The sinks: what stands in the buckets, with a real Kafka, a real Kafka Connect and a real S3."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from confluent_kafka import Message, Producer

from cluster import wait_until
from conftest import EXCHANGES, KINDS, needs_plugin
from marketprep.settings import REGIONS
from sinks import Sinks

pytestmark = needs_plugin

#: In Seoul, the 25th begins here.
MIDNIGHT = int(datetime(2026, 11, 24, 15, tzinfo=UTC).timestamp() * 1000)


def values(count: int, of: str = "") -> list[bytes]:
    return [f'[{{"number":{number},"of":"{of}"}}]'.encode() for number in range(count)]


def messages_of(sinks: Sinks, topic: str, partitions: int) -> list[list[Message]]:
    return [sinks.cluster.consume(topic, partition) for partition in range(partitions)]


def test_objects_of_both_kinds_of_all_regions(sinks: Sinks) -> None:
    sinks.cluster.create_topics()
    sinks.create_buckets()
    told = sinks.apply()
    assert told.count(": created; ") == 2
    settings = sinks.cluster.settings
    for row, size in (("ticker", 20), ("orderbook", 50)):
        messages, objects = {}, 0
        for region in REGIONS:
            of = settings.topics.of(region)
            output = getattr(of, row).output
            for partition in range(of.partitions):
                count = size * (1 + partition) + 6 * partition
                objects += 1 + partition
                produced = values(count, f"{region} {row} {partition}")
                sinks.cluster.produce(output, partition, produced, timestamp=MIDNIGHT - 1)
            messages[output] = messages_of(sinks, output, of.partitions)
        sinks.wait_for(row, objects)
        sinks.check(row, messages, size)
        assert {one.day for one in sinks.objects(row)} == {"2026-11-24"}
    status = ("status", "--bootstrap-servers", sinks.cluster.address)
    # objects are found by what is committed, which follows them within seconds
    wait_until(lambda: "committed yet" not in sinks.run(*status)[1], "the commits")
    code, told, _ = sinks.run(*status)
    assert code == 0
    assert told.count("RUNNING  3 of 3 run") == 2
    assert told.count(" bytes  ") == 6, "an object of each topic is shown"


def test_records_of_the_service_read_with_duckdb(sinks: Sinks, tmp_path: Path) -> None:
    """Readers of the buckets find the records of the topics, digit by digit."""
    sinks.configure(connectors={row: sinks.row(row, flush_size=1) for row in KINDS})
    sinks.cluster.create_topics()
    sinks.create_buckets()
    sinks.apply()
    fed = ("simulate", "topics", "--megabytes", "0.05", "--seed", "7")
    assert sinks.cluster.marketprep(*fed).returncode == 0
    assert "rejected 0" in sinks.cluster.run_until_end()
    summed = {"ticker": "$.data[0].trade_price", "orderbook": "$.total_bid_volume"}
    for kind in KINDS:
        messages = [
            message
            for exchange in EXCHANGES
            for topics, partition in [sinks.cluster.of(exchange, kind)]
            for message in sinks.cluster.consume(topics.output, partition)
        ]
        records = [record for message in messages for record in parse_array(message.value())]
        sinks.wait_for(kind, len(messages))
        folder = sinks.download(kind, tmp_path / kind)
        found = (
            duckdb.connect()
            .execute(
                f"""
            with records as (
                select unnest(json) as record
                from read_json(
                    '{folder}/topics/*/year=*/month=*/day=*/*.json.gz',
                    format = 'newline_delimited', records = 'false', columns = {{json: 'JSON[]'}}
                )
            )
            select count(*), sum(cast(record ->> '{summed[kind]}' as decimal(38, 12)))
            from records
            """  # noqa: S608 - a test's own texts
            )
            .fetchall()
        )
        values = [
            record["data"][0]["trade_price"] if kind == "ticker" else record["total_bid_volume"]
            for record in records
        ]
        assert len(records) > 500
        assert found == [(len(records), sum(map(Decimal, values)))]


def parse_array(value: bytes | None) -> list[Any]:
    """The records of a message, their numbers as text."""
    records: list[Any] = json.loads(value or b"", parse_float=str, parse_int=str)
    return records


def test_transactions(sinks: Sinks) -> None:
    """Aborted messages are in no object, and markers of transactions shift nothing."""
    topic = sinks.begin("other", 2, 7)
    sinks.apply("other")
    producer = Producer(
        {"bootstrap.servers": sinks.cluster.address, "transactional.id": sinks.prefix}
    )
    producer.init_transactions()
    for transaction in range(30):
        producer.begin_transaction()
        for number in range(5):
            producer.produce(topic, f"[{transaction},{number}]", partition=number % 2)
        if transaction % 3 == 1:
            producer.flush()
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    messages = messages_of(sinks, topic, 2)
    assert [len(of_partition) for of_partition in messages] == [60, 40]
    sinks.wait_for("other", 60 // 7 + 40 // 7)
    sinks.check("other", {topic: messages}, 7)


def test_the_day_changes_in_seoul(sinks: Sinks) -> None:
    topic = sinks.begin("days", 1, 10)
    for number, value in enumerate(values(30)):
        sinks.cluster.produce(topic, 0, [value], timestamp=MIDNIGHT - 13 + number)
    sinks.apply("days")
    sinks.wait_for("days", 4)
    found = [(one.day, one.offset, one.lines) for one in sinks.objects("days")]
    produced = values(30)
    assert found == [
        ("2026-11-24", 0, produced[:10]),
        ("2026-11-24", 10, produced[10:13]),
        ("2026-11-25", 13, produced[13:20]),
        ("2026-11-25", 20, produced[20:]),
    ]


def test_applying_again(sinks: Sinks) -> None:
    sinks.cluster.create_topics()
    sinks.create_buckets()
    assert sinks.apply().count(": created; ") == 2
    assert sinks.apply().count(": unchanged; ") == 2
    sinks.configure(connectors={"ticker": {"bucket": sinks.bucket("ticker"), "flush_size": 5}})
    told = sinks.apply()
    assert (told.count(": updated; "), told.count(": unchanged; ")) == (1, 1)
    topics, partition = sinks.cluster.of("okx", "ticker")
    sinks.cluster.produce(topics.output, partition, values(12))
    sinks.wait_for("ticker", 2)
    code, told, _ = sinks.run("remove", "ticker")
    assert (code, told) == (0, f"{sinks.prefix}-ticker: removed\n")
    code, told, _ = sinks.run("remove")
    assert f"{sinks.prefix}-ticker: is not there\n" in told
    sinks.cluster.produce(topics.output, partition, values(6))
    assert sinks.apply().count(": created; ") == 2
    sinks.wait_for("ticker", 3)
    messages = sinks.cluster.consume(topics.output, partition)
    stored = [line for one in sinks.objects("ticker") for line in one.lines]
    assert stored == [message.value() for message in messages[:15]]


def test_a_bucket_that_goes_away(sinks: Sinks) -> None:
    """A task that has failed says why, and applying starts it again."""
    topic = sinks.begin("away", 1, 1)
    sinks.apply("away")
    sinks.client.delete_bucket(Bucket=sinks.bucket("away"))
    sinks.cluster.produce(topic, 0, values(3))
    told = ""

    def has_failed() -> bool:
        nonlocal told
        code, _, told = sinks.run("status", "away")
        return code == 1

    wait_until(has_failed, "the task's end")
    bucket = sinks.bucket("away")
    sentence = f"{sinks.prefix}-away: There is no bucket {bucket} at {sinks.store.url}: create it"
    assert sentence in told
    sinks.create_buckets("away")
    assert ": restarted; " in sinks.apply("away")
    sinks.wait_for("away", 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_exist(sinks: Sinks, kind: str) -> None:
    code, _, told = sinks.run("apply", "nothing")
    assert (code, told) == (
        1,
        "Error: There is no sink nothing: name one of ticker, orderbook (sink.connectors)\n",
    )
    sinks.create_buckets("ticker" if kind == "orderbook" else "orderbook")
    code, _, told = sinks.run("apply")
    assert code == 1
    bucket = sinks.bucket(kind)
    sentence = f"{sinks.prefix}-{kind}: There is no bucket {bucket} at {sinks.store.url}: create it"
    assert sentence in told, told
    code, told, errors = sinks.run("status", kind)
    assert code == 1
    assert "MISSING" in told
    assert "`marketprep sink apply` creates it" in errors


def test_a_wrong_key(sinks: Sinks) -> None:
    sinks.create_buckets()
    sinks.secret = "nothing-of-the-kind"  # noqa: S105 - it opens nothing
    code, _, told = sinks.run("apply", "ticker")
    assert code == 1
    assert (
        f"{sinks.store.url} refuses the access key for the bucket {sinks.bucket('ticker')}" in told
    )
    assert "correct aws.access.key.id and aws.secret.access.key" in told
