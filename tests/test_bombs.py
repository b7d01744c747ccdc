"""JSON made to do harm: it costs its own item, in time and memory that grow as it does."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from marketprep import Decoder, Kind, Totals

_TOKEN = re.compile(rb'"?-?\d+(?:\.\d+)?"?')
_MEMBER = re.compile(rb'\{\s*("[^"]*"\s*:\s*(?:"[^"]*"|[\d.]+|\[\]))')


@dataclass(frozen=True)
class Good:
    """An item that leads to a record, cut where a number that is read stands in it."""

    before: bytes
    number: bytes
    after: bytes

    @property
    def whole(self) -> bytes:
        return self.before + self.number + self.after

    def with_number(self, number: bytes) -> bytes:
        return self.before + number + self.after

    def with_member(self, member: bytes) -> bytes:
        """With one more member at its end, of a key that nobody reads."""
        return self.whole.rstrip()[:-1] + b", " + member + b"}"


#: Bombs of a size: what they are, why they are refused, or None where they do no harm at all.
BOMBS: dict[str, tuple[Callable[[Good, int], bytes], str | None]] = {
    "brackets": (lambda _, n: b"[" * n + b"]" * n, "not_json"),
    "braces": (lambda _, n: b'{"a":' * n + b"1" + b"}" * n, "too_deep|not_json"),
    "brackets in a member": (
        lambda good, n: good.with_member(b'"nobody": ' + b"[" * n + b"]" * n),
        "too_deep",
    ),
    "brackets for a number": (
        lambda good, n: good.with_number(b"[" * n + b"]" * n),
        "invalid_number",
    ),
    "messages": (lambda _, n: b"[" + b"{}," * n + b"{}]", "too_large"),
    "digits": (lambda good, n: good.with_number(b"9" * n), "invalid_number"),
    "quoted digits": (lambda good, n: good.with_number(b'"' + b"9" * n + b'"'), "invalid_number"),
    "decimals": (lambda good, n: good.with_number(b"0." + b"1" * n), "invalid_number"),
    "zeros": (lambda good, n: good.with_number(b"1." + b"0" * n), None),
    "exponent": (lambda good, _: good.with_number(b"1e999999999"), "invalid_number"),
    "small exponent": (lambda good, _: good.with_number(b'"1e-999999999"'), "invalid_number"),
    "long exponent": (lambda good, n: good.with_number(b"1e" + b"9" * n), "invalid_number"),
    "long small exponent": (
        lambda good, n: good.with_number(b'"1e-' + b"9" * n + b'"'),
        "invalid_number",
    ),
    "exponent of nothing": (lambda good, n: good.with_number(b"0e" + b"9" * n), None),
    "text for a number": (
        lambda good, n: good.with_number(b'"' + b"x" * n + b'"'),
        "invalid_number",
    ),
    "escapes for a number": (
        lambda good, n: good.with_number(b'"' + rb"\u0031" * n + b'"'),
        "invalid_number",
    ),
    "quotes for a number": (
        lambda good, n: good.with_number(b'"' + rb"\"" * n + b'"'),
        "invalid_number",
    ),
    "text alone": (lambda _, n: b'"' + b"x" * 3 * n + b'"', "not_json"),
    "text in a member": (
        lambda good, n: good.with_member(b'"nobody": "' + b"x" * 3 * n + b'"'),
        None,
    ),
    "backslashes": (lambda good, n: good.with_member(b'"nobody": "' + rb"\\" * n + b'"'), None),
    "digits in a member": (lambda good, n: good.with_member(b'"nobody": ' + b"9" * n), None),
    "a key again and again": (
        lambda good, n: good.with_member(b", ".join([b'"nobody": 1'] * (n // 4))),
        None,
    ),
    "a key that is read again and again": (
        lambda good, n: good.with_member(b", ".join([_member(good.whole)] * (n // 4))),
        None,
    ),
    "keys": (
        lambda good, n: good.with_member(b", ".join(b'"k%d": 1' % key for key in range(n // 4))),
        None,
    ),
    "no UTF-8 for a number": (lambda good, _: good.with_number(b'"\xff"'), "invalid_utf8"),
    "no UTF-8 in a member": (
        lambda good, n: good.with_member(b'"nobody": "' + b"x" * n + b'\xfe"'),
        "invalid_utf8",
    ),
    "a lone surrogate": (
        lambda good, _: good.with_member(b'"nobody": "\xed\xa0\x80"'),
        "invalid_utf8",
    ),
    "a lone surrogate for a number": (
        lambda good, _: good.with_number(rb'"\ud800"'),
        "invalid_number",
    ),
    "escaped lone surrogates": (
        lambda good, n: good.with_member(b'"nobody": "' + rb"\udc00" * n + b'"'),
        None,
    ),
}

#: What can stand in a string alone, as it would break an envelope: that costs the whole of it.
BROKEN: dict[str, Callable[[Good, int], bytes]] = {
    "brackets that stay open": lambda _, n: b"[" * n,
    "braces that stay open": lambda _, n: b'{"a":' * n,
    "text that stays open": lambda good, n: good.with_member(b'"nobody": "' + b"x" * n)[:-1],
}


def _member(item: bytes) -> bytes:
    found = _MEMBER.search(item)
    assert found, item
    return found[1]


def in_string(item: bytes) -> bytes:
    """An item as most collectors send it."""
    text = item.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def envelope(exchange: str, *items: bytes) -> bytes:
    head = b'{"region": "asia", "market": "%b", "symbol": "BTC", "data": [' % exchange.encode()
    return head + b", ".join(items) + b"]}"


@cache
def good_item(exchange: str, kind: Kind) -> Good:
    """An item of the fixtures, with a number in it that must be one."""
    for value in lines_of(FIXTURES / exchange / f"{kind}.jsonl"):
        for item in json.loads(value)["data"]:
            text = item.encode() if isinstance(item, str) else json.dumps(item).encode()
            if not Decoder(kind).decode([envelope(exchange, text)]).records:
                continue
            for token in _TOKEN.finditer(text):
                good = Good(text[: token.start()], token[0], text[token.end() :])
                wrong = envelope(exchange, good.with_number(b'"x"'))
                rejects = Decoder(kind).decode([wrong]).rejects
                if [reject.reason for reject in rejects] == ["invalid_number"]:
                    return good
    raise AssertionError(f"no number of {exchange} {kind} is read")


def judge(kind: Kind, value: bytes, bombs: list[int], reason: str | None) -> None:
    """Asserts that bombs, by their places in the envelope, cost themselves alone."""
    batch = Decoder(kind).decode([value])
    totals = Totals()
    totals.add(batch)
    kept = totals.decoded + totals.control.total() + totals.held_back.total()
    refused = [reject.item for reject in batch.rejects]
    if reason is None:  # whatever becomes of them, it is told, and not of others
        assert set(refused) <= set(bombs)
    else:
        assert refused == bombs
        assert {reject.reason for reject in batch.rejects} <= set(reason.split("|"))
    assert kept + len(refused) == totals.items
    batch.records.decode("utf-8")
    for record in batch.records.splitlines():
        json.loads(record)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_bomb_costs_its_own_item(exchange: str, kind: Kind, bomb: str) -> None:
    make, reason = BOMBS[bomb]
    good = good_item(exchange, kind)
    made = make(good, 400_000)
    items = (in_string(good.whole), made, good.whole, in_string(made), in_string(good.whole))
    judge(kind, envelope(exchange, *items), [1, 3], reason)


@pytest.mark.parametrize("bomb", BROKEN)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_what_is_broken_within_its_string_costs_itself(
    exchange: str, kind: Kind, bomb: str
) -> None:
    good = good_item(exchange, kind)
    made = in_string(BROKEN[bomb](good, 400_000))
    judge(kind, envelope(exchange, good.whole, made, good.whole), [1], "not_json|too_deep")


_MEASURE = """
import resource, sys
from marketprep import Decoder

kind, file = sys.argv[1:]
value = open(file, "rb").read()
decoder = Decoder(kind)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batch = decoder.decode([value])
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(len(batch.rejects), grown << 10)
"""


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize(("exchange", "kind"), [("upbit", "ticker"), ("okx", "orderbook")])
def test_a_large_bomb_takes_no_more_than_it_brings(
    tmp_path: Path, exchange: str, kind: Kind, bomb: str
) -> None:
    """At this size, work that grows with the square of it would not end within the time-out."""
    make, _ = BOMBS[bomb]
    good = good_item(exchange, kind)
    made = make(good, 2_000_000)
    value = envelope(exchange, good.whole, made, in_string(made), good.whole)
    file = tmp_path / "value"
    file.write_bytes(value)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, kind, str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    rejects, grown = map(int, done.stdout.split())
    assert rejects in (0, 2)
    assert grown < 4 * len(value) + (16 << 20), f"{grown} bytes for {len(value)}"
