"""How far sinks are behind their topics."""

from collections import Counter
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketprep import topics
from marketprep.kafka import KafkaFailure, admin, connection, explain
from marketprep.settings import KafkaSettings
from marketprep.sink.connectors import Connector


async def lags(settings: KafkaSettings, of: Sequence[Connector]) -> list[dict[str, int | None]]:
    """For each connector, how many offsets of each topic are not stored; None: no such topic.

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
        partitions = [
            TopicPartition(topic, partition)
            for topic in {topic for connector in of for topic in connector.topics}
            if topic in found
            for partition in range(found[topic].partitions)
        ]
        first = await consumer.beginning_offsets(partitions) if partitions else {}
        end = await consumer.end_offsets(partitions) if partitions else {}
    except (KafkaError, OSError) as error:
        raise KafkaFailure(explain(error, settings)) from error
    finally:
        await consumer.stop()
    behind = []
    for connector, stored in zip(of, committed, strict=True):
        lag: Counter[str] = Counter()
        for place in end:
            begin = stored[place].offset if place in stored else first[place]
            lag[place.topic] += max(0, end[place] - max(begin, first[place]))
        behind.append({name: lag[name] if name in found else None for name in connector.topics})
    return behind
