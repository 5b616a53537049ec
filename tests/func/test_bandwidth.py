"""limits.bandwidth: not faster than that, not a byte lost, and no work while there is nothing to send.

A transfer cannot be over sooner than its bytes are worth: that holds on any machine, however slow."""

import hashlib
import random
import socket
import threading
import time
import zlib

import pytest

from lib import h2client, http, tls
from lib.ballast import run
from lib.net import connect, free_port
from lib.origin import TcpOrigin, reply
from lib.wait import wait_until

RATE = 200 * 1024
BODY = random.Random(3).randbytes(120 * 1024)
LEAST_S = (len(BODY) - RATE / 10) / RATE  # what a full bucket lets through at once comes for nothing
NO_CHECK = 'health = { type = "none" }'


@pytest.fixture
def web(ballast, origin):
    def start(limit='bandwidth = "200k"', listener="", o=None, **options):
        o, port = o or origin(), free_port()
        text = (f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", limits = {{ {limit} }}\n{listener} }} }}\n'
                f'pools = {{ app = {{ backends = [ "{o.address}" ], {NO_CHECK} }} }}')
        b = ballast(text, workers=1, **options)
        b.port, b.origin, b.text = port, o, text
        if hasattr(o, "script"):
            o.script["/body"] = reply(200, BODY, [("Content-Type", "text/plain")])
        return b

    return start


def switches(b):
    """How often the worker went to sleep."""
    with open(f"/proc/{next(iter(b.worker_pids.values()))}/status", encoding="ascii") as f:
        return int(f.read().split("voluntary_ctxt_switches:\t")[1].split()[0])


class Watch:
    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.took = time.monotonic() - self.began


def test_http1(web):
    b = web()
    with http.Client(b.port) as c:
        before = switches(b)
        with Watch() as w:
            for _ in range(2):
                assert c.get("/body").body == BODY
        assert w.took >= 2 * LEAST_S
        # some twenty times a second, and what else it does
        assert switches(b) - before < 100 + 60 * w.took
    assert b.origin.accepted == 1


def test_each_connection_has_its_own(web):
    b = web()
    bodies = []

    def fetch():
        bodies.append(http.get(b.port, "/body").body)

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bodies == [BODY] * 8


def test_over_tls(web, tmp_path):
    ca = tls.Authority(tmp_path / "ca")
    cert, key = ca.issue("a", ["a.test"])
    b = web(listener=f'tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }}')
    for alpn in (["http/1.1"], ["h2"]):
        sock = tls.connect(b.port, ca.context(alpn=alpn))
        with Watch() as w:
            if alpn == ["h2"]:
                with h2client.Client(sock) as c:
                    assert c.request("GET", "/body").data == BODY
            else:
                with sock:
                    sock.sendall(http.build_request("GET", "/body"))
                    assert http.read_response(sock).body == BODY
        assert w.took >= LEAST_S


def test_streams_of_http2_share(web):
    b = web()
    with h2client.Client(b.port) as c:
        with Watch() as w:
            numbers = [c.start("GET", "/body") for _ in range(3)]
            c.finish(*numbers, seconds=60)
        assert all(c.streams[n].data == BODY for n in numbers)
        assert w.took >= (3 * len(BODY) - RATE / 10) / RATE
        assert c.request("GET", "/").status == 200


def test_tcp(ballast):
    data = random.Random(5).randbytes(150 * 1024)

    def serve(sock, number):
        sock.sendall(data)

    with TcpOrigin(serve) as o:
        port = free_port()
        ballast(f'listeners = {{ t = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "app", '
                f'limits = {{ bandwidth = "200k" }} }} }}\n'
                f'pools = {{ app = {{ backends = [ "{o.address}" ], {NO_CHECK} }} }}', workers=1)
        with Watch() as w, connect(port, 60) as s:
            got = b""
            while more := s.recv(65536):
                got += more
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
        assert w.took >= (len(data) - RATE / 10) / RATE


UP = 'upload_bandwidth = "200k"'


def test_an_upload(web):
    b = web(UP)
    with http.Client(b.port) as c:
        before = switches(b)
        with Watch() as w:
            assert c.request("POST", "/echo", body=BODY, deadline=60).body == BODY
        assert w.took >= LEAST_S
        assert switches(b) - before < 100 + 80 * w.took
        with Watch() as w:  # what comes in pieces, with framing of its own
            pieces = [BODY[i:i + 7000] for i in range(0, len(BODY), 7000)]
            chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
            c.send(http.build_request("POST", "/echo", [("Transfer-Encoding", "chunked")]))
            c.send(chunked)
            assert c.read("POST", deadline=60).body == BODY
        assert w.took >= LEAST_S
        assert c.get("/bytes/2000000", deadline=60).status == 200
        assert [c.get("/").status for _ in range(20)] == [200] * 20
    assert b.origin.accepted == 1


@pytest.mark.parametrize("both", [False, True])
def test_uploads_over_tls(web, tmp_path, both):
    ca = tls.Authority(tmp_path / "ca")
    cert, key = ca.issue("a", ["a.test"])
    b = web(UP + (', bandwidth = "200k"' if both else ""),
            listener=f'tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }}')
    for alpn in (["http/1.1"], ["h2"]):
        sock = tls.connect(b.port, ca.context(alpn=alpn))
        with Watch() as w:
            if alpn == ["h2"]:
                with h2client.Client(sock) as c:
                    assert c.request("POST", "/echo", body=BODY).data == BODY
            else:
                with sock:
                    sock.sendall(http.build_request("POST", "/echo", body=BODY))
                    assert http.read_response(sock, "POST", 60).body == BODY
        assert w.took >= LEAST_S


