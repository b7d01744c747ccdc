"""The settings: where values come from, and every problem at once, with origin, key and remedy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from conftest import EXCHANGES
from marketprep import SettingsError, load_settings
from marketprep.settings import Settings, read_settings, shown
from marketprep.settings.load import FILES
from marketprep.settings.sources import DEFAULT_FOLDER

SECRET = "hunter2-0815"  # noqa: S105 - no password of anything
SASL = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "marketprep",
}


@pytest.fixture(autouse=True)
def _no_variables_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MARKETPREP_"):
            monkeypatch.delenv(name)


def default(name: str) -> Any:  # noqa: ANN401 - as YAML has it
    return yaml.safe_load((DEFAULT_FOLDER / name).read_text(encoding="utf-8"))


def leaves(content: Any, above: str = "") -> Iterator[str]:  # noqa: ANN401 - as above
    for name, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def nested(key: str, value: object) -> object:
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def config(folder: Path, content: object) -> Path:
    """A folder with this config.yml."""
    (folder / "config.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def exchanges(folder: Path, **rows: object) -> Path:
    """A folder with the default exchanges.yml but for these rows; None removes one."""
    content = default("exchanges.yml")
    for name, row in rows.items():
        content["exchanges"][name] = row
        if row is None:
            del content["exchanges"][name]
    (folder / "exchanges.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def failure(folder: Path | None = None, options: dict[str, str] | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(folder, options)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return caught.value


def problems(folder: Path | None = None, options: dict[str, str] | None = None) -> list[str]:
    """All problems; those of files of the folder begin with the file's name."""
    start = f"{folder}{os.sep}"
    return [str(problem).removeprefix(start) for problem in failure(folder, options).problems]


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    rows = {(name, row.region, row.partition) for name, row in settings.exchanges.items()}
    assert rows == {
        ("okx", "Asia", 0),
        ("bybit", "Asia", 1),
        ("gateio", "Asia", 2),
        ("upbit", "Korea", 0),
        ("bithumb", "Korea", 1),
        ("coinone", "Korea", 2),
        ("korbit", "Korea", 3),
        ("binance", "NE", 0),
        ("kraken", "NE", 1),
    }
    assert {
        (lane.input, lane.output, lane.group_id, region.partitions)
        for region in (settings.topics.Asia, settings.topics.Korea, settings.topics.NE)
        for lane in (region.of("ticker"), region.of("orderbook"))
    } == {
        (f"{spelt}SocketDataIn-{end}", f"Region.{region}_{kind}Preprocessing", group, partitions)
        for spelt, region, partitions in (
            ("asia", "Asia", 3),
            ("kora", "Korea", 4),
            ("ne", "NE", 2),
        )
        for kind, end in (("Ticker", "ticker"), ("Orderbook", "Orderbook"))
        for group in (f"{kind}_group_id_{region}",)
    }
    assert settings.topics.dead_letter_suffix == "-DLT"
    assert (settings.output.framing, settings.batch.max_records) == ("array", 20)


# Files


#: What is right for some keys.
RIGHT: dict[str, object] = {
    "kafka.direct": True,
    "output.extended": True,
    "output.imbalance_levels": [7],
    "output.depth_bps": [7],
    "books.checkpoint_every_s": 0.5,
    "consumer.commit_every_s": 0.5,
}


@pytest.mark.parametrize("wrong", [0.5, [7], True], ids=str)
@pytest.mark.parametrize("key", [*leaves(default("config.yml"))])
def test_every_key_of_a_wrong_type_is_told(tmp_path: Path, key: str, wrong: object) -> None:
    config(tmp_path, nested(key, wrong))
    if RIGHT.get(key) == wrong:
        assert load_settings(tmp_path)
        return
    [problem] = failure(tmp_path).problems
    assert problem.origin == str(tmp_path / "config.yml")
    assert problem.key == key
    if key.endswith("_password"):
        variable = f"MARKETPREP_{key.replace('.', '_').upper()}"
        assert problem.text == f"a password does not belong in a file: set {variable}"
    else:
        what, given = problem.text.split(" is needed, not ")
        assert what
        assert given in (repr(wrong), "7", "a list")


PLAN = "a partition, a list of some, or all is needed"

SECTIONS = [name for name, below in default("config.yml").items() if isinstance(below, dict)]


