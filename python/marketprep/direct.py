"""The direct way: record batches from aiokafka's fetcher into the core, and back into its producer.

What aiokafka does with each record is left out: its fetcher hands over batches as they came, which
the core checks, decompresses and takes apart, and its producer gets batches that are finished. That
needs stand-ins for parts of aiokafka which are not public, so it is looked at first whether they
are as we know them. Where they are not, and where the settings say so, it goes the public way.
"""

import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import aiokafka
from aiokafka import ConsumerRecord, TopicPartition, errors
from aiokafka.consumer import fetcher
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.api import Response

from marketprep import connections, header_names, record_sets
from marketprep._core import Batch, Finished, Reject
from marketprep.connections import AIOKafkaConnection, AIOKafkaProtocol
from marketprep.decoder import Decoder
from marketprep.record_sets import RecordSet
from marketprep.settings import Settings

#: Those of aiokafka that this was written for.
_VERSIONS = ("0.14.",)

#: Offset of a batch, how long it is, format, attributes, last offset in it, producer, records.
_HEADER = Struct(">qi4xb4xhi16xq6xi")
_LENGTH_END = 12

_FORMAT = 2
_COMPRESSION, _IS_TRANSACTIONAL, _IS_CONTROL = 0b111, 0b1_0000, 0b10_0000

PartitionRecords: Any = getattr(fetcher, "PartitionRecords", object)
MemoryRecords: Any = getattr(fetcher, "MemoryRecords", object)

#: How well market data is compressed.
_USUAL_RATIO = 8

#: What the core can decompress, and compress: none, lz4 and zstd.
_READ = frozenset((0, 3, 4))
_WRITTEN = frozenset(("none", "lz4", "zstd"))


@cache
def obstacle() -> str | None:
    """What speaks against the direct way with the aiokafka that is installed; None if nothing."""
    if not aiokafka.__version__.startswith(_VERSIONS):
        return f"aiokafka is {aiokafka.__version__}, and not {_VERSIONS[0]}x"
    try:
        return _unexpected()
    except AttributeError as error:
        return f"aiokafka is not the one that we know: {error}"


def _unexpected() -> str | None:
    """What takes other arguments than we give it."""
    expected = {
        PartitionRecords.__init__: (
            "self tp records aborted_transactions fetch_offset key_deserializer "
            "value_deserializer check_crcs isolation_level"
        ),
        PartitionRecords._consumer_record: "self tp record",  # noqa: SLF001 - what is checked
        BatchBuilder._set_producer_state: "self producer_id producer_epoch base_sequence",  # noqa: SLF001
        BatchBuilder._build: "self",  # noqa: SLF001 - as above
        AIOKafkaConnection._read: "self_ref",  # noqa: SLF001 - as above
        AIOKafkaConnection._handle_frame: "self resp",  # noqa: SLF001 - as above
        AIOKafkaProtocol.__init__: "self closed_fut args loop kw",
        Response.decode: "data",
    }
    for function, names in expected.items():
        if list(inspect.signature(function).parameters) != names.split():
            return f"aiokafka's {function.__qualname__} is not the one that we know"
    return None


def reads_directly(settings: Settings) -> bool:
    """Whether what is fetched goes the direct way."""
    return settings.kafka.direct and obstacle() is None


def writes_directly(settings: Settings) -> bool:
    """Whether what is produced goes the direct way."""
    return reads_directly(settings) and settings.output.compression in _WRITTEN


def install() -> None:
    """Lets consumers that `deserializer` was given to fetch whole batches; no others.

    All connections read whole answers from then on.
    """
    connections.install()
    record_sets.install()
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _partition_records


def deserializer(_: bytes) -> bytes:
    """Marks a consumer that wants whole batches, as its value_deserializer. It is never called."""
    raise NotImplementedError


class FetchedBatch(NamedTuple):
    """A record batch within what was fetched. It takes the place of a ConsumerRecord."""

    #: What was fetched with it, and where in it the batch stands.
    fetched: bytes
    start: int
    end: int
    #: The first offset of which the record is wanted; the last one of the batch.
    first_offset: int
    offset: int

    is_compressed: bool

    @property
    def expected_bytes(self) -> int:
        """About how long it is, decompressed."""
        return (self.end - self.start) * (_USUAL_RATIO if self.is_compressed else 1)