def test_uploads_of_http2_share(web):
    b = web(UP)
    with h2client.Client(b.port) as c:
        with Watch() as w:
            numbers = [c.start("POST", "/echo", end=False) for _ in range(4)]
            for n in numbers:
                c.send(n, BODY[:60000], end=True)
            c.finish(*numbers, seconds=60)
        assert all(c.streams[n].data == BODY[:60000] for n in numbers)
        assert w.took >= (240000 - RATE / 10) / RATE


def test_tcp_both_ways(ballast, tcp_echo):
    port, o = free_port(), tcp_echo()
    ballast(f'listeners = {{ t = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "app", limits = {{ {UP} }} }} }}\n'
            f'pools = {{ app = {{ backends = [ "{o.address}" ], {NO_CHECK} }} }}', workers=1)
    with Watch() as w, connect(port, 60) as s:
        sender = threading.Thread(target=lambda: (s.sendall(BODY), s.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while more := s.recv(65536):
            got += more
        sender.join()
    assert got == BODY and w.took >= LEAST_S


def test_who_sends_while_an_answer_is_held_back(web):
    """Requests behind it, and the client's end of file, change nothing about the answer."""
    b = web(listener='routes = ( { path = "/body", pool = "app", cache = { valid = "200 1m" } } )')
    for _ in range(2):
        with http.Client(b.port) as c:
            c.send(http.build_request("GET", "/body"))
            assert c.sock.recv(1, socket.MSG_PEEK)
            c.send(http.build_request("GET", "/one"))
            c.send(http.build_request("GET", "/two"))
            assert [len(c.read(deadline=30).body) for _ in range(3)] == [len(BODY), 2, 2]
        with connect(b.port, 30) as s:
            s.sendall(http.build_request("GET", "/body"))
            assert s.recv(1, socket.MSG_PEEK)
            s.shutdown(socket.SHUT_WR)
            assert http.read_response(s, "GET", 30).body == BODY


def test_uploads_pass(web):
    """What a client sends has a limit of its own."""
    b = web()
    with http.Client(b.port) as c:
        assert c.request("POST", "/echo", body=BODY[:1000]).body == BODY[:1000]
        assert len(c.request("POST", "/status/200", body=BODY * 20, deadline=30).body) < 100


def test_a_slow_rate_moves(web):
    b = web('bandwidth = "2k"')
    b.origin.script["/"] = reply(200, BODY[:3000])
    with Watch() as w:
        assert http.get(b.port, "/", deadline=30).body == BODY[:3000]
    assert w.took >= 3000 / 2048 - 2


def test_a_client_that_leaves(web):
    b = web('bandwidth = "10k"')
    for _ in range(5):
        with connect(b.port) as s:
            s.sendall(b"GET /body HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100)
    wait_until(lambda: b.metrics()['ballast_connections{listener="web"}'] == 0, what="all closed")
    assert http.get(b.port, "/status/204").status == 204


def test_compressed_answers(web):
    b = web(listener='compression = { algorithms = "gzip" }')
    with Watch() as w, http.Client(b.port) as c:
        r = c.get("/body", [("Accept-Encoding", "gzip")])
    assert zlib.decompress(r.body, 31) == BODY and w.took >= LEAST_S


def test_a_reload_changes_it_for_those_that_have_one(web):
    b = web('bandwidth = "1k"')
    with http.Client(b.port) as c:
        c.send(http.build_request("GET", "/body"))
        wait_until(lambda: b.origin.count == 1, what="the request")
        b.reload(b.text.replace('bandwidth = "1k"', 'bandwidth = "0b"'))
        # it began with the limit, and ends without: at 1k it would take two minutes
        assert c.read(deadline=60).body == BODY


@pytest.mark.parametrize("text, complaint", [
    ("bandwidth = 100", "needs a unit"), ('bandwidth = "fast"', "wants a size"), ('bandwidth = "2000g"', "out of range"),
    ('limit_rate = "1m"', 'did you mean "bandwidth"'), ("upload_bandwidth = 100", "needs a unit"),
    ('upload_bandwidth = "2000g"', "out of range"), ('proxy_upload_rate = "1m"', 'did you mean "upload_bandwidth"')])
def test_bad_settings(tmp_path, text, complaint):
    path = tmp_path / "bad.conf"
    path.write_text('listeners = { web = { bind = "127.0.0.1:1", pool = "app"\n'
                    f'limits = {{ {text} }} }} }}\npools = {{ app = {{ backends = [ "127.0.0.1:2" ] }} }}\n')
    r = run("check", "-c", path)
    assert r.returncode == 1 and f"{path}:2: error" in r.stderr and complaint in r.stderr, r.stderr


@pytest.mark.parametrize("name", ["bandwidth", "upload_bandwidth"])
def test_not_for_udp(tmp_path, name):
    path = tmp_path / "bad.conf"
    path.write_text('listeners = { d = { bind = "127.0.0.1:1", protocol = "udp", pool = "app"\n'
                    f'limits = {{ {name} = "1m" }} }} }}\n'
                    'pools = { app = { backends = [ "127.0.0.1:2" ] } }\n')
    r = run("check", "-c", path)
    assert r.returncode == 1 and f"{path}:2: error" in r.stderr and name in r.stderr, r.stderr
