"""Who is measured on a real Kafka, and what a run of theirs has cost."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from confluent_kafka import Consumer, TopicPartition

from cluster import Cluster
from feeds import Feed, Mark, delete_topics
from marketprep.local import LocalKafka
from marketprep.settings import load_settings

BENCHES = Path(__file__).resolve().parent

_BUILT = BENCHES.parent / "target" / "peers"
PEERS = _BUILT / "release" / "marketprep-peers"
#: The same with a library's decimals and the system's memory, for any processor.
ORDINARY_PEERS = _BUILT / "ordinary" / "release" / "marketprep-peers"

#: Nothing may be deleted before all have read it.
_PROPERTIES = {
    "log.retention.bytes": "-1",
    "log.retention.ms": "-1",
    "log.segment.bytes": str(512 << 20),
}

#: Of the broker, which must not be what everybody waits for.
_HEAP_MB = 1024

_SAMPLE_SECONDS = 0.02


@contextmanager
def kafka() -> Iterator[tuple[str, Path]]:
    """A Kafka of our own: its address, and a folder for whatever else there is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {"local_kafka.folder": str(folder / "kafka")}
        settings = load_settings(options=options).local_kafka
        settings = settings.model_copy(update={"heap_mb": _HEAP_MB})
        with LocalKafka(settings, click.echo, extra=_PROPERTIES) as local:
            yield local.address, folder


@dataclass(frozen=True)
class Result:
    """What processes took, from when they had their partitions until they ended."""

    items: int
    seconds: float
    cpu_seconds: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    @property
    def cpu(self) -> float:
        """CPU-seconds a million items."""
        return self.cpu_seconds / self.items * 1e6


class _Watched:
    """A process, and what it has used since it said that it has its partitions."""

    def __init__(self, command: Sequence[str], marker: bytes, log: Path) -> None:
        self.marker = marker
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)  # noqa: S603 - what is measured
        self.looked_at = psutil.Process(self.process.pid)
        self.begin = self.end = self.before = self.cpu = self.peak = 0.0

    def has_ended(self) -> bool:
        """Looks at it once more; whether there will be nothing more to see."""
        if self.end:
            return True
        if not self.begin and self.marker in self.log.read_bytes():
            used = self.looked_at.cpu_times()
            self.begin, self.before = time.monotonic(), used.user + used.system
        if self.begin:
            self.peak = max(self.peak, self.looked_at.memory_info().rss / 1e6)
        pid, status, resources = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return False
        self.end = time.monotonic()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode or not self.begin:
            raise SystemExit(f"{self.process.args!r} failed:\n{self.log.read_text()}")
        self.cpu = resources.ru_utime + resources.ru_stime - self.before
        return True


def measured(commands: Sequence[tuple[Sequence[str], bytes]], folder: Path, items: int) -> Result:
    """Runs processes side by side to their ends. Each has a text by which it says: assigned."""
    watched = [
        _Watched(command, marker, folder / f"{time.monotonic_ns()}.log")
        for command, marker in commands
    ]
    try:
        while sum(not one.has_ended() for one in watched):  # each is looked at
            is_starting = any(not one.begin for one in watched)
            time.sleep(0.002 if is_starting else _SAMPLE_SECONDS)
    finally:
        for one in watched:
            one.process.kill()
    return Result(
        items,
        max(one.end for one in watched) - min(one.begin for one in watched),
        sum(one.cpu for one in watched),
        sum(one.peak for one in watched),
    )


