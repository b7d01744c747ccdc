"""`marketprep decode`: envelopes in, records out, without Kafka."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from marketprep import dead_letters
from marketprep._core import Batch
from marketprep.commands import setting_option
from marketprep.decoder import Decoder, Kind, Totals, whole_lines
from marketprep.progress import Progress
from marketprep.settings import load_settings


@click.command()
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["ticker", "orderbook"]),
    help="What the envelopes hold.",
)
@click.option(
    "--rejected",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Where to write what cannot be decoded, a line of JSON each: value and headers.",
)
@setting_option
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def decode(
    kind: Kind, rejected: BinaryIO | None, setting_folder: Path | None, files: tuple[Path, ...]
) -> None:
    """Turn envelopes into records.

    Reads one envelope a line from FILES, or from standard input, and prints one record a line in
    the same order. Order books that arrive as changes are kept from the first file to the last.
    Ends with a line of totals on standard error; what cannot be decoded is no failure.
    """
    decoder = Decoder(kind, load_settings(setting_folder))
    totals = Totals()
    size = sum(file.stat().st_size for file in files) or None
    try:
        with Progress("decode", size) as progress:
            for name, stream in _streams(files):
                for first, batch, length in _batches(decoder, stream):
                    sys.stdout.buffer.write(batch.records)
                    sys.stdout.buffer.flush()
                    if rejected:
                        rejected.writelines(_dead_letters(batch, kind, name, first))
                    totals.add(batch)
                    progress.advance(length, f"{totals.records:,} records")
    except BrokenPipeError:  # the reader has gone, as in `| head`
        _abandon_output()
    except OSError as error:
        _abandon_output()
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None
    finally:
        if totals.envelopes:
            click.echo(str(totals), err=True)


def _abandon_output() -> None:
    """Lets the interpreter end without trying once more to write what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _streams(files: tuple[Path, ...]) -> Iterator[tuple[str, BinaryIO]]:
    """The files one after the other, or standard input where there are none."""
    for file in files:
        with file.open("rb") as stream:
            yield str(file), stream
    if not files:
        yield "-", sys.stdin.buffer


def _batches(decoder: Decoder, stream: BinaryIO) -> Iterator[tuple[int, Batch, int]]:
    """Each batch of a stream: the number of envelopes before it, itself, its bytes."""
    first = 0
    for block in whole_lines(stream):
        batch = decoder.decode_lines(block)
        yield first, batch, len(block)
        first += batch.envelopes


def _dead_letters(batch: Batch, kind: Kind, name: str, first: int) -> Iterator[bytes]:
    """What was set aside, as lines. The file stands for a topic of one partition."""
    for reject in batch.rejects:
        headers = dead_letters.headers(reject, kind, name, 0, first + reject.index)
        yield dead_letters.to_json(reject.value, headers)
