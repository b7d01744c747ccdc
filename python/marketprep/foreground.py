"""The service in the foreground: its log, its table, and what goes on beside it."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import click
import structlog

from marketprep import topics
from marketprep.assignment import Assignment, assignments
from marketprep.feed import Feed
from marketprep.health import Health, served
from marketprep.kafka import KafkaFailure, admin
from marketprep.live_table import LiveTable, has_terminal
from marketprep.local import LocalError, LocalServer
from marketprep.logs import logging_to
from marketprep.service import Service, stop_signals, until_stopped
from marketprep.settings import Settings

_LOOK_SECONDS = 0.5

_log = structlog.stdlib.get_logger("marketprep.run")


@dataclass(frozen=True)
class Surroundings:
    """What is ours around the service."""

    #: Servers without which it cannot go on.
    servers: Sequence[LocalServer] = ()
    #: What makes the topics where nobody else has.
    prepare: Callable[[Settings], Coroutine[None, None, None]] | None = None
    #: Envelopes a second of each exchange and kind that are made up and put on the input topics.
    rate: float | None = None
    #: What else goes on beside it, and the lines that it has below the table.
    beside: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    caption: Callable[[], Sequence[str]] = tuple


def serve(
    settings: Settings, work: Sequence[Assignment], around: Surroundings, *, until_end: bool = False
) -> None:
    """Runs the service until a signal or the end, and tells its totals.

    Raises KeyboardInterrupt if it is stopped before it has begun, KafkaFailure or LocalError if it
    cannot go on.
    """
    service = Service(settings, work)
    with ExitStack() as stack:
        try:
            stack.enter_context(logging_to(settings.logs, is_table_shown=has_terminal()))
        except OSError as error:
            text = f"logs.folder {settings.logs.folder}: {error.strerror}: name another, or null"
            raise click.ClickException(text) from None
        health = Health(service)
        if address := settings.watch.health_address:
            stack.enter_context(served(health, address))
        stack.callback(lambda: click.echo(str(service.totals), err=True))
        # what stays until the end need not be looked through for garbage again and again
        gc.collect()
        gc.freeze()
        try:
            asyncio.run(_run(service, health, settings, work, around, until_end=until_end))
        except (KafkaFailure, LocalError):
            raise
        except Exception as error:
            _log.exception("the service has failed")
            hint = "its traceback is in the log; please report it"
            text = f"unexpected {type(error).__name__}: {error}; {hint}"
            raise click.ClickException(text) from error


async def prepare_local(settings: Settings) -> None:
    """Creates all topics on a Kafka of our own."""
    async with admin(settings.kafka) as client:
        everything = assignments(settings)
        await topics.create(client, settings, topics.wanted(everything))
        await topics.wait_for_groups(client, (of.topics.group_id for of in everything))


async def _run(  # noqa: PLR0913 - all that `serve` has
    service: Service,
    health: Health,
    settings: Settings,
    work: Sequence[Assignment],
    around: Surroundings,
    *,
    until_end: bool,
) -> None:
    with stop_signals() as signals:
        looking = _start_beside(health.look())
        told = asyncio.create_task(signals.get())
        ready = asyncio.create_task(_prepare(settings, service, around))
        await asyncio.wait((told, ready), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ready.done():
            ready.cancel()
            raise KeyboardInterrupt
        ready.result()
        beside = [looking, *_beside(settings, work, service, around)]
        drain_seconds = settings.watch.drain_timeout_s
        main = asyncio.create_task(
            until_stopped(service, signals, until_end=until_end, drain_seconds=drain_seconds)
        )
        try:
            await _while_they_live(around.servers, main)
            await main
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _prepare(settings: Settings, service: Service, around: Surroundings) -> None:
    """Sees to it that the topics are there: made by us, or by others."""
    if around.prepare:
        await around.prepare(settings)
    await service.check()


def _beside(
    settings: Settings, work: Sequence[Assignment], service: Service, around: Surroundings
) -> list[asyncio.Task[None]]:
    """What goes on beside the service: a made-up market, and the table where somebody looks."""
    beside = [_start_beside(start()) for start in around.beside]
    if around.rate:
        markets = [(name, of.kind) for of in work for name in of.exchange_names]
        feed = Feed(settings, markets, "reserialised", seed=int(time.time()))
        beside.append(_start_beside(feed.run(rate=around.rate)))
    if has_terminal():
        servers = ", ".join(settings.kafka.bootstrap_servers)

        def caption() -> str:
            return "\n".join((*around.caption(), f"Kafka {servers} · Ctrl-C stops"))

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


async def _while_they_live(servers: Sequence[LocalServer], main: asyncio.Task[None]) -> None:
    """Waits for the service. Raises LocalError if a server of ours ends before."""
    while servers and not main.done():
        await asyncio.wait((main,), timeout=_LOOK_SECONDS)
        for server in servers:
            if not main.done() and (reason := server.ended()):
                main.cancel()
                await asyncio.gather(main, return_exceptions=True)
                raise LocalError(reason)
