"""The service under load on brokers that can be hurt, and a count of what went in and came out."""

import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from balance import Account, accounts
from brokers import Brokers
from cluster import Cluster
from conftest import EXCHANGES, KINDS
from faulty_service import BUG, CLOCK
from outlet import Outlet
from traffic import Pair, Traffic
from workers import End, Memory, Worker

Delivery = Literal["exactly_once", "at_least_once"]
Sharing = Literal["manual", "group"]

ALL_PAIRS: tuple[Pair, ...] = tuple((name, kind) for name in EXCHANGES for kind in KINDS)

#: So that being away for longer takes no minute.
TRANSACTION_SECONDS = 8
SESSION_SECONDS = 6

_TICK_SECONDS = 0.1
_MEMORY_SECONDS = 1.0
_SETTLE_SECONDS = 180


@dataclass(frozen=True)
class Work:
    """How the service is to do its work, and how much of it."""

    delivery: Delivery = "exactly_once"
    sharing: Sharing = "manual"
    processes: int = 2
    items_per_second: float = 2000
    pairs: Sequence[Pair] = ALL_PAIRS
    seed: int = 1
    bug: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: How long all brokers are away, if they are.
    outage_seconds: float = 20


@dataclass
class Strike:
    """A fault, and how the service got over it."""

    fault: str
    began: float
    ended: float
    #: It stands in what was fed after the end.
    mark: int
    told: str = ""
    #: From the end of the fault until every pair had put out what was fed after it.
    recovery: float | None = None
    #: The longest time in which a pair put nothing out, from the begin of the fault on.
    silence: float = 0.0


