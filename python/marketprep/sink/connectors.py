"""The connectors that the settings want, as Kafka Connect is told of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from marketprep.assignment import assignments
from marketprep.settings import Settings, SinkSettings
from marketprep.settings.sources import variable
from marketprep.sink.failure import SinkFailure

CLASSES = {
    "marketprep": "marketprep.connect.S3SinkConnector",
    "confluent": "io.confluent.connect.s3.S3SinkConnector",
}

_CONVERTER = "org.apache.kafka.connect.converters.ByteArrayConverter"

# The same for both sinks. Messages are passed on as bytes: as JSON, a converter would turn their
# numbers into binary floats.
_ALWAYS = {
    "key.converter": _CONVERTER,
    "value.converter": _CONVERTER,
    "consumer.override.isolation.level": "read_committed",
    "consumer.override.auto.offset.reset": "earliest",
    "storage.class": "io.confluent.connect.s3.storage.S3Storage",
    "schema.compatibility": "NONE",
    "format.class": "io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
    "format.bytearray.extension": ".json",
    "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "partition.duration.ms": "86400000",
    "timestamp.extractor": "Record",
    "behavior.on.null.values": "ignore",
}


@dataclass(frozen=True)
class Connector:
    """One connector: the topics that go into one bucket."""

    name: str
    topics: tuple[str, ...]
    bucket: str
    config: dict[str, str]


def connectors(settings: Settings, only: Iterable[str] = ()) -> list[Connector]:
    """The connectors of the settings, or of some of their rows.

    Raises SinkFailure if there is no such row, or half of an access key.
    """
    rows = settings.sink.connectors
    for name in only:
        if name not in rows:
            known = ", ".join(rows)
            raise SinkFailure(f"There is no sink {name}: name one of {known} (sink.connectors)")
    return [_connector(settings, row) for row in rows if row in (tuple(only) or rows)]


def _connector(settings: Settings, row: str) -> Connector:
    sink = settings.sink
    of = sink.connectors[row]
    topics = of.topics
    if topics is None:
        topics = tuple(work.topics.output for work in assignments(settings) if work.kind == row)
    config = {
        "connector.class": CLASSES[sink.flavour],
        "tasks.max": str(sink.tasks),
        "topics": ",".join(topics),
        "s3.bucket.name": of.bucket,
        "flush.size": str(of.flush_size),
        **_ALWAYS,
        **dict(_of_store(sink)),
        **dict(_of_objects(sink)),
        **sink.extra,
    }
    return Connector(f"{sink.name_prefix}-{row}", topics, of.bucket, config)


def _of_store(sink: SinkSettings) -> Iterator[tuple[str, str]]:
    store = sink.store
    yield "s3.region", store.region
    if store.url:
        yield "store.url", store.url
    if bool(store.access_key_id) != bool(store.secret_access_key):
        # no matter of loading settings: what needs no store shall do without its secret
        missing = "secret_access_key" if store.access_key_id else "access_key_id"
        raise SinkFailure(
            f"sink.store.{missing} is needed with the other one: set both or none "
            f"({variable(f'sink.store.{missing}')})"
        )
    if store.access_key_id and store.secret_access_key:
        yield "aws.access.key.id", store.access_key_id
        yield "aws.secret.access.key", store.secret_access_key.get_secret_value()


def _of_objects(sink: SinkSettings) -> Iterator[tuple[str, str]]:
    objects = sink.objects
    yield "topics.dir", objects.topics_dir
    yield "path.format", objects.path_format
    yield "timezone", objects.timezone
    yield "locale", objects.locale
    yield "s3.compression.type", objects.compression
    yield "rotate.interval.ms", str(objects.rotate_interval_ms or -1)
    yield "rotate.schedule.interval.ms", str(objects.rotate_schedule_interval_ms or -1)
