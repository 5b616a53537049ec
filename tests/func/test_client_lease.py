"""Leases of the client library: requests that programs send by themselves are in the balancer's exact counts. The judge is
an origin that counts what it has at once. Who cheats has only its own lease to cheat with."""

import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading

import pytest

from lib import http
from lib.ballast import environment, run
from lib.net import free_port
from lib.wait import Deadline, wait_until
from test_client import BUILD, Driver

NONE = 0xFFFFFFFF
MAGIC = 0xBA11A570
HELLO, SETTLED, TAKE, LOOK, BYE = range(1, 6)
GRANTED, FULL, POOL_FULL, REFUSED, NO_LEASE = range(5)


class Judge:
    """The most requests that were ever at an origin at once, of those whose senders were still there."""

    def __init__(self, *origins):
        self.most = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()
        self._here = set()
        for o in origins:
            o.script["/work"] = self

    @staticmethod
    def _is_there(sock):
        poll = select.poll()
        poll.register(sock, select.POLLRDHUP)
        return not poll.poll(0)

    def __call__(self, request, sock):
        with self._lock:
            self._here.add(sock)
            self.most = max(self.most, sum(map(self._is_there, self._here)))
        self._gate.wait(0.003)
        with self._lock:
            self._here.discard(sock)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def lending(ballast):
    """lending(origins, each=.., pool=.., leases=..): an instance that lends; .text(..) is its configuration."""

    def begin(origins, each=1000, pool="", leases=8, more="", workers=2):
        port = free_port()

        def text(pool=pool, each=each, leases=leases, more=more):
            backends = ", ".join(f'{{ name = "{o.id}", address = "{o.address}", max_connections = {each} }}' for o in origins)
            return f"""
client_leases = {leases}
{more}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ balance = "least_connections", health = {{ type = "none" }}, backends = ( {backends} ) {pool} }} }}
"""

        b = ballast(text(), workers=workers)
        b.port, b.text = port, text
        return b

    return begin


@pytest.fixture
def drivers(tmp_path):
    """drivers(b): a client of the instance."""
    made = []

    def begin(b, fallback="-", flags="-"):
        d = Driver(tmp_path / f"driver{len(made)}.err")
        made.append(d)
        assert d.open(b.conf_path, 0, fallback, flags) == "opened"
        return d

    yield begin
    for d in made:
        try:
            if d.process.poll() is None:
                d.process.send_signal(signal.SIGCONT)
                d.close()
        finally:
            d.process.kill()
            d.process.wait()


def inflight(b):
    return sum(s["current_connections"] for s in b.servers().values())


def wait_inflight(b, n):
    wait_until(lambda: inflight(b) == n, what=f"{n} in flight")


def pick(driver):
    """The broker of a busy machine may be late: then it is the listener's turn, and ours again."""
    return wait_until(lambda: [p for p in [driver.pick("app")] if p["result"] != "fallback"], what="an answer")[0]


def picks(driver, n):
    out = [pick(driver) for _ in range(n)]
    assert [p["result"] for p in out] == ["ok"] * n, out
    return out


def broker_of(b):
    return b.table.get("broker")


def test_what_clients_have_in_flight_is_counted_and_comes_back(lending, drivers, origins):
    o = origins(2)
    b = lending(o, each=4)
    one, two = drivers(b), drivers(b)
    mine = picks(one, 5)
    wait_inflight(b, 5)
    picks(two, 3)
    assert pick(one)["result"] == pick(two)["result"] == "full"
    assert {s["current_connections"] for s in b.servers().values()} == {4}
    assert {x["status"] for x in b.backends().values()} == {"overloaded"}
    assert http.get(b.port, "/").status == 503  # the same places
    for p in mine:
        one.report(p["number"], "s", 2000)
    wait_inflight(b, 3)
    assert http.get(b.port, "/").status == 200
    wait_until(lambda: sum(s["total_requests"] for s in b.servers().values()) == 5 + 1, what="six counted")
    stats = b.servers()
    assert any(0.001 < s["response_time"]["p50"] < 0.004 for s in stats.values())
    two.process.kill()
    two.process.wait()
    wait_inflight(b, 0)
    assert one.many(n=200)["ok"] == 200
    one.close()
    wait_until(lambda: sum(s["total_requests"] for s in b.servers().values()) == 206, what="every report counted")
    wait_inflight(b, 0)


