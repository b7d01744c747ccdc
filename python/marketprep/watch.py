"""Watching a partition: how far it is behind, and whether it goes on."""

import time
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition, errors

#: What a consumer raises where it is asked of a partition that is not its own.
_NOT_ASSIGNED = (AssertionError, errors.IllegalStateError)


def stable_end(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """Up to where a partition can be read, as far as that is known; else 0."""
    try:
        end = consumer.last_stable_offset(place)
        if end is None or end < 0:
            end = consumer.highwater(place)
    except _NOT_ASSIGNED:  # a group is about to take it away
        end = None
    return end or 0


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
        behind = max(0, read - done, stable_end(self._consumer, self._place) - done)
        is_silent = now - self._heard_at(now) > self._stall_seconds
        lag = None if is_silent and not behind else behind
        if done != self._moved[0] or not (behind or is_silent):
            self._moved = done, now
        is_stalled = is_silent if not behind else now - self._moved[1] > self._stall_seconds
        self._tell(done, lag, is_stalled=is_stalled)
        return lag

    def _heard_at(self, now: float) -> float:
        """When brokers last answered, by our own clock: the wall's may jump."""
        stamp: int | None = None
        with suppress(*_NOT_ASSIGNED):  # as above
            stamp = self._consumer.last_poll_timestamp(self._place)
        if stamp is not None and stamp != self._heard[0]:
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
