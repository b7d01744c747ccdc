"""Connections to brokers that read each answer whole, in place of asyncio's streams.

A stream puts all that comes into a buffer that grows and shrinks, and copies it out again: more
work, for what is fetched without compression, than to decode it. Here the parts of an answer are
put together once it is complete. What this stands in for is not public: see `direct.obstacle`.
"""

import asyncio
from collections import deque
from typing import Any

from aiokafka import conn

AIOKafkaConnection: Any = getattr(conn, "AIOKafkaConnection", object)
AIOKafkaProtocol: Any = getattr(conn, "AIOKafkaProtocol", asyncio.StreamReaderProtocol)

#: The length of an answer, before it.
_LENGTH_BYTES = 4

#: Longer than any answer: what says that it has so much is no broker.
_MOST_BYTES = 1 << 28


class NoAnswerError(ConnectionError):
    """What has come is not how an answer of a broker begins."""


def install() -> None:
    """Lets all connections that are made from now on read so."""
    conn.AIOKafkaConnection = _Connection
    conn.AIOKafkaProtocol = _Protocol


class _Connection(AIOKafkaConnection):  # type: ignore[misc] # aiokafka has no types
    """Takes answers as they are, and not byte by byte from a stream."""

    @staticmethod
    async def _read(self_ref: Any) -> None:  # noqa: ANN401 - a weak reference, so that it can go
        connection = self_ref()
        if connection is None:
            return
        protocol: _Protocol = connection._protocol  # noqa: SLF001 - what it stands in for
        while connection is not None:
            del connection
            answer = await protocol.answer()
            connection = self_ref()
            if connection is not None:
                connection._handle_frame(answer)  # noqa: SLF001 - as above
            del answer  # else it would be held until the next one comes


class _Protocol(AIOKafkaProtocol):  # type: ignore[misc] # as above
    """Parts what comes into answers."""

    def __init__(
        self,
        closed: asyncio.Future[None],
        reader: asyncio.StreamReader,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(closed, reader, loop=loop)
        self._loop = loop
        self._answers: deque[bytes] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        #: What there is of the next length, or else of the answer of which so much is missing.
        self._length = b""
        self._parts: list[memoryview] = []
        self._missing = 0

    async def answer(self) -> bytes:
        """The next answer. Raises what the connection has ended with."""
        while not self._answers:
            if self._error:
                raise self._error
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._answers.popleft()

    def data_received(self, data: bytes) -> None:
        """Something has come: a part of an answer, or several of them."""
        rest = memoryview(data)
        while rest and not self._error:
            if self._missing:
                part, rest = rest[: self._missing], rest[self._missing :]
                self._parts.append(part)
                self._missing -= len(part)
            else:
                missing = _LENGTH_BYTES - len(self._length)
                self._length += rest[:missing]
                rest = rest[missing:]
                if len(self._length) < _LENGTH_BYTES:
                    return
                self._begin(int.from_bytes(self._length, signed=True))
                self._length = b""
            if not self._missing and not self._error:
                self._answers.append(b"".join(self._parts))
                self._parts.clear()
                self._wake()

    def _begin(self, length: int) -> None:
        """What comes next is an answer of this length."""
        if 0 <= length <= _MOST_BYTES:
            self._missing = length
        else:
            self._end(NoAnswerError(f"an answer of {length} bytes: this is no Kafka broker"))

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, error: Exception) -> None:
        """Nothing more is expected."""
        self._error = self._error or error
        self._wake()

    def eof_received(self) -> bool:
        """The broker says nothing more."""
        self._end(asyncio.IncompleteReadError(b"", _LENGTH_BYTES))
        stays_open: bool = super().eof_received()
        return stays_open

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed, by whomever."""
        self._end(error or asyncio.IncompleteReadError(b"", _LENGTH_BYTES))
        super().connection_lost(error)
