"""Watching objects appear in the buckets of sinks."""

import asyncio
from collections.abc import Sequence

import structlog

from marketprep.kafka import KafkaFailure
from marketprep.settings import Settings
from marketprep.sink.connectors import Connector
from marketprep.sink.failure import SinkFailure
from marketprep.sink.lag import Position, positions
from marketprep.sink.store import Store

_LOOK_SECONDS = 1.0

_log = structlog.stdlib.get_logger("marketprep.sink")


class ObjectWatch:
    """How far each sink is, its newest object, and a line in the log for the first one."""

    def __init__(self, settings: Settings, store: Store, connectors: Sequence[Connector]) -> None:
        self._settings = settings
        self._store = store
        self._connectors = connectors
        self._first: list[list[Position]] = []
        self._lines: dict[str, str] = {}

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            try:
                now = await positions(self._settings.kafka, self._connectors)
                self._first = self._first or now
                for before, after, connector in zip(
                    self._first, now, self._connectors, strict=True
                ):
                    await self._look(connector, before, after)
            except (KafkaFailure, SinkFailure) as error:
                _log.warning("objects cannot be seen", reason=str(error))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(
        self, connector: Connector, before: Sequence[Position], after: Sequence[Position]
    ) -> None:
        grown = [
            place
            for since, place in zip(before, after, strict=True)
            if place.stored and place.stored > (since.stored or since.begin)
        ]
        if not grown:
            return
        last = max(grown, key=lambda place: place.stored or 0)
        folder = f"{self._settings.sink.objects.topics_dir}/{last.topic}"
        found = await asyncio.to_thread(
            self._store.newest, connector.bucket, folder, last.partition, last.stored or 0
        )
        if not found:
            return
        if connector.name not in self._lines:
            _log.info("first object", bucket=connector.bucket, object=found.name)
        stored = sum(place.stored or 0 for place in after)
        self._lines[connector.name] = (
            f"{connector.bucket}: {stored:,} messages stored, the last object "
            f"{found.modified.astimezone():%H:%M:%S} {found.name}"
        )

    def lines(self) -> list[str]:
        """A line for each sink that has stored something."""
        return list(self._lines.values())
