"""Order-book streams that arrive as changes, made from a book that is known after each message.

Prices and sizes are whole numbers of units; a stream's `price_places` and `size_places` say how
many decimals these have. What is told is what a client can know: the best `depth` levels.
"""

from __future__ import annotations

import json
import random
import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

# Price and size, both in units.
Level: TypeAlias = tuple[int, int]
Kind: TypeAlias = Literal["sent", "duplicate", "dropped"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REGIONS = {"okx": "Asia", "bybit": "Asia", "gateio": "Asia", "binance": "NE", "kraken": "NE"}
# How many levels lie beyond the depth, from where they can come into view.
HIDDEN = 30


class Truth(NamedTuple):
    """What is in view of the exchange's book, in units."""

    highest_bid: int | None
    lowest_ask: int | None
    total_bid: int
    total_ask: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message, and the book after it; a base is a whole book, from which a reader can start."""

    text: str
    truth: Truth
    is_base: bool
    time_ms: int


class BookStream:
    """An endless stream of one order book, without losses; each iterator goes on with it.

    `checksums` is for OKX as it was before its checksums became 0; `rewritten` is for messages that
    went through Python's json, whose numbers are floats.
    """

    def __init__(
        self,
        exchange: str,
        feed: str,
        seed: int,
        depth: int | None = None,
        instrument: str | None = None,
        *,
        has_snapshots: bool = True,
        checksums: bool = False,
        rewritten: bool = False,
        snapshot_every: int = 150,
    ) -> None:
        wire = WIRES[exchange, feed]
        self.price_places = wire.price_places
        self.size_places = wire.size_places
        self._random = random.Random(seed)  # noqa: S311 - to be reproducible, not secret
        self._market = Market(self._random, depth or wire.depth)
        self._wire = wire(self._market, instrument or wire.instrument, checksums=checksums)
        self._has_snapshots = has_snapshots
        self._rewritten = rewritten
        self._snapshot_every = snapshot_every
        self._time_ms = 1_790_000_000_000

    def __iter__(self) -> Iterator[Sent]:
        return self.messages()

    def messages(self) -> Iterator[Sent]:
        is_base = self._has_snapshots
        while True:
            if is_base:
                yield self._sent(self._wire.base, is_base=True)
                if self._wire.repeats_bases and self._random.random() < 0.3:
                    yield self._sent(self._wire.whole, is_base=True)
            else:
                yield self._sent(self._wire.change)
            is_base = self._has_snapshots and self._random.random() * self._snapshot_every < 1

    def _sent(self, write: Callable[[int], str], *, is_base: bool = False) -> Sent:
        self._time_ms += self._random.randrange(1, 200)
        text = write(self._time_ms)
        if self._rewritten:
            text = json.dumps(json.loads(text))
        return Sent(text, self._market.truth(), is_base, self._time_ms)


def faulty(
    messages: Iterable[Sent], rng: random.Random, *, drop: float, duplicate: float
) -> Iterator[tuple[Sent, Kind]]:
    """Lose some messages and deliver some once more; `dropped` tells of one that did not arrive."""
    recent: deque[Sent] = deque(maxlen=5)
    for sent in messages:
        if rng.random() < drop:
            yield sent, "dropped"
            continue
        yield sent, "sent"
        recent.append(sent)
        if rng.random() < duplicate:
            yield rng.choice(recent), "duplicate"


def envelope(exchange: str, texts: list[str]) -> bytes:
    """Put messages into the value that stands on the input topic."""
    header = {"region": REGIONS[exchange], "market": exchange.upper(), "symbol": "BTC"}
    return json.dumps({**header, "data": texts}).encode()


# The book


class Side:
    """One side of the exchange's book; a rank is a price with a sign that puts the best first."""

    def __init__(self, sign: int, depth: int) -> None:
        self.ranks: list[int] = []
        self.view: dict[int, int] = {}
        self.total = 0
        self._sign = sign
        self.depth = depth
        self._sizes: dict[int, int] = {}
        self._touched: set[int] = set()
        self._untold: set[int] = set()

    def put(self, rank: int, size: int) -> None:
        if rank not in self._sizes:
            place = bisect_left(self.ranks, rank)
            self.ranks.insert(place, rank)
            if place < self.depth < len(self.ranks):
                self._touched.add(self.ranks[self.depth])
        self._sizes[rank] = size
        self._touched.add(rank)

    def remove(self, place: int) -> None:
        rank = self.ranks.pop(place)
        del self._sizes[rank]
        self._touched.add(rank)
        if place < self.depth <= len(self.ranks):
            self._touched.add(self.ranks[self.depth - 1])

    def settle(self) -> bool:
        """Bring the view up to date, and tell whether something in it is not yet told."""
        is_cut = len(self.ranks) > self.depth
        for rank in self._touched:
            is_hidden = is_cut and rank >= self.ranks[self.depth]
            size = 0 if is_hidden else self._sizes.get(rank, 0)
            change = size - self.view.get(rank, 0)
            if change == 0:
                continue
            self.total += change
            self._untold.add(rank)
            if size:
                self.view[rank] = size
            else:
                del self.view[rank]
        self._touched.clear()
        return bool(self._untold)

    def take_untold(self, *, fallen_too: bool = True) -> list[Level]:
        """Take what is to be told; a level has fallen if it is there, but no longer in view."""
        ranks = sorted(self._untold)
        self._untold.clear()
        return [
            (rank * self._sign, self.view.get(rank, 0))
            for rank in ranks
            if fallen_too or rank in self.view or rank not in self._sizes
        ]

    def levels(self, most: int | None = None) -> list[Level]:
        """Give the view, or no more than its first levels, best first."""
        count = self.depth if most is None else min(most, self.depth)
        return [(rank * self._sign, self._sizes[rank]) for rank in self.ranks[:count]]

    def best(self) -> int | None:
        return self.ranks[0] * self._sign if self.ranks else None


class Market:
    """A book that moves at random; it is never crossed, and one side of it may become empty."""

    def __init__(self, rng: random.Random, depth: int) -> None:
        self.random = rng
        self.bids = Side(-1, depth)
        self.asks = Side(1, depth)
        self._depth = depth
        self._capacity = depth + HIDDEN
        for side, rank in ((self.bids, -787_000), (self.asks, 787_001)):
            side.put(rank, self._size())
            while len(side.ranks) < self._capacity:
                self._add_worst(side)
            side.settle()
        self.bids.take_untold()
        self.asks.take_untold()

    def truth(self) -> Truth:
        return Truth(self.bids.best(), self.asks.best(), self.bids.total, self.asks.total)

    def move(self) -> int:
        """Change the book until there is something to tell, and give the number of changes."""
        count = 0
        is_told = False
        while not is_told:
            own, other = self.bids, self.asks
            for _ in range(self.random.randrange(1, 5)):
                if self.random.random() < 0.5:
                    own, other = other, own
                self._change(own, other)
                count += 1
            has_bids, has_asks = self.bids.settle(), self.asks.settle()
            is_told = has_bids or has_asks
        return count

    def move_untold(self) -> int:
        """Change the book where a whole book is to tell of it, and no change after that."""
        count = self.move()
        self.bids.take_untold()
        self.asks.take_untold()
        return count

    def _change(self, own: Side, other: Side) -> None:
        dice = self.random.random()
        if dice < 0.0004 and other.ranks:
            self._withdraw(own)
        elif dice < 0.5 and own.ranks:
            own.put(own.ranks[self._place(own)], self._size())
        elif dice < 0.65 and len(own.ranks) > 1:
            own.remove(self._place(own))
        else:
            self._add(own, other)
        if own.ranks and len(own.ranks) < self._depth and self.random.random() < 0.5:
            self._add_worst(own)
        while len(own.ranks) > self._capacity:
            own.remove(-1)

    def _add(self, own: Side, other: Side) -> None:
        """Add a level near the best or anywhere; it takes what it meets on the other side."""
        # A side that is empty begins anew one unit from the other, which then is not.
        best = own.ranks[0] if own.ranks else 1 - other.ranks[0]
        if self.random.random() < 0.5:
            rank = best + self.random.randrange(-2, 6)
        else:
            rank = best + self.random.randrange(4 * self._capacity)
        own.put(rank, self._size())
        while other.ranks and other.ranks[0] <= -rank:
            other.remove(0)

    def _add_worst(self, side: Side) -> None:
        side.put(side.ranks[-1] + self.random.randrange(1, 8), self._size())

    def _withdraw(self, side: Side) -> None:
        """Leave a few levels or none, as when market makers withdraw."""
        left = int(self._depth * self.random.random() ** 3)
        while len(side.ranks) > left:
            side.remove(-1)

    def _place(self, side: Side) -> int:
        return int(len(side.ranks) * self.random.random() ** 3)

    def _size(self) -> int:
        return self.random.randrange(1, 10 ** self.random.randrange(2, 10))


# The messages


@lru_cache(1 << 16)
def fixed(units: int, places: int) -> str:
    """Write units with all of their decimals."""
    whole, rest = divmod(units, 10**places)
    return f"{whole}.{rest:0{places}}"


@lru_cache(1 << 16)
def trimmed(units: int, places: int) -> str:
    """Write units without zeros at the end."""
    return fixed(units, places).rstrip("0").rstrip(".")


class Wire:
    """How an exchange writes its messages, and the numbers by which it orders them."""

    depth = 0
    instrument = ""
    price_places = 1
    size_places = 6
    number = staticmethod(trimmed)
    tells_fallen = True
    tells_twice = 0.0
    repeats_bases = False

    def __init__(self, market: Market, instrument: str, *, checksums: bool) -> None:
        self.market = market
        self.random = market.random
        self.name = instrument
        self.checksums = checksums

    def base(self, time: int) -> str:
        """Write a whole book as the next message."""
        return self.whole(time)

    def whole(self, time: int) -> str:
        """Write the book that was told last."""
        raise NotImplementedError

    def change(self, time: int) -> str:
        """Move the book and write what has changed, or now and then that nothing has."""
        raise NotImplementedError

    def level(self, price: str, size: str) -> str:
        return f'["{price}","{size}"]'

    def list_of(self, levels: list[Level]) -> str:
        texts = [
            self.level(self.number(price, self.price_places), self.number(size, self.size_places))
            for price, size in levels
        ]
        return f"[{','.join(texts)}]"

    def view(self, bids: str, asks: str) -> str:
        sides = ((bids, self.market.bids), (asks, self.market.asks))
        return ",".join(f'"{key}":{self.list_of(side.levels())}' for key, side in sides)

    def untold(self, bids: str, asks: str, *, both: bool = True) -> str:
        """Write what has changed, in no order; a side without change may be absent."""
        sides = []
        for key, side in ((bids, self.market.bids), (asks, self.market.asks)):
            levels = side.take_untold(fallen_too=self.tells_fallen)
            self.random.shuffle(levels)
            if levels and self.random.random() < self.tells_twice:
                place = self.random.randrange(len(levels))
                outdated = (levels[place][0], self.random.randrange(1_000_000))
                levels.insert(self.random.randrange(place + 1), outdated)
            if levels or both:
                sides.append(f'"{key}":{self.list_of(levels)}')
        return ",".join(sides)


class Okx(Wire):
    """Each message names the one before; the numbers jump, and at a maintenance fall."""

    depth = 400
    instrument = "BTC-USDT"
    size_places = 8
    repeats_bases = True
    last = 1_000_000_000

    def base(self, time: int) -> str:
        self.market.move_untold()
        self.last += self.random.randrange(1, 80)
        return self.whole(time)

    def whole(self, time: int) -> str:
        return self._message("snapshot", self.view("bids", "asks"), time, -1)

    def change(self, time: int) -> str:
        previous = self.last
        if self.random.random() < 0.01:
            return self._message("update", '"bids":[],"asks":[]', time, previous)
        self.market.move()
        if self.random.random() < 0.0005:
            self.last = self.random.randrange(1, previous)
        else:
            self.last += self.random.randrange(1, 80)
        return self._message("update", self.untold("bids", "asks"), time, previous)

    def level(self, price: str, size: str) -> str:
        return f'["{price}","{size}","0","{0 if size == "0" else len(size)}"]'

    def _message(self, action: str, sides: str, time: int, previous: int) -> str:
        return (
            f'{{"arg":{{"channel":"books","instId":"{self.name}"}},"action":"{action}",'
            f'"data":[{{{sides},"ts":"{time}","checksum":{self._checksum()},'
            f'"seqId":{self.last},"prevSeqId":{previous}}}]}}'
        )

    def _checksum(self) -> int:
        if not self.checksums:
            return 0
        bids, asks = (
            [okx_pair(price, size) for price, size in side.levels(25)]
            for side in (self.market.bids, self.market.asks)
        )
        texts = [text for pair in zip(bids, asks, strict=False) for text in pair]
        texts += bids[len(asks) :] + asks[len(bids) :]
        unsigned = zlib.crc32(":".join(texts).encode())
        return unsigned - (1 << 32 if unsigned >> 31 else 0)


@lru_cache(1 << 16)
def okx_pair(price: int, size: int) -> str:
    """Write a level as it enters a checksum."""
    return f"{trimmed(price, Okx.price_places)}:{trimmed(size, Okx.size_places)}"


class Bybit(Wire):
    """The numbers grow by one, until the service restarts."""

    depth = 50
    instrument = "BTCUSDT"
    repeats_bases = True
    last = 18_000_000
    sequence = 40_000_000_000

    def base(self, time: int) -> str:
        self.market.move_untold()
        self.last = 1 if self.random.random() < 0.2 else self.last + 1
        return self.whole(time)

    def whole(self, time: int) -> str:
        return self._message("snapshot", self.view("b", "a"), time)

    def change(self, time: int) -> str:
        self.market.move()
        self.last += 1
        return self._message("delta", self.untold("b", "a"), time)

    def _message(self, kind: str, sides: str, time: int) -> str:
        self.sequence += self.random.randrange(1, 400)
        topic = f"orderbook.{self.market.bids.depth}.{self.name}"
        return (
            f'{{"topic":"{topic}","ts":{time},"type":"{kind}","data":{{"s":"{self.name}",{sides},'
            f'"u":{self.last},"seq":{self.sequence}}},"cts":{time - 3}}}'
        )


class Counted(Wire):
    """Each change of the book has a number; a message has those of its first and last change."""

    last = 9_000_000_000
    told = 9_000_000_000

    def numbers(self) -> str:
        first, self.told = self.told + 1, self.last
        return f'"U":{first},"u":{self.last}'


class GateioUpdates(Counted):
    """Bases of the channel of whole books, and changes whose unchanged side is absent."""

    depth = 100
    instrument = "BTC_USDT"

    def whole(self, time: int) -> str:
        head = f'"t":{time},"lastUpdateId":{self.last},"s":"{self.name}"'
        return gateio("spot.order_book", f"{head},{self.view('bids', 'asks')}", time)

    def change(self, time: int) -> str:
        self.last += self.market.move()
        head = f'"t":{time},"e":"depthUpdate","E":{time // 1000},"s":"{self.name}"'
        sides = self.untold("b", "a", both=False)
        return gateio("spot.order_book_update", f"{head},{self.numbers()},{sides}", time)


class GateioObu(Counted):
    """Full books and changes in one channel; a message may have neither side."""

    depth = 400
    instrument = "BTC_USDT"

    def base(self, time: int) -> str:
        self.last += self.market.move_untold()
        self.told = self.last
        return self.whole(time)

    def whole(self, time: int) -> str:
        head = f'"t":{time},"full":true,"s":"{self._stream()}","u":{self.last}'
        return gateio("spot.obu", f"{head},{self.view('b', 'a')}", time)

    def change(self, time: int) -> str:
        is_idle = self.random.random() < 0.01
        self.last += 1 if is_idle else self.market.move()
        parts = [f'"t":{time},"s":"{self._stream()}"', self.numbers()]
        if not is_idle:
            parts.append(self.untold("b", "a", both=False))
        return gateio("spot.obu", ",".join(parts), time)

    def _stream(self) -> str:
        return f"ob.{self.name}.{self.market.bids.depth}"


def gateio(channel: str, result: str, time: int) -> str:
    times = f'"time":{time // 1000},"time_ms":{time + 2}'
    return f'{{{times},"channel":"{channel}","event":"update","result":{{{result}}}}}'


class Binance(Counted):
    """Bases of another stream: the next change may begin before a base, and tells its news too."""

    depth = 20
    instrument = "BTCUSDT"
    price_places = 2
    size_places = 8
    number = staticmethod(fixed)

    def base(self, time: int) -> str:
        if self.random.random() < 0.5:
            self.last += self.market.move()
        return self.whole(time)

    def whole(self, time: int) -> str:
        del time  # which partial books do not have
        stream = f"{self.name.lower()}@depth20@100ms"
        sides = self.view("bids", "asks")
        return f'{{"stream":"{stream}","data":{{"lastUpdateId":{self.last},{sides}}}}}'

    def change(self, time: int) -> str:
        self.last += self.market.move()
        head = f'"e":"depthUpdate","E":{time},"s":"{self.name}"'
        return f"{{{head},{self.numbers()},{self.untold('b', 'a')}}}"


class BinanceFutures(Binance):
    """Numbers are left out between messages, so each also has the last one of the one before."""

    has_base = False

    def base(self, time: int) -> str:
        self.has_base = True
        return super().base(time)

    def numbers(self) -> str:
        previous = self.told
        # After a base nothing is left out, or the change would not be seen to follow it.
        if not self.has_base:
            skipped = self.random.randrange(5)
            self.told += skipped
            self.last += skipped
        self.has_base = False
        return f'{super().numbers()},"pu":{previous}'


class Kraken(Wire):
    """No numbers, but checksums; what better levels push out of view is not told."""

    depth = 10
    instrument = "BTC/USD"
    size_places = 8
    number = staticmethod(fixed)
    tells_fallen = False
    tells_twice = 0.05

    def base(self, time: int) -> str:
        self.market.move_untold()
        return self.whole(time)

    def whole(self, time: int) -> str:
        return self._message("snapshot", self.view("bids", "asks"), time)

    def change(self, time: int) -> str:
        self.market.move()
        return self._message("update", self.untold("bids", "asks"), time)

    def level(self, price: str, size: str) -> str:
        return f'{{"price":{price},"qty":{size}}}'

    def _message(self, kind: str, sides: str, time: int) -> str:
        # Without point and leading zeros, the text of a number is its units.
        levels = self.market.asks.levels(10) + self.market.bids.levels(10)
        checksum = zlib.crc32("".join([f"{price}{size}" for price, size in levels]).encode())
        microseconds = time * 1000 + self.random.randrange(1000)
        stamp = (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.name}",{sides},'
            f'"checksum":{checksum},"timestamp":"{stamp.replace("+00:00", "Z")}"}}]}}'
        )


WIRES: dict[tuple[str, str], type[Wire]] = {
    ("okx", "books"): Okx,
    ("bybit", "orderbook.50"): Bybit,
    ("gateio", "spot.order_book_update"): GateioUpdates,
    ("gateio", "spot.obu"): GateioObu,
    ("binance", "@depth"): Binance,
    ("binance", "futures"): BinanceFutures,
    ("kraken", "book"): Kraken,
}
