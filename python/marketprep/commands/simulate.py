"""`marketprep simulate`: a made-up market in the words of the exchanges."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from marketprep import topics as of_kafka
from marketprep._core import Market, exchange_names
from marketprep.assignment import assignments
from marketprep.commands import (
    exchange_option,
    kind_option,
    servers_option,
    setting_option,
    with_cluster,
)
from marketprep.feed import Fed, Feed
from marketprep.kafka import admin
from marketprep.kind import KINDS, Kind
from marketprep.progress import Progress
from marketprep.settings import Settings

#: How much is written at once.
BLOCK_BYTES = 1 << 20


@click.group(short_help="Make up a market, on topics or in files.")
def simulate() -> None:
    """Make up a market: realistic messages of all exchanges, reproducible by a seed."""


style_option = click.option(
    "--style",
    type=click.Choice(["reserialised", "exchange", "flattened"]),
    default="reserialised",
    show_default=True,
    help="Bytes as upstream writes them, as the exchange does, or tickers of wanted keys alone.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True
)


@simulate.command("topics", short_help="Put envelopes on the input topics.")
@exchange_option
@kind_option
@style_option
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="ENVELOPES",
    help="So many a second of each exchange and kind. Without it, as fast as it can.",
)
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0, min_open=True),
    help="How much of each exchange and kind. By default 1; with --rate until Ctrl-C.",
)
@seed_option
@click.option(
    "--truth",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to write the expected records, a file for each exchange and kind.",
)
@setting_option
@servers_option
def to_topics(  # noqa: PLR0913, PLR0917 - an option each
    exchanges: tuple[str, ...],
    kinds: tuple[Kind, ...],
    style: str,
    rate: float | None,
    megabytes: float | None,
    seed: int,
    truth: Path | None,
    setting_folder: Path | None,
    bootstrap_servers: str | None,
) -> None:
    """Put envelopes on the input topics, each exchange on the partition that is its own.

    Same seed, same envelopes. With --truth, DIR/<exchange>.<kind>.expected.jsonl has the record
    that each message must lead to; its timestamp is null where the message has none.
    """
    settings = with_cluster(setting_folder, bootstrap_servers)
    markets = _markets(exchanges, kinds)
    if megabytes is None and rate is None:
        megabytes = 1.0
    size = None if megabytes is None else int(megabytes * 1e6)
    try:
        if truth:
            truth.mkdir(parents=True, exist_ok=True)
            for name, kind in markets:
                (truth / f"{name}.{kind}.expected.jsonl").unlink(missing_ok=True)
        fed = asyncio.run(_feed(settings, Feed(settings, markets, style, seed, truth), rate, size))
    except OSError as error:
        raise click.ClickException(f"{error.filename or truth}: {error.strerror}") from None
    click.echo(
        f"{fed.envelopes:,} envelopes, {fed.items:,} items of {len(markets)} exchanges and kinds "
        f"on {', '.join(settings.kafka.bootstrap_servers)}",
        err=True,
    )


async def _feed(settings: Settings, feed: Feed, rate: float | None, size: int | None) -> Fed:
    async with admin(settings.kafka) as client:
        found = await of_kafka.find(client)
    fed = [topic for topic in of_kafka.wanted(assignments(settings)) if topic.name in feed.topics()]
    of_kafka.check(fed, found, settings)
    total = None if size is None else size * feed.markets
    with Progress("simulate", total, quiet_with_output=False) as progress:
        running = asyncio.create_task(feed.run(rate=rate, max_bytes=size, advance=progress.advance))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.cancel)
        with suppress(asyncio.CancelledError):
            await running
    return feed.fed


@simulate.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@exchange_option
@kind_option
@style_option
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Size of each file.",
)
@seed_option
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
    chosen = _markets(exchanges, kinds)
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


def _markets(exchanges: tuple[str, ...], kinds: tuple[Kind, ...]) -> list[tuple[str, Kind]]:
    names = exchanges or tuple(name for name, _ in exchange_names())
    return [(name, kind) for name in names for kind in kinds or KINDS]


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
