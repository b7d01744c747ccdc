"""The direct way: what the core reads and writes is what aiokafka would, batch by batch."""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import cramjam
import pytest
from aiokafka import TopicPartition, errors
from aiokafka.consumer import fetcher
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c, encode_varint
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from conftest import FIXTURES, lines_of
from marketprep import Batch, Decoder, dead_letters, direct, header_names
from marketprep.batch import Message
from marketprep.connections import AIOKafkaConnection
from marketprep.record_sets import RecordSet
from marketprep.settings import load_settings

PLACE = TopicPartition("in", 3)
NONE, GZIP, LZ4, ZSTD = 0, 1, 3, 4
COMMITTED = 1
IS_CONTROL, IS_APPEND_TIME = 0b10_0000, 0b1000
GOOD = lines_of(FIXTURES / "upbit" / "ticker.jsonl")[0]

#: Tickers keep nothing from batch to batch.
DECODER = Decoder("ticker")

#: At so many bytes a call has led to enough.
MOST = 8 << 20

Headers = list[tuple[str, bytes | None]]
Record = tuple[bytes | None, bytes | None, Headers, int]
Deserializer = Callable[[bytes], bytes]


class Sent(NamedTuple):
    """A batch that was sent; its records as value, key, headers and time."""

    records: Sequence[Record]
    compression: int
    #: None is one without transactions.
    producer: int | None
    attributes: int = 0
    #: How many offsets compaction has left empty behind it.
    removed: int = 0


class Ended(NamedTuple):
    """A transaction that was committed or aborted."""

    producer: int
    is_committed: bool


def in_log(piece: Sent | Ended, offset: int) -> bytes:
    """A batch as aiokafka writes it and a broker keeps it."""
    if isinstance(piece, Ended):
        mark = struct.pack(">HH", 0, int(piece.is_committed))
        marker = Sent([(b"\0" * 6, mark, [], 0)], NONE, piece.producer, IS_CONTROL)
        return in_log(marker, offset)
    producer = -1 if piece.producer is None else piece.producer
    is_transactional = piece.producer is not None
    builder = DefaultRecordBatchBuilder(
        2, piece.compression, is_transactional, producer, 0, 0, 1 << 30
    )
    for place, (value, key, headers, timestamp) in enumerate(piece.records):
        assert builder.append(place, timestamp, key, value, headers) is not None
    content = bytearray(builder.build())
    content[:8] = offset.to_bytes(8)
    [last] = struct.unpack_from(">i", content, 23)
    struct.pack_into(">i", content, 23, last + piece.removed)
    content[22] |= piece.attributes
    struct.pack_into(">I", content, 17, calc_crc32c(content[21:]))
    return bytes(content)


headers = st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=4)), max_size=3)
records = st.tuples(
    # some are envelopes, and of the others come dead letters
    st.sampled_from([GOOD, b"", b"{}", GOOD + b"x", b"\xff" * 300, None]),
    st.none() | st.binary(max_size=3),
    headers,
    st.integers(0, 10**13),
)
sent = st.builds(
    Sent,
    st.lists(records, min_size=1, max_size=6),
    st.sampled_from([NONE, LZ4, ZSTD]),
    st.none() | st.integers(0, 2),
    st.sampled_from([0, IS_APPEND_TIME]),
    st.integers(0, 2),
)
pieces = st.lists(sent | st.builds(Ended, st.integers(0, 2), st.booleans()), max_size=8)


