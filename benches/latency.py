"""How long a message takes: from when it was produced until a reader has its record."""

import re
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from cluster import Cluster, beside, wait_for_line, wait_until

_PRICE = re.compile(rb'"trade_price":"([0-9]+)"')

#: How long the service runs before anything is measured: both JVM and clients warm up.
_WARM_SECONDS = 3.0

#: The 50th, 90th and 99th percentile.
Percentiles = tuple[float, float, float]


def latency(cluster: Cluster, rate: int, seconds: float, *, is_direct: bool) -> Percentiles:
    """Milliseconds that messages took, with the service between, or without."""
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
    return percentiles(took)


def percentiles(took: Sequence[float]) -> Percentiles:
    ranks = statistics.quantiles(took, n=100)
    return ranks[49], ranks[89], ranks[98]


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
            "fetch.wait.max.ms": 100,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
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
