"""The command line."""

import sys

import click

from marketprep import _core
from marketprep.commands import (
    deadletters,
    decode,
    health,
    local,
    run,
    settings,
    simulate,
    sink,
    topics,
)
from marketprep.kafka import KafkaFailure
from marketprep.local import LocalError
from marketprep.settings import SettingsError
from marketprep.sink.failure import SinkFailure

_OF_THE_GROUP = {"-h", "--help", "--version"}


class _RunByDefault(click.Group):
    """A group whose options without a command are those of `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in _OF_THE_GROUP):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="marketprep")
def cli() -> None:
    """Exact, uniform records from the raw websocket messages of crypto exchanges.

    Without a command it is the service: `marketprep run`.
    """
    if _core.BUILD_PROFILE == "debug":
        click.echo("marketprep: a debug build is loaded, which is ten times slower", err=True)


cli.add_command(deadletters.deadletters)
cli.add_command(decode.decode)
cli.add_command(health.health)
cli.add_command(local.local)
cli.add_command(run.run)
cli.add_command(settings.settings)
cli.add_command(simulate.simulate)
cli.add_command(sink.sink)
cli.add_command(topics.topics)


def main() -> None:
    """Runs a command; an error is one message and an exit code, never a traceback."""
    try:
        cli(prog_name="marketprep")
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (KafkaFailure, LocalError, SinkFailure) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