@pytest.mark.parametrize("setting", ["backend", "pool"])
def test_the_origin_never_sees_one_too_many_of_both(lending, drivers, origins, setting):
    one = origins(1)[0]
    judge = Judge(one)
    queue = ', queue = { size = 1000, timeout = "50s" }'
    b = lending([one], each=6 if setting == "backend" else 1000, pool=queue + (", max_connections = 6" if setting == "pool" else ""))
    clients, statuses = [drivers(b), drivers(b)], []

    def through_the_listener():
        with http.Client(b.port) as c:
            for _ in range(20):
                statuses.append(c.get("/work").status)

    answers = [None, None]

    def by_itself(i):
        answers[i] = clients[i].counts("load", "app", 20)

    threads = [threading.Thread(target=through_the_listener) for _ in range(10)]
    threads += [threading.Thread(target=by_itself, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(100)
        assert not t.is_alive()
    assert statuses == [200] * 200
    assert [a["ok"] for a in answers] == [80, 80] and not any(a.get("failed") for a in answers)
    assert 1 < judge.most <= 6
    wait_inflight(b, 0)
    wait_until(lambda: sum(s["total_requests"] for s in b.servers().values()) == 200 + 160, what="each counted once")


def test_counts_stay_exact_while_processes_die_and_reloads_happen(lending, drivers, origins):
    o = origins(2)
    judge = Judge(*o)
    b = lending(o, each=3, pool=', queue = { size = 1000, timeout = "50s" }', more='watchdog = "1h"')
    load, holder, killed = drivers(b), drivers(b), drivers(b)
    held = picks(holder, 1)
    picks(killed, 1)
    os.kill(holder.process.pid, signal.SIGSTOP)
    done = []
    t = threading.Thread(target=lambda: done.append(load.counts("load", "app", 60)))
    t.start()
    os.kill(b.worker_pids["worker 0"], signal.SIGKILL)
    b.reload(b.text(more='watchdog = "2h"'))
    for _ in range(3):
        before = broker_of(b)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: broker_of(b) not in (None, before), what="another broker")
    killed.process.kill()
    killed.process.wait()
    before = broker_of(b)
    os.kill(before, signal.SIGKILL)  # perhaps before it noticed
    wait_until(lambda: broker_of(b) not in (None, before), what="another broker")
    os.kill(b.worker_pids["worker 1"], signal.SIGKILL)
    t.join(100)
    assert not t.is_alive() and done[0]["ok"] >= 240
    assert judge.most <= 6
    load.report(pick(load)["number"])  # what it had idle when the broker died comes back now
    wait_inflight(b, 1)  # of the one that stands still
    os.kill(holder.process.pid, signal.SIGCONT)
    holder.report(held[0]["number"])
    wait_inflight(b, 0)
    assert holder.many(n=50)["ok"] == 50
    assert {s["max_connections"] for s in b.servers().values()} == {3}


def test_an_upgrade_keeps_what_clients_hold(lending, drivers, origins):
    b = lending(origins(1), each=3)
    d = drivers(b)
    mine = picks(d, 2)
    before = broker_of(b)
    done = run("upgrade", "--pid", b.pid)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: b.table.get("broker") not in (None, before), what="the new broker")
    wait_inflight(b, 2)
    wait_until(lambda: pick(d)["result"] == "ok", what="a place of the new broker")
    assert pick(d)["result"] == "full"
    for p in mine:
        d.report(p["number"])
    wait_inflight(b, 1)


def test_an_instance_that_comes_back_lends_again(lending, drivers, origins, ballast):
    b = lending(origins(1), each=2)
    d = drivers(b, fallback="127.0.0.1:9")
    picks(d, 1)
    b.stop()
    wait_until(lambda: d.pick("app")["result"] == "fallback", what="the listener is to be used")
    again = ballast(b.full_text(b.text()))
    again.admin_port = b.admin_port
    os.replace(again.conf_path, b.conf_path)
    os.symlink(b.conf_path, again.conf_path)
    other = Driver(os.path.join(again.directory, "driver.err"))
    assert other.open(f"pid:{again.pid}") == "opened"
    picks(other, 2)
    assert other.pick("app")["result"] == "full"
    other.close()
    wait_inflight(again, 0)


