"""The core against all else that decodes the same, in turn in one run, by CPU-seconds.

    python benches/core.py [FILE…]

The others are exact Python (reference.py, and with msgspec reference_typed.py: whichever is faster
counts), and careful Rust with ordinary libraries (peers, by sonic-rs and by simd-json: likewise).
The records of all are compared before anything is measured. Each file holds envelopes of one
exchange and kind, named like okx.orderbook.jsonl or orderbook/okx.jsonl, tickers that are flattened
like flattened/okx.ticker.jsonl; without files, markets are made up.
"""

import json
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

import reference
import reference_typed
from contest import PEERS
from goals import Figure, Report
from marketprep import Decoder, Kind, _core, parse

#: Python gets this much of a file at most, or nobody would wait for it.
REFERENCE_BYTES = 3_000_000
#: What is handed to the core in one call, as the service does.
BLOCK_BYTES = 1 << 20

#: As files name them, and as markets are made.
SORTS: dict[str, tuple[Kind, str]] = {
    "orderbook": ("orderbook", "reserialised"),
    "ticker": ("ticker", "reserialised"),
    "flattened": ("ticker", "flattened"),
}
PARSERS = ("sonic", "simd")

#: What a peer writes where a message has no time; the core writes that of now.
_NO_TIME = re.compile(rb'"timestamp":("1970-[^"]*"|0\.0)')
_TIME = re.compile(rb'"timestamp":("[^"]*"|[0-9.]+)')


@dataclass(frozen=True)
class Corpus:
    """A file of envelopes, and the beginning of it."""

    file: Path
    exchange: str
    sort: str
    block: bytes
    beginning: list[bytes]

    @classmethod
    def of(cls, file: Path) -> "Corpus":
        text = f"{file.parent.name}.{file.name}".lower()
        exchange = next(name for name, _ in _core.exchange_names() if name in text)
        sort = "flattened" if "flat" in text else "ticker" if "ticker" in text else "orderbook"
        block = file.read_bytes()
        end = block.find(b"\n", REFERENCE_BYTES)
        return cls(file, exchange, sort, block, block[: end if end >= 0 else None].splitlines())

    @property
    def kind(self) -> Kind:
        return SORTS[self.sort][0]

    def python(self) -> dict[str, reference.OrderBooks | reference.Tickers]:
        """The decoders in Python."""
        if self.kind == "orderbook":
            plain, typed = reference.OrderBooks, reference_typed.OrderBooks
            return {"orjson": plain(self.exchange), "msgspec": typed(self.exchange)}
        return {
            "orjson": reference.Tickers(self.exchange),
            "msgspec": reference_typed.Tickers(
                self.exchange, is_flattened=self.sort == "flattened"
            ),
        }

    def peer(self, parser: str, *more: str) -> bytes:
        """What the Rust of others tells of the file."""
        named = ["--kind", self.sort, "--exchange", self.exchange, "--parser", parser]
        command = [str(PEERS), "decode", *named, *more, str(self.file)]
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - what is measured

    def blocks(self) -> list[bytes]:
        """Whole lines, so many as are handed over at once."""
        found, begin = [], 0
        while begin < len(self.block):
            end = self.block.find(b"\n", begin + BLOCK_BYTES) + 1 or len(self.block)
            found.append(self.block[begin:end])
            begin = end
        return found


def items_of(lines: Iterable[bytes]) -> int:
    return sum(len(orjson.loads(line)["data"]) for line in lines)


def made_up(folder: Path, megabytes: float) -> Iterator[Path]:
    """A market of each exchange and sort, in a file each."""
    for sort, (kind, style) in SORTS.items():
        (folder / sort).mkdir()
        for exchange, _ in _core.exchange_names():
            file = folder / sort / f"{exchange}.{kind}.jsonl"
            market = _core.Market(exchange, kind, style, 1, False)  # noqa: FBT003
            file.write_bytes(market.envelopes(int(megabytes * 1e6)).lines)
            yield file