class Rig:
    """Traffic, the service's processes and a reader of its output, while the context lasts.

    To be used in the main thread: processes are started again while one waits by `wait`.
    """

    def __init__(self, brokers: Brokers, folder: Path, work: Work) -> None:
        self.brokers = brokers
        self.work = work
        self.folder = folder
        self.random = random.Random(work.seed)  # noqa: S311 - to be reproducible, not secret
        self.began = time.monotonic()
        self.strikes: list[Strike] = []
        self.ends: list[End] = []
        self.memory: list[Memory] = []
        self.clock = folder / "clock"
        self.clock.write_text("0", encoding="utf-8")
        self.logs = folder / "logs"
        self._measured = 0.0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cluster = stack.enter_context(Cluster(self.brokers.address, self.folder))
            self.cluster.configure(
                **{
                    "topics": {"replication_factor": len(self.brokers)},
                    "kafka": {"transaction_timeout_ms": TRANSACTION_SECONDS * 1000},
                    "consumer": {"session_timeout_ms": SESSION_SECONDS * 1000},
                    "books": {"checkpoint_every_s": 2},
                    "logs": {"folder": str(self.logs)},
                    **self.work.settings,
                }
            )
            self.cluster.create_topics()
            self.traffic = Traffic(
                self.cluster, self.work.pairs, self.work.items_per_second, self.work.seed
            )
            self.workers = [
                self.new_worker(f"worker-{number}", arguments)
                for number, arguments in enumerate(self._shares())
            ]
            stack.callback(self._end_workers)
            for worker in self.workers:
                worker.start()
            self.outlet = stack.enter_context(Outlet(self.cluster, self.work.pairs))
            stack.enter_context(self.traffic)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end_workers(self) -> None:
        for worker in self.workers:
            worker.end()

    def _shares(self) -> list[list[str]]:
        """What each process is told to work on."""
        exchanges = sorted({exchange for exchange, _ in self.work.pairs})
        count = self.work.processes
        if self.work.sharing == "group":
            return [[] for _ in range(count)]
        shares = [exchanges[number::count] for number in range(count)]
        return [[part for name in share for part in ("--exchange", name)] for share in shares]

    def new_worker(self, name: str, arguments: Sequence[str]) -> Worker:
        """A process that is not started yet."""
        environment = {
            "MARKETPREP_DELIVERY": self.work.delivery,
            "MARKETPREP_ASSIGNMENT": self.work.sharing,
            CLOCK: str(self.clock),
            **({BUG: self.work.bug} if self.work.bug else {}),
        }
        command = self.cluster.command("run", *arguments)
        return Worker(name, command[command.index("run") :], environment, self.folder)

    def twin(self, worker: Worker) -> Worker:
        """Another process for the same work, which is not started yet."""
        number = worker.name.split("-")[1]
        name = f"worker-{number}-{len(self.strikes)}"
        return self.new_worker(name, self._shares()[int(number)])

    # Time

    def wait(self, seconds: float) -> None:
        """Waits, and meanwhile starts again what has ended, and measures memory."""
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            if (left := deadline - time.monotonic()) <= 0:
                return
            time.sleep(min(_TICK_SECONDS, left))

    def until(self, is_so: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for something; fails if it does not come."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            self.wait(_TICK_SECONDS)

    def look(self) -> None:
        is_time = time.monotonic() - self._measured > _MEMORY_SECONDS
        for worker in self.workers:
            if end := worker.ended(self.began):
                self.ends.append(end)
            worker.start_if_wanted()
            if is_time and (memory := worker.memory(self.began)):
                self.memory.append(memory)
        if is_time:
            self._measured = time.monotonic()
        for strike in self.strikes:
            if strike.recovery is None and (at := self.outlet.passed(strike.mark)):
                strike.recovery = at - self.began - strike.ended
                strike.silence = self.outlet.silence()

    # What happens to it

    def strike(self, fault: str, do: Callable[["Rig"], str | None]) -> Strike:
        """Lets a fault happen to its end; recovery is measured from then on."""
        self.outlet.begin_silence()
        began = time.monotonic() - self.began
        told = do(self) or ""
        mark = self.traffic.mark = self.traffic.mark + 1
        strike = Strike(fault, began, time.monotonic() - self.began, mark, told)
        self.strikes.append(strike)
        return strike

    def recovered(self, strike: Strike, seconds: float = 90.0) -> None:
        """Waits until all goes on after a fault."""
        self.until(lambda: strike.recovery is not None, f"recovery from {strike.fault}", seconds)

    def flowing(self) -> None:
        """Waits until every pair has put something out."""
        self.recovered(self.strike("start", lambda _: None))

    # How it ends

    def lag(self) -> int:
        """How many messages are not committed."""
        total = 0
        for pair in self.work.pairs:
            topics, partition = self.cluster.of(*pair)
            end = self.cluster.end(topics.input, partition)
            total += end - max(0, self.cluster.committed(*pair))
        return total

    def settle(self) -> list[Account]:
        """Ends the traffic, lets the service do the rest and end; what became of everything."""
        self.traffic.end()
        self.until(lambda: self.lag() == 0, "the end of the lag", _SETTLE_SECONDS)
        for worker in self.workers:
            worker.is_wanted = False
            worker.signal(signal.SIGTERM, "settled")
        self.until(lambda: not any(worker.is_running for worker in self.workers), "the end")
        self.look()
        return self.accounts()

    def accounts(self) -> list[Account]:
        """What has become of everything by now."""
        fed = self.traffic.fed
        return [one for pair in self.work.pairs for one in accounts(self.cluster, pair, fed[pair])]

    def problems(self, found: Iterable[Account]) -> list[str]:
        """What should not have happened, a sentence each."""
        problems = [problem for one in found for problem in one.problems()]
        for end in self.ends:
            code = {"kill": -9, "rival": 1}.get(end.cause or "", 0)
            if end.cause is None or end.code != code:
                cause = end.cause or "by itself"
                problems.append(f"{end.worker} has ended ({cause}) with {end.code}: {end.told}")
        never = (strike for strike in self.strikes if strike.recovery is None)
        return [*problems, *(f"no recovery from {one.fault} at {one.began:.0f} s" for one in never)]

    def summary(self) -> dict[str, Any]:
        """What happened, for programs."""
        work = asdict(self.work)
        return {
            "work": work | {"pairs": len(self.work.pairs)},
            "seconds": time.monotonic() - self.began,
            "messages": sum(self.traffic.fed.values()),
            "items": self.traffic.items,
            "values": self.outlet.values,
            "strikes": [asdict(strike) for strike in self.strikes],
            "ends": [asdict(end) for end in self.ends],
            "memory": [asdict(memory) for memory in self.memory],
        }
