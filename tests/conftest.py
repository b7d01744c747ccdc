"""What the tests share: where the fixtures and captures are, and how records are compared."""

import os
import re
from pathlib import Path

import pytest

from marketprep import _core, decoder

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
CAPTURES = Path(os.environ.get("MARKETPREP_CAPTURES", ROOT.parent / "shared" / "captures"))

KINDS = decoder.KINDS
EXCHANGES = tuple(name for name, _ in _core.exchange_names())

needs_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason=f"no captures of others under {CAPTURES}"
)

_TIMESTAMP = re.compile(rb'"timestamp":("[^"]*"|[0-9.]+|null)')


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file that are not blank."""
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def without_unknown_times(records: list[bytes], expected: list[bytes]) -> list[bytes]:
    """The records, with the time masked wherever the expectation has null for it."""
    return [
        _TIMESTAMP.sub(b'"timestamp":null', record, count=1)
        if b'"timestamp":null' in wanted
        else record
        for record, wanted in zip(records, expected, strict=True)
    ]