def check(corpus: Corpus) -> None:
    """All must say the same, but for times that the message lacks."""
    batch = Decoder(corpus.kind).decode_lines(corpus.block)
    counts = batch.counts[corpus.exchange]
    if held_back := counts["warming"] + counts["suspect"] + counts["outdated"]:
        raise SystemExit(f"{corpus.file}: {held_back} messages are held back, as others do not")
    for name, decoder in corpus.python().items():
        lines = corpus.beginning[:200]
        ours = parse(Decoder(corpus.kind).decode(lines).records)
        theirs = parse(b"\n".join(record for line in lines for record in decoder.records(line)))
        for our, their in zip(ours, theirs, strict=True):
            if any(our[key] != their[key] for key in our.keys() - {"region", "timestamp"}):
                raise SystemExit(f"{corpus.file}: {our}, and by {name} {their}")
    records = batch.records.splitlines()
    for parser in PARSERS:
        found = corpus.peer(parser, "--records").splitlines()
        for record, other in zip(records, found, strict=True):
            if record != other and not is_same_but_for_time(record, other):
                raise SystemExit(f"{corpus.file}: {record!r}, and by {parser} {other!r}")


def is_same_but_for_time(record: bytes, other: bytes) -> bool:
    return bool(_NO_TIME.search(other)) and _TIME.sub(b"", record) == _TIME.sub(b"", other)


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """CPU-seconds of this process."""
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


def decode(decoder: Decoder, blocks: Iterable[bytes]) -> None:
    for block in blocks:
        decoder.decode_lines(block)


@dataclass(frozen=True)
class Rates:
    """Items per CPU-second, at their best, and the bytes of an item."""

    core: float
    python: dict[str, float]
    peers: dict[str, float]
    bytes_per_item: float

    @property
    def best_python(self) -> float:
        return max(self.python.values())

    @property
    def best_peer(self) -> float:
        return max(self.peers.values())


def measure(corpus: Corpus, rounds: int) -> Rates:
    """All in turn, so often; of each the fastest counts."""
    items, some_items = items_of(corpus.block.splitlines()), items_of(corpus.beginning)
    blocks = corpus.blocks()
    took: dict[str, list[float]] = {}

    def note(name: str, cpu_seconds: float, of_items: int) -> None:
        took.setdefault(name, []).append(cpu_seconds / of_items)

    def python(decoder: reference.OrderBooks | reference.Tickers) -> None:
        for line in corpus.beginning:
            decoder.records(line)

    for _ in range(rounds):
        note("core", seconds(decode, Decoder(corpus.kind), blocks), items)
        for parser in PARSERS:
            told = json.loads(corpus.peer(parser, "--rounds", "2"))
            note(parser, min(told["cpu_seconds"]), told["items"])
        note("core", seconds(decode, Decoder(corpus.kind), blocks), items)
        for name, decoder in corpus.python().items():
            note(name, seconds(python, decoder), some_items)
    rates = {name: 1 / min(of_one) for name, of_one in took.items()}
    return Rates(
        rates["core"],
        {name: rates[name] for name in corpus.python()},
        {name: rates[name] for name in PARSERS},
        len(corpus.block) / items,
    )


def compare(files: Iterable[Path], report: Report, rounds: int) -> None:
    """A row for each file, and one for all of a sort: as many items of each."""
    by_sort: dict[str, list[Rates]] = {}
    click.echo(
        f"{'items per CPU-second':24} {'core':>11} {'GB':>6} {'orjson':>9} {'msgspec':>9}"
        f" {'sonic':>10} {'simd':>10} {'/ Python':>9} {'/ Rust':>7}",
        err=True,
    )
    for file in files:
        corpus = Corpus.of(file)
        check(corpus)
        rates = measure(corpus, rounds)
        by_sort.setdefault(corpus.sort, []).append(rates)
        row(report, f"{corpus.sort} {corpus.exchange}", rates)
    for sort, of_sort in by_sort.items():
        rates = together(of_sort)
        row(report, f"{sort}, all", rates)
        python, peer = rates.core / rates.best_python, rates.core / rates.best_peer
        report.add(Figure(f"core, {sort}: of exact Python's", python, 40))
        report.add(Figure(f"core, {sort}: of typed sonic-rs' or simd-json's", peer, 6))


