"""Watching objects appear in the buckets of sinks."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from marketprep.sink.connectors import Connector
from marketprep.sink.failure import SinkFailure
from marketprep.sink.store import Store, StoredObject

_LOOK_SECONDS = 1.0

_log = structlog.stdlib.get_logger("marketprep.sink")


class ObjectWatch:
    """The newest object of each bucket, and a line in the log for the first of each."""

    def __init__(self, store: Store, connectors: Sequence[Connector], topics_dir: str) -> None:
        self._store = store
        self._connectors = connectors
        self._topics_dir = topics_dir
        self._newest: dict[str, StoredObject] = {}

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        began = time.time()
        while True:
            for connector in self._connectors:
                found = await asyncio.to_thread(self._look, connector)
                if not found or found.modified.timestamp() < began - 1:
                    continue
                if connector.bucket not in self._newest:
                    _log.info("first object", bucket=connector.bucket, object=found.name)
                self._newest[connector.bucket] = found
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, connector: Connector) -> StoredObject | None:
        folders = [f"{self._topics_dir}/{topic}" for topic in connector.topics]
        try:
            found = [self._store.newest(connector.bucket, folder) for folder in folders]
        except SinkFailure as error:
            _log.warning("objects cannot be seen", bucket=connector.bucket, reason=str(error))
            return None
        return max(filter(None, found), key=lambda one: one.modified, default=None)

    def lines(self) -> list[str]:
        """A line for each bucket: the newest object."""
        return [
            f"{bucket}: {found.modified.astimezone():%H:%M:%S} {found.name}"
            for bucket, found in sorted(self._newest.items())
        ]
