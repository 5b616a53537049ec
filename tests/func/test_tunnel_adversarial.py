"""Tunnels (TCP, and HTTP after 101) against peers that stop, vanish or do not read."""

import os
import socket
import threading

import pytest

from lib import procs
from lib.net import connect, free_port, read_to_end, reset
from lib.wait import wait_until

UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n"


@pytest.fixture(params=["tcp", "http"])
def tunnel(request, ballast, tcp_origin):
    """tunnel(handler): connect() is a tunnel to it, made by a TCP listener or by an upgrade."""

    class Tunnel:
        def __init__(self, handler, timeouts=""):
            upgraded = request.param == "http"

            def serve(sock, number):
                if upgraded:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += sock.recv(1)
                    sock.sendall(SWITCHED)
                handler(sock, number)

            self.upgraded, self.port, self.origin = upgraded, free_port(), tcp_origin(serve)
            self.ballast = ballast(f"""
listeners = {{ t = {{ bind = "127.0.0.1:{self.port}", protocol = "{request.param}", pool = "t"{timeouts} }} }}
pools = {{ t = {{ backends = [ "{self.origin.address}" ], health = {{ type = "none" }} }} }}
""", workers=1)
            self.pid = list(self.ballast.worker_pids.values())[0]

        def connect(self, early=b""):
            """A socket inside the tunnel; early goes together with what opens it."""
            s = connect(self.port, 20)
            s.sendall((UPGRADE if self.upgraded else b"") + early)
            if self.upgraded:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += s.recv(1)
                assert head.startswith(b"HTTP/1.1 101 ")
            return s

        def in_flight(self):
            stats = self.ballast.admin("/lb/stats")
            return stats["active_connections"] + sum(d["current_connections"] for d in stats["server_details"])

        def wait_quiet(self):
            wait_until(lambda: self.in_flight() == 0, 20, "nothing in flight")

    return Tunnel


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def echo(sock, number):
    while data := sock.recv(65536):
        sock.sendall(data)


def test_bytes_that_come_with_the_opening_are_not_lost(tunnel):
    def handler(sock, number):
        sock.sendall(b"hello ")
        echo(sock, number)

    t = tunnel(handler)
    for size in (1, 1000, 16000, 200_000):
        early = os.urandom(size)
        with t.connect(early) as s:
            s.shutdown(socket.SHUT_WR)
            assert read_to_end(s) == (b"hello " + early, "eof")
    t.wait_quiet()


def test_half_close_with_back_pressure(tunnel):
    """The client's end comes while megabytes wait behind a backend that does not read yet; the answer waits for the client."""
    gate, got = threading.Event(), []

    def handler(sock, number):
        gate.wait(20)
        got.append(read_to_end(sock))
        sock.sendall(b"b" * 9_000_000)

    t = tunnel(handler)
    data = os.urandom(9_000_000)
    with t.connect() as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        before = cpu_ticks(t.pid)
        wait_until(lambda: t.ballast.admin("/lb/stats")["bytes_in"] > 100_000, what="bytes in the balancer")
        gate.set()
        wait_until(lambda: got, 30, "everything at the backend")
        assert got == [(data, "eof")]
        assert read_to_end(s) == (b"b" * 9_000_000, "eof")
        sender.join(20)
        assert cpu_ticks(t.pid) - before < 300
    t.wait_quiet()


def test_half_close_by_the_backend_with_back_pressure(tunnel):
    got = []

    def handler(sock, number):
        sock.sendall(b"b" * 9_000_000)
        sock.shutdown(socket.SHUT_WR)
        got.append(read_to_end(sock))

    t = tunnel(handler)
    with t.connect() as s:
        assert read_to_end(s) == (b"b" * 9_000_000, "eof")
        s.sendall(b"after")
        s.shutdown(socket.SHUT_WR)
        wait_until(lambda: got == [(b"after", "eof")], what="the rest at the backend")
    t.wait_quiet()


def test_reset_by_the_client_is_passed_on(tunnel):
    got = []

    def handler(sock, number):
        sock.sendall(b"x")
        got.append(read_to_end(sock))

    t = tunnel(handler)
    s = t.connect(b"some")
    assert s.recv(1) == b"x"
    reset(s)
    wait_until(lambda: got, what="the end at the backend")
    assert got[0][1] == "reset"
    t.wait_quiet()


