"""A test's own topics on a real Kafka, read and written by a client that is not the service's."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil
import yaml
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from marketprep import Kind
from marketprep.settings import REGIONS, LaneTopics, Settings, load_settings

T = TypeVar("T")
Headers = list[tuple[str, str | bytes | None]]


def headers_of(message: Message) -> Headers:
    """The headers of a message, in their order."""
    headers = message.headers() or []
    assert isinstance(headers, list)
    return headers


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Waits for something, and fails the test if it does not come."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


#: How long a test waits for what a process should tell.
_LINE_SECONDS = 180


def wait_for_line(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Reads what a process tells until a line has a text.

    Fails the test if the process ends before, or does not say it in three minutes and is killed.
    """
    assert process.stderr is not None
    told = []
    limit = threading.Timer(_LINE_SECONDS, process.kill)
    limit.start()
    try:
        while text not in (line := process.stderr.readline()):
            told.append(line)
            assert line, (text, told[-20:])
    finally:
        limit.cancel()


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Does something in a thread while the context lasts; it is told when that has ended."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Cluster:
    """The settings and topics of one test."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.setting = folder / "setting"
        self.setting.mkdir()
        self.configure()
        self.admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        self._processes: list[subprocess.Popen[bytes]] = []
        self._producers: dict[str, Producer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        self._producers.clear()
        mine = [name for name in self.admin.list_topics(timeout=10).topics if self.is_mine(name)]
        if mine:
            self.admin.delete_topics(mine)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic, and waits until the broker knows it."""
        self.admin.delete_topics([topic])[topic].result()
        wait_until(lambda: topic not in self.admin.list_topics(timeout=10).topics, "deletion")

    def set_limit(self, topic: str, size: int) -> None:
        """Lets a topic take batches of so many bytes, and waits until the broker knows it."""
        name = "max.message.bytes"
        entry = ConfigEntry(name, str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        for changed in self.admin.incremental_alter_configs([resource]).values():
            changed.result()

        def is_known() -> bool:
            [told] = self.admin.describe_configs([resource]).values()
            return bool(told.result()[name].value == str(size))

        wait_until(is_known, "the limit")

    def is_mine(self, topic: str) -> bool:
        return topic.startswith(self.prefix)

    def configure(self, **sections: Mapping[str, Any] | str) -> None:
        """Writes a config.yml with names of this test's own, and these sections over it."""
        defaults = load_settings().topics
        topics: dict[str, Any] = {}
        for region in REGIONS:
            topics[region] = {
                kind: {role: f"{self.prefix}{name}" for role, name in of_kind.model_dump().items()}
                for kind in ("ticker", "orderbook")
                for of_kind in [getattr(defaults.of(region), kind)]
            }
        content: dict[str, Any] = {"topics": topics, "logs": {"folder": str(self.folder / "logs")}}
        merge(content, sections)
        (self.setting / "config.yml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def plan(self, **partitions: object) -> None:
        """Writes an exchanges.yml where these exchanges have these partitions."""
        rows = {name: row.model_dump() for name, row in load_settings().exchanges.items()}
        for name, of_one in partitions.items():
            rows[name]["partition"] = of_one
        text = json.dumps({"exchanges": rows})  # which is YAML too
        (self.setting / "exchanges.yml").write_text(text, encoding="utf-8")

    @property
    def settings(self) -> Settings:
        return load_settings(self.setting, {"kafka.bootstrap_servers": self.address})

    def of(self, exchange: str, kind: Kind) -> tuple[LaneTopics, int]:
        """The topics of an exchange, and its partition in them."""
        row = self.settings.exchanges[exchange]
        assert isinstance(row.partition, int)
        return self.settings.topics.of(row.region).of(kind), row.partition

    def command(self, *arguments: object) -> list[str]:
        named = ["--setting", str(self.setting), "--bootstrap-servers", self.address]
        return [sys.executable, "-m", "marketprep", *map(str, arguments), *named]

    def marketprep(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, timeout=240
        )

    def marketprep_alone(
        self, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command that may not be told of the cluster, with more of an environment."""
        command = [sys.executable, "-m", "marketprep", *map(str, arguments)]
        named = [*command, "--setting", str(self.setting)]
        everything = os.environ | (environment or {})
        return subprocess.run(
            named, capture_output=True, text=True, check=False, timeout=240, env=everything
        )

    def create_topics(self) -> None:
        done = self.marketprep("topics", "create")
        assert done.returncode == 0, done.stderr

    def run_until_end(self, *arguments: object) -> str:
        """Runs the service over all that is there; what it told in its last line."""
        done = self.marketprep("run", "--until-end", *arguments)
        assert done.returncode == 0, done.stderr
        return totals_of(done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """Starts a command, which is killed with the test."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(self.command(*arguments), stdout=pipe, stderr=pipe)
        self._processes.append(process)
        return process

    def produce(
        self,
        topic: str,
        partition: int,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp: int = 0,
        **configuration: Any,  # noqa: ANN401 - librdkafka's own
    ) -> None:
        configuration = {name.replace("_", "."): value for name, value in configuration.items()}
        # without idempotence what is sent again may come behind what was sent later
        limit = {"message.max.bytes": 30 << 20, "linger.ms": 20, "enable.idempotence": True}
        wanted = {"bootstrap.servers": self.address, **limit, **configuration}
        name = json.dumps(wanted, sort_keys=True)
        producer = self._producers.get(name) or self._producers.setdefault(name, Producer(wanted))
        for value in values:
            producer.produce(
                topic, value, key, partition, headers=headers or [], timestamp=timestamp
            )
        assert producer.flush(60) == 0

    def consume(self, topic: str, partition: int) -> list[Message]:
        """All messages of a partition that a reader of committed transactions sees."""
        return list(self.messages(topic, partition))

    def messages(self, topic: str, partition: int) -> Iterator[Message]:
        """The same, one by one."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": f"{self.prefix}reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 10,
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            message = consumer.poll(30)
            assert message is not None, f"{topic} cannot be read"
            if message.error():
                consumer.close()
                return
            yield message

    @contextmanager
    def watching(self, topic: str, partition: int) -> Iterator[Consumer]:
        """A consumer of what is committed from now on, without delay."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": self.prefix})
        consumer.assign([TopicPartition(topic, partition, self.end(topic, partition))])
        try:
            yield consumer
        finally:
            consumer.close()

    def records(self, exchange: str, kind: Kind) -> list[bytes]:
        """The records of an exchange, byte for byte as they stand in their arrays."""
        topics, partition = self.of(exchange, kind)
        return self.records_of(topics.output, partition)

    def records_of(self, topic: str, partition: int) -> list[bytes]:
        """The records of a partition."""
        records: list[bytes] = []
        for message in self.consume(topic, partition):
            records += split_array(message.value() or b"")
        return records

    def dead_letters(self, exchange: str, kind: Kind) -> list[Message]:
        topics, partition = self.of(exchange, kind)
        return self.consume(f"{topics.input}-DLT", partition)

    def committed(self, exchange: str, kind: Kind) -> int:
        """The offset that is committed; negative if there is none."""
        topics, partition = self.of(exchange, kind)
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": topics.group_id})
        place = [TopicPartition(topics.input, partition)]
        # brokers do not tell while the transaction of a killed process might change it
        [found] = _retried(lambda: consumer.committed(place, timeout=5), seconds=150)
        consumer.close()
        return int(found.offset)

    def commit(self, exchange: str, kind: Kind, offset: int) -> None:
        """Commits an offset in the place of the service, which must not be running."""
        topics, partition = self.of(exchange, kind)
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": topics.group_id})
        place = [TopicPartition(topics.input, partition, offset)]
        _retried(lambda: consumer.commit(offsets=place, asynchronous=False))
        consumer.close()

    def end(self, topic: str, partition: int, isolation: str = "read_uncommitted") -> int:
        """The offset behind the last message, or before the first open transaction."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": self.prefix,
                "isolation.level": isolation,
            }
        )
        place = TopicPartition(topic, partition)
        _, end = _retried(lambda: consumer.get_watermark_offsets(place, timeout=5))
        consumer.close()
        return int(end)


def merge(content: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Puts values over others, section by section."""
    for name, value in over.items():
        if isinstance(value, Mapping) and isinstance(content.get(name), dict):
            merge(content[name], value)
        else:
            content[name] = value


def _retried(ask: Callable[[], T], seconds: float = 60) -> T:
    """An answer of the brokers, who do not all know at once who leads a topic or a group."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def servers_of(folder: Path) -> list[psutil.Process]:
    """The servers that keep their data below a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "marketprep" not in command and any(f"{folder}/" in part for part in command):
            found.append(process)
    return found


def java_of(folder: Path) -> list[psutil.Process]:
    """The brokers among them."""
    return [process for process in servers_of(folder) if "kafka.Kafka" in process.info["cmdline"]]


def setting_of(folder: Path) -> Path:
    """A folder of settings that keep all local servers, and the logs, within a folder."""
    setting = folder / "setting"
    setting.mkdir()
    names = ("kafka", "connect", "store")
    local = {f"local_{name}": {"folder": str(folder / name)} for name in names}
    content = local | {"logs": {"folder": str(folder / "logs")}}
    (setting / "config.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return setting


def split_array(value: bytes) -> list[bytes]:
    """The records of a JSON array, as they are written in it."""
    assert value[:1] == b"[", value[:80]
    assert value[-1:] == b"]", value[-80:]
    parts = value[1:-1].split(b',{"region"')
    records = [parts[0], *(b'{"region"' + part for part in parts[1:])]
    assert [json.loads(record) for record in records] == json.loads(value)
    return records


def totals_of(told: str) -> str:
    """The line of totals among what a command told."""
    return next(line for line in told.splitlines() if line.startswith("envelopes "))
