"""A server on this machine: one process, which ends with ours and owns its folder."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

import psutil

from marketprep.local.error import LocalError
from marketprep.local.jars import Say

#: So much must be free where the data is kept.
_NEEDED_BYTES = 512 << 20

_START_SECONDS = 90
_STOP_SECONDS = 30
#: How long the server of a process that has gone may take to end.
_PREDECESSOR_SECONDS = 40


class LocalServer(ABC):
    """A server that runs while the context lasts, and dies with this process, also by kill -9.

    To be started in the main thread: on Linux the server's life hangs on the thread's.
    """

    #: What people call it.
    name: ClassVar[str]
    #: The settings that it has.
    section: ClassVar[str]
    log_name: ClassVar[str]
    #: What users can do if it does not work.
    remedy: ClassVar[str] = "removing {folder} starts with an empty one"

    def __init__(self, folder: Path, port: int, say: Say) -> None:
        self.folder = folder.absolute()
        #: Host and port, once it has started.
        self.address = ""
        self._port = port
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._lock_descriptor: int | None = None

    @abstractmethod
    def _find(self) -> None:
        """Finds programs, and fetches what is missing. Raises LocalError if they cannot be had."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """The command that runs the server on a port, and whatever must be done before."""

    def _environment(self) -> dict[str, str]:
        """Variables that the server is given."""
        return {}

    def _answers(self, port: int) -> bool:
        """Whether it is ready."""
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process; None before it has started."""
        return self._process.pid if self._process else None

    def ended(self) -> str | None:
        """What became of a server that has ended by itself; None while it runs."""
        code = self._process.poll() if self._process else None
        return None if code is None else self._why(f"has ended with exit code {code}")

    def stop(self) -> None:
        """Ends the server, in good order if it lets us."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def _start(self) -> None:
        self._find()
        try:
            self._prepare()
            port = self._find_port(self._port)
            self._run(self._command(port))
            self.address = f"127.0.0.1:{port}"
            text = f"{self.address} {os.getpid()}"
            (self.folder / "address").write_text(text, encoding="utf-8")
        except OSError as error:
            raise LocalError(
                f"The local {self.name} cannot be kept in {self.folder}: {error.strerror}. "
                f"Make room, mend its rights or name another folder by {self.section}.folder."
            ) from None
        self._wait_until_it_answers(port)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        (self.folder / "address").unlink(missing_ok=True)  # that of a former run
        free = shutil.disk_usage(self.folder).free
        if free < _NEEDED_BYTES:
            raise LocalError(
                f"Only {free >> 20} MB are free in {self.folder}, and a local {self.name} needs "
                f"{_NEEDED_BYTES >> 20}: make room, or name another folder by "
                f"{self.section}.folder."
            )

    def _lock(self) -> None:
        """Takes the folder. The server inherits the lock, and so holds it as long as it lives."""
        self._lock_descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        deadline, told = time.monotonic() + _PREDECESSOR_SECONDS, False
        while True:
            try:
                fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                address, owner = _owner(self.folder)
                is_there = psutil.pid_exists(owner)
                if is_there or time.monotonic() > deadline:
                    user = f"process {owner}" if is_there else "another process"
                    text = f"The local {self.name} in {self.folder} is in use by {user}"
                    servers = address or "HOST:PORT"
                    raise LocalError(
                        f"{text}: stop that first. Until then it is at {servers}."
                    ) from None
                if not told:
                    self._say(f"waiting for the {self.name} of a former run to end")
                    told = True
                time.sleep(0.1)
            else:
                return

    def _find_port(self, wanted: int) -> int:
        """The wanted port, or a free one for 0. Raises LocalError if it cannot be had."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise LocalError(
                    f"Port {wanted} cannot be had for the local {self.name} ({error.strerror}): "
                    f"free it, or set {self.section}.port to another one, or to 0 for any that is "
                    "free."
                ) from None
            port: int = probe.getsockname()[1]
            return port

    def _run(self, command: list[str]) -> None:
        self._say(f"starting {self.name}")
        child = [sys.executable, "-I", str(Path(__file__).with_name("child.py")), str(os.getpid())]
        assert self._lock_descriptor is not None  # noqa: S101 - _prepare has taken it
        with (self.folder / self.log_name).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program that was found
                [*child, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment(),
                pass_fds=(self._lock_descriptor,),
                start_new_session=True,  # Ctrl-C is ours: the server ends after the service
            )

    def _wait_until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with _signals_held() as asked:
            while not asked:
                if self._process is None or self._process.poll() is not None:
                    raise LocalError(self._why("did not start"))
                if self._answers(port):
                    return
                if time.monotonic() > deadline:
                    raise LocalError(self._why("does not answer"))
                time.sleep(0.05)

    def _why(self, what: str) -> str:
        """A sentence that ends with what the server itself said last of an error."""
        log = self.folder / self.log_name
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        told = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "rror:"))]
        told = told or [line for line in lines if "WARN" not in line]
        reason = f" ({told[-1].strip()[:300]})" if told else ""
        remedy = self.remedy.format(folder=self.folder)
        return f"The local {self.name} {what}{reason}. Its log is {log}; {remedy}."


@contextmanager
def _signals_held() -> Iterator[Sequence[int]]:
    """Signals that ask for an end, which take effect behind the context.

    What they raise within `Popen.poll` may leave its lock taken, and then nobody can ever wait for
    the process.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: asked.append(number)) for number in numbers]
    try:
        yield asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


def running_address(folder: Path) -> str | None:
    """The address of the local server that another process runs in a folder; None if none does."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(folder)[0] or None
    except OSError:
        pass
    return None


def _owner(folder: Path) -> tuple[str, int]:
    """The address of the server that was last started in a folder, and the process that did it."""
    try:
        address, process = (folder / "address").read_text(encoding="utf-8").split()
        return address, int(process)
    except (OSError, ValueError):
        return "", 0
