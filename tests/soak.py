"""A soak: the service under load and faults for minutes or hours, and an account of every record.

`make soak MINUTES=20` runs it; `python tests/soak.py --help` tells what can be chosen.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, get_args

import click

from balance import Account, table
from brokers import Brokers
from faults import FAULTS, possible
from faulty_service import BUGS
from rig import Delivery, Rig, Sharing, Work
from workers import Memory

#: A fault begins so long after the one before, or a little after its end.
_EVERY_SECONDS = (15.0, 30.0)
_REST_SECONDS = 5.0

#: How much is measured, and how long a process may take for it.
_MEASURED_ITEMS = 40_000
_MEASURE_SECONDS = 600

#: Memory of a process that is younger still grows into its work.
_YOUNG_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """What a soak is to be."""

    minutes: float
    work: Work
    faults: Sequence[str]
    brokers: int = 3
    #: Items a second; None for half of what is measured.
    rate: float | None = None
    every: tuple[float, float] = _EVERY_SECONDS


@dataclass
class Outcome:
    """What has come of it."""

    accounts: list[Account]
    #: What should not have happened.
    problems: list[str]
    summary: dict[str, Any]


def soak(options: Options, folder: Path) -> Outcome:
    """Runs a soak. Fails if the service does not catch up in the end."""
    with Brokers(folder / "brokers", options.brokers) as brokers:
        rate, measured = options.rate, None
        if rate is None:
            measured = measure(brokers, folder / "measure", options.work)
            rate = measured / 2
            click.echo(f"measured: {measured:.0f} items/s, of which half are fed")
        work = replace(options.work, items_per_second=rate)
        (folder / "rig").mkdir()
        with Rig(brokers, folder / "rig", work) as rig:
            rig.flowing()
            _strike_until(rig, options)
            found = rig.settle()
            summary = {"measured": measured, "rate": rate, **rig.summary()}
            return Outcome(found, rig.problems(found), summary)


def _strike_until(rig: Rig, options: Options) -> None:
    """Lets faults happen at random until the time is over, the last one early enough to be seen."""
    end = time.monotonic() + options.minutes * 60
    order: list[str] = []
    while True:
        begin = time.monotonic() + rig.random.uniform(*options.every)
        rig.wait(max(_REST_SECONDS, begin - time.monotonic()))
        if not options.faults or time.monotonic() > end - _REST_SECONDS:
            break
        if not order:  # so that each comes before any comes again
            order = rig.random.sample(options.faults, len(options.faults))
        fault = order.pop()
        strike = rig.strike(fault, FAULTS[fault])
        click.echo(f"{strike.began:6.0f} s  {fault}: {strike.told}, {len(rig.ends)} ends by now")
    rig.wait(max(0, end - time.monotonic()))


def measure(brokers: Brokers, folder: Path, work: Work) -> float:
    """How many items a second one process takes from a backlog."""
    folder.mkdir()
    alone = replace(work, processes=0, bug=None)
    with Rig(brokers, folder, alone) as rig:
        rig.traffic.end()
        before = rig.traffic.items
        rig.traffic.send(_MEASURED_ITEMS)
        items = rig.traffic.items
        click.echo(f"backlog: {items} items, {items - before} of them at once")
        worker = rig.new_worker("measured", ["--until-end"])
        worker.is_wanted = False
        rig.workers.append(worker)
        worker.start()
        rig.until(lambda: rig.outlet.values > 0, "output", 60)
        begin = time.monotonic()
        rig.until(lambda: not worker.is_running, "the end of the backlog", _MEASURE_SECONDS)
        return items / (time.monotonic() - begin)


# What it tells


def faults_told(summary: dict[str, Any]) -> str:
    """For people, how each kind of fault was got over."""
    by_fault: dict[str, list[dict[str, Any]]] = {}
    for strike in summary["strikes"]:
        by_fault.setdefault(strike["fault"], []).append(strike)
    lines = [f"{'fault':14}{'times':>6}  recovery s: median, most    silence s: median, most"]
    for fault, strikes in by_fault.items():
        over = [strike for strike in strikes if strike["recovery"] is not None]
        if not over:
            lines.append(f"{fault:14}{len(strikes):6}  never")
            continue
        told = ""
        for name in ("recovery", "silence"):
            times = [strike[name] for strike in over]
            told += f"{statistics.median(times):14.1f} {max(times):8.1f}    "
        lines.append(f"{fault:14}{len(strikes):6}  {told}")
    return "\n".join(lines)


def memory_told(memory: Sequence[dict[str, Any]]) -> str:
    """For people, what processes held when they were young, in the end, and at most."""
    lives: dict[int, list[Memory]] = {}
    for one in memory:
        lives.setdefault(one["pid"], []).append(Memory(**one))
    if not lives:
        return "no memory was measured"
    most = max(one.mb for life in lives.values() for one in life)
    slopes = []
    for life in lives.values():
        old = [one for one in life if one.age > _YOUNG_SECONDS]
        if old and old[-1].age - old[0].age > _YOUNG_SECONDS:
            slope = statistics.linear_regression([m.age / 60 for m in old], [m.mb for m in old])
            slopes.append(slope.slope)
    text = f"memory of {len(lives)} processes: most {most:.0f} MB"
    if slopes:
        text += (
            f"; growth of {len(slopes)} that lived for more than a minute: median "
            f"{statistics.median(slopes):.2f} MB a minute, most {max(slopes):.2f}"
        )
    return text


def report(outcome: Outcome) -> None:
    """All of it for people."""
    summary = outcome.summary
    click.echo(table(outcome.accounts))
    click.echo(faults_told(summary))
    click.echo(memory_told(summary["memory"]))
    click.echo(
        f"{summary['messages']} messages, {summary['items']} items in {summary['seconds']:.0f} s"
    )
    for problem in outcome.problems:
        click.echo(f"PROBLEM {problem}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a soak as the arguments say; 1 if anything was lost, doubled, misplaced or different."""
    options, parsed = _options(arguments)
    if parsed.folder:
        parsed.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="marketprep-soak-", dir=parsed.folder))
    click.echo(f"in {folder}")
    is_good = False
    try:
        if parsed.measure:
            with Brokers(folder / "brokers", options.brokers) as brokers:
                rate = measure(brokers, folder / "measure", options.work)
            click.echo(f"{rate:.0f} items/s")
            is_good = True
        else:
            outcome = soak(options, folder)
            report(outcome)
            is_good = not outcome.problems
            content = outcome.summary | {
                "accounts": [asdict(one) for one in outcome.accounts],
                "problems": outcome.problems,
            }
            parsed.summary.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
            click.echo(f"{'good' if is_good else 'NOT GOOD'}; all figures: {parsed.summary}")
    finally:
        if not parsed.keep and (is_good or parsed.measure):
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_good else 1


