"""limits.connections_per_client with real connections: exact over workers, given back, nothing left by a killed worker."""

import os
import signal
import socket
import subprocess

import pytest

from lib.ballast import binary
from lib.net import free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", limits = {{ connections_per_client = {limit} }}{more} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}
"""


@pytest.fixture
def web(ballast, origin):
    def start(limit, backend=None, more="", **options):
        port = free_port()
        instance = ballast(CONF.format(port=port, limit=limit, more=more, backend=backend or origin().address), **options)
        instance.port = port
        return instance

    return start


def served(port, source="127.0.0.1", ask=b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", answer=b"HTTP/1.1 200"):
    """A connection that is served, or None: it was closed."""
    s = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    try:
        s.sendall(ask)
        if s.recv(4096).startswith(answer):
            return s
    except ConnectionError:
        pass
    s.close()
    return None


def open_connections(b):
    return b.admin("/lb/stats")["active_connections"]


def test_exact_over_four_workers_and_given_back(web):
    b = web(10, workers=4)
    held = [s for s in [served(b.port) for _ in range(40)] if s]
    assert len(held) == 10
    assert b.metrics()['ballast_connections_refused_total{listener="web"}'] == 30
    other = served(b.port, "127.0.0.2")
    assert other, "another client"
    for s in [other, *held[:4]]:
        s.close()
    wait_until(lambda: open_connections(b) == 6, what="four gone, and the other")
    again = [s for s in [served(b.port) for _ in range(10)] if s]
    assert len(again) == 4
    events = [e for e in b.admin("/lb/events")["events"] if e["kind"] == "client_limit"]
    assert 1 <= len(events) <= 4 and events[0]["object"] == "listeners.web" and "127.0.0.1" in events[0]["reason"]


def test_what_a_killed_worker_held_is_free_again(web):
    b = web(5, workers=1)
    held = [served(b.port) for _ in range(6)]
    assert held[:5] == [s for s in held[:5] if s] and held[5] is None
    before = dict(b.worker_pids)
    os.kill(next(iter(before.values())), signal.SIGKILL)
    wait_until(lambda: b.worker_pids and b.worker_pids != before, what="a successor")
    assert len([s for s in [served(b.port) for _ in range(8)] if s]) == 5


def test_a_reload_turns_it_on_and_off(web):
    b = web(0, workers=2)
    held = [served(b.port) for _ in range(4)]
    assert all(held)
    b.reload(CONF.format(port=b.port, limit=2, more="", backend=backend_of(b)))
    assert len([s for s in [served(b.port, "127.0.0.3") for _ in range(4)] if s]) == 2
    b.reload(CONF.format(port=b.port, limit=0, more="", backend=backend_of(b)))
    assert all([served(b.port, "127.0.0.3") for _ in range(4)])


def backend_of(b):
    return b.admin("/lb/backends")["backends"][0]["endpoint"]


def test_tcp(web, tcp_echo):
    b = web(2, backend=tcp_echo().address, more=', protocol = "tcp"', workers=2)
    held = [served(b.port, ask=b"ping", answer=b"ping") for _ in range(4)]
    assert sum(s is not None for s in held) == 2


@pytest.mark.parametrize("limit, problem", [
    ("-1", "connections_per_client: -1 is out of range: 0 to 1000000"),
    ("1000001", "is out of range"),
    ('"5"', "wants a whole number"),
])
def test_mistakes(tmp_path, limit, problem):
    conf = tmp_path / "bad.conf"
    conf.write_text(CONF.format(port=1, limit=limit, more="", backend="127.0.0.1:1"))
    done = subprocess.run([binary(), "check", "-c", str(conf)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and problem in done.stderr
