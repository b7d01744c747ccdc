"""Delivery: what a partition leads to, together with the offset up to which it was read.

Transactions are here, for whoever else has something to commit at once.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.producer import sender

from marketprep._core import Finished
from marketprep.assignment import Assignment
from marketprep.batch import Message
from marketprep.outbox import DeliveryError, Outbox, close, new_producer
from marketprep.settings import Settings

_ABORT_SECONDS = 5

# A commit is answered before it is done everywhere, so the next transaction is often turned away at
# first. How long a producer waits then, 20 ms, is longer than most transactions take.
sender.BACKOFF_OVERRIDE = 0.002

#: How brokers say that another producer has this one's transactional id, or that its transaction
#: has lasted too long.
_FENCED = (errors.ProducerFenced, errors.InvalidProducerEpoch)

#: What a producer raises that cannot be used any more, whatever the reason was.
_UNUSABLE = (AssertionError, errors.IllegalOperation)


def _now() -> float:
    """Seconds by a clock that never jumps, and goes on while a machine is suspended if it can."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fenced(Exception):  # noqa: N818 - it is an event that others cause
    """Brokers take nothing more from this producer.

    Another one with its transactional id has been started, or, if it `is_late`, a transaction may
    have lasted longer than brokers wait.
    """

    def __init__(self, *, is_late: bool) -> None:
        self.is_late = is_late
        super().__init__("a transaction lasted too long" if is_late else "another has taken over")


class InputDenied(errors.TopicAuthorizationFailedError):  # type: ignore[misc] # aiokafka has no types
    """Error raised where brokers refuse the offsets of topics that must not be read."""


