"""Processes of the service that are started again whenever they end, and what they told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from marketprep.local import child

#: The service, with what can be put into its way from within.
FAULTY_SERVICE = Path(__file__).with_name("faulty_service.py")

#: One that has ended by itself is not started again at once.
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class End:
    """How a process has ended."""

    worker: str
    seconds: float
    code: int
    #: What was done to it; None if it has ended by itself.
    cause: str | None
    told: str


@dataclass(frozen=True)
class Memory:
    """What a process held, at an age."""

    worker: str
    pid: int
    seconds: float
    age: float
    mb: float


class Worker:
    """A part of the service's work, and the process that does it."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        #: What is being done to it, by which it may end.
        self.cause: str | None = None
        self.is_wanted = True
        #: How many processes it has had.
        self.starts = 0
        self._command = [str(FAULTY_SERVICE), *command]
        self._environment = os.environ | environment
        self._folder = folder
        self._rest_until = 0.0
        self._began = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts a process, which ends with ours. To be called in the main thread, as servers."""
        self.starts += 1
        self._began = time.monotonic()
        with self._told_file().open("wb") as told:
            ends_with_us = [sys.executable, "-I", str(child.__file__), str(os.getpid())]
            self.process = subprocess.Popen(
                [*ends_with_us, sys.executable, *self._command],
                stdout=told,
                stderr=told,
                env=self._environment,
            )

    def signal(self, number: signal.Signals, cause: str) -> None:
        """Sends a signal by which it ends."""
        self.cause = cause
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def suspend(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def ended(self, begin: float) -> End | None:
        """How its process has ended, if it has and nobody knows."""
        if self.process is None or self.process.poll() is None:
            return None
        code, self.process = self.process.returncode, None
        cause, self.cause = self.cause, None
        if cause is None:
            self._rest_until = time.monotonic() + _PAUSE_SECONDS
        return End(self.name, time.monotonic() - begin, code, cause, self.last_words())

    def start_if_wanted(self) -> None:
        if self.is_wanted and self.process is None and time.monotonic() > self._rest_until:
            self.start()

    def told(self) -> str:
        """All that its last process told."""
        with suppress(OSError):
            return self._told_file().read_text(encoding="utf-8", errors="replace")
        return ""

    def last_words(self) -> str:
        """The sentence with which it ended, or its last lines."""
        lines = self.told().splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        return "\n".join(errors or lines[-3:])

    def events(self) -> list[str]:
        """What its last process has logged, without details."""
        found = []
        for line in self.told().splitlines():
            with suppress(json.JSONDecodeError, TypeError, KeyError):
                found.append(str(json.loads(line)["event"]))
        return found

    def memory(self, begin: float) -> Memory | None:
        with suppress(psutil.NoSuchProcess):
            if self.is_running:
                held = psutil.Process(self.pid).memory_info().rss / 1e6
                now = time.monotonic()
                return Memory(self.name, self.pid, now - begin, now - self._began, held)
        return None

    def end(self) -> None:
        """Kills it, and starts it no more."""
        self.is_wanted = False
        if self.process:
            self.resume()
            self.process.kill()
            self.process.wait()

    def _told_file(self) -> Path:
        return self._folder / f"{self.name}-{self.starts}.told"
