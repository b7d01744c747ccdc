"""Checkpoints: order books as they are at an offset, on a compacted topic, to go on with later."""

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from aiokafka import ConsumerRecord, TopicPartition

from marketprep.assignment import Assignment
from marketprep.batch import Message
from marketprep.decoder import Decoder
from marketprep.log_reader import LogReader
from marketprep.settings import Settings

_log = structlog.stdlib.get_logger("marketprep.checkpoints")

#: The version of what tells up to where checkpoints go.
_VERSION = 1

#: How many messages are read again at once.
_MESSAGES = 500

#: Decodes messages of a partition with a decoder, somewhere else than in the event loop.
Replay = Callable[[Decoder, Sequence[ConsumerRecord]], Any]


@dataclass
class _Saved:
    """The newest checkpoints of a partition."""

    #: The offset of the first message that they do not know; None if there are none.
    next_offset: int | None = None
    contents: dict[str, bytes] = field(default_factory=dict)


class Checkpoints:
    """Those of a partition of a lane.

    A message with the group id and the name of a book as its key has that book, as it was after
    the message of the offset that stands in it. A round saves all books of the partition that have
    changed since the last one; its last message, which has no name in its key, tells the offset
    from where messages are to be read again. So of an interrupted round nothing is believed that
    it does not say itself.
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
        books = [self._message(name, content) for name, content in decoder.checkpoints()]
        return [*books, self._mark(next_offset)]

    def forget(self) -> Decoder:
        """A decoder without books, where what is read does not go on from what was."""
        self._is_cold = self.are_kept
        self._mark_offset = None
        return Decoder(self._assignment.kind, self._settings)

    def beginning(self, position: int) -> list[Message]:
        """Where books start cold, from where messages are to be read after a crash.

        It must be saved before anything that is read from there is committed.
        """
        is_cold, self._is_cold = self._is_cold, False
        return [self._mark(position)] if is_cold else []

    def _mark(self, next_offset: int) -> Message:
        """The end of a round. Where no book is kept it saves reading again what changes none."""
        self._mark_offset = next_offset
        return self._message(None, orjson.dumps({"version": _VERSION, "next_offset": next_offset}))

    def _message(self, name: str | None, content: bytes) -> Message:
        key = orjson.dumps([self._group_id, name])
        topic = self._assignment.checkpoints or ""
        return Message(topic, self._partition, key, content, None, is_compressed=True)

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
        if not self.are_kept or committed is None:
            return decoder
        async with LogReader.open(self._settings) as reader:
            await self._restore(reader, committed, decoder, replay)
        return decoder

    async def _restore(
        self,
        reader: LogReader,
        committed: int,
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
        """The newest checkpoints of a partition, and where its last whole round ended."""
        saved = _Saved()
        place = TopicPartition(self._assignment.checkpoints or "", self._partition)
        first, end = await reader.bounds(place)
        async with aclosing(reader.batches(place, first, end, _MESSAGES)) as batches:
            async for records in batches:
                for record in records:
                    name = self._name(record.key)
                    if name is None or record.value is None:
                        continue
                    if name:
                        saved.contents[name] = record.value
                    else:
                        saved.next_offset = self._next_offset(record.value, log)
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
