"""The Rust core: bytes in, bytes out, one call a batch, the GIL released meanwhile."""

from collections.abc import Sequence
from typing import Literal, TypedDict, final, type_check_only

__all__ = [
    "BUILD_PROFILE",
    "Batch",
    "Decoder",
    "Market",
    "Reject",
    "Stretch",
    "exchange_names",
    "reject_reasons",
]

BUILD_PROFILE: Literal["debug", "release"]

def exchange_names() -> list[tuple[str, list[str]]]:
    """The exchanges that can be decoded, and the other names under which each comes."""

def reject_reasons() -> dict[str, str]:
    """The codes that `Reject.reason` can have, and what each means."""

@type_check_only
class Counts(TypedDict):
    """What became of the items of one exchange.

    Each item was decoded, which left at least one record, or a control message of one of five
    sorts, or held back because its book has no base yet (warming) or is newer than the item
    (outdated), or rejected.
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
    outdated: int
    rejected: int

@final
class Decoder:
    """Decodes batches of one kind, and keeps the order books from batch to batch.

    Calls from several threads wait for each other.
    """

    def __new__(cls, kind: str, exchanges: Sequence[tuple[str, str, int]]) -> Decoder:
        """`exchanges` are rows of name, region and depth of the order book.

        Raises ValueError for a kind other than ticker and orderbook, and for an exchange without
        a decoder.
        """

    def decode(
        self,
        values: Sequence[bytes | bytearray],
        timestamps: Sequence[int | None] | None = None,
    ) -> Batch:
        """Decodes Kafka values, of whose records `timestamps` has the times in milliseconds.

        Raises ValueError if there are not as many timestamps as values.
        """

    def decode_lines(self, block: bytes | bytearray) -> Batch:
        """Decodes a block of lines, each an envelope. Blank lines are none."""

@final
class Batch:
    """What became of a batch."""

    @property
    def records(self) -> bytes:
        """The records, a line of JSON each, in the order of the values."""

    @property
    def runs(self) -> list[tuple[int, str, int]]:
        """Whose the records are, in their order: index of the value, exchange, number of records.

        A value that led to no record is not among them.
        """

    @property
    def rejects(self) -> list[Reject]:
        """What was set aside, in the order of the values."""

    @property
    def envelopes(self) -> int:
        """How many values there were."""

    @property
    def counts(self) -> dict[str, Counts]:
        """By exchange, what became of its items."""

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
