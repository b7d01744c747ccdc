"""Batching: records into Kafka values, and when those leave."""

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import psutil

from marketprep._core import Batch
from marketprep.kind import Kind

Headers = Sequence[tuple[str, bytes]]

#: How long a measurement of memory is good for, in seconds.
_MEASURE_SECONDS = 0.1

#: A batch of the protocol, and so a value in it, whatever `max_records` is: brokers take a megabyte
#: by default.
BATCH_BYTES = 900_000


@dataclass(frozen=True, slots=True)
class Message:
    """What is produced: one Kafka record. `timestamp` is in milliseconds; None is the present."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None
    headers: Headers = ()
    #: Whether it is to be compressed, whatever the settings say of records.
    is_compressed: bool = False


def output_key(exchange: str, kind: Kind) -> bytes:
    """The key of an exchange's records, a JSON string: `"UpbitTicker"`, quotes included."""
    return f'"{exchange.capitalize()}{kind.capitalize()}"'.encode()


@dataclass(slots=True)
class _Waiting:
    """Records of a partition that do not fill an array yet, all of one exchange."""

    exchange: str = ""
    records: list[bytes] = field(default_factory=list)
    timestamp: int | None = None


class BatchProcessor:
    """Puts the records of a lane into Kafka values, in the order of each partition.

    With the framing `array` a value is a JSON array of up to `max_records` records of one
    exchange. Full ones are handed out at once, the others by `flush`.
    """

    def __init__(
        self, topic: str, kind: Kind, framing: Literal["array", "record"], max_records: int
    ) -> None:
        self._topic = topic
        self._kind = kind
        self._is_array = framing == "array"
        self._max_records = max_records if self._is_array else 1
        self._waiting: dict[int, _Waiting] = {}

    def add(
        self, partition: int, batch: Batch, timestamps: Sequence[int | None]
    ) -> Iterator[Message]:
        """Takes in what was decoded of a partition; the values that are full now.

        `timestamps` are those of the input, by which a value gets the time of its newest record.
        """
        lines, start = batch.records.split(b"\n"), 0
        waiting = self._waiting.setdefault(partition, _Waiting())
        for index, exchange, count in batch.runs:
            if waiting.records and waiting.exchange != exchange:
                yield from self._take(partition, waiting, len(waiting.records))
            waiting.exchange = exchange
            waiting.timestamp = _newer(waiting.timestamp, timestamps[index])
            waiting.records += lines[start : start + count]
            start += count
            while len(waiting.records) >= self._max_records:
                yield from self._take(partition, waiting, self._max_records)
                if waiting.records:
                    waiting.timestamp = timestamps[index]

    def flush(self) -> Iterator[Message]:
        """The values that are not full."""
        for partition, waiting in self._waiting.items():
            if waiting.records:
                yield from self._take(partition, waiting, len(waiting.records))

    def _take(self, partition: int, waiting: _Waiting, count: int) -> Iterator[Message]:
        """The first records as a value, or as several where one would be too long for brokers."""
        records, waiting.records = waiting.records[:count], waiting.records[count:]
        timestamp, waiting.timestamp = waiting.timestamp, None
        key = output_key(waiting.exchange, self._kind)
        for part in _parts(records):
            value = b"[%b]" % b",".join(part) if self._is_array else part[0]
            yield Message(self._topic, partition, key, value, timestamp)


def _parts(records: list[bytes]) -> Iterator[list[bytes]]:
    """The records in their order, in as few parts as stay below the length of a value."""
    if sum(map(len, records)) + len(records) < BATCH_BYTES:
        yield records
        return
    part: list[bytes] = []
    size = 0
    for record in records:
        if part and size + len(record) >= BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record) + 1
    yield part


def _newer(one: int | None, other: int | None) -> int | None:
    return other if one is None or (other is not None and other > one) else one


class TimeStacker:
    """Tells how long what has been taken in may still wait."""

    def __init__(self, max_wait_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait = max_wait_ms / 1000
        self._clock = clock
        self._end = 0.0

    def start(self) -> None:
        """The first record is here."""
        self._end = self._clock() + self._wait

    def remaining(self) -> float:
        """The seconds that are left; 0 when it is time."""
        return max(0.0, self._end - self._clock())


class MemoryWatch:
    """Tells whether this process takes more memory than it may."""

    def __init__(self, max_memory_mb: int) -> None:
        self._limit = max_memory_mb << 20
        # what is under way when it is noticed must have room, too
        self._enough = self._limit * 5 // 8
        self._process = psutil.Process()
        self._measured_at = -_MEASURE_SECONDS
        self._is_over = False

    def is_over(self) -> bool:
        """Whether it is nearly as much as the limit, measured ten times a second at most."""
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_SECONDS:
            self._measured_at = now
            self._is_over = self._process.memory_info().rss > self._enough
        return self._is_over

    @staticmethod
    def trim() -> None:
        """Gives back what is free within the heap, where the C library can do that (glibc).

        It keeps what a burst took, as after an outage, in the arena of each thread.
        """
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back:
            give_back(0)

    def share(self, lanes: int) -> int:
        """How many bytes each lane may hold between its reader and its writer.

        A quarter of the limit for all of them: the rest is for the interpreter, for what aiokafka
        has fetched, and for the sent that is not acknowledged.
        """
        return self._limit // 4 // max(1, lanes)
