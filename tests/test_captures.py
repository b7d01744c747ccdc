"""Real messages that others recorded: every expected value equal as an exact decimal."""

import json
from decimal import Decimal
from typing import Any

import pytest

from conftest import CAPTURES, EXCHANGES, KINDS, lines_of, needs_captures
from marketprep import Decoder, Kind, parse


@needs_captures
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_expected_value(exchange: str, kind: Kind) -> None:
    decoder = Decoder(kind)
    captures = [json.loads(line) for line in lines_of(CAPTURES / exchange / f"{kind}.jsonl")]
    assert captures
    for capture in captures:
        batch = decoder.decode([json.dumps(capture["envelope"]).encode()])
        assert batch.rejects == []
        [record] = parse(batch.records)
        values: dict[str, Any] = record["data"][0] if kind == "ticker" else record
        for name, expected in capture["expected"].items():
            if name == "checksum_verified":  # what a verifier would say, no value of a record
                continue
            value = None if values[name] is None else Decimal(values[name])
            assert value == (None if expected is None else Decimal(expected)), name


@needs_captures
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_control_messages(exchange: str, kind: Kind) -> None:
    captures = [json.loads(line) for line in lines_of(CAPTURES / exchange / "control.jsonl")]
    assert captures
    values = [json.dumps(row["envelope"]).encode() for row in captures]
    # the depth reply of Binance's API is market data, which must not be counted as control
    data = [index for index, value in enumerate(values) if b"lastUpdateId" in value]
    batch = Decoder(kind).decode(values)
    assert batch.records == b""
    assert [reject.index for reject in batch.rejects] == data
