"""What lanes share: memory is counted right, and whoever has waited longest is served first."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketprep.resources import MemoryBudget, MemoryWatch, Resources
from marketprep.service import Service
from marketprep.settings import load_settings

MB = 1 << 20


def test_memory_is_measured() -> None:
    assert MemoryWatch(1 * MB).is_over()
    assert not MemoryWatch(MB * MB).is_over()


def test_short_memory_is_told_once() -> None:
    service = Service(load_settings(), [])
    memory = MemoryWatch(1 * MB)
    service._resources = replace(service._resources, memory=memory)  # noqa: SLF001 - as if it were so
    with capture_logs() as told:
        service._tell_of_memory()  # noqa: SLF001 - else every ten seconds
        assert memory.is_over()
        service._tell_of_memory()  # noqa: SLF001 - as above
        service._tell_of_memory()  # noqa: SLF001 - as above
    [line] = told
    assert line["log_level"] == "warning"
    assert line["max_memory_mb"] == 256


@pytest.mark.parametrize(
    ("max_memory_mb", "lanes", "chunk", "share", "fetch"),
    [
        (256, 6, 8, 24, 256 / 40 / 6),
        (4096, 1, 8, 384, 16),
        (128, 6, 4, 12, 1),
        (128, 0, 4, 12, 3.2),
    ],
)
def test_memory_is_parted(
    max_memory_mb: int, lanes: int, chunk: int, share: int, fetch: float
) -> None:
    resources = Resources.of(max_memory_mb, lanes)
    assert resources.budget.chunk_bytes == chunk * MB
    assert resources.budget.share_bytes == share * MB
    assert resources.fetch_bytes == int(fetch * MB)


changes = st.lists(st.tuples(st.integers(0, 3), st.integers(-300, 300)), max_size=30)


@given(changes)
def test_a_budget_is_what_its_accounts_hold(changes: list[tuple[int, int]]) -> None:
    """And all of it is there again once they are closed, whatever they note afterwards."""
    budget = MemoryBudget(1000)
    accounts = [budget.account(asyncio.Event()) for _ in range(4)]
    for number, change in changes:
        account = accounts[number]
        account.change(max(change, -account.held_bytes))
        held = sum(account.held_bytes for account in accounts)
        assert budget.has_room == (held + 250 <= 1000)
        for account in accounts:
            assert account.has_room == (budget.has_room and account.held_bytes <= 500)
    for account in accounts:
        account.close()
        account.change(77)
    assert budget.has_room
    budget.account(asyncio.Event()).change(750)
    assert budget.has_room


def test_of_those_that_wait_each_is_served() -> None:
    """There is memory for one at a time: nobody comes twice before all others came once."""
    served: list[int] = []

    async def main() -> None:
        budget, loop = MemoryBudget(1000), asyncio.get_running_loop()

        async def read(number: int) -> None:
            changed = asyncio.Event()
            account = budget.account(changed)
            with budget.waking(changed):
                while len(served) < 50:
                    changed.clear()
                    if not account.has_room:
                        await asyncio.wait_for(changed.wait(), 60)
                        continue
                    account.take(700)
                    served.append(number)
                    loop.call_later(0.001, account.change, -700)

        await asyncio.gather(*(read(number) for number in range(5)))

    asyncio.run(main())
    for start in range(0, 50, 5):
        assert sorted(served[start : start + 5]) == [0, 1, 2, 3, 4], served


def test_a_partition_that_is_stuck_leaves_a_chunk_for_others() -> None:
    budget = MemoryBudget(1000)
    stuck, other = (budget.account(asyncio.Event()) for _ in range(2))
    while stuck.has_room:
        stuck.take(budget.chunk_bytes)
    assert stuck.held_bytes == 750
    assert other.has_room


def test_a_reader_that_is_gone_is_not_woken() -> None:
    budget = MemoryBudget(1000)
    first, second = asyncio.Event(), asyncio.Event()
    account = budget.account(first)
    with ExitStack() as stack:
        stack.enter_context(budget.waking(second))
        with budget.waking(first):
            account.change(10)
            assert not first.is_set()
            account.change(-10)
            assert first.is_set()
            assert second.is_set()
        first.clear()
        second.clear()
        account.change(10)
        account.change(-10)
        assert (first.is_set(), second.is_set()) == (False, True)
