"""Dead letters: what was set aside, with the headers that tell why and where it came from."""

from base64 import b64encode

import orjson

from marketprep._core import Reject
from marketprep.decoder import Kind


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


def to_json(value: bytes, described: dict[str, str]) -> bytes:
    """A dead letter as a line of JSON; its value as text, or in base64 if it is no UTF-8."""
    try:
        content = {"value": value.decode("utf-8"), "headers": described}
    except UnicodeDecodeError:
        content = {"value_base64": b64encode(value).decode("ascii"), "headers": described}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