def test_reset_by_the_backend_is_passed_on(tunnel):
    def handler(sock, number):
        sock.recv(4)
        reset(sock)

    t = tunnel(handler)
    for _ in range(5):
        with t.connect() as s:
            s.sendall(b"some")
            assert read_to_end(s)[1] == "reset"
    t.wait_quiet()


def test_what_the_backend_said_before_it_vanished_arrives(tunnel):
    """It answers, closes without reading everything (a reset), and the client is still sending."""
    def handler(sock, number):
        sock.sendall(b"a" * 50_000)

    t = tunnel(handler)
    for _ in range(10):
        with t.connect() as s:
            try:
                s.sendall(b"x" * 500_000)
            except ConnectionError:
                pass
            assert read_to_end(s)[0] == b"a" * 50_000
    t.wait_quiet()


def test_neither_side_reads(tunnel):
    """Both directions full: nothing is busy, nothing grows, the idle timeout ends it."""
    started = threading.Event()

    def handler(sock, number):
        sock.setblocking(False)
        fill(sock)
        started.set()
        sock.setblocking(True)
        threading.Event().wait(6)

    def fill(sock):
        try:
            while True:
                sock.send(b"f" * 65536)
        except OSError:
            return

    t = tunnel(handler, ', timeouts = { idle = "1s" }')
    s = t.connect()
    s.setblocking(False)
    fill(s)
    assert started.wait(10)
    fill(s)
    before, memory = cpu_ticks(t.pid), procs.memory_kb(t.pid)
    t.wait_quiet()
    assert cpu_ticks(t.pid) - before < 30
    if "asan" not in os.environ.get("BALLAST_BIN", ""):  # it keeps what was freed
        assert procs.memory_kb(t.pid) < memory + 2000
    s.close()


def test_one_direction_ended_and_the_other_idle_costs_nothing(tunnel):
    def handler(sock, number):
        read_to_end(sock)
        threading.Event().wait(6)

    t = tunnel(handler, ', timeouts = { idle = "1s" }')
    with t.connect() as s:
        s.shutdown(socket.SHUT_WR)
        before = cpu_ticks(t.pid)
        assert read_to_end(s)[0] == b""
        assert cpu_ticks(t.pid) - before < 30
    t.wait_quiet()


def test_vanishing_in_a_crowd_gives_everything_back(tunnel):
    t = tunnel(echo)
    before = len(procs.descriptors(t.pid))
    for round_ in range(3):
        socks = [t.connect(b"x" * 1000) for _ in range(20)]
        for i, s in enumerate(socks):
            if i % 3 == 0:
                reset(s)
            elif i % 3 == 1:
                s.shutdown(socket.SHUT_WR)
                assert read_to_end(s) == (b"x" * 1000, "eof")
                s.close()
            else:
                s.close()
        t.wait_quiet()
    assert len(procs.descriptors(t.pid)) <= before
    t.origin.cut(with_reset=True)
    with t.connect(b"still") as s:
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == (b"still", "eof")


def test_stop_lets_a_tunnel_finish(tunnel):
    t = tunnel(echo)
    with t.connect() as s:
        s.sendall(b"one")
        assert s.recv(3) == b"one"
        t.ballast.signal(15)
        wait_until(lambda: "stopping" in t.ballast.log() or "drain" in t.ballast.log(), what="the stop noticed")
        s.sendall(b"two")
        assert s.recv(3) == b"two"
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == (b"", "eof")
    t.ballast.stopped = True
    assert t.ballast.wait() == 0


def test_connect_into_a_full_backlog_ends(ballast):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(full.getsockname())
            fill.append(s)
        port = free_port()
        b = ballast(f"""
listeners = {{ t = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "t" }} }}
pools = {{ t = {{ backends = [ "127.0.0.1:{full.getsockname()[1]}" ], health = {{ type = "none" }}, timeouts = {{ connect = "300ms" }} }} }}
""")
        with connect(port) as s:
            s.sendall(b"early")
            assert read_to_end(s)[0] == b""
        wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0, what="given back")
        assert b.admin("/lb/stats")["server_details"][0]["current_connections"] == 0
        for s in fill:
            s.close()
