"""What a careful engineer would write as a whole service: aiokafka, orjson, msgspec and Decimal.

Reads a partition, from what its group has committed to an offset or to the end that it has now,
and produces arrays of 20 records, with acks=all. Offsets are committed every 100 ms, of what was
acknowledged.
"""

import asyncio
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from reference_typed import OrderBooks, Tickers

_ARRAY = 20
_COMMIT_SECONDS = 0.1
_FETCH_BYTES = 4 << 20
_BATCH_BYTES = 1_000_000


@dataclass
class Output:
    """Where records go, with what key."""

    producer: AIOKafkaProducer
    topic: str
    partition: int
    key: bytes

    async def send(self, records: list[bytes]) -> list[asyncio.Future[RecordMetadata]]:
        """Hands records over, in arrays, in batches; the futures of their delivery."""
        futures, batch = [], self.producer.create_batch()
        for begin in range(0, len(records), _ARRAY):
            value = b"[" + b",".join(records[begin : begin + _ARRAY]) + b"]"
            if batch.append(key=self.key, value=value, timestamp=None) is None:
                futures.append(await self._close(batch))
                batch = self.producer.create_batch()
                batch.append(key=self.key, value=value, timestamp=None)
        if batch.record_count():
            futures.append(await self._close(batch))
        return futures

    async def _close(self, batch: object) -> asyncio.Future[RecordMetadata]:
        future: asyncio.Future[RecordMetadata] = await self.producer.send_batch(
            batch, self.topic, partition=self.partition
        )
        return future


async def work(
    consumer: AIOKafkaConsumer, place: TopicPartition, until: int | None, output: Output, of: object
) -> None:
    """Reads, decodes, sends and commits until the end."""
    assert isinstance(of, OrderBooks | Tickers)
    end = (await consumer.end_offsets([place]))[place] if until is None else until
    position = await consumer.committed(place) or 0
    consumer.seek(place, position)
    futures: list[asyncio.Future[RecordMetadata]] = []
    committed = time.monotonic()
    while position < end:
        messages = (await consumer.getmany(place, timeout_ms=100)).get(place, [])
        records: list[bytes] = []
        for message in messages:
            if message.offset >= end:
                break
            records += of.records(message.value)
            position = message.offset + 1
        futures += await output.send(records)
        if time.monotonic() - committed > _COMMIT_SECONDS or position >= end:
            await all_of(futures)
            await consumer.commit({place: position})
            futures.clear()
            committed = time.monotonic()


async def all_of(futures: Iterable[asyncio.Future[RecordMetadata]]) -> None:
    """Waits until all is acknowledged; raises what has failed."""
    for future in futures:
        await future


@click.command()
@click.option("--bootstrap-servers", required=True)
@click.option("--input", "source", required=True)
@click.option("--partition", required=True, type=int)
@click.option("--output", required=True)
@click.option("--group", required=True)
@click.option("--kind", required=True, type=click.Choice(["ticker", "orderbook"]))
@click.option("--exchange", required=True)
@click.option("--until", type=int, help="The offset before which it ends.")
def main(  # noqa: PLR0913, PLR0917 - an option each
    bootstrap_servers: str,
    source: str,
    partition: int,
    output: str,
    group: str,
    kind: str,
    exchange: str,
    until: int | None,
) -> None:
    """Work off a partition."""
    of = OrderBooks(exchange) if kind == "orderbook" else Tickers(exchange)

    async def service() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, acks="all", max_batch_size=_BATCH_BYTES
        )
        place = TopicPartition(source, partition)
        await producer.start()
        consumer.assign([place])
        await consumer.start()
        sys.stderr.write("assigned\n")
        sys.stderr.flush()
        key = f'"{exchange.title()}{kind.title()}"'.encode()
        try:
            await work(consumer, place, until, Output(producer, output, partition, key), of)
        finally:
            await consumer.stop()
            await producer.stop()

    asyncio.run(service())


if __name__ == "__main__":
    main()
