"""A partition of a lane: from what was fetched of it to what is committed."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, errors

from marketprep import dead_letters, direct, offsets
from marketprep._core import Batch
from marketprep.assignment import Assignment
from marketprep.batch import BatchProcessor, MemoryWatch, Message, TimeStacker
from marketprep.byte_queue import ByteQueue
from marketprep.checkpoints import Checkpoints
from marketprep.decoder import Decoder
from marketprep.delivery import AtLeastOnce, Delivery, ExactlyOnce, Fenced
from marketprep.direct import Fetched, Rejected
from marketprep.kafka import KafkaFailure
from marketprep.settings import Settings
from marketprep.watch import Watch, stable_end

_COMMITTED_SECONDS = 10

#: What is smaller is decoded sooner than a thread begins with it.
_SMALL_BYTES = 32 << 10

#: What a message takes besides its value.
_MESSAGE_BYTES = 100

#: So many messages that are still to be read are no backlog, but what has just come.
_BACKLOG_MESSAGES = 50


@dataclass(frozen=True, slots=True)
class Poll:
    """What was fetched at once, and what became of it.

    Without records it only tells how far the partition is read.
    """

    #: The offset from which reading would go on.
    next_offset: int
    batch: Batch | None = None
    rejected: Sequence[Rejected] = ()
    #: What books are then, to be committed with it.
    checkpoints: Sequence[Message] = ()
    size: int = 0
    #: Whether there was as much again to be fetched.
    is_behind: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What the partitions of a lane have in common."""

    assignment: Assignment
    settings: Settings
    memory: MemoryWatch
    #: How many bytes a partition may hold between being read and being sent.
    queue_bytes: int
    #: Is told, for each partition, what has been committed.
    committed: Callable[[int, Batch], None]
    #: Wakes the reader: there is room again, or something to read.
    changed: asyncio.Event
    until_end: bool
    log: Any


