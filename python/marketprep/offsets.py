"""Offsets: where reading a partition begins, and what if its messages are there no more."""

import asyncio
from copy import copy
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.protocol.commit import OffsetFetchRequest

from marketprep.kafka import KafkaFailure
from marketprep.settings import Settings

_RETRY_SECONDS = 0.1

_MOVED = (errors.NotCoordinatorForGroupError, errors.GroupCoordinatorNotAvailableError)


async def committed(consumer: AIOKafkaConsumer, place: TopicPartition) -> int | None:
    """The committed offset; None if there is none.

    A consumer's own method takes an answer that is only an error, as of a coordinator which is
    still loading, for one that knows of no offset: reading would begin somewhere else.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public has the whole answer
    request = OffsetFetchRequest(coordinator.group_id, [(place.topic, [place.partition])])
    while True:
        await coordinator.ensure_coordinator_known()
        try:
            response = await coordinator._send_req(request)  # noqa: SLF001 - as above
            offset, code = -1, response.error_code
            if not code:
                [(_, [(_, offset, _, code)])] = response.topics
            error = errors.for_code(code)
            if error is errors.NoError:
                return offset if offset >= 0 else None
            if error in _MOVED:
                coordinator.coordinator_dead()
            raise error(coordinator.group_id)
        except errors.KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(_RETRY_SECONDS)


async def high_watermark(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """Returns the offset after the last message, even if its transaction is still open.

    `end_offsets` of a consumer that reads committed messages ends before the first message of an
    open transaction.
    """
    fetcher = copy(consumer._fetcher)  # noqa: SLF001 - the only place that has the isolation level
    fetcher._isolation_level = READ_UNCOMMITTED  # noqa: SLF001 - see above
    offset: int = (await fetcher.end_offsets([place], consumer._request_timeout_ms))[place]  # noqa: SLF001
    return offset


async def exists(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> bool:
    """Returns whether reading can start at an offset: at a message, or at the end."""
    oldest = await _at(consumer, place, "earliest")
    return oldest <= offset <= await high_watermark(consumer, place)


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
    end = await high_watermark(consumer, place)
    if choice == "stop":
        raise KafkaFailure(
            f"Offset {lost} of {place.topic}, partition {place.partition} is not there, the oldest "
            f"is {oldest} and the end {end}: retention has overtaken the service, or the topic was "
            "made anew. To go on without what is lost, set consumer.lost_offset to earliest or "
            "latest."
        )
    log.error(
        "messages are lost: the committed offset is not there",
        offset=lost,
        oldest=oldest,
        end=end,
        going_on_at=choice,
    )
    return await _at(consumer, place, choice)


async def after_expiry(
    consumer: AIOKafkaConsumer,
    place: TopicPartition,
    saved: int,
    settings: Settings,
    log: Any,  # noqa: ANN401 - structlog's
) -> int:
    """Returns the start where no offset is committed, but checkpoints go up to offset `saved`.

    The committed offset may have been up to one round of checkpoints further. Raises KafkaFailure
    if the settings do not allow to go on.
    """
    choice = settings.consumer.lost_offset
    if choice == "stop":
        raise KafkaFailure(
            f"No offset of {place.topic}, partition {place.partition} is committed, but the "
            f"checkpoints of its books go up to offset {saved}: the offset has expired "
            "(offsets.retention.minutes of the brokers) or was deleted, or the topic was made "
            f"anew. Commit {saved} or another offset with kafka-consumer-groups --reset-offsets, "
            "or set consumer.lost_offset to earliest (go on there, at the risk of some records "
            "twice) or latest."
        )
    start = await _at(consumer, place, choice)
    if choice == "earliest" and await exists(consumer, place, saved):
        start = saved
    log.error("committed offset is missing", checkpoints=saved, going_on_at=start)
    return start


async def _at(
    consumer: AIOKafkaConsumer, place: TopicPartition, where: Literal["earliest", "latest"]
) -> int:
    ask = consumer.beginning_offsets if where == "earliest" else consumer.end_offsets
    offset: int = (await ask([place]))[place]
    return offset
