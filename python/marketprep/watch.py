"""Watching a partition: how far it is behind, and whether it goes on."""

import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


class Watch:
    """One partition, from when it was assigned."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        place: TopicPartition,
        stall_seconds: float,
        log: Any,  # noqa: ANN401 - structlog's
    ) -> None:
        self._consumer = consumer
        self._place = place
        self._stall_seconds = stall_seconds
        self._log = log
        self._begun_at = time.monotonic()
        self._moved: tuple[int, float] = (-1, self._begun_at)
        self._heard: tuple[int, float] = (-1, self._begun_at)
        self._is_stalled = False

    def look(self, read: int, done: int) -> int | None:
        """The lag: how many messages are not done; None if brokers say nothing for long.

        `read` is the offset that is read next, `done` the one that is committed. Tells in the log,
        once each, that the partition stands still and that it goes on.
        """
        now = time.monotonic()
        behind = max(0, self._end(read) - done)
        before, since = self._moved
        if done != before:
            self._moved = done, now
            since = now
        is_silent = now - self._heard_at(now) > self._stall_seconds
        lag = None if is_silent and not behind else behind
        if not behind and not is_silent:
            self._moved = done, now
            since = now
        is_stalled = is_silent if not behind else now - since > self._stall_seconds
        self._tell(done, lag, is_stalled=is_stalled)
        return lag

    def _end(self, read: int) -> int:
        """The end of the partition as far as it is known."""
        end = self._consumer.last_stable_offset(self._place)
        if end is None or end < 0:
            end = self._consumer.highwater(self._place)
        return max(read, end or 0)

    def _heard_at(self, now: float) -> float:
        """When brokers last answered, by our own clock: the wall's may jump."""
        stamp = self._consumer.last_poll_timestamp(self._place) or -1
        if stamp != self._heard[0]:
            self._heard = stamp, now
        return self._heard[1]

    def _tell(self, position: int, lag: int | None, *, is_stalled: bool) -> None:
        if is_stalled == self._is_stalled:
            return
        self._is_stalled = is_stalled
        if is_stalled:
            self._log.warning(
                "partition stands still", seconds=self._stall_seconds, position=position, lag=lag
            )
        else:
            self._log.info("partition goes on", position=position, lag=lag)
