"""What is wrong with settings: where, what, and what to do about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REMEDIES = {
    "extra_forbidden": "there is no such key: correct or remove it",
    "missing": "add it",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "greater_than": "more than 0 is needed",
    "finite_number": "a number is needed",
    "too_short": "more values are needed",
    "too_long": "fewer values are needed",
    "string_type": "a text is needed",
    "string_too_short": "a text is needed",
    "model_type": "keys with values are needed",
    "dict_type": "a row for each exchange is needed",
    "mapping_type": "a row for each exchange is needed",
    "tuple_type": "a list is needed",
    "is_instance_of": "a path is needed",
}

#: Errors of what should have keys below it.
_OF_SECTIONS = ("model_type", "dict_type", "mapping_type")

#: By the end of a key; what is not here is a topic's name.
_PATTERNS = {
    "bootstrap_servers": "host:port is needed",
    "_address": "host:port is needed",
    "url": "an address such as http://minio:9000 is needed",
    "bucket": "a bucket's name is needed: 3 to 63 lower-case letters, digits, dots and hyphens",
    "": "a topic's name is needed: letters, digits, dot, underscore and hyphen",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `origin` is a file, a variable of the environment or an option."""

    origin: str
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.key, self.text) if part)


class SettingsError(Exception):
    """Settings that cannot be used. `problems` has all of them, the message one a line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


#: What keys of Kafka Connect have in their names if they may have a secret in their values.
_SECRET_WORDS = ("password", "secret", "token", "jaas", "credential")

_LOGIN = re.compile(r"^(\w+://)?.*@", re.DOTALL)


def is_secret(key: str) -> bool:
    """Whether the value of a key must never be shown."""
    if key.startswith("sink.extra."):
        return any(word in key.lower() for word in _SECRET_WORDS)
    return key.endswith(("_password", "secret_access_key"))


def given(value: object, *, hides_text: bool = False) -> str:
    """What stands where something else is needed, without what is within: that may be secret."""
    kinds: dict[type, str] = {type(None): "null", list: "a list", dict: "keys with values"}
    if hides_text:
        kinds[str] = "a text"
    if isinstance(value, str):  # what stands before an address may be a user and a password
        value = _LOGIN.sub(r"\1(hidden)@", value)
    return kinds.get(type(value)) or repr(value)


def remedy(key: str, details: Mapping[str, Any]) -> str:
    """What to do about an error that pydantic found, and what was given instead."""
    kind, context = str(details["type"]), details.get("ctx") or {}
    text = _REMEDIES.get(kind) or str(details["msg"])
    if ".precision" in key:
        text = "decimals of price and size by instrument are needed, as {BTC/USD: [1, 8]}"
    elif kind == "literal_error":
        text = f"{context['expected'].replace(chr(39), '')} is needed"
    elif "ge" in context:
        text = f"{context['ge']} or more is needed"
    elif "le" in context:
        text = f"{context['le']} or less is needed"
    elif kind == "tuple_type" and key == "kafka.bootstrap_servers":
        text = "a list of host:port is needed"
    elif kind == "string_pattern_mismatch":
        text = next(text for end, text in _PATTERNS.items() if key.endswith(end))
    if (".precision" not in key and kind in ("missing", "extra_forbidden")) or is_secret(key):
        return text
    return f"{text}, not {given(details['input'], hides_text=kind in _OF_SECTIONS)}"
