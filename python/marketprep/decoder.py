"""The decoder for Python programs: the Rust core with settings, streams and totals around it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

from marketprep import _core
from marketprep._core import Batch
from marketprep.kind import Kind
from marketprep.settings import Settings, load_settings

#: How much of a stream is read at once.
BLOCK_BYTES = 1 << 20

#: An envelope that is longer than this is set aside unread, so that memory stays bounded.
MAX_ENVELOPE_BYTES = 16 << 20


class Decoder:
    """Turns envelopes of one kind into records.

    Order books that arrive as changes are kept from call to call, so the values of a partition
    must be given in their order. Calls from several threads wait for each other; the GIL is
    released meanwhile.
    """

    def __init__(self, kind: Kind, settings: Settings | None = None) -> None:
        """Raises SettingsError if the default settings are asked for and cannot be used."""
        self.kind = kind
        exchanges = (settings or load_settings()).exchanges
        self._core = _core.Decoder(
            kind, [(name, row.region, row.depth) for name, row in exchanges.items()]
        )

    def decode(
        self, values: Sequence[bytes | bytearray], timestamps: Sequence[int | None] | None = None
    ) -> Batch:
        """Decodes Kafka values. Ten or more at once are worth it.

        `timestamps` are those of the Kafka records, in milliseconds: the time of messages that
        have none. Without them it is the present time. No content raises: what cannot be decoded
        is in `rejects`.
        """
        return self._core.decode(values, timestamps)

    def decode_lines(self, block: bytes | bytearray) -> Batch:
        """Decodes a block of whole lines, each an envelope."""
        return self._core.decode_lines(block)


def parse(records: bytes) -> list[dict[str, Any]]:
    """The records of a batch as dictionaries; their numbers as Decimal, so that they stay exact."""
    return [
        json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in records.splitlines()
    ]


class Totals:
    """What became of everything that was decoded, summed over batches."""

    def __init__(self) -> None:
        self.envelopes = 0
        self.items = 0
        self.decoded = 0
        self.records = 0
        self.control: Counter[str] = Counter()
        self.held_back: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def add(self, batch: Batch) -> None:
        """Counts a batch in."""
        self.envelopes += batch.envelopes
        self.rejected.update(reject.reason for reject in batch.rejects)
        for counts in batch.counts.values():
            self.items += counts["items"]
            self.decoded += counts["decoded"]
            self.records += counts["records"]
            self.held_back["warming"] += counts["warming"]
            self.held_back["outdated"] += counts["outdated"]
            for name, count in counts.items():
                if name.startswith("control_") and isinstance(count, int):
                    self.control[name.removeprefix("control_")] += count

    def merge(self, other: "Totals") -> None:
        """Counts in what others have counted."""
        self.envelopes += other.envelopes
        self.items += other.items
        self.decoded += other.decoded
        self.records += other.records
        self.control.update(other.control)
        self.held_back.update(other.held_back)
        self.rejected.update(other.rejected)

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
