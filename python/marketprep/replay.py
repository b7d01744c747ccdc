"""Replaying dead letters: back to where they came from, each once, whatever happens meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Literal

from aiokafka import TopicPartition, errors

from marketprep import dead_letters, topics
from marketprep.assignment import Assignment, assignments
from marketprep.batch import Message
from marketprep.delivery import Fenced, Transactions
from marketprep.kafka import KafkaFailure, admin, explain
from marketprep.letters import Letter, Place, Section, letters, nothing_at, section_of, sections
from marketprep.log_reader import LogReader
from marketprep.outbox import DeliveryError
from marketprep.replayed import Note
from marketprep.settings import Settings

#: When a transaction is full. So much is held in memory, and repeated after a crash, at most.
_TRANSACTION_LETTERS = 1000
_TRANSACTION_BYTES = 4 << 20

#: What becomes of a dead letter that was asked for: it is replayed; or it was before; or it has
#: failed after a replay, and is left out; or it names no partition of an input topic.
Fate = Literal["replayed", "earlier", "failed again", "nowhere"]

#: What replayed messages are compressed by.
_COMPRESSION = "zstd"


@dataclass(frozen=True)
class Wanted:
    """Which dead letters are asked for. An empty collection asks for all."""

    reasons: Collection[str] = ()
    exchanges: Collection[str] = ()
    #: One alone, whatever its reason and exchange are.
    place: Place | None = None
    #: Whether those are too that have failed again after a replay.
    again: bool = False

    def has(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return (not self.reasons or letter.reason in self.reasons) and (
            not self.exchanges or letter.exchange in self.exchanges
        )


@dataclass
class Tally:
    """How many dead letters have met which fate, by reason and exchange."""

    counts: dict[tuple[str, str], Counter[Fate]] = field(default_factory=dict)
    #: The size of those that are replayed.
    size: int = 0
    #: What letters name that is no partition of an input topic, and the first letter of each.
    nowhere: dict[TopicPartition, Place] = field(default_factory=dict)

    def add(self, letter: Letter, fate: Fate) -> None:
        """Counts one in."""
        self.counts.setdefault((letter.reason, letter.exchange), Counter())[fate] += 1
        if fate == "replayed":
            self.size += letter.size
        elif fate == "nowhere":
            self.nowhere.setdefault(letter.origin, letter.place)

    def total(self, fate: Fate) -> int:
        """How many there are of a fate."""
        return sum(counts[fate] for counts in self.counts.values())


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """Somebody has asked for an end."""


class Replay:
    """Looks at all dead letters once, to count, and then once more, to replay those that are due.

    What is replayed, and the note that it was, are in one transaction: both are there or neither.
    A producer's start waits for the last transaction with its id to end, and lets no other go on
    with that id; only then are the notes read. So nothing is replayed twice, even where one replay
    runs beside another.

    Dead letters go to the topics that they name, if the settings have these as input topics:
    anybody can put a letter there, and name any topic. With `target` all of them go to that topic.
    """

    def __init__(
        self,
        settings: Settings,
        lanes: Sequence[Assignment],
        wanted: Wanted,
        target: str | None = None,
    ) -> None:
        #: What the first look has found.
        self.plan = Tally()
        #: What has become of it so far.
        self.done = Tally()
        self.is_stopped = False
        self._settings = settings
        self._lanes = lanes
        self._wanted = wanted
        self._target_topic = target
        self._inputs = {lane.topics.input for lane in assignments(settings)}
        self._found: Mapping[str, topics.Found] = {}
        self._due: list[Section] = []

    def stop(self) -> None:
        """Ends it behind the transaction that has begun."""
        self.is_stopped = True

    async def look(self, advance: Callable[[int, str], None]) -> None:
        """Counts, and changes nothing. What comes later than this is not replayed either.

        `advance` is told of bytes.
        """
        async with admin(self._settings.kafka) as client:
            self._found = await topics.find(client)
        if self._target_topic is not None and self._target_topic not in self._found:
            raise KafkaFailure(f"There is no topic {self._target_topic}: name another with --to.")
        async with LogReader.open(self._settings) as reader:
            if place := self._wanted.place:
                [lane] = self._lanes
                looked_at = [await section_of(reader, lane, self._found, place)]
            else:
                looked_at = await sections(reader, self._lanes, self._found)
            with suppress(_Stopped):
                for section in looked_at:
                    due_before = self.plan.total("replayed")
                    async with aclosing(self._letters(reader, section)) as found:
                        async for letter, fate in found:
                            self.plan.add(letter, fate)
                            advance(letter.size, section.lane.name)
                    if self.plan.total("replayed") > due_before:
                        self._due.append(section)
        if self._wanted.place and not self.plan.counts and not self.is_stopped:
            raise nothing_at(self._wanted.place)

    async def run(self, advance: Callable[[int, str], None]) -> None:
        """Replays what is due; `advance` is told of bytes. Raises KafkaFailure if it cannot go on.

        What was replayed by then stays, and running it again goes on behind it.
        """
        due = [(lane, [one for one in self._due if one.lane is lane]) for lane in self._lanes]
        due = [(lane, of_lane) for lane, of_lane in due if of_lane]
        if not due:
            return
        async with admin(self._settings.kafka) as client:
            for lane, _ in due:
                await topics.create_replayed(client, self._settings, self._found, lane)
            self._found = await topics.find(client)
        for lane, _ in due:
            name = topics.replayed_name(self._settings, lane)
            there = self._found.get(name)
            if not there or there.partitions < self._found[lane.dead_letters].partitions:
                # without notes everything would seem to be due
                raise KafkaFailure(f"The topic {name} is not there yet: run it again.")
        async with LogReader.open(self._settings) as reader:
            with suppress(_Stopped):
                for lane, of_lane in due:
                    await self._run_lane(reader, lane, of_lane, advance)
                self._count_those_of_others()

    def _count_those_of_others(self) -> None:
        """What was due and is done, but not by us, another replay was faster with."""
        for key, planned in self.plan.counts.items():
            planned["earlier"] += planned["replayed"]
            if of_ours := self.done.counts.get(key):
                planned["earlier"] -= of_ours["replayed"]

    async def _run_lane(
        self,
        reader: LogReader,
        lane: Assignment,
        of_lane: Sequence[Section],
        advance: Callable[[int, str], None],
    ) -> None:
        settings = self._settings
        name = f"{settings.kafka.transactional_id_prefix}-replay-{lane.dead_letters}"
        transactions = Transactions(settings, _COMPRESSION, name)
        seconds = settings.kafka.transaction_timeout_ms / 1000  # brokers undo it after that time
        try:
            async with asyncio.timeout(seconds):
                await transactions.start()
            for section in of_lane:
                async with aclosing(self._full(reader, section)) as full:
                    async for replayed in full:
                        async with asyncio.timeout(seconds):
                            await transactions.begin()
                            await transactions.send(self._messages(replayed, lane))
                            await transactions.end()
                        for letter in replayed:
                            self.done.add(letter, "replayed")
                            advance(letter.size, lane.name)
        except (KafkaFailure, _Stopped):
            raise
        except Exception as error:
            raise self._failure(error, lane) from error
        finally:
            await transactions.close()

    def _messages(self, replayed: Sequence[Letter], lane: Assignment) -> list[Message]:
        """What dead letters of a partition were before, and the note that they were replayed."""
        note = Note(replayed[0].record.partition)
        messages = []
        for letter in replayed:
            topic, partition = self._target(letter)
            messages.append(
                dead_letters.replayed(letter.record, topic, partition, letter.attempt + 1)
            )
            note.add(letter.record, letter.before)
        return [*messages, note.message(topics.replayed_name(self._settings, lane))]

    async def _full(
        self, reader: LogReader, section: Section
    ) -> AsyncGenerator[list[Letter], None]:
        """The dead letters that are due, so many at once as a transaction is to have."""
        waiting: list[Letter] = []
        size = 0
        async with aclosing(self._letters(reader, section)) as found:
            async for letter, fate in found:
                if fate != "replayed":
                    continue
                waiting.append(letter)
                size += letter.size
                if len(waiting) >= _TRANSACTION_LETTERS or size >= _TRANSACTION_BYTES:
                    yield waiting
                    waiting, size = [], 0
        if waiting:
            yield waiting

    async def _letters(
        self, reader: LogReader, section: Section
    ) -> AsyncGenerator[tuple[Letter, Fate], None]:
        """The dead letters that were asked for, and what is to become of each."""
        async with aclosing(letters(reader, self._settings, section, self._found)) as found:
            async for letter in found:
                if self.is_stopped:
                    raise _Stopped
                if self._wanted.has(letter):
                    yield letter, self._fate(letter)

    def _fate(self, letter: Letter) -> Fate:
        if letter.is_replayed:
            return "earlier"
        if letter.attempt and not self._wanted.again:
            return "failed again"
        topic, partition = self._target(letter)
        is_allowed = topic == self._target_topic or topic in self._inputs
        has_partition = topic in self._found and partition < self._found[topic].partitions
        return "replayed" if is_allowed and has_partition else "nowhere"

    def _target(self, letter: Letter) -> TopicPartition:
        """Returns the partition to which a dead letter is replayed."""
        topic, partition = letter.origin
        target = topic if self._target_topic is None else self._target_topic
        return TopicPartition(target, partition)

    def _failure(self, error: Exception, lane: Assignment) -> Exception:
        """What is wrong, for people."""
        cause: BaseException = error
        topic = error.topic if isinstance(error, DeliveryError) else None
        # what a producer's own task fails with is within a KafkaError that says nothing
        while cause.__cause__ and type(cause) in (DeliveryError, errors.KafkaError):
            cause = cause.__cause__
        if isinstance(error, Fenced):
            return KafkaFailure(
                f"Another replay of {lane.dead_letters} has begun and goes on in the place of this "
                "one, or this one stood still for longer than kafka.transaction_timeout_ms. What "
                "was replayed stays so; running it again replays the rest."
            )
        if isinstance(cause, TimeoutError):
            cause = errors.KafkaTimeoutError()
        if isinstance(cause, errors.KafkaError | OSError):
            return KafkaFailure(explain(cause, self._settings.kafka, topic))
        return error