class Fields(NamedTuple):
    """A record by its fields, and how far the lengths in it are off."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    #: By the name of a length, what is added to it.
    wrong: dict[str, int]
    tail: bytes

    def encoded(self) -> bytes:
        wrong = self.wrong.get
        content = bytearray(1)
        _add(content, 0, self.offset)
        _add_bytes(content, self.key, wrong("key", 0))
        _add_bytes(content, self.value, wrong("value", 0))
        _add(content, len(self.headers) + wrong("headers", 0))
        for name, value in self.headers:
            _add_bytes(content, name.encode(), wrong("header name", 0))
            _add_bytes(content, value, wrong("header value", 0))
        content += self.tail
        record = bytearray()
        _add(record, len(content) + wrong("record", 0))
        return bytes(record + content)


def _add(content: bytearray, *integers: int) -> None:
    for integer in integers:
        encode_varint(integer, content.append)


def _add_bytes(content: bytearray, some: bytes | None, wrong: int) -> None:
    _add(content, (-1 if some is None else len(some)) + wrong)
    content += some or b""


class Damaged(NamedTuple):
    """A batch of any bytes, with a checksum that matches them."""

    records: bytes
    #: How many records the header says it has.
    announced: int
    compression: int
    #: What follows the records that were compressed.
    tail: bytes = b""

    def in_log(self, offset: int) -> bytes:
        compressors: dict[int, Callable[[bytes], Any]] = {
            NONE: bytes,
            LZ4: cramjam.lz4.compress,
            ZSTD: cramjam.zstd.compress,
        }
        body = bytes(compressors[self.compression](self.records)) + self.tail
        head = struct.pack(">qiib", offset, len(body) + 49, 0, 2)
        last = max(self.announced, 1) - 1
        rest = struct.pack(">hiqqqhii", self.compression, last, 5, 9, -1, -1, -1, self.announced)
        checksum = struct.pack(">I", calc_crc32c(rest + body))
        return head + checksum + rest + body


def edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Some bytes are removed and others inserted, at places that are taken modulo the length."""
    for place, removed, inserted in edits:
        at = place % (len(content) + 1)
        content = content[:at] + inserted + content[at + removed :]
    return content


# Bytes from 0x80 on are left out: aiokafka reads a record's attributes as a varint, which they are
# not, reads beyond its memory by a length of 2**62, and takes no name that is not UTF-8.
few_bytes = st.binary(max_size=3).map(lambda some: bytes(byte & 0x7F for byte in some))
fields = st.builds(
    Fields,
    st.integers(-2, 8),
    st.none() | few_bytes,
    st.sampled_from([GOOD, b"", b"{}", b"x" * 300, None]),
    st.lists(st.tuples(st.text("abc", max_size=3), st.none() | few_bytes), max_size=2),
    st.just({})
    | st.dictionaries(
        st.sampled_from(["record", "key", "value", "headers", "header name", "header value"]),
        st.sampled_from([-300, -2, -1, 1, 2, 70]),
        max_size=2,
    ),
    st.just(b"") | few_bytes,
)
damaged_batches = st.builds(
    lambda records, more, edits, compression, tail: Damaged(
        edited(b"".join(record.encoded() for record in records), edits),
        len(records) + more,
        compression,
        tail,
    ),
    st.lists(fields, max_size=4),
    st.sampled_from([0, 0, 0, 0, -9, -1, 1, 2**31 - 9]),
    st.just([])
    | st.lists(st.tuples(st.integers(0, 999), st.integers(0, 3), few_bytes), max_size=2),
    st.sampled_from([NONE, LZ4, ZSTD]),
    st.sampled_from([b"", b"", b"", b"\0", b"tail", bytes(cramjam.lz4.compress(b"more"))]),
)


def aborted(pieces: Sequence[Sent | Ended], offsets: Sequence[int]) -> list[tuple[int, int]]:
    """The transactions that were aborted: producer and first offset, as brokers tell it."""
    begun: dict[int, int] = {}
    found = []
    for piece, offset in zip(pieces, offsets, strict=True):
        if isinstance(piece, Sent):
            if piece.producer is not None:
                begun.setdefault(piece.producer, offset)
        elif (first := begun.pop(piece.producer, None)) is not None and not piece.is_committed:
            found.append((piece.producer, first))
    return sorted(found, key=lambda one: one[1])


def fetched(
    pieces: Sequence[Sent | Ended],
    skipped: int,
    deserializer: Deserializer | None = None,
    damaged: int | None = None,
) -> fetcher.PartitionRecords:
    """What a consumer has of these batches from an offset on, on the one way or the other."""
    content, offsets, offset = bytearray(), [], 1000
    for piece in pieces:
        offsets.append(offset)
        content += in_log(piece, offset)
        offset += 1 if isinstance(piece, Ended) else len(piece.records) + piece.removed
    of = (aborted(pieces, offsets), 1000 + skipped, None, deserializer, True, COMMITTED)
    cut_off = in_log(Sent([(GOOD, None, [], 1)], NONE, None), offset)[:40]
    if damaged is not None:
        content[damaged] ^= 1
    content[:0] = before = b"what came before it"
    within = RecordSet(bytes(content) + cut_off + b"behind it", len(before), len(content) + 40)
    return fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(within), *of)


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    assert direct.obstacle() is None
    direct.install()


