"""What went in and what came out: records and dead letters, expected and seen, one by one."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Message

from cluster import Cluster, headers_of
from marketprep import Decoder
from traffic import Pair

_CHUNK_BYTES = 2 << 20

_WRONG = ("lost", "doubled", "misplaced", "different")
_COUNTS = ("expected", "seen", *_WRONG)


@dataclass(frozen=True)
class Account:
    """What became of the records, or of the dead letters, of one exchange and kind."""

    exchange: str
    kind: str
    what: str
    expected: int
    seen: int
    #: Not seen at all, or not as often as they should be.
    lost: int
    #: Seen once more than they should be.
    doubled: int
    #: Seen after what comes later; of what was seen twice, the first counts.
    misplaced: int
    #: Seen, but never expected.
    different: int
    #: Where the first ones stand: lost ones among those expected, others among those seen.
    examples: dict[str, list[int]] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """What should not be, a sentence each."""
        return [
            f"{self.exchange} {self.kind}: {self.what}: {name} {count}, e.g. at {places}"
            for name in _WRONG
            if (count := getattr(self, name))
            for places in [self.examples.get(name)]
        ]


class _Expected(NamedTuple):
    inputs: int
    records: array[int]
    letters: array[int]


def accounts(cluster: Cluster, pair: Pair, fed: int) -> list[Account]:
    """The accounts of a pair of which so many messages were fed, all of which must be there.

    What stands there is what is expected, though a client of ours may have sent some of it twice:
    brokers that are all killed at once may forget which batch of a producer was the last.
    """
    exchange, kind = pair
    expected = _expected(cluster, pair)
    assert expected.inputs >= fed, f"{pair}: {fed} messages were sent, {expected.inputs} are there"
    seen = array("q", (hash(record) for record in _records(cluster, pair)))
    letters = array("q", (_letter(letter) for letter in _dead_letters(cluster, pair)))
    return [
        account(exchange, kind, "records", expected.records, seen),
        account(exchange, kind, "dead letters", expected.letters, letters),
    ]


def account(exchange: str, kind: str, what: str, expected: array[int], seen: array[int]) -> Account:
    """Compares what is expected with what is seen, both in their order."""
    if expected == seen:
        return Account(exchange, kind, what, len(expected), len(seen), 0, 0, 0, 0)
    wanted, found = Counter(expected), Counter(seen)
    missing = wanted - found
    surplus = found - wanted
    doubled = sum(count for one, count in surplus.items() if one in wanted)
    different = surplus.total() - doubled
    return Account(
        exchange,
        kind,
        what,
        len(expected),
        len(seen),
        missing.total(),
        doubled,
        _misplaced(expected, seen),
        different,
        {
            "lost": [place for place, one in enumerate(expected) if one in missing][:5],
            "doubled": [place for place, one in enumerate(seen) if one in surplus][:5],
            "different": [place for place, one in enumerate(seen) if one not in wanted][:5],
        },
    )


def table(found: Iterable[Account]) -> str:
    """Accounts for people, and their sums."""
    lines = [f"{'exchange':10}{'kind':11}{'what':13}" + "".join(f"{name:>11}" for name in _COUNTS)]
    sums: dict[str, Counter[str]] = {}
    for one in found:
        counts = {name: getattr(one, name) for name in _COUNTS}
        lines.append(f"{one.exchange:10}{one.kind:11}{one.what:13}{_cells(counts)}")
        sums.setdefault(one.what, Counter()).update(counts)
    lines += [f"{'all':21}{what:13}{_cells(counts)}" for what, counts in sums.items()]
    return "\n".join(lines)


def _cells(counts: Mapping[str, int]) -> str:
    return "".join(f"{counts[name]:11}" for name in _COUNTS)


def _misplaced(expected: array[int], seen: array[int]) -> int:
    """How many have their first appearance after something that should come later."""
    places: dict[int, int] = {}
    for place, one in enumerate(expected):
        places.setdefault(one, place)
    furthest, count = -1, 0
    for one in dict.fromkeys(seen):
        place = places.get(one, furthest)  # what was never expected has no place
        if place < furthest:
            count += 1
        else:
            furthest = place
    return count


def _expected(cluster: Cluster, pair: Pair) -> _Expected:
    """What a service that nobody disturbs makes of the input, as it stands on its topic."""
    exchange, kind = pair
    topics, partition = cluster.of(exchange, kind)
    decoder = Decoder(kind, cluster.settings)
    records, letters, inputs = array("q"), array("q"), 0
    for chunk in _chunks(cluster.messages(topics.input, partition)):
        values = [message.value() or b"" for message in chunk]
        batch = decoder.decode(values, [message.timestamp()[1] for message in chunk])
        records.extend(map(hash, batch.records.splitlines()))
        for reject in batch.rejects:
            value = values[reject.index] if reject.item is None else reject.value
            offset, item = chunk[reject.index].offset(), reject.item
            letters.append(hash((str(offset), "" if item is None else str(item), value)))
        inputs += len(chunk)
    return _Expected(inputs, records, letters)


def _chunks(messages: Iterator[Message]) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    size = 0
    for message in messages:
        chunk.append(message)
        size += len(message)
        if size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _records(cluster: Cluster, pair: Pair) -> Iterator[bytes]:
    topics, partition = cluster.of(*pair)
    for message in cluster.messages(topics.output, partition):
        value = message.value() or b""
        assert value[:1] + value[-1:] == b"[]", value[:80]
        yield from value[1:-1].replace(b',{"region"', b'\n{"region"').split(b"\n")


def _dead_letters(cluster: Cluster, pair: Pair) -> Iterator[Message]:
    topics, partition = cluster.of(*pair)
    return cluster.messages(f"{topics.input}-DLT", partition)


def _letter(message: Message) -> int:
    headers = {name: (value or b"") for name, value in headers_of(message)}
    offset, item = (headers.get(f"marketprep.{name}", b"") for name in ("offset", "item"))
    places = [part.decode() if isinstance(part, bytes) else part for part in (offset, item)]
    return hash((*places, message.value() or b""))
