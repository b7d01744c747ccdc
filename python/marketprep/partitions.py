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
        self._moved: dict[int, tuple[int, float]] = {}
        self._stalled: set[int] = set()

    def assign(self) -> None:
        """Takes the partitions; to be called before the consumer starts."""
        self._consumer.assign(self._partitions)

    async def begin(self, *, until_end: bool) -> None:
        """Goes to the committed offsets, or where the settings say if there are none."""
        new = []
        for partition in self._partitions:
            committed = await self._consumer.committed(partition)
            if committed is not None:
                self._consumer.seek(partition, committed)
            else:
                await self._seek(partition, self._settings.consumer.start)
                new.append(self._exchanges[partition.partition])
        positions = await self.positions()
        self._log.info(
            "partitions assigned",
            positions={self._exchanges[number]: offset for number, offset in positions.items()},
            without_committed_offset=new,
        )
        if until_end:
            self._ends = await self._consumer.end_offsets(self._partitions)

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
                    f"Offset {offset} of {where} is there no more, the oldest is "
                    f"{starts[partition]}: retention has overtaken the service. To go on without "
                    "what is lost, set consumer.lost_offset to earliest or latest."
                )
            self._log.error(
                "messages are lost: the committed offset is there no more",
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

    async def watch(self, lag: dict[int, int]) -> None:
        """Keeps `lag` up to date, and tells of partitions that stand still, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look(lag)

    async def look(self, lag: dict[int, int]) -> None:
        """Brings `lag` up to date."""
        now, positions = time.monotonic(), await self.positions()
        for partition in self._partitions:
            number = partition.partition
            end = self._consumer.last_stable_offset(partition)
            if end is None or end < 0:
                end = self._consumer.highwater(partition)
            position = positions[number]
            lag[number] = max(0, (end or 0) - position)
            before, since = self._moved.get(number, (-1, now))
            if position != before or not lag[number]:
                self._moved[number] = (position, now)
                if number in self._stalled:
                    self._stalled.discard(number)
                    self._log.info("partition goes on", partition=number, position=position)
            elif now - since > self._settings.watch.stall_after_s and number not in self._stalled:
                self._stalled.add(number)
                self._log.warning(
                    "partition stands still",
                    partition=number,
                    exchange=self._exchanges[number],
                    position=position,
                    lag=lag[number],
                    seconds=round(now - since),
                )
