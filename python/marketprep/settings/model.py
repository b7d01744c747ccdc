"""The settings as types: what each key may be."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeGuard, get_args

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from marketprep.kind import Kind
from marketprep.settings.sources import leaves

Region = Literal["Asia", "Korea", "NE"]

#: All regions.
REGIONS: tuple[Region, ...] = get_args(Region)

#: A topic's name as Kafka allows it.
TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]

Text = Annotated[str, StringConstraints(min_length=1)]


def _split(value: object) -> object:
    """Lets addresses be one text, separated by commas, or null, which is none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _listed(value: object) -> object:
    """Lets topics be one text, separated by commas; null is not an empty list."""
    return None if value is None else _split(value)


def _with_possible_port(address: str) -> str:
    if not 0 < int(address.rpartition(":")[2]) <= 65535:  # noqa: PLR2004 - the last of all ports
        raise PydanticCustomError("address", "host:port is needed")
    return address


def as_path(value: object) -> object:
    """The path that a text stands for; what stands for none stays what it is."""
    if isinstance(value, str) and value and "\0" not in value:
        with suppress(RuntimeError):  # there is no such ~user
            return Path(value).expanduser()
    return value


Address = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s,/@]+:[0-9]{1,5}$"),
    AfterValidator(_with_possible_port),
]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_split)]
FilePath = Annotated[Path, BeforeValidator(as_path)]
Secret = Annotated[SecretStr, Field(min_length=1, strict=False)]


def _dotted(value: object) -> object:
    """Keys of Kafka Connect have dots: whatever is below others is put side by side again."""
    if not isinstance(value, Mapping):
        return {} if value is None else value
    return {
        key: str(leaf).lower() if isinstance(leaf, bool) else str(leaf)
        for key, leaf in leaves(value)
        if leaf is not None and leaf != {}
    }


def _numbers(value: object) -> object:
    """Lets numbers be one text, separated by commas, a list of them, or one alone."""
    parts = (value,) if is_whole(value) else _listed(value)
    if isinstance(parts, tuple):
        return tuple(int(part) if _is_digits(part) else part for part in parts)
    return parts


