"""The settings: the only place that reads YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marketprep._core import exchange_names

Region = Literal["Asia", "Korea", "NE"]

#: The settings that come with the package.
DEFAULT_FOLDER = Path(__file__).with_name("setting")

_REMEDIES = {
    "extra_forbidden": "there is no such key: correct or remove it",
    "missing": "add it",
    "literal_error": "one of Asia, Korea and NE is needed",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "model_type": "a row of region, partition and depth is needed",
    "dict_type": "a row for each exchange is needed",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a setting: where, what, and what to do about it."""

    file: Path
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.text}" if self.key else f"{self.file}: {self.text}"


class SettingsError(Exception):
    """Settings that cannot be used. `problems` has all of them, the message one a line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class ExchangeSettings(BaseModel):
    """One exchange."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    region: Region
    partition: int = Field(ge=0)
    depth: int = Field(ge=1)


class Settings(BaseModel):
    """All settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    exchanges: Mapping[str, ExchangeSettings]


def load_settings(folder: Path | None = None) -> Settings:
    """Reads the settings of a folder, by default those that come with the package.

    Raises SettingsError with every problem at once.
    """
    file = (folder or DEFAULT_FOLDER) / "exchanges.yml"
    content = _read_yaml(file)
    names = content.get("exchanges") if isinstance(content, dict) else None
    problems = list(_check_names(file, names)) if isinstance(names, dict) else []
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        problems += [_problem(file, details) for details in error.errors()]
    else:
        problems += _check_partitions(file, settings)
        if not problems:
            return settings
    raise SettingsError(problems)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a key which stands twice, as YAML itself asks."""

    def construct_mapping(  # the signature is PyYAML's
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} stands twice: remove one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(file: Path) -> object:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SettingsError(
            [Problem(file, "", f"{reason}: name a folder with this file by --setting DIR")]
        ) from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError([Problem(file, where, f"not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise SettingsError([Problem(file, "", f"not YAML: {error}")]) from None


def _problem(file: Path, details: Mapping[str, object]) -> Problem:
    location = details["loc"]
    key = ".".join(map(str, location)) if isinstance(location, tuple) else ""
    given = "" if details["type"] == "missing" else f", not {details['input']!r}"
    remedy = _REMEDIES.get(str(details["type"]), str(details["msg"]))
    if isinstance(context := details.get("ctx"), Mapping) and "ge" in context:
        remedy = f"{context['ge']} or more is needed"
    if not key:
        remedy = "a mapping with the key exchanges is needed"
    return Problem(file, key, f"{remedy}{given}")


def _check_names(file: Path, names: Mapping[object, object]) -> Iterator[Problem]:
    decoders = {name for name, _ in exchange_names()}
    for name in names.keys() - decoders:
        known = ", ".join(sorted(decoders))
        yield Problem(file, f"exchanges.{name}", f"no decoder is of this name, only of {known}")
    for name in sorted(decoders - names.keys()):
        yield Problem(file, f"exchanges.{name}", "has a decoder but no row here: add one")


def _check_partitions(file: Path, settings: Settings) -> Iterator[Problem]:
    owners: dict[tuple[str, int], str] = {}
    for name, row in settings.exchanges.items():
        owner = owners.setdefault((row.region, row.partition), name)
        if owner != name:
            yield Problem(
                file,
                f"exchanges.{name}.partition",
                f"{row.partition} of {row.region} is {owner}'s already: choose another",
            )