@pytest.mark.parametrize("section", [*SECTIONS, "topics.Asia", "topics.NE.ticker"])
def test_every_section_that_is_none_is_told(tmp_path: Path, section: str) -> None:
    folder = config(tmp_path, nested(section, 7))
    [text] = problems(folder)
    assert text == f"config.yml: {section}: keys with values are needed, not 7"


@pytest.mark.parametrize(
    ("key", "wrong", "problem"),
    [
        ("batch.max_records", 0, "1 or more is needed, not 0"),
        ("batch.max_records", 10_001, "10000 or less is needed, not 10001"),
        ("local_kafka.port", 65_536, "65535 or less is needed, not 65536"),
        ("logs.level", "loud", "debug, info, warning or error is needed, not 'loud'"),
        ("kafka.client_id", "", "a text is needed, not ''"),
        ("kafka.bootstrap_servers", "kafka", "host:port is needed, not 'kafka'"),
        (
            "batch.commit_interval_ms",
            30_001,
            "30001 is over half of kafka.transaction_timeout_ms: lower it",
        ),
        ("watch.health_address", "8080", "host:port is needed, not '8080'"),
        ("kafka.bootstrap_servers", ["a:1", "b:"], "host:port is needed, not 'b:'"),
        ("kafka.bootstrap_servers", ["a:65536"], "host:port is needed, not 'a:65536'"),
        ("kafka.clientid", "x", "there is no such key: correct or remove it"),
        ("kafka.ca_file", "/no/such", "there is no file /no/such: correct it"),
        ("logs.folder", "", "a path is needed, not ''"),
        ("logs.folder", "~nobody-of-this-name/x", "a path is needed, not '~nobody-of-this-name/x'"),
        ("logs.folder", "a\0b", "a path is needed, not 'a\\x00b'"),
        ("kafka.ca_file", "~nobody-of-this-name/x", "a path is needed"),
        ("kafka.sasl_password_file", "~nobody-of-this-name/x", "a path is needed"),
        ("kafka.sasl_password_file", "a\0b", "a path is needed"),
        (
            "topics.NE.ticker.input",
            "a b",
            "a topic's name is needed: letters, digits, dot, underscore and hyphen, not 'a b'",
        ),
        ("nonsense", 7, "there is no such key: correct or remove it"),
        ("sink.store.url", "minio:9000", "an address such as http://minio:9000 is needed"),
        (
            "sink.worker_url",
            "http://user:secret@connect:8083",
            "an address such as http://minio:9000 is needed, not 'http://(hidden)@connect:8083'",
        ),
        (
            "kafka.bootstrap_servers",
            "user:secret@kafka:9092",
            "host:port is needed, not '(hidden)@kafka:9092'",
        ),
        ("sink.connectors.ticker.bucket", "Ticker_Data", "a bucket's name is needed: 3 to 63"),
        ("sink.connectors.ticker.flush_size", 0, "1 or more is needed, not 0"),
        ("sink.store.secret_access_key", "abc", "a password does not belong in a file: set MARKET"),
        (
            "sink.extra.aws.secret.access.key",
            "abc",
            "a password does not belong in a file: refer to it as ${env:…}",
        ),
        (
            "sink.extra.consumer.override.sasl.jaas.config",
            "x",
            "a password does not belong in a fi",
        ),
        ("sink.flavour", "aiven", "marketprep or confluent is needed, not 'aiven'"),
    ],
)
def test_values_beyond_what_is_allowed(
    tmp_path: Path, key: str, wrong: object, problem: str
) -> None:
    [text] = problems(config(tmp_path, nested(key, wrong)))
    assert text.startswith(f"config.yml: {key}: {problem}")


def test_a_row_of_the_sinks_needs_all(tmp_path: Path) -> None:
    folder = config(tmp_path, nested("sink.connectors.more", {"bucket": "more"}))
    key = "config.yml: sink.connectors.more"
    assert problems(folder) == [
        f"{key}.topics: add it: only those of ticker and orderbook are known",
        f"{key}.flush_size: add it",
    ]


