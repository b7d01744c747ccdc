"""The partitions of a lane: where reading begins, how far it is, whether it goes on."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from marketprep.assignment import Assignment
from marketprep.kafka import KafkaFailure
from marketprep.settings import Settings

_log = structlog.stdlib.get_logger("marketprep.partitions")

_LOOK_SECONDS = 1.0


class PartitionManager:
    """Assigns a lane's partitions to its consumer by hand, and watches lag and stalls."""

    def __init__(
        self, consumer: AIOKafkaConsumer, assignment: Assignment, settings: Settings
    ) -> None:
        self._consumer = consumer
        self._settings = settings
        self._log = _log.bind(lane=assignment.name, topic=assignment.topics.input)
        self._exchanges = assignment.exchanges
        self._partitions = [
            TopicPartition(assignment.topics.input, number) for number in assignment.exchanges
        ]
        self._ends: Mapping[TopicPartition, int] | None = None
        self._stall_seconds = settings.watch.stall_after_s
        self._begun: Mapping[int, int] = {}
        self._begun_at = time.time()
        self._moved: dict[int, tuple[int, float]] = {}
        self._stalled: set[int] = set()

    def assign(self) -> None:
        """Takes the partitions; to be called before the consumer starts."""
        self._consumer.assign(self._partitions)

    async def begin(self, *, until_end: bool) -> dict[int, int]:
        """Goes to the committed offsets, or where the settings say if there are none.

        The committed offsets, by partition.
        """
        new, known = [], dict[int, int]()
        for partition in self._partitions:
            committed = await self._consumer.committed(partition)
            if committed is not None:
                self._consumer.seek(partition, committed)
                known[partition.partition] = committed
            else:
                await self._seek(partition, self._settings.consumer.start)
                new.append(self._exchanges[partition.partition])
        self._begun, self._begun_at = await self.positions(), time.time()
        self._log.info(
            "partitions assigned",
            positions={self._exchanges[number]: offset for number, offset in self._begun.items()},
            without_committed_offset=new,
        )
        if until_end:
            self._ends = await self._consumer.end_offsets(self._partitions)
        return known

    async def positions(self) -> dict[int, int]:
        """The offset of the next message of each partition."""
        return {
            partition.partition: await self._consumer.position(partition)
            for partition in self._partitions
        }

    def is_at_end(self, positions: Mapping[int, int]) -> bool:
        """Whether all is read that was there at the beginning; never if nobody asked for it."""
        return self._ends is not None and all(
            positions[partition.partition] >= end for partition, end in self._ends.items()
        )

    async def recover(self, lost: Mapping[TopicPartition, int]) -> None:
        """Goes on after committed offsets that are there no more, if the settings allow it.

        Raises KafkaFailure if they do not.
        """
        choice = self._settings.consumer.lost_offset
        for partition, offset in lost.items():
            starts = await self._consumer.beginning_offsets([partition])
            where = f"{partition.topic}, partition {partition.partition}"
            if choice == "stop":
                raise KafkaFailure(
                    f"Offset {offset} of {where} is not there, the oldest is {starts[partition]}: "
                    "retention has overtaken the service, or the topic was made anew. To go on "
                    "without what is lost, set consumer.lost_offset to earliest or latest."
                )
            self._log.error(
                "messages are lost: the committed offset is not there",
                partition=partition.partition,
                offset=offset,
                oldest=starts[partition],
                going_on_at=choice,
            )
            await self._seek(partition, choice)

    async def _seek(self, partition: TopicPartition, where: str) -> None:
        if where == "earliest":
            offsets = await self._consumer.beginning_offsets([partition])
        else:
            offsets = await self._consumer.end_offsets([partition])
        self._consumer.seek(partition, offsets[partition])

    async def watch(self, committed: Mapping[int, int], lag: dict[int, int | None]) -> None:
        """Keeps `lag` up to date, and tells of partitions that stand still, until cancelled.

        `committed` is how far each partition is done. Where nothing was heard of a partition for
        long, its lag is None.
        """
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look(committed, lag)

    async def look(self, committed: Mapping[int, int], lag: dict[int, int | None]) -> None:
        """Brings `lag` up to date."""
        now, read = time.monotonic(), await self.positions()
        for partition in self._partitions:
            number = partition.partition
            done = committed.get(number, self._begun[number])
            behind = max(0, self._end(partition, read[number]) - done)
            before, since = self._moved.get(number, (-1, now))
            if done != before:
                self._moved[number] = (done, since := now)
            is_silent = time.time() - self._heard(partition) > self._stall_seconds
            lag[number] = None if is_silent and not behind else behind
            if not behind and not is_silent:
                self._moved[number] = (done, since := now)
            is_stalled = is_silent if not behind else now - since > self._stall_seconds
            self._tell(number, done, lag[number], is_stalled=is_stalled)

    def _end(self, partition: TopicPartition, position: int) -> int:
        """The end of a partition as far as it is known."""
        end = self._consumer.last_stable_offset(partition)
        if end is None or end < 0:
            end = self._consumer.highwater(partition)
        return max(position, end or 0)

    def _heard(self, partition: TopicPartition) -> float:
        """When brokers last answered for a partition, in seconds since 1970."""
        heard = self._consumer.last_poll_timestamp(partition)
        return max(self._begun_at, (heard or 0) / 1000)

    def _tell(self, number: int, position: int, lag: int | None, *, is_stalled: bool) -> None:
        """Says that a partition stands still, or goes on again; each once."""
        if is_stalled == (number in self._stalled):
            return
        log = self._log.bind(
            partition=number, exchange=self._exchanges[number], position=position, lag=lag
        )
        if is_stalled:
            self._stalled.add(number)
            log.warning("partition stands still", seconds=self._stall_seconds)
        else:
            self._stalled.discard(number)
            log.info("partition goes on")
