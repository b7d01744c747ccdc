"""Decoding in pytest-benchmark's tables: each exchange and kind beside exact Python, and sizes."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from core import books_of_levels, decode, wall_seconds
from marketprep import Decoder, Kind, _core
from marketprep.kind import KINDS
from reference import OrderBooks, Tickers

EXCHANGES = [name for name, _ in _core.exchange_names()]


@pytest.fixture(autouse=True)
def _release_build() -> None:
    assert _core.BUILD_PROFILE == "release"


def lines_of(exchange: str, kind: Kind) -> list[bytes]:
    """Some 200 KB of envelopes."""
    market = _core.Market(exchange, kind, "reserialised", 1, False)  # noqa: FBT003
    return market.envelopes(200_000).lines.splitlines()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def bench_core(benchmark: BenchmarkFixture, exchange: str, kind: Kind) -> None:
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


@pytest.mark.parametrize("envelopes", [1, 10, 100, 1_000])
def bench_batch(benchmark: BenchmarkFixture, envelopes: int) -> None:
    """The same envelopes in calls of so many: what a call costs beside what is in it."""
    benchmark.group = "1,000 envelopes in batches of"
    lines, decoder = lines_of("binance", "ticker"), Decoder("ticker")
    lines = (lines * (1_000 // len(lines) + 1))[:1_000]
    batches = [lines[begin : begin + envelopes] for begin in range(0, 1_000, envelopes)]
    benchmark(lambda: [decoder.decode(batch) for batch in batches])


@pytest.mark.parametrize("levels", [10, 100, 1_000])
def bench_depth(benchmark: BenchmarkFixture, levels: int) -> None:
    """Whole books of so many levels a side, 80,000 levels in all."""
    benchmark.group = "80,000 levels in books of"
    kind, _, blocks, _ = books_of_levels(levels)
    benchmark(decode, Decoder(kind), blocks)


@pytest.mark.parametrize("threads", [1, 2])
def bench_threads(benchmark: BenchmarkFixture, threads: int) -> None:
    """So many threads, each of which decodes the same."""
    benchmark.group = "order books in threads"
    lines = lines_of("binance", "orderbook")
    benchmark(wall_seconds, "orderbook", [b"\n".join(lines)] * 5, threads)
