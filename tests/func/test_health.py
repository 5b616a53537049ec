"""Active health checks through the whole program: verdicts, reasons, what a reload and an operator leave alone."""

import os
import signal

import pytest

from lib.net import free_port
from lib.origin import TcpOrigin, reply
from lib.wait import wait_until

FAST = 'interval = "50ms", timeout = "20s"'  # a busy machine answers late


def conf(port, backends, health=FAST, protocol="http"):
    listed = ", ".join(f'{{ name = "{name}", address = "{address}" }}' for name, address in backends.items())
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", protocol = "{protocol}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {listed} ), health = {{ {health} }} }} }}
"""


def started(ballast, backends, **more):
    return ballast(conf(free_port(), {name: o if isinstance(o, str) else o.address for name, o in backends.items()}, **more))


def transitions(instance, name):
    return [e for e in instance.events() if e["kind"] == "health" and e["object"] == f"app:{name}"]


def reason(instance, name):
    """Why it is what it is: the event of a change comes a moment after it."""
    def told():
        last = transitions(instance, name)[-1]
        return last["to"] == instance.backends()[name]["health"] and last

    return wait_until(told, what=f"the event of {name}")["reason"]


def test_healthy_unhealthy_and_back(ballast, origin):
    good, flaky = origin("b1"), origin("b2")
    b = started(ballast, {"b1": good, "b2": flaky})
    b.wait_status("b1", "healthy")
    b.wait_status("b2", "healthy")
    flaky.healthy = False
    b.wait_status("b2", "unhealthy")
    assert reason(b, "b2") == "status 503, expected 200-299"
    assert b.backends()["b1"]["status"] == "healthy"
    flaky.healthy = True
    b.wait_status("b2", "healthy")
    wait_until(lambda: len(transitions(b, "b2")) == 3, what="its events")
    assert [(e["from"], e["to"]) for e in transitions(b, "b2")] == [
        ("unknown", "healthy"), ("healthy", "unhealthy"), ("unhealthy", "healthy")]
    wait_until(lambda: "event=health" in b.log(), what="a line in the log")


def test_thresholds_seen_by_the_origin(ballast, origin):
    """The fifth failure in a row turns it, the fourth success turns it back; a single other answer starts the count again."""
    answers = []
    o = origin("b1")

    def answer(request, sock):
        ok = len(answers) < 3 or len(answers) == 7 or len(answers) >= 13
        answers.append(ok)
        return reply(200 if ok else 500, "x")

    o.script["/health"] = answer
    b = started(ballast, {"b1": o}, health=FAST + ", healthy_threshold = 4, unhealthy_threshold = 5")
    wait_until(lambda: len(transitions(b, "b1")) == 3, 20, "three transitions")
    assert [e["to"] for e in transitions(b, "b1")] == ["healthy", "unhealthy", "healthy"]
    checks = b.backends()["b1"]
    assert checks["health_checks_failed"] == 4 + 5
    assert checks["health_checks_passed"] >= 4 + 4


@pytest.mark.parametrize("answer, why", [
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404, expected 200-299"),
    (b"HTTP/1.1 200 OK\r\nContent-", "closed after 25 bytes, before the end of a response head"),
    (b"220 mail.example.com ESMTP\r\n", "invalid response: "),
], ids=["not-found", "half-an-answer", "another-protocol"])
def test_bad_answers(ballast, tcp_origin, answer, why):
    def serve(sock, number):
        sock.recv(4096)
        sock.sendall(answer)

    o = tcp_origin(serve)
    b = started(ballast, {"b1": o})
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1").startswith(why)


def test_refused(ballast):
    b = started(ballast, {"b1": f"127.0.0.1:{free_port()}"})
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "connect: Connection refused"


def test_silent_backend_times_out(ballast, tcp_origin):
    o = tcp_origin(lambda sock, number: o.stopping.wait())
    b = started(ballast, {"b1": o}, health='interval = "50ms", timeout = "500ms"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "timeout after 500 ms while waiting for the response"


def test_request_as_configured(ballast, recording_origin):
    o = recording_origin(close_after=1)
    b = started(ballast, {"b1": o}, health=FAST + ', path = "/up?deep=1", host = "www.example.com"')
    b.wait_status("b1", "healthy")
    head = o.connections[0].raw.decode().split("\r\n")
    assert head[0] == "GET /up?deep=1 HTTP/1.1"
    assert head[1] == "Host: www.example.com"
    assert any(line.startswith("User-Agent: ballast-health/") for line in head)
    assert "Connection: close" in head


def test_host_is_the_backend(ballast, recording_origin):
    o = recording_origin(close_after=1)
    b = started(ballast, {"b1": o})
    b.wait_status("b1", "healthy")
    assert f"\r\nHost: {o.address}\r\n" in o.connections[0].raw.decode()


def test_other_port(ballast, origin):
    """The port of the checks says it is up; nobody listens on the port of the traffic."""
    o = origin("b1")
    b = started(ballast, {"b1": f"127.0.0.1:{free_port()}"}, health=FAST + f", port = {o.port}")
    b.wait_status("b1", "healthy")


def test_expected_list(ballast, origin):
    o = origin("b1")
    o.script["/health"] = reply(418, "tea")
    b = started(ballast, {"b1": o}, health=FAST + ', expect = [ "200-299", "418" ]')
    b.wait_status("b1", "healthy")
    o.script["/health"] = reply(404, "no")
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "status 404, expected 200-299, 418"


def test_tcp_pool(ballast, tcp_echo):
    o = tcp_echo()
    b = started(ballast, {"b1": o}, protocol="tcp")
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "connected"
    o.refuse()
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "connect: Connection refused"
    o.start()
    b.wait_status("b1", "healthy")


def test_unix_backend(ballast, origin, tmp_path):
    o = origin("b1", unix=str(tmp_path / "b1.sock"))
    b = started(ballast, {"b1": o})
    b.wait_status("b1", "healthy")
    o.refuse()
    os.unlink(o.unix)
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "connect: No such file or directory"


def test_no_checks(ballast):
    """type = "none": nobody is asked, everybody is trusted."""
    with TcpOrigin(lambda sock, number: None) as o:
        b = started(ballast, {"b1": o}, health='type = "none"')
        b.wait_status("b1", "healthy")
        assert o.accepted == 0


def test_maintenance_is_not_undone(ballast, origin):
    """A passing check must not bring back what an operator took out."""
    o = origin("b1")
    b = started(ballast, {"b1": o, "b2": origin("b2")})
    b.wait_status("b1", "healthy")
    b.admin("/lb/backends/b1/disable", "POST")
    checks = o.checks
    wait_until(lambda: o.checks > checks + 5, 10, "five more checks under maintenance")
    assert b.backends()["b1"]["status"] == "maintenance"
    o.healthy = False
    wait_until(lambda: b.backends()["b1"]["health"] == "unhealthy", 10, "a verdict under maintenance")
    assert b.backends()["b1"]["status"] == "maintenance"
    o.healthy = True
    wait_until(lambda: b.backends()["b1"]["health"] == "healthy", 10, "a verdict under maintenance")
    assert b.backends()["b1"]["status"] == "maintenance"
    b.admin("/lb/backends/b1/enable", "POST")
    b.wait_status("b1", "healthy")


def test_backend_added_and_removed_at_run_time(ballast, origin):
    b1, late = origin("b1"), origin("late")
    b = started(ballast, {"b1": b1})
    b.admin("/lb/backends/add", "POST", {"host": "127.0.0.1", "port": late.port, "pool": "app", "id": "late"}, 201)
    b.wait_status("late", "healthy")
    b.admin("/lb/backends/late/remove", "DELETE")
    wait_until(lambda: "late" not in b.backends(), 10, "gone")

    def left_alone():
        """Not asked while the backend that stays is asked again and again; one check may have been on its way."""
        checks, others = late.checks, b1.checks
        wait_until(lambda: b1.checks > others + 5, 10, "more checks of the backend that stays")
        return late.checks == checks

    wait_until(left_alone, 20)


def test_reload_keeps_verdicts(ballast, origin):
    """A backend known to be down is down in the new generation from the first moment; nobody is asked again at once."""
    slow = 'interval = "1h", timeout = "20s", unhealthy_threshold = 1'
    backends = {f"b{i}": origin(f"b{i}") for i in range(4)}
    backends["b0"].healthy = False
    b = started(ballast, backends, health=slow)
    b.wait_status("b0", "unhealthy")
    for name in ("b1", "b2", "b3"):
        b.wait_status(name, "healthy")
    checks = {name: o.checks for name, o in backends.items()}
    events = len([e for e in b.events() if e["kind"] == "health"])
    backends["b4"] = origin("b4")
    port = free_port()
    b.reload(conf(port, {name: o.address for name, o in backends.items()}, health=slow))
    assert b.backends()["b0"]["status"] == "unhealthy"
    b.wait_status("b4", "healthy")
    assert {name: o.checks for name, o in backends.items() if name != "b4"} == checks
    assert reason(b, "b4") and len([e for e in b.events() if e["kind"] == "health"]) == events + 1


def test_reload_changes_settings(ballast, origin):
    o = origin("b1")
    o.script["/other"] = reply(500, "no")
    port = free_port()
    b = ballast(conf(port, {"b1": o.address}))
    b.wait_status("b1", "healthy")
    b.reload(conf(port, {"b1": o.address}, health=FAST + ', path = "/other"'))
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "status 500, expected 200-299"


def test_killed_health_process(ballast, origin):
    """Its successor knows what it knew, and goes on."""
    down, up = origin("b1"), origin("b2")
    down.healthy = False
    b = started(ballast, {"b1": down, "b2": up})
    b.wait_status("b1", "unhealthy")
    b.wait_status("b2", "healthy")
    before = b.table["health"]
    os.kill(before, signal.SIGKILL)
    assert b.backends()["b1"]["status"] == "unhealthy"
    wait_until(lambda: b.table.get("health", before) != before, 10, "a new health process")
    assert b.backends()["b1"]["status"] == "unhealthy"
    assert b.backends()["b2"]["status"] == "healthy"
    checks = up.checks
    wait_until(lambda: up.checks > checks + 3, 10, "checks by the new process")
    assert len(transitions(b, "b1")) == 1
    down.healthy = True
    b.wait_status("b1", "healthy")


def test_stopped_health_process_blames_nobody(ballast, origin, tcp_origin):
    """SIGSTOP during a check: when it goes on, its own deadline is long over. That is not the backend's failure."""
    asked = []

    def serve(sock, number):
        asked.append(sock.recv(4096))
        o.stopping.wait()

    o = tcp_origin(serve)
    b = started(ballast, {"b1": o}, health='interval = "1h", timeout = "3s", unhealthy_threshold = 1')
    wait_until(lambda: asked, 10, "a check that hangs")
    os.kill(b.table["health"], signal.SIGSTOP)
    ticks = origin("clock")
    b.admin("/lb/backends/add", "POST", {"host": "127.0.0.1", "port": ticks.port, "pool": "app", "id": "clock"}, 201)
    wait_until(lambda: heartbeat_age(b) > 4.5, 20, "a heartbeat older than the deadline")
    os.kill(b.table["health"], signal.SIGCONT)
    b.wait_status("clock", "healthy")
    wait_until(lambda: "health check not possible" in b.log(), what="a word about it in the log")
    assert b.backends()["b1"]["status"] == "unknown"


def heartbeat_age(instance):
    """Seconds since the health process last said that it lives."""
    rows = instance.admin("/lb/workers")["services"]
    return next(r for r in rows if r["role"] == "health")["heartbeat_age_seconds"]
