"""Logs: structured lines on the console and in files, written beside the event loop."""

import fcntl
import logging
import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import TextIO

import structlog
from aiokafka.errors import KafkaError

from marketprep.settings.model import LogsSettings

#: Lines that may wait to be written; what comes beyond them is dropped, and its number told.
_WAITING_LINES = 10_000

#: Of one message of a library, so many lines in so many seconds: an outage brings thousands.
_REPEATS = 3
_REPEAT_SECONDS = 30.0

_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


@contextmanager
def logging_to(settings: LogsSettings, *, is_table_shown: bool = False) -> Iterator[None]:
    """Logs as the settings say while the context lasts.

    Where a table is shown only warnings stand above it. Raises OSError if a file cannot be had.
    """
    with ExitStack() as stack:
        handlers: list[logging.Handler] = [_console(settings)]
        if is_table_shown:
            handlers[0].setLevel(logging.WARNING)
        if settings.folder:
            settings.folder.mkdir(parents=True, exist_ok=True)
            file = RotatingFileHandler(
                stack.enter_context(_own_file(settings.folder)),
                maxBytes=settings.max_mb << 20,
                backupCount=settings.backups,
                encoding="utf-8",
            )
            file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
            handlers.append(file)
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                *_SHARED,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
        logging.raiseExceptions = False  # a full disk must not print a traceback for every line
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING_LINES)
        door = _Door(lines)
        door.addFilter(_Noise())
        listener = QueueListener(lines, *handlers, respect_handler_level=True)
        root = logging.getLogger()
        before = root.handlers, root.level
        root.handlers, root.level = [door], logging.getLevelName(settings.level.upper())
        for name in ("asyncio", "aiokafka.producer.sender"):
            logging.getLogger(name).addFilter(_LEFTOVERS)
        for name in ("aiokafka", "asyncio"):
            logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
        listener.start()
        try:
            yield
        finally:
            listener.stop()
            root.handlers, root.level = before
            for handler in handlers:
                with suppress(OSError):  # the disk may be full, also for the last lines
                    handler.close()


@contextmanager
def _own_file(folder: Path) -> Iterator[Path]:
    """The file of this process: marketprep.log, or with its number while another one has that.

    Two that rotate the same file would push each other's lines out.
    """
    with (folder / ".marketprep.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield folder / f"marketprep-{os.getpid()}.log"
        else:
            yield folder / "marketprep.log"


def _console(settings: LogsSettings) -> logging.Handler:
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    is_text = settings.console == "text" or (settings.console == "auto" and is_terminal)
    handler = _StandardError()
    handler.setFormatter(
        _formatter(
            structlog.dev.ConsoleRenderer(colors=is_terminal)
            if is_text
            else structlog.processors.JSONRenderer()
        )
    )
    return handler


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now: while a table is shown, that stands above it."""

    def __init__(self) -> None:
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            self.stream = sys.stderr
            super().emit(record)


class _Door(QueueHandler):
    """Hands lines over without waiting; drops them when too many wait."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # structlog formats on the other side

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            return
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            text = f"{dropped} lines were dropped, as writing was too slow"
            told = logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)
            self.enqueue(told)


class _Leftovers(logging.Filter):
    """Lets asyncio and producers say nothing of Kafka's errors that are told elsewhere or nowhere.

    Clients that are thrown away leave such behind: what became of their last requests. A producer
    whose own task fails logs a traceback, although whoever waits for it raises the same error.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], KafkaError))


#: Stays, as clients may be collected only when the program ends.
_LEFTOVERS = _Leftovers()


class _Noise(logging.Filter):
    """Lets a library say the same only so often."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("marketprep"):
            return True
        key = (record.name, record.lineno, record.levelno)
        now = time.monotonic()
        since, count = self._seen.get(key, (now, 0))
        if now - since > _REPEAT_SECONDS:
            since, count = now, 0
        self._seen[key] = (since, count + 1)
        return count < _REPEATS
