"""What a worker has to read in one turn is received together. Here a worker is stopped until much has come, so that all of it is there
in one turn: requests and answers of all sizes, ends and resets side by side."""

import contextlib
import os
import signal
import socket

import pytest

from lib import http, procs
from lib.net import connect, free_port, read_to_end, reset
from lib.wait import wait_until

SIZES = (0, 1, 200, 4096, 15_000, 16_100, 16_300, 16_384, 20_000, 66_000, 300_000)


@pytest.fixture(params=["true", "false"])
def scene(ballast, origins, tcp_echo, request):
    """One worker, two origins, a TCP listener to an echo; .port, .tcp, .origins, .at_once()"""
    port, tcp, two, echo = free_port(), free_port(), origins(2, keep_requests=False), tcp_echo()
    b = ballast(f"""
io_uring = {request.param}
listeners = {{
  web = {{ bind = "127.0.0.1:{port}", pool = "app", limits = {{ header_size = "60k" }} }}
  raw = {{ bind = "127.0.0.1:{tcp}", protocol = "tcp", pool = "raw" }}
}}
pools = {{
  app = {{ backends = {two.list_text}, health = {{ type = "none" }}, keepalive = 100, retry = {{ on = [ "connect", "reset" ], budget = "100%" }} }}
  raw = {{ backends = [ "{echo.address}" ], health = {{ type = "none" }} }}
}}
""", workers=1)
    b.port, b.tcp, b.origins, b.echo = port, tcp, two, echo
    pid = list(b.worker_pids.values())[0]
    b.at_once = lambda: procs.stopped(pid)
    return b


def clients(scene, stack, count):
    """Each has had an answer, and is idle."""
    made = [stack.enter_context(http.Client(scene.port, timeout=30)) for _ in range(count)]
    for c in made:
        assert c.get("/").status == 200
    return made


def answers(scene, n):
    """So many requests wait at the origins; their answers come at once."""
    wait_until(lambda: sum(o.waiting for o in scene.origins) == n, 20, "requests at the origins")
    with scene.at_once():
        for o in scene.origins:
            o.release()
        wait_until(lambda: sum(o.waiting for o in scene.origins) == 0, 20)


def nobody_left(scene):
    wait_until(lambda: scene.metrics()['ballast_connections{listener="web"}'] == 0, 20, "nobody left")
    wait_until(lambda: scene.metrics()['ballast_connections{listener="raw"}'] == 0, 20, "no tunnel left")


