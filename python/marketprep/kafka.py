"""Connections to Kafka: what clients are told of the cluster, and what their errors mean."""

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

from marketprep import error_codes, tls
from marketprep.error_codes import UnlistedError
from marketprep.settings import KafkaSettings

error_codes.install()


class KafkaFailure(Exception):  # noqa: N818 - the error that a user sees; "Error" stands before it
    """Something that Kafka refused for good; the message says what, and what to do."""


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments that every client of aiokafka takes.

    Raises KafkaFailure if files of certificates cannot be used.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "request_timeout_ms": settings.request_timeout_ms,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        try:
            arguments["ssl_context"] = tls.context(settings)
        except tls.TlsError as error:
            raise KafkaFailure(str(error)) from None
    if settings.sasl_mechanism:
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        if settings.sasl_password:
            arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that looks after topics. Raises KafkaFailure if no broker lets us in."""
    client = AIOKafkaAdminClient(**connection(settings))
    is_let_in = False
    with _Listening() as heard:
        try:
            await client.start()
            is_let_in = True
            yield client
        except (errors.KafkaConnectionError, errors.NodeNotReadyError) as error:
            cause = heard.error or error
            if not is_let_in and _weight(cause) == _CLOSED:
                text = _CLOSED_AT_ONCE.format(
                    servers=", ".join(settings.bootstrap_servers),
                    protocol=settings.security_protocol,
                )
                raise KafkaFailure(text) from error
            raise KafkaFailure(explain(cause, settings)) from error
        except (errors.KafkaError, OSError) as error:
            raise KafkaFailure(explain(error, settings)) from error
        finally:
            await client.close()


_CLOSED_AT_ONCE = (
    "Kafka at {servers} closes connections at once: kafka.security_protocol {protocol} is not that "
    "of its port, so set the right one of PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL."
)

# How much errors of a first connection tell: that nobody is there, or somebody who does not like
# what we say, or why.
_NOBODY, _CLOSED, _TOLD = range(3)


def _weight(error: BaseException | None) -> int:
    chain = list(_chain(error))
    if any(isinstance(one, ssl.SSLError) for one in chain):
        return _TOLD
    if any(isinstance(one, EOFError | ConnectionResetError) for one in chain):
        return _CLOSED
    is_of_kafka = isinstance(error, errors.KafkaError)
    return _TOLD if is_of_kafka and not isinstance(error, errors.KafkaConnectionError) else _NOBODY


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_no_login(record: logging.LogRecord) -> bool:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(argument).__name__.startswith("Sasl") for argument in arguments)


# At debug level aiokafka logs every request, and passwords are in those of a login.
logging.getLogger("aiokafka.conn").addFilter(_is_no_login)


class _Listening(logging.Filter):
    """Keeps aiokafka's log of its connections to itself, and the error that tells most there.

    What is raised says no more than that no broker could be reached.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        for argument in arguments:
            if not isinstance(argument, errors.KafkaError | OSError):
                continue
            error: BaseException = argument
            if self.error is None or _weight(error) > _weight(self.error):
                self.error = error
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
        (
            "Kafka at {servers} refuses {user} or the password: correct kafka.sasl_username, "
            "kafka.sasl_password or, if it knows neither by this one, kafka.sasl_mechanism."
        ),
    ),
    (
        errors.UnsupportedSaslMechanismError,
        (
            "Kafka at {servers} does not take {mechanism}: set kafka.sasl_mechanism to one that "
            "its port has."
        ),
    ),
    (
        errors.IllegalSaslStateError,
        (
            "Kafka at {servers} asks for no password: set kafka.security_protocol to PLAINTEXT or "
            "SSL, or name a port that asks for one."
        ),
    ),
    (
        errors.TopicAuthorizationFailedError,
        "Kafka denies {user} the topic {topic}: grant {operation} on it.",
    ),
    (
        errors.GroupAuthorizationFailedError,
        "Kafka denies {user} the consumer group {said}: grant Read on it.",
    ),
    (
        errors.TransactionalIdAuthorizationFailed,
        (
            "Kafka denies {user} a transactional id ({said}): grant Write and Describe on all that "
            "begin with {prefix} (kafka.transactional_id_prefix)."
        ),
    ),
    (
        errors.ClusterAuthorizationFailedError,
        (
            "Kafka denies {user} the cluster: grant IdempotentWrite on it, or Write on the topics "
            "that are produced to."
        ),
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
    (
        UnlistedError,
        "Kafka at {servers} refuses a request{about}: error {code}, {name}: {remedy}",
    ),
    (BaseException, "Kafka at {servers} refused to work{about}: {error}"),
)


def explain(error: BaseException, settings: KafkaSettings, topic: str | None = None) -> str:
    """A sentence for people: what is wrong, and what they can do about it.

    `topic` is the one that was produced to.
    """
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            return tls.explain(cause, settings)
    text = next(text for kinds, text in _EXPLANATIONS if isinstance(error, kinds))
    said = ", ".join(map(_text, error.args)) if isinstance(error, errors.KafkaError) else str(error)
    said = said.strip().partition("\n")[0]
    name = type(error).__name__
    if isinstance(error, errors.BrokerResponseError):
        name += f" (error {error.errno})"
    return text.format(
        servers=", ".join(settings.bootstrap_servers),
        topic=topic or said or "that was asked for",
        operation="Write" if topic else "Read, or Write if it is produced to,",
        said=said or "that was asked for",
        user=user(settings),
        mechanism=settings.sasl_mechanism,
        prefix=settings.transactional_id_prefix,
        error=f"{name}: {said}" if said else name,
        about=f" for the topic {topic}" if topic else "",
        code=getattr(error, "errno", None),
        name=getattr(error, "message", None),
        remedy=getattr(error, "remedy", None),
    )


def _text(argument: object) -> str:
    """What an argument of an error says: names may be several."""
    if isinstance(argument, set | frozenset | list | tuple):
        return ", ".join(sorted(map(str, argument)))
    return str(argument)


def user(settings: KafkaSettings) -> str:
    """Who we are to the brokers, in words."""
    if settings.security_protocol.startswith("SASL"):
        return f"the user {settings.sasl_username}"
    if settings.security_protocol == "SSL" and settings.certificate_file:
        return f"the owner of {settings.certificate_file}"
    return "users without a name"