def together(rates: Sequence[Rates]) -> Rates:
    """As many items of each: rates are summed as times, those of the best at each."""

    def mean(values: Iterable[float]) -> float:
        return statistics.harmonic_mean(list(values))

    return Rates(
        mean(one.core for one in rates),
        {"best": mean(one.best_python for one in rates)}
        | {name: mean(one.python[name] for one in rates) for name in rates[0].python},
        {"best": mean(one.best_peer for one in rates)}
        | {name: mean(one.peers[name] for one in rates) for name in PARSERS},
        statistics.fmean(one.bytes_per_item for one in rates),
    )


def row(report: Report, name: str, rates: Rates) -> None:
    gigabytes = rates.core * rates.bytes_per_item / 1e9
    python, peer = rates.core / rates.best_python, rates.core / rates.best_peer
    values = {"core": rates.core, "core_gigabytes": gigabytes, **rates.python, **rates.peers}
    report.note(
        f"core, {name}",
        values | {"of_python": python, "of_rust": peer},
        f"{rates.core:11,.0f} {gigabytes:6.2f} {rates.python['orjson']:9,.0f}"
        f" {rates.python['msgspec']:9,.0f} {rates.peers['sonic']:10,.0f}"
        f" {rates.peers['simd']:10,.0f} {python:9.1f} {peer:7.1f}",
        width=24,
    )


def threads(report: Report, rounds: int, megabytes: float) -> None:
    """Two threads with a decoder each, against one: in items a second, by the wall clock."""
    for exchange, kind in (("binance", "orderbook"), ("upbit", "ticker")):
        market = _core.Market(exchange, kind, "reserialised", 2, False)  # noqa: FBT003
        blocks = [market.envelopes(BLOCK_BYTES).lines for _ in range(int(4 * megabytes))]
        times = [
            tuple(wall_seconds(SORTS[kind][0], blocks, number) for number in (1, 2))
            for _ in range(2 * rounds)
        ]
        gain = 2 * min(one for one, _ in times) / min(two for _, two in times)
        report.add(Figure(f"core, two threads: of one's, {exchange} {kind}", gain, 1.8))


