"""`marketprep deadletters`: what was set aside and why; once more."""

import asyncio
import logging
import signal
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import orjson
from rich.table import Table
from rich.text import Text

from marketprep import header_names
from marketprep import topics as of_kafka
from marketprep._core import reject_reasons
from marketprep.assignment import Assignment, assignments
from marketprep.commands import (
    exchange_option,
    kind_option,
    region_option,
    servers_option,
    setting_option,
    table_console,
    with_cluster,
)
from marketprep.kafka import KafkaFailure, admin
from marketprep.kind import Kind
from marketprep.letters import NONE, Letter, Place, letters, nothing_at, section_of, sections
from marketprep.log_reader import LogReader
from marketprep.progress import Progress
from marketprep.replay import Replay, Tally, Wanted
from marketprep.service import stop_signals
from marketprep.settings import Region, Settings

#: How much of a detail a table shows.
_DETAIL_LENGTH = 80

#: How many targets the sentence about letters that were left out names.
_NAMED_TARGETS = 20

#: Wider than any table.
_MAX_WIDTH = 10_000

#: How long a transaction may take to end once an end is asked for.
_STOP_SECONDS = 10

#: Characters that would move a terminal's cursor, or worse, as what they are written like.
_VISIBLE = {
    number: f"\\x{number:02x}"
    for number in (*range(32), *range(127, 160))
    if chr(number) not in "\n\t"
}


def _place(_: click.Context, __: click.Parameter, value: str | None) -> Place | None:
    """The place that an argument stands for."""
    try:
        return None if value is None else Place.parse(value)
    except ValueError:
        text = f"{value} is no TOPIC:PARTITION:OFFSET, as `list` shows them"
        raise click.BadParameter(text) from None


_reason_option = click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([*reject_reasons(), NONE]),
    help=f"Only this reason. Repeatable. {NONE}: what others have put on the topics.",
)


@click.group(short_help="Show what was set aside and why; replay it.")
def deadletters() -> None:
    """Dead letters: what was set aside and why; once more.

    They stand on topics of their own, beside the input topics, until somebody has mended what was
    wrong with them or with us. `list` tells of all, `show` of one, and `replay` puts them on the
    input topics once more, each once.
    """
    # what fails is told in a sentence: clients of Kafka would tell it too, in many
    logging.getLogger().addHandler(logging.NullHandler())


@dataclass
class _Group:
    """Dead letters of one reason and exchange on one topic."""

    lane: Assignment
    sample: Letter
    count: int = 0
    replayed: int = 0
    first: int | None = None
    last: int | None = None

    def add(self, letter: Letter) -> None:
        self.count += 1
        self.replayed += letter.is_replayed
        self.sample = letter  # the newest is the most likely to be there still
        time = letter.record.timestamp
        if time >= 0:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)


@deadletters.command("list")
@region_option
@kind_option
@exchange_option
@_reason_option
@click.option("--json", "is_json", is_flag=True, help="A JSON object a line, instead of a table.")
@setting_option
@servers_option
def list_(  # noqa: PLR0913, PLR0917 - an option each
    regions: tuple[Region, ...],
    kinds: tuple[Kind, ...],
    exchanges: tuple[str, ...],
    reasons: tuple[str, ...],
    setting_folder: Path | None,
    bootstrap_servers: str | None,
    *,
    is_json: bool,
) -> None:
    """Show what was set aside, by topic, reason and exchange.

    With how many there are and how many of them were replayed, the first and the last time (UTC, of
    the input), and the newest as a sample: its place, which `show` and `replay` take, and details.

    An exchange is what a dead letter says, or else whose its partition is.
    """
    settings = with_cluster(setting_folder, bootstrap_servers)
    lanes = _lanes(settings, regions, kinds)
    groups = asyncio.run(_list(settings, lanes, Wanted(reasons, exchanges)))
    if is_json:
        for (reason, exchange), group in groups:
            click.echo(orjson.dumps(_described(reason, exchange, group)))
        return
    if not groups:
        click.echo("there are no dead letters", err=True)
        return
    table = Table("reason", "exchange", box=None, pad_edge=False)
    for column in ("letters", "replayed"):
        table.add_column(column, justify="right")
    for column in ("first", "last", "sample", "detail"):
        table.add_column(column)
    for (reason, exchange), group in groups:
        table.add_row(
            _plain(reason),
            _plain(exchange),
            f"{group.count:,}",
            f"{group.replayed:,}",
            _time(group.first, "seconds"),
            _time(group.last, "seconds"),
            _plain(str(group.sample.place)),
            _plain(_shortened(group.sample.detail)),
        )
    _print(table)


