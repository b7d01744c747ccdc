"""What the service has done, counted by exchange once it is committed."""

from collections import Counter
from dataclasses import dataclass, field

from marketprep._core import Batch
from marketprep.decoder import HELD_BACK, Totals, with_prefix


@dataclass
class ExchangeMetrics:
    """One exchange in one kind."""

    #: Where its messages are.
    partitions: set[int]
    items: int = 0
    records: int = 0
    control: int = 0
    held_back: int = 0
    #: What was odd about books or times, by what it was.
    oddities: Counter[str] = field(default_factory=Counter)
    dead_letters: int = 0
    #: The newest record, as it was produced.
    last_record: bytes = b""


@dataclass
class LaneMetrics:
    """One lane."""

    exchanges: dict[str, ExchangeMetrics]
    totals: Totals = field(default_factory=Totals)
    #: How many messages are not committed yet, by partition; None if nobody knows.
    lag: dict[int, int | None] = field(default_factory=dict)

    def lag_of(self, exchange: str) -> int | None:
        """The lag of all partitions that have its messages; None if one is not known."""
        lags = [self.lag.get(number, 0) for number in self.exchanges[exchange].partitions]
        return None if None in lags else sum(lag or 0 for lag in lags)

    def add(self, partition: int, batch: Batch) -> None:
        """Counts what has been delivered and committed."""
        self.totals.add(batch)
        for name, counts in batch.counts.items():
            of = self.exchanges.setdefault(name, ExchangeMetrics({partition}))
            of.items += counts["items"]
            of.records += counts["records"]
            of.held_back += sum(counts[reason] for reason in HELD_BACK)
            of.oddities.update(with_prefix(counts, "odd_"))
            of.control += sum(with_prefix(counts, "control_").values())
        owner = next((of for of in self.exchanges.values() if partition in of.partitions), None)
        for reject in batch.rejects:
            of_exchange = self.exchanges.get(reject.exchange or "") or owner
            if of_exchange:
                of_exchange.dead_letters += 1
        if last := batch.last:
            exchange, record = last
            self.exchanges[exchange].last_record = record
