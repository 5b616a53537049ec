"""HTTP/2 from clients: requests, limits, floods, what must not pass, the ends of connections."""

import os
import signal
import subprocess
import threading

import h2.events
import h2.exceptions
import pytest

from lib import h2client, http, tls
from lib.net import connect, free_port
from lib.origin import TcpOrigin
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}{pool} }} }}
"""


@pytest.fixture
def web(ballast, origin):
    def start(backend=None, listener="", pool="", **options):
        port, o = free_port(), backend or origin()
        instance = ballast(CONF.format(port=port, backend=o.address, listener=listener, pool=pool), **options)
        instance.port, instance.origin = port, o
        return instance

    return start


# ---- requests --------------------------------------------------------------------------------------------------------

def test_a_request(web):
    b = web()
    with h2client.Client(b.port) as c:
        s = c.request("GET", "/a?b=c", [("x-mine", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
    assert s.status == 200 and s.data == b"b1" and s.header("x-origin") == "b1"
    seen = b.origin.requests[-1]
    assert (seen.method, seen.target, seen.version) == ("GET", "/a?b=c", "HTTP/1.1")
    assert seen.header("Host") == "test.local" and seen.header("X-Mine") == "1" and seen.all("Cookie") == ["a=1; b=2"]
    assert not seen.all("Transfer-Encoding") and not seen.all("Connection")


def test_by_alpn(ballast, origin, tmp_path):
    ca, port, o = tls.Authority(tmp_path / "ca"), free_port(), origin()
    pair = ca.issue("a", ["a.test"])
    ballast(CONF.format(port=port, backend=o.address, pool="", listener=', tls = { certificates = ( { '
                        f'cert = "{pair[0]}", key = "{pair[1]}" }} ), hsts = "1d" }}'))
    sock = tls.connect(port, ca.context(alpn=["h2", "http/1.1"]))
    assert sock.selected_alpn_protocol() == "h2"
    with h2client.Client(sock) as c:
        for _ in range(3):
            s = c.request("GET", "/bytes/200000")
            assert s.status == 200 and len(s.data) == 200_000 and s.header("strict-transport-security")
    assert o.requests[-1].header("X-Forwarded-Proto") == "https"
    with tls.connect(port, ca.context(alpn=["http/1.1"])) as plain:
        assert plain.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("size", [0, 1, 70_000, 1_500_000])
def test_bodies_both_ways(web, sized, size):
    b = web()
    body = os.urandom(size)
    with h2client.Client(b.port) as c:
        s = c.request("POST", "/echo", [("content-length", str(size))] if sized else [], body)
        assert s.status == 200
        seen = b.origin.requests[-1]
        assert seen.body == body and bool(seen.all("Transfer-Encoding")) != sized
        assert len(c.request("GET", f"/bytes/{size}").data) == size


def test_head_and_answers_without_a_body(web):
    b = web()
    with h2client.Client(b.port) as c:
        s = c.request("HEAD", "/bytes/1000")
        assert s.status == 200 and s.data == b"" and s.header("content-length") == "1000"
        assert c.request("GET", "/status/204").status == 204
        assert c.request("GET", "/status/304").status == 304
        assert c.request("GET", "/status/500").status == 500


def test_many_streams_at_once(web):
    b = web()
    with h2client.Client(b.port) as c:
        numbers = [c.start("GET", f"/bytes/{1000 + i}") for i in range(100)]
        c.finish(*numbers)
        assert [len(c.streams[n].data) for n in numbers] == [1000 + i for i in range(100)]


def test_our_own_answers(web):
    b = web(listener=', limits = { body_size = "1k" }')
    with h2client.Client(b.port) as c:
        s = c.request("POST", "/", [("content-length", "5000")], b"x" * 5000)
        assert s.status == 413
        b.origin.stop()
        s = c.request("GET", "/")
        assert s.status == 502 and b"error" in s.data
        s = c.request("CONNECT", pseudo=[(":method", "CONNECT"), (":authority", "a:443")])
        assert s.status == 405


def test_a_chunked_answer_and_one_that_ends_with_its_connection(web, tcp_origin):
    answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 9\r\nGrpc-Status: 0\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"]

    def serve(sock, number):
        sock.recv(65536)
        sock.sendall(answers[number % 2])

    b = web(tcp_origin(serve), pool=", keepalive = 0", workers=1)
    with h2client.Client(b.port) as c:
        seen = [c.request("GET", "/") for _ in range(2)]
    by_length = sorted(seen, key=lambda s: len(s.data))
    assert by_length[0].data == b"hello" and by_length[0].trailers == [("x-sum", "9"), ("grpc-status", "0")]
    assert by_length[1].data == b"to the end" and not any(s.header("transfer-encoding") for s in seen)


def test_trailers_of_a_request(web, tcp_origin):
    got = []

    def serve(sock, number):
        raw = b""
        while not raw.endswith(b"\r\n\r\n") or b"0\r\n" not in raw:
            raw += sock.recv(65536)
        got.append(raw)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    b = web(tcp_origin(serve))
    with h2client.Client(b.port) as c:
        n = c.start("POST", "/t", end=False)
        c.send(n, b"body")
        c.h2.send_headers(n, [("x-sum", "7")], end_stream=True)
        c.flush()
        assert c.finish(n).status == 200
    assert b"4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n" in got[0]


def test_interim_answers(web, tcp_origin):
    def serve(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with h2client.Client(web(tcp_origin(serve)).port) as c:
        s = c.request("GET", "/")
    assert dict(s.interim[0])[":status"] == "103" and s.status == 200 and s.data == b"ok"


def test_an_answer_that_is_cut_resets_its_stream_alone(web, tcp_origin):
    def serve(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")

    b = web(tcp_origin(serve))
    with h2client.Client(b.port) as c:
        s = c.request("GET", "/")
        assert s.reset is not None and not s.ended
        assert c.request("GET", "/").reset is not None and c.goaway is None


# ---- flow control ------------------------------------------------------------------------------------------------------

def test_a_slow_stream_does_not_block_its_neighbours(web):
    b = web(workers=1)
    with h2client.Client(b.port, auto_window=False, window=20_000) as c:
        c.h2.increment_flow_control_window(1 << 24)
        slow = c.start("GET", "/bytes/5000000")
        for _ in range(5):
            assert len(c.request("GET", "/bytes/10000").data) == 10_000
        c.until(lambda: len(c.streams[slow].data) >= 20_000)
        assert len(c.streams[slow].data) == 20_000


def test_an_upload_waits_for_the_backend(web, tcp_origin):
    go = threading.Event()

    def serve(sock, number):
        go.wait(20)
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += sock.recv(1 << 20)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    b = web(tcp_origin(serve), workers=1)
    with h2client.Client(b.port, timeout=20) as c:
        n = c.start("POST", "/", end=False)
        sender = threading.Thread(target=go.set)
        sent = 0
        while c.h2.local_flow_control_window(n) > 0 and sent < 16 << 20:  # until the window shuts
            size = min(c.h2.local_flow_control_window(n), 16384)
            c.h2.send_data(n, b"x" * size)
            c.flush()
            sent += size
        sender.start()
        c.send(n, b"y" * 300_000, end=True)
        assert c.finish(n, seconds=20).status == 200
        sender.join()


def test_a_client_that_leaves_cancels_its_request(web, tcp_origin):
    gone = threading.Event()

    def serve(sock, number):
        sock.recv(65536)
        sock.settimeout(15)
        if sock.recv(1) == b"":
            gone.set()

    b = web(tcp_origin(serve))
    with h2client.Client(b.port) as c:
        n = c.start("GET", "/")
        c.until(lambda: c.settings)
        wait_until(lambda: b.backends() and b.admin("/lb/stats")["server_details"][0]["current_connections"] == 1,
                   what="the request to be there")
        c.h2.reset_stream(n, 8)
        c.flush()
        assert gone.wait(10)


# ---- what must not pass -----------------------------------------------------------------------------------------------------

PSEUDO = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "a")]


def pseudo(**changed):
    return [(n, changed.get(n[1:], v)) for n, v in PSEUDO]


BAD = [
    ("path with a space", pseudo(path="/a b"), []),
    ("path with a line end", pseudo(path="/a\r\nX: y"), []),
    ("path that is a request", pseudo(path="/ HTTP/1.1\r\nHost: b\r\n\r\nGET /smuggled"), []),
    ("path that is not one", pseudo(path="a"), []),
    ("empty path", pseudo(path=""), []),
    ("method with a space", pseudo(method="GET /x HTTP/1.1"), []),
    ("authority with a line end", pseudo(authority="a\r\nX: y"), []),
    ("authority with a slash", pseudo(authority="a/b"), []),
    ("two paths", PSEUDO + [(":path", "/y")], []),
    ("two methods", PSEUDO + [(":method", "POST")], []),
    ("no path", [p for p in PSEUDO if p[0] != ":path"], []),
    ("no method", [p for p in PSEUDO if p[0] != ":method"], []),
    ("no scheme", [p for p in PSEUDO if p[0] != ":scheme"], []),
    ("unknown pseudo field", PSEUDO + [(":evil", "1")], []),
    ("pseudo field behind others", PSEUDO[:3], [("x", "y"), (":authority", "a")]),
    ("status in a request", PSEUDO + [(":status", "200")], []),
    ("another host", PSEUDO, [("host", "b")]),
    ("value with a line end", PSEUDO, [("x", "a\r\nTransfer-Encoding: chunked")]),
    ("value with LF", PSEUDO, [("x", "a\ny: b")]),
    ("value with NUL", PSEUDO, [("x", "a\0b")]),
    ("name with a colon", PSEUDO, [("x:y", "1")]),
    ("name with a line end", PSEUDO, [("x\r\ny", "1")]),
    ("name with a space", PSEUDO, [("x y", "1")]),
    ("upper case", PSEUDO, [("X-Upper", "1")]),
    ("empty name", PSEUDO, [("", "1")]),
    ("connection", PSEUDO, [("connection", "close")]),
    ("keep-alive", PSEUDO, [("keep-alive", "1")]),
    ("proxy-connection", PSEUDO, [("proxy-connection", "close")]),
    ("transfer-encoding", PSEUDO, [("transfer-encoding", "chunked")]),
    ("upgrade", PSEUDO, [("upgrade", "websocket")]),
    ("te", PSEUDO, [("te", "gzip")]),
    ("content-length without a body", PSEUDO, [("content-length", "5")]),
    ("two lengths", PSEUDO, [("content-length", "0"), ("content-length", "5")]),
    ("no length at all", PSEUDO, [("content-length", "-1")]),
    ("length with a plus", PSEUDO, [("content-length", "+0")]),
    ("another protocol", [(":method", "CONNECT"), (":protocol", "evil"), (":scheme", "http"), (":path", "/"),
                          (":authority", "a")], []),
    ("protocol without CONNECT", PSEUDO + [(":protocol", "websocket")], []),
]


def test_malformed_requests_reach_nobody(web, recording_origin):
    o = recording_origin()
    b = web(o)
    for what, first, fields in BAD:
        with h2client.Client(b.port) as c:
            n = c.start(pseudo=first, headers=fields)
            c.until(lambda: c.streams[n].reset is not None or c.streams[n].ended or c.goaway)
            s = c.streams[n]
            assert s.reset is not None or c.goaway or s.status in (400, 404, 405), what
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/fine").status == 200
    assert o.raw.count(b"HTTP/1.1\r\n") == 1 and b"/fine" in o.raw


@pytest.mark.parametrize("said, sent", [(5, 10), (10, 5)])
def test_a_body_of_another_length_is_no_request(web, recording_origin, said, sent):
    o = recording_origin()
    b = web(o)
    with h2client.Client(b.port) as c:
        n = c.start("POST", "/", [("content-length", str(said))], end=False)
        c.h2.streams[n]._expected_content_length = None
        c.h2.send_data(n, b"x" * sent, end_stream=True)
        c.flush()
        s = c.finish(n)
        assert s.reset is not None
    assert o.raw.count(b"x") <= said


def test_too_many_fields(web):
    b = web(listener=', limits = { header_size = "4k", headers = 20 }')
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/", [(f"x-{i}", "1") for i in range(30)]).status == 431
        s = c.request("GET", "/", [("x-long", "y" * 6000)])
        assert s.reset is not None or s.status == 431
        assert c.request("GET", "/").status == 200


# ---- floods ------------------------------------------------------------------------------------------------------------------

def flooded(b, attack):
    """Repeats until the connection is ended; neighbours are served all the while."""
    with h2client.Client(b.port, timeout=20) as c:
        c.until(lambda: c.settings)
        try:
            for i in range(100_000):
                attack(c, i)
                if i % 50 == 49:
                    c.flush()
        except (ConnectionError, TimeoutError, h2.exceptions.ProtocolError):
            pass
        try:
            c.until(lambda: c.closed or c.goaway, seconds=20)
        except (AssertionError, ConnectionError, h2.exceptions.ProtocolError):
            pass
        assert c.closed or c.goaway
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/").status == 200
    assert b.log().count("HTTP/2 connection ended") <= 20


def test_rapid_reset(web):
    def attack(c, i):
        n = c.h2.get_next_available_stream_id()
        c.h2.send_headers(n, PSEUDO, end_stream=True)
        c.h2.reset_stream(n)

    flooded(web(workers=1), attack)


def test_ping_flood(web):
    flooded(web(workers=1), lambda c, i: c.h2.ping(b"12345678"))


def test_settings_flood(web):
    flooded(web(workers=1), lambda c, i: c.h2.update_settings({4: 65535 + i % 2}))


def test_empty_data_flood(web):
    def attack(c, i):
        if i == 0:
            c.stream = c.start("POST", "/", end=False)
        c.h2.send_data(c.stream, b"")

    flooded(web(workers=1), attack)


def test_continuation_flood(web):
    b = web(workers=1)
    with connect(b.port) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\0\0\0\0\1\x82")
        s.settimeout(20)
        try:
            for _ in range(20_000):
                s.sendall(b"\0\0\1\x09\0\0\0\0\1\x86")
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
    assert http.get(b.port).status == 200


def test_not_http2(web):
    b = web()
    for junk in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"PR", b"PRI /"):
        http.exchange(b.port, junk, deadline=2, half_close=True)
    assert http.get(b.port).status == 200 and http.request(b.port, "PROPFIND", "/").status == 200


# ---- WebSockets (RFC 8441) -----------------------------------------------------------------------------------------------------

def test_a_websocket_over_http2(web, tcp_origin):
    def serve(sock, number):
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        assert head.startswith(b"GET /chat HTTP/1.1\r\n") and b"Sec-WebSocket-Key: " in head
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello")
        while True:
            data = sock.recv(65536)
            if not data:
                return
            sock.sendall(data.upper())

    b = web(tcp_origin(serve))
    with h2client.Client(b.port) as c:
        c.until(lambda: 8 in c.settings)
        assert c.settings[8] == 1
        n = c.start(end=False, pseudo=[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                       (":path", "/chat"), (":authority", "a")],
                    headers=[("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")])
        s = c.streams[n]
        c.until(lambda: s.data == b"hello")
        assert s.status == 200 and s.header("sec-websocket-protocol") == "chat" and not s.header("upgrade")
        for i in range(20):
            c.send(n, b"abc")
            c.until(lambda: s.data == b"hello" + b"ABC" * (i + 1))
        c.send(n, b"", end=True)
        c.finish(n)


# ---- ends ------------------------------------------------------------------------------------------------------------------------

def test_a_drain_says_goaway_and_finishes(web):
    b = web()
    b.origin.hold()
    with h2client.Client(b.port) as c:
        n = c.start("GET", "/hold")
        c.until(lambda: c.settings)
        wait_until(lambda: b.origin.requests, what="the request")
        b.signal(signal.SIGTERM)
        c.until(lambda: c.goaway)
        b.origin.release()
        s = c.finish(n)
        assert s.status == 200
    assert b.wait() == 0


def test_a_reload_touches_no_connection(web):
    b = web()
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/").status == 200
        for _ in range(2):
            b.reload()
            assert c.request("GET", "/").status == 200
        assert c.goaway is None


def test_an_idle_connection_is_ended_politely(web):
    b = web(listener=', timeouts = { idle = "1s" }')
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/").status == 200
        c.until(lambda: c.goaway)
        assert c.goaway.error_code == 0


# ---- with the tools that people use --------------------------------------------------------------------------------------------------

def test_h2load(web):
    b = web()
    out = subprocess.run(["h2load", "-n", "2000", "-c", "8", "-m", "32", f"http://127.0.0.1:{b.port}/"],
                         capture_output=True, timeout=60).stdout.decode()
    assert "2000 succeeded, 0 failed, 0 errored" in out


def test_nghttp_and_curl(web):
    b = web()
    out = subprocess.run(["nghttp", "-n", "-v", f"http://127.0.0.1:{b.port}/bytes/100000"], capture_output=True,
                         timeout=30).stdout.decode()
    assert ":status: 200" in out
    out = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{size_download}",
                          f"http://127.0.0.1:{b.port}/bytes/100000"], capture_output=True, timeout=30).stdout.decode()
    assert out == "2 100000"