async def _list(
    settings: Settings, lanes: Sequence[Assignment], wanted: Wanted
) -> list[tuple[tuple[str, str], _Group]]:
    groups: dict[tuple[str, str, str], _Group] = {}
    async with admin(settings.kafka) as client:
        found = await of_kafka.find(client)
    for lane in lanes:
        if lane.dead_letters not in found:
            click.echo(f"there is no topic {lane.dead_letters}", err=True)
    async with LogReader.open(settings) as reader:
        with Progress("read", None, quiet_with_output=False) as progress:
            for section in await sections(reader, lanes, found):
                async with aclosing(letters(reader, settings, section, found)) as read:
                    async for letter in read:
                        progress.advance(letter.size, section.lane.name)
                        if wanted.has(letter):
                            key = (letter.record.topic, letter.reason, letter.exchange)
                            groups.setdefault(key, _Group(section.lane, letter)).add(letter)
    order = {lane.dead_letters: number for number, lane in enumerate(lanes)}
    keys = sorted(groups, key=lambda key: (order[key[0]], *key))
    return [(key[1:], groups[key]) for key in keys]


def _described(reason: str, exchange: str, group: _Group) -> dict[str, object]:
    return {
        "topic": group.lane.dead_letters,
        "region": group.lane.region,
        "kind": group.lane.kind,
        "reason": reason,
        "exchange": exchange,
        "count": group.count,
        "replayed": group.replayed,
        "first": _time(group.first) or None,
        "last": _time(group.last) or None,
        "sample": str(group.sample.place),
        "detail": group.sample.detail,
    }


@deadletters.command()
@click.argument("place", callback=_place, metavar="TOPIC:PARTITION:OFFSET")
@click.option("--raw", "is_raw", is_flag=True, help="Write the bytes of the value, and only these.")
@setting_option
@servers_option
def show(
    place: Place, setting_folder: Path | None, bootstrap_servers: str | None, *, is_raw: bool
) -> None:
    """Show one dead letter: time, key, headers and value.

    The place is as `list` shows it. What is no UTF-8 is shown in base64.
    """
    settings = with_cluster(setting_folder, bootstrap_servers)
    letter = asyncio.run(_read(settings, _lane_of(settings, place), place))
    record = letter.record
    if is_raw:
        click.echo(record.value or b"", nl=False)
        return
    lines = [("place", str(letter.place)), ("time", _time(record.timestamp) or NONE)]
    lines += [("replayed", "yes" if letter.is_replayed else "no"), ("key", _text(record.key))]
    lines += [(_text(header_names.encode(name)), _text(value)) for name, value in record.headers]
    for name, text in lines:
        click.echo(f"{name}: {text}".translate(_VISIBLE).replace("\n", "\\n"))
    click.echo()
    click.echo(_text(record.value).translate(_VISIBLE))


async def _read(settings: Settings, lane: Assignment, place: Place) -> Letter:
    async with admin(settings.kafka) as client:
        found = await of_kafka.find(client)
    async with LogReader.open(settings) as reader:
        section = await section_of(reader, lane, found, place)
        async with aclosing(letters(reader, settings, section, found)) as read:
            async for letter in read:
                return letter
    raise nothing_at(place)


