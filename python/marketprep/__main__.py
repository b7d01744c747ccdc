"""The command line."""

import sys

import click

from marketprep import _core
from marketprep.commands import decode, simulate
from marketprep.settings import SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="marketprep")
def cli() -> None:
    """Exact, uniform records from the raw websocket messages of crypto exchanges."""
    if _core.BUILD_PROFILE == "debug":
        click.echo("marketprep: a debug build is loaded, which is ten times slower", err=True)


cli.add_command(decode.decode)
cli.add_command(simulate.simulate)


def main() -> None:
    """Runs a command; an error is one message and an exit code, never a traceback."""
    try:
        cli(prog_name="marketprep")
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
