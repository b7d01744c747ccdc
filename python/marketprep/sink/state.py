"""How a connector and its tasks are, out of what a worker says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CAUSE = re.compile(r"^(?:Caused by: )?[\w.$]+(?:Exception|Error): (.+)$", re.MULTILINE)

_WRAPPERS = ("Exiting WorkerSinkTask", "Tolerance exceeded in error handler")


@dataclass(frozen=True)
class State:
    """A connector and its tasks. `state` is Kafka Connect's word for it."""

    state: str
    tasks: int
    running: int
    #: Why the connector or the first of its tasks that has failed did so; empty if none has.
    error: str

    @property
    def is_running(self) -> bool:
        """Whether all of it works."""
        return self.state == "RUNNING" and 0 < self.tasks == self.running


def state_of(status: Mapping[str, Any] | None) -> State:
    """The state that a worker tells; MISSING if it knows of none."""
    if status is None:
        return State("MISSING", 0, 0, "")
    connector, tasks = status["connector"], status["tasks"]
    failed = [part for part in (connector, *tasks) if part["state"] == "FAILED"]
    return State(
        connector["state"],
        len(tasks),
        sum(task["state"] == "RUNNING" for task in tasks),
        _reason(failed[0].get("trace") or "") if failed else "",
    )


def _reason(trace: str) -> str:
    """What a Java stack trace says, below what Kafka Connect has wrapped it into."""
    causes = [cause.strip() for cause in _CAUSE.findall(trace)]
    told = [cause for cause in causes if not cause.startswith(_WRAPPERS)] or causes
    return told[0] if told else trace.partition("\n")[0] or "no reason is known"
