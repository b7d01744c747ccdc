"""Reading what stands on a topic, from an offset to an offset, without a group."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, errors

from marketprep import header_names
from marketprep.kafka import KafkaFailure, connection, explain
from marketprep.outbox import close
from marketprep.settings import Settings

_POLL_MS = 200

_PARTITION_FETCH_BYTES = 4 << 20


class LogReader:
    """Reads partitions, one after the other, as committed transactions leave them."""

    def __init__(self, consumer: AIOKafkaConsumer, patience_seconds: float) -> None:
        self._consumer = consumer
        self._patience_seconds = patience_seconds

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """A reader that is connected. Raises KafkaFailure for whatever Kafka refuses meanwhile."""
        header_names.install()
        consumer = AIOKafkaConsumer(
            **connection(settings.kafka),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            yield cls(consumer, settings.kafka.request_timeout_ms / 1000)
        except (errors.KafkaError, OSError) as error:
            raise KafkaFailure(explain(error, settings.kafka)) from error
        finally:
            await close(consumer)

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """The first offset, and that behind the last message which is committed."""
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        return begin, end

    async def read(
        self, partition: TopicPartition, begin: int, end: int
    ) -> AsyncGenerator[ConsumerRecord, None]:
        """The messages of a partition from `begin` to before `end`; only one can be read at a time.

        What is there no more is passed over. Raises KafkaTimeoutError if brokers fall silent.
        """
        async with aclosing(self.batches(partition, begin, end, most=1)) as batches:
            async for records in batches:
                for record in records:
                    yield record

    async def batches(
        self, partition: TopicPartition, begin: int, end: int, most: int
    ) -> AsyncGenerator[list[ConsumerRecord], None]:
        """The same, so many at once at most as are to be unpacked of what was fetched."""
        if begin >= end:  # one that has just been assigned something cannot be closed at once
            return
        self._consumer.assign([partition])
        self._consumer.seek(partition, begin)
        position, heard_at = begin, time.monotonic()
        while position < end:
            try:
                polled = await self._consumer.getmany(
                    partition, timeout_ms=_POLL_MS, max_records=most
                )
            except errors.OffsetOutOfRangeError:  # retention goes on meanwhile
                first, _ = await self.bounds(partition)
                self._consumer.seek(partition, first)
                continue
            if records := [one for one in polled.get(partition, ()) if one.offset < end]:
                yield records
            # control records move it too, which are no messages
            reached = await self._consumer.position(partition)
            if polled or reached > position:
                position, heard_at = reached, time.monotonic()
            elif time.monotonic() - heard_at > self._patience_seconds:
                raise errors.KafkaTimeoutError