#: What a consumer hands over.
Fetched: TypeAlias = ConsumerRecord | FetchedBatch


class _Batches:
    """Stands in for MemoryRecords: the bytes that were fetched, as they are."""

    def __init__(self, fetched: bytes | RecordSet) -> None:
        if isinstance(fetched, bytes):
            fetched = RecordSet(fetched, 0, len(fetched))
        self.fetched = fetched
        self._position = fetched.start

    def size_in_bytes(self) -> int:
        return len(self.fetched)

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        left = self.fetched.end - self._position
        return left >= _LENGTH_END and left >= self._length()

    def next_batch(self) -> Any:  # noqa: ANN401 - ours or aiokafka's
        """The next batch; marks of transactions as aiokafka has them."""
        batch = _Batch(self._next())
        return batch.as_aiokafka() if batch.is_control_batch else batch

    def _next(self) -> RecordSet:
        """The next batch, unread."""
        start = self._position
        self._position += self._length()
        return RecordSet(self.fetched.answer, start, self._position)

    def _length(self) -> int:
        length = self.fetched.answer[self._position + 8 : self._position + _LENGTH_END]
        return _LENGTH_END + int.from_bytes(length, signed=True)

    def is_known(self) -> bool:
        """Whether all batches are of the format, and the compressions, that the core knows."""
        ahead = _Batches(self.fetched)
        while ahead.has_next():
            place = ahead._next()
            if place.end - place.start < _HEADER.size:  # or even below 0, of a damaged one
                return False
            batch = _Batch(place)
            if batch.format != _FORMAT or batch.compression not in _READ:
                return False
        return True


class _Batch:
    """Stands in for DefaultRecordBatch, and for the one record that it is said to have."""

    key = value = None
    headers = ()

    def __init__(self, place: RecordSet) -> None:
        header = _HEADER.unpack_from(place.answer, place.start)
        self.base_offset, _, self.format, attributes, last, self.producer_id, self._count = header
        self.offset = self.base_offset + last
        self.next_offset = self.offset + 1
        self.compression = attributes & _COMPRESSION
        self.is_control_batch = bool(attributes & _IS_CONTROL)
        self.is_transactional = bool(attributes & _IS_TRANSACTIONAL)
        self.place = place

    def validate_crc(self) -> bool:
        """Whether its checksum matches. The core looks at that of whatever is handed to it."""
        if self._count > 0 and not self.is_transactional:
            return True
        is_sound: bool = self.as_aiokafka().validate_crc()
        return is_sound

    def as_aiokafka(self) -> Any:  # noqa: ANN401 - aiokafka's own
        """The same as aiokafka has it."""
        return MemoryRecords(bytes(self.place)).next_batch()

    def __iter__(self) -> Iterator["_Batch"]:
        # compaction leaves a header alone; what follows one that denies all records is for the core
        is_empty = self._count <= 0 and len(self.place) == _HEADER.size
        return iter(() if is_empty else (self,))


