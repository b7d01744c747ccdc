"""Faults, each a function that lets it happen to a rig to its end, and tells to whom."""

import resource
import signal
from collections.abc import Callable

from brokers import Broker
from rig import SESSION_SECONDS, TRANSACTION_SECONDS, Rig, Work
from workers import Worker

Fault = Callable[[Rig], str]

#: Longer than any time-out after which somebody who is silent is given up.
TOO_LONG = max(SESSION_SECONDS, TRANSACTION_SECONDS) + 4


def kill(rig: Rig) -> str:
    """A process gets kill -9."""
    worker = rig.random.choice(rig.workers)
    worker.signal(signal.SIGKILL, "kill")
    rig.until(lambda: worker.cause is None, "the end by kill -9")
    return worker.name


def rolling_restart(rig: Rig) -> str:
    """One process after the other is ended in good order, and started again."""
    for worker in rig.workers:
        starts = worker.starts
        worker.signal(signal.SIGTERM, "rolling restart")
        _until_begun(rig, worker, starts)
    return "all"


def pause(rig: Rig) -> str:
    """A process stands still for longer than its session and its transaction may be silent."""
    worker = rig.random.choice(rig.workers)
    worker.suspend()
    try:
        rig.wait(TOO_LONG)
    finally:
        worker.resume()
    return worker.name


def rival(rig: Rig) -> str:
    """Another process takes over the work of one that stands still, and then wakes up."""
    worker = rig.random.choice(rig.workers)
    twin = rig.twin(worker)
    rig.workers.append(twin)
    worker.is_wanted, worker.cause = False, "rival"
    worker.suspend()
    try:
        twin.start()
        _until_begun(rig, twin, 0)
        rig.wait(TOO_LONG)
    finally:
        worker.resume()
    if rig.work.delivery == "at_least_once":  # nothing tells it that there is another one
        rig.wait(1)
        worker.signal(signal.SIGTERM, "rival")
    rig.until(lambda: worker.process is None, "the end of the one that was replaced")
    rig.workers.remove(worker)
    return worker.name


def leader(rig: Rig) -> str:
    """The broker that leads a partition of outputs gets kill -9, and starts again."""
    topics, partition = rig.cluster.of(*rig.random.choice(rig.work.pairs))
    return _restart(rig, rig.brokers.leader(topics.output, partition))


def transaction_coordinator(rig: Rig) -> str:
    """The same with the broker that keeps the transactions of a partition."""
    topics, partition = rig.cluster.of(*rig.random.choice(rig.work.pairs))
    prefix = rig.cluster.settings.kafka.transactional_id_prefix
    name = f"{prefix}-{topics.group_id}-{topics.input}-{partition}"
    return _restart(rig, rig.brokers.transaction_coordinator(name))


def group_coordinator(rig: Rig) -> str:
    """The same with the broker that keeps the offsets of a group."""
    topics, _ = rig.cluster.of(*rig.random.choice(rig.work.pairs))
    return _restart(rig, rig.brokers.group_coordinator(topics.group_id))


def outage(rig: Rig) -> str:
    """All brokers get kill -9 at once, and stay away for as long as the rig says."""
    rig.brokers.kill()
    rig.wait(rig.work.outage_seconds)
    rig.brokers.start()
    rig.brokers.wait(rig.wait)
    return "all"


def slow_broker(rig: Rig) -> str:
    """A broker stands still most of the time, but never for long."""
    broker = rig.random.choice(list(rig.brokers))
    for _ in range(8):
        broker.suspend()
        try:
            rig.wait(0.7)
        finally:
            broker.resume()
        rig.wait(0.3)
    return broker.title


def rebalance_storm(rig: Rig) -> str:
    """Members join the group and leave it, in good order or not, before it has settled."""
    guests = [rig.new_worker(f"guest-{len(rig.strikes)}-{number}", []) for number in range(3)]
    try:
        for guest in guests:
            guest.start()
            rig.wait(rig.random.uniform(1.5, 3.5))
        for guest in guests:
            guest.signal(rig.random.choice((signal.SIGTERM, signal.SIGKILL)), "leaves")
            rig.wait(rig.random.uniform(0.2, 1.5))
    finally:
        for guest in guests:
            guest.end()
    return f"{len(guests)} guests"


def clock(rig: Rig) -> str:
    """The clock of all processes goes back by an hour, then forth by two, then is right again."""
    for seconds in (-3600, 3600, 0):
        rig.clock.write_text(str(seconds), encoding="utf-8")
        rig.wait(4)
    return "all"


def full_disk(rig: Rig) -> str:
    """A process can write into no file any more, as if the disk of its logs were full."""
    worker = rig.random.choice(rig.workers)
    before = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        rig.wait(6)
    finally:
        if worker.is_running:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, before)
    return worker.name


#: By the name under which each is asked for.
FAULTS: dict[str, Fault] = {
    "kill": kill,
    "rolling": rolling_restart,
    "pause": pause,
    "rival": rival,
    "leader": leader,
    "transactions": transaction_coordinator,
    "offsets": group_coordinator,
    "outage": outage,
    "slow": slow_broker,
    "storm": rebalance_storm,
    "clock": clock,
    "disk": full_disk,
}


def possible(work: Work) -> list[str]:
    """The faults that can happen to a service that works so."""
    absent = {"rival" if work.sharing == "group" else "storm"}
    if work.delivery == "at_least_once":
        absent.add("transactions")
    return [name for name in FAULTS if name not in absent]


def _restart(rig: Rig, broker: Broker) -> str:
    broker.kill()
    rig.wait(rig.random.uniform(2, 6))
    broker.start()
    rig.brokers.wait(rig.wait)
    return broker.title


def _until_begun(rig: Rig, worker: Worker, starts: int) -> None:
    """Waits until a process that was started since then has partitions."""
    rig.until(
        lambda: worker.starts > starts and "partitions assigned" in worker.events(),
        "a process that begins",
    )
