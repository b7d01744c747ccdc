"""A batch of each exchange and kind, decoded by the core and by exact Python, side by side."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from marketprep import Decoder, Kind, _core
from marketprep.kind import KINDS
from reference import OrderBooks, Tickers

EXCHANGES = [name for name, _ in _core.exchange_names()]


def lines_of(exchange: str, kind: Kind) -> list[bytes]:
    """Some 200 KB of envelopes."""
    market = _core.Market(exchange, kind, "reserialised", 1, False)  # noqa: FBT003
    return market.envelopes(200_000).lines.splitlines()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def bench_core(benchmark: BenchmarkFixture, exchange: str, kind: Kind) -> None:
    assert _core.BUILD_PROFILE == "release"
    benchmark.group = f"{kind} {exchange}"
    lines, decoder = lines_of(exchange, kind), Decoder(kind)
    batch = benchmark(decoder.decode, lines)
    assert batch.counts[exchange]["records"] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def bench_python(benchmark: BenchmarkFixture, exchange: str, kind: Kind) -> None:
    benchmark.group = f"{kind} {exchange}"
    lines = lines_of(exchange, kind)
    reference = OrderBooks(exchange) if kind == "orderbook" else Tickers(exchange)
    records = benchmark(lambda: [record for line in lines for record in reference.records(line)])
    assert records