class _PartitionBatches(PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """Hands out batches where PartitionRecords hands out records. Aborted ones are left out."""

    def _consumer_record(self, _: TopicPartition, batch: _Batch) -> FetchedBatch:
        first, is_compressed = self.next_fetch_offset, batch.compression != 0
        place = batch.place
        return FetchedBatch(
            place.answer, place.start, place.end, first, batch.offset, is_compressed
        )


def _partition_records(  # noqa: PLR0913, PLR0917 - as PartitionRecords has them
    tp: TopicPartition,
    records: _Batches,
    aborted_transactions: Any,  # noqa: ANN401 - aiokafka's own
    fetch_offset: int,
    key_deserializer: Any,  # noqa: ANN401 - as above
    value_deserializer: Any,  # noqa: ANN401 - as above
    check_crcs: bool,  # noqa: FBT001 - as above
    isolation_level: int,
) -> Any:  # noqa: ANN401 - as above
    """Stands in for PartitionRecords."""
    before, behind = (aborted_transactions, fetch_offset), (check_crcs, isolation_level)
    is_marked = value_deserializer is deserializer
    if is_marked and records.is_known():
        return _PartitionBatches(tp, records, *before, None, None, *behind)
    deserializers = (None, None) if is_marked else (key_deserializer, value_deserializer)
    as_aiokafka = header_names.AnyNameRecords(bytes(records.fetched))
    return PartitionRecords(tp, as_aiokafka, *before, *deserializers, *behind)


class ProducedBatch:
    """Stands in for BatchBuilder: a batch that is finished but for its producer."""

    def __init__(self, finished: Finished) -> None:
        self._finished: Finished | None = finished
        self._size, self._count = len(finished), finished.count
        self._producer = (-1, -1, -1)
        self._bytes = b""

    def _set_producer_state(
        self, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        if self._finished:  # it is sent again as it is, and until then one copy is enough
            self._bytes = self._finished.by(*self._producer)
            self._finished = None
        return self._bytes

    def size(self) -> int:
        """In bytes."""
        return self._size

    def record_count(self) -> int:
        """How many records it has."""
        return self._count

    def closed(self) -> bool:
        """Nothing is added to it any more."""
        return True

    def close(self) -> None:
        """It is closed."""

    def append(self, **_: object) -> None:
        """It takes nothing."""


class Rejected(NamedTuple):
    """What was set aside, and the Kafka record that it was in."""

    reject: Reject
    record: ConsumerRecord


class Decoded(NamedTuple):
    """What became of what was fetched."""

    batch: Batch
    rejected: list[Rejected]
    #: What is still to be decoded, as what came of the others has become much.
    rest: Sequence[Fetched]


def decode(
    decoder: Decoder, place: TopicPartition, records: Sequence[Fetched], most_bytes: int
) -> Decoded:
    """Decodes what was fetched of a partition at once, all of it one way or the other.

    Of whole batches not much more than so many bytes come of it, and there may be a rest.

    Raises CorruptRecordException, as consumers do on the public way.
    """
    if not isinstance(records[0], FetchedBatch):
        batch = decoder.decode(*columns(records))
        rejected = [Rejected(reject, records[reject.index]) for reject in batch.rejects]
        return Decoded(batch, rejected, ())
    try:
        batch = decoder.decode_fetched([record[:4] for record in records], most_bytes)
    except ValueError as error:
        offsets = f"offsets {records[0].first_offset} to {records[-1].offset}"
        text = f"{place.topic}, partition {place.partition}, {offsets}: {error}"
        raise errors.CorruptRecordException(text) from error
    originals = batch.take_originals()
    found = ((reject, originals[reject.index]) for reject in batch.rejects)
    rejected = [Rejected(reject, _record(place, reject, *rest)) for reject, rest in found]
    if batch.rest is None:
        return Decoded(batch, rejected, ())
    at, offset = batch.rest
    return Decoded(batch, rejected, [records[at]._replace(first_offset=offset), *records[at + 1 :]])


def expected_bytes(records: Sequence[Fetched]) -> int:
    """About how many bytes the values have."""
    return sum(
        record.expected_bytes if isinstance(record, FetchedBatch) else record.serialized_value_size
        for record in records
    )


def _record(  # noqa: PLR0913, PLR0917 - what a record consists of
    place: TopicPartition,
    reject: Reject,
    offset: int,
    timestamp: int | None,
    key: bytes | None,
    headers: list[tuple[bytes, bytes | None]],
    is_null: bool,  # noqa: FBT001 - the core's own order
) -> ConsumerRecord:
    """A record that was rejected, as consumers have it, but for the value if an item was."""
    value = None if is_null else reject.value
    sizes = [-1 if text is None else len(text) for text in (key, value)]
    time_ms, created = -1 if timestamp is None else timestamp, 0
    named = tuple((header_names.decode(name), value) for name, value in headers)
    return ConsumerRecord(*place, offset, time_ms, created, key, value, None, *sizes, named)


def columns(
    records: Sequence[ConsumerRecord],
) -> tuple[list[bytes], list[int | None], list[int]]:
    """Values, times in milliseconds and offsets."""
    return (
        [record.value or b"" for record in records],
        [record.timestamp if record.timestamp >= 0 else None for record in records],
        [record.offset for record in records],
    )
