"""`ballast demo`: one command, and there is a balancer with a dashboard; taken ports do not stop it."""

import asyncio
import fcntl
import os
import re
import socket
import tempfile
from signal import SIGINT, SIGKILL

import pytest
import websockets

from lib import http
from lib.net import listening
from lib.wait import wait_until


@pytest.fixture(autouse=True)
def one_demo_at_a_time():
    """Demos look for free ports from the same numbers on: two that start at once may want the same one."""
    with open(os.path.join(tempfile.gettempdir(), f"ballast-test-demo.{os.getuid()}"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


BANNER = re.compile(r"http://127\.0\.0\.1:(\d+)")


def banner(b):
    wait_until(lambda: "Ctrl-C stops everything" in b.log(), 30, "the banner")
    service, dashboard, metrics, sample = map(int, BANNER.findall(b.log())[:4])
    others = [int(p) for p in re.search(r"sample backends.*", b.log())[0].split(":")[3:]]
    return service, dashboard, metrics, [sample, *others]


def test_demo_balances_and_shows_it(ballast):
    b = ballast(argv=["demo"], wait=False)
    service, dashboard, metrics, samples = banner(b)
    assert dashboard == metrics and len(samples) == 3
    b.admin_port = dashboard
    wait_until(lambda: b.admin("/lb/stats")["healthy_servers"] == 3)
    ids = [http.get(service).json()["id"] for _ in range(9)]
    assert sorted(ids) == sorted(["backend-1", "backend-2", "backend-3"] * 3)
    assert "<!DOCTYPE html>" in http.get(dashboard, "/", host="127.0.0.1").text
    assert "ballast_up" in http.get(metrics, "/metrics", host="127.0.0.1").text
    for number, port in enumerate(samples, 1):
        assert http.get(port).json()["id"] == f"backend-{number}"

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{service}/ws") as ws:
            await ws.send("through the balancer")
            return await asyncio.wait_for(ws.recv(), 10)

    assert asyncio.run(talk()) == "through the balancer"
    assert {"master", "sample 0", "sample 1", "sample 2"} - {"master"} <= b.table.keys()
    b.stop(SIGINT)
    assert not any(map(listening, [service, dashboard, *samples]))


def test_taken_ports_are_passed_over(ballast):
    held = []
    for port in (8080, 9900, 8002):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            pass  # somebody else holds it: as good
        held.append(s)
    b = ballast(argv=["demo"], wait=False)
    service, dashboard, _, samples = banner(b)
    assert not {8080, 9900, 8002} & {service, dashboard, *samples}
    b.admin_port = dashboard
    assert wait_until(lambda: http.get(service).json()["port"] in samples)
    b.stop()
    for s in held:
        s.close()


def test_a_dead_sample_comes_back(ballast):
    b = ballast(argv=["demo"], wait=False)
    service, b.admin_port, _, samples = banner(b)
    wait_until(lambda: b.admin("/lb/stats")["healthy_servers"] == 3)
    pid = b.table["sample 1"]
    os.kill(pid, SIGKILL)
    wait_until(lambda: b.table.get("sample 1", pid) != pid)
    wait_until(lambda: http.get(samples[1]).status == 200)
