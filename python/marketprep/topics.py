"""The topics: which there must be, which there are, and how they differ."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.protocol.metadata import MetadataRequest

from marketprep.assignment import Assignment
from marketprep.kafka import KafkaFailure, user
from marketprep.settings import KafkaSettings, Settings

#: How many replicas a topic gets where the settings say nothing and there are brokers enough.
_USUAL_REPLICATION = 3

_APPEAR_SECONDS = 30


@dataclass(frozen=True)
class Topic:
    """A topic as the settings want it."""

    name: str
    partitions: int
    #: The key of the settings that has its name.
    key: str
    role: Literal["input", "output", "dead letters", "checkpoints", "replayed"]


@dataclass(frozen=True)
class Found:
    """A topic as it is."""

    partitions: int
    replication: int


def wanted(assignments: Iterable[Assignment]) -> list[Topic]:
    """The topics that lanes need."""
    topics = []
    for of in assignments:
        key = f"topics.{of.region}.{of.kind}"
        topics += [
            Topic(of.topics.input, of.partitions, f"{key}.input", "input"),
            Topic(of.topics.output, of.partitions, f"{key}.output", "output"),
            Topic(of.dead_letters, of.partitions, f"{key}.input", "dead letters"),
        ]
        if of.checkpoints:
            topics.append(Topic(of.checkpoints, of.partitions, f"{key}.input", "checkpoints"))
    return topics


async def find(client: AIOKafkaAdminClient) -> dict[str, Found]:
    """The topics of the cluster. All are asked for, as asking by name may create a topic."""
    return {
        row["topic"]: Found(
            len(row["partitions"]),
            min((len(partition["replicas"]) for partition in row["partitions"]), default=0),
        )
        for row in await client.describe_topics()
    }


def missing(topics: Iterable[Topic], found: Mapping[str, Found]) -> list[Topic]:
    """Those that are not there."""
    return [topic for topic in topics if topic.name not in found]


def differences(
    topics: Iterable[Topic],
    found: Mapping[str, Found],
    settings: Settings,
    *,
    replication: bool = True,
) -> Iterator[str]:
    """What is there but not as the settings want it, a sentence each."""
    factor = settings.topics.replication_factor if replication else None
    for topic in topics:
        there = found.get(topic.name)
        if there is None:
            continue
        key = ".".join((*topic.key.split(".")[:2], "partitions"))
        if there.partitions > topic.partitions:
            yield (
                f"{topic.name} has {there.partitions} partitions, and {key} says "
                f"{topic.partitions}: Kafka cannot take any away, so set {key} to "
                f"{there.partitions} or use another topic."
            )
        if there.partitions < topic.partitions:
            yield (
                f"{topic.name} has {there.partitions} partitions, and {key} says "
                f"{topic.partitions}: `marketprep topics create` adds what is missing."
            )
        if factor is not None and there.replication != factor:
            yield (
                f"{topic.name} is replicated {there.replication} times, and "
                f"topics.replication_factor says {factor}: reassign its replicas with "
                "kafka-reassign-partitions, or change the setting."
            )


async def create_checkpoints(
    client: AIOKafkaAdminClient, settings: Settings, topics: Sequence[Topic]
) -> None:
    """Creates those for checkpoints that are missing, as nobody else knows of them.

    Raises KafkaFailure if they cannot be created.
    """
    found = await find(client)
    if absent := [topic for topic in missing(topics, found) if topic.role == "checkpoints"]:
        await create(client, settings, absent)


async def create_replayed(
    client: AIOKafkaAdminClient, settings: Settings, found: Mapping[str, Found], of: Assignment
) -> None:
    """Creates the topic that tells what was replayed of a lane's dead letters, or extends it.

    Raises KafkaFailure if it cannot be created.
    """
    name, partitions = replayed_name(settings, of), found[of.dead_letters].partitions
    if name not in found or found[name].partitions < partitions:
        key = f"topics.{of.region}.{of.kind}.input"
        await create(client, settings, [Topic(name, partitions, key, "replayed")])


def replayed_name(settings: Settings, of: Assignment) -> str:
    """The topic that tells what was replayed of a lane's dead letters."""
    return f"{of.dead_letters}{settings.topics.replayed_suffix}"


def check(topics: Sequence[Topic], found: Mapping[str, Found], settings: Settings) -> None:
    """Raises KafkaFailure if any is missing or has other partitions than the settings say."""
    problems = list(differences(topics, found, settings, replication=False))
    if absent := [topic.name for topic in missing(topics, found)]:
        # of what a user may not look at, brokers say nothing
        is_anybody = settings.kafka.security_protocol == "PLAINTEXT"
        hidden = "" if is_anybody else f", or {user(settings.kafka)} has no right to Describe it"
        problems.append(
            f"There is no topic {', '.join(absent)}{hidden}: `marketprep topics create`, with the "
            "same --setting and --bootstrap-servers, makes what is missing; or topics.… in the "
            "settings names others."
        )
    if problems:
        raise KafkaFailure("\n".join(problems))


