"""What the tests share: where the fixtures and captures are, and how records are compared."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from cluster import Cluster
from marketprep import _core, kind
from marketprep.local import LocalConnect, LocalKafka, LocalStore
from marketprep.local.store import find_minio
from marketprep.settings import load_settings
from sinks import PLUGINS, Sinks, local_settings

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
CAPTURES = Path(os.environ.get("MARKETPREP_CAPTURES", ROOT.parent / "shared" / "captures"))

# how long examples take says nothing on machines that others use too
hypothesis.settings.register_profile(
    "marketprep", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("marketprep")

KINDS = kind.KINDS
EXCHANGES = tuple(name for name, _ in _core.exchange_names())

needs_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason=f"no captures of others under {CAPTURES}"
)

needs_plugin = pytest.mark.skipif(
    not PLUGINS.is_dir(), reason="the S3 sink is not built, for which Maven is needed"
)

needs_minio = pytest.mark.skipif(not find_minio(), reason="MinIO is not here: `make minio`")

#: The S3 servers that tests work with.
STORES = [pytest.param("minio", marks=needs_minio), "nanio"]

_TIMESTAMP = re.compile(rb'"timestamp":("[^"]*"|[0-9.]+|null)')


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file that are not blank."""
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def without_unknown_times(records: list[bytes], expected: list[bytes]) -> list[bytes]:
    """The records, with the time masked wherever the expectation has null for it."""
    return [
        _TIMESTAMP.sub(b'"timestamp":null', record, count=1)
        if b'"timestamp":null' in wanted
        else record
        for record, wanted in zip(records, expected, strict=True)
    ]


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Kafka: the one that MARKETPREP_TEST_BOOTSTRAP_SERVERS names, or one of our own."""
    if named := os.environ.get("MARKETPREP_TEST_BOOTSTRAP_SERVERS"):
        yield named
        return
    folder = tmp_path_factory.mktemp("kafka")
    settings = load_settings(options={"local_kafka.folder": str(folder)}).local_kafka
    # tests produce with timestamps of their own, and the suite outlasts the broker's check of ages
    with LocalKafka(settings, print, extra={"log.retention.ms": "-1"}) as kafka:
        yield kafka.address


@pytest.fixture
def cluster(kafka_address: str, tmp_path: Path) -> Iterator[Cluster]:
    """Topics and groups of a test's own, and commands that work with them."""
    with Cluster(kafka_address, tmp_path) as cluster:
        yield cluster


@pytest.fixture(scope="session", params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalStore]:
    """A real S3 server."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = local_settings(folder, **{"local_store.server": request.param}).local_store
    with LocalStore(settings, print) as store:
        yield store


@pytest.fixture(scope="session")
def connect(kafka_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalConnect]:
    """A real worker of Kafka Connect that has the S3 sink."""
    settings = local_settings(tmp_path_factory.mktemp("connect")).local_connect
    with LocalConnect(settings, kafka_address, print) as connect:
        yield connect


@pytest.fixture
def sinks(cluster: Cluster, connect: LocalConnect, store: LocalStore) -> Iterator[Sinks]:
    """Connectors and buckets of a test's own."""
    sinks = Sinks(cluster, connect, store)
    yield sinks
    sinks.run("remove")