def is_whole(value: object) -> TypeGuard[int]:
    """Whether something is a whole number, which true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_digits(part: object) -> TypeGuard[str]:
    return isinstance(part, str) and part.isascii() and part.isdigit()


def planned(value: object) -> object:
    """Lets the partitions of an exchange be a number, a list of some, or all."""
    numbers = _numbers(value)
    is_plan = isinstance(numbers, tuple) and all(is_whole(one) and one >= 0 for one in numbers)
    if value == "all" or (is_whole(value) and value >= 0):
        return value
    if not is_plan or not numbers:
        raise PydanticCustomError("plan", "a partition, a list of some, or all is needed")
    return numbers


Plan = Annotated[int | tuple[int, ...] | Literal["all"], BeforeValidator(planned)]
_Count = Annotated[int, Field(ge=1, le=100_000)]
_BasisPoints = Annotated[int, Field(ge=1, le=10_000)]
_Decimals = Annotated[int, Field(ge=0, le=18)]
Precision = Annotated[tuple[_Decimals, _Decimals], BeforeValidator(_numbers)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+/?$")]
Dotted = Annotated[Mapping[str, str], BeforeValidator(_dotted)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KafkaSettings(_Section):
    """The cluster, and how to be let in."""

    bootstrap_servers: Addresses
    client_id: Text
    request_timeout_ms: int = Field(ge=1000)
    transactional_id_prefix: Text
    transaction_timeout_ms: int = Field(ge=1000)
    direct: bool
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None
    sasl_username: Text | None
    sasl_password: Secret | None
    sasl_password_file: FilePath | None
    ca_file: FilePath | None
    certificate_file: FilePath | None
    key_file: FilePath | None
    key_password: Secret | None
    key_password_file: FilePath | None


class LaneTopics(_Section):
    """The topics of one kind in one region, and the group that commits offsets."""

    input: TopicName
    output: TopicName
    group_id: Text


class RegionTopics(_Section):
    """The topics of one region."""

    partitions: int = Field(ge=1)
    ticker: LaneTopics
    orderbook: LaneTopics

    def of(self, kind: Kind) -> LaneTopics:
        """Those of one kind."""
        return self.ticker if kind == "ticker" else self.orderbook


class TopicsSettings(_Section):
    """All topics."""

    Asia: RegionTopics
    Korea: RegionTopics
    NE: RegionTopics
    dead_letter_suffix: TopicName
    checkpoint_suffix: TopicName
    replayed_suffix: TopicName
    replication_factor: int | None = Field(ge=1, le=32767)
    max_message_mb: int = Field(ge=1, le=1024)

    def of(self, region: Region) -> RegionTopics:
        """Those of one region."""
        regions: dict[Region, RegionTopics] = {
            "Asia": self.Asia,
            "Korea": self.Korea,
            "NE": self.NE,
        }
        return regions[region]


class ConsumerSettings(_Section):
    """Where reading begins, and how long a group waits for a member."""

    session_timeout_ms: int = Field(ge=1000)
    start: Literal["earliest", "latest"]
    lost_offset: Literal["stop", "earliest", "latest"]
    commit_every_s: float = Field(gt=0, allow_inf_nan=False)


class BatchSettings(_Section):
    """When records leave."""

    max_records: int = Field(ge=1, le=10_000)
    max_wait_ms: int | None = Field(ge=0, le=60_000)
    commit_interval_ms: int = Field(ge=0, le=60_000)
    max_memory_mb: int = Field(ge=192)


class OutputSettings(_Section):
    """The form of what is produced."""

    framing: Literal["array", "record"]
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"]
    extended: bool
    imbalance_levels: Annotated[tuple[_Count, ...], BeforeValidator(_numbers)]
    depth_bps: Annotated[tuple[_BasisPoints, ...], BeforeValidator(_numbers)]
    stale_after_s: int = Field(ge=1, le=10**9)


class BooksSettings(_Section):
    """The state of kept order books."""

    checkpoint_every_s: float | None = Field(gt=0, allow_inf_nan=False)
    max_books: int = Field(ge=1, le=10**7)


class WatchSettings(_Section):
    """How the service watches itself."""

    stall_after_s: int = Field(ge=1)
    report_every_s: int = Field(ge=1)
    health_address: Address | None
    drain_timeout_s: int = Field(ge=1)


class LogsSettings(_Section):
    """Where logs go."""

    level: Literal["debug", "info", "warning", "error"]
    console: Literal["auto", "text", "json"]
    folder: FilePath | None
    max_mb: int = Field(ge=1)
    backups: int = Field(ge=1)


class _LocalSettings(_Section):
    """A server that is started on this machine."""

    folder: FilePath | None
    port: int = Field(ge=0, le=65535)

    #: The folder under the user's data folder, where none is named.
    _name: ClassVar[str]

    @property
    def data_folder(self) -> Path:
        """Where its data and its log are."""
        return self.folder or platformdirs.user_data_path("marketprep") / self._name


class LocalKafkaSettings(_LocalSettings):
    """The Kafka that is started where no cluster is configured."""

    heap_mb: int = Field(ge=128)

    _name = "kafka"


class LocalConnectSettings(_LocalSettings):
    """The Kafka Connect of `marketprep local`."""

    heap_mb: int = Field(ge=128)
    plugin_folder: FilePath | None

    _name = "connect"


class LocalStoreSettings(_LocalSettings):
    """The S3 store of `marketprep local`."""

    server: Literal["auto", "minio", "nanio"]
    minio: FilePath | None

    _name = "store"


class StoreSettings(_Section):
    """An S3 store, and how to be let in."""

    url: Url | None
    client_url: Url | None
    region: Text
    access_key_id: Text | None
    secret_access_key: Secret | None
    secret_access_key_file: FilePath | None


class ObjectsSettings(_Section):
    """What objects are called, and when they end before they are full."""

    topics_dir: Text
    path_format: Text
    timezone: Text
    locale: Text
    compression: Literal["gzip", "none"]
    rotate_interval_ms: int | None = Field(ge=1)
    rotate_schedule_interval_ms: int | None = Field(ge=1)


class ConnectorSettings(_Section):
    """What goes into one bucket."""

    topics: Annotated[tuple[TopicName, ...] | None, BeforeValidator(_listed)] = None
    bucket: Bucket
    flush_size: int = Field(ge=1)


class SinkSettings(_Section):
    """How Kafka Connect stores topics in S3."""

    worker_url: Url | None
    flavour: Literal["marketprep", "confluent"]
    name_prefix: Name
    tasks: int = Field(ge=1, le=1000)
    start_timeout_s: int = Field(ge=1)
    store: StoreSettings
    objects: ObjectsSettings
    connectors: Mapping[Name, ConnectorSettings]
    extra: Dotted


class ExchangeSettings(_Section):
    """One exchange."""

    region: Region
    partition: Plan
    depth: _Count
    publish: Literal["valid", "all"] = "valid"
    crossed_grace: int = Field(default=10, ge=0, le=10**9)
    precision: Mapping[Text, Precision] = Field(default_factory=dict)

    def partitions(self, count: int) -> Sequence[int]:
        """Which of so many partitions have its messages."""
        if self.partition == "all":
            return range(count)
        return (self.partition,) if isinstance(self.partition, int) else self.partition


class Settings(_Section):
    """All settings."""

    delivery: Literal["exactly_once", "at_least_once"]
    assignment: Literal["manual", "group"]
    kafka: KafkaSettings
    topics: TopicsSettings
    consumer: ConsumerSettings
    batch: BatchSettings
    output: OutputSettings
    books: BooksSettings
    watch: WatchSettings
    logs: LogsSettings
    local_kafka: LocalKafkaSettings
    local_connect: LocalConnectSettings
    local_store: LocalStoreSettings
    exchanges: Mapping[str, ExchangeSettings]
    sink: SinkSettings

    @property
    def max_wait_ms(self) -> int:
        """How long what was read waits for more: `batch.max_wait_ms`, or what serves best.

        A transaction takes so long that it is worth a wait to have more in it. Without one,
        whatever comes while brokers acknowledge what came before goes together anyway.
        """
        if self.batch.max_wait_ms is not None:
            return self.batch.max_wait_ms
        return 1 if self.delivery == "exactly_once" else 0
