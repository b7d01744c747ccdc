"""Notes of what was replayed: which dead letters of a partition, as ranges of offsets."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from zlib import crc32

import orjson
from aiokafka import ConsumerRecord

from marketprep.batch import Message
from marketprep.kafka import KafkaFailure
from marketprep.settings.model import is_whole

#: The version of a note.
_VERSION = 1


class Ranges:
    """Offsets, as the fewest ranges that have all of them and no other message.

    Offsets that are no messages, as control records of transactions are, may be within.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []

    def add(self, offset: int, before: int | None) -> None:
        """Adds an offset behind all others; `before` is that of the message before it."""
        if self._pairs and before == self._pairs[-1][1]:
            self._pairs[-1] = (self._pairs[-1][0], offset)
        else:
            self._pairs.append((offset, offset))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The first and the last offset of each."""
        return iter(self._pairs)

    def __bool__(self) -> bool:
        return bool(self._pairs)


class Note:
    """What one transaction replays of a partition."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._ranges = Ranges()
        self._first: ConsumerRecord | None = None

    def add(self, record: ConsumerRecord, before: int | None) -> None:
        """Adds a dead letter; `before` is the offset of the one before it, replayed or not."""
        self._first = self._first or record
        self._ranges.add(record.offset, before)

    def message(self, topic: str) -> Message:
        """As it stands on the topic of notes; of at least one dead letter."""
        assert self._first is not None  # noqa: S101 - see above
        key = orjson.dumps([self._partition, self._first.offset])
        content = {
            "version": _VERSION,
            "replayed": list(self._ranges),
            "checksum": checksum(self._first),
        }
        return Message(topic, self._partition, key, orjson.dumps(content), None)


class Notes:
    """What was replayed of a partition before."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._checksums: dict[int, int] = {}
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def read(self, records: Iterable[ConsumerRecord], end: int) -> None:
        """Takes in all notes there are; `end` is the offset behind the last dead letter.

        Raises KafkaFailure if they cannot be believed.
        """
        pairs: list[tuple[int, int]] = []
        for record in records:
            ranges, found = self._parse(record)
            self._checksums[ranges[0][0]] = found
            pairs += ranges
        for first, last in sorted(pairs):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)
        if self._lasts and self._lasts[-1] >= end:
            raise self._made_anew()

    def has(self, record: ConsumerRecord) -> bool:
        """Whether a dead letter was replayed. Raises KafkaFailure if it is not the one of then."""
        if self._checksums.get(record.offset, found := checksum(record)) != found:
            raise self._made_anew()
        index = bisect_right(self._firsts, record.offset) - 1
        return index >= 0 and record.offset <= self._lasts[index]

    def _parse(self, record: ConsumerRecord) -> tuple[list[tuple[int, int]], int]:
        """The ranges of a note, and the checksum of its first dead letter."""
        try:
            content = orjson.loads(record.value or b"")
            version, pairs, found = content["version"], content["replayed"], content["checksum"]
            ranges = [(first, last) for first, last in pairs]
        except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
            version, ranges, found = None, [], None
        are_whole = all(is_whole(offset) for pair in ranges for offset in pair)
        if version != _VERSION or not ranges or not are_whole or not is_whole(found):
            raise KafkaFailure(
                f"The note at {self._topic}:{self._partition}:{record.offset}, which tells what "
                "was replayed already, is damaged or of a later version: use that version, or "
                "delete the topic to have all dead letters replayed that are still there."
            )
        return ranges, found

    def _made_anew(self) -> KafkaFailure:
        return KafkaFailure(
            f"The notes on {self._topic}, partition {self._partition}, are of other dead letters "
            "than there are now: their topic must have been made anew. Delete "
            f"{self._topic} too, to have all dead letters replayed that are there."
        )


def checksum(record: ConsumerRecord) -> int:
    """By which a dead letter is known again, should its topic have been made anew meanwhile."""
    head = orjson.dumps([record.offset, record.timestamp])
    return crc32(record.value or b"", crc32(record.key or b"", crc32(head)))
