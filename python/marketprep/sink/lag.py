"""How far sinks are behind their topics."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketprep import topics
from marketprep.kafka import KafkaFailure, admin, connection, explain
from marketprep.settings import KafkaSettings
from marketprep.sink.connectors import Connector


@dataclass(frozen=True)
class Position:
    """How far a partition is stored. All are offsets: what is behind the last one."""

    topic: str
    partition: int
    #: None: nothing is stored yet.
    stored: int | None
    begin: int
    end: int

    @property
    def lag(self) -> int:
        """How many offsets are not stored yet."""
        return max(0, self.end - max(self.stored or 0, self.begin))


async def positions(settings: KafkaSettings, of: Sequence[Connector]) -> list[list[Position]]:
    """The positions of each connector, in those of its topics that are there.

    Raises KafkaFailure if the cluster cannot be asked.
    """
    async with admin(settings) as client:
        found = await topics.find(client)
        committed = [
            await client.list_consumer_group_offsets(f"connect-{connector.name}")
            for connector in of
        ]
    consumer = AIOKafkaConsumer(**connection(settings), isolation_level="read_committed")
    try:
        await consumer.start()
        places = [
            TopicPartition(topic, partition)
            for topic in dict.fromkeys(topic for connector in of for topic in connector.topics)
            if topic in found
            for partition in range(found[topic].partitions)
        ]
        begin = await consumer.beginning_offsets(places) if places else {}
        end = await consumer.end_offsets(places) if places else {}
    except (KafkaError, OSError) as error:
        raise KafkaFailure(explain(error, settings)) from error
    finally:
        await consumer.stop()
    return [
        [
            Position(
                place.topic,
                place.partition,
                stored[place].offset if place in stored else None,
                begin[place],
                end[place],
            )
            for place in places
            if place.topic in connector.topics
        ]
        for connector, stored in zip(of, committed, strict=True)
    ]
