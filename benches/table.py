"""All benches, one after the other, and one table of what was found and what is hoped for.

With --from, the table of an earlier run.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from contest import BENCHES
from goals import Report

RESULT = BENCHES / "results" / "last.json"


@dataclass(frozen=True)
class Part:
    """A bench, and what it is told when there is time, and when there is not."""

    script: str
    whole: tuple[str, ...]
    quick: tuple[str, ...]


PARTS = (
    Part(
        "core.py",
        ("--megabytes", "6", "--rounds", "3"),
        ("--megabytes", "1.5", "--rounds", "1"),
    ),
    Part(
        "end_to_end.py",
        ("--megabytes", "1000", "--rounds", "3"),
        ("--megabytes", "200", "--rounds", "1", "--compression", "lz4", "--seconds", "5"),
    ),
)


def measure(*, is_quick: bool) -> Report:
    """Runs all, which tell what they find on standard error."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            file = Path(folder) / f"{part.script}.json"
            options = part.quick if is_quick else part.whole
            command = [sys.executable, str(BENCHES / part.script), *options, "--json", str(file)]
            done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
            if done.returncode:
                raise SystemExit(f"{part.script} failed")
            found = Report.read(file)
            report.figures += found.figures
            report.notes |= found.notes
    return report


def machine() -> dict[str, str]:
    """What the figures are of."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "commit": commit(),
        "load_before": f"{os.getloadavg()[0]:.1f}",
    }


def commit() -> str:
    """What was measured, if it is known."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        told = subprocess.run(command, cwd=BENCHES, capture_output=True, text=True, check=True)  # noqa: S603 - a fixed one
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()


def processor() -> str:
    """Its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@click.command()
@click.option("--quick", is_flag=True, help="In some five minutes: less, and less often.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path, exists=True), help="Measure nothing."
)
@click.option("--markdown", is_flag=True, help="The table as a README has it.")
@click.option("--json", "file", default=RESULT, type=click.Path(path_type=Path))
def main(source: Path | None, file: Path, *, quick: bool, markdown: bool) -> None:
    """Measure, print the table, and write all figures to a file."""
    if source:
        report = Report.read(source)
        of = json.loads(source.read_text(encoding="utf-8"))["machine"]
    else:
        of = machine() | {"mode": "quick" if quick else "whole"}
        report = measure(is_quick=quick)
        report.write(file, of)
    click.echo(", ".join(f"{name} {value}" for name, value in of.items()))
    click.echo(report.markdown() if markdown else report.table())


if __name__ == "__main__":
    main()