def _options(arguments: Sequence[str] | None) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(description="The service under load and faults.")
    add = parser.add_argument
    add("--minutes", type=float, default=3)
    add("--seed", type=int, default=1, help="of the traffic and of the faults")
    add("--rate", default="3000", help="items a second, or `half` of what is measured")
    add("--brokers", type=int, default=3)
    add("--processes", type=int, default=2)
    add("--delivery", choices=get_args(Delivery), default="exactly_once")
    add("--assignment", choices=get_args(Sharing), default="manual")
    add("--faults", default="all", help=f"some of {','.join(FAULTS)}; all that are possible, or ''")
    add("--every", type=float, nargs=2, default=_EVERY_SECONDS, metavar="S", help="between faults")
    add("--outage-seconds", type=float, default=60)
    add("--bug", choices=list(BUGS), help="a bug that is planted into the service")
    add("--measure", action="store_true", help="measure how much one process can take, no more")
    add("--summary", type=Path, default=Path("soak.json"), help="the file of all figures")
    add("--folder", type=Path, help="where brokers keep their data: some GB for long soaks")
    add("--keep", action="store_true", help="keep that; it is kept if anything is wrong")
    parsed = parser.parse_args(arguments)
    work = Work(
        delivery=parsed.delivery,
        sharing=parsed.assignment,
        processes=parsed.processes,
        seed=parsed.seed,
        bug=parsed.bug,
        outage_seconds=parsed.outage_seconds,
    )
    faults = possible(work) if parsed.faults == "all" else parsed.faults.split(",")
    faults = [fault for fault in faults if fault]
    if unknown := [fault for fault in faults if fault not in FAULTS]:
        parser.error(f"no such fault: {', '.join(unknown)}")
    rate = None if parsed.rate == "half" else float(parsed.rate)
    every = (parsed.every[0], parsed.every[1])
    return Options(parsed.minutes, work, faults, parsed.brokers, rate, every), parsed


if __name__ == "__main__":
    sys.exit(main())
