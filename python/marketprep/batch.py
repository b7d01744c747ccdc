"""Batching: records into Kafka values, and when those leave."""

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import psutil

from marketprep._core import Batch, Finished, Framer
from marketprep.kind import Kind

Headers = Sequence[tuple[str, bytes]]

#: How long a measurement of memory is good for, in seconds.
_MEASURE_SECONDS = 0.1

#: Options of glibc's mallopt: up to which size blocks come from the heap, how much of that is kept
#: though it is free, and how many heaps there are.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX = -3, -1, -8
#: Longer than any fetch.
_BLOCK_BYTES = 32 << 20

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


class BatchProcessor:
    """Puts the records of a partition into Kafka values, in their order.

    With the framing `array` a value is a JSON array of up to `max_records` records of one
    exchange. Full ones are handed out at once, the others when no batch is given. A value has the
    time of the newest input that it has a record of, and a key like `"UpbitTicker"`, quotes
    included.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        kind: Kind,
        framing: Literal["array", "record"],
        max_records: int,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._framer = Framer(kind, framing, max_records)

    def messages(self, batch: Batch | None = None) -> Iterator[Message]:
        """The values that are full, one by one."""
        for key, value, timestamp in self._framer.values(batch):
            yield Message(self._topic, self._partition, key, value, timestamp)

    def finished(
        self, batch: Batch | None, compression: str, *, is_transactional: bool
    ) -> list[Finished]:
        """The same in Kafka's record batches, compressed as the core can do it."""
        now = int(time.time() * 1000)
        return self._framer.batches(batch, now, compression, is_transactional)


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

    def keep_blocks(self) -> None:
        """Lets large blocks be used again, where the C library can do that (glibc).

        Else those of each fetch would be given back and asked for anew, page by page.
        """
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(_MMAP_THRESHOLD, _BLOCK_BYTES)
            set_option(_TRIM_THRESHOLD, min(self._limit // 16, _BLOCK_BYTES))
            set_option(_ARENA_MAX, 2)

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
