"""A made-up market on the input topics."""

import asyncio
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import KafkaError

from marketprep._core import Market, Stretch
from marketprep.batch import Message
from marketprep.kafka import KafkaFailure, explain
from marketprep.kind import Kind
from marketprep.outbox import DeliveryError, Outbox, close, new_producer
from marketprep.settings import Settings

#: How much is made up at once where no rate is asked for.
_BLOCK_BYTES = 1 << 18

#: How long what was produced may take to be acknowledged when the feed is cancelled.
_CANCEL_SECONDS = 5

_HEAD = re.compile(rb'"market": "([^"]*)", "symbol": "([^"]*)"')


@dataclass
class Fed:
    """What has been produced."""

    envelopes: int = 0
    items: int = 0


class Feed:
    """The messages of some exchanges and kinds, each on the partition that is its own."""

    def __init__(
        self,
        settings: Settings,
        markets: Sequence[tuple[str, Kind]],
        style: str,
        seed: int,
        truth: Path | None = None,
    ) -> None:
        self.fed = Fed()
        self._settings = settings
        self._truth = truth
        self._markets = [
            (name, kind, Market(name, kind, style, seed, truth is not None))
            for name, kind in markets
        ]

    @property
    def markets(self) -> int:
        """How many markets there are."""
        return len(self._markets)

    def topics(self) -> set[str]:
        """The topics that are fed."""
        return {self._topic(name, kind) for name, kind, _ in self._markets}

    def _topic(self, name: str, kind: Kind) -> str:
        region = self._settings.exchanges[name].region
        return self._settings.topics.of(region).of(kind).input

    async def run(
        self,
        *,
        rate: float | None = None,
        max_bytes: int | None = None,
        advance: Callable[[int, str], None] = lambda _bytes, _name: None,
    ) -> None:
        """Produces `rate` envelopes a second of each market, or all it can, up to `max_bytes` each.

        Ends in good order when it is cancelled: what was produced is acknowledged.
        """
        producer = new_producer(self._settings, "zstd")
        outbox = Outbox(producer)
        try:
            await producer.start()
            await self._produce(outbox, rate, max_bytes, advance)
        except asyncio.CancelledError:
            with suppress(TimeoutError):  # the broker may have gone
                await asyncio.wait_for(outbox.acknowledged(), _CANCEL_SECONDS)
            raise
        except DeliveryError as error:
            text = explain(error.__cause__ or error, self._settings.kafka, error.topic)
            raise KafkaFailure(text) from error
        except KafkaError as error:
            raise KafkaFailure(explain(error, self._settings.kafka)) from error
        finally:
            await close(producer)

    async def _produce(
        self,
        outbox: Outbox,
        rate: float | None,
        max_bytes: int | None,
        advance: Callable[[int, str], None],
    ) -> None:
        began, rounds, done = time.monotonic(), 0, 0
        size = _BLOCK_BYTES if rate is None else 1
        while max_bytes is None or done < max_bytes:
            most = 0
            for name, kind, market in self._markets:
                left = size if max_bytes is None else min(size, max_bytes - done)
                stretch = market.envelopes(left)
                await outbox.send(self._messages(name, kind, stretch))
                self._keep_truth(name, kind, stretch)
                self.fed.envelopes += stretch.envelopes
                self.fed.items += stretch.items
                advance(len(stretch.lines), f"{name} {kind}")
                most = max(most, len(stretch.lines))
                if rate is not None:  # spread over the time of a round
                    await asyncio.sleep(0.5 / rate / len(self._markets))
            await outbox.acknowledged()
            done += size if rate is None else most
            rounds += 1
            if rate is not None:
                await asyncio.sleep(max(0.0, began + rounds / rate - time.monotonic()))

    def _messages(self, name: str, kind: Kind, stretch: Stretch) -> Iterator[Message]:
        topic, row = self._topic(name, kind), self._settings.exchanges[name]
        partitions = row.partitions(self._settings.topics.of(row.region).partitions)
        for line in stretch.lines.splitlines():
            found = _HEAD.search(line, 0, 500)
            market, symbol = found.groups() if found else (name.encode(), b"")
            key = b'"%b:%b-%b"' % (market, kind.encode(), symbol)
            partition = partitions[zlib.crc32(key) % len(partitions)]  # an instrument stays on one
            yield Message(topic, partition, key, line, None)

    def _keep_truth(self, name: str, kind: Kind, stretch: Stretch) -> None:
        if self._truth:
            with (self._truth / f"{name}.{kind}.expected.jsonl").open("ab") as file:
                file.write(stretch.truth)
