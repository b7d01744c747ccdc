"""Messages through Kafka Connect into objects, with one worker killed: counted, and timed.

Run as `python benches/sink.py [MESSAGES]`, by default a million. Real servers are started in a
folder that is thrown away. Prints what was stored, objects a second and the workers' CPU-seconds.
"""

import asyncio
import gzip
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import click
import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from marketprep.local import LocalConnect, LocalKafka, LocalStore
from marketprep.local.store import store_options
from marketprep.settings import Settings, load_settings
from marketprep.sink.apply import apply
from marketprep.sink.connectors import Connector, connectors
from marketprep.sink.lag import positions
from marketprep.sink.worker import Worker

PARTITIONS = 3
PLACES = 3 * PARTITIONS
BUCKET = "ticker-data"
SIZE = 20
RECORD = (
    '{{"region":"Korea","market":"UPBIT","coin_symbol":"BTC","timestamp":1794000000000.0,"data":'
    '[{{"opening_price":"{number}","trade_price":"112405000","max_price":"112500000","min_price":'
    '"111000000","prev_closing_price":"112000000","acc_trade_volume_24h":"1234.56789",'
    '"signed_change_price":"405000","signed_change_rate":"0.0036160714"}}]}}'
)


def main() -> None:
    """Produces, kills, waits, counts."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        options = {f"local_{of}.folder": str(folder / of) for of in ("kafka", "connect", "store")}
        local = load_settings(options=options)
        kafka = stack.enter_context(LocalKafka(local.local_kafka, click.echo))
        store = stack.enter_context(LocalStore(local.local_store, click.echo))
        options |= {"kafka.bootstrap_servers": kafka.address, **store_options(store.address)}
        settings = load_settings(options=options)
        [ticker] = connectors(settings, ["ticker"])
        client = s3(store.url)
        client.create_bucket(Bucket=BUCKET)
        produce(kafka.address, ticker.topics, count)
        cpu, begin = 0.0, time.monotonic()
        for life in (0, 1):
            connect = LocalConnect(local.local_connect, kafka.address, click.echo)
            stack.enter_context(connect)
            apply(Worker(f"http://{connect.address}"), settings.sink, [ticker], click.echo)
            begin = begin if life else time.monotonic()
            process = psutil.Process(connect.pid)
            while (behind := lag(settings, ticker)) > (PLACES * SIZE if life else count // 2):
                click.echo(f"{time.monotonic() - begin:6.1f} s: {count - behind:,} messages stored")
                time.sleep(3)
            used = process.cpu_times()
            cpu += used.user + used.system
            if not life:
                process.kill()
                process.wait(30)
                connect.stop()  # lets go of its folder
                click.echo("worker killed")
        seconds, objects = time.monotonic() - begin, names(client)
        check(client, objects, count)
        click.echo(f"{store.program}: {count:,} messages in {len(objects):,} objects, each once")
        rate = len(objects) / seconds
        click.echo(f"{rate:,.0f} objects a second over {seconds:.0f} s, the kill included")
        per_million = cpu / count * 1e6
        click.echo(f"{cpu:.0f} CPU-seconds of the workers, {per_million:.0f} a million messages")


def lag(settings: Settings, connector: Connector) -> int:
    """How many messages are not stored yet."""
    [places] = asyncio.run(positions(settings.kafka, [connector]))
    return sum(place.lag for place in places)


def s3(url: str) -> Any:  # noqa: ANN401 - boto3 has no types
    """A client of the local store."""
    key = {"aws_access_key_id": "marketprep", "aws_secret_access_key": "marketprep-local"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **key)


def produce(address: str, topics: tuple[str, ...], count: int) -> None:
    """Puts messages on the partitions of topics in turn; each says its number."""
    admin = AdminClient({"bootstrap.servers": address})
    config = {"retention.bytes": "-1"}
    wanted = [NewTopic(topic, PARTITIONS, 1, config=config) for topic in topics]
    for created in admin.create_topics(wanted).values():
        created.result(20)
    producer = Producer({"bootstrap.servers": address, "linger.ms": 50, "compression.type": "lz4"})
    for number in range(count):
        place = number % (len(topics) * PARTITIONS)
        value = "[" + RECORD.format(number=number) + "]"
        producer.produce(topics[place % len(topics)], value, partition=place // len(topics))
        if number % 1000 == 0:
            producer.poll(0.01)
    assert producer.flush(120) == 0
    click.echo(f"{count:,} messages produced")


def names(client: Any) -> list[str]:  # noqa: ANN401 - as above
    """The names of all objects."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [row["Key"] for page in pages for row in page.get("Contents", ())]


def check(client: Any, objects: list[str], count: int) -> None:  # noqa: ANN401 - as above
    """Reads all objects: every number is there once, but for less than an object a partition."""

    def numbers(name: str) -> list[int]:
        body = client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        lines = gzip.decompress(body).splitlines()
        assert len(lines) == SIZE, name
        return [int(line.split(b'"opening_price":"')[1].split(b'"')[0]) for line in lines]

    with ThreadPoolExecutor(8) as threads:
        found = [number for of_one in threads.map(numbers, objects) for number in of_one]
    assert len(found) == len(set(found)), "a message is stored twice"
    missing = set(range(count)) - set(found)
    assert len(missing) < SIZE * PLACES, f"{len(missing)} messages are missing"
    click.echo(f"{len(found):,} messages read back, {len(missing)} wait for a whole object")


if __name__ == "__main__":
    main()
