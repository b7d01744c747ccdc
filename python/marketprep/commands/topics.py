"""`marketprep topics`: what the service needs on Kafka."""

import asyncio
from collections import Counter
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.table import Table

from marketprep import log_dirs
from marketprep import topics as of_kafka
from marketprep.assignment import assignments
from marketprep.commands import servers_option, setting_option, table_console, with_cluster
from marketprep.kafka import admin
from marketprep.settings import Settings


@click.group(short_help="Create the topics that are missing; show what is there.")
def topics() -> None:
    """The topics of the service: create what is missing, show what is there."""


@topics.command()
@setting_option
@servers_option
def create(setting_folder: Path | None, bootstrap_servers: str | None) -> None:
    """Create the topics and partitions that are missing.

    What is there stays as it is. If a topic has more partitions than the settings say, or is
    replicated otherwise, nothing is done at all, and the exit code is 1.
    """
    asyncio.run(_create(with_cluster(setting_folder, bootstrap_servers)))


async def _create(settings: Settings) -> None:
    wanted = of_kafka.wanted(assignments(settings))
    async with admin(settings.kafka) as client:
        done = await of_kafka.create(client, settings, wanted)
    for name, what in done:
        click.echo(f"{name}: {what}")
    if not done:
        click.echo(f"all {len(wanted)} topics are there already")


@topics.command("list")
@setting_option
@servers_option
def list_(setting_folder: Path | None, bootstrap_servers: str | None) -> None:
    """Show each topic's partitions, replication and size on disk."""
    asyncio.run(_list(with_cluster(setting_folder, bootstrap_servers)))


async def _list(settings: Settings) -> None:
    wanted = of_kafka.wanted(assignments(settings))
    async with admin(settings.kafka) as client:
        found = await of_kafka.find(client)
        try:
            sizes: Counter[str] | None = await log_dirs.sizes(client)
        except KafkaError:
            sizes = None
    table = Table("topic", box=None, pad_edge=False)
    for column in ("partitions", "replication", "bytes"):
        table.add_column(column, justify="right")
    for topic in wanted:
        there = found.get(topic.name)
        if there:
            size = "unknown" if sizes is None else f"{sizes[topic.name]:,}"
            table.add_row(topic.name, str(there.partitions), str(there.replication), size)
        else:
            table.add_row(topic.name, "missing")
    table_console().print(table)
    for text in of_kafka.differences(wanted, found, settings):
        click.echo(text, err=True)
    if of_kafka.missing(wanted, found):
        click.echo("`marketprep topics create` makes what is missing", err=True)
