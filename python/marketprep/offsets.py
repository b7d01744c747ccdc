"""Offsets: where reading a partition begins, and what if its messages are there no more."""

from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from marketprep.kafka import KafkaFailure
from marketprep.settings import Settings


async def first(consumer: AIOKafkaConsumer, place: TopicPartition, settings: Settings) -> int:
    """The offset to begin with where none is committed, as the settings say."""
    return await _at(consumer, place, settings.consumer.start)


async def after_loss(
    consumer: AIOKafkaConsumer,
    place: TopicPartition,
    lost: int,
    settings: Settings,
    log: Any,  # noqa: ANN401 - structlog's
) -> int:
    """The offset to go on with where there is no message of the one that was asked for.

    Raises KafkaFailure if the settings do not allow it.
    """
    choice = settings.consumer.lost_offset
    oldest = await _at(consumer, place, "earliest")
    if choice == "stop":
        raise KafkaFailure(
            f"Offset {lost} of {place.topic}, partition {place.partition} is not there, the oldest "
            f"is {oldest}: retention has overtaken the service, or the topic was made anew. To go "
            "on without what is lost, set consumer.lost_offset to earliest or latest."
        )
    log.error(
        "messages are lost: the committed offset is not there",
        offset=lost,
        oldest=oldest,
        going_on_at=choice,
    )
    return await _at(consumer, place, choice)


async def _at(
    consumer: AIOKafkaConsumer, place: TopicPartition, where: Literal["earliest", "latest"]
) -> int:
    ask = consumer.beginning_offsets if where == "earliest" else consumer.end_offsets
    offset: int = (await ask([place]))[place]
    return offset
