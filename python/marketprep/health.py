"""Health: whether the service is alive and ready, for whatever watches over its process."""

import asyncio
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import orjson

from marketprep.kafka import KafkaFailure
from marketprep.service import Service

_LOOK_SECONDS = 0.5

#: The event loop does nothing that takes long: after so many seconds something is wrong with it.
_DEAD_SECONDS = 30.0

_ASK_SECONDS = 5.0


class Health:
    """What is known of a service.

    It is looked at from the service's own event loop, so if that hangs, it shows.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._looked_at = time.monotonic()
        self._lanes: dict[str, bool] = {}

    async def look(self) -> None:
        """Keeps what is known up to date, until cancelled."""
        while True:
            self._looked_at = time.monotonic()
            self._lanes = {lane.assignment.name: lane.is_ready for lane in self._service.lanes}
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def is_live(self) -> bool:
        """Whether it does anything; if not, only ending the process helps."""
        return time.monotonic() - self._looked_at < _DEAD_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether each lane works on all partitions that are its own."""
        return self.is_live and bool(self._lanes) and all(self._lanes.values())

    def answer(self, target: str) -> tuple[int, bytes]:
        """Returns the HTTP status and the JSON for `/live` and `/ready`.

        A query is ignored, and so are the scheme and the host of an absolute URI.
        """
        path = urlsplit(target).path
        known = {"/live": self.is_live, "/ready": self.is_ready}
        if (is_well := known.get(path)) is None:
            return 404, orjson.dumps({"paths": list(known)})
        word = path.removeprefix("/")
        content = {"status": word if is_well else f"not {word}", "lanes": self._lanes}
        return 200 if is_well else 503, orjson.dumps(content)


@contextmanager
def served(health: Health, address: str) -> Iterator[None]:
    """Answers at an address, host:port, while the context lasts.

    Raises KafkaFailure if it cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _ASK_SECONDS

        def do_GET(self) -> None:
            self.wfile.write(self._begin())

        def do_HEAD(self) -> None:
            self._begin()

        def _begin(self) -> bytes:
            """Sends the status and the headers; returns the content that belongs to them."""
            status, content = health.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return content

        def log_message(self, *_: object) -> None:
            """Nothing: it is asked every few seconds."""

    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            """Nothing: whoever asks may hang up."""

    try:
        server = Server((host, int(port)), Handler)
    except OSError as error:
        text = f"watch.health_address {address} cannot be had: {error.strerror}: name another"
        raise KafkaFailure(text) from None
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(address: str, word: str) -> tuple[bool, str]:
    """Asks a running service whether it is `live` or `ready`: the answer, and its text."""
    connection = http.client.HTTPConnection(address, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", f"/{word}")
        response = connection.getresponse()
        return response.status == http.client.OK, response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"no service answers at {address}: {error}"
    finally:
        connection.close()
