"""An exchange is complete: decoder, settings row, fixtures and a line in the README."""

import re

from conftest import EXCHANGES, FIXTURES, KINDS, ROOT
from marketprep import _core, load_settings
from messages import KEPT_BOOKS, TICKERS, WHOLE_BOOKS

EXCHANGE_FILES = ROOT / "rust_core" / "src" / "exchange"


def test_every_exchange_is_everywhere() -> None:
    decoders = {name for name, _ in _core.exchange_names()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert decoders == set(EXCHANGES)
    assert decoders == load_settings().exchanges.keys()
    assert decoders == {file.stem for file in EXCHANGE_FILES.glob("*.rs")} - {"prelude"}
    assert decoders == {folder.name for folder in FIXTURES.iterdir()}
    rows = set(re.findall(r"^\| `([a-z]+)` \|", readme, re.MULTILINE))
    assert decoders == rows - _core.reject_reasons().keys()


def test_every_exchange_has_strategies() -> None:
    assert TICKERS.keys() == set(EXCHANGES)
    assert WHOLE_BOOKS.keys() | KEPT_BOOKS.keys() == set(EXCHANGES)


def test_every_fixture_folder_is_complete() -> None:
    wanted = {"control.jsonl"}
    wanted |= {f"{kind}{part}.jsonl" for kind in KINDS for part in ("", ".expected")}
    for exchange in EXCHANGES:
        assert {file.name for file in (FIXTURES / exchange).iterdir()} == wanted


def test_every_reason_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for reason in _core.reject_reasons():
        assert f"| `{reason}` |" in readme


def test_every_exchange_file_cites_its_documents() -> None:
    for name in EXCHANGES:
        text = (EXCHANGE_FILES / f"{name}.rs").read_text(encoding="utf-8")
        assert text.startswith("//! ")
        assert text.count("/// <https://") >= 2, f"{name}.rs cites fewer than two documents"
