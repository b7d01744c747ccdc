"""Health: live and ready, by HTTP and by exit codes."""

import json
import signal
import socket

import pytest
import urllib3

from cluster import Cluster, wait_for_line, wait_until
from marketprep.health import Health, ask, served
from marketprep.service import Service


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def said_to(address: str, request: str) -> bytes:
    """The whole answer to a request that is sent as it is."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=30) as connection:
        connection.sendall(f"{request} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def asked(url: str) -> tuple[int, dict[str, object]]:
    answer = urllib3.request("GET", url, timeout=30, retries=False)
    return answer.status, answer.json()


def test_a_service_tells_how_it_is(cluster: Cluster) -> None:
    address = free_address()
    cluster.configure(watch={"health_address": address}, assignment="group")
    cluster.create_topics()
    before = cluster.marketprep_alone("health", "live")
    assert (before.returncode, before.stdout) == (1, "")
    assert before.stderr.startswith(f"no service answers at {address}: ")
    service = cluster.start("run", "--region", "ne")
    for _ in range(2):
        wait_for_line(service, b"partitions assigned")
    wait_until(lambda: asked(f"http://{address}/ready")[0] == 200, "readiness")
    lanes = {"ticker NE": True, "orderbook NE": True}
    assert asked(f"http://{address}/live") == (200, {"status": "live", "lanes": lanes})
    assert asked(f"http://{address}/else") == (404, {"paths": ["/live", "/ready"]})
    ready = cluster.marketprep_alone("health", "ready", "--address", address)
    assert ready.returncode == 0
    assert json.loads(ready.stdout) == {"status": "ready", "lanes": lanes}
    service.send_signal(signal.SIGTERM)
    service.communicate(timeout=120)
    assert service.returncode == 0
    assert cluster.marketprep_alone("health", "live").returncode == 1


def test_an_address_that_is_taken(cluster: Cluster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cluster.configure(watch={"health_address": address})
        done = cluster.marketprep("run", "--until-end")
    assert done.returncode == 1
    error = f"Error: watch.health_address {address} cannot be had: Address already in use"
    assert error in done.stderr


def test_no_address(cluster: Cluster) -> None:
    done = cluster.marketprep_alone("health", "ready")
    assert done.returncode == 2
    assert "set watch.health_address" in done.stderr


def test_what_is_not_looked_at_is_not_live(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where something holds the event loop up."""
    health = Health(Service(cluster.settings, []))
    assert health.is_live
    assert not health.is_ready, "nothing is known yet"
    monkeypatch.setattr("marketprep.health._DEAD_SECONDS", 0.0)
    status, content = health.answer("/live")
    assert (status, json.loads(content)["status"]) == (503, "not live")


@pytest.mark.parametrize(
    "target", ["/live?from=probe", "/live?", "http://service:80/live", "http://service/live?a=/b"]
)
def test_targets_of_requests(cluster: Cluster, target: str) -> None:
    """Load balancers and proxies ask with queries, absolute URIs and HEAD."""
    address = free_address()
    with served(Health(Service(cluster.settings, [])), address):
        got, head = (said_to(address, f"{method} {target}") for method in ("GET", "HEAD"))
        assert said_to(address, f"GET {target.replace('live', 'else')}").startswith(b"HTTP/1.0 404")
    start, _, content = got.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.0 200 ")
    assert json.loads(content)["status"] == "live"
    assert f"Content-Length: {len(content)}".encode() in start
    of_head, _, nothing = head.partition(b"\r\n\r\n")
    assert (of_head.split(b"\r\n")[0], nothing) == (start.split(b"\r\n")[0], b"")
    assert f"Content-Length: {len(content)}".encode() in of_head


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_address_of_ipv6(cluster: Cluster) -> None:
    port = free_address().rpartition(":")[2]
    address = f"[::1]:{port}"
    cluster.configure(watch={"health_address": address})
    assert cluster.settings.watch.health_address == address
    with served(Health(Service(cluster.settings, [])), address):
        assert ask(address, "live")[0]
        done = cluster.marketprep_alone("health", "live", "--address", address)
        assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "live")
