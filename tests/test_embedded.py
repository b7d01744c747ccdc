"""The service with a Kafka of its own: what a newcomer sees, and what happens when that ends."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster import Cluster, java_of, setting_of, totals_of, wait_for_line, wait_until
from conftest import EXCHANGES, KINDS
from marketprep.local import LocalKafka
from marketprep.settings import load_settings
from test_service import market

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\].*?\x07")


def test_a_newcomer_sees_records_of_all_exchanges_flow(tmp_path: Path) -> None:
    setting = setting_of(tmp_path)
    command = [sys.executable, "-m", "marketprep", "--setting", str(setting)]
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "130", "LINES": "60", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as service:
        os.close(theirs)
        shown = read_until(ours, all_flow, 120)
        assert all_flow(shown), shown[-5000:]
        assert f"its data stays in {tmp_path / 'kafka'}" in " ".join(shown.split())
        address = re.search(r"Kafka is at (\S+);", shown)
        assert address
        listed = subprocess.run(
            [sys.executable, "-m", "marketprep", "topics", "list", "--setting", str(setting)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "missing" not in listed.stdout, "other commands find the local Kafka by themselves"
        service.send_signal(signal.SIGINT)
        shown += read_until(ours, lambda text: "envelopes " in text, 60)
        assert service.wait(60) == 0
    os.close(ours)
    assert re.search(r"rejected 0\s", shown)
    assert "Traceback" not in shown
    assert not java_of(tmp_path), "nothing is left running"
    alone = subprocess.run(
        [sys.executable, "-m", "marketprep", "topics", "list", "--setting", str(setting)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 1
    assert "no local Kafka is running" in alone.stderr


def all_flow(shown: str) -> bool:
    """Whether there was a table in which every exchange had records of both kinds."""
    rows = set(re.findall(r"(\w+) +(ticker|orderbook) +[1-9][\d,]* +[A-Z]+ +[\d.]+ ", shown))
    return rows >= {(exchange, kind) for exchange in EXCHANGES for kind in KINDS}


def read_until(descriptor: int, is_enough: Callable[[str], bool], seconds: float) -> str:
    """What a terminal shows, until it is enough or nothing comes any more."""
    shown, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline and not is_enough(shown):
        if select.select([descriptor], [], [], 0.5)[0]:
            try:
                shown += ANSI.sub("", os.read(descriptor, 1 << 16).decode(errors="replace"))
            except OSError:
                break
    return shown


def test_killed_it_takes_its_kafka_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "marketprep", "--setting", str(setting_of(tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as service:
        wait_for_line(service, b"partitions assigned")
        assert java_of(tmp_path)
        service.kill()
    wait_until(lambda: not java_of(tmp_path), "the end of the broker", 30)


def test_a_local_kafka_that_ends_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "marketprep", "--setting", str(setting_of(tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as service:
        assert service.stderr is not None
        wait_for_line(service, b"partitions assigned")
        [broker] = java_of(tmp_path)
        broker.kill()
        told = service.stderr.read().decode()
        assert service.wait(60) == 1
    assert "Error: The local Kafka has ended with exit code -9" in told
    assert "Traceback" not in told, told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "marketprep", "--setting", str(setting_of(tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as service:
        wait_until(lambda: bool(java_of(tmp_path)), "the broker")
        service.send_signal(number)
        _, told = service.communicate(timeout=120)
    assert (service.returncode, b"Traceback" in told) == (0, False), told
    assert not java_of(tmp_path)


@pytest.fixture
def own_port(tmp_path: Path) -> int:
    """A port that stays the same when the broker is started again."""
    folder = tmp_path / "probe"
    settings = load_settings(options={"local_kafka.folder": str(folder)}).local_kafka
    with LocalKafka(settings, print) as kafka:
        return int(kafka.address.rpartition(":")[2])


def test_the_broker_killed_and_started_again_under_load(tmp_path: Path, own_port: int) -> None:
    options = {"local_kafka.folder": str(tmp_path / "kafka")}
    settings = load_settings(options=options).local_kafka.model_copy(update={"port": own_port})
    envelopes, truth = market("upbit", "orderbook", 40_000_000)
    with ExitStack() as brokers:
        kafka = brokers.enter_context(LocalKafka(settings, print))
        with Cluster(kafka.address, tmp_path) as cluster:
            cluster.configure(kafka={"request_timeout_ms": 2000})
            cluster.create_topics()
            topics, partition = cluster.of("upbit", "orderbook")
            cluster.produce(topics.input, partition, envelopes)
            service = cluster.start("run", "--exchange", "upbit", "--kind", "orderbook")
            wait_until(lambda: cluster.end(topics.output, partition) > 0, "output")
            [broker] = java_of(tmp_path / "kafka")
            broker.kill()
            broker.wait(30)
            kafka.stop()
            time.sleep(6)  # longer than any request may take
            brokers.enter_context(LocalKafka(settings, print))
            wait_until(
                lambda: cluster.committed("upbit", "orderbook") == len(envelopes), "the end", 120
            )
            service.send_signal(signal.SIGTERM)
            _, told = service.communicate(timeout=120)
            assert service.returncode == 0, told.decode()
            assert totals_of(told.decode())
            records = cluster.records("upbit", "orderbook")
    assert set(records) == set(truth), "nothing is lost"
    assert len(records) < 2 * len(truth), "at most what was not committed came twice"
    assert list(dict.fromkeys(records)) == list(dict.fromkeys(truth)), "and in order"
