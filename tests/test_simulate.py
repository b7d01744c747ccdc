"""The simulated market: its truth is what the decoder says, and a seed is a market."""

import json

import pytest

from conftest import EXCHANGES, KINDS, without_unknown_times
from marketprep import Decoder, Kind
from marketprep._core import Market

STYLES = ("exchange", "reserialised", "flattened")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_decoder_finds_the_truth(exchange: str, kind: Kind, style: str) -> None:
    market = Market(exchange, kind, style, 7, True)  # noqa: FBT003
    decoder = Decoder(kind)
    for _ in range(3):
        stretch = market.envelopes(300_000)
        batch = decoder.decode_lines(stretch.lines)
        expected = stretch.truth.splitlines()
        assert batch.rejects == []
        assert len(expected) == stretch.items - stretch.control > 0
        assert without_unknown_times(batch.records.splitlines(), expected) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_seed_is_a_market(exchange: str, kind: Kind) -> None:
    def lines(seed: int, *sizes: int) -> bytes:
        market = Market(exchange, kind, "reserialised", seed, False)  # noqa: FBT003
        return b"".join(market.envelopes(size).lines for size in sizes)

    whole, parts, other = lines(5, 200_000), lines(5, 1, 60_000, 60_000, 60_000), lines(6, 200_000)
    shorter = min(len(whole), len(parts))
    assert whole[:shorter] == parts[:shorter]
    assert whole[:2000] != other[:2000]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_reserialised_is_what_python_writes(exchange: str) -> None:
    for kind in KINDS:
        stretch = Market(exchange, kind, "reserialised", 3, False).envelopes(100_000)  # noqa: FBT003
        for line in stretch.lines.decode().splitlines():
            envelope = json.loads(line)
            assert json.dumps(envelope) == line
            for item in envelope["data"]:
                if isinstance(item, str) and item not in ("ping", "pong"):
                    assert json.dumps(json.loads(item)) == item


def test_names_that_are_not_known() -> None:
    with pytest.raises(ValueError, match="no decoder for exchange"):
        Market("mtgox", "ticker", "exchange", 1, False)  # noqa: FBT003
    with pytest.raises(ValueError, match="kind must be"):
        Market("okx", "trade", "exchange", 1, False)  # noqa: FBT003
    with pytest.raises(ValueError, match="no style is called"):
        Market("okx", "ticker", "baroque", 1, False)  # noqa: FBT003