BREAKER = ', circuit_breaker = { failure_threshold = 3, success_threshold = 1, timeout = "5s" }, passive = { max_fails = 0 }'


def breaker(b):
    return b.servers()["app:b1"]["circuit_breaker"]


def test_clients_open_a_breaker_and_share_its_tickets(lending, drivers, origins):
    b = lending(origins(1), pool=BREAKER)
    one, two = drivers(b), drivers(b)
    for p in picks(one, 3):
        one.report(p["number"], "f")
    wait_until(lambda: breaker(b) == "open", what="an open breaker")
    assert http.get(b.port, "/").status == 503
    assert pick(two)["result"] in ("none", "full")
    probe = wait_until(lambda: [p for p in [one.pick("app")] if p["result"] == "ok"], what="a probe")[0]
    assert pick(two)["result"] in ("none", "full")  # the only ticket
    assert http.get(b.port, "/").status == 503
    one.report(probe["number"])
    wait_until(lambda: breaker(b) == "closed", what="a closed breaker")
    assert pick(two)["result"] == "ok"
    assert http.get(b.port, "/").status == 200


def test_a_ticket_of_a_client_that_is_killed_is_given_out_again(lending, drivers, origins):
    b = lending(origins(1), pool=BREAKER)
    one, two = drivers(b), drivers(b)
    for p in picks(one, 3):
        one.report(p["number"], "f")
    wait_until(lambda: breaker(b) == "open", what="an open breaker")
    wait_until(lambda: pick(one)["result"] == "ok", what="a probe")
    one.process.kill()
    one.process.wait()
    wait_inflight(b, 0)
    probe = pick(two)
    assert probe["result"] == "ok"  # at once, not after the breaker's time
    two.report(probe["number"])
    wait_until(lambda: breaker(b) == "closed", what="a closed breaker")


@pytest.mark.parametrize("believed", ["true", "false"])
def test_failures_take_a_backend_out_if_clients_are_believed(lending, drivers, origins, believed):
    b = lending(origins(2), pool=", passive = { max_fails = 3 }", more=f"client_reports = {believed}")
    d = drivers(b)
    for _ in range(6):
        p = picks(d, 1)[0]
        d.report(p["number"], "f" if p["backend"] == "b1" else "s")
    wait_until(lambda: b.servers()["app:b1"]["failed_requests"] == 3, what="the failures counted")
    if believed == "true":
        wait_until(lambda: b.backends()["b1"]["status"] == "unhealthy", what="it is out")
    else:
        assert b.backends()["b1"]["status"] == "healthy"


def test_there_are_so_many_leases_and_each_has_its_limit(lending, drivers, origins):
    b = lending(origins(1), leases=1, more="client_lease_connections = 3")
    one, two = drivers(b), drivers(b, fallback="127.0.0.1:9")
    picks(one, 3)
    assert pick(one)["result"] == "full"
    assert two.pick("app")["result"] == "fallback"
    assert pick(drivers(b, flags="u"))["result"] == "ok"  # wants no lease
    one.close()
    wait_until(lambda: pick(two)["result"] == "ok", what="the lease of the one that left")
    b.reload(b.text(leases=2))
    three = drivers(b)
    wait_until(lambda: three.pick("app")["result"] == "ok", what="another lease")


def test_a_child_has_none_of_its_parents_places(lending, drivers, origins):
    b = lending(origins(1), each=5)
    d = drivers(b)
    mine = picks(d, 2)
    assert d.counts("fork", "app", 20) == {"ok": 20, "b1": 20}
    wait_inflight(b, 2)
    d.report(mine[0]["number"])
    wait_inflight(b, 1)


# ---- those who do not use the library ----

