"""Dead letters as they stand on Kafka: where they are, what their headers tell of them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Self

from aiokafka import ConsumerRecord, TopicPartition

from marketprep import topics
from marketprep.assignment import Assignment
from marketprep.dead_letters import ATTEMPT, PREFIX
from marketprep.kafka import KafkaFailure
from marketprep.log_reader import LogReader
from marketprep.replayed import Notes
from marketprep.settings import Settings

#: What stands for a header that is not there.
NONE = "(none)"

#: The digits of the largest offset.
_MAX_DIGITS = 19


class Place(NamedTuple):
    """Where a message stands."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """A place as `str` writes it. Raises ValueError if it is none."""
        topic, _, rest = text.partition(":")
        partition, _, offset = rest.partition(":")
        if not topic or not _is_number(partition) or not _is_number(offset):
            raise ValueError(text)
        return cls(topic, int(partition), int(offset))

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Section:
    """The dead letters of a partition that are looked at."""

    lane: Assignment
    partition: int
    begin: int
    #: The offset behind the last one.
    end: int

    @property
    def of_kafka(self) -> TopicPartition:
        """The partition, as clients call it."""
        return TopicPartition(self.lane.dead_letters, self.partition)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, or a message that others have put on its topic."""

    record: ConsumerRecord
    lane: Assignment
    #: Whether it was replayed already.
    is_replayed: bool
    #: The offset of the one before it, if that was read.
    before: int | None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.record.topic, self.record.partition, self.record.offset)

    @property
    def reason(self) -> str:
        """Why it was set aside."""
        return self._header("reason") or NONE

    @property
    def exchange(self) -> str:
        """Whose it is: as it says itself, else as its partition does."""
        return self._header("exchange") or self.lane.exchanges_of(self.record.partition) or NONE

    @property
    def detail(self) -> str:
        """What people are told of the reason."""
        return self._header("detail")

    @property
    def attempt(self) -> int:
        """How often it was replayed before it was set aside this time."""
        text = self._header(ATTEMPT.removeprefix(PREFIX))
        return int(text) if _is_number(text) else 0

    @property
    def origin(self) -> TopicPartition:
        """The partition that it came from."""
        partition = self._header("partition")
        return TopicPartition(
            self._header("topic") or self.lane.topics.input,
            int(partition) if _is_number(partition) else self.record.partition,
        )

    @property
    def size(self) -> int:
        """The bytes of its value, key and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.record.headers)
        return len(self.record.value or b"") + len(self.record.key or b"") + headers

    def _header(self, name: str) -> str:
        """One of our headers; empty if it is not there."""
        for found, value in self.record.headers:
            if found == f"{PREFIX}{name}":
                return bytes(value or b"").decode("utf-8", "replace")
        return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


async def sections(
    reader: LogReader, lanes: Sequence[Assignment], found: Mapping[str, topics.Found]
) -> list[Section]:
    """All dead letters there are now, of those lanes that have a topic of them."""
    there = [lane for lane in lanes if lane.dead_letters in found]
    return [
        Section(lane, number, *await reader.bounds(TopicPartition(lane.dead_letters, number)))
        for lane in there
        for number in range(found[lane.dead_letters].partitions)
    ]


async def section_of(
    reader: LogReader, lane: Assignment, found: Mapping[str, topics.Found], place: Place
) -> Section:
    """A single dead letter. Raises KafkaFailure if there is nothing at the place."""
    if place.topic not in found:
        raise KafkaFailure(f"There is no topic {place.topic}: nothing was set aside there.")
    partitions = found[place.topic].partitions
    if place.partition >= partitions:
        raise KafkaFailure(f"{place.topic} has no partition {place.partition}, only {partitions}.")
    begin, end = await reader.bounds(TopicPartition(place.topic, place.partition))
    if not begin <= place.offset < end:
        there = f"offsets {begin} to {end - 1}" if begin < end else "nothing"
        raise KafkaFailure(
            f"There is no dead letter at {place}: in that partition there is {there}."
        )
    return Section(lane, place.partition, place.offset, place.offset + 1)


def nothing_at(place: Place) -> KafkaFailure:
    """What to say if an offset is one of the partition's, but no message has it."""
    return KafkaFailure(
        f"There is no dead letter at {place}: that offset is a mark of a transaction, or of a "
        "message that was undone."
    )


async def letters(
    reader: LogReader, settings: Settings, section: Section, found: Mapping[str, topics.Found]
) -> AsyncGenerator[Letter, None]:
    """The dead letters of a section, one after the other, and whether each was replayed.

    Raises KafkaFailure if what tells of that cannot be believed.
    """
    if section.begin >= section.end:
        return
    name = topics.replayed_name(settings, section.lane)
    notes = Notes(name, section.partition)
    if name in found and section.partition < found[name].partitions:
        partition = TopicPartition(name, section.partition)
        records = [
            record async for record in reader.read(partition, *await reader.bounds(partition))
        ]
        _, end = await reader.bounds(section.of_kafka)
        notes.read(records, end)
    before = None
    async with aclosing(reader.read(section.of_kafka, section.begin, section.end)) as read:
        async for record in read:
            yield Letter(record, section.lane, notes.has(record), before)
            before = record.offset