class Transactions:
    """A producer all of whose messages are parts of transactions.

    After any error it is of no use any more. Raises Fenced, DeliveryError or KafkaError.
    """

    def __init__(self, settings: Settings, compression: str, transactional_id: str) -> None:
        self._producer = new_producer(settings, compression, transactional_id)
        self._outbox = Outbox(self._producer)
        self._timeout = settings.kafka.transaction_timeout_ms / 1000
        self._begun = _now()
        self._is_open = False
        self._fenced: Fenced | None = None

    async def start(self) -> None:
        """Ends what the last one with this id has begun, one way or the other; fences it off."""
        await self._producer.start()

    async def begin(self) -> None:
        """Begins a transaction."""
        self._begun = _now()
        with self._telling_what_is_wrong():
            await self._producer.begin_transaction()
        self._is_open = True

    async def send(self, messages: Iterable[Message]) -> None:
        """Sends messages, in order for each partition."""
        with self._telling_what_is_wrong():
            await self._outbox.send(messages)

    async def send_finished(self, topic: str, partition: int, batches: Iterable[Finished]) -> None:
        """Sends batches that the core has written as transactional ones."""
        with self._telling_what_is_wrong():
            await self._outbox.send_finished(topic, partition, batches)

    async def end(
        self, offsets: Mapping[TopicPartition, int] | None = None, group_id: str = ""
    ) -> None:
        """Returns when all that was sent is there, and committed with the offsets of a group."""
        with self._telling_what_is_wrong():
            # a commit would succeed without a batch that was refused
            await self._outbox.acknowledged()
            if offsets:
                await self._send_offsets(offsets, group_id)
            await self._producer.commit_transaction()
        self._is_open = False

    async def _send_offsets(self, offsets: Mapping[TopicPartition, int], group_id: str) -> None:
        """Adds offsets to the transaction.

        Brokers may refuse them, as those of a topic that must not be read. The producer's own task
        fails then, and what waits for the offsets would wait for ever.
        """
        sending = asyncio.ensure_future(
            self._producer.send_offsets_to_transaction(offsets, group_id)
        )
        sender = self._producer._sender._sender_task  # noqa: SLF001 - nothing public tells it
        try:
            await asyncio.wait((sending, sender), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
                return
        finally:
            sending.cancel()
        error = None if sender.cancelled() else sender.exception()
        if error and type(error) is errors.KafkaError:  # which says nothing
            error = error.__cause__ or error
        if isinstance(error, errors.TopicAuthorizationFailedError):
            raise InputDenied({place.topic for place in offsets}) from error
        raise error or errors.KafkaError("the producer has stopped sending")

    async def close(self) -> None:
        """Undoes an open transaction."""
        try:
            if self._is_open:  # else readers are held up until brokers have waited long enough
                with suppress(Exception):
                    await asyncio.wait_for(self._producer.abort_transaction(), _ABORT_SECONDS)
        finally:
            await close(self._producer)

    @contextmanager
    def _telling_what_is_wrong(self) -> Iterator[None]:
        """Raises Fenced, or a KafkaError, for what the producer raises once it is unusable."""
        if self._fenced:  # which a producer knows itself only if a transaction failed of it
            raise self._fenced
        try:
            yield
        except (DeliveryError, errors.KafkaError, *_UNUSABLE) as error:
            cause = error.__cause__ if isinstance(error, DeliveryError) else error
            if isinstance(cause, _UNUSABLE):
                cause = self._fatal_error()
            if isinstance(cause, _FENCED):
                self._fenced = Fenced(is_late=_now() - self._begun > self._timeout)
                raise self._fenced from error
            is_denied = isinstance(cause, errors.TopicAuthorizationFailedError)
            if cause and is_denied and not isinstance(error, DeliveryError | InputDenied):
                raise DeliveryError(", ".join(sorted(*cause.args))) from cause
            if isinstance(error, _UNUSABLE):
                raise cause or errors.KafkaError("a transaction cannot go on") from error
            raise

    def _fatal_error(self) -> BaseException | None:
        """What has made the producer unusable, which it tells once and to whoever waits then."""
        waiter = self._producer._txn_manager._transaction_waiter  # noqa: SLF001 - nothing else has it
        return waiter.exception() if waiter and waiter.done() and not waiter.cancelled() else None


class Delivery(Protocol):
    """Delivers what one partition leads to, in steps: begin, send as often as needed, commit.

    After any error it is of no use any more: close it, and go on with another one from the
    committed offset.
    """

    @property
    def is_transactional(self) -> bool:
        """Whether what is sent is part of a transaction, and so not to be read before `commit`."""

    async def start(self) -> None:
        """Must be done before committed offsets are asked for."""

    async def begin(self) -> None:
        """Before anything is sent."""

    async def send(self, messages: Iterable[Message]) -> None:
        """Sends messages, in order for each partition."""

    async def send_finished(self, topic: str, partition: int, batches: Iterable[Finished]) -> None:
        """Sends batches that the core has written."""

    async def commit(self, next_offset: int, checkpoints: Sequence[Message] = ()) -> None:
        """Returns when all that was sent is there, and reading would go on at `next_offset`.

        `checkpoints` are what books are then.
        """

    async def settle(self) -> None:
        """Waits for what `commit` has left under way."""

    async def close(self) -> None:
        """Gives up what is not committed."""


class ExactlyOnce(Transactions):
    """All of it is one transaction: readers of committed messages see all or nothing.

    There is a producer for each partition, as its transactional id is what tells brokers who owns
    that: whoever starts one later fences off all that came before, however partitions were
    assigned. (A group's coordinator alone does not: a member that it has given up may still commit
    offsets within its transaction.)
    """

    is_transactional = True

    def __init__(self, settings: Settings, assignment: Assignment, place: TopicPartition) -> None:
        self._place = place
        self._group_id = assignment.topics.group_id
        parts = (settings.kafka.transactional_id_prefix, self._group_id, place.topic)
        transactional_id = f"{'-'.join(parts)}-{place.partition}"
        super().__init__(settings, settings.output.compression, transactional_id)

    async def commit(self, next_offset: int, checkpoints: Sequence[Message] = ()) -> None:
        """Ends the transaction, checkpoints and offset within it."""
        await self.send(checkpoints)
        await self.end({self._place: next_offset}, self._group_id)

    async def settle(self) -> None:
        """Nothing is left under way."""


class AtLeastOnce:
    """Offsets are committed when all is acknowledged: after a crash in between it comes twice."""

    is_transactional = False

    def __init__(
        self, settings: Settings, place: TopicPartition, consumer: AIOKafkaConsumer
    ) -> None:
        self._place = place
        self._consumer = consumer
        self._producer = new_producer(settings, settings.output.compression)
        self._outbox = Outbox(self._producer)

    async def start(self) -> None:
        """Connects."""
        await self._producer.start()

    async def begin(self) -> None:
        """Nothing is needed."""

    async def send(self, messages: Iterable[Message]) -> None:
        """Sends messages, in order for each partition."""
        await self._outbox.send(messages)

    async def send_finished(self, topic: str, partition: int, batches: Iterable[Finished]) -> None:
        """Sends batches that the core has written."""
        await self._outbox.send_finished(topic, partition, batches)

    async def commit(self, next_offset: int, checkpoints: Sequence[Message] = ()) -> None:
        """Waits for every acknowledgement, then commits the offset."""
        await self._outbox.acknowledged()
        await self._consumer.commit({self._place: next_offset})
        # what a crash in between loses is made good by reading on from the checkpoints before
        await self._outbox.send(checkpoints)

    async def settle(self) -> None:
        """Waits for the last checkpoints."""
        await self._outbox.acknowledged()

    async def close(self) -> None:
        """Gives up what is not acknowledged."""
        await close(self._producer)