class Stranger:
    """Speaks with the broker itself."""

    def __init__(self, b):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20.0)
        self.sock.connect(f"/dev/shm/ballast.{b.pid}.lease")
        with open(f"/dev/shm/ballast.{b.pid}", "rb") as f:
            self.version = struct.unpack("<QI", f.read(12))[1]
        self.purse, self.id = None, random.getrandbits(64)

    def say(self, type, row=NONE, entry=0, incarnation=1, want=1, magic=MAGIC, version=None):
        self.sock.send(struct.pack("<8IQ", magic, version or self.version, type, 1, row, entry, incarnation, want, self.id))

    def ask(self, type, **more):
        """(result, row, granted); None: the connection is over."""
        try:
            self.say(type, **more)
            data, fds, _, _ = socket.recv_fds(self.sock, 64, 1)
        except (ConnectionError, TimeoutError):
            return None
        if not data:
            return None
        _, _, _, result, row, granted, _, _ = struct.unpack("<8I", data)
        for fd in fds:
            self.purse = mmap.mmap(fd, os.fstat(fd).st_size)
            with pytest.raises(OSError):
                os.ftruncate(fd, 10)  # it would be the broker's fault
            os.close(fd)
        return result, row, granted

    def close(self):
        self.sock.close()


@pytest.fixture
def strangers():
    made = []

    def begin(b):
        made.append(Stranger(b))
        return made[-1]

    yield begin
    for s in made:
        s.close()
        if s.purse:
            s.purse.close()


def test_nonsense_costs_only_the_lease_of_who_says_it(lending, drivers, strangers, origins):
    o = origins(2)
    judge = Judge(*o)
    b = lending(o, each=50, more="client_lease_connections = 10", leases=20)
    honest = drivers(b)
    mine = picks(honest, 3)
    broker = broker_of(b)
    rng = random.Random(1)
    for _ in range(100):  # bytes
        s = strangers(b)
        s.sock.send(rng.randbytes(rng.choice([1, 39, 40, 41, 500])))
        s.close()
    for bad in ({"magic": 1}, {"version": 999}):
        assert strangers(b).ask(HELLO, **bad) is None
    for type in (0, TAKE, SETTLED, 77):
        assert strangers(b).ask(type) is None  # before HELLO
    s = strangers(b)
    assert s.ask(HELLO, row=0)[0] == GRANTED  # somebody else's: it gets one of its own
    for entry in (2, 16383, 16384, 1 << 31, NONE):
        assert s.ask(TAKE, entry=entry)[0] == REFUSED
    assert s.ask(TAKE, incarnation=7)[0] == REFUSED
    s.ask(SETTLED)
    for round in range(300):
        if round % 3 == 0:
            s.purse[:] = rng.randbytes(len(s.purse))
        answer = s.ask(TAKE, entry=rng.randrange(2), want=rng.choice([0, 1, 5, NONE]))
        assert answer[0] in (GRANTED, POOL_FULL) and answer[2] <= 10
        s.say(LOOK)
        assert inflight(b) <= 3 + 10
    wait_until(lambda: inflight(b) <= 13, what="no more than it may have")
    assert broker_of(b) == broker
    for p in mine:
        honest.report(p["number"])
    assert honest.counts("load", "app", 5)["ok"] == 20
    s.purse[:] = b"\xff" * len(s.purse)
    s.close()
    wait_until(lambda: inflight(b) <= 10, what="the honest one's places")
    s.purse[:] = bytes(len(s.purse))  # its process lives, so it has what it says to use: nothing
    wait_inflight(b, 0)
    assert broker_of(b) == broker and judge.most <= 4


def test_who_asked_for_a_place_finds_it(lending, strangers, origins):
    """Idle places go back ten times a second; one that was granted this moment is not idle, but on its way."""
    b = lending(origins(1), each=3)
    s = strangers(b)
    assert s.ask(HELLO)[0] == GRANTED
    s.ask(SETTLED)
    for _ in range(40):
        end = Deadline(0.4)
        assert s.ask(TAKE)[0] == GRANTED
        turn = Deadline(0.03)
        wait_until(lambda: turn.over, what="somebody else's turn on a busy machine")
        granted = struct.unpack_from("<Q", s.purse, len(s.purse) - 16384 * 8)[0] >> 32
        assert granted == 1 or end.over
        s.say(LOOK)
        wait_inflight(b, 0)


