"""Items per CPU-second of the core and of exact Python, in turn in one process, and their ratio.

    python benches/compare.py FILE…

Each file holds envelopes of one exchange and kind, named like okx.orderbook.jsonl or
orderbook/okx.jsonl. The records of both are compared before anything is measured.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from marketprep import Decoder, Kind, _core, parse
from reference import OrderBooks, Tickers

#: Python gets this much of a file at most, or nobody would wait for it.
REFERENCE_BYTES = 6_000_000
ROUNDS = 3


def of_file(file: Path) -> tuple[str, Kind]:
    """The exchange and the kind that a file is named after."""
    text = f"{file.parent.name}.{file.name}".lower()
    exchange = next(name for name, _ in _core.exchange_names() if name in text)
    return exchange, "ticker" if "ticker" in text else "orderbook"


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def lines_of(file: Path, limit: int) -> list[bytes]:
    lines, size = [], 0
    with file.open("rb") as stream:
        for line in stream:
            lines.append(line)
            size += len(line)
            if size > limit:
                break
    return lines


def check(file: Path, exchange: str, kind: Kind, lines: list[bytes]) -> None:
    """The two must say the same, but for times that the message lacks."""
    reference = OrderBooks(exchange) if kind == "orderbook" else Tickers(exchange)
    ours = parse(Decoder(kind).decode(lines).records)
    theirs = parse(b"\n".join(record for line in lines for record in reference.records(line)))
    for our, their in zip(ours, theirs, strict=True):
        for name in our.keys() - {"region", "timestamp"}:
            if our[name] != their[name]:
                raise SystemExit(f"{file}: {name} is {our[name]}, and in Python {their[name]}")


def measure(file: Path) -> tuple[float, float]:
    """Items per CPU-second: of the core over the file, of Python over its beginning."""
    exchange, kind = of_file(file)
    some = lines_of(file, REFERENCE_BYTES)
    check(file, exchange, kind, some[:20])
    block = file.read_bytes()
    items = sum(len(orjson.loads(line)["data"]) for line in block.splitlines())
    some_items = sum(len(orjson.loads(line)["data"]) for line in some)
    blocks = [block[at : at + (1 << 20)] for at in range(0, len(block), 1 << 20)]
    ends = [part.rfind(b"\n") + 1 for part in blocks]
    whole = [
        (blocks[i - 1][ends[i - 1] :] if i else b"") + blocks[i][: ends[i]]
        for i in range(len(blocks))
    ]

    def core() -> None:
        decoder = Decoder(kind)
        for part in whole:
            decoder.decode_lines(part)

    def python() -> None:
        reference = OrderBooks(exchange) if kind == "orderbook" else Tickers(exchange)
        for line in some:
            reference.records(line)

    pairs = [(seconds(core), seconds(python)) for _ in range(ROUNDS)]
    return items / min(ours for ours, _ in pairs), some_items / min(theirs for _, theirs in pairs)


def main(files: list[Path]) -> None:
    if _core.BUILD_PROFILE != "release":
        raise SystemExit("a debug build is loaded: run make develop")
    print(f"{'file':40} {'core':>12} {'Python':>12} {'ratio':>7}")  # noqa: T201
    shares: dict[str, list[tuple[float, float]]] = {}
    for file in files:
        ours, theirs = measure(file)
        shares.setdefault(of_file(file)[1], []).append((ours, theirs))
        name = "/".join(file.parts[-2:])
        print(f"{name:40} {ours:12,.0f} {theirs:12,.0f} {ours / theirs:7.1f}")  # noqa: T201
    for kind, rates in shares.items():
        # as many items of each: rates are summed as times
        ours = len(rates) / sum(1 / rate for rate, _ in rates)
        theirs = len(rates) / sum(1 / rate for _, rate in rates)
        print(f"{kind + ', all':40} {ours:12,.0f} {theirs:12,.0f} {ours / theirs:7.1f}")  # noqa: T201


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
