"""Names of headers that are not UTF-8: stand-ins for the parts of aiokafka that refuse them.

For Kafka the name of a header is bytes by most clients, and brokers accept any. aiokafka decodes
and encodes names as strict UTF-8 and fails for others. Here a name is a `str` in which each byte
that is not UTF-8 is a surrogate (PEP 383), so that all names come back as the bytes that they were.

The fast reader and writer of aiokafka stay in use: its reader in Python takes over at the first
record that the fast one refuses, and its writer in Python for batches that have such a name.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import default_records
from aiokafka.record.util import decode_varint_py

from marketprep._core import BATCH_BYTES
from marketprep.batch import Headers

MemoryRecords: Any = getattr(fetcher, "MemoryRecords", object)
_PythonBatch: Any = getattr(default_records, "_DefaultRecordBatchPy", object)
_PythonBuilder: Any = getattr(default_records, "_DefaultRecordBatchBuilderPy", None)

#: The bytes before the length of a batch, and those up to its end.
_LENGTH_START, _LENGTH_END = 8, 12

#: Where the format of a batch is; the first one that has headers.
_FORMAT_PLACE, _FORMAT = 16, 2


def install() -> None:
    """Lets consumers that are not marked for whole batches (see `direct`) read any name."""
    if fetcher.MemoryRecords is MemoryRecords:
        fetcher.MemoryRecords = AnyNameRecords


def decode(name: bytes) -> str:
    """Returns the name of a header as `str`; `encode` reverses it."""
    return name.decode("utf-8", "surrogateescape")


def encode(name: str) -> bytes:
    """Returns the bytes of a name."""
    return name.encode("utf-8", "surrogateescape")


def are_utf8(headers: Iterable[Headers]) -> bool:
    """Returns whether aiokafka's own writer accepts all names."""
    return all(_is_utf8(name) for of_one in headers for name, _ in of_one)


class AnyNameBatch(BatchBuilder):  # type: ignore[misc] # aiokafka has no types
    """A batch that takes headers of `encodable`, whatever their names are."""

    def __init__(self, compression: int, *, is_transactional: bool) -> None:
        super().__init__(BATCH_BYTES, compression, is_transactional=is_transactional)
        self._builder = _PythonBuilder(
            _FORMAT,
            compression,
            is_transactional=is_transactional,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=BATCH_BYTES,
        )

    def _set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None:
        # that of aiokafka asserts that its builder is the fast one
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)


def encodable(headers: Headers) -> list[tuple[str, bytes]]:
    """Returns headers as AnyNameBatch takes them, and other batches if all names are UTF-8."""
    return [(name if _is_utf8(name) else _Name(name), value) for name, value in headers]


def _is_utf8(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Name(str):
    """A name that aiokafka's writer in Python encodes back to its bytes."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return encode(str(self))


class AnyNameRecords:
    """Stands in for MemoryRecords: its batches have records with any names of headers."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._position = 0
        self._records = MemoryRecords(fetched)

    def size_in_bytes(self) -> int:
        """Returns the size of the record set."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Returns whether there is another whole batch."""
        has_next: bool = self._records.has_next()
        return has_next

    def next_batch(self) -> Any:  # noqa: ANN401 - ours or aiokafka's
        """Returns the next batch."""
        batch, start = self._records.next_batch(), self._position
        length = self._fetched[start + _LENGTH_START : start + _LENGTH_END]
        self._position += _LENGTH_END + int.from_bytes(length, signed=True)
        if self._fetched[start + _FORMAT_PLACE] < _FORMAT or batch.is_control_batch:
            return batch
        return _Batch(batch, self._fetched, start, self._position)


class _Batch:
    """A batch of aiokafka's, read by its reader in Python from the first such name on."""

    def __init__(self, batch: Any, fetched: bytes, start: int, end: int) -> None:  # noqa: ANN401 - aiokafka's
        self._batch = batch
        self._fetched, self._start, self._end = fetched, start, end

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a batch has
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        count = 0
        try:
            for record in self._batch:
                yield record
                count += 1
        except UnicodeDecodeError:
            records = iter(_AnyNameBatch(self._fetched[self._start : self._end]))
            for _ in range(count):
                next(records)
            yield from records


class _AnyNameBatch(_PythonBatch):  # type: ignore[misc] # aiokafka has no types
    """Aiokafka's reader in Python, in which any bytes are text."""

    def _read_msg(self) -> Any:  # noqa: ANN401 - aiokafka's
        # that in C reads beyond the buffer where a length of a damaged batch leads there
        return super()._read_msg(decode_varint=decode_varint_py)

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Bytes whose slices can be decoded whatever they are."""

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 - an index or a slice, as bytearray has it
        part = super().__getitem__(place)
        return _Text(part) if isinstance(place, slice) else part


class _Text(bytearray):
    """Bytes that are decoded with surrogates for what is not UTF-8."""

    def decode(self, *_: object) -> str:
        return decode(bytes(self))
