"""What a lane works on: one kind in one region, and the partitions of its exchanges."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from marketprep.kind import KINDS, Kind
from marketprep.settings import REGIONS, LaneTopics, Region, Settings


@dataclass(frozen=True)
class Assignment:
    """The work of one lane."""

    kind: Kind
    region: Region
    topics: LaneTopics
    dead_letters: str
    #: The topic where the state of order books is saved; None if it is not.
    checkpoints: str | None
    #: How many partitions each of the topics is to have.
    partitions: int
    #: Whose messages are on each partition that is worked on.
    exchanges: Mapping[int, Sequence[str]]

    @property
    def name(self) -> str:
        """For people: `ticker Asia`."""
        return f"{self.kind} {self.region}"

    @property
    def exchange_names(self) -> list[str]:
        """All exchanges, each once."""
        return list(dict.fromkeys(name for names in self.exchanges.values() for name in names))

    def exchanges_of(self, partition: int) -> str:
        """For people: whose messages are on a partition."""
        return ", ".join(self.exchanges.get(partition, ()))


def assignments(
    settings: Settings,
    regions: Collection[Region] = (),
    kinds: Collection[Kind] = (),
    exchanges: Collection[str] = (),
) -> list[Assignment]:
    """The lanes of the settings, or of some regions, kinds and exchanges alone."""
    found = []
    for region in REGIONS:
        topics = settings.topics.of(region)
        owners: dict[int, list[str]] = {}
        for name, row in settings.exchanges.items():
            if row.region == region:
                for partition in row.partitions(topics.partitions):
                    owners.setdefault(partition, []).append(name)
        wanted = {
            partition: owners[partition]
            for partition in sorted(owners)
            if not exchanges or not set(exchanges).isdisjoint(owners[partition])
        }
        for kind in KINDS:
            if wanted and (not regions or region in regions) and (not kinds or kind in kinds):
                of_kind = topics.of(kind)
                dead_letters = f"{of_kind.input}{settings.topics.dead_letter_suffix}"
                checkpoints, count = None, topics.partitions
                if kind == "orderbook" and settings.books.checkpoint_every_s is not None:
                    checkpoints = f"{of_kind.input}{settings.topics.checkpoint_suffix}"
                found.append(
                    Assignment(kind, region, of_kind, dead_letters, checkpoints, count, wanted)
                )
    return found
