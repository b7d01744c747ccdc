"""Kafka Connect's REST API, as far as the sinks need it.

Source: https://kafka.apache.org/documentation/#connect_rest
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
import urllib3

from marketprep.sink.failure import SinkFailure

#: A worker answers a validation within 90 seconds, or says that it cannot.
_TIMEOUT = urllib3.Timeout(connect=5, read=100)

#: How long workers may say that they are busy with sharing out their tasks. A request that waits
#: for its turn is not among it: one that had to wait long may then be refused for the first time.
_BUSY_SECONDS = 60.0

_NO_WORKER = "What answers at {url} is no Kafka Connect: correct sink.worker_url"


class Worker:
    """A worker, or any of several: each knows all connectors."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def plugins(self) -> set[str]:
        """The classes of connectors that it has. Raises SinkFailure if it is no worker at all."""
        rows = self._ask("GET", "/connector-plugins")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SinkFailure(_NO_WORKER.format(url=self.url))
        return {str(row.get("class")) for row in rows}

    def names(self) -> list[str]:
        """The names of all connectors."""
        names: list[str] = self._ask("GET", "/connectors")
        return names

    def validate(self, config: Mapping[str, str]) -> dict[str, list[str]]:
        """What the worker finds wrong with the configuration of a connector, by key."""
        path = f"/connector-plugins/{quote(config['connector.class'])}/config/validate"
        values = [row["value"] for row in self._ask("PUT", path, config)["configs"]]
        return {value["name"]: value["errors"] for value in values if value["errors"]}

    def config(self, name: str) -> dict[str, str] | None:
        """The configuration of a connector; None if there is none."""
        config: dict[str, str] | None = self._ask("GET", _path(name, "/config"))
        return config

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Creates a connector, or changes it."""
        self._ask("PUT", _path(name, "/config"), config)

    def status(self, name: str) -> dict[str, Any] | None:
        """The state of a connector and its tasks; None if there is none, or not yet."""
        status: dict[str, Any] | None = self._ask("GET", _path(name, "/status"))
        return status

    def resume(self, name: str) -> None:
        """Lets a connector that was paused or stopped go on."""
        self._ask("PUT", _path(name, "/resume"))

    def restart_failed(self, name: str) -> None:
        """Starts again what has failed of a connector and its tasks."""
        self._ask("POST", _path(name, "/restart?includeTasks=true&onlyFailed=true"))

    def delete(self, name: str) -> bool:
        """Removes a connector; whether there was one."""
        if self.config(name) is None:
            return False
        self._ask("DELETE", _path(name))
        return True

    def _ask(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401 - JSON
        """What the worker answers; None if there is no such thing."""
        body = None if content is None else orjson.dumps(content)
        busy_since: float | None = None
        while True:
            try:
                headers = {"Content-Type": "application/json", "Accept": "application/json"}
                answer = self._pool.request(method, self.url + path, body=body, headers=headers)
            except urllib3.exceptions.HTTPError:
                raise SinkFailure(
                    f"No Kafka Connect answers at {self.url}: is the worker running, is the "
                    "address right? (--worker-url, or sink.worker_url)"
                ) from None
            now = time.monotonic()
            busy_since = now if busy_since is None else busy_since
            if not _is_busy(answer) or now - busy_since > _BUSY_SECONDS:
                return self._read(answer)
            time.sleep(0.5)  # the workers are just sharing out their tasks

    def _read(self, answer: urllib3.BaseHTTPResponse) -> Any:  # noqa: ANN401 - as above
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        try:
            content = orjson.loads(answer.data or b"null")
        except orjson.JSONDecodeError:
            raise SinkFailure(_NO_WORKER.format(url=self.url)) from None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            said = content.get("message") if isinstance(content, dict) else None
            said = str(said or f"HTTP {answer.status}").partition("\n")[0]
            raise SinkFailure(f"Kafka Connect at {self.url} refuses: {said}")
        return content


def _is_busy(answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether it is only that workers share out their tasks just now.

    A worker says so by a conflict when it is to change something, but by an internal error, and in
    words alone, when it is to tell something.
    """
    if answer.status == HTTPStatus.CONFLICT:
        return True
    is_error = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    return is_error and b"because a rebalance is" in answer.data


def _path(name: str, what: str = "") -> str:
    """The path of a connector, or of something of it."""
    return f"/connectors/{quote(name, safe='')}{what}"
