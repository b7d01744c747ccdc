"""Inputs on a real Kafka: made-up markets, of which every contestant reads the same."""

import bisect
from dataclasses import dataclass

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from marketprep import Kind, _core
from marketprep.settings import load_settings

_STRETCH_BYTES = 4_000_000
_MOST_BYTES = 30 << 20


@dataclass(frozen=True)
class Mark:
    """What there is before an offset."""

    offset: int
    items: int
    records: int


@dataclass(frozen=True)
class Feed:
    """All that is on a topic: one exchange and kind, on the partition that is its own."""

    exchange: str
    kind: Kind
    topic: str
    partition: int
    marks: tuple[Mark, ...]

    @property
    def end(self) -> Mark:
        return self.marks[-1]

    def share(self, part: float) -> Mark:
        """Where about such a part of the items ends."""
        wanted = self.end.items * part
        at = bisect.bisect_left([mark.items for mark in self.marks], wanted)
        return self.marks[min(at, len(self.marks) - 1)]


def partition_of(exchange: str) -> int:
    """The partition that is an exchange's own."""
    partition = load_settings().exchanges[exchange].partition
    assert isinstance(partition, int)
    return partition


def fill(  # noqa: PLR0913, PLR0917 - what a feed is made of
    address: str, exchange: str, kind: Kind, megabytes: int, compression: str, topic: str
) -> Feed:
    """Fills the partition of an exchange, of a topic that is made if it is not there.

    The market goes on through all of it: repeated, it would be old to whoever looks at numbers.
    """
    partition = partition_of(exchange)
    create_topic(address, topic, exchange)
    producer = Producer(
        {
            "bootstrap.servers": address,
            "log_level": 0,
            "compression.type": compression,
            "linger.ms": 50,
            "message.max.bytes": _MOST_BYTES,
            "enable.idempotence": True,
            "queue.buffering.max.kbytes": 4 * _STRETCH_BYTES // 1000,
        }
    )
    market = _core.Market(exchange, kind, "reserialised", 3, False)  # noqa: FBT003
    size, marks = 0, [Mark(0, 0, 0)]
    while size < megabytes * 1_000_000:
        stretch = market.envelopes(min(_STRETCH_BYTES, megabytes * 1_000_000 - size + 1))
        size += len(stretch.lines)
        for line in stretch.lines.splitlines():
            producer.produce(topic, line, partition=partition)
        assert producer.flush(60) == 0
        last = marks[-1]
        marks.append(
            Mark(
                last.offset + stretch.envelopes,
                last.items + stretch.items,
                last.records + stretch.items - stretch.control,
            )
        )
    return Feed(exchange, kind, topic, partition, tuple(marks))


def empty(address: str, exchange: str, kind: Kind, topic: str) -> Feed:
    """The same without anything in it."""
    create_topic(address, topic, exchange)
    return Feed(exchange, kind, topic, partition_of(exchange), (Mark(0, 0, 0),))


def create_topic(address: str, name: str, exchange: str) -> None:
    """Makes an input topic with the partitions of an exchange's region, unless it is there."""
    settings = load_settings()
    partitions = settings.topics.of(settings.exchanges[exchange].region).partitions
    admin = AdminClient({"bootstrap.servers": address})
    if name in admin.list_topics(timeout=10).topics:
        return
    wanted = NewTopic(name, partitions, 1, config={"max.message.bytes": str(_MOST_BYTES)})
    for done in admin.create_topics([wanted]).values():
        done.result()


def delete_topics(address: str, names: list[str]) -> None:
    """Deletes topics, whether they are there or not."""
    admin = AdminClient({"bootstrap.servers": address})
    there = [name for name in names if name in admin.list_topics(timeout=10).topics]
    for done in admin.delete_topics(there).values() if there else ():
        done.result()
