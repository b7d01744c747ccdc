"""The soak in its short form, as `make soak` runs it for longer; and that it sees what is wrong."""

from array import array
from pathlib import Path

import click
import pytest

import soak
from balance import account
from faults import possible
from rig import Sharing, Work


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sharing", ["manual"])
def test_a_short_soak(tmp_path: Path, sharing: Sharing) -> None:
    work = Work(sharing=sharing, outage_seconds=10)
    faults = [fault for fault in possible(work) if fault != "clock"]
    options = soak.Options(1.8, work, faults, rate=1500, every=(8, 12))
    outcome = soak.soak(options, tmp_path)
    soak.report(outcome)
    assert not outcome.problems
    assert outcome.summary["messages"] > 5000
    click.echo(f"{len(outcome.summary['strikes'])} faults")


@pytest.mark.parametrize(
    ("seen", "counts"),
    [
        ([1, 2, 2, 3, 4], (0, 0, 0, 0)),
        ([1, 2, 3, 4], (1, 0, 0, 0)),
        ([2, 2, 3], (2, 0, 0, 0)),
        ([1, 2, 2, 3, 2, 2, 3, 4], (0, 3, 0, 0)),
        ([1, 3, 2, 2, 4], (0, 0, 1, 0)),
        ([1, 2, 2, 3, 9], (1, 0, 0, 1)),
        ([], (5, 0, 0, 0)),
    ],
)
def test_an_account(seen: list[int], counts: tuple[int, int, int, int]) -> None:
    one = account("okx", "ticker", "records", array("q", [1, 2, 2, 3, 4]), array("q", seen))
    assert (one.lost, one.doubled, one.misplaced, one.different) == counts
    assert len(one.problems()) == sum(count > 0 for count in counts)
