"""`marketprep simulate`: a made-up market in the words of the exchanges."""

from collections.abc import Iterator
from pathlib import Path

import click

from marketprep._core import Market, exchange_names
from marketprep.decoder import KINDS, Kind
from marketprep.progress import Progress

#: How much is written at once.
BLOCK_BYTES = 1 << 20


@click.group()
def simulate() -> None:
    """Make up a market: realistic messages of all exchanges, reproducible by a seed."""


@simulate.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--exchange",
    "exchanges",
    multiple=True,
    type=click.Choice([name for name, _ in exchange_names()]),
    help="Only this exchange. Repeatable.",
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind.")
@click.option(
    "--style",
    type=click.Choice(["reserialised", "exchange", "flattened"]),
    default="reserialised",
    show_default=True,
    help="Bytes as upstream writes them, as the exchange does, or tickers of wanted keys alone.",
)
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Size of each file.",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True)
@click.option("--truth", is_flag=True, help="Write the expected records beside each file.")
def files(  # noqa: PLR0913, PLR0917 - an option each
    folder: Path,
    exchanges: tuple[str, ...],
    kinds: tuple[Kind, ...],
    style: str,
    megabytes: float,
    seed: int,
    *,
    truth: bool,
) -> None:
    """Write envelopes to DIR/<exchange>.<kind>.jsonl, one a line.

    With --truth, DIR/<exchange>.<kind>.expected.jsonl has the record that each message must lead
    to, as `decode` prints it; its timestamp is null where the message has none. Same seed, same
    bytes.
    """
    names = exchanges or tuple(name for name, _ in exchange_names())
    chosen = [(name, kind) for name in names for kind in kinds or KINDS]
    size = int(megabytes * 1e6)
    items = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Progress("simulate", size * len(chosen), quiet_with_output=False) as progress:
            for name, kind in chosen:
                market = Market(name, kind, style, seed, truth)
                file = folder / f"{name}.{kind}.jsonl"
                for written, done in _write(market, file, size, truth=truth):
                    items += done
                    progress.advance(written, file.name)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
    click.echo(f"{len(chosen)} files, {items:,} items in {folder}", err=True)


def _write(market: Market, file: Path, size: int, *, truth: bool) -> Iterator[tuple[int, int]]:
    """Writes a market; the bytes and items of each block."""
    written = 0
    expected = file.with_suffix(".expected.jsonl")
    expected.unlink(missing_ok=True)
    with file.open("wb") as envelopes:
        while written < size:
            block = market.envelopes(min(BLOCK_BYTES, size - written))
            envelopes.write(block.lines)
            written += len(block.lines)
            if truth:
                with expected.open("ab") as records:
                    records.write(block.truth)
            yield len(block.lines), block.items
