"""The service: all lanes side by side, until a signal or the end."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from marketprep import direct, topics
from marketprep.assignment import Assignment
from marketprep.decoder import Totals
from marketprep.kafka import KafkaFailure, admin
from marketprep.lane import Lane
from marketprep.resources import Resources
from marketprep.settings import Settings

_log = structlog.stdlib.get_logger("marketprep.service")


_TRIM_SECONDS = 10


class Service:
    """The lanes of some assignments."""

    def __init__(self, settings: Settings, work: Sequence[Assignment]) -> None:
        self._resources = Resources.of(settings.batch.max_memory_mb, len(work))
        self.lanes = [Lane(assignment, settings, self._resources) for assignment in work]
        self._settings = settings
        self._work = work
        self.failure: BaseException | None = None
        #: Set when a lane cannot go on.
        self.failing = asyncio.Event()

    @property
    def totals(self) -> Totals:
        """What has become of everything that was committed."""
        totals = Totals()
        for lane in self.lanes:
            totals.merge(lane.metrics.totals)
        return totals

    def stop(self) -> None:
        """Lets every lane send and commit what it has read, and end."""
        for lane in self.lanes:
            lane.stop()

    async def check(self) -> None:
        """Raises KafkaFailure if the cluster cannot be reached or its topics are not right."""
        wanted = topics.wanted(self._work)
        async with admin(self._settings.kafka) as client:
            await topics.create_checkpoints(client, self._settings, wanted)
            found = await topics.find(client)
        topics.check(wanted, found, self._settings)

    async def run(self, *, until_end: bool = False) -> None:
        """Works until `stop`, or with `until_end` until all is read that is there now.

        Raises KafkaFailure if a lane cannot go on; the others have ended in good order then.
        """
        if self._settings.kafka.direct and (reason := direct.obstacle()):
            _log.warning("record batches go one by one", reason=reason)
        self._resources.memory.keep_blocks()
        beside = [asyncio.create_task(self._report()), asyncio.create_task(self._trim())]
        lanes = asyncio.gather(*(self._run(lane, until_end=until_end) for lane in self.lanes))
        try:
            await lanes
        finally:
            for task in beside:
                task.cancel()
            self._resources.close()
            self._tell("stopped")
        if self.failure:
            raise self.failure

    async def _run(self, lane: Lane, *, until_end: bool) -> None:
        try:
            await lane.run(until_end=until_end)
        except Exception as error:  # noqa: BLE001 - raised again once the other lanes have ended
            is_explained = isinstance(error, KafkaFailure)
            _log.error(
                "lane cannot go on",
                lane=lane.assignment.name,
                reason=str(error),
                exc_info=not is_explained,
            )
            self.failure = self.failure or error
            self.failing.set()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._settings.watch.report_every_s)
            self._tell("progress")
            self._tell_of_memory()

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            await asyncio.to_thread(self._resources.memory.trim)

    def _tell_of_memory(self) -> None:
        if self._resources.memory.was_over():
            _log.warning(
                "little memory is left: reading waits until what was read is sent",
                max_memory_mb=self._settings.batch.max_memory_mb,
                hint="batch.max_memory_mb may be more, or partitions shared with another process",
            )

    def _tell(self, event: str) -> None:
        for lane in self.lanes:
            books = lane.books()
            for name, of in lane.metrics.exchanges.items():
                lag = lane.metrics.lag_of(name)
                if not of.items and not of.dead_letters and not lag:
                    continue
                _log.info(
                    event,
                    kind=lane.assignment.kind,
                    exchange=name,
                    items=of.items,
                    records=of.records,
                    control=of.control.total(),
                    held_back=of.held_back.total(),
                    dead_letters=of.dead_letters,
                    odd={what: count for what, count in of.oddities.items() if count},
                    **({"books": books.get(name, {})} if books else {}),
                    lag=lag,
                )


async def until_stopped(
    service: Service, signals: asyncio.Queue[signal.Signals], *, until_end: bool, drain_seconds: int
) -> None:
    """Runs a service; a signal or a lane that fails drains it, a second signal does not wait.

    Raises KafkaFailure if it cannot go on, or cannot be drained in so many seconds.
    """
    running = asyncio.create_task(service.run(until_end=until_end))
    told = asyncio.create_task(signals.get())
    failing = asyncio.create_task(service.failing.wait())
    try:
        await asyncio.wait((running, told, failing), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            reason = told.result().name if told.done() else "a lane cannot go on"
            _log.info("draining", reason=reason, seconds=drain_seconds)
            service.stop()
            told = asyncio.create_task(signals.get()) if told.done() else told
            await asyncio.wait(
                (running, told), timeout=drain_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        if not running.done():
            raise service.failure or KafkaFailure(
                "Not all that was read could be sent and committed in time: it will be read "
                "again at the next start. (watch.drain_timeout_s)"
            )
        running.result()
    finally:
        for task in (told, failing, running):
            task.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextmanager
def stop_signals() -> Iterator[asyncio.Queue[signal.Signals]]:
    """The signals that ask for an end, while the context lasts."""
    loop, asked = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.put_nowait, number)
    try:
        yield asked
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
