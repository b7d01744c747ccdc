"""Exactly once against at least once, on a real Kafka, in turn in one run.

Throughput: a backlog is worked off, in items a second and CPU-seconds a million items. Latency:
from when an envelope was produced until a reader of committed messages has its record, beside what
Kafka alone takes for as many messages.
"""

import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from cluster import Cluster, beside, wait_for_line, wait_until
from marketprep._core import Market
from marketprep.local import LocalKafka
from marketprep.settings import load_settings

DELIVERIES = ("exactly_once", "at_least_once")

_PRICE = re.compile(rb'"trade_price":"([0-9]+)"')

#: How long the service runs before anything is measured: both JVM and clients warm up.
_WARM_SECONDS = 3.0


def throughput(cluster: Cluster, exchange: str, kind: str, megabytes: int) -> tuple[float, float]:
    """Items a second, from the first output to the end, and CPU-seconds a million items."""
    cluster.create_topics()
    assert kind in ("ticker", "orderbook")
    topics, partition = cluster.of(exchange, "ticker" if kind == "ticker" else "orderbook")
    stretch = Market(exchange, kind, "reserialised", 3, False).envelopes(1_500_000)  # noqa: FBT003
    copies = max(1, megabytes * 1_000_000 // len(stretch.lines))
    lines = stretch.lines.splitlines()
    for _ in range(copies):
        cluster.produce(topics.input, partition, lines, compression_type="lz4", linger_ms=50)
    service = cluster.start("run", "--until-end", "--exchange", exchange, "--kind", kind)
    process = psutil.Process(service.pid)
    wait_for_line(service, b"partitions assigned")
    begin, before = time.monotonic(), process.cpu_times()
    used = before
    while service.poll() is None:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    service.communicate()
    assert service.returncode == 0
    items = stretch.items * copies
    cpu = used.user + used.system - before.user - before.system
    return items / seconds, cpu / items * 1e6


def feeding(
    address: str, topic: str, values: Iterator[bytes], sent: dict[int, float], rate: int
) -> AbstractContextManager[None]:
    """Sends numbered values at a rate while the context lasts, noting when."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "acks": "all"})

    def feed(ended: threading.Event) -> None:
        begin = time.monotonic()
        for number, value in enumerate(values):
            if ended.wait(max(0.0, begin + number / rate - time.monotonic())):
                break
            sent[number] = time.monotonic()
            producer.produce(topic, value, partition=0)
            producer.poll(0)
        producer.flush(10)

    return beside(feed)


def envelopes() -> Iterator[bytes]:
    """Tickers of Upbit whose prices are their numbers."""
    number = 0
    while True:
        yield (
            b'{"region":"korea","market":"UPBIT","symbol":"BTC","data":["{\\"type\\":\\"ticker\\",'
            b'\\"code\\":\\"KRW-BTC\\",\\"trade_price\\":%d,\\"timestamp\\":1730000000000}"]}'
            % number
        )
        number += 1


def numbers() -> Iterator[bytes]:
    """What stands for records where nothing works on them."""
    number = 0
    while True:
        yield b'"trade_price":"%d"%s' % (number, b" " * 250)
        number += 1


def received(address: str, topic: str, seconds: float) -> dict[int, float]:
    """When each number was read, for so long."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "latency",
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": 100,
        }
    )
    consumer.assign([TopicPartition(topic, 0)])
    found: dict[int, float] = {}
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        now = time.monotonic()
        for number in _PRICE.findall(message.value() or b""):
            found.setdefault(int(number), now)
    consumer.close()
    return found


def latency(cluster: Cluster, rate: int, seconds: float, *, is_direct: bool) -> Sequence[float]:
    """Milliseconds that messages took, with the service between or without."""
    cluster.create_topics()
    topics, _ = cluster.of("upbit", "ticker")
    sent: dict[int, float] = {}
    if is_direct:
        into = out = topics.output
        values = numbers()
    else:
        into, out, values = topics.input, topics.output, envelopes()
        service = cluster.start("run", "--exchange", "upbit", "--kind", "ticker")
        wait_for_line(service, b"partitions assigned")
    with feeding(cluster.address, into, values, sent, rate):
        time.sleep(_WARM_SECONDS)
        found = received(cluster.address, out, seconds)
    first = min(found) + rate  # what was under way when reading began
    took = [(found[number] - sent[number]) * 1000 for number in found if number > first]
    if not is_direct:
        service.terminate()
        wait_until(lambda: service.poll() is not None, "the end")
    return took


def percentiles(took: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th."""
    ranks = statistics.quantiles(took, n=100)
    return ranks[49], ranks[98]


@click.command()
@click.option("--rounds", default=2, help="How often each is measured, in turn.")
@click.option("--megabytes", default=120, help="How long the backlog is.")
@click.option("--rate", default=500, help="Envelopes a second for latency.")
@click.option("--seconds", default=10.0, help="How long latency is measured.")
def main(rounds: int, megabytes: int, rate: int, seconds: float) -> None:
    """Measure, and print both and their ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {"local_kafka.folder": str(folder / "kafka")}
        with LocalKafka(load_settings(options=options).local_kafka, click.echo) as kafka:
            _measure(kafka.address, folder, rounds, megabytes, rate, seconds)


def _measure(  # noqa: PLR0913, PLR0917 - an option each
    address: str, folder: Path, rounds: int, megabytes: int, rate: int, seconds: float
) -> None:
    def fresh(delivery: str) -> Cluster:
        made = folder / f"{time.monotonic_ns()}"
        made.mkdir()
        cluster = Cluster(address, made)
        cluster.configure(delivery=delivery)
        return cluster

    for exchange, kind in (("binance", "orderbook"), ("upbit", "ticker")):
        rates: dict[str, list[tuple[float, float]]] = {delivery: [] for delivery in DELIVERIES}
        for _ in range(rounds):
            for delivery in DELIVERIES:
                with fresh(delivery) as cluster:
                    rates[delivery].append(throughput(cluster, exchange, kind, megabytes))
        best = {name: (max(r for r, _ in of), min(c for _, c in of)) for name, of in rates.items()}
        for name, of in rates.items():
            shown = ", ".join(f"{items / 1000:,.0f} k/s {cpu:.1f}" for items, cpu in of)
            click.echo(f"{exchange} {kind}, {name}: {shown} CPU-s/M items")
        one, other = (best[name] for name in DELIVERIES)
        click.echo(f"  ratio: {one[0] / other[0]:.2f} of the rate, {one[1] / other[1]:.2f} of CPU")
    for _ in range(rounds):
        for name in ("direct", *DELIVERIES):
            is_direct = name == "direct"
            with fresh(DELIVERIES[0] if is_direct else name) as cluster:
                took = latency(cluster, rate, seconds, is_direct=is_direct)
            half, most = percentiles(took)
            count = len(took)
            click.echo(f"latency, {name}: p50 {half:.1f} ms, p99 {most:.1f} ms ({count} records)")


if __name__ == "__main__":
    main()
