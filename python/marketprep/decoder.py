"""The decoder for Python programs: the Rust core with settings, streams and totals around it."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

from marketprep import _core
from marketprep._core import Batch, Book
from marketprep.kind import Kind
from marketprep.settings import ExchangeSettings, Settings, load_settings

if TYPE_CHECKING:
    from marketprep._core import Counts

_log = logging.getLogger("marketprep.decoder")

#: How much of an item is logged at which the decoder has failed.
_LOGGED_BYTES = 2_000

#: How much of a stream is read at once.
BLOCK_BYTES = 1 << 20

#: An envelope that is longer than this is set aside unread, so that memory stays bounded.
MAX_ENVELOPE_BYTES = 16 << 20


#: Why items leave no record though they could be decoded.
HELD_BACK: Final = ("warming", "suspect", "outdated")


class Exchange(NamedTuple):
    """What the settings say of an exchange."""

    name: str
    region: str
    depth: int
    publish_all: bool
    crossed_grace: int
    precision: Mapping[str, tuple[int, int]]


class Decoder:
    """Turns envelopes of one kind into records.

    Order books that arrive as changes are kept from call to call, so the values of a partition
    must be given in their order. Calls from several threads wait for each other; the GIL is
    released meanwhile.
    """

    def __init__(self, kind: Kind, settings: Settings | None = None) -> None:
        """Raises SettingsError if the default settings are asked for and cannot be used."""
        self.kind = kind
        settings = settings or load_settings()
        self._core = _core.Decoder(
            kind, rows(settings.exchanges), settings.output, settings.books.max_books
        )

    def decode(
        self,
        values: Sequence[bytes | bytearray],
        timestamps: Sequence[int | None] | None = None,
        offsets: Sequence[int] | None = None,
    ) -> Batch:
        """Decodes Kafka values. Ten or more at once are worth it.

        `timestamps` are those of the Kafka records, in milliseconds: the time of messages that
        have none. Without them it is the present time. `offsets` are needed for checkpoints. No
        content raises: what cannot be decoded is in `rejects`.

        Raises ValueError if there are not as many timestamps or offsets as values, or if one of
        them is beyond 64 bits, and TypeError for what is no integer.
        """
        return _reported(self._core.decode(values, timestamps, offsets))

    def decode_fetched(
        self, fetched: Sequence[tuple[bytes, int, int, int]], most_bytes: int
    ) -> Batch:
        """Decodes the records of Kafka's record batches: see the core's own."""
        return _reported(self._core.decode_fetched(fetched, most_bytes))

    def decode_lines(self, block: bytes | bytearray) -> Batch:
        """Decodes a block of whole lines, each an envelope."""
        return _reported(self._core.decode_lines(block))

    def checkpoints(self) -> list[tuple[str, bytes | None]]:
        """Checkpoints of the books that have changed since the last call: names and contents.

        A book that was dropped, as there were more than `books.max_books`, has None for content:
        its earlier checkpoint must be removed. With all of them a decoder that comes later is as
        this one is now.
        """
        return self._core.checkpoints()

    def restore(self, name: str, content: bytes, before: int) -> None:
        """Takes in the newest checkpoint of a name, before anything is decoded.

        It must be of an offset before `before`. Messages up to its offset have no effect then on
        what it is of. Raises ValueError, with a sentence, if it cannot be used: what it is of
        starts cold.
        """
        self._core.restore(name, content, before)

    def books(self) -> list[Book]:
        """What is known of each kept book."""
        return self._core.books()


def _reported(batch: Batch) -> Batch:
    """Logs the items at which the core itself has failed, and returns the batch."""
    if batch.faults:
        for reject in batch.rejects:
            if reject.reason == "internal":
                _log.error(
                    "item rejected by a fault of marketprep: report it with its content. "
                    "exchange=%s detail=%s item=%r",
                    reject.exchange,
                    reject.detail,
                    reject.value[:_LOGGED_BYTES],
                )
    return batch


def rows(exchanges: Mapping[str, ExchangeSettings]) -> list[Exchange]:
    """The exchanges of the settings as the core wants them."""
    return [
        Exchange(
            name, row.region, row.depth, row.publish == "all", row.crossed_grace, row.precision
        )
        for name, row in exchanges.items()
    ]


def parse(records: bytes) -> list[dict[str, Any]]:
    """The records of a batch as dictionaries; their numbers as Decimal, so that they stay exact."""
    return [
        json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in records.splitlines()
    ]


class ItemCounts:
    """What became of items, summed over batches."""

    def __init__(self) -> None:
        # as the core counts them, so that little is to be done for each batch
        self._sums: Counter[str] = Counter()

    def count(self, counts: "Counts") -> None:
        """Counts in what the core has counted."""
        for name, count in cast("Mapping[str, int]", counts).items():
            if count:  # few are
                self._sums[name] += count

    @property
    def items(self) -> int:
        """All of them."""
        return self._sums["items"]

    @property
    def decoded(self) -> int:
        """Those that left a record, or more."""
        return self._sums["decoded"]

    @property
    def records(self) -> int:
        """What they left."""
        return self._sums["records"]

    @property
    def control(self) -> Counter[str]:
        """Control messages, by their sort."""
        return self._beginning_with("control_")

    @property
    def held_back(self) -> Counter[str]:
        """Those that left no record though they could be decoded, by the reason."""
        return Counter({reason: self._sums[reason] for reason in HELD_BACK})

    @property
    def oddities(self) -> Counter[str]:
        """What was odd about books or times, by what it was."""
        return self._beginning_with("odd_")

    def _beginning_with(self, prefix: str) -> Counter[str]:
        sums = self._sums.items()
        return Counter(
            {name.removeprefix(prefix): of for name, of in sums if name.startswith(prefix)}
        )


class Totals(ItemCounts):
    """What became of everything that was decoded, summed over batches."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes = 0
        self.rejected: Counter[str] = Counter()

    def add(self, batch: Batch) -> None:
        """Counts a batch in."""
        self.envelopes += batch.envelopes
        self.rejected.update(reject.reason for reject in batch.rejects)
        for counts in batch.counts.values():
            self.count(counts)

    def merge(self, other: "Totals") -> None:
        """Counts in what others have counted."""
        self.envelopes += other.envelopes
        self.rejected.update(other.rejected)
        self._sums.update(other._sums)  # noqa: SLF001 - it is another of this class

    def __str__(self) -> str:
        return (
            f"envelopes {self.envelopes}, items {self.items}, records {self.records}, "
            f"control {_with_parts(self.control)}, held back {_with_parts(self.held_back)}, "
            f"rejected {_with_parts(self.rejected)}"
        )


def _with_parts(counts: Counter[str]) -> str:
    """A sum, and what it is made of: `3 (warming 1, outdated 2)`."""
    parts = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"{counts.total()} ({parts})" if parts else "0"


def whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines of a stream, as soon as they are there.

    A line of more than `MAX_ENVELOPE_BYTES` is cut off, and marked so that it is no envelope.
    """
    read = getattr(stream, "read1", stream.read)
    parts: list[bytes] = []
    held = 0
    while block := read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if held >= MAX_ENVELOPE_BYTES:
            if not end:
                continue
            line_end = block.index(b"\n")
            parts.append(b"\0")
            block, end = block[line_end:], end - line_end
        if end:
            yield b"".join((*parts, block[:end]))
            parts, held = [], 0
        parts.append(block[end:])
        held += len(block) - end
    if held:
        yield b"".join(parts)
