"""A lane: one kind in one region, from its input topic to its output topic and dead letters."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition, errors

from marketprep import direct, header_names, topics
from marketprep._core import Batch
from marketprep.assignment import Assignment
from marketprep.book_log import BookLog
from marketprep.delivery import Fenced
from marketprep.direct import Fetched
from marketprep.kafka import (
    LOST_MEMBERSHIP,
    KafkaFailure,
    admin,
    connection,
    explain,
    is_transient,
)
from marketprep.metrics import ExchangeMetrics, LaneMetrics
from marketprep.outbox import DeliveryError, check, close
from marketprep.partition import Partition, Surroundings
from marketprep.partitions import PartitionManager
from marketprep.resources import Resources
from marketprep.settings import Settings

T = TypeVar("T")

_POLL_MS = 200
#: How long to wait for messages of some partitions while others wait for memory.
_GLANCE_MS = 10
#: How much of one partition is fetched at once, if the fetch may bring so much. Several batches:
#: what is cut off of the last one is fetched again.
_PARTITION_FETCH_BYTES = 4 << 20
#: How many messages or batches are taken over at first, while nothing is known of their size.
_FIRST_MESSAGES = 8
#: What part of a chunk is decoded where there is no memory for one: an eighth.
_LITTLE = 8

#: Whoever is alive sends heartbeats: how long it does not poll says nothing beside them.
_NEVER_MS = 1 << 30

_LOOK_SECONDS = 1.0

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 30.0

#: Errors that do not tell why nobody can be reached, or which topic is not there.
_SAY_LITTLE = (errors.KafkaConnectionError, errors.UnknownTopicOrPartitionError)

_ASK_SECONDS = 10


class Lane:
    """Reads, decodes, produces and commits until it is told to stop.

    One consumer reads for all its partitions; each of them has a task that delivers, and a queue
    between. Whatever fails ends all; if trying again may do, everything is built anew, and goes on
    from the committed offsets.
    """

    def __init__(self, assignment: Assignment, settings: Settings, resources: Resources) -> None:
        self.assignment = assignment
        self.metrics = LaneMetrics(
            {name: ExchangeMetrics(set()) for name in assignment.exchange_names}
        )
        for number, names in assignment.exchanges.items():
            for name in names:
                self.metrics.exchanges[name].partitions.add(number)
        self._settings = settings
        self._resources = resources
        # bound when it is first used, as logging may not be set up by now
        self._log = structlog.stdlib.get_logger("marketprep.lane", lane=assignment.name)
        self._stop = asyncio.Event()
        self._commits = 0
        self._partitions: PartitionManager | None = None
        self._books = BookLog(self._log)

    def stop(self) -> None:
        """Lets the lane end once all that it has read is sent and committed."""
        self._stop.set()

    @property
    def is_ready(self) -> bool:
        """Whether it works on all partitions that are its own."""
        return self._partitions is not None and self._partitions.is_ready

    def books(self) -> dict[str, dict[str, int]]:
        """By exchange, how many kept books there are of each quality."""
        found: dict[str, Counter[str]] = {}
        for partition in self._partitions.open if self._partitions else ():
            for book in partition.decoder.books():
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
                if self._stop.is_set() and isinstance(error, Fenced) and not error.is_late:
                    self._log.warning("another instance has taken over before all was committed")
                    return
                reason = self._reason(error)
                if self._stop.is_set():
                    raise KafkaFailure(reason) from error
                if isinstance(error, _SAY_LITTLE):
                    reason = await self._asked(reason)
            else:
                return
            finally:
                self._partitions = None
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
        if isinstance(error, Fenced):
            return f"brokers take nothing more from this producer: {error}"
        if isinstance(error, KafkaFailure) and error.__cause__ and is_transient(error.__cause__):
            return str(error)
        if not isinstance(cause, errors.KafkaError) and not is_transient(cause):
            raise error
        text = explain(cause, self._settings.kafka, topic)
        is_of_group = isinstance(cause, LOST_MEMBERSHIP) and self._settings.assignment == "group"
        if not is_transient(cause) and not is_of_group:
            raise KafkaFailure(text) from error
        return text

    async def _asked(self, reason: str) -> str:
        """What brokers say is wrong if they are asked for that alone; else the reason as it is."""
        try:
            async with asyncio.timeout(_ASK_SECONDS), admin(self._settings.kafka) as client:
                found = await topics.find(client)
                topics.check(topics.wanted([self.assignment]), found, self._settings)
        except KafkaFailure as failure:
            return str(failure)
        except TimeoutError:
            pass
        return reason

    async def _session(self, *, until_end: bool) -> None:
        """One life of a consumer, and of all that works on its partitions."""
        consumer = _new_consumer(self._settings, self.assignment, self._resources.fetch_bytes)
        is_group = self._settings.assignment == "group"
        try:
            async with asyncio.TaskGroup() as tasks:
                around = Surroundings(
                    self.assignment,
                    self._settings,
                    self._resources,
                    self._count,
                    asyncio.Event(),
                    until_end,
                    self._log,
                )
                self._partitions = partitions = PartitionManager(consumer, tasks, around)
                if is_group:
                    partitions.subscribe()
                if not await self._unless_stopped(_started(consumer)):
                    return
                if not is_group:
                    partitions.assign()
                watch = tasks.create_task(self._watch(consumer, partitions))
                await self._read(consumer, partitions, around.changed)
                await partitions.finish()
                watch.cancel()
        finally:
            await close(consumer)

    async def _unless_stopped(self, work: Coroutine[None, None, T]) -> T | None:
        """Does what may take long, unless the lane is stopped meanwhile; then None."""
        working, stopped = asyncio.ensure_future(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stopped.cancel()
            working.cancel()

    async def _read(
        self, consumer: AIOKafkaConsumer, partitions: PartitionManager, changed: asyncio.Event
    ) -> None:
        budget, memory = self._resources.budget, self._resources.memory
        size = _Size()
        served = time.monotonic()
        with budget.waking(changed):
            while not self._stop.is_set() and not partitions.is_at_end:
                changed.clear()
                ready = [of for of in partitions.open if of.has_room]
                most_bytes = budget.chunk_bytes
                is_stuck = not ready and time.monotonic() - served >= _POLL_MS / 1000
                if is_stuck:  # others do not let go of what they have
                    ready = [of for of in partitions.open if of.is_empty]
                    most_bytes //= _LITTLE
                if not ready:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), _POLL_MS / 1000)
                    continue
                served = time.monotonic()
                ready.sort(key=lambda of: of.served)
                for partition in ready:
                    partition.seek()
                is_one_full = len(ready) < len(partitions.open)
                milliseconds = _GLANCE_MS if is_one_full else _POLL_MS
                polled = await self._poll(consumer, ready, size.messages(most_bytes), milliseconds)
                for partition in ready if polled is not None else ():
                    await partition.keep((polled or {}).get(partition.place, ()))
                    # others may have taken the same memory meanwhile: it waits for its turn
                    if partition.has_rest and (partition.has_room or is_stuck):
                        size.learn(*await partition.take(most_bytes))
                        is_stuck = False  # there is nothing for more than one
                if memory.is_over():
                    for partition in partitions.open:
                        await partition.drained()

    async def _poll(
        self,
        consumer: AIOKafkaConsumer,
        ready: Sequence[Partition],
        most: int,
        milliseconds: int,
    ) -> dict[TopicPartition, list[Fetched]] | None:
        """What was fetched of partitions; None if that is not to be had."""
        places = [partition.place for partition in ready if not partition.has_rest]
        if not places:
            return {}
        if len(places) < len(ready):
            milliseconds = 0
        try:
            # while a group is sharing out anew it does not return
            return await self._unless_stopped(
                consumer.getmany(*places, timeout_ms=milliseconds, max_records=most)
            )
        except errors.OffsetOutOfRangeError as error:
            lost = error.args[0]
            for partition in ready:
                if partition.place in lost:
                    await partition.lose(lost[partition.place])
        except errors.NoOffsetForPartitionError:
            pass  # the consumer has looked before we told it where to begin
        return None

    async def _watch(self, consumer: AIOKafkaConsumer, partitions: PartitionManager) -> None:
        """Looks after lag, and after errors that the consumer tells nobody who does not poll."""
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                check(consumer)
                partitions.look(self.metrics.lag)
                await partitions.refresh()
        finally:
            partitions.look(self.metrics.lag)

    def _count(self, partition: int, batch: Batch) -> None:
        """Counts what has been committed."""
        self._commits += 1
        self.metrics.add(partition, batch)
        self._books.tell(batch.changes)


class _Size:
    """How many of what is fetched come to so many bytes, learnt from those that were seen."""

    def __init__(self) -> None:
        self._mean = 0.0

    def messages(self, wanted_bytes: int) -> int:
        """How many come to so many bytes, one at least."""
        return max(1, int(wanted_bytes / self._mean)) if self._mean else _FIRST_MESSAGES

    def learn(self, size: int, count: int) -> None:
        """Notes how many bytes some of them had; nothing is learnt from none."""
        if not (size and count):
            return
        mean = size / count
        # the first ones and large ones are believed at once, small ones only after a while
        slowly = self._mean + (mean - self._mean) / 8
        self._mean = max(mean, slowly) if self._mean else mean


def _new_consumer(settings: Settings, assignment: Assignment, fetch_bytes: int) -> AIOKafkaConsumer:
    """A consumer that fetches so much at once, of which it may hold several."""
    is_direct = direct.reads_directly(settings)
    header_names.install()
    if is_direct:
        direct.install()
    return AIOKafkaConsumer(
        **connection(settings.kafka),
        group_id=assignment.topics.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",  # offsets are sought by hand, and never silently
        session_timeout_ms=settings.consumer.session_timeout_ms,
        heartbeat_interval_ms=settings.consumer.session_timeout_ms // 6,
        # a request to join waits so long for the others
        rebalance_timeout_ms=settings.kafka.request_timeout_ms // 2,
        max_poll_interval_ms=_NEVER_MS,
        isolation_level="read_committed",
        value_deserializer=direct.deserializer if is_direct else None,
        max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        fetch_max_bytes=fetch_bytes,
        fetch_max_wait_ms=100,
    )


async def _started(consumer: AIOKafkaConsumer) -> bool:
    await consumer.start()
    return True


def _first(error: BaseException) -> BaseException:
    """The first error of a group of groups, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
