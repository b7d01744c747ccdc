"""The settings of the exchanges: every problem at once, with file, key and remedy."""

from pathlib import Path

import pytest
import yaml

from conftest import EXCHANGES, ROOT
from marketprep import SettingsError, load_settings


def test_the_defaults_are_those_of_the_contract() -> None:
    exchanges = load_settings().exchanges
    rows = {(name, row.region, row.partition) for name, row in exchanges.items()}
    assert rows >= {
        ("okx", "Asia", 0),
        ("bybit", "Asia", 1),
        ("gateio", "Asia", 2),
        ("upbit", "Korea", 0),
        ("bithumb", "Korea", 1),
        ("coinone", "Korea", 2),
        ("korbit", "Korea", 3),
        ("binance", "NE", 0),
        ("kraken", "NE", 1),
    }


def changed(folder: Path, **rows: object) -> Path:
    """A folder with the default settings but for these rows; None removes one."""
    content = yaml.safe_load((ROOT / "setting" / "exchanges.yml").read_text(encoding="utf-8"))
    for name, row in rows.items():
        content["exchanges"][name] = row
        if row is None:
            del content["exchanges"][name]
    (folder / "exchanges.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(folder)
    assert all(problem.file == folder / "exchanges.yml" for problem in caught.value.problems)
    assert str(caught.value).count("\n") + 1 == len(caught.value.problems)
    return [f"{problem.key}: {problem.text}" for problem in caught.value.problems]


def test_every_wrong_value_at_once(tmp_path: Path) -> None:
    folder = changed(
        tmp_path,
        mtgox={"region": "Asia", "partition": 9, "depth": 1},
        okx={"region": "Europe", "partition": -1, "depth": "many"},
        upbit={"region": "Korea", "partition": 0, "depht": 30},
        kraken=7,
    )
    unknown, *others = sorted(problems(folder), key=lambda text: ("mtgox" not in text, text))
    assert unknown.startswith("exchanges.mtgox: no decoder is of this name")
    assert others == [
        "exchanges.kraken: a row of region, partition and depth is needed, not 7",
        "exchanges.okx.depth: a whole number is needed, not 'many'",
        "exchanges.okx.partition: 0 or more is needed, not -1",
        "exchanges.okx.region: one of Asia, Korea and NE is needed, not 'Europe'",
        "exchanges.upbit.depht: there is no such key: correct or remove it, not 30",
        "exchanges.upbit.depth: add it",
    ]


def test_rows_and_decoders_must_match(tmp_path: Path) -> None:
    row = {"region": "Asia", "partition": 9, "depth": 1}
    texts = problems(changed(tmp_path, mtgox=row, bybit=None))
    names = ", ".join(sorted(EXCHANGES))
    assert texts == [
        f"exchanges.mtgox: no decoder is of this name, only of {names}",
        "exchanges.bybit: has a decoder but no row here: add one",
    ]


def test_a_partition_belongs_to_one_exchange(tmp_path: Path) -> None:
    row = {"region": "Asia", "partition": 0, "depth": 50}
    [text] = problems(changed(tmp_path, bybit=row))
    assert text == ("exchanges.okx.partition: 0 of Asia is bybit's already: choose another")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": a mapping with the key exchanges is needed, not None"),
        ("exchanges: [1]", "exchanges: a row for each exchange is needed, not [1]"),
        ("exchanges: {", "line 1: not YAML"),
        ("exchanges: {}\nexchanges: {}", "line 2: not YAML: exchanges stands twice: remove one"),
        ("a: !!python/object:os.system x", "line 1: not YAML"),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "exchanges.yml").write_text(text, encoding="utf-8")
    assert problems(tmp_path)[0].startswith(problem)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    [text] = problems(tmp_path)
    assert text == ": No such file or directory: name a folder with this file by --setting DIR"
    (tmp_path / "exchanges.yml").write_bytes(b"\xff")
    assert problems(tmp_path)[0].startswith(": not UTF-8")
