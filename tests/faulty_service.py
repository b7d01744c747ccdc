"""The service with a clock that jumps, or with a bug, as variables of the environment ask for it.

Run in the place of `python -m marketprep`; without these variables it is the same.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Names a file that has the seconds by which the clock is wrong.
CLOCK = "MARKETPREP_TEST_CLOCK"
#: Names one of `BUGS`.
BUG = "MARKETPREP_TEST_BUG"

_LOOK_SECONDS = 0.1


def bend_clock(file: Path) -> None:
    """Lets `time.time` be wrong by what stands in a file, from now on."""
    real, seen = time.time, [0.0, 0.0]

    def wrong() -> float:
        now = time.monotonic()
        if now - seen[0] > _LOOK_SECONDS:
            seen[:] = now, float(file.read_text() or 0)
        return real() + seen[1]

    time.time = wrong


def commit_before_send() -> None:
    """Lets offsets be committed as soon as their messages are taken up: what a kill then loses."""
    from marketprep.partition import Partition  # noqa: PLC0415 - after the clock, as all that follows

    write = Partition.write

    async def hasty(partition: Any) -> None:  # noqa: ANN401 - a bug has no public place
        get = partition._queue.get  # noqa: SLF001

        async def committed(*arguments: Any) -> Any:  # noqa: ANN401
            poll = await get(*arguments)
            if poll:
                offsets = {partition.place: poll.next_offset}
                await partition._consumer.commit(offsets)  # noqa: SLF001
            return poll

        partition._queue.get = committed  # noqa: SLF001
        await write(partition)

    Partition.write = hasty  # type: ignore[assignment, method-assign]


BUGS: dict[str, Callable[[], None]] = {"commit-before-send": commit_before_send}


def main() -> None:
    """Plants what is asked for, then is the service."""
    if file := os.environ.get(CLOCK):
        bend_clock(Path(file))
    if bug := os.environ.get(BUG):
        BUGS[bug]()
    from marketprep.__main__ import main as service  # noqa: PLC0415 - as above

    service()


if __name__ == "__main__":
    main()
