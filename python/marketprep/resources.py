"""What all lanes of a process share: memory, and threads to decode in."""

import asyncio
import ctypes
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

#: How long a measurement of memory is good for, in seconds.
_MEASURE_SECONDS = 0.1

#: Options of glibc's mallopt: up to which size blocks come from the heap, how much of that is kept
#: though it is free, and how many heaps there are.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX = -3, -1, -8
#: Longer than any fetch.
_BLOCK_BYTES = 32 << 20

#: What is fetched at once of all partitions: at most, and at least however many lanes there are.
_MOST_FETCH_BYTES = 16 << 20
_LEAST_FETCH_BYTES = 1 << 20

#: How many bytes of values are taken over at once, if there is memory. What was fetched and is not
#: taken over stays compressed, and so small.
_MOST_CHUNK_BYTES = 8 << 20


class MemoryWatch:
    """Tells whether this process takes more memory than it may."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        # what is under way when it is noticed must have room, too
        self._enough = limit_bytes * 5 // 8
        self._process = psutil.Process()
        self._measured_at = -_MEASURE_SECONDS
        self._is_over = self._was_over = False

    def is_over(self) -> bool:
        """Whether it is nearly as much as the limit, measured ten times a second at most."""
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_SECONDS:
            self._measured_at = now
            self._is_over = self._process.memory_info().rss > self._enough
            self._was_over |= self._is_over
        return self._is_over

    def was_over(self) -> bool:
        """Whether it was since somebody last asked this."""
        was_over, self._was_over = self._was_over, False
        return was_over

    def keep_blocks(self) -> None:
        """Lets large blocks be used again, where the C library can do that (glibc).

        Else those of each fetch would be given back and asked for anew, page by page.
        """
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(_MMAP_THRESHOLD, _BLOCK_BYTES)
            set_option(_TRIM_THRESHOLD, min(self._limit // 16, _BLOCK_BYTES))
            set_option(_ARENA_MAX, 2)

    @staticmethod
    def trim() -> None:
        """Gives back what is free within the heap, where the C library can do that (glibc).

        It keeps what a burst took, as after an outage, in the arena of each thread.
        """
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back:
            give_back(0)


class MemoryBudget:
    """Bytes that all partitions share, between what is read and what is committed.

    Whoever reads takes a chunk, and looks first whether there is one. Of those that wait, the one
    that was served longest ago comes first.
    """

    def __init__(self, total_bytes: int) -> None:
        #: How many bytes of values are taken over at once.
        self.chunk_bytes = min(_MOST_CHUNK_BYTES, total_bytes // 4)
        #: How many bytes one partition may hold, so that one that is stuck leaves a chunk at least.
        self.share_bytes = total_bytes * 3 // 4
        self._total = total_bytes
        self._held = 0
        self._readers: OrderedDict[asyncio.Event, None] = OrderedDict()

    @property
    def has_room(self) -> bool:
        """Whether there is a chunk."""
        return self._held + self.chunk_bytes <= self._total

    @contextmanager
    def waking(self, reader: asyncio.Event) -> Iterator[None]:
        """Within the context, an event that is set whenever memory comes free."""
        self._readers[reader] = None
        self._readers.move_to_end(reader, last=False)
        try:
            yield
        finally:
            del self._readers[reader]

    def account(self, reader: asyncio.Event) -> "Account":
        """What a partition holds, whose reader has this event."""
        return Account(self, reader)

    def change(self, size: int) -> None:
        """Notes that so many bytes more are held, or fewer."""
        self._held += size
        if size < 0:
            for reader in self._readers:
                reader.set()

    def serve(self, reader: asyncio.Event) -> None:
        """Notes whose turn it was."""
        if reader in self._readers:
            self._readers.move_to_end(reader)


class Account:
    """How many bytes of a budget one partition holds."""

    def __init__(self, budget: MemoryBudget, reader: asyncio.Event) -> None:
        self.held_bytes = 0
        self._budget = budget
        self._reader = reader
        self._is_closed = False

    @property
    def has_room(self) -> bool:
        """Whether it may hold another chunk."""
        budget = self._budget
        return budget.has_room and self.held_bytes + budget.chunk_bytes <= budget.share_bytes

    def take(self, size: int) -> None:
        """Notes that so many bytes more are held, for which a reader has waited."""
        self.change(size)
        self._budget.serve(self._reader)

    def change(self, size: int) -> None:
        """Notes that so many bytes more are held, or fewer."""
        if not self._is_closed:
            self.held_bytes += size
            self._budget.change(size)

    def close(self) -> None:
        """Gives back all of it; nothing is noted any more."""
        self.change(-self.held_bytes)
        self._is_closed = True


@dataclass(frozen=True)
class Resources:
    """What all lanes of a process share."""

    memory: MemoryWatch
    budget: MemoryBudget
    #: How many bytes each lane fetches at once, of which its consumer may hold several.
    fetch_bytes: int
    #: Threads for what would hold up the event loop. The core works without the GIL.
    workers: Executor

    @classmethod
    def of(cls, max_memory_mb: int, lanes: int) -> "Resources":
        """Those of a process with so many lanes.

        An eighth of the memory is for what is read and not committed, a fortieth for
        what each fetch of all lanes brings; the rest is for the interpreter and for fragments.
        """
        limit = max_memory_mb << 20
        fetch_bytes = limit // 40 // max(1, lanes)
        return cls(
            MemoryWatch(limit),
            MemoryBudget(limit // 8),
            min(_MOST_FETCH_BYTES, max(_LEAST_FETCH_BYTES, fetch_bytes)),
            ThreadPoolExecutor(os.cpu_count(), "worker"),
        )

    def close(self) -> None:
        """Ends the threads."""
        self.workers.shutdown()
