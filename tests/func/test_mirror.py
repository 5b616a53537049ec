"""Copies of requests for another pool: whole, whatever their size, and never in the way."""

import os
import threading

import pytest

from lib import http
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

TO_BOTH = """listeners = {{ web = {{ bind = "127.0.0.1:{port}", limits = {{ body_size = "100m" }},
    routes = ( {{ path = "/", pool = "app", mirror = "copy" }} ) }} }}
pools = {{ app = {{ backends = [ "{app}" ], health = {{ type = "none" }} }}
           copy = {{ backends = [ "{copy}" ], health = {{ type = "none" }} }} }}"""


def test_copies_go_to_another_pool(ballast, origin):
    port, app, copy = free_port(), origin(id="app"), origin(id="copy")
    ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}",
              routes = ( {{ path = "/m/", pool = "app", mirror = "copy", strip_prefix = true }}, {{ path = "/", pool = "app" }} ) }} }}
        pools = {{ app = {{ backends = [ "{app.address}" ], health = {{ type = "none" }} }}
                   copy = {{ backends = [ "{copy.address}" ], health = {{ type = "none" }} }} }}''')
    copy.script["/x"] = reply(500, "broken")
    copy.hold()  # it may take its time
    with http.Client(port) as c:
        assert c.request("POST", "/m/echo?a=b", [], b"hello").body == b"hello"
        assert c.get("/m/x").text == "app" and c.get("/y").text == "app"
    copy.release()
    wait_until(lambda: len(copy.requests) == 2, what="two copies")
    first = next(r for r in copy.requests if r.method == "POST")
    assert (first.target, first.body) == ("/echo?a=b", b"hello")
    copy.stop()
    assert http.get(port, "/m/x").text == "app"


@pytest.fixture
def mirrored(ballast, origin):
    """(port, the pool that gets copies)"""
    port, app, copy = free_port(), origin(id="app"), origin(id="copy")
    ballast(TO_BOTH.format(port=port, app=app.address, copy=copy.address))
    return port, copy


def followed(copy, pieces, piece):
    """A copy that falls back by more than is held for it is broken off: the origin of a busy machine gets its time."""
    so_far = sum(map(len, pieces[:pieces.index(piece) + 1]))
    wait_until(lambda: copy.received >= so_far, what="the copy to follow")


@pytest.mark.parametrize("size", [20_000, 100_000, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_come_in_pieces(mirrored, size, chunked):
    port, copy = mirrored
    body = os.urandom(size)
    pieces = [body[i:i + 30_000] for i in range(0, size, 30_000)]
    with http.Client(port) as c:
        if chunked:
            c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in pieces:
                c.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
                followed(copy, pieces, piece)
            c.send(b"0\r\n\r\n")
        else:
            c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            for piece in pieces:
                c.send(piece)
                followed(copy, pieces, piece)
        assert c.read().body == body
        wait_until(lambda: len(copy.requests) == 1, what="the copy")
        assert copy.requests[0].body == body
        assert c.get("/x").text == "app"


def refuse(sock, _):
    sock.recv(1000)
    sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")


def close_at_once(sock, _):
    sock.close()


@pytest.mark.parametrize("odd", [refuse, close_at_once, None])
def test_a_copy_that_cannot_follow_is_left_behind(ballast, tcp_origin, origin, odd):
    """The second pool refuses after the head, or goes, or reads nothing at all: the first one gets it all."""
    over = threading.Event()
    port, app = free_port(), origin(id="app")
    copy = tcp_origin(odd or (lambda sock, _: over.wait(60)))
    ballast(TO_BOTH.format(port=port, app=app.address, copy=copy.address))
    body = os.urandom(30_000_000)
    with http.Client(port, timeout=60) as c:
        for _ in range(2):
            assert c.request("POST", "/echo", [], body).body == body
    over.set()


def test_a_client_that_leaves_takes_its_copy_with_it(ballast, origin, recording_origin):
    port, app, copy = free_port(), origin(id="app"), recording_origin()
    ballast(TO_BOTH.format(port=port, app=app.address, copy=copy.address))
    with http.Client(port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(50_000))
        wait_until(lambda: len(copy.raw) > 40_000, what="a copy on its way")
    wait_until(lambda: copy.connections[0].eof, what="its end")
    assert http.get(port, "/x").text == "app"
