"""A partition of a lane: from what was fetched of it to what is committed."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, errors

from marketprep import dead_letters, direct, offsets
from marketprep._core import Batch
from marketprep.assignment import Assignment
from marketprep.batch import BatchProcessor, Message, TimeStacker
from marketprep.checkpoints import Checkpoints
from marketprep.closable_queue import ClosableQueue
from marketprep.decoder import Decoder
from marketprep.delivery import AtLeastOnce, Delivery, ExactlyOnce, Fenced
from marketprep.direct import Fetched, Rejected
from marketprep.kafka import KafkaFailure
from marketprep.resources import Resources
from marketprep.settings import Settings
from marketprep.watch import Watch, stable_end

T = TypeVar("T")

_COMMITTED_SECONDS = 10

#: What is smaller is decoded, or framed, sooner than a thread begins with it.
_SMALL_BYTES = 32 << 10

#: What counts and the like take of what was decoded at once, until it is committed.
_COUNTS_BYTES = 4 << 10

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
    #: Where books start cold, which must be saved before it is committed.
    beginning: Sequence[Message] = ()


@dataclass(frozen=True)
class Surroundings:
    """What the partitions of a lane have in common."""

    assignment: Assignment
    settings: Settings
    resources: Resources
    #: Is told, for each partition, what has been committed.
    committed: Callable[[int, Batch], None]
    #: Wakes the reader: there is room again, or something to read.
    changed: asyncio.Event
    until_end: bool
    log: Any


class _Start(NamedTuple):
    """The start of a partition."""

    #: The committed offset; None if the books cannot go on from it.
    committed: int | None
    offset: int
    #: Whether neither an offset nor a checkpoint shows earlier work.
    is_first: bool = False


class Partition:
    """One partition while it is ours: its books, its queue, and the cycles of its delivery.

    `open` and `write` are one task, `seek`, `keep` and `take` are the reader's. While one cycle is
    being acknowledged the next is read and decoded. After any failure nothing is repaired: all of
    it is closed.
    """

    def __init__(self, number: int, consumer: AIOKafkaConsumer, around: Surroundings) -> None:
        self.number = number
        self.place = TopicPartition(around.assignment.topics.input, number)
        #: The offset that is read next.
        self.position = 0
        #: When something of it was decoded, in seconds of a clock that runs evenly.
        self.served = 0.0
        self.decoder = Decoder(around.assignment.kind, around.settings)
        self._consumer = consumer
        self._around = around
        self._log = around.log.bind(
            topic=self.place.topic,
            partition=number,
            exchange=around.assignment.exchanges_of(number),
        )
        self._queue = ClosableQueue[Poll]()
        self._account = around.resources.budget.account(around.changed)
        #: Of what was fetched, what is still to be decoded; and the offset behind all of it.
        self._rest: Sequence[Fetched] = ()
        self._next_offset = 0
        self._checkpoints = Checkpoints(around.assignment, around.settings, number)
        self._delivery = _delivery(around, self.place, consumer)
        self._committed = self._committing = 0
        self._committed_at = time.monotonic()
        self._end: int | None = None
        self._reading = asyncio.Lock()
        self._is_closing = self._is_sought = False
        self._watch = Watch(consumer, self.place, around.settings.watch.stall_after_s, self._log)

    async def open(self) -> None:
        """Goes to the committed offset, with the books as they were there."""
        await self._delivery.start()
        committed, start, is_first = await self._start()
        self.position = self._committed = self._committing = start
        await self._note_end()
        self.decoder = await self._checkpoints.restore(committed, _replay)
        beginning = self._checkpoints.beginning(start)
        # Without a committed offset a restart would determine the start anew, and with
        # `consumer.start: latest` skip what has come meanwhile; an old one would soon expire.
        await self._delivery.begin()
        if is_first:
            # the mark of a partition without a committed offset would look like earlier work
            await self._delivery.commit(start, beginning)
        else:
            # books of before must be removed before anything else is committed
            await self._delivery.send(beginning)
            await self._delivery.commit(start)
        self._committed_at = time.monotonic()

    async def _start(self) -> _Start:
        """Determines where the partition begins.

        Raises KafkaFailure if the offset does not exist and the settings do not let it go on. It
        asks before the first poll, as with `--until-end` an offset after the end ends the work.
        """
        settings = self._around.settings
        committed = await offsets.committed(self._consumer, self.place)
        if committed is None:
            saved = await self._checkpoints.saved_offset()
            if saved is None:
                first = await offsets.first(self._consumer, self.place, settings)
                return _Start(None, first, is_first=True)
            start = await offsets.after_expiry(
                self._consumer, self.place, saved, settings, self._log
            )
            return _Start(saved if start == saved else None, start)
        if await offsets.exists(self._consumer, self.place, committed):
            return _Start(committed, committed)
        start = await offsets.after_loss(self._consumer, self.place, committed, settings, self._log)
        return _Start(None, start)

    async def _note_end(self) -> None:
        if self._around.until_end:
            self._end = (await self._consumer.end_offsets([self.place]))[self.place]

    @property
    def has_room(self) -> bool:
        """Whether there is memory for another chunk of it."""
        return not self._is_closing and self._account.has_room

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing, and so may have a little even if others leave no memory."""
        return not self._is_closing and not self._account.held_bytes

    @property
    def has_rest(self) -> bool:
        """Whether there is something to decode without another poll."""
        return bool(self._rest)

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

    async def keep(self, records: Sequence[Fetched]) -> None:
        """Takes over what was fetched, which is still to be decoded.

        There is no rest, or nothing was fetched. Without records too it may be that reading has
        got further.
        """
        async with self._reading:
            if self._is_closing or self._rest:
                return
            self._next_offset = await self._consumed(records)
            self._rest = records
            if not records and self._next_offset != self.position:
                self.position = self._next_offset
                await self._queue.put(Poll(self.position))

    async def take(self, most_bytes: int) -> tuple[int, int]:
        """Decodes what is kept, until about so many bytes have come of it; lets them be delivered.

        About how many bytes it had or led to, and of how many of what was fetched.
        """
        async with self._reading:
            if self._is_closing or not self._rest:
                return 0, 0
            records = self._rest
            self.served = time.monotonic()
            expected = min(most_bytes, direct.expected_bytes(records))
            self._account.take(expected)
            poll, self._rest = await self._decoded(records, most_bytes)
            self._account.change(poll.size - expected)
            self.position = poll.next_offset
            size = 0
            if poll.batch:  # values are not all there is of messages
                size = poll.batch.bytes_in + _MESSAGE_BYTES * poll.batch.envelopes
                size = max(size, poll.batch.held)
            await self._queue.put(poll)
            return size, max(1, len(records) - len(self._rest))

    async def _decoded(
        self, records: Sequence[Fetched], most_bytes: int
    ) -> tuple[Poll, Sequence[Fetched]]:
        """What became of what was fetched, or of its beginning; and what is left."""
        decode = partial(self._decode, self._next_offset, records, most_bytes)
        if direct.expected_bytes(records) < _SMALL_BYTES and not self._checkpoints.is_due():
            return decode()
        return await self._in_worker(decode)

    async def _in_worker(self, work: Callable[[], T]) -> T:
        """Does what takes long beside the event loop: the core works without the GIL."""
        workers = self._around.resources.workers
        return await asyncio.get_running_loop().run_in_executor(workers, work)

    async def _consumed(self, records: Sequence[Fetched]) -> int:
        """The consumer's position. Marks of transactions move it too, which are no records."""
        with suppress(errors.IllegalStateError):  # a group is about to take the partition away
            position: int = await self._consumer.position(self.place)
            return position
        return records[-1].offset + 1 if records else self.position

    def _decode(
        self, next_offset: int, records: Sequence[Fetched], most_bytes: int
    ) -> tuple[Poll, Sequence[Fetched]]:
        batch, rejected, rest = direct.decode(self.decoder, self.place, records, most_bytes)
        if rest:
            next_offset = rest[0].first_offset
        saved: Sequence[Message] = ()
        if self._checkpoints.is_due():
            saved = self._checkpoints.round(next_offset, self.decoder)
        size = _COUNTS_BYTES + batch.held + sum(len(message.value or b"") for message in saved)
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
            beginning = self._checkpoints.beginning(start)
            await self._queue.put(Poll(start, beginning=beginning))

    def _go_to(self, offset: int) -> None:
        self._consumer.seek(self.place, offset)
        self.position = offset

    async def refresh(self) -> None:
        """Commits the position again if that was last done `consumer.commit_every_s` ago.

        Brokers delete offsets `offsets.retention.minutes` after their commit, as nobody is a member
        of the group where partitions are assigned by hand.
        """
        every = self._around.settings.consumer.commit_every_s
        if time.monotonic() - self._committed_at < every:
            return
        async with self._reading:
            if self._is_closing or self._rest:  # what is read is committed soon
                return
            self._committed_at = time.monotonic()
            saved = await self._in_worker(
                partial(self._checkpoints.round, self.position, self.decoder)
            )
            await self._queue.put(Poll(self.position, checkpoints=saved))

    async def finish(self) -> None:
        """Lets `write` end once all that was read is committed, books with it."""
        async with self._reading:
            if not self._is_closing:
                self._is_closing = True
                self._rest = ()
                # so that whoever comes next need not read again
                if saved := self._checkpoints.round(self.position, self.decoder):
                    await self._queue.put(Poll(self.position, checkpoints=saved))
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
        settings, is_transactional = self._around.settings, self._delivery.is_transactional
        short = TimeStacker(settings.max_wait_ms)
        long = TimeStacker(max(settings.max_wait_ms, settings.batch.commit_interval_ms))
        short.start()
        long.start()
        await self._delivery.begin()
        polls: list[Poll] = []
        checkpoints: list[Message] = []
        held = 0
        poll: Poll | None = first
        while poll:
            held += poll.size
            if poll.batch:
                held -= await self._send(batcher, poll.batch)
                await self._delivery.send(self._dead_letters(poll.rejected))
            if poll.beginning:
                # the books are forgotten, but not which checkpoints are to be removed
                removed = [message for message in checkpoints if message.value is None]
                checkpoints.clear()
                await self._delivery.send([*removed, *poll.beginning])
            # of several rounds all are needed: each has only what has changed since the one before
            checkpoints += poll.checkpoints
            polls.append(replace(poll, rejected=()))
            seconds = (long if poll.is_behind and is_transactional else short).remaining()
            # what is there already need not wait for the next commit
            is_over = self._is_full(held) or not (seconds or long.remaining())
            poll = None if is_over else await self._queue.get(seconds)
            if not (poll or is_over or is_transactional):
                # readers need no commit: let them have it, and commit it with what comes
                held -= await self._send(batcher, None)
                if long.remaining() and not self._is_full(held):
                    poll = await self._queue.get(long.remaining())
                    short.start()
        held -= await self._send(batcher, None)
        self._committing = polls[-1].next_offset
        await self._delivery.commit(self._committing, checkpoints)
        self._committed = self._committing
        self._committed_at = time.monotonic()
        self._account.change(-held)
        for poll in polls:
            if poll.batch:
                self._around.committed(self.number, poll.batch)

    def _is_full(self, held: int) -> bool:
        """Whether a cycle that holds so many bytes must end, so that memory comes free."""
        resources = self._around.resources
        if self._account.has_room and not resources.memory.is_over():
            return False
        # what is in the queue holds its memory anyway: it need not have a commit of its own
        return self._queue.is_empty or held >= resources.budget.chunk_bytes

    async def _send(self, batcher: BatchProcessor, batch: Batch | None) -> int:
        """Sends the values that are full with a batch, or without one those that are not.

        How many bytes of memory that has made free.
        """
        settings, topics = self._around.settings, self._around.assignment.topics
        if not direct.writes_directly(settings):
            await self._delivery.send(batcher.messages(batch))
            return 0
        before = batch.held if batch else 0
        frame = partial(
            batcher.finished,
            batch,
            settings.output.compression,
            is_transactional=self._delivery.is_transactional,
        )
        finished = await self._in_worker(frame) if before >= _SMALL_BYTES else frame()
        freed = before - sum(map(len, finished)) - (batch.held if batch else 0)
        self._account.change(-freed)
        await self._delivery.send_finished(topics.output, self.number, finished)
        return freed

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
        self._account.close()
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
