"""Producing: messages out in order, and the word of the brokers that they have them."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, errors
from aiokafka.producer.message_accumulator import BatchBuilder

from marketprep import header_names
from marketprep._core import BATCH_BYTES, Finished
from marketprep.batch import Message
from marketprep.direct import ProducedBatch
from marketprep.kafka import connection
from marketprep.settings import Settings

#: The number of zstd in the attributes of a batch, of Kafka's message format.
_ZSTD = 4

_CLOSE_SECONDS = 5
_FORCE_SECONDS = 1

#: Short, as brokers turn requests of a transaction down while the last one is being finished.
_RETRY_BACKOFF_MS = 20


class DeliveryError(Exception):
    """Brokers have refused a batch; `topic` is whose, `__cause__` why."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(topic)


def new_producer(
    settings: Settings, compression: str, transactional_id: str | None = None
) -> AIOKafkaProducer:
    """A producer that neither loses nor doubles what it was given: acks=all, idempotent.

    With a transactional id, starting it ends what the last one with the same id has begun, and
    fences that off. Then nothing can be sent outside of a transaction.
    """
    return AIOKafkaProducer(
        **connection(settings.kafka),
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        retry_backoff_ms=_RETRY_BACKOFF_MS,
        compression_type=None if compression == "none" else compression,
        max_batch_size=BATCH_BYTES,
        linger_ms=0,
    )


def check(consumer: AIOKafkaConsumer) -> None:
    """Raises what a consumer's own tasks have failed with.

    It tells that only while it is polled, or never.
    """
    consumer._coordinator.check_errors()  # noqa: SLF001 - nothing public tells it
    if consumer._fetcher._fetch_task.done():  # noqa: SLF001 - as above
        raise errors.KafkaError("the consumer has stopped fetching")


async def close(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stops a client, whatever state it is in. What a producer cannot send soon is given up.

    A client that waits for brokers which do not answer waits on when it is cancelled, up to its
    request timeout: it is left alone then, without connections.
    """
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait({stopping}, timeout=_CLOSE_SECONDS)
    if not stopping.done():
        stopping.cancel()
        left = {stopping}
        if isinstance(client, AIOKafkaProducer):  # else it would go on beside the next one
            left.add(asyncio.ensure_future(client._sender.close()))  # noqa: SLF001 - as stop() does
            await asyncio.sleep(0)
            left.add(asyncio.ensure_future(client.client.close()))
        else:
            left.add(asyncio.ensure_future(_close_by_force(client)))
        await asyncio.wait(left, timeout=3 * _FORCE_SECONDS)
    elif not stopping.cancelled():
        stopping.exception()  # it is thrown away, so nobody needs to know


async def _close_by_force(consumer: AIOKafkaConsumer) -> None:
    """Ends all tasks of a consumer, and its membership, for which the group would wait."""
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001 - as stop() does
    for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"):
        if task := getattr(coordinator, name, None):
            task.cancel()
    if hasattr(coordinator, "_maybe_leave_group"):
        with suppress(Exception):
            await asyncio.wait_for(coordinator._maybe_leave_group(), _FORCE_SECONDS)  # noqa: SLF001
    if fetcher:
        with suppress(Exception):
            await asyncio.wait_for(fetcher.close(), _FORCE_SECONDS)
    await consumer._client.close()  # noqa: SLF001 - as stop() does


class Outbox:
    """Sends batches, and remembers what has not been acknowledged yet."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._deliveries: deque[tuple[str, asyncio.Future[Any]]] = deque()

    async def send(self, messages: Iterable[Message]) -> None:
        """Sends messages, in order for each partition. Waits while earlier ones stand in line."""
        now = int(time.time() * 1000)
        partitions: dict[tuple[str, int], list[Message]] = {}
        for message in messages:
            partitions.setdefault((message.topic, message.partition), []).append(message)
        if len(partitions) == 1:
            [(place, of_one)] = partitions.items()
            await self._send(*place, of_one, now)
        elif partitions:
            await asyncio.gather(
                *(self._send(*place, of_one, now) for place, of_one in partitions.items())
            )

    async def send_finished(self, topic: str, partition: int, batches: Iterable[Finished]) -> None:
        """Sends batches that the core has written."""
        for batch in batches:
            await self._post(topic, partition, ProducedBatch(batch))

    async def _send(self, topic: str, partition: int, messages: list[Message], now: int) -> None:
        is_compressed = messages[0].is_compressed
        are_utf8 = header_names.are_utf8(message.headers for message in messages)
        batch = self._new_batch(are_utf8=are_utf8, is_compressed=is_compressed)
        for message in messages:
            if message.value and len(message.value) > BATCH_BYTES:
                if batch.record_count():
                    await self._post(topic, partition, batch)
                batch = self._new_batch(are_utf8=are_utf8, is_compressed=True)
            # a time beyond the broker's clock would be refused
            time_ms = now if message.timestamp is None else min(message.timestamp, now)
            content = {
                "timestamp": time_ms,
                "key": message.key,
                "value": message.value,
                "headers": header_names.encodable(message.headers),
            }
            if batch.append(**content) is None:
                await self._post(topic, partition, batch)
                batch = self._new_batch(are_utf8=are_utf8, is_compressed=is_compressed)
                batch.append(**content)
        await self._post(topic, partition, batch)

    def _new_batch(self, *, are_utf8: bool, is_compressed: bool) -> BatchBuilder:
        """Returns an empty batch, by zstd if it is to be compressed whatever the settings say.

        So is what is longer than batches are: what came in compressed must get out too.
        """
        accumulator = self._producer._message_accumulator  # noqa: SLF001 - create_batch asks these too
        is_transactional = self._producer._txn_manager.transactional_id is not None  # noqa: SLF001 - see above
        compression = _ZSTD if is_compressed else accumulator._compression_type  # noqa: SLF001 - see above
        if are_utf8:
            return BatchBuilder(BATCH_BYTES, compression, is_transactional=is_transactional)
        return header_names.AnyNameBatch(compression, is_transactional=is_transactional)

    async def _post(self, topic: str, partition: int, batch: Any) -> None:  # noqa: ANN401 - as above
        self._check()
        batch.close()
        delivery = await self._producer.send_batch(batch, topic, partition=partition)
        delivery.add_done_callback(_error_of)  # else it is told where nobody waits for it any more
        self._deliveries.append((topic, delivery))

    async def acknowledged(self) -> None:
        """Waits until brokers have all that was sent.

        Raises DeliveryError if they refuse any; flushing a producer would tell nobody.
        """
        if self._deliveries:
            await asyncio.wait([delivery for _, delivery in self._deliveries])
        self._check()

    def _check(self) -> None:
        """Forgets what has been acknowledged. Raises DeliveryError if something was refused."""
        while self._deliveries and self._deliveries[0][1].done():
            topic, delivery = self._deliveries.popleft()
            if error := _error_of(delivery):
                raise DeliveryError(topic) from error


def _error_of(delivery: asyncio.Future[Any]) -> BaseException | None:
    """What a delivery that is done has failed with."""
    return asyncio.CancelledError() if delivery.cancelled() else delivery.exception()
