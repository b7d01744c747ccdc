"""Connections to Kafka: what clients are told of the cluster, and what their errors mean."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

from marketprep.settings import KafkaSettings


class KafkaFailure(Exception):  # noqa: N818 - the error that a user sees; "Error" stands before it
    """Something that Kafka refused for good; the message says what, and what to do."""


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments that every client of aiokafka takes."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "request_timeout_ms": settings.request_timeout_ms,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        arguments["ssl_context"] = _ssl_context(settings)
    if settings.sasl_mechanism:
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        if settings.sasl_password:
            arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file:
            password = settings.key_password.get_secret_value() if settings.key_password else None
            context.load_cert_chain(settings.certificate_file, settings.key_file, password)
    except OSError as error:  # ssl.SSLError is one
        raise KafkaFailure(
            f"The certificates of kafka.ca_file, certificate_file and key_file cannot be used: "
            f"{error.strerror or error}. PEM files are needed."
        ) from None
    return context


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that looks after topics. Raises KafkaFailure if no broker lets us in."""
    client = AIOKafkaAdminClient(**connection(settings))
    try:
        with _Listening() as heard:
            try:
                await client.start()
            except errors.KafkaConnectionError as error:
                raise heard.error or error from None
        yield client
    except (errors.KafkaError, OSError) as error:
        raise KafkaFailure(explain(error, settings)) from error
    finally:
        await client.close()


class _Listening(logging.Filter):
    """Keeps aiokafka's log of a first connection to itself, and the error that it told there.

    What is raised says no more than that no broker could be reached.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: errors.KafkaError | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        for argument in arguments:
            if isinstance(argument, errors.KafkaError):
                self.error = argument
        return False

    def __enter__(self) -> Self:
        logging.getLogger("aiokafka").addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("aiokafka").removeFilter(self)


def is_transient(error: BaseException) -> bool:
    """Whether trying again, with new clients, may do."""
    if isinstance(error, _MENDED_BY_NEW_CLIENTS | OSError):
        return True
    # what is no more than a KafkaError has an error of the group's coordinator as its text
    is_unspecific = type(error) is errors.KafkaError
    return isinstance(error, errors.KafkaError) and (bool(error.retriable) or is_unspecific)


# An idempotent producer that has lost its place never finds it again; a new one has none to lose.
# A time-out is what clients say of brokers that are away for longer than a request may take, and an
# illegal state what a consumer says of a partition that its group has just taken away.
_MENDED_BY_NEW_CLIENTS = (
    errors.KafkaTimeoutError
    | errors.OutOfOrderSequenceNumber
    | errors.UnknownProducerId
    | errors.ProducerClosed
    | errors.ConsumerStoppedError
    | errors.InvalidTxnState
    | errors.InvalidProducerIdMapping
    | errors.IllegalStateError
)

_JOINED = (
    "Kafka refuses to commit offsets, as another program has joined the consumer group of this "
    "lane: stop that, or change the group_id under topics in the settings."
)

#: What members of a group are told that are none any more.
LOST_MEMBERSHIP = (
    errors.CommitFailedError,
    errors.UnknownMemberIdError,
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
)

_EXPLANATIONS = (
    (
        errors.AuthenticationFailedError | errors.SaslAuthenticationFailed,
        "Kafka at {servers} refuses the user or password: check kafka.sasl_username.",
    ),
    (
        errors.UnsupportedSaslMechanismError,
        "Kafka at {servers} does not know kafka.sasl_mechanism: choose one that it has.",
    ),
    (
        errors.TopicAuthorizationFailedError,
        "Kafka denies access to the topic {topic}: give the user the right.",
    ),
    (
        errors.GroupAuthorizationFailedError,
        "Kafka denies access to the consumer group ({error}): give the user the right.",
    ),
    (
        errors.UnknownTopicOrPartitionError,
        "The topic {topic} is not there: `marketprep topics create` makes it.",
    ),
    (
        errors.MessageSizeTooLargeError | errors.RecordListTooLargeError,
        "A batch is larger than the topic {topic} allows: raise the topic's max.message.bytes.",
    ),
    (
        errors.KafkaConnectionError | errors.NoBrokersAvailable | OSError,
        (
            "No Kafka answers at {servers}: is it running, are the address and "
            "kafka.security_protocol right? (--bootstrap-servers, or kafka.bootstrap_servers)"
        ),
    ),
    (LOST_MEMBERSHIP, _JOINED),
    (
        errors.KafkaTimeoutError,
        "Kafka at {servers} did not answer in time: are all brokers up? (kafka.request_timeout_ms)",
    ),
    (BaseException, "Kafka at {servers} refused to work: {error}"),
)


def explain(error: BaseException, settings: KafkaSettings, topic: str | None = None) -> str:
    """A sentence for people: what is wrong, and what they can do about it."""
    text = next(text for kinds, text in _EXPLANATIONS if isinstance(error, kinds))
    said = ", ".join(map(str, error.args)) if isinstance(error, errors.KafkaError) else str(error)
    said = said.strip().partition("\n")[0]
    return text.format(
        servers=", ".join(settings.bootstrap_servers),
        topic=topic or said or "that was asked for",
        error=f"{type(error).__name__}: {said}" if said else type(error).__name__,
    )
