"""Reading settings: defaults, then a folder, then the environment, then options."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from marketprep.settings import sources
from marketprep.settings.check import check
from marketprep.settings.model import Settings, as_path
from marketprep.settings.problem import Problem, SettingsError, given, is_secret, remedy

#: The files of a folder of settings.
FILES = ("config.yml", "exchanges.yml", "sink.yml")

#: Keys whose values are texts, whatever they look like in the environment.
_TEXTS = ("_id", "username", "password", "file", "folder", "input", "output", "suffix", "servers")

#: What a file may have that is named by the key with _file at its end.
_SECRETS = ("kafka.sasl_password", "kafka.key_password", "sink.store.secret_access_key")


@dataclass(frozen=True)
class Loaded:
    """Settings, and for each key, with dots between, where its value comes from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(folder: Path | None = None, options: Mapping[str, str] | None = None) -> Settings:
    """The settings in force; see `read_settings`."""
    return read_settings(folder, options).settings


def read_settings(folder: Path | None = None, options: Mapping[str, str] | None = None) -> Loaded:
    """Reads the settings of a folder, by default those that come with the package.

    `config.yml` and `sink.yml` need only what differs; `exchanges.yml` is a whole table. The
    environment (MARKETPREP_KAFKA_CLIENT_ID for kafka.client_id) wins over files, and `options`, by
    key, over everything. Raises SettingsError with every problem at once.
    """
    if folder is None and (named := os.environ.get("MARKETPREP_SETTING")):
        folder = Path(named)
    reading = _Reading()
    for name in FILES:
        reading.file(sources.DEFAULT_FOLDER / name, "default")
    if folder is not None and folder != sources.DEFAULT_FOLDER:
        reading.folder(folder)
    reading.environment(os.environ)
    for key, value in (options or {}).items():
        reading.set(key, value, f"--{key.rpartition('.')[2].replace('_', '-')}")
    return reading.done()


class _Reading:
    """Settings while they are being put together."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.problems: list[Problem] = []

    def folder(self, folder: Path) -> None:
        files = [folder / name for name in FILES if (folder / name).exists()]
        if not files:
            text = f"has none of {', '.join(FILES)}: name another folder by --setting DIR"
            self.problems.append(Problem(str(folder), "", text))
        for file in files:
            self.file(file, str(file))

    def file(self, file: Path, origin: str) -> None:
        try:
            content = sources.read_yaml(file)
        except SettingsError as error:
            self.problems += error.problems
            return
        is_table = file.name == "exchanges.yml"
        if content is None and not is_table:
            return
        if not isinstance(content, dict):
            needed = "the key exchanges" if is_table else "sections such as kafka and topics"
            text = f"a mapping with {needed} is needed, not {given(content, hides_text=True)}"
            self.problems.append(Problem(str(file), "", text))
            return
        if is_table and "exchanges" not in content:
            self.problems.append(Problem(str(file), "exchanges", "add it"))
            return
        for section in content:
            self.files[str(section)] = str(file)
        if is_table:
            self.content.pop("exchanges", None)
        for key, value in sources.leaves(content):
            if problem := self._refusal(key, value):
                self.problems.append(Problem(str(file), key, problem))
            elif not sources.is_section(self.content, key):
                self.set(key, value, origin)

    def _refusal(self, key: str, value: object) -> str | None:
        """Why a value cannot stand in a file. An empty section can: it changes nothing."""
        is_reference = isinstance(value, str) and value.startswith(
            "${"
        )  # which the worker resolves
        if is_secret(key) and value is not None and not is_reference:
            is_passed_on = key.startswith("sink.extra.")
            other = "refer to it as ${env:…}" if is_passed_on else f"set {sources.variable(key)}"
            return f"a password does not belong in a file: {other}"
        if sources.is_section(self.content, key) and value not in (None, {}):
            return remedy(key, {"type": "model_type", "input": value})
        return None

    def environment(self, environment: Mapping[str, str]) -> None:
        keys = [key for key, _ in sources.leaves(self.content)]
        values, problems = sources.from_environment(environment, keys)
        self.problems += problems
        for key, text in values.items():
            value = text if key.endswith(_TEXTS) and text else sources.plain(text)
            self.set(key, value, sources.variable(key))

    def set(self, key: str, value: object, origin: str) -> None:
        is_file = origin == "default" or origin in self.files.values()
        if key == "kafka.bootstrap_servers" and not value and not is_file:
            # an empty variable of a script must not lead to a made-up market
            text = "is empty: name host:port, or leave it away"
            self.problems.append(Problem(origin, key, text))
        sources.put(self.content, key, value)
        self.origins[key] = origin

    def done(self) -> Loaded:
        for key in _SECRETS:
            self._read_secret(key)
        self.problems += check(self.content, self.origin)
        try:
            settings = Settings.model_validate(self.content)
        except ValidationError as error:
            for details in error.errors():
                key = ".".join(part for part in details["loc"] if isinstance(part, str))
                self.problems.append(Problem(self.origin(key), key, remedy(key, details)))
        if self.problems:
            raise SettingsError(self.problems)
        return Loaded(settings, self.origins)

    def _read_secret(self, key: str) -> None:
        section, _, name = key.rpartition(".")
        content: object = self.content
        for part in section.split("."):
            content = content.get(part) if isinstance(content, dict) else None
        if not isinstance(content, dict) or content.get(name):
            return  # the environment has it, which wins
        named = content.get(f"{name}_file")
        file = as_path(named)
        if not isinstance(file, Path):
            return
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            text, reason = "", getattr(error, "strerror", None) or "not UTF-8"
        else:
            reason = "is empty"
        if text:
            self.set(key, text, str(file))
        else:
            key = f"{key}_file"
            self.problems.append(Problem(self.origin(key), key, f"{named}: {reason}: correct it"))

    def origin(self, key: str) -> str:
        """Where the value of a key comes from, for people who are to change it."""
        origin = self.origins.get(key, "default")
        return self.files.get(key.split(".", 1)[0], "") if origin == "default" else origin


def shown(loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    """Every key, its value as text, and where that comes from; secrets hidden."""
    for key, value in sources.leaves(loaded.settings.model_dump(mode="json")):
        if isinstance(value, list | dict):
            text = ", ".join(map(str, value)) or "none"
        else:
            text = "null" if value is None else str(value)
        if is_secret(key) and value is not None:
            text = "(hidden)"
        yield key, text, loaded.origins.get(key, "default")
