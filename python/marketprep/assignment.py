"""What a lane works on: one kind in one region, and the partitions of its exchanges."""

from collections.abc import Collection, Mapping
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
    #: Whose each partition is that is worked on.
    exchanges: Mapping[int, str]

    @property
    def name(self) -> str:
        """For people: `ticker Asia`."""
        return f"{self.kind} {self.region}"


def assignments(
    settings: Settings,
    regions: Collection[Region] = (),
    kinds: Collection[Kind] = (),
    exchanges: Collection[str] = (),
) -> list[Assignment]:
    """The lanes of the settings, or of some regions, kinds and exchanges alone."""
    found = []
    for region in REGIONS:
        owners = {
            row.partition: name
            for name, row in settings.exchanges.items()
            if row.region == region and (not exchanges or name in exchanges)
        }
        topics = settings.topics.of(region)
        for kind in KINDS:
            if owners and (not regions or region in regions) and (not kinds or kind in kinds):
                of_kind = topics.of(kind)
                dead_letters = f"{of_kind.input}{settings.topics.dead_letter_suffix}"
                checkpoints, count = None, topics.partitions
                if kind == "orderbook" and settings.books.checkpoint_every_s is not None:
                    checkpoints = f"{of_kind.input}{settings.topics.checkpoint_suffix}"
                found.append(
                    Assignment(kind, region, of_kind, dead_letters, checkpoints, count, owners)
                )
    return found