def wall_seconds(kind: Kind, blocks: list[bytes], number: int) -> float:
    """How long so many threads take that do the same."""
    workers = [threading.Thread(target=decode, args=(Decoder(kind), blocks)) for _ in range(number)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start


#: What is flat may take so much longer a piece, where there are most of them.
FLAT = 1.25


def growth(report: Report, rounds: int) -> None:
    """CPU-time a piece, from few pieces to many."""
    for name, unit, sizes in (
        ("items an envelope", envelopes_of_items, (1, 10, 100, 1_000)),
        ("levels a book", books_of_levels, (10, 100, 1_000)),
        ("instruments", changes_of_instruments, (1, 10, 100, 1_000, 10_000)),
    ):
        cases = {size: unit(size) for size in sizes}
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(3 * rounds):
            for size, (kind, warm, blocks, pieces) in cases.items():
                decoder = Decoder(kind)
                for block in warm:
                    assert not decoder.decode_lines(block).rejects
                times[size].append(seconds(decode, decoder, blocks) / pieces * 1e9)
        best = {size: min(of_one) for size, of_one in times.items()}
        told = ", ".join(f"{size:,}: {nanoseconds:,.0f} ns" for size, nanoseconds in best.items())
        report.note(f"growth, {name}", {str(size): best[size] for size in sizes}, told)
        figure = Figure(f"growth, {name}: most of least", most_of_least(best), FLAT, at_least=False)
        report.add(figure)


def most_of_least(best: dict[int, float]) -> float:
    """How much longer a piece takes at the end than at the beginning."""
    sizes = sorted(best)
    return best[sizes[-1]] / best[sizes[0]]


#: A kind, what goes before, what is measured, and how many pieces that has.
Case = tuple[Kind, list[bytes], list[bytes], int]


def envelope_of(exchange: str, items: Sequence[str]) -> bytes:
    market = {"region": "asia", "market": exchange.upper(), "symbol": "BTC", "data": items}
    return json.dumps(market).encode() + b"\n"


def blocks_of(envelopes: Iterable[bytes]) -> list[bytes]:
    """So many as are handed over at once."""
    blocks, block = [], b""
    for envelope in envelopes:
        block += envelope
        if len(block) > BLOCK_BYTES:
            blocks.append(block)
            block = b""
    return [*blocks, block] if block else blocks


def envelopes_of_items(size: int) -> Case:
    """The same tickers, so many an envelope."""
    lines = _core.Market("upbit", "ticker", "reserialised", 4, False).envelopes(8_000_000).lines  # noqa: FBT003
    items = [
        item
        for line in lines.splitlines()
        for item in orjson.loads(line)["data"]
        if isinstance(item, str)
    ]
    items = items[: len(items) // 1_000 * 1_000]
    parts = (items[begin : begin + size] for begin in range(0, len(items), size))
    return "ticker", [], blocks_of(envelope_of("upbit", part) for part in parts), len(items)


def level(price: int, number: int) -> list[str]:
    return [f"{price / 100:.2f}", f"{1 + number % 997}.{number % 9973:08d}"]


def books_of_levels(size: int) -> Case:
    """Whole books with so many levels a side."""
    count = 40_000 // size
    messages = [
        json.dumps(
            {
                "lastUpdateId": 1_000 + number,
                "bids": [level(8_000_000 - at, number + at) for at in range(size)],
                "asks": [level(8_000_001 + at, number - at) for at in range(size)],
            }
        )
        for number in range(count)
    ]
    parts = (messages[begin : begin + 20] for begin in range(0, count, 20))
    return (
        "orderbook",
        [],
        blocks_of(envelope_of("binance", part) for part in parts),
        (2 * size * count),
    )


def changes_of_instruments(size: int) -> Case:
    """Changes of kept books, of so many instruments in turn."""

    def message(instrument: int, number: int, form: str, levels: int) -> str:
        data = {
            "s": f"COIN{instrument}USDT",
            "b": [level(8_000_000 - 7 * at, number + at) for at in range(levels)],
            "a": [level(8_000_001 + 7 * at, number + at) for at in range(levels)],
            "u": number,
            "seq": number,
        }
        rest = {"topic": f"orderbook.50.COIN{instrument}USDT", "ts": 1_793_577_600_000}
        return json.dumps({**rest, "type": form, "data": data, "cts": 1_793_577_600_000 + number})

    snapshots = [message(instrument, 1, "snapshot", 50) for instrument in range(size)]
    changes = [
        message(at % size, 2 + at // size, "delta", 3) for at in range(max(20_000, 2 * size))
    ]

    def blocks(items: list[str]) -> list[bytes]:
        parts = (items[begin : begin + 50] for begin in range(0, len(items), 50))
        return blocks_of(envelope_of("bybit", part) for part in parts)

    return "orderbook", blocks(snapshots), blocks(changes), len(changes)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--rounds", default=3, help="How often each is measured, in turn.")
@click.option("--megabytes", default=6.0, help="Of each market that is made up.")
@click.option("--only-check", is_flag=True, help="Compare records, and measure nothing.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Where figures are written.")
def main(
    files: tuple[Path, ...], rounds: int, megabytes: float, file: Path | None, *, only_check: bool
) -> None:
    """Measure, and print what was found, and beside it what is hoped for."""
    if _core.BUILD_PROFILE != "release":
        raise SystemExit("a debug build is loaded: run make develop")
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        found = files or tuple(made_up(Path(name), megabytes))
        if only_check:
            for one in found:
                check(Corpus.of(one))
            return
        compare(found, report, rounds)
    threads(report, rounds, megabytes)
    growth(report, rounds)
    click.echo(report.table())
    if file:
        report.write(file)


if __name__ == "__main__":
    main()
