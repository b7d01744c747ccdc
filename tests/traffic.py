"""Traffic: all exchanges in both kinds on the input topics, at a rate, each message there once."""

import random
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self

from confluent_kafka import Producer

from book_streams import WIRES, BookStream, envelope
from cluster import Cluster
from marketprep import Kind
from marketprep._core import Market
from restarts import FEEDS

#: An exchange and a kind, which have a partition of their own.
Pair = tuple[str, Kind]

#: How large envelopes are, in bytes; all sizes in between are as likely on a scale of decades.
_SIZES = (300, 50_000)
_BLOCK_BYTES = 1 << 18
#: One in so many envelopes cannot be read, or not all of it.
_POISON_EVERY = 50
#: One in so many is of a book that has but one snapshot: what is lost of it is missed for ever.
_KEPT_EVERY = 10
_KEPT_MESSAGES = 3

_TICK_SECONDS = 0.02
#: What could not be sent in so long is not made good: the traffic pauses with its brokers.
_ARREARS_SECONDS = 0.5

_SYMBOL = re.compile(rb'"symbol": "([^"]*)"')
_DATA = b'"data": ['


class Traffic:
    """Sends envelopes while the context lasts; `mark` stands in the symbol of each one."""

    def __init__(
        self, cluster: Cluster, pairs: Sequence[Pair], items_per_second: float, seed: int = 1
    ) -> None:
        self.mark = 0
        #: How many messages were sent of each pair.
        self.fed = dict.fromkeys(pairs, 0)
        self.items = 0
        self._rate = items_per_second / len(pairs)
        self._sources = {pair: _Source(*pair, seed) for pair in pairs}
        self._places = {
            pair: (topics.input, partition)
            for pair in pairs
            for topics, partition in [cluster.of(*pair)]
        }
        self._producer = Producer(
            {
                "bootstrap.servers": cluster.address,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 10,
                "message.max.bytes": 16 << 20,
                "message.timeout.ms": 0,  # never given up, so that none is missing
                "queue.buffering.max.kbytes": 64 << 10,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def end(self) -> None:
        """Sends no more, and waits until brokers have all of it."""
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(120) == 0, "not all traffic could be sent"

    def send(self, items: int) -> None:
        """Sends so many items of each pair at once."""
        for pair in self.fed:
            sent = 0
            while sent < items:
                sent += self._send(pair)
        assert self._producer.flush(120) == 0, "not all traffic could be sent"

    def _run(self) -> None:
        before = time.monotonic()
        owed = dict.fromkeys(self.fed, 0.0)
        while not self._ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            for pair in owed:
                owed[pair] += self._rate * min(now - before, _ARREARS_SECONDS)
                while owed[pair] > 0 and not self._ended.is_set():
                    owed[pair] -= self._send(pair)
            before = now
            self._producer.poll(0)

    def _send(self, pair: Pair) -> int:
        """Sends the next envelope of a pair; how many items there are in it."""
        value, items = self._sources[pair].take(self.mark)
        topic, partition = self._places[pair]
        while True:
            try:
                self._producer.produce(topic, value, b'"%d"' % self.mark, partition)
            except BufferError:
                self._producer.poll(0.1)
                if self._ended.is_set():
                    return items
            else:
                break
        self.fed[pair] += 1
        self.items += items
        return items


class _Source:
    """The envelopes of one exchange and kind, without end."""

    def __init__(self, exchange: str, kind: Kind, seed: int) -> None:
        self._exchange, self._kind = exchange, kind
        self._market = Market(exchange, kind, "reserialised", seed, False)  # noqa: FBT003
        self._random = random.Random(f"{exchange} {kind} {seed}")  # noqa: S311 - reproducible
        self._pieces = deque[tuple[bytes, int]]()
        self._kept = self._kept_book(seed)
        self._count = 0

    def take(self, mark: int) -> tuple[bytes, int]:
        """The next envelope, and how many items it has."""
        self._count += 1
        if self._count % _POISON_EVERY == 0 and self._random.random() < 0.6:
            return self._poison(), 1
        if self._kept and self._count % _KEPT_EVERY == 0:
            value, items = next(self._kept), _KEPT_MESSAGES
        else:
            while not self._pieces:
                lines = self._market.envelopes(_BLOCK_BYTES).lines.splitlines()
                self._pieces.extend(piece for line in lines for piece in self._cut(line))
            value, items = self._pieces.popleft()
        if self._count % _POISON_EVERY == 0:
            value = value.replace(_DATA, _DATA + rb'"{\"nonsense\": %d}", ' % self._count, 1)
            items += 1
        return _SYMBOL.sub(rb'"symbol": "\g<1>.%d"' % mark, value, count=1), items

    def _kept_book(self, seed: int) -> Iterator[bytes] | None:
        if self._kind == "orderbook":
            for exchange, feed, made in FEEDS:
                if exchange == self._exchange:
                    name = WIRES[exchange, feed].instrument.replace("BTC", "SOAK")
                    stream = BookStream(
                        exchange, feed, seed, instrument=name, snapshot_every=1 << 40, **made
                    )
                    return self._envelopes(stream)
        return None

    def _envelopes(self, stream: BookStream) -> Iterator[bytes]:
        messages = stream.messages()
        while True:
            value = envelope(self._exchange, [next(messages).text for _ in range(_KEPT_MESSAGES)])
            yield _SYMBOL.sub(b'"symbol": "SOAK"', value, count=1)

    def _cut(self, line: bytes) -> Iterator[tuple[bytes, int]]:
        """An envelope as smaller ones, of the same items in the same order.

        It is cut where an item that is a JSON string follows another one.
        """
        head, _, rest = line.partition(_DATA)
        items = rest.removesuffix(b"]}").split(b'}", "{')
        first = 0
        while first < len(items):
            low, high = _SIZES
            wanted = low * (high / low) ** self._random.random()
            last, size = first, 0
            while last < len(items) and (last == first or size + len(items[last]) < wanted):
                size += len(items[last])
                last += 1
            body = b'}", "{'.join(items[first:last])
            opening = b"" if first == 0 else b'"{'
            closing = b"" if last == len(items) else b'}"'
            yield b"".join((head, _DATA, opening, body, closing, b"]}")), last - first
            first = last

    def _poison(self) -> bytes:
        """What is no envelope, or one of an unknown market."""
        if self._random.random() < 0.5:
            return b"\xff\x00 no envelope %d" % self._count
        return b'{"region": "asia", "market": "MTGOX", "symbol": "%d", "data": []}' % self._count