class Partition:
    """One partition while it is ours: its books, its queue, and the cycles of its delivery.

    `open` and `write` are one task, `seek` and `take` are the reader's. While one cycle is being
    acknowledged the next is read and decoded. After any failure nothing is repaired: all of it is
    closed.
    """

    def __init__(self, number: int, consumer: AIOKafkaConsumer, around: Surroundings) -> None:
        self.number = number
        self.place = TopicPartition(around.assignment.topics.input, number)
        #: The offset that is read next.
        self.position = 0
        self.decoder = Decoder(around.assignment.kind, around.settings)
        self._consumer = consumer
        self._around = around
        self._log = around.log.bind(
            topic=self.place.topic,
            partition=number,
            exchange=around.assignment.exchanges_of(number),
        )
        self._queue = ByteQueue[Poll](around.queue_bytes)
        self._checkpoints = Checkpoints(around.assignment, around.settings, number)
        self._delivery = _delivery(around, self.place, consumer)
        self._committed = self._committing = 0
        self._end: int | None = None
        self._reading = asyncio.Lock()
        self._is_closing = self._is_sought = False
        self._watch = Watch(consumer, self.place, around.settings.watch.stall_after_s, self._log)

    async def open(self) -> None:
        """Goes to the committed offset, with the books as they were there."""
        await self._delivery.start()
        committed = await offsets.committed(self._consumer, self.place)
        start = committed
        if start is None:
            start = await offsets.first(self._consumer, self.place, self._around.settings)
        self.position = self._committed = self._committing = start
        await self._note_end()
        self.decoder = await self._checkpoints.restore(committed, _replay)
        if beginning := self._checkpoints.beginning(start):
            await self._delivery.begin()
            await self._delivery.send(beginning)
            await self._delivery.commit(start)

    async def _note_end(self) -> None:
        if self._around.until_end:
            self._end = (await self._consumer.end_offsets([self.place]))[self.place]

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return not self._queue.is_full

    @property
    def is_at_end(self) -> bool:
        """Whether all is read that was there at the beginning; never if nobody asked for it."""
        return self._end is not None and self.position >= self._end

    def seek(self) -> None:
        """Before the first poll for it: lets the consumer begin where the partition does.

        No sooner: a group may take a partition away and give it back during a poll, and what that
        hands over then belongs to nobody. It is fetched again.
        """
        if not self._is_sought and not self._is_closing:
            self._go_to(self.position)
            self._is_sought = True

    async def take(self, records: Sequence[Fetched], executor: Executor) -> int:
        """Decodes what was fetched, and lets it be delivered; about how many bytes it had."""
        async with self._reading:
            if self._is_closing:
                return 0
            next_offset = await self._next_offset(records)
            size = 0
            while records:
                poll, records = await self._decoded(next_offset, records, executor)
                if batch := poll.batch:
                    # values are not all there is of messages
                    size += batch.bytes_in + _MESSAGE_BYTES * batch.envelopes
                self.position = poll.next_offset
                await self._queue.put(poll, poll.size)
                if records:
                    await self._queue.room()
            if next_offset != self.position:
                self.position = next_offset
                await self._queue.put(Poll(next_offset), 0)
            return size

    async def _decoded(
        self, next_offset: int, records: Sequence[Fetched], executor: Executor
    ) -> tuple[Poll, Sequence[Fetched]]:
        """What became of what was fetched, or of its beginning; and what is left."""
        if direct.expected_bytes(records) < _SMALL_BYTES and not self._checkpoints.is_due():
            return self._decode(next_offset, records)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, self._decode, next_offset, records)

    async def _next_offset(self, records: Sequence[Fetched]) -> int:
        """The consumer's position. Marks of transactions move it too, which are no records."""
        with suppress(errors.IllegalStateError):  # a group is about to take the partition away
            position: int = await self._consumer.position(self.place)
            return position
        return records[-1].offset + 1 if records else self.position

    def _decode(
        self, next_offset: int, records: Sequence[Fetched]
    ) -> tuple[Poll, Sequence[Fetched]]:
        """Runs in the lane's thread if it is much: the core releases the GIL."""
        batch, rejected, rest = direct.decode(self.decoder, self.place, records)
        if rest:
            next_offset = rest[0].first_offset
        saved: Sequence[Message] = ()
        if self._checkpoints.is_due():
            saved = self._checkpoints.round(next_offset, self.decoder)
        size = batch.held + sum(len(message.value or b"") for message in saved)
        left = stable_end(self._consumer, self.place) - next_offset
        is_behind = left > max(batch.envelopes, _BACKLOG_MESSAGES)
        return Poll(next_offset, batch, rejected, saved, size, is_behind), rest

    async def lose(self, offset: int) -> None:
        """Goes on where the settings say, as there are no messages at this offset.

        Raises KafkaFailure if they do not let it. Begins with new books, as the old ones know
        nothing of what comes instead.
        """
        settings = self._around.settings
        async with self._reading:
            if self._is_closing:
                return
            start = await offsets.after_loss(
                self._consumer, self.place, offset, settings, self._log
            )
            self._go_to(start)
            await self._note_end()
            self.decoder = self._checkpoints.forget()
            mark = self._checkpoints.beginning(start)
            await self._queue.put(Poll(start, checkpoints=mark), 0)

    def _go_to(self, offset: int) -> None:
        self._consumer.seek(self.place, offset)
        self.position = offset

    async def finish(self) -> None:
        """Lets `write` end once all that was read is committed, books with it."""
        async with self._reading:
            if not self._is_closing:
                self._is_closing = True
                # so that whoever comes next need not read again
                if saved := self._checkpoints.round(self.position, self.decoder):
                    await self._queue.put(Poll(self.position, checkpoints=saved), 0)
                await self._queue.close()

    async def drained(self) -> None:
        """Waits until all that was read is being sent."""
        await self._queue.drained()

    async def write(self) -> None:
        """Delivers what is read until `finish`.

        Raises KafkaFailure if another instance does the same work.
        """
        assignment, settings = self._around.assignment, self._around.settings
        batcher = BatchProcessor(
            assignment.topics.output,
            self.number,
            assignment.kind,
            settings.output.framing,
            settings.batch.max_records,
        )
        try:
            while first := await self._queue.get():
                await self._cycle(first, batcher)
            await self._delivery.settle()
        except Fenced as fenced:
            if self._around.settings.assignment == "manual" and await self._is_taken(fenced):
                raise _another_instance(self.place, self._around) from fenced
            raise

    async def _cycle(self, first: Poll, batcher: BatchProcessor) -> None:
        """What one commit is of: what comes until it is time, or enough."""
        batch = self._around.settings.batch
        short = TimeStacker(batch.max_wait_ms)
        long = TimeStacker(max(batch.max_wait_ms, batch.commit_interval_ms))
        short.start()
        long.start()
        await self._delivery.begin()
        polls: list[Poll] = []
        size = 0
        poll: Poll | None = first
        while poll:
            if poll.batch:
                await self._send(batcher, poll.batch)
                await self._delivery.send(self._dead_letters(poll.rejected))
            polls.append(replace(poll, rejected=()))
            size += poll.size
            is_full = size > self._around.queue_bytes or self._around.memory.is_over()
            seconds = (long if poll.is_behind else short).remaining()
            # what is there already need not wait for the next commit
            is_over = is_full or not (seconds or long.remaining())
            poll = None if is_over else await self._queue.get(seconds)
            self._around.changed.set()
        await self._send(batcher, None)
        self._committing = polls[-1].next_offset
        # of several rounds all are needed: each has only what has changed since the one before
        checkpoints = [message for poll in polls for message in poll.checkpoints]
        await self._delivery.commit(self._committing, checkpoints)
        self._committed = self._committing
        for poll in polls:
            if poll.batch:
                self._around.committed(self.number, poll.batch)

    async def _send(self, batcher: BatchProcessor, batch: Batch | None) -> None:
        """Sends the values that are full with a batch, or without one those that are not."""
        settings, topics = self._around.settings, self._around.assignment.topics
        if direct.writes_directly(settings):
            finished = batcher.finished(
                batch,
                settings.output.compression,
                is_transactional=self._delivery.is_transactional,
            )
            await self._delivery.send_finished(topics.output, self.number, finished)
        else:
            await self._delivery.send(batcher.messages(batch))

    def _dead_letters(self, rejected: Sequence[Rejected]) -> Iterator[Message]:
        assignment = self._around.assignment
        for reject, record in rejected:
            yield dead_letters.message(reject, record, assignment.kind, assignment.dead_letters)

    async def _is_taken(self, fenced: Fenced) -> bool:
        """Whether it was another instance, and not time alone, that has fenced us off.

        That is sure where time was not up, or where another one has committed.
        """
        if not fenced.is_late:
            return True
        async with asyncio.timeout(_COMMITTED_SECONDS):
            committed = await offsets.committed(self._consumer, self.place)
        # brokers that were all away may know less than we for a while, but never more by themselves
        return committed is not None and committed > max(self._committed, self._committing)

    def look(self) -> int | None:
        """The lag, see `Watch.look`."""
        return self._watch.look(self.position, self._committed)

    async def close(self) -> None:
        """Gives up what is not committed."""
        await self._delivery.close()


def _delivery(around: Surroundings, place: TopicPartition, consumer: AIOKafkaConsumer) -> Delivery:
    if around.settings.delivery == "exactly_once":
        return ExactlyOnce(around.settings, around.assignment, place)
    return AtLeastOnce(around.settings, place, consumer)


def _another_instance(place: TopicPartition, around: Surroundings) -> KafkaFailure:
    return KafkaFailure(
        f"Another instance, started after this one, works on partition {place.partition} of "
        f"{place.topic} ({around.assignment.exchanges_of(place.partition)}): stop one of them, or "
        "give each its own --region, --kind or --exchange. With assignment: group in the settings "
        "they share the partitions."
    )


async def _replay(decoder: Decoder, records: Sequence[ConsumerRecord]) -> None:
    """Lets messages take effect once more, without output."""
    await asyncio.to_thread(decoder.decode, *direct.columns(records))