def test_a_topic_goes_into_a_bucket_once(tmp_path: Path) -> None:
    row = {"topics": ["coins"], "bucket": "coin-data", "flush_size": 3}
    rows = {"one": row, "two": row, "three": row | {"bucket": "others"}}
    [text] = problems(config(tmp_path, {"sink": {"connectors": rows}}))
    assert text == (
        "config.yml: sink.connectors.two.topics: coins goes into this bucket by one already: "
        "choose another bucket"
    )


def test_every_wrong_value_of_both_files_at_once(tmp_path: Path) -> None:
    exchanges(
        tmp_path,
        mtgox={"region": "Asia", "partition": 9, "depth": 1},
        okx={"region": "Europe", "partition": -1, "depth": "many"},
        bybit={"region": "Asia", "partition": 1, "depth": 10**30},
        upbit={"region": "Korea", "partition": 0, "depht": 30},
        kraken=7,
    )
    config(tmp_path, {"batch": {"max_records": "many"}, "watch": {"stall_after_s": 0}})
    beyond = "9 is beyond the 3 of topics.Asia.partitions: raise these"
    assert sorted(problems(tmp_path)) == [
        "config.yml: batch.max_records: a whole number is needed, not 'many'",
        "config.yml: watch.stall_after_s: 1 or more is needed, not 0",
        f"exchanges.yml: exchanges.bybit.depth: 100000 or less is needed, not {10**30}",
        "exchanges.yml: exchanges.kraken: keys with values are needed, not 7",
        f"exchanges.yml: exchanges.mtgox.partition: {beyond}",
        "exchanges.yml: exchanges.mtgox: no decoder is of this name, only of "
        + ", ".join(sorted(EXCHANGES)),
        "exchanges.yml: exchanges.okx.depth: a whole number is needed, not 'many'",
        f"exchanges.yml: exchanges.okx.partition: {PLAN}, not -1",
        "exchanges.yml: exchanges.okx.region: Asia, Korea or NE is needed, not 'Europe'",
        "exchanges.yml: exchanges.upbit.depht: there is no such key: correct or remove it",
        "exchanges.yml: exchanges.upbit.depth: add it",
    ]


def test_config_needs_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("batch: {max_wait_ms: 5}\nkafka:\nlogs: {}\n")
    default_settings, settings = load_settings(), load_settings(tmp_path)
    assert settings.batch.max_wait_ms == 5
    batch = settings.batch.model_copy(update={"max_wait_ms": default_settings.batch.max_wait_ms})
    assert settings.model_copy(update={"batch": batch}) == default_settings
    (tmp_path / "config.yml").write_text("# nothing\n")
    assert load_settings(tmp_path) == default_settings


def test_how_long_to_wait_follows_from_the_delivery() -> None:
    default_settings = load_settings()
    at_least_once = default_settings.model_copy(update={"delivery": "at_least_once"})
    assert (default_settings.max_wait_ms, at_least_once.max_wait_ms) == (1, 0)
    batch = default_settings.batch.model_copy(update={"max_wait_ms": 30})
    assert at_least_once.model_copy(update={"batch": batch}).max_wait_ms == 30


def test_exchanges_are_a_whole_table(tmp_path: Path) -> None:
    names = sorted(set(EXCHANGES) - {"okx"})
    row = {"region": "Asia", "partition": 0, "depth": 1}
    (tmp_path / "exchanges.yml").write_text(yaml.safe_dump({"exchanges": {"okx": row}}))
    text = "has a decoder but no row here: add one"
    assert problems(tmp_path) == [f"exchanges.yml: exchanges.{name}: {text}" for name in names]
    (tmp_path / "exchanges.yml").write_text("exchanges: {}")
    assert len(problems(tmp_path)) == len(EXCHANGES)


def test_both_files_of_a_folder_count(tmp_path: Path) -> None:
    exchanges(tmp_path, kraken={"region": "NE", "partition": 5, "depth": 25})
    settings = load_settings(config(tmp_path, {"topics": {"NE": {"partitions": 6}}}))
    assert (settings.exchanges["kraken"].partition, settings.topics.NE.partitions) == (5, 6)
    assert settings.exchanges["kraken"].depth == 25