def one_batch(content: bytes, first_offset: int = 7) -> direct.FetchedBatch:
    return direct.FetchedBatch(content, 0, len(content), first_offset, 11, is_compressed=True)


def all_of(batch: Batch, rejected: Sequence[direct.Rejected], _: object = None) -> tuple[Any, ...]:
    """What became of a batch, dead letters and all, but for the time of the present."""
    letters: list[Message] = [dead_letters.message(*one, "ticker", "dead") for one in rejected]
    return batch.records, batch.runs, batch.counts, batch.envelopes, batch.bytes_in, letters


@given(pieces, st.integers(0, 9), st.integers(1, 3))
def test_what_is_read_is_what_aiokafka_reads(
    pieces: list[Sent | Ended], skipped: int, at_once: int
) -> None:
    public, whole = fetched(pieces, skipped), fetched(pieces, skipped, direct.deserializer)
    theirs, ours = list(public), list(whole)
    assert all(isinstance(one, direct.FetchedBatch) for one in ours)
    assert whole.next_fetch_offset == public.next_fetch_offset
    found = []
    for start in range(0, len(ours), at_once):
        some = ours[start : start + at_once]
        of_some = [one for one in theirs if some[0].first_offset <= one.offset <= some[-1].offset]
        batch, rejected, rest = direct.decode(DECODER, PLACE, some, MOST)
        assert (batch.envelopes, rest) == (len(of_some), ())
        found += of_some
        if of_some:
            of_public = direct.decode(DECODER, PLACE, of_some, MOST)
            assert all_of(batch, rejected) == all_of(*of_public)
    assert found == theirs


def outcome_of(content: bytes, first_offset: int, deserializer: Deserializer | None) -> Any:  # noqa: ANN401
    """What becomes of batches on the one way or the other; None if they are rejected."""
    of = ((), first_offset, None, deserializer, True, COMMITTED)
    found = fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(content), *of)
    outcomes: list[Any] = []
    try:
        rest: Sequence[direct.Fetched] = list(found)
        while rest:
            batch, rejected, rest = direct.decode(DECODER, PLACE, rest, MOST)
            outcomes.append(all_of(batch, rejected))
    except (errors.CorruptRecordException, cramjam.DecompressionError):
        return None
    except UnicodeDecodeError:  # the name of a header, which the core lets pass
        reject()
    if sum(outcome[3] for outcome in outcomes) == 0:
        outcomes = []  # of batches without records only the core is told
    return found.next_fetch_offset, outcomes


@settings(max_examples=2000)
@given(sent, damaged_batches, sent, st.integers(0, 9))
def test_a_damaged_batch_is_rejected_as_aiokafka_rejects_it(
    before: Sent, damaged: Damaged, behind: Sent, skipped: int
) -> None:
    """Its checksum matches, so that nothing but its records can tell."""
    count = len(before.records) + before.removed
    first = min(skipped, count + max(damaged.announced, 1) - 1)
    content = in_log(before._replace(producer=None), 1000)
    content += damaged.in_log(1000 + count)
    content += in_log(behind._replace(producer=None), 1000 + count + max(damaged.announced, 1))
    if first >= count:  # brokers leave out what is wholly before the offset
        content = content[len(in_log(before._replace(producer=None), 1000)) :]
    with patch.object(header_names, "AnyNameRecords", MemoryRecords):  # aiokafka's own reader
        theirs = outcome_of(content, 1000 + first, None)
    assert outcome_of(content, 1000 + first, direct.deserializer) == theirs


