"""Connections: whatever pieces answers come in, they are taken whole; and the end is told."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiokafka import conn, errors
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster
from marketprep import connections

answers = st.lists(st.binary(max_size=40), max_size=8)


def protocol() -> connections._Protocol:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    return connections._Protocol(loop.create_future(), reader, loop=loop)  # noqa: SLF001


def sent(answers: list[bytes]) -> bytes:
    return b"".join(len(answer).to_bytes(4) + answer for answer in answers)


@given(answers, st.lists(st.integers(1, 50)))
def test_answers_are_whole_whatever_pieces_they_come_in(
    answers: list[bytes], cuts: list[int]
) -> None:
    async def main() -> None:
        parts = protocol()
        stream, start = sent(answers), 0
        for length in [*cuts, len(stream)]:
            if piece := stream[start : start + length]:
                parts.data_received(piece)
            start += length
        assert [await parts.answer() for _ in answers] == answers
        parts.eof_received()
        with pytest.raises(EOFError):
            await parts.answer()

    asyncio.run(main())


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset by peer")])
def test_the_end_of_a_connection_is_told_to_whoever_waits(error: Exception | None) -> None:
    """Behind the answers that have come before."""

    async def main() -> None:
        parts = protocol()
        parts.data_received(sent([b"one"]) + b"\0\0\0\5half")
        parts.connection_lost(error)
        assert await parts.answer() == b"one"
        with pytest.raises(type(error) if error else EOFError):
            await parts.answer()

    asyncio.run(main())


@pytest.fixture
def whole_answers() -> Iterator[None]:
    """Connections that read so, even if nobody has asked for it yet."""
    before = conn.AIOKafkaConnection, conn.AIOKafkaProtocol
    connections.install()
    yield
    conn.AIOKafkaConnection, conn.AIOKafkaProtocol = before


@pytest.mark.usefixtures("whole_answers")
def test_a_connection_that_goes_on_after_another_is_closed(cluster: Cluster) -> None:
    host, port = cluster.address.split(":")

    async def main() -> None:
        first = await conn.create_conn(host, int(port))
        second = await conn.create_conn(host, int(port))
        assert isinstance(first, connections._Connection)  # noqa: SLF001 - what is tested
        request = conn.ApiVersionRequest()
        first.close()
        with pytest.raises(errors.KafkaConnectionError):
            await first.send(request)
        found = await asyncio.gather(*(second.send(request) for _ in range(20)))
        assert all(answer.api_versions == found[0].api_versions for answer in found)
        assert second.connected()
        await second.close()

    asyncio.run(main())


@pytest.mark.usefixtures("whole_answers")
@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_who_is_no_broker_is_noticed_at_once(words: bytes) -> None:
    """Whether it hangs up or speaks of something else, and stays."""

    async def main() -> None:
        ended = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            if words:
                writer.write(words)
                with suppress(ConnectionError):  # it may hang up without reading all
                    assert await reader.read(100) == b""
            writer.close()
            await writer.wait_closed()
            ended.set()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            _, port = server.sockets[0].getsockname()
            async with asyncio.timeout(60):
                with pytest.raises(errors.KafkaConnectionError) as raised:
                    await conn.create_conn("127.0.0.1", port)
                await ended.wait()
            if words:
                assert "this is no Kafka broker" in str(raised.value.__cause__)

    asyncio.run(main())
