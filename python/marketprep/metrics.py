"""What the service has done, counted by exchange once it is committed."""

from dataclasses import dataclass, field

from marketprep._core import Batch
from marketprep.decoder import ItemCounts, Totals


class ExchangeMetrics(ItemCounts):
    """One exchange in one kind."""

    def __init__(self, partitions: set[int]) -> None:
        super().__init__()
        #: Where its messages are.
        self.partitions = partitions
        self.dead_letters = 0
        #: The newest record, as it was produced.
        self.last_record = b""


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
            self.exchanges.setdefault(name, ExchangeMetrics({partition})).count(counts)
        for reject in batch.rejects:
            if of := self.exchanges.get(reject.exchange or "") or self._owner_of(partition):
                of.dead_letters += 1
        if last := batch.last:
            exchange, record = last
            self.exchanges[exchange].last_record = record

    def _owner_of(self, partition: int) -> ExchangeMetrics | None:
        """The exchange whose partition it is."""
        return next((of for of in self.exchanges.values() if partition in of.partitions), None)
