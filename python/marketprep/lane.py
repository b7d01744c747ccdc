"""A lane: one kind in one region, from its input topic to its output topic and dead letters."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition, errors

from marketprep import dead_letters
from marketprep._core import Batch
from marketprep.assignment import Assignment
from marketprep.batch import BatchProcessor, MemoryWatch, Message, TimeStacker
from marketprep.book_log import BookLog
from marketprep.byte_queue import ByteQueue
from marketprep.checkpoints import Checkpoints
from marketprep.decoder import Decoder
from marketprep.kafka import KafkaFailure, connection, explain, is_transient
from marketprep.metrics import ExchangeMetrics, LaneMetrics
from marketprep.outbox import DeliveryError, Outbox, close, new_producer
from marketprep.partitions import PartitionManager
from marketprep.settings import Settings

_POLL_MS = 200
#: At least four times the largest batch: what is cut off is fetched again.
_PARTITION_FETCH_BYTES = 4 << 20
_FETCH_BYTES = 16 << 20
#: How many bytes of messages are taken over at once. What was fetched and is not taken
#: over stays compressed, and so small.
_POLL_BYTES = 2 << 20
#: How many messages are taken over at first, while nothing is known of their size.
_FIRST_MESSAGES = 8

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Poll:
    """What was fetched of a partition at once, and what became of it.

    Without records it only tells how far the partition is read.
    """

    partition: int
    #: The offset from which reading would go on.
    next_offset: int
    records: Sequence[ConsumerRecord] = ()
    #: Those of the records, in milliseconds.
    timestamps: Sequence[int | None] = ()
    batch: Batch | None = None
    #: What is to be saved once all of it, and of what came before, is committed.
    checkpoints: Sequence[Message] = ()
    size: int = 0


class Lane:
    """Reads, decodes, produces and commits until it is told to stop.

    A reader and a writer task with a queue between them: what the next cycle is to send is read
    and decoded while the last one is being acknowledged. Whatever fails ends both; if trying again
    may do, both clients and the decoder are built anew and go on from the committed offsets.
    """

    def __init__(
        self, assignment: Assignment, settings: Settings, memory: MemoryWatch, queue_bytes: int
    ) -> None:
        self.assignment = assignment
        self.metrics = LaneMetrics(
            {name: ExchangeMetrics(number) for number, name in assignment.exchanges.items()}
        )
        self._settings = settings
        self._memory = memory
        self._queue_bytes = queue_bytes
        # bound when it is first used, as logging may not be set up by now
        self._log = structlog.stdlib.get_logger("marketprep.lane", lane=assignment.name)
        self._stop = asyncio.Event()
        self._commits = 0
        self._committed: dict[int, int] = {}
        self._checkpoints = Checkpoints(assignment, settings)
        self._decoders: dict[int, Decoder] = {}
        self._books = BookLog(self._log)

    def stop(self) -> None:
        """Lets the lane end once all that it has read is sent and committed."""
        self._stop.set()

    def books(self) -> dict[str, dict[str, int]]:
        """By exchange, how many kept books there are of each quality."""
        found: dict[str, Counter[str]] = {}
        for decoder in self._decoders.values():
            for book in decoder.books():
                found.setdefault(book.exchange, Counter())[book.quality] += 1
        return {exchange: dict(counts) for exchange, counts in found.items()}

    async def run(self, *, until_end: bool = False) -> None:
        """Works until `stop`, or until all is read that is there now.

        Raises KafkaFailure for what trying again cannot mend.
        """
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            commits = self._commits
            try:
                await self._session(until_end=until_end)
            except Exception as raised:  # noqa: BLE001 - it is raised again if nothing can mend it
                error = _first(raised)
                reason = self._reason(error)
                if self._stop.is_set():
                    raise KafkaFailure(reason) from error
            else:
                return
            if self._commits > commits:
                backoff = _FIRST_BACKOFF_SECONDS
            self._log.warning("starting anew", reason=reason, seconds=backoff)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff)
            if self._stop.is_set():
                return
            backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)

    def _reason(self, error: BaseException) -> str:
        """What is wrong, if trying again may mend it; raises what cannot be mended."""
        cause, topic = error, None
        if isinstance(error, DeliveryError) and error.__cause__:
            cause, topic = error.__cause__, error.topic
        if not isinstance(cause, errors.KafkaError) and not is_transient(cause):
            raise error
        text = explain(cause, self._settings.kafka, topic)
        if not is_transient(cause):
            raise KafkaFailure(text) from error
        return text

    async def _session(self, *, until_end: bool) -> None:
        """One life of a consumer, a producer and a decoder."""
        producer = new_producer(self._settings, self._settings.output.compression)
        consumer = _new_consumer(self._settings, self.assignment)
        partitions = PartitionManager(consumer, self.assignment, self._settings)
        partitions.assign()

        async def begin() -> None:
            await producer.start()
            await consumer.start()
            committed = await partitions.begin(until_end=until_end)
            self._decoders = await self._checkpoints.restore(committed, _replay)
            outbox = Outbox(producer)
            await outbox.send(self._checkpoints.beginnings(await partitions.positions()))
            await outbox.acknowledged()

        try:
            if not await self._unless_stopped(begin()):
                return
            queue = ByteQueue[Poll](self._queue_bytes)
            self._committed.clear()
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(partitions.watch(self._committed, self.metrics.lag))
                tasks.create_task(self._read(consumer, partitions, queue))
                await tasks.create_task(self._write(consumer, producer, queue))
                await partitions.look(self._committed, self.metrics.lag)
                watch.cancel()
        finally:
            await close(consumer)
            await close(producer)

    async def _unless_stopped(self, work: Coroutine[None, None, None]) -> bool:
        """Does what may take long, unless the lane is stopped meanwhile; whether it was done."""
        working, stopped = asyncio.ensure_future(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return working.done()
        finally:
            stopped.cancel()
            working.cancel()

    async def _read(
        self, consumer: AIOKafkaConsumer, partitions: PartitionManager, queue: ByteQueue[Poll]
    ) -> None:
        loop = asyncio.get_running_loop()
        told = await partitions.positions()
        size = _Size(min(_POLL_BYTES, self._queue_bytes // 2))
        with ThreadPoolExecutor(1, f"decode {self.assignment.name}") as pool:
            while not self._stop.is_set() and not partitions.is_at_end(told):
                try:
                    polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=size.messages)
                except errors.OffsetOutOfRangeError as error:
                    await partitions.recover(error.args[0])
                    await self._forget_books(error.args[0], await partitions.positions(), queue)
                    continue
                positions = await partitions.positions()
                for number, position in positions.items():
                    records = polled.get(TopicPartition(self.assignment.topics.input, number), ())
                    if records:
                        size.learn(records)
                        poll = await loop.run_in_executor(
                            pool, self._decode, number, position, records
                        )
                    elif position > told[number]:
                        poll = Poll(number, position)
                    else:
                        continue
                    await queue.put(poll, poll.size)
                    if self._memory.is_over():
                        await queue.drained()
                told = positions
            for number, position in told.items():  # so that the next start need not read again
                if saved := self._checkpoints.round(number, position, self._decoders[number]):
                    await queue.put(Poll(number, position, checkpoints=saved), 0)
        await queue.close()

    async def _forget_books(
        self,
        lost: Iterable[TopicPartition],
        positions: Mapping[int, int],
        queue: ByteQueue[Poll],
    ) -> None:
        """Begins with new books, as the old ones know nothing of what comes instead."""
        for partition in lost:
            number = partition.partition
            self._decoders[number] = self._checkpoints.forget(number)
        for mark in self._checkpoints.beginnings(positions):
            number = mark.partition
            await queue.put(Poll(number, positions[number], checkpoints=[mark]), 0)

    def _decode(self, partition: int, next_offset: int, records: Sequence[ConsumerRecord]) -> Poll:
        """Runs in the lane's thread: the core releases the GIL."""
        decoder = self._decoders[partition]
        values, timestamps, offsets = _columns(records)
        batch = decoder.decode(values, timestamps, offsets)
        saved: Sequence[Message] = ()
        if self._checkpoints.is_due(partition):
            saved = self._checkpoints.round(partition, next_offset, decoder)
        size = sum(map(len, values)) + len(batch.records)
        size += sum(len(message.value or b"") for message in saved)
        return Poll(partition, next_offset, records, timestamps, batch, saved, size)

    async def _write(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, queue: ByteQueue[Poll]
    ) -> None:
        outbox = Outbox(producer)
        output, settings = self._settings.output, self._settings.batch
        batcher = BatchProcessor(
            self.assignment.topics.output,
            self.assignment.kind,
            output.framing,
            settings.max_records,
        )
        stacker = TimeStacker(settings.max_wait_ms)
        while first := await queue.get():
            polls: list[Poll] = []
            size = 0
            poll: Poll | None = first
            stacker.start()
            while poll:
                await outbox.send(self._messages(poll, batcher))
                polls.append(replace(poll, records=(), timestamps=()))
                size += poll.size
                is_full = size > self._queue_bytes or self._memory.is_over()
                poll = None if is_full else await queue.get(stacker.remaining())
            await outbox.send(batcher.flush())
            await outbox.acknowledged()
            offsets = {poll.partition: poll.next_offset for poll in polls}
            topic = self.assignment.topics.input
            await consumer.commit(
                {TopicPartition(topic, number): offset for number, offset in offsets.items()}
            )
            self._committed.update(offsets)
            self._commits += 1
            for poll in polls:
                # those of a crash in between are made good by reading from the ones before
                await outbox.send(poll.checkpoints)
                if poll.batch:
                    self.metrics.add(poll.partition, poll.batch)
                    self._books.tell(poll.batch.changes)
        await outbox.acknowledged()

    def _messages(self, poll: Poll, batcher: BatchProcessor) -> Iterator[Message]:
        """What leaves because of a poll: values that are full, and dead letters."""
        if poll.batch is None:
            return
        yield from batcher.add(poll.partition, poll.batch, poll.timestamps)
        for reject in poll.batch.rejects:
            record = poll.records[reject.index]
            yield dead_letters.message(
                reject, record, self.assignment.kind, self.assignment.dead_letters
            )


