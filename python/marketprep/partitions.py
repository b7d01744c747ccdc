"""The partitions of a lane: which are ours, and the task that works on each."""

import asyncio
from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from marketprep.partition import Partition, Surroundings


class PartitionManager(ConsumerRebalanceListener):  # type: ignore[misc] # it has no types
    """Takes the partitions of an assignment, or those that a consumer group gives.

    Each is opened and written by a task of its own. What is handed back has been committed, books
    with it: whoever gets it next goes on with them.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, tasks: asyncio.TaskGroup, around: Surroundings
    ) -> None:
        self._consumer = consumer
        self._tasks = tasks
        self._around = around
        self._assignment = around.assignment
        self._changed = around.changed
        self._log = around.log
        self._work: dict[int, asyncio.Task[None]] = {}
        self._open: dict[int, Partition] = {}
        self._is_assigned = self._is_finishing = False

    def assign(self) -> None:
        """Takes the partitions of the assignment."""
        self._consumer.assign([self._place(number) for number in self._assignment.exchanges])
        self._begin(self._assignment.exchanges)

    def subscribe(self) -> None:
        """Takes what the group gives; to be called before the consumer starts."""
        self._consumer.subscribe([self._assignment.topics.input], listener=self)

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._assignment.topics.input, number)

    @property
    def open(self) -> Collection[Partition]:
        """Those that can be read."""
        return list(self._open.values())

    @property
    def is_ready(self) -> bool:
        """Whether everything that is ours is being worked on."""
        return self._is_assigned and self._open.keys() == self._work.keys()

    @property
    def is_at_end(self) -> bool:
        """Whether all is read that was there at the beginning; never if nobody asked for it."""
        # a member of a group that has no partitions waits for some
        is_wanted = self._around.until_end and self.is_ready
        return is_wanted and all(partition.is_at_end for partition in self._open.values())

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The group gives partitions. No heartbeats are sent before this returns."""
        if not self._is_finishing:
            self._begin([place.partition for place in assigned])

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group takes partitions away; it waits until we have let them go."""
        self._is_assigned = False
        await self._let_go([place.partition for place in revoked])

    async def finish(self) -> None:
        """Returns once all that was read is committed. Nothing new is begun any more."""
        self._is_finishing = True
        await self._let_go(list(self._work))

    def _begin(self, numbers: Collection[int]) -> None:
        self._is_assigned = True
        for number in sorted(numbers):
            work = self._work_on(number)
            try:
                self._work[number] = self._tasks.create_task(work)
            except RuntimeError:  # something has failed, and everything is about to end
                work.close()
                return
        self._changed.set()
        if not numbers:
            self._log.info("no partitions are left for this member of the group")

    async def _work_on(self, number: int) -> None:
        partition = Partition(number, self._consumer, self._around)
        try:
            await partition.open()
            self._open[number] = partition
            self._changed.set()
            self._tell()
            await partition.write()
        finally:
            self._open.pop(number, None)
            await partition.close()

    def _tell(self) -> None:
        """Says, once all of them are open, where reading begins."""
        if self.is_ready:
            positions = {of.number: of.position for of in self._open.values()}
            self._log.info(
                "partitions assigned",
                topic=self._assignment.topics.input,
                positions=dict(sorted(positions.items())),
            )

    async def _let_go(self, numbers: Collection[int]) -> None:
        """Ends the work on partitions in good order; on those that are not open yet at once."""
        ending = []
        for number in numbers:
            if work := self._work.get(number):
                ending.append(work)
                if partition := self._open.get(number):
                    await partition.finish()
                else:
                    work.cancel()
        if ending:
            await asyncio.wait(ending)
        for number in numbers:
            self._work.pop(number, None)

    async def refresh(self) -> None:
        """Commits positions again where that was last done long ago."""
        for partition in self.open:
            await partition.refresh()

    def look(self, lag: dict[int, int | None]) -> None:
        """Brings the lag up to date, by partition."""
        known: Mapping[int, int | None] = {of.number: of.look() for of in self._open.values()}
        lag.clear()
        lag.update(known)
