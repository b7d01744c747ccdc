"""The reading half of the oracle: strict JSON that keeps number text, exact numbers and times."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from typing import TypeAlias

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# Wider than a binary float, and still short enough to be written out without an exponent.
MOST_DIGITS = 400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_10000 = 253_402_300_800 * 1_000_000


class RejectedError(Exception):
    """Raised where a message is not what it should be."""


class Number(str):
    """A bare JSON number, kept as the text it was sent as."""

    __slots__ = ()


class Message(dict[str, "Json"]):
    """A JSON object that remembers which of its keys stand in it more than once."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.repeated = {key for key in keys if keys.count(key) > 1}


Json: TypeAlias = "str | bool | list[Json] | Message | None"


def parse(text: str) -> Json:
    """Parse strict JSON, with numbers as text and repeated keys remembered."""

    def no_constant(name: str) -> Json:
        raise ValueError(f"{name} is not JSON")

    try:
        parsed: Json = json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=no_constant,
            object_pairs_hook=Message,
        )
    except (ValueError, RecursionError) as error:
        raise RejectedError(str(error)) from error
    return parsed


def read(message: Message, keys: str) -> Json:
    """Give the value under the first of the keys (parted by bars) that is there, else None."""
    for key in keys.split("|"):
        if key in message.repeated:
            raise RejectedError(f"{key} stands twice")
        if key in message:
            return message[key]
    return None


def has(message: Message, keys: str) -> bool:
    """Tell whether one of the keys is there."""
    return any(key in message for key in keys.split("|"))


def objects_of(values: list[Json]) -> list[Message]:
    """Give values that must all be objects, and at least one."""
    objects = [value for value in values if isinstance(value, Message)]
    if not objects or len(objects) < len(values):
        raise RejectedError("objects wanted")
    return objects


def read_word(message: Message, keys: str) -> str:
    """Give a value that must be a string and not a number."""
    value = read(message, keys)
    if not isinstance(value, str) or isinstance(value, Number):
        raise RejectedError(f"{keys} is no string")
    return value


def read_number(value: Json) -> Decimal:
    """Give the exact number a value stands for, be it bare or in a string."""
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise RejectedError(f"{value!r} is no number")
    try:
        number = Decimal(value)
    except DecimalException as error:
        raise RejectedError("a number beyond all bounds") from error
    if number == 0:
        # A zero has no size, but its exponent would still be written out.
        return Decimal(0)
    if len(value) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS:
        raise RejectedError("a number beyond all bounds")
    return number


def read_optional(message: Message, keys: str) -> Decimal | None:
    """Give the number under a key, None where it is missing, null or an empty string."""
    value = read(message, keys)
    return None if value is None or value == "" else read_number(value)


def read_id(message: Message, keys: str) -> int | None:
    """Give an update id, None where it is missing."""
    number = read_optional(message, keys)
    if number is not None and number != number.to_integral_value():
        raise RejectedError("an update id is a whole number")
    return None if number is None else int(number)


def event_time(value: Json) -> int | None:
    """Give a time in microseconds since 1970, None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and (match := RFC_3339.fullmatch(value)):
        date, clock, fraction, zone = match.groups(default="")
        text = f"{date}T{clock}.{fraction[:6]:0<6}{zone.upper()}"
        try:
            time = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError) as error:
            raise RejectedError(f"{value} is no time") from error
    else:
        time = int(read_number(value) * microseconds_per_unit(read_number(value)))
    if time >= YEAR_10000:
        raise RejectedError("a time beyond the year 9999")
    return time if time > 0 else None


def microseconds_per_unit(time: Decimal) -> Decimal:
    """Tell the unit of a time, which nothing but its magnitude gives away."""
    if time >= Decimal("1e17"):
        return Decimal("0.001")
    if time >= Decimal("1e14"):
        return Decimal(1)
    if time >= Decimal("1e11"):
        return Decimal(1000)
    return Decimal(1_000_000)


def first_time(*places: tuple[Message, str]) -> int | None:
    """Give the first time there is among some places."""
    for message, keys in places:
        if (time := event_time(read(message, keys))) is not None:
            return time
    return None
