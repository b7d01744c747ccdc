"""A test's own connectors and buckets on a real Kafka Connect and a real S3 server."""

import gzip
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import psutil
from confluent_kafka import Message
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from cluster import Cluster, wait_until
from marketprep.local import LocalConnect, LocalServer, LocalStore
from marketprep.local.store import store_options
from marketprep.settings import Settings, load_settings

PLUGINS = Path(__file__).resolve().parent.parent / "connect" / "target" / "plugins"

_NAME = re.compile(
    r"topics/(?P<topic>[^/]+)/year=(?P<day>\d{4}/month=\d\d/day=\d\d)/"
    r"(?P=topic)\+(?P<partition>\d+)\+(?P<offset>\d{10})\.json\.gz"
)


class Stored(NamedTuple):
    """An object, out of its name and content."""

    topic: str
    day: str
    partition: int
    offset: int
    lines: list[bytes]


def local_settings(folder: Path, **options: str) -> Settings:
    """Settings that keep local servers within a folder."""
    named = {f"local_{name}.folder": str(folder / name) for name in ("kafka", "connect", "store")}
    plugins = {"local_connect.plugin_folder": str(PLUGINS)}
    return load_settings(options=named | plugins | options)


def kill(server: LocalServer) -> None:
    """Kills a server, as by kill -9."""
    process = psutil.Process(server.pid)
    process.kill()
    process.wait(30)


class Sinks:
    """The sinks of one test: connectors by the cluster's prefix, and buckets likewise."""

    def __init__(self, cluster: Cluster, connect: LocalConnect, store: LocalStore) -> None:
        self.cluster = cluster
        self.connect = connect
        self.store = store
        self.prefix = cluster.prefix.rstrip(".")
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=store.url,
            region_name="us-east-1",
            aws_access_key_id="marketprep",
            aws_secret_access_key="marketprep-local",  # noqa: S106 - what the local store has
        )
        self.secret = "marketprep-local"  # noqa: S105 - as above
        self.configure()

    def bucket(self, row: str) -> str:
        return f"{self.prefix}-{row}"

    def configure(self, **sink: Any) -> None:  # noqa: ANN401 - any settings
        """Names the worker and the store in the settings, and these of the sinks over it."""
        options = store_options(self.store.address)
        store = {key.removeprefix("sink.store."): value for key, value in options.items()}
        store.pop("secret_access_key")
        rows = {row: {"bucket": self.bucket(row)} for row in ("ticker", "orderbook")}
        content: dict[str, Any] = {
            "worker_url": f"http://{self.connect.address}",
            "name_prefix": self.prefix,
            "store": store | sink.pop("store", {}),
            "connectors": rows | sink.pop("connectors", {}),
            "extra": {"consumer.override.metadata.max.age.ms": 1000} | sink.pop("extra", {}),
            **sink,
        }
        self.cluster.configure(sink=content)

    def row(self, name: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """A row of sink.connectors that goes into a bucket of this test's."""
        return {"bucket": self.bucket(name), **changed}

    def begin(self, name: str, partitions: int, flush_size: int, **sink: Any) -> str:  # noqa: ANN401
        """Adds a row with a topic and a bucket of its own, not applied yet; the topic."""
        topic = self.create_topic(name, partitions)
        row = self.row(name, topics=[topic], flush_size=flush_size)
        self.configure(connectors={name: row}, **sink)
        self.create_buckets(name)
        return topic

    def download(self, row: str, folder: Path) -> Path:
        """Copies all objects of a bucket into a folder, by their names."""
        for name in self.names(row):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(self.bucket(row), name, str(folder / name))
        return folder

    def create_buckets(self, *rows: str) -> None:
        for row in rows or ("ticker", "orderbook"):
            self.client.create_bucket(Bucket=self.bucket(row))

    def create_topic(self, name: str, partitions: int) -> str:
        """A topic of any name, with the test's prefix before it."""
        topic = f"{self.cluster.prefix}{name}"
        [created] = self.cluster.admin.create_topics([NewTopic(topic, partitions, 1)]).values()
        created.result(20)
        return topic

    def run(self, command: str, *arguments: object) -> tuple[int, str, str]:
        """Runs `marketprep sink …`; its exit code, and what it told on both ways."""
        secret = {"MARKETPREP_SINK_STORE_SECRET_ACCESS_KEY": self.secret}
        done = self.cluster.marketprep_alone("sink", command, *arguments, environment=secret)
        assert "Traceback" not in done.stderr, done.stderr
        assert self.secret not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def apply(self, *names: str) -> str:
        code, told, errors = self.run("apply", *names)
        assert code == 0, errors + self._end_of_log()
        return told

    def _end_of_log(self) -> str:
        """What the worker has told last, for tests that fail."""
        lines = (self.connect.folder / self.connect.log_name).read_text().splitlines()
        return "\n".join(("", "The worker's log:", *lines[-100:]))

    def names(self, row: str) -> list[str]:
        """The names of all objects in a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket(row))
        names = [one["Key"] for page in pages for one in page.get("Contents", ())]
        # a nanio that was killed lists what it had half written as an object of this name
        return [name for name in names if "/.tmp." not in name]

    def objects(self, row: str) -> list[Stored]:
        """All objects of a bucket, by topic, partition and offset."""
        return sorted(self._object(row, name) for name in self.names(row))

    def _object(self, row: str, name: str) -> Stored:
        body = self.client.get_object(Bucket=self.bucket(row), Key=name)["Body"].read()
        found = _NAME.fullmatch(name)
        assert found, name
        content = gzip.decompress(body)
        assert content.endswith(b"\n")
        day = found["day"].replace("/month=", "-").replace("/day=", "-")
        place = found["topic"], day, int(found["partition"]), int(found["offset"])
        return Stored(*place, content[:-1].split(b"\n"))

    def wait_for(self, row: str, count: int, seconds: float = 120) -> None:
        """Waits until there are so many objects, and for whatever might follow."""
        wait_until(lambda: len(self.names(row)) >= count, f"{count} objects", seconds)
        assert len(self.names(row)) == count

    def check(self, row: str, messages: Mapping[str, list[list[Message]]], size: int) -> None:
        """Compares objects with the messages of topics, partition by partition.

        Every object has `size` messages, but for days: what remains below that is not stored yet.
        """
        stored: dict[tuple[str, int], list[Stored]] = defaultdict(list)
        for one in self.objects(row):
            stored[one.topic, one.partition].append(one)
        for topic, partitions in messages.items():
            for partition, of_partition in enumerate(partitions):
                whole = of_partition[: len(of_partition) // size * size]
                objects = sorted(stored.pop((topic, partition), []), key=lambda one: one.offset)
                lines = [line for one in objects for line in one.lines]
                assert lines == [message.value() for message in whole], (topic, partition)
                assert [one.offset for one in objects] == [
                    message.offset() for message in whole[::size]
                ]
                assert {len(one.lines) for one in objects} <= {size}
        assert not stored
