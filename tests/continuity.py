"""What the decoder makes of order-book streams with losses, against the book as it truly is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from book_streams import BookStream, Kind, Sent, Truth, envelope, faulty
from marketprep import Decoder, parse

#: Exchange, feed, and what else a stream is made of.
FEEDS: list[tuple[str, str, dict[str, Any]]] = [
    ("okx", "books", {}),
    ("okx", "books", {"checksums": True}),
    ("bybit", "orderbook.50", {}),
    ("gateio", "spot.order_book_update", {}),
    ("gateio", "spot.obu", {}),
    ("binance", "@depth", {}),
    ("binance", "futures", {}),
    ("kraken", "book", {}),
    ("kraken", "book", {"rewritten": True}),
    ("kraken", "book", {"has_snapshots": False}),
    ("kraken", "book", {"has_snapshots": False, "rewritten": True}),
]

#: Feeds whose bases are messages of another stream, so that changes follow each other without them.
BESIDE = ("spot.order_book_update", "@depth", "futures")


@dataclass
class Findings:
    """What came of a stream."""

    messages: int = 0
    dropped: int = 0
    #: Losses that a number must tell: the next message does not follow the one before.
    losses: int = 0
    records: int = 0
    #: How often a book became suspect, and how often though nothing was lost.
    alarms: int = 0
    false_alarms: int = 0
    #: Losses after which the next message still left a record.
    unnoticed: int = 0
    #: Records that differ from the truth.
    wrong: int = 0
    #: The message with which the book became valid.
    first_valid: int | None = None
    #: Records before that.
    too_early: int = 0


def examine(
    exchange: str,
    feed: str,
    count: int,
    seed: int,
    *,
    drop: float = 0.0,
    duplicate: float = 0.0,
    **made: Any,  # noqa: ANN401 - as a stream takes it
) -> Findings:
    """Sends so many messages of a stream, one a Kafka value, and looks at each outcome."""
    stream = BookStream(exchange, feed, seed, **made)
    decoder, found = Decoder("orderbook"), Findings()
    is_numbered = exchange != "kraken"
    has_lost = is_damaged = False
    truth: dict[str, Decimal | None] = {}
    for sent, kind, matters in _judged(feed, stream, seed, drop, duplicate):
        found.messages += 1
        if found.messages > count:
            break
        if kind == "dropped":
            found.dropped += 1
            has_lost, is_damaged = has_lost or matters, is_damaged or matters
            continue
        batch = decoder.decode([envelope(exchange, [sent.text])])
        assert not batch.rejects, sent.text
        for change in batch.changes:
            found.alarms += change.quality == "suspect"
            found.false_alarms += change.quality == "suspect" and not is_damaged
            if change.quality == "valid":
                is_damaged = False
                found.first_valid = found.first_valid or found.messages
        records = parse(batch.records)
        found.records += len(records)
        found.too_early += bool(records) and found.first_valid is None and feed not in BESIDE
        if kind == "sent":
            truth = _record(sent.truth, stream)
        # one that comes once more may leave no other record than the last one did
        found.wrong += sum(not truth.items() <= record.items() for record in records)
        if kind == "sent":
            if has_lost and is_numbered and not sent.is_base:
                found.losses += 1
                found.unnoticed += bool(records)
            has_lost = False  # by a base that came in between the loss may be made good
    return found


def _judged(
    feed: str, stream: BookStream, seed: int, drop: float, duplicate: float
) -> Iterator[tuple[Sent, Kind, bool]]:
    """The messages, and whether the loss of one can matter.

    It cannot where the book stays as it is and no number moves on: a keep-alive, a snapshot that
    is sent once more, a base beside the changes.
    """
    before: Truth | None = None
    rng = random.Random(seed)  # noqa: S311 - to be reproducible, not secret
    for sent, kind in faulty(stream, rng, drop=drop, duplicate=duplicate):
        is_quiet = sent.is_base or '"bids":[],"asks":[]' in sent.text
        matters = not (is_quiet and sent.truth == before) and not (sent.is_base and feed in BESIDE)
        yield sent, kind, matters
        if kind != "duplicate":
            before = sent.truth


def _record(truth: Truth, stream: BookStream) -> dict[str, Decimal | None]:
    """The truth as a record has it."""
    price_unit, size_unit = (
        Decimal(10) ** -places for places in (stream.price_places, stream.size_places)
    )
    bid, ask = truth.highest_bid, truth.lowest_ask
    return {
        "highest_bid": None if bid is None else bid * price_unit,
        "lowest_ask": None if ask is None else ask * price_unit,
        "spread": None if bid is None or ask is None else (ask - bid) * price_unit,
        "total_bid_volume": truth.total_bid * size_unit,
        "total_ask_volume": truth.total_ask * size_unit,
    }
