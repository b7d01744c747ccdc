"""The Rust core: bytes in, bytes out, one call a batch, the GIL released meanwhile."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypedDict, final, type_check_only

__all__ = [
    "BATCH_BYTES",
    "BUILD_PROFILE",
    "Batch",
    "Book",
    "Change",
    "Decoder",
    "Finished",
    "Framer",
    "Market",
    "Reject",
    "Stretch",
    "exchange_names",
    "reject_reasons",
]

BATCH_BYTES: Final[int]
BUILD_PROFILE: Literal["debug", "release"]

def exchange_names() -> list[tuple[str, list[str]]]:
    """The exchanges that can be decoded, and the other names under which each comes."""

def reject_reasons() -> dict[str, str]:
    """The codes that `Reject.reason` can have, and what each means."""

@type_check_only
class Counts(TypedDict):
    """What became of the items of one exchange.

    Each item was decoded, which left at least one record, or a control message of one of five
    sorts, or held back because its book has no base yet (warming), has missed something (suspect)
    or is newer than the item (outdated), or rejected. What is odd is counted by message: a gap in
    what a kept book was told, a crossed or locked book, declared totals that are not the sums of
    the levels, a time of the exchange that was long past when Kafka took the message in.
    """

    items: int
    decoded: int
    records: int
    control_subscription: int
    control_heartbeat: int
    control_status: int
    control_notice: int
    control_error: int
    warming: int
    suspect: int
    outdated: int
    rejected: int
    odd_gap: int
    odd_crossed: int
    odd_locked: int
    odd_totals_mismatch: int
    odd_stale: int
    odd_dropped: int

@type_check_only
class Exchange(Protocol):
    """What the settings say of an exchange."""

    @property
    def name(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def publish_all(self) -> bool: ...
    @property
    def crossed_grace(self) -> int: ...
    @property
    def precision(self) -> Mapping[str, tuple[int, int]]: ...

@type_check_only
class Output(Protocol):
    """What records are to have."""

    @property
    def extended(self) -> bool: ...
    @property
    def imbalance_levels(self) -> Sequence[int]: ...
    @property
    def depth_bps(self) -> Sequence[int]: ...
    @property
    def stale_after_s(self) -> int: ...

@final
class Decoder:
    """Decodes batches of one kind, and keeps the order books from batch to batch.

    Calls from several threads wait for each other.
    """

    def __new__(
        cls, kind: str, exchanges: Sequence[Exchange], output: Output, max_books: int = 10_000
    ) -> Decoder:
        """Begins without any book, and keeps up to `max_books` of them.

        Beyond them the book that was updated longest ago is dropped.

        Raises ValueError for a kind other than ticker and orderbook, and for an exchange without
        a decoder.
        """

    def decode(
        self,
        values: Sequence[bytes | bytearray],
        timestamps: Sequence[int | None] | None = None,
        offsets: Sequence[int] | None = None,
    ) -> Batch:
        """Decodes Kafka values, of whose records `timestamps` has the times in milliseconds.

        Raises ValueError if there are not as many timestamps or offsets as values, or if one of
        them is beyond 64 bits. Every integer argument that is out of range raises it.
        """

    def decode_lines(self, block: bytes | bytearray) -> Batch:
        """Decodes a block of lines, each an envelope. Blank lines are none."""

    def decode_fetched(
        self, fetched: Sequence[tuple[bytes, int, int, int]], most_bytes: int
    ) -> Batch:
        """Decodes the records of Kafka's record batches, until so many bytes have come of them.

        Each is what was fetched, where in it the batch begins and ends, and the offset from which
        its records are wanted. Compressions are none, lz4 and zstd. Raises ValueError for a batch
        that cannot be read; books may have changed by then.
        """

    def checkpoints(self) -> list[tuple[str, bytes | None]]:
        """Checkpoints of the books that have changed since the last call: names and contents.

        The content is None where a book was dropped, whose checkpoint is to be removed.
        """

    def restore(self, name: str, content: bytes, before: int) -> None:
        """Takes in a checkpoint of an offset before `before`, before the first batch.

        Raises ValueError if it cannot be used.
        """

    def books(self) -> list[Book]:
        """What is known of each kept book."""

@final
class Batch:
    """What became of a batch."""

    @property
    def records(self) -> bytes:
        """The records, a line of JSON each, in the order of the values.

        Empty once a framer has taken them.
        """

    @property
    def held(self) -> int:
        """About how many bytes all of it holds."""

    @property
    def rest(self) -> tuple[int, int] | None:
        """Of fetched batches, where it goes on if not all was decoded.

        That is which of the batches, and from which offset. It is so when what came of them has
        become much.
        """

    @property
    def last(self) -> tuple[str, bytes] | None:
        """The exchange of the last record, and the record."""

    @property
    def runs(self) -> list[tuple[int, str, int]]:
        """Whose the records are, in their order: index of the value, exchange, number of records.

        A value that led to no record is not among them.
        """

    @property
    def rejects(self) -> list[Reject]:
        """What was set aside, in the order of the values."""

    def take_originals(
        self,
    ) -> dict[int, tuple[int, int | None, bytes | None, list[tuple[bytes, bytes | None]], bool]]:
        """Of fetched batches, by index, the Kafka records of which something was rejected.

        Each as offset, time in milliseconds, key, headers, and whether it had no value. Names of
        headers are bytes, as they need not be UTF-8. They are handed out once.
        """

    @property
    def faults(self) -> int:
        """The number of rejects with the reason `internal`: the decoder itself has failed."""

    @property
    def changes(self) -> list[Change]:
        """The kept books whose quality has changed."""

    @property
    def envelopes(self) -> int:
        """How many values there were."""

    @property
    def bytes_in(self) -> int:
        """How many bytes they had."""

    @property
    def counts(self) -> dict[str, Counts]:
        """By exchange, what became of its items."""

@final
class Framer:
    """Puts the records of a partition into Kafka values, in their order."""

    def __new__(cls, kind: str, framing: str, most_records: int) -> Framer:
        """`framing` is array or record; `most_records` is how many an array has at most.

        Raises ValueError for another kind or framing.
        """

    def values(self, batch: Batch | None = None) -> list[tuple[bytes, bytes, int | None]]:
        """Takes the records of what was decoded, or, without it, lets go what waits.

        The values that are full: key, value and time in milliseconds.
        """

    def batches(
        self, batch: Batch | None, now: int, compression: str, is_transactional: bool
    ) -> list[Finished]:
        """The same in record batches. What has no time, or a later one, gets `now`.

        Raises ValueError for a compression other than none, lz4 and zstd.
        """

@final
class Finished:
    """A record batch that lacks nothing but its producer."""

    def __len__(self) -> int:
        """How many bytes it has."""

    @property
    def count(self) -> int:
        """How many records it has."""

    def by(self, producer_id: int, producer_epoch: int, first_sequence: int) -> bytes:
        """The batch as a producer sends it."""

@final
class Change:
    """A kept book whose quality has changed."""

    @property
    def index(self) -> int:
        """Which value of the batch has changed it."""

    @property
    def exchange(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def quality(self) -> str:
        """What it is now: warming, valid, suspect or dropped."""

    @property
    def reason(self) -> str:
        """Why: snapshot, checksum, gap, crossed, internal or limit."""

@final
class Book:
    """What is known of a kept book, and what has happened to it since it is kept."""

    @property
    def exchange(self) -> str: ...
    @property
    def feed(self) -> str:
        """Which of the feeds of its instrument, where an exchange has several."""

    @property
    def instrument(self) -> str: ...
    @property
    def quality(self) -> str:
        """It is warming, valid or suspect."""

    @property
    def levels(self) -> tuple[int, int]:
        """How many bids and asks it has."""

    @property
    def gaps(self) -> int:
        """How often a message did not follow the one before."""

    @property
    def checksums_matched(self) -> int: ...
    @property
    def checksums_failed(self) -> int:
        """How often a checksum told that a valid book was wrong."""

    @property
    def outdated(self) -> int:
        """How many messages were older than the book."""

    @property
    def crossed(self) -> int:
        """How many messages have left it crossed."""

    @property
    def locked(self) -> int: ...
    @property
    def held_back(self) -> int:
        """How many messages left no record, as the book is not valid."""

@final
class Reject:
    """What was set aside, and why."""

    @property
    def index(self) -> int:
        """Which value of the batch it came from."""

    @property
    def item(self) -> int | None:
        """Which item of the envelope; None if it is all of the value."""

    @property
    def exchange(self) -> str | None:
        """The exchange, if the envelope is of a known one."""

    @property
    def reason(self) -> str:
        """A short fixed code, one of `reject_reasons()`."""

    @property
    def detail(self) -> str:
        """The reason for people."""

    @property
    def value(self) -> bytes:
        """An envelope with the item alone, or the whole value, as it came."""

@final
class Market:
    """A made-up market of one exchange and one kind, reproducible by its seed."""

    def __new__(cls, exchange: str, kind: str, style: str, seed: int, truth: bool) -> Market:
        """`style` is exchange, reserialised or flattened.

        Raises ValueError for a name that is not known.
        """

    def envelopes(self, at_least: int) -> Stretch:
        """The next envelopes: whole lines, of at least so many bytes."""

@final
class Stretch:
    """A stretch of a made-up market."""

    @property
    def lines(self) -> bytes:
        """Envelopes, one a line."""

    @property
    def truth(self) -> bytes:
        """The records that they must lead to, one a line, if the truth was asked for.

        The timestamp is null where the message has none.
        """

    @property
    def envelopes(self) -> int:
        """How many envelopes there are."""

    @property
    def items(self) -> int:
        """How many items they hold."""

    @property
    def control(self) -> int:
        """How many of the items are control messages."""
