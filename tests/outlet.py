"""What a reader of committed transactions sees of traffic as it comes out, and when."""

import threading
import time
from collections.abc import Sequence
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from cluster import Cluster
from traffic import Pair

_SYMBOL = b'"coin_symbol":"'


class Outlet:
    """Reads the outputs of some pairs while the context lasts."""

    def __init__(self, cluster: Cluster, pairs: Sequence[Pair]) -> None:
        #: How many Kafka values came.
        self.values = 0
        self._arrivals: dict[Pair, dict[int, float]] = {pair: {} for pair in pairs}
        self._last = dict.fromkeys(pairs, time.monotonic())
        self._longest = dict.fromkeys(pairs, 0.0)
        self._pairs = {
            (topics.output, partition): pair
            for pair in pairs
            for topics, partition in [cluster.of(*pair)]
        }
        self._consumer = Consumer(
            {
                "bootstrap.servers": cluster.address,
                "group.id": f"{cluster.prefix}outlet",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "reconnect.backoff.max.ms": 500,
                "queued.max.messages.kbytes": 16 << 10,
                "log_level": 0,
            }
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outlet")

    def __enter__(self) -> Self:
        self._consumer.assign([TopicPartition(*place, 0) for place in self._pairs])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def passed(self, mark: int) -> float | None:
        """When every pair had put out something with a mark, or with a later one."""
        times = []
        for arrivals in self._arrivals.values():
            later = [at for found, at in list(arrivals.items()) if found >= mark]
            if not later:
                return None
            times.append(min(later))
        return max(times)

    def late(self, mark: int) -> list[Pair]:
        """The pairs that have put out nothing with a mark, or with a later one."""
        return [pair for pair, found in self._arrivals.items() if max(found, default=-1) < mark]

    def begin_silence(self) -> None:
        """Begins to look for the longest time in which a pair puts nothing out."""
        self._longest = dict.fromkeys(self._longest, 0.0)

    def silence(self) -> float:
        """The longest such time since then."""
        return max(self._longest.values())

    def _run(self) -> None:
        while not self._ended.is_set():
            messages = self._consumer.consume(500, 0.1)
            now = time.monotonic()
            for message in messages:
                if message.error():
                    continue
                pair = self._pairs[message.topic() or "", message.partition() or 0]
                value = message.value() or b""
                begin = value.rfind(_SYMBOL) + len(_SYMBOL)
                mark = int(value[begin : value.index(b'"', begin)].rpartition(b".")[2])
                self._arrivals[pair].setdefault(mark, now)
                self._longest[pair] = max(self._longest[pair], now - self._last[pair])
                self._last[pair] = now
                self.values += 1
