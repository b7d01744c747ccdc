"""Batching: records into Kafka values, and when those leave."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from marketprep._core import Batch, Finished, Framer
from marketprep.kind import Kind

Headers = Sequence[tuple[str, bytes]]


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