class _Size:
    """How many messages come to so many bytes, learnt from those that were seen."""

    def __init__(self, wanted_bytes: int) -> None:
        self.messages = _FIRST_MESSAGES
        self._wanted_bytes = wanted_bytes
        self._mean = 0.0

    def learn(self, records: Sequence[ConsumerRecord]) -> None:
        mean = sum(max(0, record.serialized_value_size) for record in records) / len(records)
        # large ones are believed at once, small ones only after a while
        self._mean = max(mean, self._mean + (mean - self._mean) / 8)
        self.messages = max(1, int(self._wanted_bytes / (self._mean + 100)))


async def _replay(decoder: Decoder, records: Sequence[ConsumerRecord]) -> None:
    """Lets messages take effect once more, without output."""
    await asyncio.to_thread(decoder.decode, *_columns(records))


def _columns(
    records: Sequence[ConsumerRecord],
) -> tuple[list[bytes], list[int | None], list[int]]:
    """Values, times in milliseconds and offsets."""
    return (
        [record.value or b"" for record in records],
        [record.timestamp if record.timestamp >= 0 else None for record in records],
        [record.offset for record in records],
    )


def _new_consumer(settings: Settings, assignment: Assignment) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **connection(settings.kafka),
        group_id=assignment.topics.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",  # offsets are sought by hand, and never silently
        isolation_level="read_committed",
        max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=100,
    )


def _first(error: BaseException) -> BaseException:
    """The first error of a group of groups, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
