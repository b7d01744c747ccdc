"""Being let in by a real Kafka that demands it, and what is told where it does not let us in."""

import asyncio
import base64
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from confluent_kafka.admin._acl import AclBinding

from certificates import Authority
from cluster import Cluster
from conftest import FIXTURES, lines_of
from marketprep import Kind
from marketprep.__main__ import cli
from marketprep.kafka import KafkaFailure, admin, explain
from marketprep.outbox import close, new_producer
from marketprep.settings import load_settings, read_settings, shown
from marketprep.settings.sources import variable
from secure_kafka import KEY_PASSWORD, PASSWORDS, SecureKafka, right, secure_kafka

PASSWORD = PASSWORDS["marketprep"]
STORE_KEY = "store-secret-2718"
SECRETS = (PASSWORD, KEY_PASSWORD, STORE_KEY)
UPBIT = lines_of(FIXTURES / "upbit" / "ticker.jsonl")
UPBIT_RECORDS = lines_of(FIXTURES / "upbit" / "ticker.expected.jsonl")

#: The settings of kafka by which a client comes; what it may do is another matter.
Login = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_variables_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MARKETPREP_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as kafka:
        yield kafka


@pytest.fixture
def cluster(kafka: SecureKafka, tmp_path: Path) -> Iterator[Cluster]:
    """Topics of a test's own, made and looked at by somebody who may do everything."""
    with Cluster(kafka.addresses["TRUSTED"], tmp_path) as cluster:
        yield cluster


def variables(login: Login) -> dict[str, str]:
    """The environment of who comes by these settings."""
    return {variable(f"kafka.{name}"): str(value) for name, value in login.items()}


