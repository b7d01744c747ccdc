"""Checkpoints: order books as they are at an offset, on a compacted topic, to go on with later."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from aiokafka import ConsumerRecord, TopicPartition

from marketprep.assignment import Assignment
from marketprep.batch import Headers, Message
from marketprep.decoder import Decoder
from marketprep.log_reader import LogReader
from marketprep.settings import Settings

_log = structlog.stdlib.get_logger("marketprep.checkpoints")

#: The version of what tells up to where checkpoints go.
_VERSION = 1

#: How many messages are read again at once.
_MESSAGES = 500

#: The header of the books of a round: the offset that the end of the round will tell, as text.
_ROUND = "round"

#: The header of the end of a round: the number of books that are saved by then, as text.
_BOOKS = "books"

#: More digits are no number of books.
_MAX_DIGITS = 18

#: Decodes messages of a partition with a decoder, somewhere else than in the event loop.
Replay = Callable[[Decoder, Sequence[ConsumerRecord]], Any]


@dataclass
class _Saved:
    """The newest checkpoints of a partition that belong to whole rounds."""

    #: The offset of the first message that they do not know; None if there are none.
    next_offset: int | None = None
    contents: dict[str, bytes] = field(default_factory=dict)
    #: What a round that has no end yet has written; None is a book that is saved no more.
    begun: dict[str, bytes | None] = field(default_factory=dict)
    #: How many books there were at the last end of a round; None if it does not say so.
    count: int | None = None

    def add(self, name: str, content: bytes | None, headers: Mapping[str, bytes | None]) -> None:
        """Adds a checkpoint. One that names no round is of another program, and counts at once."""
        self.begun[name] = content
        if _ROUND not in headers:
            self._take_over({name: self.begun.pop(name)})

    def end_round(self, next_offset: int | None, count: int | None) -> None:
        """Takes over what came since the last end of a round."""
        self.next_offset, self.count = next_offset, count
        self._take_over(self.begun)
        self.begun = {}

    def repair(self) -> bool:
        """Takes over a round without an end if compaction has removed what the round replaces.

        Returns whether it did.
        """
        if self.count is None:
            is_missing = any(name not in self.contents for name in self.begun)
        else:
            is_missing = len(self.contents) < self.count
        if is_missing:
            self.end_round(self.next_offset, self.count)
        return is_missing

    def _take_over(self, changes: Mapping[str, bytes | None]) -> None:
        for name, content in changes.items():
            if content is None:
                self.contents.pop(name, None)
            else:
                self.contents[name] = content


class Checkpoints:
    """Those of a partition of a lane.

    A message with the group id and the name of a book as its key has that book, as it was after
    the message of the offset that stands in it. Without a value, the book is saved no more. A round
    saves all books of the partition that have changed since the last one; its last message, the
    mark, which has no name in its key, has the offset from where messages are to be read again.

    An interrupted round has no mark and is ignored: books build on each other, so a book of it
    beside one that it does not have would go on from a state that never was. The next round
    replaces all of it. Only where compaction has removed what it replaces, its books are restored:
    each ignores messages up to its own offset.
    """

    def __init__(self, assignment: Assignment, settings: Settings, partition: int) -> None:
        self._assignment = assignment
        self._settings = settings
        self._partition = partition
        self._every = settings.books.checkpoint_every_s
        self._group_id = assignment.topics.group_id
        self._last_round = time.monotonic()
        self._mark_offset: int | None = None
        self._is_cold = True
        #: The names of all books that the topic has.
        self._names: set[str] = set()
        #: What the next round must write anew, as an interrupted one has written something else.
        self._replaced: dict[str, bytes | None] = {}

    @property
    def are_kept(self) -> bool:
        """Whether this lane has any."""
        return self._assignment.checkpoints is not None

    def is_due(self) -> bool:
        """Whether it is time for the next round."""
        return self._every is not None and time.monotonic() - self._last_round >= self._every

    def round(self, next_offset: int, decoder: Decoder) -> list[Message]:
        """All that has changed since the last round; `next_offset` is the next to be read."""
        self._last_round = time.monotonic()
        if not self.are_kept or self._mark_offset == next_offset:
            return []
        books = self._replaced | dict(decoder.checkpoints())
        self._replaced = {}
        self._names.update(books)
        self._names.difference_update(name for name, content in books.items() if content is None)
        return self._round(books, next_offset)

    def forget(self) -> Decoder:
        """A decoder without books, where what is read does not go on from what was."""
        self._is_cold = self.are_kept
        self._mark_offset = None
        self._replaced = {}
        return Decoder(self._assignment.kind, self._settings)

    def beginning(self, position: int) -> list[Message]:
        """Where books start cold, from where messages are to be read after a crash.

        It must be saved before anything that is read from there is committed. Books of before are
        removed: their offsets may mean other messages by now.
        """
        is_cold, self._is_cold = self._is_cold, False
        if not is_cold:
            return []
        removed = dict.fromkeys(sorted(self._names))
        self._names.clear()
        return self._round(removed, position)

    def _round(self, books: Mapping[str, bytes | None], next_offset: int) -> list[Message]:
        headers = [(_ROUND, b"%d" % next_offset)]
        messages = [self._message(name, content, headers) for name, content in books.items()]
        return [*messages, self._mark(next_offset)]

    def _mark(self, next_offset: int) -> Message:
        """The end of a round. Where no book is kept it saves reading again what changes none."""
        self._mark_offset = next_offset
        mark = orjson.dumps({"version": _VERSION, "next_offset": next_offset})
        return self._message(None, mark, [(_BOOKS, b"%d" % len(self._names))])

    def _message(self, name: str | None, content: bytes | None, headers: Headers) -> Message:
        key = orjson.dumps([self._group_id, name])
        topic = self._assignment.checkpoints or ""
        return Message(topic, self._partition, key, content, None, headers, is_compressed=True)

    async def saved_offset(self) -> int | None:
        """Returns the offset up to which the newest checkpoints go; None if there are none."""
        if not self.are_kept:
            return None
        async with LogReader.open(self._settings) as reader:
            return (await self._read(reader, _log)).next_offset

    async def restore(self, committed: int | None, replay: Replay) -> Decoder:
        """A decoder that is as one was when the committed offset was reached.

        What cannot be restored is told, and starts cold.
        """
        decoder = self.forget()
        if self.are_kept:
            async with LogReader.open(self._settings) as reader:
                await self._restore(reader, committed, decoder, replay)
        return decoder

    async def _restore(
        self,
        reader: LogReader,
        committed: int | None,
        decoder: Decoder,
        replay: Replay,
    ) -> None:
        begin = time.monotonic()
        log = _log.bind(
            lane=self._assignment.name,
            topic=self._assignment.checkpoints,
            partition=self._partition,
            exchange=self._assignment.exchanges_of(self._partition),
            offset=committed,
        )
        saved = await self._read(reader, log)
        self._names = {*saved.contents, *saved.begun}
        if committed is None:
            return
        if saved.next_offset is None:
            log.info("books start cold: there are no checkpoints")
            return
        if saved.next_offset > committed:
            log.warning(
                "books start cold: their checkpoints are ahead of the committed offset",
                checkpoint=saved.next_offset,
            )
            return
        self._is_cold = False
        if saved.begun and saved.repair():
            log.warning(
                "checkpoints of an interrupted round are used: older ones are there no more"
            )
            self._names = {*saved.contents, *saved.begun}
        self._replaced = {name: saved.contents.get(name) for name in saved.begun}
        restored = 0
        for name, content in saved.contents.items():
            try:
                decoder.restore(name, content, committed)
                restored += 1
            except ValueError as error:
                log.warning("a book starts cold", book=name, reason=str(error))
        place = TopicPartition(self._assignment.topics.input, self._partition)
        first, end = await reader.bounds(place)
        if saved.next_offset < first:
            log.warning(
                "messages that books need are there no more",
                wanted=saved.next_offset,
                oldest=first,
            )
        replayed = 0
        start, stop = max(first, saved.next_offset), min(end, committed)
        async with aclosing(reader.batches(place, start, stop, _MESSAGES)) as batches:
            async for records in batches:
                await replay(decoder, records)
                replayed += len(records)
        log.info(
            "books restored",
            books=restored,
            replayed=replayed,
            seconds=round(time.monotonic() - begin, 3),
        )

    async def _read(self, reader: LogReader, log: Any) -> _Saved:  # noqa: ANN401 - structlog's
        """The newest checkpoints of a partition, and where its last whole round ended.

        A mark of a version that is not known ends a round as well.
        """
        saved = _Saved()
        place = TopicPartition(self._assignment.checkpoints or "", self._partition)
        first, end = await reader.bounds(place)
        async with aclosing(reader.batches(place, first, end, _MESSAGES)) as batches:
            async for records in batches:
                for record in records:
                    name = self._name(record.key)
                    headers = dict(record.headers)
                    if name:
                        saved.add(name, record.value, headers)
                    elif name is not None and record.value is not None:
                        next_offset = self._next_offset(record.value, log)
                        saved.end_round(next_offset, _count(headers))
        return saved

    def _name(self, key: bytes | None) -> str | None:
        """The name of a book, or an empty one for the end of a round; None for other keys."""
        try:
            group_id, name = orjson.loads(key or b"null")
        except (orjson.JSONDecodeError, TypeError, ValueError):
            return None
        if group_id != self._group_id or not isinstance(name, str | None):
            return None
        return name or ""

    def _next_offset(self, value: bytes, log: Any) -> int | None:  # noqa: ANN401 - as above
        """The offset that the end of a round tells."""
        try:
            mark = orjson.loads(value)
            version, next_offset = mark["version"], mark["next_offset"]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            version, next_offset = None, None
        if version == _VERSION and isinstance(next_offset, int):
            return next_offset
        log.error("checkpoints cannot be used: they are damaged, or of a later version")
        return None


def _count(headers: Mapping[str, bytes | None]) -> int | None:
    """Returns the number of books that the end of a round has in its headers; None without one."""
    count = headers.get(_BOOKS) or b""
    return int(count) if count.isdigit() and len(count) <= _MAX_DIGITS else None
