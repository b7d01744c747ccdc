"""A cluster of several real brokers, each of which can be killed, stopped and started again."""

import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from marketprep.local import LocalKafka
from marketprep.settings.model import LocalKafkaSettings

_HEAP_MB = 320

#: What differs from a broker of the service's own: it is decided soon who is gone, and nothing is
#: deleted, so that all that went in and came out can be counted.
_PROPERTIES = {
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "log.retention.bytes": "-1",
    "log.retention.ms": "-1",
    "log.segment.bytes": str(128 << 20),
    "replica.lag.time.max.ms": "4000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}


class Broker(LocalKafka):
    """One of the brokers, a controller too; its ports are the same each time it starts."""

    def __init__(
        self, number: int, ports: list[tuple[int, int]], folder: Path, extra: dict[str, str]
    ) -> None:
        port, controller_port = ports[number]
        listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        voters = (f"{node}@127.0.0.1:{ports[node][1]}" for node in range(len(ports)))
        properties = {
            "node.id": str(number),
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.quorum.voters": ",".join(voters),
            **extra,
        }
        settings = LocalKafkaSettings(folder=folder, port=port, heap_mb=_HEAP_MB)
        super().__init__(settings, lambda _: None, extra=properties)
        #: For people.
        self.title = f"broker {number}"

    def _answers(self, port: int) -> bool:
        del port  # it answers only once others are there, so nobody waits for one alone
        return True

    def start(self) -> None:
        """Starts its process, and does not wait until it answers."""
        self.stop()
        self._start()

    def answers(self) -> bool:
        return super()._answers(self._port)

    def kill(self) -> None:
        """Ends its process as kill -9 does."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self.stop()

    def suspend(self) -> None:
        """Stops its process with everything that it holds, connections too."""
        assert self.pid
        psutil.Process(self.pid).suspend()

    def resume(self) -> None:
        with suppress(psutil.NoSuchProcess):
            if self.pid:
                psutil.Process(self.pid).resume()


class Brokers:
    """A cluster that runs while the context lasts, to be used in the main thread as its servers."""

    def __init__(
        self, folder: Path, count: int = 3, extra: Mapping[str, str] | None = None
    ) -> None:
        ports = _free_ports(2 * count)
        pairs = list(zip(ports[::2], ports[1::2], strict=True))
        self.address = ",".join(f"127.0.0.1:{port}" for port, _ in pairs)
        properties = _PROPERTIES | {
            "min.insync.replicas": str(min(count, 2)),
            "offsets.topic.replication.factor": str(min(count, 3)),
            "transaction.state.log.min.isr": str(min(count, 2)),
            "transaction.state.log.replication.factor": str(min(count, 3)),
            **(extra or {}),
        }
        self._brokers = [
            Broker(number, pairs, folder / f"broker-{number}", properties)
            for number in range(count)
        ]
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __len__(self) -> int:
        return len(self._brokers)

    def __iter__(self) -> Iterator[Broker]:
        return iter(self._brokers)

    def start(self) -> None:
        """Starts all that do not run, and does not wait for them."""
        for broker in self._brokers:
            if not broker.pid or broker.ended():
                broker.start()

    def kill(self) -> None:
        """Kills all. Nobody would take over what they lead, so there is no good order to end in."""
        for broker in self._brokers:
            broker.kill()

    def wait(self, sleep: Callable[[float], object] = time.sleep) -> None:
        """Waits until all answer, and every partition is led."""
        deadline = time.monotonic() + 120
        while not all(broker.answers() for broker in self._brokers) or not self._are_all_led():
            for broker in self._brokers:
                assert not broker.ended(), broker.ended()
            assert time.monotonic() < deadline, "the brokers do not come up"
            sleep(0.1)

    def _are_all_led(self) -> bool:
        with suppress(KafkaException):
            found = self.admin.list_topics(timeout=5)
            led = (
                one.leader >= 0 for of in found.topics.values() for one in of.partitions.values()
            )
            return len(found.brokers) == len(self) and all(led)
        return False

    def leader(self, topic: str, partition: int) -> Broker:
        """The broker that leads a partition."""
        found = self.admin.list_topics(topic, timeout=30)
        return self._brokers[found.topics[topic].partitions[partition].leader]

    def transaction_coordinator(self, transactional_id: str) -> Broker:
        """The broker that keeps the transactions of a producer."""
        return self._owner("__transaction_state", transactional_id)

    def group_coordinator(self, group_id: str) -> Broker:
        """The broker that keeps the offsets of a group."""
        return self._owner("__consumer_offsets", group_id)

    def _owner(self, topic: str, text: str) -> Broker:
        count = len(self.admin.list_topics(topic, timeout=30).topics[topic].partitions)
        assert count, f"there is no topic {topic}: nobody has used it yet"
        return self.leader(topic, _java_hash(text) % count)


def _java_hash(text: str) -> int:
    """The hash by which Kafka spreads groups and producers, without its sign."""
    value = 0
    for unit in memoryview(text.encode("utf-16-le")).cast("H"):
        value = (31 * value + unit) & 0xFFFFFFFF
    signed = value - (1 << 32 if value >> 31 else 0)
    return 0 if signed == -(1 << 31) else abs(signed)


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and that no connection is given while a broker is away."""
    rng, found = random.SystemRandom(), set[int]()
    while len(found) < count:
        port = rng.randrange(10_000, 32_000)  # below where systems look for ports of connections
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return sorted(found)
