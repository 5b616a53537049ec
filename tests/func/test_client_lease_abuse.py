"""What a client of the broker can do to others, and what a broker that stands still can do to a client: nothing that lasts."""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys

import pytest

from lib import http, procs
from lib.ballast import ROOT, binary, environment, sanitized
from lib.net import free_port
from lib.wait import poll, wait_until
from test_client_lease import (BREAKER, GRANTED, HELLO, SETTLED, TAKE, breaker, broker_of, drivers, inflight, lending, pick,  # noqa: F401
                               picks, strangers, wait_inflight)

LIBRARY = os.path.join(os.path.dirname(binary()), "libballast-client.so")


class Lingering:
    """A TCP connection that nobody reads: whoever closes it last waits for a minute."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.sock = socket.create_connection(server.getsockname())
            self.peer = server.accept()[0]
        self.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                self.sock.send(bytes(65536))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))

    def pass_on(self, through, message):
        try:
            socket.send_fds(through, [message], [self.sock.fileno()])
        except PermissionError:  # the other side takes none
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
            through.send(message)
        self.sock.close()


@pytest.fixture
def lingering():
    made = Lingering()
    yield made
    made.sock.close()
    made.peer.close()


def test_a_descriptor_that_comes_with_a_question_holds_nobody_up(lending, drivers, strangers, lingering, origins):  # noqa: F811
    b = lending(origins(1), more='watchdog = "1h"')
    broker, s = broker_of(b), strangers(b)
    lingering.pass_on(s.sock, struct.pack("<8IQ", 1, 2, 3, 4, 5, 6, 7, 8, 9))
    assert wait_until(lambda: drivers(b).pick("app")["result"] == "ok", what="a lease for somebody else")
    assert broker_of(b) == broker


def test_a_descriptor_that_comes_with_a_request_holds_nobody_up(ballast, lingering, origins, tmp_path):
    path = tmp_path / "web.sock"
    port = free_port()
    b = ballast(f'watchdog = "1h"\nlisteners = {{ web = {{ bind = [ "unix:{path}", "127.0.0.1:{port}" ], pool = "app" }} }}\n'
                f'pools = {{ app = {{ backends = {origins(1).list_text}, health = {{ type = "none" }} }} }}\n', workers=1)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        lingering.pass_on(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert http.get(port, "/").status == 200
        s.settimeout(20)
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    assert b.running()


def test_those_who_say_nothing_make_way(lending, drivers, strangers, origins):  # noqa: F811
    b = lending(origins(1), leases=2)
    silent = [strangers(b), strangers(b)]
    d = drivers(b)
    wait_until(lambda: d.pick("app")["result"] == "ok", what="a lease although all connections are taken")
    assert sum(s.ask(HELLO) is None for s in silent) >= 1


def test_there_are_descriptors_for_all_leases(lending, origins):  # noqa: F811
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    try:
        b = lending(origins(1), leases=1000, more="max_connections = 100")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert resource.prlimit(broker_of(b), resource.RLIMIT_NOFILE)[0] >= 3 * 1000


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def test_a_broker_without_descriptors_waits(lending, drivers, strangers, origins):  # noqa: F811
    b = lending(origins(1))
    broker, d = broker_of(b), drivers(b)
    picks(d, 1)
    before = resource.prlimit(broker, resource.RLIMIT_NOFILE)
    taken = procs.descriptors(broker)
    resource.prlimit(broker, resource.RLIMIT_NOFILE, (next(n for n in range(1000) if n not in taken), before[1]))
    late = strangers(b)
    late.say(HELLO)
    ticks = cpu_ticks(broker)
    poll(lambda: False, 1.0)
    assert cpu_ticks(broker) - ticks < os.sysconf("SC_CLK_TCK") / 10, "it turns in circles"
    assert pick(d)["result"] == "ok"
    resource.prlimit(broker, resource.RLIMIT_NOFILE, before)
    data = late.sock.recv(64)
    assert struct.unpack("<8I", data)[3] == GRANTED
    assert "cannot accept a client of the library: Too many open files" in b.log()


def test_each_of_several_tickets_of_one_client_counts(lending, drivers, origins):  # noqa: F811
    b = lending(origins(1), pool=BREAKER.replace("success_threshold = 1", "success_threshold = 2"))
    d = drivers(b)
    for p in picks(d, 3):
        d.report(p["number"], "f")
    wait_until(lambda: breaker(b) == "open", what="an open breaker")
    probes = [wait_until(lambda: [p for p in [d.pick("app")] if p["result"] == "ok"], what="a probe")[0], pick(d)]
    assert [p["result"] for p in probes] == ["ok", "ok"]
    for p in probes:
        d.report(p["number"])
    assert poll(lambda: breaker(b) == "closed", 4.0), "two probes succeeded: that, and not its time, closes it"


def test_a_purse_that_was_never_settled_is_not_used_again(lending, strangers, origins):  # noqa: F811
    b = lending(origins(1))
    s, again = strangers(b), strangers(b)
    row = s.ask(HELLO)[1]
    assert s.ask(TAKE)[0] == GRANTED
    s.close()
    again.id = s.id
    assert again.ask(HELLO, row=row)[:2] == (GRANTED, row)
    s.purse[64:72] = b"reported"
    assert again.purse[64:72] != b"reported"
    again.ask(SETTLED)
    wait_inflight(b, 0)


TICKING = """
import signal, sys
sys.path.insert(0, sys.argv[1])
import ballast_client
client = ballast_client.Client(sys.argv[2], fallback="127.0.0.1:9")
assert client.pick("app").result == ballast_client.OK
print("begun", flush=True)
sys.stdin.readline()
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
pick = client.pick("app")
signal.setitimer(signal.ITIMER_REAL, 0, 0)
print(client.result_name(pick.result), flush=True)
"""


@pytest.mark.skipif(sanitized(), reason="a sanitized library cannot be loaded into this interpreter")
def test_signals_do_not_prolong_the_wait_for_a_broker_that_hangs(lending, origins):  # noqa: F811
    b = lending(origins(1), more='watchdog = "1h"')
    p = subprocess.Popen([sys.executable, "-c", TICKING, os.path.join(ROOT, "client"), b.conf_path], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True, env=dict(environment(), BALLAST_CLIENT_LIBRARY=LIBRARY))
    try:
        assert p.stdout.readline() == "begun\n"
        with procs.stopped(broker_of(b)):
            out, _ = p.communicate("go\n", timeout=20)
        assert out == "fallback\n"
    finally:
        p.kill()
        p.wait()
        for pipe in (p.stdin, p.stdout):
            pipe.close()


def test_who_has_a_lease_and_what_came_of_questions_is_told(lending, drivers, origins):  # noqa: F811
    b = lending(origins(1), leases=2, more="client_lease_connections = 2")
    assert b.admin("/lb/leases") == {"total": 0, "max": 2, "connections": 0, "opened": 0, "turned_away": 0, "died": 0, "granted": 0,
                                     "full": 0, "refused": 0, "places": 0, "reclaimed": 0, "leases": []}
    one, two, three = drivers(b), drivers(b), drivers(b, fallback="127.0.0.1:9")
    mine = picks(one, 2)
    picks(two, 1)
    assert pick(one)["result"] == "full"
    assert three.pick("app")["result"] == "fallback"
    wait_inflight(b, 3)
    told = b.admin("/lb/leases")
    assert [told[k] for k in ("total", "max", "connections", "opened", "died", "granted", "places")] == [2, 2, 3, 2, 0, 3, 3]
    assert told["full"] >= 1 and told["turned_away"] >= 1
    assert sorted((x["pid"], x["connections"]) for x in told["leases"]) == sorted([(one.process.pid, 2), (two.process.pid, 1)])
    two.process.kill()
    two.process.wait()
    wait_inflight(b, 2)
    before = broker_of(b)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: broker_of(b) not in (None, before), what="another broker")
    wait_until(lambda: b.admin("/lb/leases")["died"] == 1, what="the one that was killed")
    m = b.metrics()
    assert m["ballast_client_leases"] == 1 and m["ballast_client_leases_max"] == 2 and m["ballast_client_lease_connections"] == 2
    assert m["ballast_client_leases_opened_total"] == 2 and m["ballast_client_lease_places_reclaimed_total"] == 1
    assert m['ballast_client_lease_questions_total{result="granted"}'] == 3
    for p in mine:
        one.report(p["number"])
    one.close()
    wait_until(lambda: b.admin("/lb/leases")["total"] == 0, what="nobody is left")
    assert b.admin("/lb/leases")["connections"] == 0 and b.admin("/lb/leases")["died"] == 1


def test_an_instance_that_lends_nothing_says_so(ballast, origins):
    b = ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}\n'
                f'pools = {{ app = {{ backends = {origins(1).list_text}, health = {{ type = "none" }} }} }}\n')
    told = b.admin("/lb/leases")
    assert told["max"] == told["total"] == 0 and told["leases"] == []
    assert b.metrics()["ballast_client_leases_max"] == 0
