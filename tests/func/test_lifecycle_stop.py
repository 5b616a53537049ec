"""How it ends: TERM, INT, QUIT, twice, and a master that is killed."""

import os
import signal
import socket

import pytest

from lib import http, procs
from lib.ballast import Ballast
from lib.net import connect, free_port, listening
from lib.wait import wait_until


def conf(port, backend, drain="20s"):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend.address}" ] }} }}
drain_timeout = "{drain}"
"""


class Held:
    """An instance with one request in flight that its origin holds."""

    def __init__(self, ballast, origin, drain="20s", start_request=True):
        self.port, self.origin = free_port(), origin("b1")
        self.ballast = ballast(conf(self.port, self.origin, drain))
        self.origin.hold()
        self.client = http.Client(self.port)
        if start_request:
            self.client.send(http.build_request("GET", "/held"))
            wait_until(lambda: self.origin.waiting == 1, what="the request reached the origin")

    def wait_closed(self):
        wait_until(lambda: not listening(self.port), what="the port is closed")

    def finish(self):
        self.origin.release()
        return self.client.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["TERM", "INT", "QUIT"])
def test_stop_finishes_what_is_in_flight(ballast, origin, number):
    held = Held(ballast, origin)
    held.ballast.signal(number)
    held.wait_closed()
    assert held.ballast.running()
    response = held.finish()
    assert response.status == 200 and response.text == "b1"
    assert held.client.eof()
    held.ballast.stop(number=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_drain_timeout_ends_it(ballast, origin, number):
    held = Held(ballast, origin, drain="300ms")
    held.ballast.stop(number)
    assert held.client.eof()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_second_signal_ends_it_at_once(ballast, origin, number):
    held = Held(ballast, origin, drain="1h")
    held.ballast.signal(number)
    held.wait_closed()
    assert held.ballast.running()
    held.ballast.stop(number)
    assert held.client.eof()


def test_quit_knows_no_limit(ballast, origin):
    """drain_timeout is over long before the request is; QUIT waits all the same."""
    held = Held(ballast, origin, drain="100ms")
    held.ballast.signal(signal.SIGQUIT)
    held.wait_closed()
    assert not held.client.eof(deadline=1.0)
    assert held.finish().status == 200
    held.ballast.stop(number=0)


def test_term_after_quit_sets_the_limit(ballast, origin):
    held = Held(ballast, origin, drain="100ms")
    held.ballast.signal(signal.SIGQUIT)
    held.wait_closed()
    held.ballast.stop(signal.SIGTERM)
    assert held.client.eof()


def test_idle_connections_do_not_hold_it(ballast, origin):
    held = Held(ballast, origin, drain="1h", start_request=False)
    held.origin.release()
    assert held.client.get().status == 200
    held.ballast.stop()
    assert held.client.eof()


def test_idle_instance_stops(ballast, origin):
    b = ballast(conf(free_port(), origin("b1")))
    b.stop()


def test_tunnel_is_cut_at_the_drain_timeout(ballast, tcp_echo):
    port, echo = free_port(), tcp_echo()
    b = ballast(f"""
listeners = {{ raw = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{echo.address}" ] }} }}
drain_timeout = "300ms"
""")
    with connect(port) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        b.stop()
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass


def test_master_killed_children_finish_and_leave(ballast, origin):
    held = Held(ballast, origin)
    b = held.ballast
    b.expect_crash = True
    children = wait_until(lambda: len(b.table) == 4 and b.table)
    os.kill(b.pid, signal.SIGKILL)
    b.wait()
    wait_until(lambda: not listening(held.port), what="the port is free")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", held.port))
    assert held.finish().status == 200
    wait_until(lambda: not any(procs.alive(pid) for pid in children.values()), 20, "the children leave")


def test_restart_while_the_children_of_a_killed_master_still_drain(ballast, origin):
    held = Held(ballast, origin)
    b = held.ballast
    b.expect_crash = True
    os.kill(b.pid, signal.SIGKILL)
    b.wait()
    held.wait_closed()
    other = origin("b2")
    second = ballast(conf(held.port, other))
    assert http.get(held.port).text == "b2"
    assert held.finish().text == "b1"
    second.stop()


def test_the_next_start_removes_what_a_killed_master_left(ballast, origin):
    held = Held(ballast, origin, start_request=False)
    b = held.ballast
    b.expect_crash = True
    table, kept = f"/dev/shm/ballast.{b.pid}", f"/dev/shm/ballast-test.{b.pid}"
    os.link(table, kept)
    try:
        os.kill(b.pid, signal.SIGKILL)
        b.wait()
        wait_until(lambda: not procs.in_session(b.session), what="the children leave")
        if not os.path.exists(table):  # another test's instance started meanwhile and did what is asked for here
            os.link(kept, table)
        ballast(conf(held.port, held.origin))
        assert not os.path.exists(table)
    finally:
        os.unlink(kept)


def test_stop_while_starting(tmp_path, origin):
    """TERM at any moment of the start ends it with status 0 and without leftovers."""
    one = origin("b1")
    for number in range(5):
        folder = tmp_path / f"start{number}"
        folder.mkdir()
        b = Ballast(folder, conf(free_port(), one), wait=False)
        try:
            wait_until(lambda: not b.running() or len(procs.children(b.pid)) >= number, what=f"{number} children")
            if number == 0:
                wait_until(lambda: "ballast" in procs.title(b.pid))
            b.signal(signal.SIGTERM)
            assert b.wait() in (0, -signal.SIGTERM), b.log()
            b.check_clean()
        finally:
            b.expect_crash = True
            b.close()
