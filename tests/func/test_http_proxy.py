"""HTTP/1.1 through the real binary: heads, bodies, connections."""

import socket
import subprocess

import pytest

from lib import http, procs
from lib.ballast import sanitized
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = {backends}, health = {{ type = "none" }}{pool} }} }}
"""


def conf(port, backends, listener="", pool=""):
    return CONF.format(port=port, backends=backends, listener=listener, pool=pool)


@pytest.fixture
def web(ballast):
    """web(origin, ...): an instance in front of it; .port is the listener's."""

    def start(backend, listener="", pool="", **options):
        port = free_port()
        text = backend if isinstance(backend, str) else f'[ "{backend.address}" ]'
        instance = ballast(conf(port, text, listener, pool), **options)
        instance.port = port
        return instance

    return start


def sent_headers(origin):
    wait_until(lambda: origin.requests, what="a request at the origin")
    return origin.requests[-1]


def test_forwards_method_target_headers_and_body(web, origin):
    o = origin()
    b = web(o)
    r = http.request(b.port, "POST", "/a/b?c=d&e=%20f", [("X-Mine", "1"), ("Content-Type", "x/y")], b"hello")
    assert r.status == 200 and r.text == "b1" and r.header("X-Origin") == "b1"
    seen = sent_headers(o)
    assert (seen.method, seen.target, seen.version) == ("POST", "/a/b?c=d&e=%20f", "HTTP/1.1")
    assert seen.body == b"hello" and seen.header("X-Mine") == "1" and seen.header("Host") == "test.local"


def test_unknown_method_is_forwarded(web, origin):
    o = origin()
    assert http.request(web(o).port, "PURGE", "/x").status == 200
    assert sent_headers(o).method == "PURGE"


