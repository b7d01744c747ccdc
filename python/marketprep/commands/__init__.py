"""The commands, a module each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from marketprep._core import exchange_names
from marketprep.kind import KINDS
from marketprep.local import running_address
from marketprep.local.store import store_options
from marketprep.settings import REGIONS, Loaded, Settings, load_settings, read_settings

Command = Callable[..., Any]

#: The option by which every command finds its settings.
setting_option = click.option(
    "--setting",
    "setting_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with config.yml and exchanges.yml. By default those that come with the package.",
)

#: The option by which every command that talks to Kafka finds it.
servers_option = click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT,…",
    help="The Kafka cluster. By default that of the settings, else the local one.",
)


#: The options by which commands work on some regions, exchanges and kinds alone.
region_option = click.option(
    "--region",
    "regions",
    multiple=True,
    type=click.Choice(REGIONS, case_sensitive=False),
    help="Only this region. Repeatable.",
)
exchange_option = click.option(
    "--exchange",
    "exchanges",
    multiple=True,
    type=click.Choice([name for name, _ in exchange_names()]),
    help="Only this exchange. Repeatable.",
)
kind_option = click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind."
)


def read(setting_folder: Path | None, bootstrap_servers: str | None) -> Loaded:
    """The settings, with the cluster that was named on the command line."""
    options = {}
    if bootstrap_servers is not None:
        options["kafka.bootstrap_servers"] = bootstrap_servers
    return read_settings(setting_folder, options)


def with_cluster(setting_folder: Path | None, bootstrap_servers: str | None) -> Settings:
    """The settings of a command that needs a cluster which is there: named, or the local one."""
    settings = read(setting_folder, bootstrap_servers).settings
    if settings.kafka.bootstrap_servers:
        return settings
    address = running_address(settings.local_kafka.data_folder)
    if address is None:
        raise click.ClickException(
            "No cluster is configured, and no local Kafka is running: name one with "
            "--bootstrap-servers HOST:PORT, or start `marketprep run` beside this."
        )
    return load_settings(setting_folder, {"kafka.bootstrap_servers": address})


def local_options(kafka: str, worker: str, store: str) -> dict[str, str]:
    """The settings by which the sinks find local servers at these addresses."""
    return {
        "kafka.bootstrap_servers": kafka,
        "sink.worker_url": f"http://{worker}",
        "sink.flavour": "marketprep",
        **store_options(store),
    }


def table_console() -> Console:
    """Where tables are printed, whole also for whoever reads them on from a pipe."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = 120
    return console