@dataclass(frozen=True)
class Contestant:
    """A way to do the work: our service with settings, or what it is compared with."""

    name: str
    #: The part of a feed that it gets, or nobody would wait for it.
    share: float = 1.0
    delivery: str = "exactly_once"
    framing: str = "array"
    #: Whether it is our service.
    is_ours: bool = True
    #: The loop in Rust, if it is one.
    peers: Path = PEERS

    def command(
        self, cluster: Cluster, feeds: Sequence[Feed], until: Mark
    ) -> tuple[list[str], bytes]:
        """What to run, and by which text it says that it has its partitions."""
        chosen: list[str] = []
        for feed in feeds:
            chosen += ["--exchange", feed.exchange, "--kind", feed.kind]
        if self.is_ours:
            return cluster.command("run", "--until-end", *chosen), b"partitions assigned"
        [feed] = feeds
        topics, partition = cluster.of(feed.exchange, feed.kind)
        named = ["--bootstrap-servers", cluster.address, "--input", topics.input]
        named += ["--partition", str(partition), "--output", topics.output]
        named += ["--group", topics.group_id, *chosen]
        if self.name == "python":
            program = [sys.executable, str(BENCHES / "python_lane.py")]
            return [*program, *named, "--until", str(until.offset)], b"assigned"
        return [str(self.peers), "lane", *named], b"assigned"


EXACTLY_ONCE = Contestant("exactly_once")
AT_LEAST_ONCE = Contestant("at_least_once", delivery="at_least_once")
RUST = Contestant("rust", is_ours=False)
ORDINARY_RUST = Contestant("ordinary rust", is_ours=False, peers=ORDINARY_PEERS)
PYTHON = Contestant("python", is_ours=False, share=0.1)
RECORDS = Contestant("record", framing="record")


def run(
    address: str, folder: Path, contestant: Contestant, processes: Sequence[Sequence[Feed]]
) -> Result:
    """Lets processes work their feeds off, side by side, and makes sure that all came out."""
    feeds = [feed for of_one in processes for feed in of_one]
    marks = {feed: feed.share(contestant.share) for feed in feeds}
    with cluster_for(address, folder, contestant, feeds) as cluster:
        commands = [contestant.command(cluster, of_one, marks[of_one[0]]) for of_one in processes]
        items = sum(mark.items for mark in marks.values())
        result = measured(commands, folder, items)
        for feed, mark in marks.items():
            expect_records(cluster, feed, mark)
    return result


@contextmanager
def cluster_for(
    address: str, folder: Path, contestant: Contestant, feeds: Sequence[Feed]
) -> Iterator[Cluster]:
    """Topics and groups of one run, over inputs that all have in common."""
    made = folder / f"{time.monotonic_ns()}"
    made.mkdir()
    settings = load_settings()
    with Cluster(address, made) as cluster:
        suffixes = {"dead_letter": "-DLT", "checkpoint": "-Books", "replayed": "-Replayed"}
        topics: dict[str, object] = {
            f"{what}_suffix": f"-{cluster.prefix}{suffix}" for what, suffix in suffixes.items()
        }
        for feed in feeds:
            of_region = topics.setdefault(settings.exchanges[feed.exchange].region, {})
            assert isinstance(of_region, dict)
            of_region[feed.kind] = {"input": feed.topic}
        cluster.configure(
            delivery=contestant.delivery, output={"framing": contestant.framing}, topics=topics
        )
        cluster.create_topics()
        try:
            yield cluster
        finally:
            names = {feed.topic for feed in feeds}
            of_run = [
                f"{name}-{cluster.prefix}{end}" for name in names for end in suffixes.values()
            ]
            delete_topics(address, of_run)


def expect_records(cluster: Cluster, feed: Feed, mark: Mark) -> None:
    """Reads the output, and ends the bench if it is not all there."""
    topics, partition = cluster.of(feed.exchange, feed.kind)
    found = count_records(cluster.address, topics.output, partition)
    if found != mark.records:
        raise SystemExit(f"{feed.topic}: {found} records came out, and {mark.records} should have")


def count_records(address: str, topic: str, partition: int) -> int:
    """How many records readers of committed transactions find."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "count",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    count, is_read = 0, False
    while not is_read:
        for message in consumer.consume(1000, 1.0):
            if message.error():
                is_read = True
            else:
                count += (message.value() or b"").count(b'{"region":')
    consumer.close()
    return count
