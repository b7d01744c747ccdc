"""Tests of errors that brokers answer with codes that aiokafka does not know."""

import pytest
from aiokafka import errors
from confluent_kafka import KafkaError
from confluent_kafka.cimpl import NewTopic

from cluster import Cluster
from marketprep import error_codes
from marketprep.error_codes import UnlistedError
from marketprep.kafka import explain, is_transient
from marketprep.settings import load_settings

SETTINGS = load_settings(options={"kafka.bootstrap_servers": "kafka:9092"}).kafka


def test_names_are_those_of_another_client() -> None:
    """Checked against librdkafka, which knows most of them."""
    known = 0
    for code, name in error_codes._NAMES.items():  # noqa: SLF001 - the table
        theirs = KafkaError(code).name()
        if not theirs.startswith("ERR_"):
            known += 1
            assert theirs == name, code
    assert known > 20


def test_each_code_has_an_error_of_its_own() -> None:
    for code in range(-1, 512):
        error = errors.for_code(code)
        assert error.errno == code
        text = explain(error(), SETTINGS, "letters")
        assert "UnknownError" not in text or code == -1
        if issubclass(error, UnlistedError):
            assert text.startswith(
                f"Kafka at kafka:9092 refuses a request for the topic letters: error {code}, "
            )
    assert "later version" in explain(errors.for_code(400)(), SETTINGS)
    assert explain(errors.UnknownError(), SETTINGS, "letters") == (
        "Kafka at kafka:9092 refused to work for the topic letters: UnknownError (error -1)"
    )


@pytest.mark.parametrize(("code", "is_so"), [(75, True), (78, True), (87, False), (400, False)])
def test_which_may_pass(code: int, is_so: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_transient(errors.for_code(code)()) is is_so


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_letter_without_key_on_a_compacted_topic(cluster: Cluster, delivery: str) -> None:
    cluster.configure(delivery=delivery)
    topics, partition = cluster.of("upbit", "ticker")
    letters = f"{topics.input}-DLT"
    compacted = NewTopic(letters, 4, 1, config={"cleanup.policy": "compact"})
    cluster.admin.create_topics([compacted])[letters].result()
    cluster.create_topics()
    cluster.produce(topics.input, partition, [b"no envelope"])
    done = cluster.marketprep("run", "--exchange", "upbit", "--kind", "ticker")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: Kafka at {cluster.address} refuses a request for the topic {letters}: error 87, "
        "INVALID_RECORD: the topic accepts no such record. If the topic is compacted, it accepts "
        "none without a key: set its cleanup.policy to delete (kafka-configs --alter --add-config)."
    )
    assert "Traceback" not in done.stderr
    assert cluster.committed("upbit", "ticker") == 0
