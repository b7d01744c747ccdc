"""The golden files: every exchange and kind, byte for byte."""

import pytest

from conftest import EXCHANGES, FIXTURES, KINDS, lines_of, without_unknown_times
from marketprep import Decoder, Kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_golden_records(exchange: str, kind: Kind) -> None:
    values = lines_of(FIXTURES / exchange / f"{kind}.jsonl")
    expected = lines_of(FIXTURES / exchange / f"{kind}.expected.jsonl")

    batch = Decoder(kind).decode(values)

    assert batch.rejects == []
    assert len(expected) > 3
    assert without_unknown_times(batch.records.splitlines(), expected) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_control_messages_are_neither_records_nor_rejects(exchange: str, kind: Kind) -> None:
    values = lines_of(FIXTURES / exchange / "control.jsonl")

    batch = Decoder(kind).decode(values)

    assert batch.rejects == []
    assert batch.records == b""
    counts = batch.counts[exchange]
    controls = [counts[key] for key in counts if key.startswith("control_")]  # type: ignore[literal-required]
    assert sum(controls) == counts["items"] >= len(values)
