"""The queue between reading and delivering: order, waiting, and the end."""

import asyncio
from collections.abc import AsyncIterator

from marketprep.closable_queue import ClosableQueue


def test_a_queue_keeps_the_order_and_tells_the_end() -> None:
    async def main() -> None:
        queue = ClosableQueue[int]()
        for number in range(5):
            await queue.put(number)
        await queue.close()
        assert [number async for number in everything(queue)] == [0, 1, 2, 3, 4]
        assert await queue.get() is None

    async def everything(queue: ClosableQueue[int]) -> AsyncIterator[int]:
        while (number := await queue.get()) is not None:
            yield number

    asyncio.run(main())


def test_a_queue_gives_what_is_there_even_if_there_is_no_time_left() -> None:
    async def main() -> None:
        queue = ClosableQueue[str]()
        assert await queue.get(0) is None
        assert await queue.get(0.01) is None
        await queue.put("a")
        assert await queue.get(0) == "a"
        await queue.put("b")
        drained = asyncio.create_task(queue.drained())
        await asyncio.sleep(0.01)
        assert not drained.done()
        assert await queue.get(0) == "b"
        await drained

    asyncio.run(main())
