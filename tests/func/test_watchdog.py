"""Processes that are there and do not move: noticed, reported, replaced; a machine that stood still blames nobody."""

import os
import signal
import time

import pytest

from lib import http
from lib.net import free_port
from lib.wait import wait_until


def conf(port, origins, watchdog="2s"):
    return f"""
watchdog = "{watchdog}"
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {origins.list_text}, health = {{ interval = "50ms", timeout = "1s" }} }} }}
"""


def events(b, title):
    return [(e["from"], e["to"]) for e in b.events() if e["kind"] == "worker" and e["object"] == title]


@pytest.mark.parametrize("title", ["health", "worker 1", "admin"])
def test_a_stopped_process_is_replaced(ballast, origins, title):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    b.wait_healthy()
    before = b.table[title]
    os.kill(before, signal.SIGSTOP)
    wait_until(lambda: b.table.get(title, before) != before, 30, "a successor")
    wait_until(lambda: len(b.table) == 4 and ("starting", "serving") in events(b, title), 20, "it serves")
    assert events(b, title) == [("serving", "stuck"), ("serving", "dead"), ("starting", "serving")]
    assert "ballast_watchdog_kills_total 1" in b.request("GET", "/metrics").text
    two[0].healthy = False
    b.wait_status(two[0].address, "unhealthy")
    assert http.get(port, "/").status == 200


def test_it_is_reported_while_it_lasts(ballast, origins):
    """Not yet killed: /lb/health is degraded and says why, the event stands, the metric grows; and it may recover."""
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one, watchdog="1h"))
    b.wait_healthy()
    assert b.admin("/lb/health")["status"] == "healthy"
    pid = b.table["health"]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: b.admin("/lb/health")["status"] == "degraded", 30, "degraded")
    assert any("the health process has not moved for" in why for why in b.admin("/lb/health")["reasons"])
    wait_until(lambda: events(b, "health") == [("serving", "stuck")], 30, "the event")
    age = next(line for line in b.request("GET", "/metrics").text.splitlines()
               if line.startswith("ballast_heartbeat_age_seconds "))
    assert float(age.split()[1]) >= 3
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: events(b, "health")[-1] == ("stuck", "serving"), 30, "recovered")
    wait_until(lambda: b.admin("/lb/health")["status"] == "healthy", 30, "healthy again")
    assert b.table["health"] == pid


def test_a_machine_that_stood_still_blames_nobody(ballast, origins):
    """All of it stopped, as when a virtual machine is paused, for longer than the watchdog waits."""
    b = ballast(conf(free_port(), origins(1)))
    b.wait_healthy()
    before = dict(b.table)
    everybody = [b.pid, *before.values()]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + 3.5
    wait_until(lambda: time.monotonic() > until, 30)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    checks = b.backends()
    name = next(iter(checks))
    wait_until(lambda: b.backends()[name]["health_checks_passed"] > checks[name]["health_checks_passed"] + 40, 30, "more checks")
    assert b.table == before
    assert events(b, "health") == []


def test_bad_watchdog(ballast, origins):
    b = ballast(conf(free_port(), origins(1)))
    b.reload_refused(conf(free_port(), origins(1), watchdog="1s"))
    assert 'watchdog: "1s" is out of range: "2s" to "24d"' in b.log()