@deadletters.command()
@click.argument("place", callback=_place, metavar="[TOPIC:PARTITION:OFFSET]", required=False)
@region_option
@kind_option
@exchange_option
@_reason_option
@click.option(
    "--again", is_flag=True, help="Also those that were replayed before and have failed again."
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Count only.")
@click.option(
    "--to",
    "target",
    metavar="TOPIC",
    help="Write to this topic, whatever topic the dead letters name. Their partition stays.",
)
@setting_option
@servers_option
def replay(  # noqa: PLR0913, PLR0917 - an option each
    place: Place | None,
    regions: tuple[Region, ...],
    kinds: tuple[Kind, ...],
    exchanges: tuple[str, ...],
    reasons: tuple[str, ...],
    setting_folder: Path | None,
    bootstrap_servers: str | None,
    *,
    again: bool,
    is_dry: bool,
    target: str | None,
) -> None:
    """Put dead letters back on the input topics, each once.

    All there are now, those that the options leave, or the one at a place. They go to the partition
    that they came from, with the key, the headers and the time that they had there, and the header
    marketprep.attempt. Let the service run meanwhile: brokers may soon delete again what is older
    than the input topic keeps messages.

    A dead letter that names a topic which is no input topic of the settings is left out and named,
    and the exit code is 1. --to writes such letters to a topic of your choice.

    What was replayed before is left out, and so is what has failed again since, without --again.
    Ctrl-C, a crash or a failure does no harm: what was replayed by then is noted, and the next
    replay goes on behind it.
    """
    settings = with_cluster(setting_folder, bootstrap_servers)
    if place:
        if regions or kinds or exchanges or reasons:
            raise click.UsageError("a place is one dead letter: leave the other choices out")
        lanes = [_lane_of(settings, place)]
    else:
        lanes = _lanes(settings, regions, kinds)
    if target is not None:
        _check_target(settings, target)
    replaying = Replay(settings, lanes, Wanted(reasons, exchanges, place, again), target)
    tally = replaying.plan if is_dry else replaying.done
    try:
        asyncio.run(_replay(replaying, is_dry=is_dry))
    except KafkaFailure:
        if tally.counts:
            _tell(replaying.plan, tally, is_dry=is_dry)
        raise
    _tell(replaying.plan, tally, is_dry=is_dry)
    if replaying.is_stopped:
        click.echo("interrupted: running it again goes on", err=True)
        sys.exit(128 + signal.SIGINT)
    if replaying.plan.nowhere:
        raise KafkaFailure(_left_out(replaying.plan))


def _check_target(settings: Settings, topic: str) -> None:
    """Raises BadParameter for a topic to which replays must not write: Kafka's and our own."""
    if not topic:
        raise click.BadParameter("is empty: name a topic", param_hint="--to")
    written = {
        name
        for lane in assignments(settings)
        for name in (
            lane.topics.output,
            lane.dead_letters,
            lane.checkpoints,
            of_kafka.replayed_name(settings, lane),
        )
    }
    if topic in written or topic.startswith("__"):
        owner = "the service" if topic in written else "Kafka"
        text = f"{topic} is written by {owner} alone: name another topic"
        raise click.BadParameter(text, param_hint="--to")


def _left_out(plan: Tally) -> str:
    """Returns the sentence about dead letters that name no partition of an input topic."""
    named = [
        f"{topic}, partition {partition} (by {place})".translate(_VISIBLE)
        for (topic, partition), place in sorted(plan.nowhere.items())
    ]
    if len(named) > _NAMED_TARGETS:
        named[_NAMED_TARGETS:] = [f"and {len(named) - _NAMED_TARGETS:,} more"]
    return (
        f"Dead letters left out: {plan.total('nowhere'):,}. They name what is no partition of an "
        f"input topic in the settings: {'; '.join(named)}. Correct topics.… in the settings, or "
        "name an existing topic with --to."
    )


async def _replay(replaying: Replay, *, is_dry: bool) -> None:
    """Replays until it is done, or until a signal comes and the last transaction has ended."""

    async def work() -> None:
        with Progress("read", None, quiet_with_output=False) as progress:
            await replaying.look(progress.advance)
        if not is_dry:
            size = replaying.plan.size
            with Progress("replay", size, quiet_with_output=False) as progress:
                await replaying.run(progress.advance)

    with stop_signals() as signals:
        working, told = asyncio.create_task(work()), asyncio.create_task(signals.get())
        try:
            await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                replaying.stop()
                told = asyncio.create_task(signals.get())  # the second one does not wait
                await asyncio.wait(
                    (working, told), timeout=_STOP_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            if working.done():
                working.result()
        finally:
            told.cancel()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _tell(plan: Tally, tally: Tally, *, is_dry: bool) -> None:
    """The summary: what was replayed, and what was left out."""
    now = "to replay" if is_dry else "replayed"
    if plan.counts:
        table = Table("reason", "exchange", box=None, pad_edge=False)
        for column in (now, "earlier", "failed again"):
            table.add_column(column, justify="right")
        for key in sorted(plan.counts):
            found = plan.counts[key]
            replayed = tally.counts.get(key, Counter())["replayed"]
            numbers = (replayed, found["earlier"], found["failed again"])
            table.add_row(*map(_plain, key), *(f"{number:,}" for number in numbers))
        _print(table)
    failed = plan.total("failed again")
    hint = " (--again replays these too)" if failed else ""
    click.echo(
        f"{now} {tally.total('replayed'):,}, left out: replayed earlier {plan.total('earlier'):,}, "
        f"failed again after a replay {failed:,}{hint}",
        err=True,
    )


def _lanes(
    settings: Settings, regions: Collection[Region], kinds: Collection[Kind]
) -> list[Assignment]:
    """Those of some regions and kinds. Whose a dead letter is, it says itself."""
    lanes = assignments(settings, regions, kinds)
    if not lanes:
        raise click.UsageError("no topic is in --region and --kind: name others")
    return lanes


def _lane_of(settings: Settings, place: Place) -> Assignment:
    lanes = {lane.dead_letters: lane for lane in assignments(settings)}
    if place.topic not in lanes:
        raise click.BadParameter(
            f"{place.topic} is no topic of dead letters in the settings: {', '.join(lanes)}",
            param_hint="TOPIC:PARTITION:OFFSET",
        )
    return lanes[place.topic]


def _print(table: Table) -> None:
    """Prints a table whole: a line that is broken or cut cannot be copied."""
    console = table_console()
    console.width = _MAX_WIDTH
    console.print(table)


def _plain(text: str) -> Text:
    """A text as it is, whatever a terminal or the library of tables would make of it."""
    return Text(text.translate(_VISIBLE).replace("\n", " "))


def _shortened(text: str) -> str:
    return text if len(text) <= _DETAIL_LENGTH else f"{text[: _DETAIL_LENGTH - 1]}…"


def _text(content: bytes | None) -> str:
    """Bytes as text, or in base64 if they are no UTF-8."""
    if content is None:
        return NONE
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        return f"base64 {b64encode(content).decode('ascii')}"


def _time(milliseconds: int | None, precision: str = "milliseconds") -> str:
    """A time of Kafka's in UTC; empty if there is none, or it is beyond the calendar."""
    if milliseconds is None or milliseconds < 0:
        return ""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return ""
    return time.isoformat(timespec=precision).replace("+00:00", "Z")