def test_a_folder_with_neither_file(tmp_path: Path) -> None:
    remedy = "has none of config.yml, exchanges.yml, sink.yml: name another folder by --setting DIR"
    for folder in (tmp_path, tmp_path / "none"):
        [text] = problems(folder)
        assert text == f"{folder}: {remedy}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": a mapping with the key exchanges is needed, not null"),
        ("[1]", ": a mapping with the key exchanges is needed, not a list"),
        ("okx: {depth: 1}", ": exchanges: add it"),
        ("exchanges: [1]", ": exchanges: a row for each exchange is needed, not a list"),
        ("exchanges:", ": exchanges: a row for each exchange is needed, not null"),
        ("exchanges: {", ": line 1: not YAML: "),
        ("exchanges: {}\nexchanges: {}", ": line 2: not YAML: exchanges stands twice: remove one"),
        ("a: !!python/object:os.system x", ": line 1: not YAML: "),
        ("a: \x01", ": not YAML: unacceptable character"),
        ("? [a]\n: b", ": line 1: not YAML: "),
        ("a: 2024-99-99", ": not YAML: "),
        ("a: !!int x", ": not YAML: "),
        ("a: &a\n  b: *a", ": line 1: not YAML: "),
        ("[" * 5000, ": not YAML: "),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "exchanges.yml").write_text(text, encoding="utf-8")
    assert problems(tmp_path)[0].startswith(f"exchanges.yml{problem}")


def test_files_may_share_rows_as_yaml_does(tmp_path: Path) -> None:
    text = (DEFAULT_FOLDER / "exchanges.yml").read_text(encoding="utf-8")
    text = text.replace("okx:     {", "okx:  &okx {").replace(
        "{region: Asia,  partition: 1, depth: 50,", "{<<: *okx, partition: 1,"
    )
    (tmp_path / "exchanges.yml").write_text(text, encoding="utf-8")
    row = load_settings(tmp_path).exchanges["bybit"]
    assert (row.region, row.partition, row.depth) == ("Asia", 1, 400)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "exchanges.yml").write_bytes(b"\xff")
    (tmp_path / "config.yml").mkdir()
    assert problems(tmp_path) == [
        "config.yml: Is a directory: mend or remove it",
        "exchanges.yml: not UTF-8: mend or remove it",
    ]


# The environment


def test_the_environment_wins_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9093,",
        "KAFKA_CLIENT_ID": "007",
        "KAFKA_SASL_PASSWORD": "0123",
        "BATCH_MAX_RECORDS": "7",
        "LOGS_FOLDER": "",
        "TOPICS_REPLICATION_FACTOR": "3",
        "TOPICS_ASIA_TICKER_INPUT": "1e3",
        "EXCHANGES_OKX_DEPTH": "5",
        "OUTPUT_COMPRESSION": "none",
    }.items():
        monkeypatch.setenv(f"MARKETPREP_{name}", value)
    files = {
        "kafka": {"client_id": "x", "bootstrap_servers": "file:1"},
        "logs": {"folder": "there"},
    }
    settings = load_settings(config(tmp_path, files))
    assert settings.kafka.bootstrap_servers == ("one:9092", "two:9093")
    assert settings.kafka.client_id == "007"
    assert password_of(settings) == "0123"
    assert settings.batch.max_records == 7
    assert settings.logs.folder is None
    assert settings.topics.replication_factor == 3
    assert settings.topics.Asia.ticker.input == "1e3"
    assert settings.exchanges["okx"].depth == 5


def password_of(settings: Settings, name: str = "sasl_password") -> str | None:
    password: SecretStr | None = getattr(settings.kafka, name)
    return password.get_secret_value() if password else None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BATCH_MAX_RECORDS", "many", "batch.max_records: a whole number is needed, not 'many'"),
        ("BATCH_MAX_RECORDS", "", "batch.max_records: a whole number is needed, not null"),
        ("BATCH_MAX_RECORDS", "2024-99-99", "batch.max_records: a whole number is needed, not '20"),
        ("KAFKA_CLIENT_ID", "", "kafka.client_id: a text is needed, not null"),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            "a:1,b",
            "kafka.bootstrap_servers: host:port is needed, not 'b",
        ),
        (
            "EXCHANGES_OKX_REGION",
            "EU",
            "exchanges.okx.region: Asia, Korea or NE is needed, not 'EU",
        ),
        ("KAFKA_CA_FILE", "/no/such", "kafka.ca_file: there is no file /no/such: correct it"),
        ("KAFKA_CLIENTID", "x", "there is no such setting: perhaps MARKETPREP_KAFKA_CLIENT_ID is"),
        (
            "KAFKA_SASL_PASWORD",
            SECRET,
            "there is no such setting: perhaps MARKETPREP_KAFKA_SASL_PA",
        ),
        ("X", "x", "there is no such setting: unset it"),
    ],
)
def test_wrong_variables_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(f"MARKETPREP_{name}", value)
    [text] = problems()
    assert text.startswith(f"MARKETPREP_{name}: {problem}")
    assert SECRET not in text


