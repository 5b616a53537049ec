"""Small chunks of tunnels leave together at the end of a turn: whoever does not read, resets, half-closes, or loses its worker
meanwhile, everything arrives once, in order, and before the end; and all is counted and given back."""

import functools
import json
import os
import random
import socket
import sys
import threading

import pytest

from lib import procs
from lib.ballast import run
from lib.net import connect, free_port, reset
from lib.wait import wait_until

UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n"
NO_URING = (sys.executable, os.path.join(os.path.dirname(__file__), "lib", "no_uring.py"))


def head_of(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    return head


@pytest.fixture
def tunnels(ballast, tcp_origin):
    """tunnels(handler): an instance with one worker; connect("tcp" or "ws") is a tunnel to the handler."""

    class Tunnels:
        def __init__(self, handler, together="true", limits="", top="", **options):
            def upgraded(sock, number):
                head_of(sock)
                sock.sendall(SWITCHED)
                handler(sock, number)

            self.tcp, self.web = free_port(), free_port()
            self.backends = tcp_origin(handler), tcp_origin(upgraded)
            self.limits, self.top = limits, top
            self.ballast = ballast(self.text(together), **{"workers": 1, **options})

        def text(self, together):
            return f"""
io_uring = {together}
{self.top}
listeners = {{
  t = {{ bind = "127.0.0.1:{self.tcp}", protocol = "tcp", pool = "t"{self.limits} }}
  w = {{ bind = "127.0.0.1:{self.web}", pool = "w"{self.limits} }}
}}
pools = {{
  t = {{ backends = [ "{self.backends[0].address}" ], health = {{ type = "none" }} }}
  w = {{ backends = [ "{self.backends[1].address}" ], health = {{ type = "none" }} }}
}}
"""

        def connect(self, kind):
            s = socket.socket()
            s.settimeout(60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.connect(("127.0.0.1", self.tcp if kind == "tcp" else self.web))
            if kind == "ws":
                s.sendall(UPGRADE)
                assert head_of(s).startswith(b"HTTP/1.1 101 ")
            return s

        @property
        def pid(self):
            return list(self.ballast.worker_pids.values())[0]

        def bytes(self, direction, listener="t"):
            """What this listener's clients sent ("in"), or were sent ("out")."""
            name = "received" if direction == "in" else "sent"
            return self.ballast.metrics()[f'ballast_{name}_bytes_total{{listener="{listener}"}}']

        def wait_quiet(self):
            def quiet():
                stats = self.ballast.admin("/lb/stats")
                return stats["active_connections"] + sum(d["current_connections"] for d in stats["server_details"]) == 0

            wait_until(quiet, 30, "nothing in flight")

        def wait_blocked(self, direction):
            seen = [self.bytes(direction) + self.bytes(direction, "w")]

            def blocked():
                seen.append(self.bytes(direction) + self.bytes(direction, "w"))
                return seen[-1] > 10_000 and len(set(seen[-5:])) == 1

            wait_until(blocked, 40, "nobody takes more")

    return Tunnels


@functools.lru_cache
def words(first, count):
    return b"".join(b"%09d " % i for i in range(first, first + count))


def say(sock, total, end=True, chunk=40, pace=None):
    """Small chunks of a text that says where it is."""
    for at in range(0, total, chunk):
        sock.sendall(words(at, chunk))
        if pace:
            pace()
    if end:
        sock.shutdown(socket.SHUT_WR)


def say_one_by_one(sock, total, ping):
    """The same, each chunk received before the next: something else is echoed by the same worker meanwhile."""
    def pace():
        ping.sendall(b".")
        assert ping.recv(1) == b"."

    ping.sendall(b"e")
    say(sock, total, chunk=300, pace=pace)
    ping.close()


def read_to_end(sock):
    """(bytes, "eof" or "reset")"""
    data = bytearray()
    try:
        while more := sock.recv(1 << 16):
            data += more
    except ConnectionResetError:
        return bytes(data), "reset"
    return bytes(data), "eof"


def exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        assert more, f"the end after {len(data)} of {n} bytes"
        data += more
    return data


def echo(sock, number):
    while data := sock.recv(65536):
        sock.sendall(data)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def together(threads):
    threads = [threading.Thread(target=t, daemon=True) for t in threads]
    for t in threads:
        t.start()
    return threads


def join(threads):
    for t in threads:
        t.join(90)
        assert not t.is_alive()


WORDS = 450_000  # more than buffers hold
KINDS = ("tcp", "tcp", "ws", "ws")


@pytest.mark.parametrize("io_uring", ["true", "false", "refused"])
def test_clients_that_read_late_get_everything(tunnels, io_uring):
    """Several at once, whose backends say more, in small chunks and to the end, than buffers hold; then they answer."""
    after, problems = [], []

    def handler(sock, number):
        sock.settimeout(60)
        if sock.recv(1) == b"e":
            echo(sock, number)
            return
        try:
            say_one_by_one(sock, WORDS, t.connect("ws"))
            after.append(read_to_end(sock))
        except OSError as error:
            problems.append(error)

    t = tunnels(handler, **{"together": "true", "prefix": NO_URING} if io_uring == "refused" else {"together": io_uring})
    socks = [t.connect(kind) for kind in KINDS]
    for s in socks:
        s.sendall(b"s")
    t.wait_blocked("out")
    before = cpu_ticks(t.pid)
    got = [None] * len(socks)

    def read(i):
        got[i] = read_to_end(socks[i])

    join(together([lambda i=i: read(i) for i in range(len(socks))]))
    assert problems == []
    assert [g == (words(0, WORDS), "eof") for g in got] == [True] * len(socks)
    for s in socks:
        s.sendall(b"thanks")
        s.close()
    wait_until(lambda: after == [(b"thanks", "eof")] * len(socks), what="the other direction")
    assert cpu_ticks(t.pid) - before < 600
    t.wait_quiet()
    assert t.bytes("out") == 2 * 10 * WORDS and t.bytes("in") == 2 * len(b"sthanks")


def test_backends_that_read_late_get_everything(tunnels):
    gate, got = threading.Event(), []

    def handler(sock, number):
        sock.settimeout(60)
        if sock.recv(1) == b"e":
            echo(sock, number)
            return
        gate.wait(60)
        got.append(read_to_end(sock))
        sock.sendall(b"thanks")

    t = tunnels(handler)
    socks = [t.connect(kind) for kind in KINDS]
    for s in socks:
        s.sendall(b"s")
    threads = together([lambda s=s: say_one_by_one(s, WORDS, t.connect("ws")) for s in socks])
    t.wait_blocked("in")
    gate.set()
    join(threads)
    for s in socks:
        assert read_to_end(s) == (b"thanks", "eof")
        s.close()
    assert [g == (words(0, WORDS), "eof") for g in got] == [True] * len(socks)
    t.wait_quiet()
    assert t.bytes("in") == 2 * (10 * WORDS + 1) and t.bytes("out") == 2 * len(b"thanks")


@pytest.mark.parametrize("kind", ["tcp", "ws"])
def test_one_byte_there_and_back(tunnels, kind):
    t = tunnels(echo)
    rounds = 200

    def play():
        with t.connect(kind) as s:
            for i in range(rounds):
                s.sendall(b"%c" % (i % 256))
                assert s.recv(2) == b"%c" % (i % 256)
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""
        done.append(1)

    done = []
    join(together([play] * 12))
    assert len(done) == 12
    t.wait_quiet()
    if kind == "tcp":
        assert t.bytes("in") == t.bytes("out") == 12 * rounds


def test_sizes_of_all_kinds_both_ways_at_once(tunnels):
    """Chunks that wait, that do not, and that are moved by a pipe, from both ends without a pause."""
    sizes = (1, 7, 100, 1000, 4095, 4096, 4097, 20_000, 70_000, 300_000)
    source = os.urandom(1 << 20)

    def send(sock, seed):
        draw = random.Random(seed)
        for _ in range(60):
            n = draw.choice(sizes)
            sock.sendall(source[draw.randrange(1000):][:n])
        sock.shutdown(socket.SHUT_WR)

    def sent_by(seed):
        draw = random.Random(seed)
        out = b""
        for _ in range(60):
            n = draw.choice(sizes)
            out += source[draw.randrange(1000):][:n]
        return out

    def both(sock, send_seed, read_seed):
        sender = together([lambda: send(sock, send_seed)])
        results.append(read_to_end(sock) == (sent_by(read_seed), "eof"))
        join(sender)

    def handler(sock, number):
        sock.settimeout(60)
        seed = int(exactly(sock, 4))
        both(sock, seed + 1000, seed)

    def play(i):
        with t.connect(KINDS[i % len(KINDS)]) as s:
            s.sendall(b"%04d" % i)
            both(s, i, i + 1000)

    results = []
    t = tunnels(handler)
    join(together([lambda i=i: play(i) for i in range(6)]))
    wait_until(lambda: len(results) == 12)
    assert results == [True] * 12
    t.wait_quiet()


def test_who_resets_in_the_middle_hurts_nobody_else(tunnels):
    """Clients and backends go away, by FIN and by RST, while chunks from and for them wait; the others lose nothing."""
    def handler(sock, number):
        sock.settimeout(60)
        kind = sock.recv(1)
        if kind == b"e":
            echo(sock, number)
        elif kind == b"r":
            sock.sendall(b"x" * 100)
            reset(sock)
        else:
            try:
                for _ in range(500):
                    sock.sendall(b"y" * 300)
            except OSError:
                pass

    t = tunnels(handler)
    stop, wrong, rounds = threading.Event(), [], [0]

    def steady(kind):
        with t.connect(kind) as s:
            s.sendall(b"e")
            while not stop.is_set():
                s.sendall(b"abcdefgh" * 20)
                if exactly(s, 160) != b"abcdefgh" * 20:
                    wrong.append(kind)
                rounds[0] += 1

    threads = together([lambda k=k: steady(k) for k in KINDS])
    for i in range(120):
        s = t.connect(KINDS[i % 4])
        s.sendall((b"r", b"y", b"y")[i % 3])
        if i % 3 == 0:
            assert read_to_end(s)[1] == "reset"
        elif i % 3 == 1:
            s.recv(1)
            s.sendall(b"z" * 100)
            reset(s)
        s.close()
    level = rounds[0]
    wait_until(lambda: rounds[0] > level + 50, what="the others go on")
    stop.set()
    join(threads)
    assert wrong == []
    t.wait_quiet()
    before = cpu_ticks(t.pid)
    t.bytes("in")
    assert cpu_ticks(t.pid) - before < 20


def test_half_closed_behind_a_burst(tunnels):
    """The end comes right behind small chunks, from either side, again and again."""
    def handler(sock, number):
        sock.settimeout(60)
        say(sock, 400)
        got.append(read_to_end(sock))

    got = []
    t = tunnels(handler)

    def play(kind):
        for _ in range(15):
            with t.connect(kind) as s:
                say(s, 400)
                assert read_to_end(s) == (words(0, 400), "eof")
        done.append(1)

    done = []
    join(together([lambda k=k: play(k) for k in KINDS]))
    assert len(done) == 4
    wait_until(lambda: len(got) == 60)
    assert got == [(words(0, 400), "eof")] * 60
    t.wait_quiet()


def busy(t, stop, hello=b""):
    """Threads that ping through every kind of tunnel until told to stop."""
    rounds, wrong = [0], []

    def ping(kind):
        with t.connect(kind) as s:
            s.sendall(hello)
            while not stop.is_set():
                text = b"%020d" % rounds[0]
                s.sendall(text)
                if exactly(s, 20) != text:
                    wrong.append(kind)
                rounds[0] += 1

    return together([lambda k=k: ping(k) for k in KINDS]), rounds, wrong


def test_a_reload_turns_it_on_and_off(tunnels):
    t = tunnels(echo)
    stop = threading.Event()
    threads, rounds, wrong = busy(t, stop)
    for state in ("false", "true") * 3:
        level = rounds[0]
        t.ballast.reload(t.text(state))
        wait_until(lambda: rounds[0] > level + 100, what="traffic")
    stop.set()
    join(threads)
    assert wrong == []
    t.wait_quiet()


def test_an_upgrade_with_bytes_on_their_way(tunnels):
    """Pings go on through every hand-over; who reads late gets what an older worker had received for it."""
    def handler(sock, number):
        sock.settimeout(60)
        if sock.recv(1) == b"e":
            echo(sock, number)
        else:
            say(sock, WORDS)

    t = tunnels(handler)
    late = [t.connect(kind) for kind in KINDS]
    for s in late:
        s.sendall(b"s")
    stop = threading.Event()
    threads, rounds, wrong = busy(t, stop, b"e")
    wait_until(lambda: t.bytes("out") > 100_000, 30)
    for _ in range(2):
        level, before = rounds[0], t.ballast.worker_pids
        done = run("upgrade", "--pid", t.ballast.pid)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        wait_until(lambda: not any(procs.alive(pid) for pid in before.values()), 30, "the old worker is gone")
        wait_until(lambda: rounds[0] > level + 50, what="traffic")
    got = [None] * len(late)

    def read(i):
        got[i] = read_to_end(late[i])

    join(together([lambda i=i: read(i) for i in range(len(late))]))
    assert [g == (words(0, WORDS), "eof") for g in got] == [True] * len(late)
    stop.set()
    join(threads)
    assert wrong == []
    for s in late:
        s.close()
    t.wait_quiet()


@pytest.mark.parametrize("how", [15, 3])
def test_a_stop_lets_the_bytes_through(tunnels, how):
    """Told to stop in the middle of bursts, it ends when the tunnels do, with all that was said."""
    def handler(sock, number):
        sock.settimeout(60)
        sock.recv(1)
        say(sock, WORDS // 5)

    t = tunnels(handler, top='drain_timeout = "60s"')
    socks = [t.connect(kind) for kind in KINDS]
    for s in socks:
        s.sendall(b"s")
    wait_until(lambda: t.bytes("out") > 10_000, 30)
    t.ballast.signal(how)
    got = [None] * len(socks)

    def read(i):
        got[i] = read_to_end(socks[i])
        socks[i].close()

    join(together([lambda i=i: read(i) for i in range(len(socks))]))
    assert [g == (words(0, WORDS // 5), "eof") for g in got] == [True] * len(socks)
    t.ballast.stopped = True
    assert t.ballast.wait() == 0


def test_nobody_reads_and_the_idle_timeout_ends_it(tunnels):
    """What waits is no activity."""
    def handler(sock, number):
        sock.settimeout(2)
        try:
            say(sock, WORDS, end=False)
        except OSError:
            pass
        sock.settimeout(60)
        read_to_end(sock)

    t = tunnels(handler, limits=', timeouts = { idle = "1s" }')
    socks = [t.connect(kind) for kind in KINDS]
    t.wait_quiet()
    for s in socks:
        got = read_to_end(s)[0]
        assert got and got == words(0, WORDS)[:len(got)]
        s.close()


def test_an_access_log_counts_all_bytes(tunnels, tmp_path):
    path = tmp_path / "log"
    t = tunnels(echo, limits=f', access_log = {{ target = "{path}", format = "json" }}')

    def play():
        with t.connect("tcp") as s:
            for i in range(50):
                s.sendall(b"12345")
                assert exactly(s, 5) == b"12345"
            s.sendall(b"bye")
            reset(s)

    join(together([play] * 8))
    t.wait_quiet()
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) == 8)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(250 <= line[way] <= 253 for line in lines for way in ("bytes_in", "bytes_out")), lines
