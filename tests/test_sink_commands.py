"""The sink commands without a Kafka: workers that answer as told, settings that cannot be used."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from marketprep.settings import load_settings
from marketprep.sink.connectors import connectors
from marketprep.sink.failure import SinkFailure
from marketprep.sink.state import State, state_of
from marketprep.sink.store import Store
from marketprep.sink.worker import Worker

CONFLUENT = "io.confluent.connect.s3.S3SinkConnector"
MARKETPREP = "marketprep.connect.S3SinkConnector"


class Pretended(BaseHTTPRequestHandler):
    """A worker of Kafka Connect that has Confluent's sink, which cannot be had for tests."""

    plugins: ClassVar = [CONFLUENT]
    configs: ClassVar[dict[str, dict[str, str]]] = {}
    #: How often it is busy before it does something.
    busy: ClassVar = 0
    #: How long it takes to say so.
    busy_seconds: ClassVar = 0.0

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_busy(self) -> bool:
        if not self.busy:
            return False
        type(self).busy -= 1
        time.sleep(self.busy_seconds)
        return True

    def do_GET(self) -> None:
        name = self.path.split("/")[2] if self.path.count("/") > 1 else ""
        if self.path == "/connector-plugins":
            self.answer([{"class": plugin, "type": "sink"} for plugin in self.plugins])
        elif self.is_busy():
            said = "Request cannot be completed because a rebalance is expected"
            self.answer({"error_code": 500, "message": said}, 500)
        elif name not in self.configs:
            self.answer({"error_code": 404, "message": f"Connector {name} not found"}, 404)
        elif self.path.endswith("/config"):
            self.answer({"name": name, **self.configs[name]})
        else:
            task = {"id": 0, "state": "RUNNING", "worker_id": "w:1"}
            self.answer({"name": name, "connector": task, "tasks": [task], "type": "sink"})

    def do_PUT(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/validate"):
            self.answer({"error_count": 0, "configs": []})
        elif self.is_busy():
            self.answer({"error_code": 409, "message": "rebalance"}, 409)
        else:
            self.configs[self.path.split("/")[2]] = content
            self.answer({}, 201)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server, while the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def worker() -> Iterator[str]:
    Pretended.configs, Pretended.busy, Pretended.busy_seconds = {}, 2, 0.0
    with serving(Pretended) as url:
        yield url


def test_a_worker_that_is_late_to_say_that_it_is_busy(
    worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketprep.sink.worker._BUSY_SECONDS", 0.6)
    Pretended.busy, Pretended.busy_seconds = 1, 0.8
    Worker(worker).put("late", {"flush.size": "1"})
    assert Pretended.configs == {"late": {"flush.size": "1"}}
    Pretended.busy, Pretended.busy_seconds = 1, 0.0
    assert Worker(worker).config("late") == {"name": "late", "flush.size": "1"}
    Pretended.busy = 9
    with pytest.raises(SinkFailure, match="refuses: rebalance"):
        Worker(worker).put("never", {})


def marketprep(*arguments: object, folder: Path, **environment: str) -> tuple[int, str, str]:
    local = {f"MARKETPREP_LOCAL_{name}_FOLDER": str(folder) for name in ("KAFKA", "CONNECT")}
    done = subprocess.run(
        [sys.executable, "-m", "marketprep", "sink", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | local | environment,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_confluents_sink(worker: str, tmp_path: Path) -> None:
    arguments = ("apply", "--worker-url", worker)
    code, _, told = marketprep(*arguments, folder=tmp_path)
    assert code == 1
    assert f"The worker at {worker} has no {MARKETPREP}: put connect/target/plugins" in told
    assert "or set sink.flavour to confluent" in told
    flavour = {"MARKETPREP_SINK_FLAVOUR": "confluent"}
    code, told, errors = marketprep(*arguments, folder=tmp_path, **flavour)
    assert (code, told.count(": created; ")) == (0, 2), errors
    assert set(Pretended.configs) == {"marketprep-ticker", "marketprep-orderbook"}
    assert Pretended.configs["marketprep-ticker"] == {
        "connector.class": CONFLUENT,
        "tasks.max": "3",
        "topics": "Region.Asia_TickerPreprocessing,Region.Korea_TickerPreprocessing,"
        "Region.NE_TickerPreprocessing",
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.auto.offset.reset": "earliest",
        "storage.class": "io.confluent.connect.s3.storage.S3Storage",
        "schema.compatibility": "NONE",
        "format.class": "io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
        "format.bytearray.extension": ".json",
        "s3.compression.type": "gzip",
        "s3.bucket.name": "ticker-data",
        "s3.region": "us-east-1",
        "flush.size": "20",
        "rotate.interval.ms": "-1",
        "rotate.schedule.interval.ms": "-1",
        "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
        "path.format": "'year'=YYYY/'month'=MM/'day'=dd",
        "partition.duration.ms": "86400000",
        "locale": "en-US",
        "timezone": "Asia/Seoul",
        "timestamp.extractor": "Record",
        "topics.dir": "topics",
        "behavior.on.null.values": "ignore",
    }
    code, told, _ = marketprep(*arguments, folder=tmp_path, **flavour)
    assert (code, told.count(": unchanged; ")) == (0, 2)


def test_nobody_answers(tmp_path: Path) -> None:
    for command in ("apply", "status", "remove"):
        code, _, told = marketprep(command, "--worker-url", "http://127.0.0.1:1", folder=tmp_path)
        assert code == 1
        assert (
            "Error: No Kafka Connect answers at http://127.0.0.1:1: is the worker running" in told
        )


def test_no_worker_is_configured(tmp_path: Path) -> None:
    code, _, told = marketprep("status", folder=tmp_path)
    assert code == 1
    assert "name one with --worker-url http://HOST:PORT or sink.worker_url, or start" in told


class Other(BaseHTTPRequestHandler):
    """What else may answer at an address."""

    answers: ClassVar = (200, b"<html>")

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.answers
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("command", ["apply", "status", "remove"])
@pytest.mark.parametrize("answers", [(200, b"<html>"), (404, b"{}"), (200, b'{"a": 1}')])
def test_something_else_answers(tmp_path: Path, command: str, answers: tuple[int, bytes]) -> None:
    Other.answers = answers
    with serving(Other) as url:
        code, _, told = marketprep(command, "--worker-url", url, folder=tmp_path)
    assert code == 1
    assert f"What answers at {url} is no Kafka Connect: correct sink.worker_url" in told


def test_half_an_access_key(worker: str, tmp_path: Path) -> None:
    key = {"MARKETPREP_SINK_STORE_ACCESS_KEY_ID": "somebody"}
    code, _, told = marketprep("apply", "--worker-url", worker, folder=tmp_path, **key)
    assert code == 1
    assert "sink.store.secret_access_key is needed with the other one" in told
    assert "(MARKETPREP_SINK_STORE_SECRET_ACCESS_KEY)" in told


def sink(folder: Path, content: object) -> Path:
    (folder / "sink.yml").write_text(yaml.safe_dump({"sink": content}), encoding="utf-8")
    return folder


def test_rows_extra_keys_and_rotation(tmp_path: Path) -> None:
    content: Any = {
        "connectors": {
            "arbitrage": {
                "topics": ["ArbitrageProcessedCoin"],
                "bucket": "arbitrage-data",
                "flush_size": 7,
            }
        },
        "objects": {"rotate_schedule_interval_ms": 600_000},
        "extra": {
            "s3.part.size": 5_242_880,
            "consumer": {"override": {"max.poll.records": 100}},
            "errors.log.enable": True,
            "errors.tolerance": None,
            "aws.secret.access.key": "${env:SECRET}",
        },
    }
    settings = load_settings(sink(tmp_path, content))
    assert [one.name for one in connectors(settings)] == [
        "marketprep-ticker",
        "marketprep-orderbook",
        "marketprep-arbitrage",
    ]
    [row] = connectors(settings, ["arbitrage"])
    assert (row.topics, row.bucket) == (("ArbitrageProcessedCoin",), "arbitrage-data")
    expected = {
        "topics": "ArbitrageProcessedCoin",
        "flush.size": "7",
        "rotate.schedule.interval.ms": "600000",
        "s3.part.size": "5242880",
        "consumer.override.max.poll.records": "100",
        "errors.log.enable": "true",
        "aws.secret.access.key": "${env:SECRET}",
    }
    assert row.config.items() >= expected.items()
    assert "errors.tolerance" not in row.config
    with pytest.raises(SinkFailure, match="name one of ticker, orderbook, arbitrage"):
        connectors(settings, ["arbitrag"])


def trace(*causes: str) -> str:
    return (
        "\n\tat somewhere(File.java:1)\nCaused by: ".join(causes) + "\n\tat somewhere(Else.java:2)"
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            trace(
                "org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to "
                "unrecoverable exception.",
                "marketprep.connect.StoreException: There is no bucket x: create it",
                "software.amazon.awssdk.services.s3.model.NoSuchBucketException: (Service: S3)",
            ),
            "There is no bucket x: create it",
        ),
        (trace("java.lang.OutOfMemoryError: Java heap space"), "Java heap space"),
        ("something else\nand more", "something else"),
        ("", "no reason is known"),
    ],
)
def test_why_a_task_has_failed(told: str, expected: str) -> None:
    running, failed = {"state": "RUNNING"}, {"state": "FAILED", "trace": told}
    status = {"connector": running, "tasks": [running, failed]}
    assert state_of(status) == State("RUNNING", 2, 1, expected)
    assert not state_of(status).is_running
    assert state_of({"connector": running, "tasks": [running]}).is_running
    assert not state_of({"connector": running, "tasks": []}).is_running
    assert state_of(None) == State("MISSING", 0, 0, "")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MARKETPREP_SINK_STORE_URL": "http://min_io:9000"}, "cannot be asked"),
        ({"AWS_PROFILE": "none-of-this-name"}, "There is no access key for the store at AWS"),
    ],
)
def test_a_store_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SinkFailure, match=expected):
        Store(load_settings().sink.store)