def test_a_wrong_section_leaves_its_variables_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETPREP_KAFKA_CLIENT_ID", "x")
    [text] = problems(config(tmp_path, {"kafka": 7}))
    assert text == "config.yml: kafka: keys with values are needed, not 7"


def test_variables_of_tests_and_of_the_folder_are_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEST_ANYTHING", "CAPTURES", "MUTATIONS", "SETTING"):
        monkeypatch.setenv(f"MARKETPREP_{name}", "")
    assert load_settings().batch.max_records == 20
    config(tmp_path, {"batch": {"max_records": 3}})
    monkeypatch.setenv("MARKETPREP_SETTING", str(tmp_path))
    assert load_settings().batch.max_records == 3
    other = tmp_path / "other"
    other.mkdir()
    assert load_settings(config(other, {"batch": {"max_records": 4}})).batch.max_records == 4


def test_no_servers_may_be_said_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, {"kafka": {"bootstrap_servers": None}})
    assert load_settings(tmp_path).kafka.bootstrap_servers == ()
    config(tmp_path, {"kafka": {"bootstrap_servers": ["a:1"]}})
    assert load_settings(tmp_path).kafka.bootstrap_servers == ("a:1",)
    variable = "MARKETPREP_KAFKA_BOOTSTRAP_SERVERS"
    monkeypatch.setenv(variable, "")
    [text] = problems(tmp_path)
    assert text.startswith(f"{variable}: kafka.bootstrap_servers: is empty: name host:port")


# Options, and where values come from


def test_options_win_over_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, {"kafka": {"bootstrap_servers": ["file:1"]}, "batch": {"max_wait_ms": 1}})
    monkeypatch.setenv("MARKETPREP_KAFKA_BOOTSTRAP_SERVERS", "variable:2")
    monkeypatch.setenv("MARKETPREP_BATCH_MAX_RECORDS", "2")
    options = {"kafka.bootstrap_servers": "option:3,other:4"}
    loaded = read_settings(tmp_path, options)
    assert loaded.settings.kafka.bootstrap_servers == ("option:3", "other:4")
    origins = {key: (value, origin) for key, value, origin in shown(loaded)}
    assert origins["kafka.bootstrap_servers"] == ("option:3, other:4", "--bootstrap-servers")
    assert origins["batch.max_records"] == ("2", "MARKETPREP_BATCH_MAX_RECORDS")
    assert origins["batch.max_wait_ms"] == ("1", str(tmp_path / "config.yml"))
    assert origins["kafka.ca_file"] == ("null", "default")
    assert loaded.origins["kafka.bootstrap_servers"] == "--bootstrap-servers"
    [text] = problems(tmp_path, {"kafka.bootstrap_servers": "option"})
    assert text == "--bootstrap-servers: kafka.bootstrap_servers: host:port is needed, not 'option'"


def test_what_is_shown_is_every_key() -> None:
    rows = list(shown(read_settings()))
    known = [key for name in FILES for key in leaves(default(name))]
    empty = [f"exchanges.{name}.precision" for name in EXCHANGES] + ["sink.extra"]
    assert sorted(key for key, _, _ in rows) == sorted([*known, *empty])
    assert {origin for _, _, origin in rows} == {"default"}
    assert ("kafka.bootstrap_servers", "none", "default") in rows


# Passwords


