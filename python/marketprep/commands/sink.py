"""`marketprep sink`: Kafka Connect's way from the topics to S3."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from marketprep.commands import local_options, servers_option, setting_option, table_console
from marketprep.kafka import KafkaFailure
from marketprep.local import running_address
from marketprep.progress import Steps
from marketprep.settings import Settings, load_settings
from marketprep.sink.apply import apply as make
from marketprep.sink.connectors import Connector, connectors
from marketprep.sink.failure import SinkFailure
from marketprep.sink.lag import Position, positions
from marketprep.sink.state import State, state_of
from marketprep.sink.store import Store
from marketprep.sink.worker import Worker

_worker_option = click.option(
    "--worker-url",
    metavar="URL",
    help="Kafka Connect's REST API. By default that of the settings, else of a `marketprep local`.",
)

_names_argument = click.argument("names", nargs=-1, metavar="[NAME…]")


@click.group(short_help="Store topics in S3 or MinIO, by Kafka Connect.")
def sink() -> None:
    """The sinks: Kafka Connect stores topics in S3 or MinIO.

    Each row of sink.connectors is one, such as ticker and orderbook; NAME leaves the others alone.
    """


@sink.command()
@setting_option
@_worker_option
@_names_argument
def apply(setting_folder: Path | None, worker_url: str | None, names: tuple[str, ...]) -> None:
    """Create the connectors, or change them to what the settings say.

    The worker validates all of them before any is changed, the bucket and the access key included.
    Ends when all tasks run. Whatever is as it should be already stays untouched.
    """
    settings = _settings(setting_folder, worker_url)
    wanted = connectors(settings, names)
    with Steps() as steps:
        done = make(_worker(settings), settings.sink, wanted, steps.say)
    for connector, (name, what) in zip(wanted, done, strict=True):
        click.echo(f"{name}: {what}; {', '.join(connector.topics)} into {connector.bucket}")


@sink.command()
@setting_option
@servers_option
@_worker_option
@_names_argument
def status(
    setting_folder: Path | None,
    bootstrap_servers: str | None,
    worker_url: str | None,
    names: tuple[str, ...],
) -> None:
    """Show connectors, tasks, lag, the last error and the newest objects.

    Lag is in offsets that are not in an object yet: up to a whole object's messages wait in each
    partition. Of each topic the last object of a partition is shown. The exit code is 1 if anything
    does not run.
    """
    settings = _settings(setting_folder, worker_url, bootstrap_servers)
    wanted, worker = connectors(settings, names), _worker(settings)
    states = [state_of(worker.status(connector.name)) for connector in wanted]
    places, reason = _positions(settings, wanted)
    _print_states(wanted, states, places)
    for connector, state in zip(wanted, states, strict=True):
        if state.error:
            click.echo(f"{connector.name}: {state.error}", err=True)
        elif state.state == "MISSING":
            click.echo(f"{connector.name}: `marketprep sink apply` creates it", err=True)
    if reason:
        click.echo(f"lag and objects are not known: {reason}", err=True)
    else:
        _print_objects(settings, wanted, places)
    known = {f"{settings.sink.name_prefix}-{row}" for row in settings.sink.connectors}
    for name in worker.names():
        if name.startswith(f"{settings.sink.name_prefix}-") and name not in known:
            click.echo(f"{name}: is there, but in no row of sink.connectors", err=True)
    if not all(state.is_running for state in states):
        raise SystemExit(1)


def _positions(settings: Settings, wanted: Sequence[Connector]) -> tuple[list[list[Position]], str]:
    """The positions of connectors, or why they are not known."""
    if not settings.kafka.bootstrap_servers:
        return [], "no cluster is configured (--bootstrap-servers)"
    try:
        return asyncio.run(positions(settings.kafka, wanted)), ""
    except KafkaFailure as error:
        return [], str(error)


def _print_states(
    wanted: Sequence[Connector], states: Sequence[State], places: Sequence[Sequence[Position]]
) -> None:
    table = Table("connector", "state", "tasks", box=None, pad_edge=False)
    table.add_column("lag", justify="right")
    table.add_column("bucket")
    for index, (connector, state) in enumerate(zip(wanted, states, strict=True)):
        lag = f"{sum(place.lag for place in places[index]):,}" if places else "?"
        tasks = f"{state.running} of {state.tasks} run"
        table.add_row(connector.name, state.state, tasks, lag, connector.bucket)
    table_console().print(table)


def _print_objects(
    settings: Settings, wanted: Sequence[Connector], places: Sequence[Sequence[Position]]
) -> None:
    store, topics_dir = Store(settings.sink.store), settings.sink.objects.topics_dir
    for connector, of_connector in zip(wanted, places, strict=True):
        for topic in connector.topics:
            of_topic = [place for place in of_connector if place.topic == topic]
            if not of_topic:
                click.echo(f"the topic {topic} is not there: `marketprep topics create`", err=True)
                continue
            last = max(of_topic, key=lambda place: place.stored or 0)
            if not last.stored:
                click.echo(f"nothing is committed yet of {topic}")
                continue
            folder = f"{topics_dir}/{topic}"
            try:
                found = store.newest(connector.bucket, folder, last.partition, last.stored)
            except SinkFailure as error:
                click.echo(f"objects are not known: {error}", err=True)
                break
            if found:
                when = f"{found.modified.astimezone():%Y-%m-%d %H:%M:%S}"
                click.echo(f"{when} {found.size:>9,} bytes  {connector.bucket}/{found.name}")
            else:
                click.echo(f"no object is found in {connector.bucket}/{folder}", err=True)


@sink.command()
@setting_option
@_worker_option
@_names_argument
def remove(setting_folder: Path | None, worker_url: str | None, names: tuple[str, ...]) -> None:
    """Remove the connectors.

    Objects stay, and so do the offsets of what is stored: applied again, they go on there, as long
    as Kafka keeps the offsets of groups that nobody is in (offsets.retention.minutes: a week).
    """
    settings = _settings(setting_folder, worker_url)
    worker = _worker(settings)
    for connector in connectors(settings, names):
        is_removed = worker.delete(connector.name)
        click.echo(f"{connector.name}: {'removed' if is_removed else 'is not there'}")


def _worker(settings: Settings) -> Worker:
    assert settings.sink.worker_url  # noqa: S101 - _settings has seen to it
    worker = Worker(settings.sink.worker_url)
    worker.plugins()  # tells if it is none
    return worker


def _settings(
    setting_folder: Path | None, worker_url: str | None, bootstrap_servers: str | None = None
) -> Settings:
    """The settings, with the worker that was named, or else the local one and what is beside it."""
    options = {}
    if bootstrap_servers is not None:
        options["kafka.bootstrap_servers"] = bootstrap_servers
    if worker_url is not None:
        options["sink.worker_url"] = worker_url
    settings = load_settings(setting_folder, options)
    if settings.sink.worker_url:
        return settings
    worker = running_address(settings.local_connect.data_folder)
    store = running_address(settings.local_store.data_folder)
    kafka = running_address(settings.local_kafka.data_folder)
    if not worker or not store or not kafka:
        raise click.ClickException(
            "No Kafka Connect is configured, and none is running here: name one with --worker-url "
            "http://HOST:PORT or sink.worker_url, or start `marketprep local` beside this."
        )
    return load_settings(setting_folder, options | local_options(kafka, worker, store))
