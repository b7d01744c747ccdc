"""Damaged bytes: never a panic, and every item is accounted for."""

import json
import os
import random
import resource
from collections.abc import Iterator

import pytest

from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from marketprep import Decoder, Kind, Totals
from messages import envelope

#: MARKETPREP_MUTATIONS=1000000 makes a long run of it.
ITEMS = int(os.environ.get("MARKETPREP_MUTATIONS", "60000"))
BATCH = 200

_PIECES = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-",
    b"e9",
    b"1e999",
    b"\\u00e9",
]
_PIECES += [b"\xff", b"\x00", b"\\ud800", b'\\"', b'""', b"0", b"9" * 50, b'"asks":[]', b"  "]


def sources(exchange: str, kind: Kind) -> list[bytes]:
    """The items of the fixtures, as they stand in their envelopes."""
    files = (f"{kind}.jsonl", "control.jsonl")
    values = [line for file in files for line in lines_of(FIXTURES / exchange / file)]
    items = [item for value in values for item in json.loads(value)["data"]]
    return [json.dumps(item, ensure_ascii=False).encode() for item in items]


def damaged(item: bytes, dice: random.Random) -> bytes:
    """The item with one to four places of it changed."""
    text = bytearray(item)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(text) + 1), dice.choice((0, 0, 1, 2, 9, 60))
        piece = dice.choice(
            (dice.choice(_PIECES), bytes([dice.randrange(256)]), text[at : at + 30])
        )
        text[at : at + length] = dice.choice((b"", piece, piece))
    return bytes(text)


def damaged_envelopes(
    exchange: str, kind: Kind, dice: random.Random
) -> Iterator[tuple[bytes, bool]]:
    """Envelopes with one damaged item each, and whether the damage stays inside of a string."""
    items = sources(exchange, kind)
    while True:
        item = damaged(dice.choice(items), dice)
        if dice.random() < 0.5:
            text = item.decode("utf-8", "surrogateescape")
            inside = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")
            yield envelope(exchange, ["@"]).replace(b"@", inside), True
        else:
            yield envelope(exchange, ["@"]).replace(b"@", item), False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_damaged_item_is_accounted_for(exchange: str, kind: Kind) -> None:
    dice = random.Random(f"{exchange} {kind}")  # noqa: S311 - to be reproducible, not secret
    decoder, totals, inside_strings, whole = Decoder(kind), Totals(), 0, 0
    envelopes = damaged_envelopes(exchange, kind, dice)
    rounds = ITEMS // (len(EXCHANGES) * len(KINDS) * BATCH) + 1
    settled = 0
    for round_ in range(rounds):
        drawn = [next(envelopes) for _ in range(BATCH)]
        inside_strings += sum(inside for _, inside in drawn)
        batch = decoder.decode([value for value, _ in drawn])
        whole += sum(reject.item is None for reject in batch.rejects)
        for reject in batch.rejects:
            if reject.item is None:
                assert reject.value == drawn[reject.index][0]
        totals.add(batch)
        if round_ == rounds // 2:
            settled = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert totals.envelopes == rounds * BATCH
    assert totals.items >= inside_strings, "damage inside of a string must not cost the envelope"
    kept = totals.decoded + totals.control.total() + totals.held_back.total()
    assert kept + totals.rejected.total() - whole == totals.items
    assert totals.rejected.total() > totals.envelopes / 10, "the damage must hurt"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - settled
    assert grown < 8 << 10, f"memory grew by {grown} KiB in the second half"