def test_passwords_are_refused_in_files_and_never_told(tmp_path: Path) -> None:
    config(tmp_path, {"kafka": {"sasl_password": SECRET, "key_password": [SECRET]}})
    remedy = "a password does not belong in a file: set MARKETPREP_KAFKA"
    assert problems(tmp_path) == [
        f"config.yml: kafka.key_password: {remedy}_KEY_PASSWORD",
        f"config.yml: kafka.sasl_password: {remedy}_SASL_PASSWORD",
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"kafka": {"sasl_passwort": SECRET}},
        {"kafka": {"sasl_password": {"value": SECRET}}},
        {"kafka": [{"sasl_password": SECRET}]},
        {"kafka": f"sasl_password={SECRET}"},
        [{"kafka": {"sasl_password": SECRET}}],
        f"kafka.sasl_password={SECRET}",
        {"sasl_password": SECRET},
    ],
)
def test_passwords_in_the_wrong_place_are_not_told(tmp_path: Path, content: object) -> None:
    assert SECRET not in str(failure(config(tmp_path, content)))


def test_a_password_of_the_environment_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(f"MARKETPREP_KAFKA_{name.upper()}", value)
    monkeypatch.setenv("MARKETPREP_KAFKA_SASL_PASSWORD", SECRET)
    monkeypatch.setenv("MARKETPREP_KAFKA_KEY_PASSWORD", SECRET)
    loaded = read_settings()
    rows = list(shown(loaded))
    assert password_of(loaded.settings) == SECRET
    assert SECRET not in repr(loaded) + str(loaded.settings) + repr(rows)
    row = ("kafka.sasl_password", "(hidden)", "MARKETPREP_KAFKA_SASL_PASSWORD")
    assert row in rows
    monkeypatch.setenv("MARKETPREP_KAFKA_REQUEST_TIMEOUT_MS", "x")
    assert SECRET not in repr(failure().problems)


@pytest.mark.parametrize("name", ["sasl_password", "key_password"])
def test_a_password_is_read_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "password"
    folder = config(tmp_path, {"kafka": {f"{name}_file": str(file)}})
    key = f"kafka.{name}_file"
    missing = f"config.yml: {key}: {file}: No such file or directory: correct it"
    assert problems(folder) == [missing]
    file.write_bytes(b"\xff")
    assert problems(folder)[0].endswith(f"{file}: not UTF-8: correct it")
    file.write_text("\n")
    assert problems(folder)[0].endswith(f"{file}: is empty: correct it")
    file.write_text(f"{SECRET}\n")
    loaded = read_settings(folder)
    assert password_of(loaded.settings, name) == SECRET
    assert (f"kafka.{name}", "(hidden)", str(file)) in shown(loaded)
    assert SECRET not in repr(loaded)
    monkeypatch.setenv(f"MARKETPREP_KAFKA_{name.upper()}", "0123")
    assert password_of(load_settings(folder), name) == "0123"


# What must agree


def test_sasl_needs_mechanism_user_and_password(tmp_path: Path) -> None:
    for protocol in ("SASL_SSL", "SASL_PLAINTEXT"):
        folder = config(tmp_path, {"kafka": {"security_protocol": protocol}})
        assert problems(folder) == [
            f"config.yml: kafka.{name}: is needed for {protocol}: set it"
            for name in ("sasl_mechanism", "sasl_username", "sasl_password")
        ]


def test_certificate_files_must_be_there(tmp_path: Path) -> None:
    files = {name: f"/no/{name}" for name in ("ca_file", "certificate_file", "key_file")}
    assert problems(config(tmp_path, {"kafka": files})) == [
        f"config.yml: kafka.{name}: there is no file {file}: correct it"
        for name, file in files.items()
    ]
    key = tmp_path / "key"
    key.touch()
    [text] = problems(config(tmp_path, {"kafka": {"key_file": str(key)}}))
    assert text.startswith("config.yml: kafka.certificate_file: is needed where kafka.key_file is")
    both = {"key_file": str(key), "certificate_file": str(key), "security_protocol": "SSL"}
    assert load_settings(config(tmp_path, {"kafka": both})).kafka.key_file == key


def test_partitions_must_be_those_of_the_topics(tmp_path: Path) -> None:
    config(tmp_path, {"topics": {"Korea": {"partitions": 2}}})
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)
    text = "is beyond the 2 of topics.Korea.partitions: raise these"
    assert {(problem.key, problem.text) for problem in caught.value.problems} == {
        ("exchanges.coinone.partition", f"2 {text}"),
        ("exchanges.korbit.partition", f"3 {text}"),
    }


def test_a_partition_belongs_to_one_exchange(tmp_path: Path) -> None:
    row = {"region": "Asia", "partition": 0, "depth": 50}
    [text] = problems(exchanges(tmp_path, bybit=row))
    assert text.endswith("exchanges.okx.partition: 0 of Asia is bybit's already: choose another")


