"""A queue that is bounded in bytes, between what is read and what is delivered."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ByteQueue(Generic[T]):
    """Holds items up to a number of bytes, and one more.

    Whoever puts looks before whether it is full, and never waits here: others may depend on it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._closed = False
        self._changed = asyncio.Condition()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be put."""
        return bool(self._items) and self.held_bytes >= self._max_bytes

    async def put(self, item: T, size: int) -> None:
        """Adds an item."""
        async with self._changed:
            self._items.append((item, size))
            self.held_bytes += size
            self._changed.notify_all()

    async def close(self) -> None:
        """Nothing more will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def get(self, timeout: float | None = None) -> T | None:  # noqa: ASYNC109 - no error
        """The oldest item; None if there is none in so many seconds, or there will be none."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._items or self._closed)
                if not self._items:
                    return None
                item, size = self._items.popleft()
                self.held_bytes -= size
                self._changed.notify_all()
                return item
        except TimeoutError:
            return None

    async def room(self) -> None:
        """Waits until there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.is_full)

    async def drained(self) -> None:
        """Waits until all that was put has been taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._items)