def test_requests_and_answers_of_all_sizes_side_by_side(scene):
    with contextlib.ExitStack() as stack:
        some = clients(scene, stack, 2 * len(SIZES))
        for turn in range(3):
            for o in scene.origins:
                o.hold()
            with scene.at_once():
                for i, c in enumerate(some):
                    n = SIZES[(i + turn) % len(SIZES)]
                    if i % 2:
                        c.send(http.build_request("GET", f"/bytes/{n}", [("X-Long", "l" * min(n, 50_000))]))
                    else:
                        c.send(http.build_request("POST", "/echo", (), "e" * min(n, 10_000)))
            answers(scene, len(some))
            for i, c in enumerate(some):
                n = SIZES[(i + turn) % len(SIZES)]
                r = c.read()
                assert r.status == 200
                assert r.body == (b"0123456789abcdef" * (n // 16 + 1))[:n] if i % 2 else r.body == b"e" * min(n, 10_000)
    nobody_left(scene)


def test_heads_in_parts_and_pipelines(scene):
    """Not everything that comes is one whole request."""
    whole = http.build_request("GET", "/bytes/100")
    with contextlib.ExitStack() as stack:
        some = clients(scene, stack, 18)
        for at in (1, 10, len(whole) - 1):
            with scene.at_once():
                for i, c in enumerate(some):
                    c.send((whole[:at], whole, whole * 3 + whole[:at])[i % 3])
            with scene.at_once():
                for i, c in enumerate(some):
                    c.send(whole[at:] if i % 3 != 1 else whole)
            for i, c in enumerate(some):
                for _ in range((1, 2, 4)[i % 3]):
                    assert c.read().body == (b"0123456789abcdef" * 7)[:100]
        bad = clients(scene, stack, 4)
        with scene.at_once():
            for c in bad:
                c.send(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            for c in some:
                c.send(whole)
        assert [c.read().status for c in bad] == [400] * 4
        assert [c.read().status for c in some] == [200] * len(some)
    nobody_left(scene)


def test_clients_that_leave_in_the_same_turn(scene):
    ask = http.build_request("GET", "/bytes/5000")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stay, go = clients(scene, stack, 8), clients(scene, stack, 8)
            for o in scene.origins:
                o.hold()
            with scene.at_once():
                for c in stay:
                    c.send(ask)
                for i, c in enumerate(go):
                    if i % 2:
                        c.send(ask[:-i])
                    if i % 4 < 2:
                        reset(c.sock)
                    else:
                        c.close()
            wait_until(lambda: sum(o.waiting for o in scene.origins) == len(stay), 20)
            with scene.at_once():
                for c in stay[:4]:  # while their answers come
                    reset(c.sock)
                for o in scene.origins:
                    o.release()
                wait_until(lambda: sum(o.waiting for o in scene.origins) == 0, 20)
            for c in stay[4:]:
                assert c.read().body == (b"0123456789abcdef" * 313)[:5000]
                assert c.get("/").status == 200
    nobody_left(scene)


def test_backends_that_leave_in_the_same_turn(scene):
    """One origin resets or closes its connections, with requests at work and without; the other answers."""
    with contextlib.ExitStack() as stack:
        some = clients(scene, stack, 12)
        for turn in range(6):
            for o in scene.origins:
                o.hold()
            with scene.at_once():
                for c in some:
                    c.send(http.build_request("GET", "/bytes/3000"))
            wait_until(lambda: sum(o.waiting for o in scene.origins) == len(some), 20)
            with scene.at_once():
                scene.origins[turn % 2].cut(with_reset=turn % 3 == 0)
                for o in scene.origins:
                    o.release()
            for c in some:
                r = c.read()
                assert r.status == 200 and len(r.body) == 3000 or r.status == 502
            for c in some:
                assert c.get("/bytes/7").body == b"0123456"
    nobody_left(scene)


def test_tunnels(scene):
    texts = [os.urandom(n) for n in (1, 100, 4096, 4097, 16_000, 17_000, 40_000, 60_000)]
    for _ in range(2):
        socks = [connect(scene.tcp, 30) for _ in range(2 * len(texts))]
        for s in socks:
            for _ in range(2):
                s.sendall(b"hello")
                assert s.recv(5) == b"hello"
        with scene.at_once():
            for i, s in enumerate(socks):
                s.sendall(texts[i // 2])
                if i % 2:
                    s.shutdown(socket.SHUT_WR)
        for i, s in enumerate(socks):
            got = b""
            while len(got) < len(texts[i // 2]):
                got += s.recv(65536)
            assert got == texts[i // 2]
            if i % 2:
                assert s.recv(1) == b""
        left = socks[::2]
        with scene.at_once():
            for i, s in enumerate(left):
                s.sendall(b"more")
                if i % 4 == 0:
                    reset(s)
                elif i % 4 == 1:
                    s.close()
        for i, s in enumerate(left):
            if i % 4 > 1:
                assert s.recv(10) == b"more"
        with scene.at_once():
            scene.echo.cut(with_reset=True)
            for i, s in enumerate(left):
                if i % 4 > 1:
                    s.sendall(b"late")
        for i, s in enumerate(left):
            if i % 4 > 1:
                assert read_to_end(s)[0] == b""
        for s in socks:
            s.close()
    nobody_left(scene)


def test_a_reload_and_a_stop_in_the_same_turn(scene):
    with contextlib.ExitStack() as stack:
        some = clients(scene, stack, 10)
        with open(scene.conf_path, encoding="ascii") as f:
            text = f.read()
        for state in ("false", "true"):
            with scene.at_once():
                for c in some:
                    c.send(http.build_request("GET", "/bytes/10"))
                scene.write(text.replace("io_uring = true", f"io_uring = {state}").replace("io_uring = false", f"io_uring = {state}"), raw=True)
                scene.signal(signal.SIGUSR2)
            assert [c.read().status for c in some] == [200] * len(some)
        with scene.at_once():
            for c in some:
                c.send(http.build_request("GET", "/bytes/10"))
            scene.signal(signal.SIGTERM)
        assert [c.read().status for c in some] == [200] * len(some)
    scene.stopped = True
    assert scene.wait() == 0
