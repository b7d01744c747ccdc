"""`marketprep run`: the service."""

import asyncio
import signal
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import structlog

from marketprep import topics
from marketprep._core import exchange_names
from marketprep.assignment import Assignment, assignments
from marketprep.commands import read, servers_option, setting_option
from marketprep.feed import Feed
from marketprep.kafka import KafkaFailure, admin
from marketprep.kind import KINDS, Kind
from marketprep.live_table import LiveTable, has_terminal
from marketprep.local_kafka import LocalKafka, LocalKafkaError
from marketprep.logs import logging_to
from marketprep.progress import Steps
from marketprep.service import Service, stop_signals, until_stopped
from marketprep.settings import REGIONS, Region, Settings, load_settings

#: Envelopes a second of each exchange and kind that are made up where there is no cluster.
_SIMULATED_RATE = 1.0

_LOOK_SECONDS = 0.5

_log = structlog.stdlib.get_logger("marketprep.run")


@click.command()
@setting_option
@servers_option
@click.option(
    "--region",
    "regions",
    multiple=True,
    type=click.Choice(REGIONS, case_sensitive=False),
    help="Only this region. Repeatable, as are the next two: many processes can share the work.",
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind.")
@click.option(
    "--exchange",
    "exchanges",
    multiple=True,
    type=click.Choice([name for name, _ in exchange_names()]),
    help="Only this exchange.",
)
@click.option(
    "--until-end",
    is_flag=True,
    help="Stop when every partition is read to its present end.",
)
def run(  # noqa: PLR0913 - an option each
    setting_folder: Path | None,
    bootstrap_servers: str | None,
    regions: tuple[Region, ...],
    kinds: tuple[Kind, ...],
    exchanges: tuple[str, ...],
    *,
    until_end: bool,
) -> None:
    """Turn what collectors put on Kafka into records on Kafka.

    Reads the input topics, decodes, and produces records and dead letters, until Ctrl-C or SIGTERM:
    then what was read is sent and committed, and the exit code is 0.

    Where no cluster is configured, a real Kafka is started on this machine, a made-up market is put
    on its input topics, and a table shows what flows.
    """
    settings = read(setting_folder, bootstrap_servers).settings
    work = assignments(settings, regions, kinds, exchanges)
    if not work:
        raise click.UsageError("no partition is in --region, --kind and --exchange: name others")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the event loop has its own
    try:
        if settings.kafka.bootstrap_servers:
            _serve(settings, work, None, until_end=until_end)
            return
        with ExitStack() as stack:
            with Steps() as steps:
                kafka = stack.enter_context(LocalKafka(settings.local_kafka, steps.say))
            where = f"Kafka is at {kafka.address}; its data stays in {kafka.folder}"
            click.echo(where, err=True)
            local = load_settings(setting_folder, {"kafka.bootstrap_servers": kafka.address})
            _serve(local, work, kafka, until_end=until_end)
    except KeyboardInterrupt:
        click.echo("stopped before there was anything to drain", err=True)


def _serve(
    settings: Settings, work: Sequence[Assignment], kafka: LocalKafka | None, *, until_end: bool
) -> None:
    service = Service(settings, work)
    with ExitStack() as stack:
        try:
            stack.enter_context(logging_to(settings.logs, is_table_shown=has_terminal()))
        except OSError as error:
            text = f"logs.folder {settings.logs.folder}: {error.strerror}: name another, or null"
            raise click.ClickException(text) from None
        stack.callback(lambda: click.echo(str(service.totals), err=True))
        try:
            asyncio.run(_run(service, settings, work, kafka, until_end=until_end))
        except (KafkaFailure, LocalKafkaError):
            raise
        except Exception as error:
            _log.exception("the service has failed")
            hint = "its traceback is in the log; please report it"
            text = f"unexpected {type(error).__name__}: {error}; {hint}"
            raise click.ClickException(text) from error


async def _run(
    service: Service,
    settings: Settings,
    work: Sequence[Assignment],
    kafka: LocalKafka | None,
    *,
    until_end: bool,
) -> None:
    with stop_signals() as signals:
        told = asyncio.create_task(signals.get())
        ready = asyncio.create_task(_prepare(settings, service, is_local=kafka is not None))
        await asyncio.wait((told, ready), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ready.done():
            ready.cancel()
            raise KeyboardInterrupt
        ready.result()
        beside = _beside(settings, work, service, feeds=kafka is not None and not until_end)
        drain_seconds = settings.watch.drain_timeout_s
        main = asyncio.create_task(
            until_stopped(service, signals, until_end=until_end, drain_seconds=drain_seconds)
        )
        try:
            if kafka:
                await _while_it_lives(kafka, main)
            await main
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _prepare(settings: Settings, service: Service, *, is_local: bool) -> None:
    """Sees to it that the topics are there: made by us on a local Kafka, else by others."""
    if is_local:
        async with admin(settings.kafka) as client:
            everything = assignments(settings)
            await topics.create(client, settings, topics.wanted(everything))
            await topics.wait_for_groups(client, (of.topics.group_id for of in everything))
    await service.check()


def _beside(
    settings: Settings, work: Sequence[Assignment], service: Service, *, feeds: bool
) -> list[asyncio.Task[None]]:
    """What goes on beside the service: a made-up market, and the table where somebody looks."""
    beside = []
    if feeds:
        markets = [(name, of.kind) for of in work for name in of.exchanges.values()]
        feed = Feed(settings, markets, "reserialised", seed=int(time.time()))
        beside.append(_start_beside(feed.run(rate=_SIMULATED_RATE)))
    if has_terminal():
        caption = f"Kafka {', '.join(settings.kafka.bootstrap_servers)} · Ctrl-C stops"
        beside.append(_start_beside(LiveTable(service.lanes, caption).show()))
    return beside


def _start_beside(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Something that goes on beside the service, which does not end if it fails."""

    async def told() -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - whatever it is, the service goes on
            _log.exception("what went on beside the service has failed")

    return asyncio.create_task(told())


async def _while_it_lives(kafka: LocalKafka, main: asyncio.Task[None]) -> None:
    """Waits for the service. Raises LocalKafkaError if its Kafka ends before."""
    while not main.done():
        await asyncio.wait((main,), timeout=_LOOK_SECONDS)
        if not main.done() and (reason := kafka.ended()):
            main.cancel()
            await asyncio.gather(main, return_exceptions=True)
            raise LocalKafkaError(reason)