async def create(
    client: AIOKafkaAdminClient, settings: Settings, topics: list[Topic]
) -> list[tuple[str, str]]:
    """Creates what is missing, topics and partitions; what was done, by topic.

    Raises KafkaFailure, before anything is done, if a topic would have to shrink or is replicated
    otherwise.
    """
    found = await find(client)
    smaller = [topic for topic in topics if _is_smaller(topic, found)]
    others = [topic for topic in topics if topic not in smaller]
    refused = list(differences(others, found, settings))
    if refused:
        raise KafkaFailure("\n".join(refused))
    brokers = len((await client.describe_cluster())["brokers"])
    replication = settings.topics.replication_factor or min(brokers, _USUAL_REPLICATION)
    new = missing(topics, found)
    if new:
        response = await client.create_topics(
            [
                NewTopic(
                    topic.name,
                    topic.partitions,
                    replication,
                    topic_configs=_configuration(topic, settings),
                )
                for topic in new
            ]
        )
        _check(response.topic_errors, settings.kafka, allowed=(errors.TopicAlreadyExistsError,))
    if smaller:
        wants = {topic.name: NewPartitions(topic.partitions) for topic in smaller}
        response = await client.create_partitions(wants)
        _check(response.topic_errors, settings.kafka)
    await _wait_for(client, topics, settings.kafka)
    done = [(topic.name, f"created with {topic.partitions} partitions") for topic in new]
    for topic in smaller:
        before = found[topic.name].partitions
        done.append((topic.name, f"extended from {before} to {topic.partitions} partitions"))
    return done


def _configuration(topic: Topic, settings: Settings) -> dict[str, str]:
    """What a topic is created with beyond the brokers' defaults."""
    limit = settings.topics.max_message_mb << 20
    if topic.role == "input":
        return {"max.message.bytes": str(limit)}
    if topic.role == "dead letters":  # there must be room for headers, and time to look at them
        return {"max.message.bytes": str(limit + (1 << 20)), "retention.ms": "-1"}
    if topic.role == "checkpoints":  # of each book the newest is enough, and soon
        return {
            "max.message.bytes": str(limit),
            "cleanup.policy": "compact",
            "segment.bytes": str(16 << 20),
            "segment.ms": "600000",
            "min.cleanable.dirty.ratio": "0.2",
        }
    if topic.role == "replayed":  # no key comes twice, so this keeps all of it for ever
        return {"cleanup.policy": "compact"}
    return {}


def _is_smaller(topic: Topic, found: Mapping[str, Found]) -> bool:
    return topic.name in found and found[topic.name].partitions < topic.partitions


def _check(
    topic_errors: Iterable[tuple[str, int, str]],
    settings: KafkaSettings,
    allowed: tuple[type[Exception], ...] = (),
) -> None:
    denied, problems = [], []
    for name, code, message in topic_errors:
        error = errors.for_code(code)
        if error in (errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError):
            denied.append(name)
        elif error is not errors.NoError and error not in allowed:
            problems.append(f"{name} could not be made: {message or error.__name__}")
    if denied:
        problems.append(
            f"Kafka denies {user(settings)} to make {', '.join(sorted(denied))}: grant Create (for "
            "more partitions, Alter) on these topics, or Describe if they are there already."
        )
    if problems:
        raise KafkaFailure("\n".join(problems))


async def wait_for_groups(client: AIOKafkaAdminClient, group_ids: Iterable[str]) -> None:
    """Waits until a broker looks after each group: a new one makes room for them first."""
    async with asyncio.timeout(_APPEAR_SECONDS):
        for group_id in group_ids:
            while True:
                with suppress(errors.GroupCoordinatorNotAvailableError):
                    await client.find_coordinator(group_id)
                    break
                await asyncio.sleep(0.05)


async def _wait_for(
    client: AIOKafkaAdminClient, topics: list[Topic], settings: KafkaSettings
) -> None:
    """Waits until the brokers have told each other of the topics, and every partition is led."""
    try:
        async with asyncio.timeout(_APPEAR_SECONDS):
            names = {topic.name: topic.partitions for topic in topics}
            while True:
                rows = await _describe(client, names)
                if hidden := [row["topic"] for row in rows if _is_hidden(row)]:
                    raise KafkaFailure(
                        f"Kafka denies {user(settings)} a look at {', '.join(sorted(hidden))}: "
                        "grant Describe on these topics, which Read and Write include."
                    )
                led = {
                    row["topic"]: sum(part["leader"] >= 0 for part in row["partitions"])
                    for row in rows
                }
                if all(led.get(name, 0) >= count for name, count in names.items()):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        text = f"The topics were created, but after {_APPEAR_SECONDS} s some have no leader yet."
        raise KafkaFailure(f"{text} Look at the brokers' logs.") from None


async def _describe(client: AIOKafkaAdminClient, names: Iterable[str]) -> list[dict[str, Any]]:
    """Topics by name, which creates none. Of those without rights, too, there is a row."""
    request = MetadataRequest(list(names), allow_auto_topic_creation=False)
    response = await client._send_request(request)  # noqa: SLF001 - what is public may create them
    rows: list[dict[str, Any]] = response.to_object()["topics"]
    return rows


def _is_hidden(row: dict[str, Any]) -> bool:
    return errors.for_code(row["error_code"]) is errors.TopicAuthorizationFailedError
