"""Messages whose headers have names that need not be UTF-8, which test clients cannot have."""

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, codec
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from cluster import Cluster
from marketprep import direct

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

_HEADER_BYTES = 61


class _Name:
    """The bytes of a name, for a writer that asks a name for its bytes."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def encode(self, _: str) -> bytes:
        return self._name


def produce(  # noqa: PLR0917 - what messages consist of
    cluster: Cluster,
    topic: str,
    partition: int,
    values: Sequence[bytes],
    headers: Sequence[tuple[bytes, bytes]],
    compression: str = "none",
) -> None:
    """Produces a batch of values, each with these headers."""

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=cluster.address)
        await producer.start()
        try:
            batch = BatchBuilder(1 << 20, 0)
            batch._builder = _DefaultRecordBatchBuilderPy(  # noqa: SLF001 - the other one is strict
                2, CODECS[compression], 0, -1, -1, 0, 1 << 20
            )
            named = [(_Name(name), value) for name, value in headers]
            for value in values:
                assert batch.append(timestamp=None, key=b"k", value=value, headers=named)
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()

    asyncio.run(run())


def stored(cluster: Cluster, topic: str, partition: int) -> list[bytes]:
    """Returns the records of each batch of a partition, decompressed, as brokers store them."""
    unpacked: dict[int, Any] = {
        0: bytes,
        1: codec.gzip_decode,
        2: codec.snappy_decode,
        3: codec.lz4_decode,
        4: codec.zstd_decode,
    }

    async def run() -> list[bytes]:
        direct.install()
        place = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=cluster.address, value_deserializer=direct.deserializer
        )
        consumer.assign([place])
        await consumer.start()
        found: list[bytes] = []
        try:
            consumer.seek(place, 0)
            [end] = (await consumer.end_offsets([place])).values()
            while await consumer.position(place) < end:
                for batch in (await consumer.getmany(place, timeout_ms=100)).get(place, ()):
                    if not isinstance(batch, direct.FetchedBatch):
                        raise TypeError(batch)
                    whole = batch.fetched[batch.start : batch.end]
                    found.append(bytes(unpacked[whole[22] & 7](whole[_HEADER_BYTES:])))
        finally:
            await consumer.stop()
        return found

    # of each compression, batches are handed out as they are
    with patch.object(direct, "_READ", frozenset(CODECS.values())):
        return asyncio.run(run())
