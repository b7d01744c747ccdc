"""Jars: fetched once from Maven Central, whole or not at all."""

import fcntl
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import platformdirs

from marketprep.local.error import LocalError

VERSION = "4.3.1"
_AWS_VERSION = "2.57.8"  # that of connect/pom.xml

# The `!` keeps log4j's dependency management away, which would bring an older kafka-clients.
_LOGGING = (
    "org.apache.logging.log4j:log4j-core:2.25.1!",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1!",
)


@dataclass(frozen=True)
class Jars:
    """Jars that go together."""

    title: str
    #: Of the folder that they are kept in.
    name: str
    coordinates: tuple[str, ...]
    megabytes: int


KAFKA = Jars(
    f"Apache Kafka {VERSION}",
    f"kafka-{VERSION}",
    (f"org.apache.kafka:kafka_2.13:{VERSION}", *_LOGGING),
    45,
)
CONNECT = Jars(
    f"Kafka Connect {VERSION}",
    f"kafka-connect-{VERSION}",
    (
        f"org.apache.kafka:connect-runtime:{VERSION}",
        f"org.apache.kafka:connect-json:{VERSION}",
        *_LOGGING,
    ),
    36,
)
#: What the S3 sink needs beside its own jar.
SINK = Jars(
    f"AWS SDK {_AWS_VERSION}",
    f"aws-sdk-{_AWS_VERSION}",
    (
        f"software.amazon.awssdk:s3:{_AWS_VERSION}",
        f"software.amazon.awssdk:url-connection-client:{_AWS_VERSION}",
    ),
    14,
)

#: Names of files, and their bytes, one a line: written last, so that what it lists is whole.
_LIST = "complete"

Say = Callable[[str], None]


def class_path(of: Jars, say: Say) -> str:
    """The jars as Java takes them; see `jars`."""
    return os.pathsep.join(map(str, jars(of, say)))


def jars(of: Jars, say: Say) -> list[Path]:
    """The files of jars. Fetches them where they are missing or not whole.

    Raises LocalError if they cannot be had.
    """
    folder = platformdirs.user_cache_path("marketprep") / of.name
    if not _is_whole(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with (folder.parent / f"{folder.name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # whoever fetches them now does it for us too
                if not _is_whole(folder):
                    _fetch(of, folder, say)
        except OSError as error:
            raise LocalError(
                f"The jars of {of.title} cannot be kept: {error.filename or folder}: "
                f"{error.strerror}. "
                "Make room or mend the folder's rights, or set XDG_CACHE_HOME to another one."
            ) from None
    return [folder / name for name, _ in _listed(folder)]


def _listed(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
    return [(name, int(size)) for name, _, size in (line.rpartition(" ") for line in lines)]


def _is_whole(folder: Path) -> bool:
    try:
        files = _listed(folder)
        return bool(files) and all((folder / name).stat().st_size == size for name, size in files)
    except (OSError, ValueError):
        return False


def _fetch(of: Jars, folder: Path, say: Say) -> None:
    """Fetches into a folder of its own, which takes the place of the other one when it is whole."""
    for leftover in folder.parent.glob(f"{folder.name}-part-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    part = Path(mkdtemp(prefix=f"{folder.name}-part-", dir=folder.parent))
    try:
        say(f"fetching {of.title} from Maven Central, {of.megabytes} MB, once")
        with _without_requests_noise():
            found = _resolve(of, part / "repository", say)
        lines = []
        for jar in found:
            with zipfile.ZipFile(jar) as archive:
                if broken := archive.testzip():
                    raise LocalError(_not_fetched(of, f"{jar.name} is damaged at {broken}"))
            jar.rename(part / jar.name)
            lines.append(f"{jar.name} {(part / jar.name).stat().st_size}\n")
        shutil.rmtree(part / "repository")
        (part / _LIST).write_text("".join(lines), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except zipfile.BadZipFile as error:
        raise LocalError(_not_fetched(of, str(error))) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _resolve(of: Jars, repository: Path, say: Say) -> list[Path]:
    """The jars and all that they need, as files of a repository that is filled with them."""
    try:
        from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415 - an extra
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - as above
    except ImportError:
        raise LocalError(
            "A local Kafka is fetched by the package jgo, which is not here: "
            "pip install 'marketprep[local]', or name a cluster with --bootstrap-servers."
        ) from None

    @contextmanager
    def progress(name: str, _size: int) -> Iterator[Callable[[int], None]]:
        if name.endswith(".jar"):
            say(f"fetching {name}")
        yield lambda _count: None

    context = MavenContext(
        repo_cache=repository, resolver=PythonResolver(progress_callback=progress), timeout=60
    )
    builder = EnvironmentBuilder(
        context=context, link_strategy=LinkStrategy.COPY, cache_dir=repository / "environment"
    )
    try:
        environment = builder.from_endpoint("+".join(of.coordinates), update=False)
    except OSError as error:
        if error.strerror:  # of a file; requests' errors have no strerror
            raise
        raise LocalError(_not_fetched(of, _first_line(error))) from None
    except (RuntimeError, ValueError) as error:
        raise LocalError(_not_fetched(of, _first_line(error))) from None
    return sorted(Path(environment.path).rglob("*.jar"))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _not_fetched(of: Jars, reason: str) -> str:
    return (
        f"{of.title} could not be fetched from Maven Central ({reason}): "
        "check the network and try again, or name a cluster with --bootstrap-servers."
    )


@contextmanager
def _without_requests_noise() -> Iterator[None]:
    """Keeps warnings of the packages that fetch to themselves: what fails is raised."""
    loggers = [logging.getLogger(name) for name in ("jgo", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