@pytest.mark.parametrize(
    ("key", "name", "other"),
    [
        ("NE.ticker.output", "neSocketDataIn-ticker", "NE.ticker.input"),
        ("NE.ticker.input", "asiaSocketDataIn-ticker", "Asia.ticker.input"),
        ("NE.orderbook.output", "Region.NE_TickerPreprocessing", "NE.ticker.output"),
        ("NE.orderbook.output", "koraSocketDataIn-ticker-DLT", "Korea.ticker.input"),
    ],
)
def test_a_topic_has_one_use(tmp_path: Path, key: str, name: str, other: str) -> None:
    texts = problems(config(tmp_path, nested(f"topics.{key}", name)))
    already = f"{name} is topics.{other}'s already: choose another name"
    assert texts[0] == f"config.yml: topics.{key}: {already}"


def test_suffixes_lead_to_topics_of_their_own(tmp_path: Path) -> None:
    suffixes = {"dead_letter_suffix": "-D", "checkpoint_suffix": "-D-R", "replayed_suffix": "-R"}
    [text] = problems(config(tmp_path, {"topics": suffixes}))
    assert text == (
        "config.yml: topics.replayed_suffix: leads, behind that of dead letters, to that of "
        "checkpoints: choose another"
    )
    texts = problems(
        config(tmp_path, nested("topics.NE.ticker.output", "koraSocketDataIn-ticker-DLT-Replayed"))
    )
    assert "koraSocketDataIn-ticker-DLT-Replayed is topics.Korea.ticker.input's already" in texts[0]


def test_rows_and_decoders_must_match(tmp_path: Path) -> None:
    row = {"region": "NE", "partition": 0, "depth": 1}
    texts = problems(exchanges(tmp_path, mtgox=row, acme=row, bybit=None))
    names = ", ".join(sorted(EXCHANGES))
    assert texts[:3] == [
        f"exchanges.yml: exchanges.acme: no decoder is of this name, only of {names}",
        f"exchanges.yml: exchanges.mtgox: no decoder is of this name, only of {names}",
        "exchanges.yml: exchanges.bybit: has a decoder but no row here: add one",
    ]


# The command


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    told = [sys.executable, "-m", "marketprep", "settings", *map(str, arguments)]
    return subprocess.run(told, capture_output=True, text=True, check=False)


def test_the_command_shows_values_and_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(SECRET)
    file = {"sasl_password_file": str(tmp_path / "password")}
    config(tmp_path, {"kafka": SASL | file, "batch": {"max_wait_ms": 5}})
    monkeypatch.setenv("MARKETPREP_KAFKA_KEY_PASSWORD", SECRET)
    done = command("--setting", tmp_path, "--bootstrap-servers", "a:1,b:2")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()]
    assert ["batch.max_wait_ms", "5", str(tmp_path / "config.yml")] in rows
    assert ["batch.max_records", "20", "default"] in rows
    assert ["kafka.sasl_password", "(hidden)", str(tmp_path / "password")] in rows
    assert ["kafka.key_password", "(hidden)", "MARKETPREP_KAFKA_KEY_PASSWORD"] in rows
    assert "a:1, b:2" in done.stdout
    assert SECRET not in done.stdout


def test_the_command_tells_every_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, {"batch": {"max_records": "many"}, "kafka": {"sasl_password": SECRET}})
    monkeypatch.setenv("MARKETPREP_BATCH_MAX_WAITMS", "5")
    done = command("--setting", tmp_path, "--bootstrap-servers", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    for text in (
        f"{tmp_path / 'config.yml'}: batch.max_records: a whole number is needed, not 'many'",
        f"{tmp_path / 'config.yml'}: kafka.sasl_password: a password does not belong in a file",
        "MARKETPREP_BATCH_MAX_WAITMS: there is no such setting: perhaps MARKETPREP_BATCH_MAX_WAIT",
        "--bootstrap-servers: kafka.bootstrap_servers: host:port is needed, not 'nowhere'",
    ):
        assert text in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_needs_a_folder_that_is_there() -> None:
    done = command("--setting", "/no/such")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'/no/such' does not exist" in done.stderr
