"""kill -9 of every role: what was in flight there is lost, and nothing else."""

import os
import signal

import pytest

from lib import http
from lib.load import Load
from lib.net import connect, free_port
from lib.wait import Deadline, wait_until


def conf(port, backends, extra="", more=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends.list_text}
                    health = {{ interval = "200ms", timeout = "5s" }} {more} }} }}
{extra}
"""


def replaced(b, name, pid):
    """The new pid of a role that was killed."""
    return wait_until(lambda: b.table.get(name) not in (None, pid) and b.table[name], 20, f"a new {name}")


def kill(b, name):
    pid = wait_until(lambda: b.table.get(name), 10, name)
    os.kill(pid, signal.SIGKILL)
    return pid


def connections(b):
    return sum(s["current_connections"] for s in b.servers().values())


def test_counts_are_exact_after_a_worker_died(ballast, origins):
    """Held requests on all workers; one worker is killed: its requests are gone from every gauge, the others remain."""
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two), workers=3)
    for o in two:
        o.hold()
    clients = [http.Client(port, timeout=30.0) for _ in range(24)]
    for client in clients:
        client.send(http.build_request("GET", "/held"))
    wait_until(lambda: sum(o.waiting for o in two) == 24, what="all requests at the origins")
    wait_until(lambda: connections(b) == 24, what="24 counted")
    pid = kill(b, "worker 1")
    replaced(b, "worker 1", pid)
    for o in two:
        o.release()
    answered = 0
    for client in clients:
        try:
            answered += client.read().status == 200
        except (http.HttpError, ConnectionError):
            pass
        client.close()
    assert 0 < answered < 24, "some connections were on the killed worker and some were not"
    wait_until(lambda: connections(b) == 0, what="all gauges back to zero")
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0, what="no client left")


def test_gauges_of_a_dead_worker_are_reclaimed_while_others_hold_theirs(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one), workers=2)
    one[0].hold()
    clients = [http.Client(port, timeout=30.0) for _ in range(16)]
    for client in clients:
        client.send(http.build_request("GET", "/held"))
    wait_until(lambda: connections(b) == 16, what="16 counted")
    pid = kill(b, "worker 0")
    replaced(b, "worker 0", pid)
    lost = [c for c in clients if c.eof(deadline=0.5)]
    assert 0 < len(lost) < 16
    wait_until(lambda: connections(b) == 16 - len(lost), what="exactly the survivors are counted")
    one[0].release()
    for client in clients:
        if client not in lost:
            assert client.read().status == 200
        client.close()
    wait_until(lambda: connections(b) == 0)


@pytest.mark.parametrize("victim", ["worker 0", "worker 1"])
def test_worker_killed_under_load(ballast, origins, victim):
    port, three = free_port(), origins(3, keep_requests=False)
    b = ballast(conf(port, three))
    others = {n: p for n, p in wait_until(lambda: len(b.table) == 4 and b.table).items() if n != victim}
    totals = []
    clients = 8
    with Load(port, clients) as load:
        wait_until(lambda: load.ok > 50)
        pid = kill(b, victim)
        replaced(b, victim, pid)
        level = load.ok
        wait_until(lambda: totals.append(b.admin("/lb/stats")["total_requests"]) or load.ok > level + 100, 30, "traffic")
    assert totals == sorted(totals), "totals never go back"
    assert len(load.failures) <= clients, load.failures
    assert {n: p for n, p in b.table.items() if n != victim} == others, "nobody else was replaced"
    final = wait_until(lambda: connections(b) == 0 and b.admin("/lb/stats"))
    assert load.ok - clients <= final["total_requests"] <= load.attempts
    wait_until(lambda: b.metrics()["ballast_worker_restarts_total"] == 1)
    assert any(e["kind"] == "worker" and victim in e["object"] for e in b.events())


@pytest.mark.parametrize("victim", ["health", "admin"])
def test_service_process_killed_under_load(ballast, origins, victim):
    """Traffic does not notice, and what was known stays known."""
    port, three = free_port(), origins(3, keep_requests=False)
    three[2].healthy = False
    b = ballast(conf(port, three, more="balance = \"round_robin\""))
    b.wait_status(three[0].address, "healthy")
    b.wait_status(three[1].address, "healthy")
    b.wait_status(three[2].address, "unhealthy")
    workers = b.worker_pids
    with Load(port, 6) as load:
        wait_until(lambda: load.ok > 50)
        before = three[2].count
        pid = kill(b, victim)
        replaced(b, victim, pid)
        level = load.ok
        wait_until(lambda: load.ok > level + 100)
    assert not load.failures
    assert load.closed == 0
    assert three[2].count == before, "the unhealthy backend got nothing"
    assert b.worker_pids == workers
    wait_until(lambda: b.admin("/lb/health"), what="the admin API answers")
    status = {n: s["status"] for n, s in b.backends().items()}
    assert status == {three[0].address: "healthy", three[1].address: "healthy", three[2].address: "unhealthy"}
    checks = three[0].checks
    wait_until(lambda: three[0].checks > checks, what="health checks go on")


def test_all_children_killed_at_once(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    old = wait_until(lambda: len(b.table) == 4 and b.table)
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(b.table) == 4 and not set(b.table.values()) & set(old.values()), 20, "four new children")
    wait_until(lambda: http.get(port).status == 200, 20)
    wait_until(lambda: b.admin("/lb/health")["status"] == "healthy", 20)


def test_connections_waiting_on_a_dead_worker_are_served(ballast, origins):
    """A worker that is stopped and then killed leaves connections in its accept queue; its successor serves them."""
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one), workers=1)
    pid = wait_until(lambda: b.table.get("worker 0"))
    os.kill(pid, signal.SIGSTOP)
    clients = [http.Client(port, timeout=30.0) for _ in range(10)]
    for client in clients:
        client.send(http.build_request("GET", "/"))
    os.kill(pid, signal.SIGKILL)
    for client in clients:
        assert client.read().status == 200
        client.close()


def test_worker_that_keeps_dying_comes_back(ballast, origins):
    port = free_port()
    b = ballast(conf(port, origins(1)), workers=2)
    pid = None
    for _ in range(6):
        pid = wait_until(lambda: b.table.get("worker 0") not in (None, pid) and b.table["worker 0"], 30)
        os.kill(pid, signal.SIGKILL)
    replaced(b, "worker 0", pid)
    wait_until(lambda: b.metrics()["ballast_worker_restarts_total"] == 6)
    assert http.get(port).status == 200


def test_the_queue_of_a_worker_in_backoff_is_served_by_its_sibling(ballast, origins):
    """It keeps dying young, so its successor waits for seconds; those in its accept queue do not."""
    port = free_port()
    b = ballast(conf(port, origins(1)), workers=2)
    pid = None
    for _ in range(7):
        pid = wait_until(lambda: b.table.get("worker 0") not in (None, pid) and b.table["worker 0"], 30)
        os.kill(pid, signal.SIGKILL)
    pid = wait_until(lambda: b.table.get("worker 0") not in (None, pid) and b.table["worker 0"], 30)
    os.kill(pid, signal.SIGSTOP)
    clients = [http.Client(port, timeout=30.0) for _ in range(24)]
    for client in clients:
        client.send(http.build_request("GET", "/"))
    os.kill(pid, signal.SIGKILL)
    backoff = Deadline(3.0)  # it is 3.2 s, if each of the eight was killed within a second of its start
    for client in clients:
        assert client.read().status == 200
        client.close()
    young = "worker 0 keeps dying young (8 times)" in b.log()
    assert b.table.get("worker 0") is None or backoff.over or not young, "all were served before the successor came"
    replaced(b, "worker 0", pid)


def test_the_event_of_a_death_tells_what_the_worker_did(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one), workers=1)
    one[0].hold()
    with http.Client(port) as client:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: one[0].waiting == 1)
        os.kill(b.table["worker 0"], signal.SIGKILL)
        wait_until(lambda: any(e["to"] == "dead" and f"its last step: an exchange with {one[0].address}" in e["reason"] for e in b.events()))
        one[0].release()


def test_worker_killed_with_tcp_connections(ballast, tcp_echo):
    port, echo = free_port(), tcp_echo()
    b = ballast(f"""
listeners = {{ raw = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{echo.address}" ], health = {{ type = "tcp" }} }} }}
""", workers=1)
    with connect(port) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        wait_until(lambda: connections(b) == 1)
        replaced(b, "worker 0", kill(b, "worker 0"))
        wait_until(lambda: connections(b) == 0)
    with connect(port) as sock:
        sock.sendall(b"y")
        assert sock.recv(1) == b"y"