def test_a_length_beyond_the_batch_behind_a_name_that_is_no_text() -> None:
    """Aiokafka's reader in Python goes on at such a name; its numbers in C read any memory."""
    content = bytearray(1)
    _add(content, 0, 0)
    _add_bytes(content, None, 0)
    _add_bytes(content, GOOD, 0)
    _add(content, 2)
    _add_bytes(content, b"\xff", 0)
    _add_bytes(content, b"value", 0)
    _add(content, 2**40)
    record = bytearray()
    _add(record, len(content))
    batch = Damaged(bytes(record + content), 1, NONE).in_log(7)
    assert outcome_of(batch, 7, None) is None
    assert outcome_of(batch, 7, direct.deserializer) is None


@pytest.mark.parametrize("compression", [NONE, LZ4, ZSTD])
def test_a_damaged_end_is_noticed_however_much_is_decoded_at_once(compression: int) -> None:
    """A call that ends before the batch does leaves its end to the call that goes on there."""
    one = [Fields(offset, None, GOOD, [], {}, b"").encoded() for offset in range(5)]
    sound = Damaged(b"".join(one), 5, compression)
    for damaged in (sound._replace(announced=4), sound._replace(records=sound.records + b"tail")):
        rest: Sequence[direct.Fetched] = [one_batch(damaged.in_log(7))]
        for _ in range(damaged.announced - 1):
            batch, _, rest = direct.decode(DECODER, PLACE, rest, 1)
            assert batch.envelopes == 1
        with pytest.raises(errors.CorruptRecordException, match="not in Kafka's format"):
            direct.decode(DECODER, PLACE, rest, 1)


@given(st.lists(sent, min_size=1, max_size=3), st.data())
def test_what_the_core_cannot_decompress_goes_the_public_way(
    pieces: list[Sent], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(pieces) - 1))
    pieces[place] = pieces[place]._replace(compression=GZIP, producer=None)
    theirs, ours = list(fetched(pieces, 0)), list(fetched(pieces, 0, direct.deserializer))
    assert ours == theirs
    if ours:
        batch, *_ = direct.decode(DECODER, PLACE, ours, MOST)
        assert batch.envelopes == len(ours)


@pytest.mark.parametrize("length", [-100, -12, 0, 5])
def test_a_damaged_length_is_told_as_aiokafka_tells_it(length: int) -> None:
    content = bytearray(in_log(Sent([(GOOD, None, [], 1)] * 5, NONE, None), 7))
    struct.pack_into(">i", content, 8, length)
    of = ((), 7, None, direct.deserializer, True, COMMITTED)
    found = fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(bytes(content)), *of)
    with pytest.raises(errors.CorruptRecordException, match="Record size is less"):
        list(found)


@pytest.mark.parametrize("compression", [NONE, LZ4, ZSTD])
def test_a_damaged_batch_is_an_error(compression: int) -> None:
    content = in_log(Sent([(GOOD, None, [], 1)] * 5, compression, None), 7)

    def decode(content: bytes) -> str:
        with pytest.raises(errors.CorruptRecordException) as raised:
            direct.decode(DECODER, PLACE, [one_batch(content)], MOST)
        assert "in, partition 3, offsets 7 to 11: " in str(raised.value)
        return str(raised.value)

    for at in range(21, len(content), 7):
        assert "checksum" in decode(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for end in range(0, len(content), 7):
        assert "cut off" in decode(content[:end])
    for at in range(57, len(content), 5):  # damaged before its checksum was made
        for change in (1, 0x40, 0xFF):
            body = bytearray(content)
            body[at] ^= change
            struct.pack_into(">I", body, 17, calc_crc32c(body[21:]))
            one = one_batch(bytes(body))
            try:
                batch, *_ = direct.decode(DECODER, PLACE, [one], MOST)
            except errors.CorruptRecordException:
                continue
            assert batch.envelopes <= 5 + 255


def test_what_is_not_handed_over_is_checked_all_the_same() -> None:
    """A mark that says abort where it said commit would lose what comes behind it."""
    good: list[Record] = [(GOOD, None, [], 1)]
    pieces: list[Sent | Ended] = [
        Sent(good, LZ4, 1),
        Ended(1, is_committed=False),
        Sent(good, ZSTD, 1),
        Ended(1, is_committed=True),
    ]
    for place in range(len(pieces)):
        start = sum(len(in_log(piece, 0)) for piece in pieces[:place])
        for at in range(21, len(in_log(pieces[place], 0)), 3):
            with pytest.raises(errors.CorruptRecordException):
                all_read(fetched(pieces, 0, direct.deserializer, damaged=start + at))
    counted = bytearray(in_log(Sent(good, NONE, None), 1000))
    counted[57:61] = bytes(4)
    of = (None, 1000, None, direct.deserializer, True, COMMITTED)
    with pytest.raises(errors.CorruptRecordException):
        list(fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(bytes(counted)), *of))


