"""`marketprep settings`: what is in force, and why."""

from pathlib import Path

import click

from marketprep.commands import read, servers_option, setting_option
from marketprep.settings import shown


@click.command()
@setting_option
@servers_option
def settings(setting_folder: Path | None, bootstrap_servers: str | None) -> None:
    """Show every setting in force, and where its value comes from. Secrets are hidden."""
    rows = list(shown(read(setting_folder, bootstrap_servers)))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, origin in rows:
        click.echo(f"{key:{widths[0]}}  {value:{min(widths[1], 48)}}  {origin}")
