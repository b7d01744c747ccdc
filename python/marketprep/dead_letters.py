"""Dead letters: what was set aside, with the headers that tell why and where it came from."""

from base64 import b64encode

import orjson
from aiokafka import ConsumerRecord

from marketprep._core import Reject
from marketprep.batch import Message
from marketprep.kind import Kind

#: What the names of our headers begin with.
PREFIX = "marketprep."


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

    Key, time and headers stay, so that producing it back to the input topic is the replay.
    """
    described = headers(reject, kind, record.topic, record.partition, record.offset)
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    is_whole = reject.item is None
    value = record.value if is_whole else reject.value
    if value is None and record.key is None:
        value = b""  # neither a key nor a value is nothing that can be sent
    timestamp = record.timestamp if record.timestamp >= 0 else None
    ours = [(name, text.encode()) for name, text in described.items()]
    return Message(topic, record.partition, record.key, value, timestamp, (*kept, *ours))


def to_json(value: bytes, described: dict[str, str]) -> bytes:
    """A dead letter as a line of JSON; its value as text, or in base64 if it is no UTF-8."""
    try:
        content = {"value": value.decode("utf-8"), "headers": described}
    except UnicodeDecodeError:
        content = {"value_base64": b64encode(value).decode("ascii"), "headers": described}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