def test_a_thousand_clients_of_one_process(lending, drivers, strangers, origins):
    b = lending(origins(1), each=2000, leases=1000)
    all = []
    for _ in range(1000):
        all.append(strangers(b))
        all[-1].row = all[-1].ask(HELLO)[1]
    rows = {s.row for s in all}
    assert rows == set(range(1000))
    late = strangers(b)
    assert late.ask(HELLO) in ((NO_LEASE, 0, 0), None)
    for s in all:
        s.ask(SETTLED)
        struct.pack_into("<Q", s.purse, len(s.purse) - 16384 * 8, 1)  # it will be in use
        assert s.ask(TAKE)[0] == GRANTED
    assert inflight(b) == 1000
    for s in all[:500]:
        s.say(BYE)
        s.close()
    wait_inflight(b, 500)
    for s in all[500:]:  # no goodbye: the process lives, so they are in use
        s.close()
    wait_until(lambda: drivers(b).pick("app")["result"] == "ok", what="a free lease")
    assert inflight(b) >= 500
    again, other = strangers(b), strangers(b)
    assert other.ask(HELLO, row=all[500].row)[1] != all[500].row  # of the same process, but not the same client
    again.id = all[500].id
    assert again.ask(HELLO, row=all[500].row)[1] == all[500].row
    again.say(BYE)
    again.close()
    wait_until(lambda: inflight(b) <= 500, what="one came back and said goodbye")
    for s in all[501:]:
        s.purse[:] = bytes(len(s.purse))
    wait_until(lambda: inflight(b) <= 1, what="idle places come back")


def test_only_the_group_may_ask(lending, origins):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    b = lending(origins(1))
    path = f"/dev/shm/ballast.{b.pid}.lease"
    assert os.stat(path).st_mode & 0o777 == 0o600
    text = f"import socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.connect({path!r})"
    done = subprocess.run(["/usr/bin/python3", "-c", text], capture_output=True, text=True, user=65534, group=65534, extra_groups=[])
    assert "PermissionError" in done.stderr


def test_a_member_of_the_group_takes_part(lending, origins):
    import grp
    if os.geteuid() != 0:
        pytest.skip("needs root")
    b = lending(origins(1), more=f'table_group = "{grp.getgrgid(65534).gr_name}"')
    info = os.stat(f"/dev/shm/ballast.{b.pid}.lease")
    assert (info.st_mode & 0o777, info.st_gid) == (0o660, 65534)
    d = subprocess.Popen([os.path.join(BUILD, "tests/func/client_driver")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         bufsize=1, env=environment(), user=65534, group=65534, extra_groups=[])
    d.stdin.write(f"open pid:{b.pid} 0 - -\npick app\n")
    assert d.stdout.readline() == "opened\n" and d.stdout.readline().startswith("ok 0 b1 ")
    assert inflight(b) == 1
    d.stdin.close()
    assert d.wait(20) == 0
    d.stdout.close()
    wait_inflight(b, 0)


def test_there_is_no_broker_without_the_option(ballast, origins):
    b = ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}\n'
                f'pools = {{ app = {{ backends = {origins(1).list_text}, health = {{ type = "none" }} }} }}\n')
    assert broker_of(b) is None and not os.path.lexists(f"/dev/shm/ballast.{b.pid}.lease")
    with open(b.conf_path, encoding="utf-8") as f:
        text = f.read()
    refused = b.reload_refused("client_leases = 4\n" + text, raw=True)
    assert 'changing client_leases from "none" to "some" needs a restart' in refused


@pytest.mark.parametrize("line,said", [("client_leases = 1025", "client_leases"), ("client_leases = -1", "client_leases"),
                                       ("client_lease_connections = 0", "client_lease_connections"),
                                       ('client_reports = "maybe"', "client_reports"), ("client_lease = 1", "did you mean")])
def test_bad_values_are_refused(tmp_path, line, said):
    conf = tmp_path / "bad.conf"
    conf.write_text(line + '\nlisteners = { web = { bind = "*:8080", pool = "app" } }\npools = { app = { backends = [ "127.0.0.1:1" ] } }\n')
    done = run("check", "-c", conf)
    assert done.returncode == 1 and "bad.conf:1: error: " in done.stdout + done.stderr and said in done.stdout + done.stderr
