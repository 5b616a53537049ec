"""Copies and questions (mirror, auth.request) for pools with TLS, and with a PROXY header."""

import os
import ssl
import threading

import pytest

from lib import http, proxy_proto, tls
from lib.net import free_port
from lib.origin import Origin, reply
from lib.wait import wait_until

CONF = """listeners = {{ web = {{ bind = "127.0.0.1:{port}", limits = {{ body_size = "100m" }},
    routes = ( {{ path = "/", pool = "app", {side} }} ) }} }}
pools = {{ app  = {{ backends = [ "{app}" ], health = {{ type = "none" }} }}
           side = {{ backends = [ "{address}" ], health = {{ type = "none" }}, {settings} }} }}"""
MIRROR = 'mirror = "side"'
ASK = 'auth = { request = { pool = "side", path = "/may", headers = [ "X-User" ], timeout = "5s" } }'


class TlsOrigin(Origin):
    def __init__(self, context, **options):
        self.context, self.resumed, self.refused = context, [], []
        super().__init__(**options)

    def serve(self, sock, number):
        try:
            sock = self.context.wrap_socket(sock, server_side=True)
        except (ssl.SSLError, ConnectionError) as error:
            self.refused.append(error)
            return
        self.resumed.append(sock.session_reused)
        super().serve(sock, number)


class ProxiedOrigin(Origin):
    def serve(self, sock, number):
        self.header = proxy_proto.read(sock)
        super().serve(sock, number)


@pytest.fixture
def ca(tmp_path):
    return tls.Authority(tmp_path / "ca")


@pytest.fixture
def secure(ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue("side", ["side.test"]))
    with TlsOrigin(context, id="side") as o:
        yield o


@pytest.fixture
def start(ballast, origin):
    def run(side, of, settings, **options):
        app = origin(id="app")
        b = ballast(CONF.format(port=(port := free_port()), app=app.address, side=side, address=of.address, settings=settings),
                    **options)
        b.port = port
        return b

    return run


def trusting(ca):
    return f'tls = {{ ca = "{ca.path}", sni = "side.test" }}'


def test_copies_over_tls(start, ca, secure):
    b = start(MIRROR, secure, trusting(ca))
    with http.Client(b.port) as c:
        assert c.request("POST", "/echo?a=b", [], b"hello").body == b"hello"
    wait_until(lambda: secure.requests, what="the copy")
    assert (secure.requests[0].target, secure.requests[0].body) == ("/echo?a=b", b"hello")


@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_long_copies_over_tls(start, ca, secure, size):
    b = start(MIRROR, secure, trusting(ca), workers=1)
    assert http.get(b.port).status == 200  # hands were shaken once: its copy may begin at once
    body = os.urandom(size)
    with http.Client(b.port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for at in range(0, size, 30_000):
            before = secure.received
            c.send(body[at:at + 30_000])
            wait_until(lambda: secure.received >= before + len(body[at:at + 30_000]), what="the copy to follow")
        assert c.read().body == body
    copy = wait_until(lambda: next((r for r in secure.requests if r.method == "POST"), None), what="the copy")
    assert copy.body == body


def test_questions_over_tls(start, ca, secure):
    b = start(ASK, secure, trusting(ca), workers=1)
    secure.script["/may"] = reply(200, "x" * 60_000, [("X-User", "ann"), *((f"X-{i}", "y" * 900) for i in range(9))])
    with http.Client(b.port) as c:
        for _ in range(4):
            assert c.get("/x").text == "app"
        secure.script["/may"] = reply(401, "no", [("WWW-Authenticate", "Custom x")])
        r = c.get("/x")
        assert r.status == 401 and r.header("WWW-Authenticate") == "Custom x"
    assert secure.resumed[0] is False and any(secure.resumed[1:]), "sessions are used again"


@pytest.mark.parametrize("settings", ['tls = { ca = "%s", sni = "other.test" }', 'tls = { ca = "%s" }'])
def test_whom_nobody_vouches_for_is_not_asked(start, ca, secure, settings):
    b = start(ASK, secure, settings % ca.path)
    assert http.get(b.port, "/x").status == 503 and not secure.requests
    assert "TLS to a backend failed" in b.log() and "mismatch" in b.log()


def test_a_plain_judge_of_a_tls_pool_is_nobody(start, ca, origin):
    b = start(ASK, origin(id="plain"), trusting(ca))
    assert http.get(b.port, "/x").status == 503


def test_a_judge_that_does_not_shake_hands(start, ca, tcp_origin):
    over = threading.Event()
    silent = tcp_origin(lambda sock, _: over.wait(60))
    b = start(ASK.replace("5s", "300ms"), silent, trusting(ca))
    try:
        assert http.get(b.port, "/x").status == 503
        with http.Client(b.port) as gone:  # and a client that does not wait for it
            gone.send(http.build_request("GET", "/"))
            wait_until(lambda: silent.accepted == 2, what="a question")
    finally:
        over.set()
    wait_until(lambda: b.admin("/lb/backends?pool=side")["backends"][0]["current_connections"] == 0, what="places given back")


def test_handshakes_in_flight_survive_a_reload(start, ca, secure):
    b = start(ASK, secure, trusting(ca), workers=1)
    secure.hold()
    with http.Client(b.port) as c:
        c.send(http.build_request("GET", "/x"))
        wait_until(lambda: secure.waiting, what="a question")
        b.admin("/lb/reload", "POST")
        secure.release()
        assert c.read().text == "app"
        assert c.get("/x").text == "app"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("side", [MIRROR, ASK], ids=["mirror", "ask"])
def test_a_header_that_names_nobody(start, version, side):
    with ProxiedOrigin(id="side") as o:
        b = start(side, o, f'proxy_protocol = "{version}"')
        assert http.get(b.port, "/x").text == "app"
        wait_until(lambda: o.requests, what="a request")
        assert o.header == (int(version[1]),), "nobody"
