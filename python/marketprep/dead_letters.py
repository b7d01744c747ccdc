"""Dead letters: what was set aside, with the headers that tell why and where it came from."""

from base64 import b64encode

import orjson
from aiokafka import ConsumerRecord

from marketprep._core import Reject
from marketprep.batch import Headers, Message
from marketprep.kind import Kind

#: What the names of our headers begin with.
PREFIX = "marketprep."

#: The header that tells how often a message was replayed; replaying adds it.
ATTEMPT = "marketprep.attempt"


def headers(reject: Reject, kind: Kind, topic: str, partition: int, offset: int) -> dict[str, str]:
    """The headers of a dead letter. Item and exchange are left out where there is none."""
    described = {
        "marketprep.reason": reject.reason,
        "marketprep.detail": reject.detail,
        "marketprep.topic": topic,
        "marketprep.partition": str(partition),
        "marketprep.offset": str(offset),
        "marketprep.kind": kind,
    }
    if reject.item is not None:
        described["marketprep.item"] = str(reject.item)
    if reject.exchange is not None:
        described["marketprep.exchange"] = reject.exchange
    return described


def message(reject: Reject, record: ConsumerRecord, kind: Kind, topic: str) -> Message:
    """The dead letter of a Kafka record.

    Key, time and headers stay, so that producing it back to the input topic is the replay. Of our
    own headers only the number of attempts does, by which a replay knows what has failed again.
    """
    described = headers(reject, kind, record.topic, record.partition, record.offset)
    attempts = [header for header in record.headers if header[0] == ATTEMPT]
    value = record.value if reject.item is None else reject.value
    ours = [(name, text.encode()) for name, text in described.items()]
    return _message(record, value, topic, record.partition, (*attempts, *ours))


def replayed(record: ConsumerRecord, topic: str, partition: int, attempt: int) -> Message:
    """What a dead letter was before it became one, and the number of the attempt."""
    ours = [(ATTEMPT, str(attempt).encode())]
    return _message(record, record.value, topic, partition, ours)


def _message(
    record: ConsumerRecord, value: bytes | None, topic: str, partition: int, ours: Headers
) -> Message:
    """A value with the key, the time and the headers of a record, and headers of ours."""
    if value is None and record.key is None:
        value = b""  # neither a key nor a value is nothing that can be sent
    timestamp = record.timestamp if record.timestamp >= 0 else None
    theirs = [header for header in record.headers if not header[0].startswith(PREFIX)]
    return Message(topic, partition, record.key, value, timestamp, (*theirs, *ours))


def to_json(value: bytes, described: dict[str, str]) -> bytes:
    """A dead letter as a line of JSON; its value as text, or in base64 if it is no UTF-8."""
    try:
        content = {"value": value.decode("utf-8"), "headers": described}
    except UnicodeDecodeError:
        content = {"value_base64": b64encode(value).decode("ascii"), "headers": described}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