def told(
    cluster: Cluster, login: Login, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a command tells who logs in so. A minute is a guard against one that hangs."""
    return subprocess.run(
        [sys.executable, "-m", "marketprep", *arguments, "--setting", str(cluster.setting)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | variables(login) | environment,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence by which a command fails."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "exception" not in done.stderr
    [text] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.stderr.endswith(f"{text}\n"), "nothing follows"
    return text.removeprefix("Error: ")


def rights(cluster: Cluster, user: str = "marketprep") -> dict[str, AclBinding]:
    """All that the service needs for tickers and order books of Upbit, as the README has it."""
    found: dict[str, AclBinding] = {}
    kinds: tuple[Kind, ...] = ("ticker", "orderbook")
    for kind in kinds:
        topics, _ = cluster.of("upbit", kind)
        found |= {
            f"{kind} input": right(topics.input, "read", user=user),
            f"{kind} output": right(topics.output, "write", user=user),
            f"{kind} dead letters": right(f"{topics.input}-DLT", "write", user=user),
            f"{kind} group": right(topics.group_id, "read", "group", user),
        }
    books = f"{cluster.of('upbit', 'orderbook')[0].input}-Books"
    return found | {
        "read books": right(books, "read", user=user),
        "write books": right(books, "write", user=user),
        "write ids": right("marketprep*", "write", "transactional_id", user),
        "describe ids": right("marketprep*", "describe", "transactional_id", user),
    }


def fill(cluster: Cluster) -> None:
    """Puts two good messages and one that is none on an input topic."""
    topics, partition = cluster.of("upbit", "ticker")
    cluster.produce(topics.input, partition, [*UPBIT[:2], b"poison"])


RUN = ("run", "--until-end", "--exchange", "upbit")


# Being let in


def by_password(mechanism: str, listener: str = "PASSWORDS") -> Callable[[SecureKafka], Login]:
    return lambda kafka: kafka.login(mechanism, listener) | {"sasl_password": PASSWORD}


def by_file(kafka: SecureKafka) -> Login:
    file = kafka.authority.file.with_name("password")
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    return kafka.login("SCRAM-SHA-512") | {"sasl_password_file": file}


def by_certificate(kafka: SecureKafka) -> Login:
    return kafka.certificate(kafka.authority.issue("marketprep"))


def by_locked_certificate(kafka: SecureKafka) -> Login:
    files = kafka.authority.issue("marketprep", password=KEY_PASSWORD)
    return kafka.certificate(files) | {"key_password": KEY_PASSWORD}


def by_locked_certificate_and_file(kafka: SecureKafka) -> Login:
    file = kafka.authority.file.with_name("key-password")
    file.write_text(f"{KEY_PASSWORD}\n", encoding="utf-8")
    files = kafka.authority.issue("marketprep", password=KEY_PASSWORD)
    return kafka.certificate(files) | {"key_password_file": file}


@pytest.mark.parametrize(
    ("login", "user"),
    [
        pytest.param(by_password("PLAIN"), "marketprep", id="PLAIN"),
        pytest.param(by_password("SCRAM-SHA-256"), "marketprep", id="SCRAM-SHA-256"),
        pytest.param(by_password("SCRAM-SHA-512"), "marketprep", id="SCRAM-SHA-512"),
        pytest.param(by_file, "marketprep", id="password file"),
        pytest.param(by_password("PLAIN", "CLEAR"), "marketprep", id="SASL_PLAINTEXT"),
        pytest.param(by_certificate, "CN=marketprep", id="certificate"),
        pytest.param(by_locked_certificate, "CN=marketprep", id="locked key"),
        pytest.param(by_locked_certificate_and_file, "CN=marketprep", id="key password file"),
    ],
)
def test_all_the_way_with_the_rights_of_the_readme(
    kafka: SecureKafka, cluster: Cluster, login: Callable[[SecureKafka], Login], user: str
) -> None:
    whole = login(kafka)
    making = [right(f"{cluster.prefix}*", what, user=user) for what in ("create", "describe")]
    kafka.grant(making)
    made = told(cluster, whole, "topics", "create")
    assert made.returncode == 0, made.stderr
    fill(cluster)
    kafka.grant(rights(cluster, user).values())
    done = told(cluster, whole, *RUN)
    assert done.returncode == 0, done.stderr
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:3]
    assert [letter.value() for letter in cluster.dead_letters("upbit", "ticker")] == [b"poison"]


def test_going_on_where_the_last_run_ended_needs_no_more_rights(
    kafka: SecureKafka, cluster: Cluster
) -> None:
    cluster.create_topics()
    login = by_password("PLAIN")(kafka)
    kafka.grant(rights(cluster).values())
    topics, partition = cluster.of("upbit", "orderbook")
    books = lines_of(FIXTURES / "upbit" / "orderbook.jsonl")
    for book in books[:2]:
        cluster.produce(topics.input, partition, [book])
        done = told(cluster, login, *RUN)
        assert done.returncode == 0, done.stderr
    assert '"event": "books restored"' in done.stderr
    assert cluster.committed("upbit", "orderbook") >= 2


def test_sizes_of_topics_need_a_right_of_the_cluster(kafka: SecureKafka, cluster: Cluster) -> None:
    cluster.create_topics()
    login = by_password("PLAIN")(kafka)
    seen = right(f"{cluster.prefix}*", "describe")
    for more, is_unknown in (([], True), ([right("kafka-cluster", "describe", "broker")], False)):
        kafka.grant([seen, *more])
        done = told(cluster, login, "topics", "list")
        assert done.returncode == 0
        assert ("unknown" in done.stdout) == is_unknown


# Not being let in


REFUSED = (
    "Kafka at {servers} refuses the user {user} or the password: correct kafka.sasl_username, "
    "kafka.sasl_password or, if it knows neither by this one, kafka.sasl_mechanism."
)
OF_ANOTHER_HOST = (
    "The certificate of Kafka at {servers} is of another host (Hostname mismatch, certificate is "
    "not valid for 'localhost'): use the names in it, for kafka.bootstrap_servers as for the "
    "brokers' advertised.listeners."
)
CLOSED = (
    "Kafka at {servers} closes connections at once: kafka.security_protocol {protocol} is not that "
    "of its port, so set the right one of PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL."
)
ASKS_FOR_CERTIFICATE = (
    "Kafka at {servers} asks for a certificate of ours: set kafka.certificate_file and "
    "kafka.key_file."
)
OURS_REFUSED = (
    "Kafka at {servers} refuses kafka.certificate_file {certificate}: it has expired, or none of "
    "the authorities that brokers trust has signed it; name one that is valid."
)

FAULTS: dict[str, tuple[Callable[[SecureKafka], Login], str]] = {
    "wrong password": (
        lambda kafka: by_password("PLAIN")(kafka) | {"sasl_password": PASSWORDS["guest"]},
        REFUSED,
    ),
    "wrong password, SCRAM": (
        lambda kafka: by_password("SCRAM-SHA-512")(kafka) | {"sasl_password": "0815"},
        REFUSED,
    ),
    "unknown user": (
        lambda kafka: by_password("SCRAM-SHA-256")(kafka) | {"sasl_username": "nobody"},
        REFUSED,
    ),
    "wrong mechanism": (
        by_password("SCRAM-SHA-512", "CLEAR"),
        (
            "Kafka at {servers} does not take SCRAM-SHA-512: set kafka.sasl_mechanism to one that "
            "its port has."
        ),
    ),
    "expired": (
        by_password("PLAIN", "EXPIRED"),
        (
            "The certificate of Kafka at {servers}, or that of its authority, has expired: renew "
            "it on the brokers."
        ),
    ),
    "unknown authority": (
        lambda kafka: by_password("PLAIN")(kafka) | {"ca_file": kafka.stranger.file},
        (
            "The certificate of Kafka at {servers} is signed by no authority that is trusted, "
            "which are those in {trusted}: set kafka.ca_file to the certificate of the one that "
            "has signed it."
        ),
    ),
    "no authority": (
        lambda kafka: {
            key: value for key, value in by_password("PLAIN")(kafka).items() if key != "ca_file"
        },
        (
            "The certificate of Kafka at {servers} is signed by no authority that is trusted, "
            "which are those of the system: set kafka.ca_file to the certificate of the one that "
            "has signed it."
        ),
    ),
    "wrong host": (
        lambda kafka: by_password("PLAIN")(kafka) | at(kafka, "PASSWORDS", "localhost"),
        OF_ANOTHER_HOST,
    ),
    "wrong host behind the first one": (by_password("PLAIN", "MOVED"), OF_ANOTHER_HOST),
    "our certificate has expired": (
        lambda kafka: kafka.certificate(kafka.authority.issue("late", is_expired=True)),
        OURS_REFUSED,
    ),
    "our certificate is of a stranger": (
        lambda kafka: kafka.certificate(kafka.stranger.issue("marketprep")),
        OURS_REFUSED,
    ),
    "no certificate of ours": (
        lambda kafka: (
            at(kafka, "CERTIFICATES")
            | {"security_protocol": "SSL", "ca_file": kafka.authority.file}
        ),
        ASKS_FOR_CERTIFICATE,
    ),
    "a password where a certificate is wanted": (
        lambda kafka: by_password("PLAIN")(kafka) | at(kafka, "CERTIFICATES"),
        ASKS_FOR_CERTIFICATE,
    ),
    "no TLS where there is": (lambda kafka: at(kafka, "PASSWORDS"), CLOSED),
    "no TLS where there is, with a password": (
        lambda kafka: by_password("PLAIN", "CLEAR")(kafka) | at(kafka, "PASSWORDS"),
        CLOSED,
    ),
    "TLS where there is none": (
        lambda kafka: by_password("PLAIN")(kafka) | at(kafka, "CLEAR"),
        CLOSED,
    ),
    "TLS where there is nothing": (
        lambda kafka: by_certificate(kafka) | at(kafka, "TRUSTED"),
        CLOSED,
    ),
    "no password where there is": (lambda kafka: at(kafka, "CLEAR"), CLOSED),
    "a password where there is none": (
        lambda kafka: by_password("PLAIN", "CLEAR")(kafka) | at(kafka, "TRUSTED"),
        (
            "Kafka at {servers} asks for no password: set kafka.security_protocol to PLAINTEXT or "
            "SSL, or name a port that asks for one."
        ),
    ),
}


def at(kafka: SecureKafka, listener: str, host: str = "127.0.0.1") -> Login:
    """The address of a listener."""
    return {"bootstrap_servers": kafka.addresses[listener].replace("127.0.0.1", host)}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_sentence_says_why_nobody_is_let_in(
    kafka: SecureKafka, cluster: Cluster, fault: str
) -> None:
    login, wanted = FAULTS[fault]
    whole = login(kafka)
    text = wanted.format(
        servers=whole["bootstrap_servers"],
        user=whole.get("sasl_username"),
        protocol=whole.get("security_protocol", "PLAINTEXT"),
        trusted=whole.get("ca_file"),
        certificate=whole.get("certificate_file"),
    )
    assert sentence(told(cluster, whole, *RUN)) == text


def locked(authority: Authority) -> Login:
    return pair(*authority.issue("locked", password=KEY_PASSWORD))


def pair(certificate_file: Path, key_file: Path) -> Login:
    return {"certificate_file": certificate_file, "key_file": key_file}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (
            lambda authority: {"ca_file": authority.issue("one")[1]},
            (
                "kafka.ca_file {ca_file} cannot be used (no certificate or crl found): the "
                "certificates of authorities as PEM are needed."
            ),
        ),
        (
            lambda authority: pair(authority.issue("one")[0], authority.issue("two")[1]),
            (
                "kafka.key_file {key_file} is not the key of kafka.certificate_file "
                "{certificate_file}: name two that belong together."
            ),
        ),
        (
            locked,
            (
                "kafka.key_file {key_file} is encrypted: give its password by "
                "kafka.key_password_file, or by MARKETPREP_KAFKA_KEY_PASSWORD."
            ),
        ),
        (
            lambda authority: locked(authority) | {"key_password": "0815"},
            "kafka.key_password does not open kafka.key_file {key_file}: correct it.",
        ),
        (
            lambda authority: {"certificate_file": authority.issue("one")[0]},
            (
                "kafka.certificate_file {certificate_file} cannot be used (no PEM): a certificate "
                "and its key as PEM are needed."
            ),
        ),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, files: Callable[[Authority], Login], wanted: str
) -> None:
    login = {
        "bootstrap_servers": "127.0.0.1:1",
        "security_protocol": "SSL",
        **files(Authority(tmp_path, "authority")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "marketprep", "topics", "list"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # OpenSSL would ask for a password
        env=os.environ | variables(login),
    )
    assert sentence(done) == wanted.format(**login)


# Missing rights


INPUT, OUTPUT = "koraSocketDataIn", "Region.Korea_"


@pytest.mark.parametrize(
    ("missing", "instead", "wanted"),
    [
        (
            "ticker input",
            "describe",
            (f"the topic {{}}{INPUT}-ticker: grant Read, or Write if it is produced to, on it."),
        ),
        (
            "ticker output",
            "describe",
            f"the topic {{}}{OUTPUT}TickerPreprocessing: grant Write on it.",
        ),
        (
            "ticker dead letters",
            "describe",
            f"the topic {{}}{INPUT}-ticker-DLT: grant Write on it.",
        ),
        ("write books", None, f"the topic {{}}{INPUT}-Orderbook-Books: grant Write on it."),
        (
            "ticker group",
            None,
            "the consumer group {}Ticker_group_id_Korea: grant Read on it.",
        ),
        (
            "ticker group",
            "describe",
            "the consumer group {}Ticker_group_id_Korea: grant Read on it.",
        ),
    ],
)
def test_one_sentence_says_which_right_is_missing(
    kafka: SecureKafka, cluster: Cluster, missing: str, instead: str | None, wanted: str
) -> None:
    cluster.create_topics()
    fill(cluster)
    given = rights(cluster)
    taken = given.pop(missing)
    if instead:
        kind = "group" if missing.endswith("group") else "topic"
        given["instead"] = right(str(taken.name), instead, kind)
    kafka.grant(given.values())
    text = sentence(told(cluster, by_password("PLAIN")(kafka), *RUN))
    assert text == f"Kafka denies the user marketprep {wanted.format(cluster.prefix)}"


@pytest.mark.parametrize(
    ("missing", "topic"),
    [
        ("ticker input", f"{INPUT}-ticker"),
        ("ticker output", f"{OUTPUT}TickerPreprocessing"),
        ("ticker dead letters", f"{INPUT}-ticker-DLT"),
    ],
)
def test_what_nobody_may_see_is_perhaps_there(
    kafka: SecureKafka, cluster: Cluster, missing: str, topic: str
) -> None:
    cluster.create_topics()
    given = rights(cluster)
    del given[missing]
    kafka.grant(given.values())
    text = sentence(told(cluster, by_password("PLAIN")(kafka), *RUN))
    assert text.startswith(
        f"There is no topic {cluster.prefix}{topic}, or the user marketprep has no right to "
        "Describe it: `marketprep topics create`, with"
    )


def test_topics_that_nobody_may_make_or_see(kafka: SecureKafka, cluster: Cluster) -> None:
    login = by_password("PLAIN")(kafka)
    kafka.grant([])
    text = sentence(told(cluster, login, "topics", "create"))
    assert text.startswith(f"Kafka denies the user marketprep to make {cluster.prefix}")
    assert text.endswith(
        ": grant Create (for more partitions, Alter) on these topics, or Describe if they are "
        "there already."
    )
    kafka.grant([right(f"{cluster.prefix}*", "create")])
    text = sentence(told(cluster, login, "topics", "create"))
    assert text.startswith(f"Kafka denies the user marketprep a look at {cluster.prefix}")
    assert text.endswith(": grant Describe on these topics, which Read and Write include.")


def test_a_market_that_nobody_may_make_up(kafka: SecureKafka, cluster: Cluster) -> None:
    cluster.create_topics()
    kafka.grant(rights(cluster).values())
    login = by_password("PLAIN")(kafka)
    size = ("--megabytes", "0.01", "--exchange", "upbit", "--kind", "ticker")
    text = sentence(told(cluster, login, "simulate", "topics", *size))
    topic = f"{cluster.prefix}{INPUT}-ticker"
    assert text == f"Kafka denies the user marketprep the topic {topic}: grant Write on it."


@pytest.mark.parametrize(
    ("transactional_id", "wanted"),
    [
        (
            "marketprep-1",
            (
                "a transactional id (marketprep-1): grant Write and Describe on all that begin "
                "with marketprep (kafka.transactional_id_prefix)."
            ),
        ),
        (
            None,
            (
                "the cluster: grant IdempotentWrite on it, or Write on the topics that are "
                "produced to."
            ),
        ),
    ],
)
def test_one_sentence_says_that_a_producer_is_denied(
    kafka: SecureKafka,
    monkeypatch: pytest.MonkeyPatch,
    transactional_id: str | None,
    wanted: str,
) -> None:
    kafka.grant([])
    for name, value in variables(by_password("PLAIN")(kafka)).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    async def start() -> str:
        producer = new_producer(settings, "none", transactional_id)
        try:
            await producer.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be explained
            return explain(error, settings.kafka)
        finally:
            await close(producer)
        return "let in"

    assert asyncio.run(start()) == f"Kafka denies the user marketprep {wanted}"


# Secrets


def commands(command: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    """Every command, and every group of them."""
    yield above
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, *above, name)


@pytest.fixture(params=["environment", "files"])
def secret_login(
    request: pytest.FixtureRequest, kafka: SecureKafka, tmp_path: Path
) -> dict[str, str]:
    """An environment with all secrets in it, or in files that it names."""
    keys = ("kafka.sasl_password", "kafka.key_password", "sink.store.secret_access_key")
    given = dict(zip(keys, SECRETS, strict=True))
    if request.param == "files":
        for key, value in list(given.items()):
            file = tmp_path / key
            file.write_text(given.pop(key), encoding="utf-8")
            given[f"{key}_file"] = str(file)
            assert value == file.read_text(encoding="utf-8")
    certificate_file, key_file = kafka.authority.issue("marketprep", password=KEY_PASSWORD)
    login = kafka.login("PLAIN", "CLEAR") | pair(certificate_file, key_file)
    given["sink.store.access_key_id"] = "marketprep"
    given |= {"logs.level": "debug", "logs.console": "text"}  # as a developer has it
    return variables(login) | {variable(key): value for key, value in given.items()}


def assert_silent(text: str) -> None:
    for secret in SECRETS:
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
            assert form not in text


def test_no_command_tells_a_secret(
    kafka: SecureKafka, cluster: Cluster, secret_login: dict[str, str]
) -> None:
    cluster.create_topics()
    fill(cluster)
    kafka.grant(rights(cluster).values())
    size = ("--megabytes", "0.01", "--exchange", "upbit", "--kind", "ticker")
    nowhere = ("--worker-url", "http://127.0.0.1:1")
    wrong = kafka.login("SCRAM-SHA-512") | {"sasl_username": "guest"}  # who has another password
    failing = (wrong, by_password("PLAIN", "EXPIRED")(kafka), at(kafka, "PASSWORDS"))
    runs: list[tuple[Login, tuple[str, ...]]] = [
        ({}, RUN),
        ({}, ("settings",)),
        ({}, ("topics", "create")),
        ({}, ("topics", "list")),
        ({}, ("simulate", "topics", *size)),
        ({}, ("sink", "apply", *nowhere)),
        ({}, ("sink", "status", *nowhere)),
        ({}, ("sink", "remove", *nowhere)),
        ({"request_timeout_ms": "many"}, ("settings",)),
        *((login, RUN) for login in failing),
    ]
    codes = []
    for login, arguments in runs:
        done = told(cluster, {}, *arguments, **secret_login | variables(login))
        codes.append(done.returncode)
        assert_silent(done.stdout + done.stderr)
    assert set(codes) == {0, 1, 2}
    logs = [file.read_text(encoding="utf-8") for file in (cluster.folder / "logs").iterdir()]
    assert any("partitions assigned" in log for log in logs)
    assert_silent("".join(logs))


def test_no_help_and_no_dump_tells_a_secret(
    secret_login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secret_login.items():
        monkeypatch.setenv(name, value)
    found = list(commands(cli))
    assert len(found) > 12
    for arguments in found:
        done = CliRunner().invoke(cli, [*arguments, "--help"])
        assert done.exit_code == 0, arguments
        assert_silent(done.output)
    loaded = read_settings()
    settings = loaded.settings
    store, kafka = settings.sink.store, settings.kafka
    assert store.secret_access_key is not None
    assert store.secret_access_key.get_secret_value() == STORE_KEY
    dumps = (loaded, settings, kafka, store, settings.model_dump(), list(shown(loaded)))
    for dump in dumps:
        assert_silent(f"{dump!r} {dump!s}")
    assert_silent(settings.model_dump_json())


def test_what_clients_log_of_a_login_at_debug_level(
    kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for logger in (None, "aiokafka"):  # whose level may be set by tests before this one
        caplog.set_level(logging.DEBUG, logger)
    for password in (PASSWORD, PASSWORDS["guest"]):
        login = by_password("PLAIN")(kafka) | {"sasl_password": password}
        for name, value in variables(login).items():
            monkeypatch.setenv(name, value)
        settings = load_settings().kafka

        async def look() -> None:
            async with admin(settings) as client:  # noqa: B023 - it is used at once
                await client.list_topics()

        if password == PASSWORD:
            asyncio.run(look())
        else:
            with pytest.raises(KafkaFailure, match="refuses the user marketprep"):
                asyncio.run(look())
    lines = [record.getMessage() for record in caplog.records if record.name == "aiokafka.conn"]
    assert any("ApiVersionRequest" in line for line in lines), "requests are logged at all"
    for secret in PASSWORDS.values():
        assert not any(secret in line for line in lines)
