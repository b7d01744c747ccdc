"""Logs: structured, in files that rotate, and never in the way."""

import asyncio
import json
import logging
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import structlog

from marketprep._core import Change
from marketprep.book_log import BookLog
from marketprep.logs import logging_to
from marketprep.settings import load_settings
from marketprep.settings.model import LogsSettings


def logs(folder: Path | None, **changes: object) -> LogsSettings:
    return load_settings().logs.model_copy(update={"folder": folder, **changes})


def written(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "marketprep.log").read_text().splitlines()]


def test_lines_are_json_with_what_was_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = structlog.stdlib.get_logger("marketprep.test")
    with logging_to(logs(tmp_path / "deep" / "logs")):
        log.bind(lane="ticker Asia").info("partition assigned", partition=2)
        log.debug("not at this level")
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("failed")
    first, second = written(tmp_path / "deep" / "logs")
    assert {key: first[key] for key in ("event", "level", "lane", "partition")} == {
        "event": "partition assigned",
        "level": "info",
        "lane": "ticker Asia",
        "partition": 2,
    }
    assert "ValueError: boom" in str(second["exception"])
    console = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in console] == ["partition assigned", "failed"]


def test_text_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(logs(None, console="text")):
        structlog.stdlib.get_logger("marketprep.test").warning("stands still", partition=3)
    told = capsys.readouterr().err
    assert "stands still" in told
    assert "partition=3" in told
    assert not list(tmp_path.iterdir())


def test_files_rotate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = structlog.stdlib.get_logger("marketprep.test")
    with logging_to(logs(tmp_path, max_mb=1, backups=2)):
        for _ in range(5000):
            log.info("line", text="x" * 1000)
            time.sleep(0)
    capfd.readouterr()  # all of it stands on the console as well
    names = sorted(path.name for path in tmp_path.glob("marketprep*"))
    assert names == ["marketprep.log", "marketprep.log.1", "marketprep.log.2"]
    assert all((tmp_path / name).stat().st_size <= 1 << 20 for name in names)


def test_a_library_may_not_flood(tmp_path: Path) -> None:
    library = logging.getLogger("aiokafka.anything")
    with logging_to(logs(tmp_path)):
        for number in range(1000):
            library.error("Unable connect to node %s", number)
        library.error("something else")
    events = [line["event"] for line in written(tmp_path)]
    assert events == [
        *(f"Unable connect to node {number}" for number in range(3)),
        "something else",
    ]


def test_writing_does_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    is_logged = threading.Event()
    written_behind: list[bool] = []

    class Slow(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            written_behind.append(is_logged.wait(5))

    async def main() -> None:
        for _ in range(5):
            structlog.stdlib.get_logger("marketprep.test").info("line")
        is_logged.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marketprep.logs._console", lambda _: Slow())
        with logging_to(logs(tmp_path)):
            asyncio.run(main())
    assert written_behind == [True] * 5, "the loop waited for at least one line to be written"


def test_what_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"), logging_to(logs(tmp_path / "file" / "x")):
        pass


def test_a_book_that_changes_often_is_told_of_seldom() -> None:
    log = structlog.testing.CapturingLogger()
    now = 0.0
    books = BookLog(cast("structlog.stdlib.BoundLogger", log), lambda: now)

    def change(quality: str) -> Change:
        reason = SimpleNamespace(
            exchange="okx", instrument="A", quality=quality, reason="gap", index=0
        )
        return cast("Change", reason)

    books.tell([change("suspect"), change("valid"), change("suspect")])
    now = 5.0
    books.tell([change("valid")])
    now = 10.0
    books.tell([])
    now = 20.0
    books.tell([])
    told = [(call.method_name, call.args[0], call.kwargs["changes_untold"]) for call in log.calls]
    assert told == [("warning", "book is suspect", 0), ("info", "book is valid", 2)]
