"""What settings must hold beyond the types of their keys."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from marketprep._core import exchange_names
from marketprep.kind import KINDS
from marketprep.settings.model import REGIONS, as_path, is_whole, planned
from marketprep.settings.problem import Problem

#: Tells where the value of a key comes from.
Origin = Callable[[str], str]

_FILES = ("ca_file", "certificate_file", "key_file")


def check(content: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    """Problems of content that may still be of any type."""
    exchanges, topics, kafka = (_mapping(content, key) for key in ("exchanges", "topics", "kafka"))
    if isinstance(content.get("exchanges"), Mapping):
        yield from _names(exchanges, origin)
    yield from _partitions(exchanges, topics, origin)
    yield from _distinct_topics(topics, origin)
    yield from _security(kafka, origin)
    yield from _transactions(content, kafka, origin)
    yield from _publish(exchanges, _mapping(content, "output"), origin)
    yield from _sink(_mapping(content, "sink"), origin)


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def _names(exchanges: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    decoders = {name for name, _ in exchange_names()}
    for name in sorted(exchanges.keys() - decoders):
        known, key = ", ".join(sorted(decoders)), f"exchanges.{name}"
        yield Problem(origin("exchanges"), key, f"no decoder is of this name, only of {known}")
    for name in sorted(decoders - exchanges.keys()):
        key = f"exchanges.{name}"
        yield Problem(origin("exchanges"), key, "has a decoder but no row here: add one")


def _partitions(
    exchanges: Mapping[str, Any], topics: Mapping[str, Any], origin: Origin
) -> Iterator[Problem]:
    owners: dict[tuple[str, int], str] = {}
    for name, row in exchanges.items():
        if not isinstance(row, Mapping) or not isinstance(region := row.get("region"), str):
            continue
        try:
            plan = planned(row.get("partition"))
        except PydanticCustomError:
            continue  # which is told by its type
        key = f"exchanges.{name}.partition"
        count = _mapping(topics, region).get("partitions")
        for partition in plan if isinstance(plan, tuple) else (plan,):
            if not is_whole(partition):
                continue
            # in a list, or by `all`, exchanges may share partitions; a lone number is one's own
            owner = name if plan != partition else owners.setdefault((region, partition), name)
            if owner != name:
                text = f"{partition} of {region} is {owner}'s already: choose another"
                yield Problem(origin(key), key, text)
            if is_whole(count) and partition >= count:
                text = f"is beyond the {count} of topics.{region}.partitions: raise these"
                yield Problem(origin(key), key, f"{partition} {text}")


def _publish(
    exchanges: Mapping[str, Any], output: Mapping[str, Any], origin: Origin
) -> Iterator[Problem]:
    """Records of books that are not to be trusted must say so, which the usual ones cannot."""
    if output.get("extended") is True:
        return
    for name, row in exchanges.items():
        if isinstance(row, Mapping) and row.get("publish") == "all":
            text = "needs records that say what a book is: set output.extended to true"
            key = f"exchanges.{name}.publish"
            yield Problem(origin(key), key, text)


def _distinct_topics(topics: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    suffixes = {what: topics.get(f"{what}_suffix") for what in ("dead_letter", "checkpoint")}
    seen = dict[str, str]()
    if suffixes["dead_letter"] == suffixes["checkpoint"]:
        key = "topics.checkpoint_suffix"
        yield Problem(origin(key), key, "is that of dead letters too: choose another")
        del suffixes["checkpoint"]
    suffixes["replayed"] = f"{suffixes['dead_letter']}{topics.get('replayed_suffix')}"
    if suffixes["replayed"] == suffixes.get("checkpoint"):
        key = "topics.replayed_suffix"
        text = "leads, behind that of dead letters, to that of checkpoints: choose another"
        yield Problem(origin(key), key, text)
        del suffixes["replayed"]
    for region in REGIONS:
        for kind in KINDS:
            names = _mapping(_mapping(topics, region), kind)
            for role in ("input", "output"):
                key, name = f"topics.{region}.{kind}.{role}", names.get(role)
                if not isinstance(name, str):
                    continue
                own = [
                    f"{name}{suffix}"
                    for what, suffix in suffixes.items()
                    if role == "input" and (what != "checkpoint" or kind == "orderbook")
                ]
                for used in (name, *own):
                    if (other := seen.setdefault(used, key)) != key:
                        text = f"{used} is {other}'s already: choose another name"
                        yield Problem(origin(key), key, text)


def _transactions(
    content: Mapping[str, Any], kafka: Mapping[str, Any], origin: Origin
) -> Iterator[Problem]:
    """A transaction must end well before brokers undo it."""
    limit = kafka.get("transaction_timeout_ms")
    if content.get("delivery") != "exactly_once" or not is_whole(limit):
        return
    for name in ("max_wait_ms", "commit_interval_ms"):
        milliseconds = _mapping(content, "batch").get(name)
        if is_whole(milliseconds) and milliseconds > limit // 2:
            text = f"{milliseconds} is over half of kafka.transaction_timeout_ms: lower it"
            yield Problem(origin(f"batch.{name}"), f"batch.{name}", text)


def _security(kafka: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    protocol = kafka.get("security_protocol")
    if isinstance(protocol, str) and protocol.startswith("SASL_"):
        for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
            if not kafka.get(name):
                key = f"kafka.{name}"
                yield Problem(origin(key), key, f"is needed for {protocol}: set it")
    for name in _FILES:
        file, key = as_path(kafka.get(name)), f"kafka.{name}"
        if isinstance(file, Path) and not file.is_file():
            yield Problem(origin(key), key, f"there is no file {file}: correct it")
    if isinstance(kafka.get("key_file"), str) and not kafka.get("certificate_file"):
        key = "kafka.certificate_file"
        yield Problem(origin(key), key, "is needed where kafka.key_file is set: set both")


def _sink(sink: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    owners = dict[tuple[object, object], str]()
    for name, row in _mapping(sink, "connectors").items():
        if not isinstance(row, Mapping):
            continue
        key, topics = f"sink.connectors.{name}.topics", row.get("topics")
        if topics is None and name not in KINDS:
            yield Problem(origin(key), key, "add it: only those of ticker and orderbook are known")
        for topic in topics if isinstance(topics, list) else ():
            owner = owners.setdefault((topic, row.get("bucket")), name)
            if owner != name:
                text = f"{topic} goes into this bucket by {owner} already: choose another bucket"
                yield Problem(origin(key), key, text)
