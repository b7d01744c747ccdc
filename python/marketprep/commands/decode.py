"""`marketprep decode`: envelopes in, records out, without Kafka."""

import codecs
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import click

from marketprep import dead_letters
from marketprep._core import Batch
from marketprep.commands import setting_option
from marketprep.decoder import Decoder, Totals, whole_lines
from marketprep.kind import KINDS, Kind
from marketprep.progress import Progress
from marketprep.settings import load_settings


@click.command()
@click.option(
    "--kind",
    required=True,
    type=click.Choice(KINDS),
    help="What the envelopes hold.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where to write what cannot be decoded, a line of JSON each: value and headers.",
)
@setting_option
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def decode(
    kind: Kind, rejected: Path | None, setting_folder: Path | None, files: tuple[Path, ...]
) -> None:
    """Turn envelopes into records.

    Reads one envelope a line from FILES, or from standard input, and prints one record a line in
    the same order. Order books that arrive as changes are kept from the first file to the last.
    Ends with a line of totals on standard error; what cannot be decoded is no failure.
    """
    if rejected and rejected.exists() and any(map(rejected.samefile, files)):
        raise click.BadParameter(
            "is one of the files to read: name another", param_hint="--rejected"
        )
    if not files and sys.stdin is None:
        raise click.UsageError("standard input is closed: name files to read")
    if sys.stdout is None:
        raise click.UsageError("standard output is closed: there is nowhere to print records")
    decoder, totals = Decoder(kind, load_settings(setting_folder)), Totals()
    try:
        dead_letter_file = rejected.open("wb") if rejected else None
    except OSError as error:
        text = f"{rejected}: {error.strerror}"
        raise click.BadParameter(text, param_hint="--rejected") from None
    try:
        with dead_letter_file or nullcontext():
            _decode(decoder, files, totals, dead_letter_file)
    except KeyboardInterrupt:
        click.echo(f"{totals}; interrupted", err=True)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        raise click.ClickException(f"{error.filename or rejected}: {error.strerror}") from None
    hint = "; --rejected FILE keeps what was rejected" if totals.rejected and not rejected else ""
    click.echo(f"{totals}{hint}", err=True)


def _decode(
    decoder: Decoder, files: tuple[Path, ...], totals: Totals, rejected: BinaryIO | None
) -> None:
    size = sum(file.stat().st_size for file in files) or None
    with Progress("decode", size) as progress:
        for name, stream in _streams(files):
            for first, batch, length in _batches(decoder, stream):
                totals.add(batch)
                if rejected:
                    rejected.writelines(_dead_letters(batch, decoder.kind, name, first))
                if not _print(batch.records):
                    click.echo("stopped early, as the reader of the records has gone", err=True)
                    return
                progress.advance(length, f"{totals.records:,} records")


def _print(records: bytes) -> bool:
    """Prints records; whether there still is a reader, who may have gone as in `| head`."""
    try:
        sys.stdout.buffer.write(records)
        sys.stdout.buffer.flush()
    except OSError as error:
        # lets the interpreter end without trying once more to write what cannot be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return False
        raise OSError(error.errno, error.strerror, "standard output") from None
    return True


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
        batch = decoder.decode_lines(block if first else block.removeprefix(codecs.BOM_UTF8))
        yield first, batch, len(block)
        first += batch.envelopes


def _dead_letters(batch: Batch, kind: Kind, name: str, first: int) -> Iterator[bytes]:
    """What was set aside, as lines. The file stands for a topic of one partition."""
    for reject in batch.rejects:
        headers = dead_letters.headers(reject, kind, name, 0, first + reject.index)
        yield dead_letters.to_json(reject.value, headers)
