"""A service that is killed again and again while messages come in, and what it left."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from book_streams import BookStream, envelope
from cluster import Cluster, beside
from marketprep import Decoder

#: Exchange, feed, and what else a stream is made of.
FEEDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("okx", "books", {}),
    ("bybit", "orderbook.50", {}),
    ("gateio", "spot.obu", {}),
    ("binance", "@depth", {}),
    ("kraken", "book", {"has_snapshots": False}),
)


@dataclass
class Restored:
    """What a start told of the books of a partition."""

    books: int
    replayed: int
    seconds: float


@dataclass
class Feed:
    """One exchange: what was sent, and how it is sent."""

    exchange: str
    stream: BookStream
    values: list[bytes] = field(default_factory=list)

    def more(self, count: int) -> list[bytes]:
        """The next messages, one an envelope."""
        sent = [envelope(self.exchange, [next(self._messages).text]) for _ in range(count)]
        self.values += sent
        return sent

    def __post_init__(self) -> None:
        self._messages = self.stream.messages()


def feeds(seed: int = 1) -> list[Feed]:
    """One of each exchange whose books are kept. Snapshots are so rare that none makes good."""
    return [
        Feed(exchange, BookStream(exchange, feed, seed, snapshot_every=1_000_000, **made))
        for exchange, feed, made in FEEDS
    ]


def feeding(cluster: Cluster, all_feeds: list[Feed], count: int) -> AbstractContextManager[None]:
    """Sends so many messages of each feed twenty times a second, while the context lasts."""

    def feed(ended: threading.Event) -> None:
        while not ended.wait(0.05):
            for one in all_feeds:
                send(cluster, one, count)

    return beside(feed)


def send(cluster: Cluster, feed: Feed, count: int) -> None:
    topics, partition = cluster.of(feed.exchange, "orderbook")
    cluster.produce(topics.input, partition, feed.more(count), linger_ms=0)


def killed(cluster: Cluster, rng: random.Random, most_seconds: float) -> list[Restored]:
    """Starts the service and kills it at some time after its books are restored; what it told."""
    environment = os.environ | {"MARKETPREP_BOOKS_CHECKPOINT_EVERY_S": "0.2"}
    command = cluster.command("run", "--kind", "orderbook")
    with subprocess.Popen(
        [sys.executable, *command[1:]], stderr=subprocess.PIPE, env=environment
    ) as service:
        told: list[bytes] = []
        reader = threading.Thread(target=lambda: told.extend(service.stderr or ()))
        reader.start()
        try:
            deadline = time.monotonic() + 30
            while b"partitions assigned" not in b"".join(told) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(rng.random() * most_seconds)
        finally:
            service.send_signal(signal.SIGKILL)
            service.wait()
            reader.join()
    lines = [json.loads(line) for line in told if line.startswith(b"{")]
    return [
        Restored(line["books"], line["replayed"], line["seconds"])
        for line in lines
        if line["event"] == "books restored"
    ]


def expected(feed: Feed, timestamps: list[int]) -> list[bytes]:
    """The records of a service that nobody has stopped."""
    decoder = Decoder("orderbook")
    return decoder.decode(feed.values, [*timestamps]).records.splitlines()


def without_repetitions(records: list[bytes]) -> list[bytes]:
    """In the order of their first appearance."""
    return list(dict.fromkeys(records))
