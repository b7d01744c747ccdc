"""The commands, a module each."""

from pathlib import Path

import click

#: The option by which every command finds its settings.
setting_option = click.option(
    "--setting",
    "setting_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the settings. By default those that come with the package.",
)
