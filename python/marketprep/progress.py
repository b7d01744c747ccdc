"""Progress of long work, shown where somebody sits at the terminal."""

import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar


class Progress:
    """A line of progress on standard error.

    Nothing is shown where standard error is no terminal, nor where standard output is one: there
    the records themselves go by.
    """

    def __init__(
        self, title: str, total_bytes: int | None, *, quiet_with_output: bool = True
    ) -> None:
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        shown = is_terminal and not (quiet_with_output and sys.stdout.isatty())
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total_bytes, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, done_bytes: int, note: str = "") -> None:
        """Tells that so many bytes more are done."""
        self._bar.update(self._task, advance=done_bytes, note=note)


class Steps:
    """What is being done, a line each on standard error; in a terminal the last one spins."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("") if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def say(self, step: str) -> None:
        """Something is begun."""
        if self._status:
            self._status.update(step)
        else:
            self._console.print(step, soft_wrap=True)