def all_read(records: Iterable[direct.Fetched]) -> int:
    """How many messages there are."""
    some = list(records)
    return direct.decode(DECODER, PLACE, some, MOST).batch.envelopes if some else 0


def test_a_record_that_is_longer_than_memory_is_a_dead_letter() -> None:
    two: list[Record] = [(b"0" * 70_000_000, b"key", [], 1), (GOOD, None, [], 2)]
    content = in_log(Sent(two, ZSTD, None), 7)
    assert len(content) < 20_000
    batch, [(reject, record)], _ = direct.decode(DECODER, PLACE, [one_batch(content)], MOST)
    assert (reject.reason, reject.item, record.key, record.offset) == ("too_large", None, b"key", 7)
    assert len(record.value) < 70_000
    assert batch.envelopes == 2
    assert batch.counts["upbit"]["records"] > 0


@pytest.mark.parametrize("compression", [NONE, ZSTD])
@pytest.mark.parametrize("value", [b"value", b"", None])
def test_a_long_key_is_no_value(compression: int, value: bytes | None) -> None:
    """It is left out of the dead letter: brokers would not take it."""
    long = Fields(0, b"k" * 70_000_000, value, [], {}, b"")
    content = Damaged(long.encoded(), 1, compression).in_log(7)
    _, [(reject, record)], _ = direct.decode(DECODER, PLACE, [one_batch(content)], MOST)
    assert (reject.reason, record.key, record.value) == ("too_large", None, value)


@pytest.mark.parametrize("value", [None, b"{}", GOOD])
def test_what_unfolds_to_much_is_decoded_in_parts(value: bytes | None) -> None:
    """A small batch may have a hundred thousand records, and each may lead to a dead letter."""
    count = 40_000
    headers: Headers = [("trace", b"x" * 200)]
    content = in_log(Sent([(value, None, headers, 1)] * count, ZSTD, None), 0)
    records: Sequence[direct.Fetched] = [one_batch(content, first_offset=0)]
    next_offset, parts = 0, 0
    while records:
        batch, rejected, records = direct.decode(DECODER, PLACE, records, MOST)
        assert batch.held < 10_000_000
        assert [one.record.offset for one in rejected] == (
            [] if value == GOOD else list(range(next_offset, next_offset + batch.envelopes))
        )
        next_offset += batch.envelopes
        parts += 1
        if records:
            assert records[0].first_offset == next_offset
    assert next_offset == count
    assert parts > 1


def test_other_consumers_get_records_as_ever() -> None:
    pieces = [Sent([(GOOD, b"k", [("a", None)], 5)], LZ4, None)]
    [record] = fetched(pieces, 0)
    assert (record.value, record.key, record.headers) == (GOOD, b"k", (("a", None),))


def test_another_aiokafka_is_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert direct.reads_directly(settings)
    assert direct.writes_directly(settings)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("aiokafka.__version__", "0.15.1")
            direct.obstacle.cache_clear()
            assert direct.obstacle() == "aiokafka is 0.15.1, and not 0.14.x"
            assert not direct.reads_directly(settings)
        with monkeypatch.context() as patch:
            patch.setattr(BatchBuilder, "_build", lambda self, _: None)  # noqa: ARG005 - another one
            direct.obstacle.cache_clear()
            assert "is not the one that we know" in (direct.obstacle() or "")
            assert not direct.writes_directly(settings)
        with monkeypatch.context() as patch:
            patch.delattr(AIOKafkaConnection, "_read")
            direct.obstacle.cache_clear()
            assert "has no attribute '_read'" in (direct.obstacle() or "")
    finally:
        direct.obstacle.cache_clear()
    assert not direct.writes_directly(load_settings(options={"output.compression": "gzip"}))
    monkeypatch.setenv("MARKETPREP_KAFKA_DIRECT", "false")
    assert not direct.reads_directly(load_settings())
