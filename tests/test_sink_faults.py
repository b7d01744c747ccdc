"""The sinks under faults: workers killed, a store away, partitions that move; nothing is lost."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer

from cluster import Cluster, beside, wait_until
from conftest import STORES, needs_minio, needs_plugin
from marketprep.local import LocalConnect, LocalStore
from marketprep.sink.state import state_of
from marketprep.sink.worker import Worker
from sinks import Sinks, kill, local_settings

pytestmark = needs_plugin

PARTITIONS = 3
SIZE = 20


class Own:
    """Workers and a store of a test's own, which can be killed, and a sink at work with them."""

    def __init__(self, cluster: Cluster, folder: Path, server: str, stack: ExitStack) -> None:
        self._folder = folder
        self._server = server
        self._stack = stack
        self._cluster = cluster
        self.store = self.start_store()
        self.sinks = Sinks(cluster, self.start_worker(), self.store)
        self.topic = self.sinks.create_topic("faults", PARTITIONS)
        self.configure()
        self.sinks.create_buckets("faults")
        self.sinks.apply("faults")

    def start_store(self, port: int = 0) -> LocalStore:
        settings = local_settings(self._folder, **{"local_store.server": self._server}).local_store
        there = settings.model_copy(update={"port": port})
        return self._stack.enter_context(LocalStore(there, print))

    def start_worker(self) -> LocalConnect:
        folder = self._folder / f"worker{time.monotonic_ns()}"
        settings = local_settings(folder).local_connect
        worker = LocalConnect(settings, self._cluster.address, print, self._cluster.prefix)
        return self._stack.enter_context(worker)

    def configure(self) -> None:
        row = self.sinks.row("faults", topics=[self.topic], flush_size=SIZE)
        # a worker that is killed keeps its partitions until its session ends
        session = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500}
        extra = {f"consumer.override.{key}": value for key, value in session.items()}
        self.sinks.configure(connectors={"faults": row}, extra=extra | {"retry.backoff.ms": 500})

    def count(self) -> int:
        return len(self.sinks.names("faults"))

    def wait_for_more(self) -> None:
        """Waits until five objects more are stored."""
        before = self.count()
        wait_until(lambda: self.count() >= before + 5, "more objects", 120)

    def check(self) -> None:
        """Waits until all that makes whole objects is stored, and compares."""
        consume = self.sinks.cluster.consume
        messages = [consume(self.topic, partition) for partition in range(PARTITIONS)]
        whole = sum(len(of_partition) // SIZE for of_partition in messages)
        assert whole > 10
        self.sinks.wait_for("faults", whole, 120)
        self.sinks.check("faults", {self.topic: messages}, SIZE)

    @contextmanager
    def trickle(self, per_second: int = 400) -> Iterator[None]:
        """Produces to all partitions in turn, evenly, while the context lasts."""
        producer = Producer({"bootstrap.servers": self._cluster.address, "linger.ms": 5})

        def produce(done: threading.Event) -> None:
            number = 0
            while not done.wait(0.02):
                for _ in range(per_second // 50):
                    value = f'[{{"number":{number}}}]'
                    producer.produce(self.topic, value, partition=number % PARTITIONS)
                    number += 1
                producer.poll(0)

        with beside(produce):
            yield
        assert producer.flush(60) == 0


@pytest.fixture(params=STORES)
def own(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[Own]:
    with ExitStack() as stack:
        yield Own(cluster, tmp_path, request.param, stack)


@pytest.mark.parametrize("own", ["auto"], indirect=True)
def test_workers_killed_in_mid_flight(own: Own) -> None:
    with own.trickle():
        for _ in range(2):
            own.wait_for_more()
            kill(own.sinks.connect)
            own.sinks.connect = own.start_worker()
        own.wait_for_more()
    own.check()


@pytest.mark.parametrize("own", ["auto"], indirect=True)
def test_a_second_worker_comes_and_the_first_one_goes(own: Own) -> None:
    with own.trickle():
        own.wait_for_more()
        second = own.start_worker()
        own.wait_for_more()
        wait_until(lambda: workers_of(own.sinks) == 2, "tasks on both workers")
        own.wait_for_more()
        kill(own.sinks.connect)
        own.sinks.connect = second
        own.configure()
        wait_until(lambda: workers_of(own.sinks) == 1, "all tasks on the second worker", 90)
        own.wait_for_more()
    own.check()


def status_of(sinks: Sinks) -> dict[str, Any]:
    status = Worker(f"http://{sinks.connect.address}").status(f"{sinks.prefix}-faults")
    assert status
    return status


def workers_of(sinks: Sinks) -> int:
    """On how many workers the tasks run."""
    status = status_of(sinks)
    return len({task["worker_id"] for task in status["tasks"] if task["state"] == "RUNNING"})


def test_a_store_that_is_away_for_half_a_minute(own: Own) -> None:
    with own.trickle():
        own.wait_for_more()
        kill(own.store)
        time.sleep(30)
        own.store.stop()
        own.store = own.start_store(int(own.store.address.rpartition(":")[2]))
        own.wait_for_more()
    own.check()
    assert state_of(status_of(own.sinks)).is_running


def test_a_store_that_hangs(own: Own) -> None:
    """It takes requests and does not answer: until it does, nothing is committed."""
    with own.trickle():
        own.wait_for_more()
        store = psutil.Process(own.store.pid)
        store.suspend()
        time.sleep(25)  # longer than the sink waits for an answer
        store.resume()
        own.wait_for_more()
    own.check()


@pytest.mark.parametrize("own", ["minio"], indirect=True)
@needs_minio
def test_a_topic_that_was_made_anew_overwrites_nothing(own: Own) -> None:
    own.sinks.cluster.produce(own.topic, 0, [b"[1]"] * SIZE)
    own.sinks.wait_for("faults", 1)
    own.sinks.run("remove", "faults")
    [deleted] = own.sinks.cluster.admin.delete_topics([own.topic]).values()
    deleted.result(20)
    name = own.topic.removeprefix(own.sinks.cluster.prefix)
    wait_until(lambda: own.topic not in own.sinks.cluster.admin.list_topics().topics, "the end")
    own.sinks.create_topic(name, PARTITIONS)
    own.sinks.cluster.produce(own.topic, 0, [b"[2]"] * SIZE)
    own.sinks.run("apply", "faults")

    def told() -> str:
        return own.sinks.run("status", "faults")[2]

    wait_until(lambda: "made anew" in told(), "the task's end")
    [stored] = own.sinks.objects("faults")
    assert stored.lines == [b"[1]"] * SIZE
