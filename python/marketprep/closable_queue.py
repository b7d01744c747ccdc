"""A queue that can be closed, between what is read and what is delivered."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosableQueue(Generic[T]):
    """Holds items in their order, and tells when there will be none any more."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._is_closed = False
        self._changed = asyncio.Condition()

    @property
    def is_empty(self) -> bool:
        """Whether there is no item now."""
        return not self._items

    async def put(self, item: T) -> None:
        """Adds an item."""
        async with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    async def close(self) -> None:
        """Nothing more will come."""
        async with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    async def get(self, timeout: float | None = None) -> T | None:  # noqa: ASYNC109 - no error
        """The oldest item; None if there is none in so many seconds, or there will be none."""
        if timeout == 0 and not self._items:
            return None  # an event loop that is to interrupt something at once takes its time
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._items or self._is_closed)
                if not self._items:
                    return None
                item = self._items.popleft()
                self._changed.notify_all()
                return item
        except TimeoutError:
            return None

    async def drained(self) -> None:
        """Waits until all that was put has been taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._items)
