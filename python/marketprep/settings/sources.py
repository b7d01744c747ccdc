"""Where settings come from: YAML files, and the environment over them."""

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from marketprep.settings.problem import Problem, SettingsError

#: The settings that come with the package.
DEFAULT_FOLDER = Path(__file__).parent.with_name("setting")

PREFIX = "MARKETPREP_"

#: Variables that mean something else: the folder of the settings, and what tests are told.
_OTHER_VARIABLES = ("MARKETPREP_SETTING", "MARKETPREP_CAPTURES", "MARKETPREP_MUTATIONS")
_TEST_PREFIX = "MARKETPREP_TEST_"

#: What PyYAML raises; ValueError is of what looks like a date or number but is none.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


def variable(key: str) -> str:
    """The variable of the environment that sets a key: MARKETPREP_KAFKA_CLIENT_ID."""
    return PREFIX + key.replace(".", "_").upper()


def leaves(content: object, above: str = "") -> Iterator[tuple[str, object]]:
    """Every key that has a value and no further keys, with dots between, and the value."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from leaves(value, f"{above}.{name}" if above else str(name))
    else:
        yield above, content


def put(content: dict[str, Any], key: str, value: object) -> None:
    """Sets a key of nested mappings. What stands in the way is replaced."""
    *path, name = key.split(".")
    for part in path:
        below = content.get(part)
        if not isinstance(below, dict):
            below = content[part] = {}
        content = below
    content[name] = value


def is_section(content: object, key: str) -> bool:
    """Whether a key has further keys below it."""
    for part in key.split("."):
        if not isinstance(content, dict):
            return False
        content = content.get(part)
    return isinstance(content, dict)


def from_environment(
    environment: Mapping[str, str], keys: Iterable[str]
) -> tuple[dict[str, str], list[Problem]]:
    """The values that the environment gives to keys, and what it sets that is no key."""
    by_variable = {variable(key): key for key in keys}
    known = [name.removeprefix(PREFIX) for name in by_variable]
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name.startswith(_TEST_PREFIX) or name in _OTHER_VARIABLES:
            continue
        if key := by_variable.get(name):
            values[key] = value
        else:
            near = difflib.get_close_matches(name.removeprefix(PREFIX), known, 1)
            hint = f"perhaps {PREFIX}{near[0]} is meant" if near else "unset it"
            problems.append(Problem(name, "", f"there is no such setting: {hint}"))
    return values, problems


def read_yaml(file: Path) -> object:
    """The content of a file. Raises SettingsError if it cannot be read or is no YAML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SettingsError([Problem(str(file), "", f"{reason}: mend or remove it")]) from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError([Problem(str(file), where, f"not YAML: {error.problem}")]) from None
    except _NOT_YAML as error:
        reason = str(error).splitlines()[0]
        raise SettingsError([Problem(str(file), "", f"not YAML: {reason}")]) from None


def plain(text: str) -> object:
    """The value that a text of the environment stands for, read as YAML reads it."""
    try:
        return yaml.safe_load(text)
    except _NOT_YAML:
        return text


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a key which stands twice, as YAML itself asks."""

    def construct_mapping(  # the signature is PyYAML's
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # which is refused below
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} stands twice: remove one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=True)  # refuses what contains itself
