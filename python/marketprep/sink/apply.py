"""Making the connectors as the settings want them."""

import time
from collections.abc import Callable, Mapping, Sequence

from marketprep.settings import SinkSettings
from marketprep.sink.connectors import CLASSES, Connector
from marketprep.sink.failure import SinkFailure
from marketprep.sink.state import State, state_of
from marketprep.sink.worker import Worker

_LOOK_SECONDS = 0.2

#: So long a connector must run before it is believed.
_STEADY_SECONDS = 1.0
#: For so long, what tasks say may be why they had failed before; they are started again meanwhile,
#: as a task that fails leaves its partitions to the next one, which then fails too.
_RESTART_SECONDS = 15.0
_RESTART_AGAIN_SECONDS = 3.0

Say = Callable[[str], None]


def apply(
    worker: Worker, sink: SinkSettings, wanted: Sequence[Connector], say: Say
) -> list[tuple[str, str]]:
    """Creates or changes connectors, and waits until they run; what was done with each.

    Raises SinkFailure, before anything is changed, if the worker finds anything wrong with any of
    them; and if one does not run within `start_timeout_s`.
    """
    say(f"asking the worker at {worker.url}")
    _need_plugin(worker, sink)
    problems: list[str] = []
    for connector in wanted:
        say(f"validating {connector.name}")
        for key, texts in worker.validate({"name": connector.name, **connector.config}).items():
            problems += [f"{connector.name}: {_told(key, text)}" for text in texts]
    if problems:
        raise SinkFailure("\n".join(problems))
    before = {one.name: state_of(worker.status(one.name)) for one in wanted}
    done = [(one.name, _put(worker, one, before[one.name])) for one in wanted]
    say("waiting until all tasks run")
    _wait(worker, before, sink.start_timeout_s)
    return done


def _need_plugin(worker: Worker, sink: SinkSettings) -> None:
    needed = CLASSES[sink.flavour]
    if needed not in worker.plugins():
        others = {"marketprep": "confluent", "confluent": "marketprep"}
        ours = "connect/target/plugins (`make connect-plugin` builds it)"
        what = ours if sink.flavour == "marketprep" else "Confluent's S3 sink"
        raise SinkFailure(
            f"The worker at {worker.url} has no {needed}: put {what} into its plugin.path and "
            f"start it again, or set sink.flavour to {others[sink.flavour]}"
        )


def _told(key: str, text: str) -> str:
    return text if key in text else f"{key} {text}"


def _put(worker: Worker, connector: Connector, state: State) -> str:
    config = {"name": connector.name, **connector.config}
    there = worker.config(connector.name)
    done = "unchanged"
    if there != config:
        worker.put(connector.name, connector.config)
        done = "created" if there is None else "updated"
    if state.state in ("PAUSED", "STOPPED"):
        worker.resume(connector.name)
        done = "resumed" if there == config else "updated and resumed"
    elif state.error and there == config:
        worker.restart_failed(connector.name)
        done = "restarted"
    return done


def _wait(worker: Worker, before: Mapping[str, State], seconds: float) -> None:
    begin = restarted = time.monotonic()
    steady_since: float | None = None
    while True:
        states = {name: state_of(worker.status(name)) for name in before}
        now = time.monotonic()
        if not all(state.is_running for state in states.values()):
            steady_since = None
        elif steady_since is None:
            steady_since = now
        elif now - steady_since >= _STEADY_SECONDS:
            return
        for name, state in states.items():
            is_new = state.error != before[name].error or now - begin >= _RESTART_SECONDS
            if state.error and is_new:
                raise SinkFailure(f"{name} has failed: {state.error}")
            if not state.is_running and now - begin > seconds:
                raise SinkFailure(_late(name, state, seconds))
            if state.error and now - restarted >= _RESTART_AGAIN_SECONDS:
                worker.restart_failed(name)
        if now - restarted >= _RESTART_AGAIN_SECONDS:
            restarted = now
        time.sleep(_LOOK_SECONDS)


def _late(name: str, state: State, seconds: float) -> str:
    tasks = f"{state.running} of {state.tasks} tasks run"
    return (
        f"{name} does not run after {seconds:.0f} s: it is {state.state}, and {tasks}. "
        "See `marketprep sink status`, and the worker's log. (sink.start_timeout_s)"
    )
