"""`marketprep health`: whether a running service is alive, and ready."""

import sys
from pathlib import Path

import click

from marketprep.commands import read, setting_option
from marketprep.health import ask


@click.command(short_help="Tell by the exit code whether a service is alive, or ready.")
@click.argument("what", type=click.Choice(("live", "ready")))
@setting_option
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Where the service answers. By default watch.health_address of the settings.",
)
def health(what: str, setting_folder: Path | None, address: str | None) -> None:
    """Ask a running service whether it is live or ready; exit code 0 if so, else 1.

    Live is a service whose event loop goes round: one that is not should be ended. Ready is one
    that works on all partitions that are its own: the next one of a rolling restart may follow.
    The service answers where watch.health_address of its settings says, by HTTP also at /live and
    /ready.
    """
    address = address or read(setting_folder, None).settings.watch.health_address
    if address is None:
        text = "name an --address HOST:PORT, or set watch.health_address for the service and here"
        raise click.UsageError(text)
    is_so, text = ask(address, what)
    click.echo(text, err=not is_so)
    sys.exit(0 if is_so else 1)
