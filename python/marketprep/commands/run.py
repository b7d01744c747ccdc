"""`marketprep run`: the service."""

import signal
from contextlib import ExitStack
from pathlib import Path

import click

from marketprep.assignment import assignments
from marketprep.commands import (
    exchange_option,
    kind_option,
    read,
    region_option,
    servers_option,
    setting_option,
)
from marketprep.foreground import Surroundings, prepare_local, serve
from marketprep.kind import Kind
from marketprep.local import LocalKafka
from marketprep.progress import Steps
from marketprep.settings import Region, load_settings

#: Envelopes a second of each exchange and kind that are made up where there is no cluster.
_SIMULATED_RATE = 1.0


@click.command()
@setting_option
@servers_option
@region_option
@kind_option
@exchange_option
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
    if exchanges and settings.assignment == "group":
        text = "--exchange needs assignment: manual in the settings, as a group shares by itself"
        raise click.UsageError(text)
    work = assignments(settings, regions, kinds, exchanges)
    if not work:
        raise click.UsageError("no partition is in --region, --kind and --exchange: name others")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the event loop has its own
    try:
        if settings.kafka.bootstrap_servers:
            serve(settings, work, Surroundings(), until_end=until_end)
            return
        with ExitStack() as stack:
            with Steps() as steps:
                kafka = stack.enter_context(LocalKafka(settings.local_kafka, steps.say))
            where = f"Kafka is at {kafka.address}; its data stays in {kafka.folder}"
            click.echo(where, err=True)
            local = load_settings(setting_folder, {"kafka.bootstrap_servers": kafka.address})
            rate = None if until_end else _SIMULATED_RATE
            around = Surroundings((kafka,), prepare_local, rate)
            serve(local, work, around, until_end=until_end)
    except KeyboardInterrupt:
        click.echo("stopped before there was anything to drain", err=True)