def test_proxy_headers(web, origin):
    o = origin()
    b = web(o)
    http.get(b.port, "/", [("X-Forwarded-For", "192.0.2.7"), ("X-Real-IP", "192.0.2.7"), ("X-Forwarded-Proto", "https")])
    seen = sent_headers(o)
    assert seen.header("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"
    assert seen.all("X-Real-IP") == ["127.0.0.1"] and seen.all("X-Forwarded-Proto") == ["http"]
    assert seen.header("X-Forwarded-Host") == "test.local"
    assert len(seen.header("X-Request-ID")) == 32
    http.get(b.port, "/", [("X-Request-ID", "mine-1")])
    assert o.requests[-1].all("X-Request-ID") == ["mine-1"]


def test_trusted_peer_is_believed(web, origin):
    o = origin()
    b = web(o, listener=', trusted = [ "127.0.0.0/8" ]')
    http.get(b.port, "/", [("X-Real-IP", "192.0.2.7"), ("X-Forwarded-Proto", "https")])
    seen = sent_headers(o)
    assert seen.all("X-Real-IP") == ["192.0.2.7"] and seen.all("X-Forwarded-Proto") == ["https"]


def test_hop_by_hop_headers_are_removed_both_ways(web, origin):
    o = origin()
    o.script["/hop"] = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Connection: x\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok")
    b = web(o)
    r = http.get(b.port, "/hop", [("Connection", "X-Drop, keep-alive"), ("X-Drop", "1"), ("Keep-Alive", "5"), ("TE", "gzip"),
                                  ("Proxy-Connection", "keep-alive"), ("X-Keep", "1")])
    seen = sent_headers(o)
    for name in ("X-Drop", "Keep-Alive", "Proxy-Connection", "TE", "Connection"):
        assert seen.header(name) is None, name
    assert seen.header("X-Keep") == "1"
    assert r.text == "ok" and r.header("X-Kept") == "yes"
    for name in ("X-Secret", "Keep-Alive", "Proxy-Connection"):
        assert r.header(name) is None, name


def test_connection_cannot_remove_framing_or_host(web, origin):
    o = origin()
    b = web(o)
    http.request(b.port, "POST", "/", [("Connection", "Content-Length, Host, X-Forwarded-For")], b"body")
    seen = sent_headers(o)
    assert seen.header("Content-Length") == "4" and seen.header("Host") == "test.local" and seen.body == b"body"
    assert seen.header("X-Forwarded-For") == "127.0.0.1"


def test_absolute_form_becomes_origin_form_and_its_authority_the_host(web, origin):
    o = origin()
    b = web(o)
    r = http.raw(b.port, b"GET http://other.example:81/p?q HTTP/1.1\r\nHost: test.local\r\n\r\n")
    assert r.status == 200
    seen = sent_headers(o)
    assert seen.target == "/p?q" and seen.all("Host") == ["other.example:81"]


@pytest.mark.parametrize("method,target,sent", [("OPTIONS", "http://o.example", "*"), ("GET", "http://o.example", "/"),
                                                ("GET", "http://o.example?a", "/?a"), ("OPTIONS", "http://o.example/x", "/x")])
def test_absolute_form_without_a_path(web, origin, method, target, sent):
    o = origin()
    r = http.raw(web(o).port, f"{method} {target} HTTP/1.1\r\nHost: o.example\r\n\r\n".encode(), method)
    assert r.status == 200 and sent_headers(o).target == sent


def test_keep_alive_on_both_sides(web, origin):
    o = origin()
    b = web(o, workers=1)
    with http.Client(b.port) as c:
        for _ in range(20):
            assert c.get("/").status == 200
    assert len({r.connection for r in o.requests}) == 1


def test_http10_client_is_closed_unless_it_asks(web, origin):
    b = web(origin())
    data = http.exchange(b.port, b"GET / HTTP/1.0\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 200") and b"Connection: close" in data
    with http.Client(b.port) as c:
        for _ in range(2):
            c.send(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
            r = c.read()
            assert r.status == 200 and r.header("Connection") == "keep-alive"


def test_connection_close_is_honoured(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        r = c.get("/", [("Connection", "close")])
        assert r.status == 200 and r.header("Connection") == "close"
        assert c.eof()


@pytest.mark.parametrize("kind", ["bytes", "chunked", "until-close"])
@pytest.mark.parametrize("size", [0, 1, 15000, 16384, 300000])
def test_response_bodies_of_every_framing(web, origin, kind, size):
    b = web(origin())
    want = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    with http.Client(b.port) as c:
        for _ in range(2):  # the connection stays in step
            r = c.get(f"/{kind}/{size}")
            assert r.status == 200 and r.body == want
    data = http.exchange(b.port, f"GET /{kind}/{size} HTTP/1.0\r\n\r\n".encode())
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == want and b"chunked" not in head.lower()


@pytest.mark.parametrize("size", [0, 1, 15000, 70000, 1000000])
@pytest.mark.parametrize("chunked", [False, True])
def test_request_bodies(web, origin, size, chunked):
    b = web(origin())
    body = bytes(i * 7 % 251 for i in range(size))
    with http.Client(b.port) as c:
        for _ in range(2):
            if chunked:
                c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                for i in range(0, size, 50000):
                    part = body[i:i + 50000]
                    c.send(b"%x\r\n%s\r\n" % (len(part), part))
                c.send(b"0\r\nX-Trailer: t\r\n\r\n")
                r = c.read()
            else:
                r = c.request("POST", "/echo", body=body)
            assert r.status == 200 and r.body == body


def test_request_trailers_reach_the_backend(web, origin):
    o = origin()
    b = web(o)
    with http.Client(b.port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n\r\n")
        assert c.read().body == b"ab"
    assert ("X-T", "1") in [tuple(t) for t in sent_headers(o).trailers]


def test_response_trailers_reach_the_client(web, origin):
    o = origin()
    o.script["/t"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n\r\n"
    r = http.get(web(o).port, "/t")
    assert r.body == b"ab" and ("X-T", "1") in [tuple(t) for t in r.trailers]


@pytest.mark.parametrize("path,method,status", [("/", "HEAD", 200), ("/status/204", "GET", 204), ("/status/304", "GET", 304)])
def test_answers_without_a_body(web, origin, path, method, status):
    o = origin()
    o.script["/status/204"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    o.script["/status/304"] = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"
    b = web(o)
    with http.Client(b.port) as c:
        for _ in range(3):
            r = c.request(method, path)
            assert r.status == status and r.body == b""
        assert c.get("/x").text == "b1"


def test_interim_responses_are_forwarded(web, recording_origin):
    o = recording_origin(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    b = web(o)
    data = http.exchange(b.port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 ") and data.endswith(b"ok")


def test_interim_responses_lose_what_is_of_one_connection(web, recording_origin):
    fields = (b"Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nUpgrade: x\r\nProxy-Connection: close\r\n"
              b"Content-Length: 5\r\nLink: </a>\r\n")
    o = recording_origin(b"HTTP/1.1 103 \r\n%s\r\nHTTP/1.1 102 Wait\r\nTE: trailers\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" % fields)
    b = web(o)
    data = http.exchange(b.port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 103 \r\nLink: </a>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n") and data.endswith(b"ok")


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early\r\n\r\n"])
@pytest.mark.parametrize("fields", [b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"])
def test_nobody_switches_protocols_unasked(web, recording_origin, before, fields):
    o = recording_origin(before + b"HTTP/1.1 101 Switching Protocols\r\n%s\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" % fields)
    b = web(o)
    data = http.exchange(b.port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"HTTP/1.1 502 " in data and b" 101 " not in data and b"ok" not in data


def test_expect_100_continue(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        r = c.read()
        if r.status == 100:
            c.send(b"hello")
            r = c.read()
        assert r.status == 200 and r.body == b"hello"
    done = subprocess.run(["curl", "-sS", "-H", "Expect: 100-continue", "-d", "x" * 2000, f"http://127.0.0.1:{b.port}/echo"],
                          capture_output=True, timeout=20)
    assert done.stdout == b"x" * 2000


def test_pipelined_requests_are_answered_in_order(web, origin):
    b = web(origin())
    n = 50
    data = b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(n))
    with http.Client(b.port) as c:
        c.send(data)
        for i in range(n):
            assert len(c.read().body) == i


def test_pipelined_post_and_get_in_one_segment(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /bytes/4 HTTP/1.1\r\nHost: x\r\n\r\n"
               b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\nGET /bytes/2 HTTP/1.1\r\n"
               b"Host: x\r\n\r\n")
        assert [c.read().body for _ in range(4)] == [b"abc", b"0123", b"z", b"01"]


def test_a_head_that_arrives_byte_by_byte(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        for byte in b"GET /bytes/3 HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n":
            c.send(bytes([byte]))
        assert c.read().body == b"012"


def test_websocket_echo(web, websocket_origin):
    import asyncio

    import websockets

    b = web(websocket_origin(prefix="echo:"))

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{b.port}/ws") as ws:
            for i in range(20):
                await ws.send(f"m{i}")
                assert await asyncio.wait_for(ws.recv(), 10) == f"echo:m{i}"
            big = b"x" * 500000
            await ws.send(big)
            assert await asyncio.wait_for(ws.recv(), 10) == big

    asyncio.run(talk())


def test_a_backend_that_refuses_an_upgrade_answers_plainly(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        r = c.get("/x", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
        assert r.status == 200 and r.text == "b1"
        assert c.get("/x").status == 200


def test_an_unasked_101_is_a_bad_gateway(web, recording_origin):
    o = recording_origin(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    assert http.get(web(o).port).status == 502


def test_unix_socket_backend(web, origin, tmp_path):
    o = origin(unix=str(tmp_path / "o.sock"))
    b = web(f'( {{ name = "local", address = "unix:{tmp_path}/o.sock" }} )')
    assert http.get(b.port).text == "b1"


def test_unix_socket_listener(ballast, origin, tmp_path):
    o = origin()
    path = tmp_path / "front.sock"
    ballast(f"""
listeners = {{ web = {{ bind = "unix:{path}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}
""")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert http.read_response(s).text == "b1"
    assert sent_headers(o).header("X-Forwarded-For") == "unix"


def test_ipv6_and_wildcard(ballast, origin):
    o = origin(host="::1") if socket.has_ipv6 else origin()
    six, any_port = free_port(), free_port()
    ballast(f"""
listeners = {{ web = {{ bind = [ "[::1]:{six}", "*:{any_port}" ], pool = "app" }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}
""")
    assert http.get(("::1", six)).text == "b1"
    assert sent_headers(o).header("X-Forwarded-For") == "::1"
    assert http.get(any_port).text == "b1"
    assert o.requests[-1].header("X-Forwarded-For") == "127.0.0.1"


def test_stale_pooled_connection_is_retried_once_on_a_fresh_one(web, origin):
    o = origin()

    def die_then_answer(request, sock):
        return None if request.connection == first["n"] else b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh"

    first = {"n": None}
    o.script["/stale"] = die_then_answer
    b = web(o, workers=1)
    assert http.get(b.port, "/warm").status == 200
    first["n"] = o.requests[-1].connection
    assert http.get(b.port, "/stale").text == "fresh"


def test_post_is_not_sent_twice(web, origin):
    o = origin()
    o.script["/die"] = lambda request, sock: None
    b = web(o, workers=1)
    assert http.get(b.port, "/warm").status == 200
    r = http.request(b.port, "POST", "/die", body=b"pay")
    assert r.status == 502 and r.json()["error"]
    assert [q.path for q in o.requests].count("/die") == 1


def test_client_abort_reaches_the_backend(web, recording_origin):
    o = recording_origin(lambda raw, answered: None)
    b = web(o)
    s = connect(b.port)
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: o.connections and o.connections[0].raw, what="the request at the origin")
    s.close()
    wait_until(lambda: o.connections[0].eof, what="the abort at the origin")


def test_truncated_response_is_seen_as_such(web, recording_origin):
    o = recording_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", close_after=1)
    b = web(o)
    data = http.exchange(b.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert data.endswith(b"only this") and b"502" not in data


@pytest.mark.parametrize("answer", [
    b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n", b""])
def test_invalid_response_is_a_bad_gateway(web, recording_origin, answer):
    o = recording_origin(answer, close_after=1)
    r = http.get(web(o).port)
    assert r.status == 502 and r.header("Content-Type") == "application/json" and r.json()["error"]


def test_bytes_behind_a_response_never_reach_another_client(web, recording_origin):
    o = recording_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    b = web(o, workers=1)
    for _ in range(3):
        assert http.get(b.port).body == b"ok"
    assert len(o.connections) == 3


def test_error_page_is_html_for_those_who_ask(web):
    b = web(f'[ "127.0.0.1:{free_port()}" ]')
    r = http.get(b.port, "/", [("Accept", "text/html,*/*")])
    assert r.status == 502 and r.header("Content-Type").startswith("text/html") and "<h1>" in r.text
    assert http.get(b.port).json() == {"error": "Backend connection failed"}


def test_no_usable_backend_is_503(web):
    b = web('( { name = "a", address = "127.0.0.1:1", weight = 0 } )')
    r = http.get(b.port)
    assert r.status == 503 and r.json() == {"error": "No available servers"} and r.header("Retry-After")


def test_next_backend_when_a_connect_fails(web, origin):
    o = origin()
    b = web(f'[ "127.0.0.1:{free_port()}", "{o.address}" ]')
    for _ in range(10):
        assert http.get(b.port).text == "b1"


def test_connect_is_refused(web, origin):
    r = http.raw(web(origin()).port, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    assert r.status == 405 and r.header("Allow")


LIMITS = ', limits = { header_size = "4k", headers = 20, body_size = "10k" }'


def test_head_too_large(web, origin):
    b = web(origin(), listener=LIMITS)
    assert http.get(b.port, "/", [("X", "a" * 5000)]).status == 431
    assert http.get(b.port, "/", [(f"X-{i}", "a") for i in range(30)]).status == 431
    assert http.get(b.port, "/" + "a" * 5000).status in (414, 431)
    assert http.get(b.port, "/", [("X", "a" * 3000)]).status == 200


def test_large_head_within_the_limit(web, origin):
    o = origin()
    b = web(o, listener=', limits = { header_size = "64k" }')
    assert http.get(b.port, "/", [("X-Big", "v" * 60000)]).status == 200
    assert sent_headers(o).header("X-Big") == "v" * 60000


def test_body_too_large(web, origin):
    o = origin()
    b = web(o, listener=LIMITS)
    assert http.request(b.port, "POST", "/echo", body=b"x" * 10240).status == 200
    assert http.request(b.port, "POST", "/echo", body=b"x" * 10241).status == 413
    r = http.raw(b.port, b"POST /big HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 + b"1000\r\n" + b"x" * 4096 + b"\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 2 + b"0\r\n\r\n")
    assert r.status == 413
    assert "/big" not in [q.path for q in o.requests]


TIMEOUTS = ', timeouts = { header = "1s", body = "1s", idle = "1s" }'


def test_client_timeouts(web, origin):
    b = web(origin(), listener=TIMEOUTS)
    assert http.raw(b.port, b"GET / HTTP/1.1\r\nHost:").status == 408
    assert http.raw(b.port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").status == 408
    with http.Client(b.port) as c:
        assert c.get("/").status == 200
        assert c.eof()


def test_backend_timeouts(web, recording_origin):
    o = recording_origin(lambda raw, answered: None)
    b = web(o, pool=', timeouts = { read = "300ms" }')
    r = http.get(b.port)
    assert r.status == 504 and r.json()["error"]


def test_slow_reader_does_not_grow_memory(web, origin):
    o = origin()
    b = web(o, workers=1)
    with connect(b.port) as s:
        s.sendall(b"GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: o.count == 1, what="the request")
        s.settimeout(10)
        got = len(s.recv(65536))
        pid = list(b.worker_pids.values())[0]
        before = procs.memory_kb(pid)
        while got < 5000000:
            got += len(s.recv(65536))
        # AddressSanitizer keeps freed memory for a while.
        assert procs.memory_kb(pid) < before + (20000 if sanitized() else 2000)


def test_round_robin_is_exact_over_four_workers(web, origins):
    three = origins(3)
    b = web(three.list_text, workers=4)
    for _ in range(30):
        http.get(b.port)
    assert sorted(o.count for o in three) == [10, 10, 10]


def test_weights(web, origins):
    three = origins(3)
    backends = "( " + ", ".join(f'{{ address = "{o.address}", weight = {w} }}' for o, w in zip(three, (5, 3, 2))) + " )"
    b = web(backends, pool=', balance = "weighted_round_robin"', workers=4)
    for _ in range(40):
        http.get(b.port)
    assert [o.count for o in three] == [20, 12, 8]


def test_least_connections_avoids_the_busy_one(web, origins):
    two = origins(2)
    b = web(two.list_text, pool=', balance = "least_connections"', workers=4)
    two[0].hold()
    busy = []
    while two[0].waiting < 1:
        s = connect(b.port)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        busy.append(s)
        wait_until(lambda: two[0].waiting + two[1].count >= len(busy), what="the request to arrive")
    already = two[1].count
    for _ in range(10):
        assert http.get(b.port).text == "b2"
    assert two[1].count == already + 10
    two[0].release()
    for s in busy:
        s.close()


def test_max_connections_is_exact_over_workers(web, origins):
    one = origins(1)[0]
    backends = f'( {{ address = "{one.address}", max_connections = 3 }} )'
    b = web(backends, workers=4)
    one.hold()
    held = []
    for _ in range(3):
        s = connect(b.port)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
    wait_until(lambda: one.waiting == 3, what="three at the origin")
    for _ in range(8):
        assert http.get(b.port).status == 503
    one.release()
    for s in held:
        s.settimeout(10)
        assert http.read_response(s).status == 200
        s.close()
    wait_until(lambda: http.get(b.port).status == 200, what="a free place")


def test_request_counts_are_in_the_statistics(web, origin):
    b = web(origin())
    for i in range(12):
        http.get(b.port, "/status/404" if i % 4 == 0 else "/")
    stats = wait_until(lambda: (s := b.admin("/lb/stats"))["total_requests"] == 12 and s, what="each in the books, behind its last byte")
    assert stats["server_details"][0]["total_requests"] == 12


# ---- kept connections -----------------------------------------------------------------------------------------------------

def test_kept_connections_serve_so_many_requests(ballast, origin):
    o, port = origin(), free_port()
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}, keepalive_requests = 4, keepalive_timeout = "5s" }} }}
""", workers=1)
    before = o.accepted
    for _ in range(8):
        assert http.get(port).status == 200
    assert o.accepted - before == 2
    assert http.get(port).status == 200
    assert o.accepted - before == 3
    wait_until(lambda: o.open == 0, what="the idle connection to end")
