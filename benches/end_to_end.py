"""Our service against others that do its work, on a real Kafka, in turn in one run.

Throughput: processes work off a backlog, in items a second and CPU-seconds a million items, from
when they have their partitions until they end. After every run the records that came out are
counted. Then what other ways of running the service cost, and how long a message takes.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cluster import Cluster
from contest import (
    AT_LEAST_ONCE,
    EXACTLY_ONCE,
    ORDINARY_PEERS,
    ORDINARY_RUST,
    PEERS,
    PYTHON,
    RECORDS,
    RUST,
    Contestant,
    Result,
    kafka,
    run,
)
from feeds import Feed, delete_topics, empty, fill
from goals import Figure, Report
from latency import latency
from marketprep import Kind, _core
from marketprep.kind import KINDS
from marketprep.settings import load_settings

INPUTS: tuple[tuple[str, Kind], ...] = (("binance", "orderbook"), ("upbit", "ticker"))
COMPRESSIONS = ("lz4", "none", "zstd")

#: Two feeds that cost the same, of which each of two processes can take one.
PAIR = ("upbit", "bithumb")

#: A process with all 18 partitions may take so much.
MOST_MB = 150.0


@dataclass(frozen=True)
class Bench:
    """Where it is measured, how often, and with how much."""

    address: str
    folder: Path
    report: Report
    rounds: int
    megabytes: int
    compressions: Sequence[str]
    rate: int
    seconds: float

    def run(self, contestant: Contestant, *processes: Sequence[Feed]) -> Result:
        return run(self.address, self.folder, contestant, processes)

    def fill(self, exchange: str, kind: Kind, compression: str, part: float, topic: str) -> Feed:
        megabytes = max(1, int(self.megabytes * part))
        return fill(self.address, exchange, kind, megabytes, compression, topic)

    def tell(self, name: str, results: Sequence[Result]) -> None:
        """Prints each run and the medians."""
        rate, cpu, peak = median_rate(results), median_cpu(results), median_peak(results)
        runs = ", ".join(f"{one.rate / 1000:,.0f}" for one in results)
        self.report.note(
            name,
            {"items_per_second": rate, "cpu_seconds_per_million": cpu, "peak_mb": peak},
            f"{rate / 1000:7,.0f} k items/s {cpu:7.2f} CPU-s/M {peak:5.0f} MB   ({runs})",
        )


def median_rate(results: Iterable[Result]) -> float:
    return statistics.median(one.rate for one in results)


def median_cpu(results: Iterable[Result]) -> float:
    return statistics.median(one.cpu for one in results)


def median_peak(results: Iterable[Result]) -> float:
    return statistics.median(one.peak_mb for one in results)


def throughput(bench: Bench) -> None:
    """Our service, loops in Rust and a service in Python, over the same input."""
    for exchange, kind in INPUTS:
        for compression in bench.compressions:
            feed = bench.fill(exchange, kind, compression, 1, f"bench.{exchange}.{compression}")
            results: dict[Contestant, list[Result]] = {
                one: [] for one in (RUST, EXACTLY_ONCE, ORDINARY_RUST, AT_LEAST_ONCE, PYTHON)
            }
            for _ in range(bench.rounds):
                for contestant, of_one in results.items():
                    of_one.append(bench.run(contestant, [feed]))
            delete_topics(bench.address, [feed.topic])
            name = f"{exchange} {kind}, {compression}"
            for contestant, of_one in results.items():
                bench.tell(f"{name}: {contestant.name}", of_one)
            ours = results[EXACTLY_ONCE]
            times = 2.0 if compression == "none" else 3.0
            for whose, of_one in (
                ("bare Rust's", results[RUST]),
                ("ordinary Rust's", results[ORDINARY_RUST]),
            ):
                rate = median_rate(ours) / median_rate(of_one)
                cpu = median_cpu(ours) / median_cpu(of_one)
                bench.report.add(Figure(f"{name}: items/s, of {whose}", rate, times))
                bench.report.add(Figure(f"{name}: CPU, of {whose}", cpu, 1 / times, at_least=False))


def framing(bench: Bench) -> None:
    """A Kafka value for each record, against arrays."""
    feed = bench.fill("upbit", "ticker", "lz4", 0.5, "bench.framing")
    arrays: list[Result] = []
    records: list[Result] = []
    for _ in range(bench.rounds):
        arrays.append(bench.run(EXACTLY_ONCE, [feed]))
        records.append(bench.run(RECORDS, [feed]))
    delete_topics(bench.address, [feed.topic])
    bench.tell("upbit ticker, lz4: framing array", arrays)
    bench.tell("upbit ticker, lz4: framing record", records)
    cpu = median_cpu(records) / median_cpu(arrays)
    bench.report.add(Figure("framing record: CPU, of arrays'", cpu, 1.3, at_least=False))


def pair(bench: Bench) -> None:
    """Two processes that share two partitions, against one that has both."""
    feeds = [bench.fill(exchange, "ticker", "lz4", 0.5, "bench.pair") for exchange in PAIR]
    one: list[Result] = []
    two: list[Result] = []
    for _ in range(bench.rounds):
        one.append(bench.run(EXACTLY_ONCE, feeds))
        two.append(bench.run(EXACTLY_ONCE, *([feed] for feed in feeds)))
    delete_topics(bench.address, [feeds[0].topic])
    bench.tell("two partitions, one process", one)
    bench.tell("two partitions, two processes", two)
    rate = median_rate(two) / median_rate(one)
    bench.report.add(Figure("two processes: items/s, of one's", rate, 1.8))


def everything(bench: Bench) -> None:
    """All exchanges and both kinds in one process, against a process for each of them.

    What processes take that have nothing to do is left out: 18 of them would have it 18 times.
    """
    regions = {name: row.region for name, row in load_settings().exchanges.items()}
    feeds: list[Feed] = []
    idle: list[Feed] = []
    for exchange, _ in _core.exchange_names():
        for kind in KINDS:
            topic = f"bench.all.{kind}.{regions[exchange]}"
            feeds.append(bench.fill(exchange, kind, "lz4", 0.1, topic))
            idle.append(empty(bench.address, exchange, kind, f"{topic}.idle"))
    items = sum(feed.end.items for feed in feeds)
    together: list[Result] = []
    at_once: list[float] = []
    alone: list[float] = []
    for _ in range(bench.rounds):
        together.append(bench.run(EXACTLY_ONCE, feeds))
        nothing = bench.run(EXACTLY_ONCE, idle).cpu_seconds
        at_once.append((together[-1].cpu_seconds - nothing) / items * 1e6)
        nothing = bench.run(EXACTLY_ONCE, idle[:1]).cpu_seconds
        parts = [bench.run(EXACTLY_ONCE, [feed]).cpu_seconds - nothing for feed in feeds]
        alone.append(sum(parts) / items * 1e6)
    delete_topics(bench.address, list({feed.topic for feed in (*feeds, *idle)}))
    bench.tell("18 partitions, one process", together)
    ours, theirs = statistics.median(at_once), statistics.median(alone)
    bench.report.note(
        "18 partitions, without what idle ones take",
        {"one_process": ours, "a_process_each": theirs},
        f"{ours:.2f} CPU-s/M in one process, {theirs:.2f} in a process each",
    )
    peak = median_peak(together)
    for figure in (
        Figure("18 partitions at once: CPU, of a process each", ours / theirs, 1, at_least=False),
        Figure("18 partitions at once: MB", peak, MOST_MB, at_least=False),
    ):
        bench.report.add(figure)


def delays(bench: Bench) -> None:
    """Milliseconds that messages of one item take, beside what Kafka alone takes."""
    rows: dict[str, list[tuple[float, ...]]] = {
        "direct": [],
        "at_least_once": [],
        "exactly_once": [],
    }
    for _ in range(bench.rounds):
        for name, of_one in rows.items():
            folder = bench.folder / f"{time.monotonic_ns()}"
            folder.mkdir()
            with Cluster(bench.address, folder) as cluster:
                is_direct = name == "direct"
                cluster.configure(delivery="exactly_once" if is_direct else name)
                of_one.append(latency(cluster, bench.rate, bench.seconds, is_direct=is_direct))
    medians = {
        name: tuple(statistics.median(one[at] for one in of_one) for at in range(3))
        for name, of_one in rows.items()
    }
    for name, (half, most, nearly_all) in medians.items():
        bench.report.note(
            f"latency, {name}",
            {"p50_ms": half, "p90_ms": most, "p99_ms": nearly_all},
            f"p50 {half:.1f} ms, p90 {most:.1f} ms, p99 {nearly_all:.1f} ms",
        )
    direct, least, exactly = (medians[name] for name in rows)
    for figure in (
        Figure(
            "latency, at least once: p50 ms above direct", least[0] - direct[0], 3, at_least=False
        ),
        Figure("latency, at least once: p99, of direct's", least[2] / direct[2], 2, at_least=False),
        Figure("latency, exactly once: p50 ms", exactly[0], 15, at_least=False),
        Figure("latency, exactly once: p99 ms", exactly[2], 50, at_least=False),
    ):
        bench.report.add(figure)


PARTS: dict[str, Callable[[Bench], None]] = {
    "throughput": throughput,
    "framing": framing,
    "pair": pair,
    "all": everything,
    "latency": delays,
}


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice([*PARTS]), help="Without: all.")
@click.option("--rounds", default=3, help="How often each is measured, in turn.")
@click.option("--megabytes", default=1000, help="How long a backlog is.")
@click.option(
    "--compression",
    "compressions",
    multiple=True,
    type=click.Choice(COMPRESSIONS),
    help="Of the input; without: all.",
)
@click.option("--rate", default=500, help="Envelopes a second for latency.")
@click.option("--seconds", default=10.0, help="How long latency is measured.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Where figures are written.")
def main(  # noqa: PLR0913, PLR0917 - an option each
    parts: tuple[str, ...],
    rounds: int,
    megabytes: int,
    compressions: tuple[str, ...],
    rate: int,
    seconds: float,
    file: Path | None,
) -> None:
    """Measure, and print what was found, and beside it what is hoped for."""
    if _core.BUILD_PROFILE != "release":
        raise SystemExit("a debug build is loaded: run make develop")
    for program in (PEERS, ORDINARY_PEERS):
        if not program.exists():
            raise SystemExit(f"there is no {program}: make bench builds it")
    report = Report()
    with kafka() as (address, folder):
        bench = Bench(
            address, folder, report, rounds, megabytes, compressions or COMPRESSIONS, rate, seconds
        )
        for part in parts or PARTS:
            PARTS[part](bench)
    click.echo(report.table())
    if file:
        report.write(file)


if __name__ == "__main__":
    main()
