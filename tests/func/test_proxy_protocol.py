"""The PROXY protocol, from clients and towards backends."""

import json
import socket
import subprocess

import pytest

from lib import proxy_proto
from lib.ballast import run
from lib.http import Client, build_request, read_response
from lib.net import connect, free_port
from lib.origin import Origin
from lib.wait import wait_until


class ProxyOrigin(Origin):
    """An origin behind `proxy_protocol`: notes the header of each connection; without one it closes."""

    def __init__(self, *args, **options):
        self.announced = []  # in order of connections
        super().__init__(*args, **options)

    def serve(self, sock, number):
        head = proxy_proto.read(sock)
        with self._lock:
            self.announced.append(head)
        super().serve(sock, number)


@pytest.fixture
def proxy_origin():
    made = []

    def start(*args, **options):
        made.append(ProxyOrigin(*args, **options))
        return made[-1]

    yield start
    for server in made:
        server.stop()


@pytest.fixture
def http(ballast):
    """An http or tcp listener that wants a header; more: further settings of the pool."""
    def start(backend, protocol="http", trusted="127.0.0.0/8", more="", listener="", **options):
        port = free_port()
        instance = ballast(f"""
listeners = {{ web = {{ bind = "*:{port}", protocol = "{protocol}", pool = "app", proxy_protocol = true,
                        trusted = [ "{trusted}" ]{listener} }} }}
pools = {{ app = {{ backends = [ "{backend.address}" ], health = {{ type = "none" }}{more} }} }}
""", **options)
        instance.port = port
        return instance

    return start


def forwarded(response):
    return {n.lower(): v for n, v in json.loads(response.body)}


def ask(where, header, path="/headers", pieces=None):
    with connect(where) as s:
        data = header + build_request("GET", path)
        for at in range(0, len(data), pieces or len(data)):
            s.sendall(data[at:at + (pieces or len(data))])
        return read_response(s)


@pytest.mark.parametrize("header, client", [
    (proxy_proto.v1("203.0.113.9"), "203.0.113.9"),
    (proxy_proto.v1("2001:db8::9", "2001:db8::1"), "2001:db8::9"),
    (proxy_proto.v2("203.0.113.9"), "203.0.113.9"),
    (proxy_proto.v2("2001:db8::9", "2001:db8::1"), "2001:db8::9"),
    (proxy_proto.v2("203.0.113.9", tlvs=proxy_proto.tlv(1, b"h2") + proxy_proto.tlv(0xEA, b"v" * 12000)), "203.0.113.9"),
    (proxy_proto.local(), "127.0.0.1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
], ids=["v1", "v1-ip6", "v2", "v2-ip6", "v2-tlvs", "local", "unknown"])
def test_the_announced_client_is_the_client(http, origin, header, client):
    b = http(origin())
    got = forwarded(ask(b.port, header))
    assert got["x-forwarded-for"] == client and got["x-real-ip"] == client


@pytest.mark.parametrize("header", [proxy_proto.v1("203.0.113.9"), proxy_proto.v2("203.0.113.9")], ids=["v1", "v2"])
def test_byte_by_byte(http, origin, header):
    b = http(origin())
    assert forwarded(ask(b.port, header, pieces=1))["x-forwarded-for"] == "203.0.113.9"


def test_the_header_is_read_once(http, origin):
    """A second one is a malformed request; a kept connection needs none."""
    b = http(origin())
    with Client(b.port) as c:
        c.send(proxy_proto.v1("203.0.113.9"))
        for _ in range(3):
            assert forwarded(c.get("/headers"))["x-forwarded-for"] == "203.0.113.9"
    assert ask(b.port, proxy_proto.v1() * 2).status == 400


def closed_without_an_answer(sock):
    try:
        return sock.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("bad", [
    build_request("GET", "/"),
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
    b"PROXY TCP9\r\n" + build_request("GET", "/"),
    proxy_proto.SIGNATURE + b"\x21\x11\x00\x04abcd",
    proxy_proto.v2()[:-3] + b"\xff",
    proxy_proto.SIGNATURE + b"\x21\x11\xff\xff",
    b"PROXY UNKNOWN " + b"x" * 200,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
], ids=["none", "port", "family", "short", "cut", "long", "endless", "tls"])
def test_malformed_or_missing_headers_are_refused(http, origin, bad, protocol):
    o = origin()
    b = http(o, protocol)
    with connect(b.port) as s:
        try:
            s.sendall(bad)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed already
        assert closed_without_an_answer(s)
    assert o.count == 0
    with connect(b.port) as s:
        s.sendall(proxy_proto.v1() + build_request("GET", "/"))
        assert read_response(s).status == 200


def test_nobody_else_may_connect(http, origin):
    o = origin()
    b = http(o, trusted="192.0.2.0/24")
    for data in (proxy_proto.v1() + build_request("GET", "/"), build_request("GET", "/")):
        try:
            with connect(b.port) as s:
                s.sendall(data)
                assert closed_without_an_answer(s)
        except ConnectionError:
            pass  # reset before it was looked at
    assert o.count == 0
    wait_until(lambda: "not trusted" in b.log(), what="the reason in the log")


def test_no_header_in_time(http, origin):
    b = http(origin(), listener=', timeouts = { header = "300ms" }')
    for data in (b"", b"PROXY TCP4 1.2.3.4", proxy_proto.v2()[:20]):
        with connect(b.port) as s:
            s.sendall(data)
            assert closed_without_an_answer(s)


def test_tcp_the_rest_is_the_clients(http, tcp_echo):
    b = http(tcp_echo(greeting=b"hi "), "tcp")
    for pieces in (None, 7):
        with connect(b.port) as s:
            data = proxy_proto.v2(tlvs=proxy_proto.tlv(4, b"pad")) + b"payload"
            for at in range(0, len(data), pieces or len(data)):
                s.sendall(data[at:at + (pieces or len(data))])
            s.shutdown(socket.SHUT_WR)
            got = b""
            while more := s.recv(100):
                got += more
            assert got == b"hi payload"


def test_the_header_survives_a_reload_in_its_middle(http, origin):
    b = http(origin())
    with connect(b.port) as s:
        header = proxy_proto.v1("203.0.113.9")
        s.sendall(header[:10])
        b.reload()
        s.sendall(header[10:] + build_request("GET", "/headers"))
        assert forwarded(read_response(s))["x-forwarded-for"] == "203.0.113.9"


# ---- towards backends ----

@pytest.fixture
def sender(ballast):
    def start(backend, version, protocol="http", **options):
        port = free_port()
        instance = ballast(f"""
listeners = {{ web = {{ bind = "*:{port}", protocol = "{protocol}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend.address}" ], proxy_protocol = "{version}", health = {{ type = "none" }} }} }}
""", **options)
        instance.port = port
        return instance

    return start


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_backends_are_told_the_client(sender, proxy_origin, version):
    o = proxy_origin()
    b = sender(o, version)
    with connect(b.port) as s:
        s.sendall(build_request("GET", "/"))
        assert read_response(s).status == 200
        assert o.announced == [(int(version[1]), *s.getsockname(), "127.0.0.1", b.port)]


def test_backends_are_told_an_ip6_client(sender, proxy_origin):
    o = proxy_origin()
    b = sender(o, "v2")
    with connect(("::1", b.port)) as s:
        s.sendall(build_request("GET", "/"))
        assert read_response(s).status == 200
        assert o.announced == [(2, "::1", s.getsockname()[1], "::1", b.port)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_tcp_backends_are_told_before_anything_is_sent(sender, tcp_origin, version):
    """The client is silent and the server speaks first: the header must not wait for company."""
    heads = []

    def handler(sock, number):
        heads.append(proxy_proto.read(sock))
        sock.sendall(b"220 hello")
        sock.recv(1)

    b = sender(tcp_origin(handler), version, "tcp")
    with connect(b.port) as s:
        assert s.recv(100) == b"220 hello"
        assert heads == [(int(version[1]), *s.getsockname(), "127.0.0.1", b.port)]


def test_no_connection_is_shared_between_clients(sender, proxy_origin):
    """One client's requests use one connection again, and nobody else's ever do."""
    o = proxy_origin()
    b = sender(o, "v1", workers=1)
    clients = [Client(b.port) for _ in range(4)]
    for _ in range(3):
        for c in clients:
            assert c.get("/").status == 200
    ports = [c.sock.getsockname()[1] for c in clients]
    assert sorted(head[2] for head in o.announced) == sorted(ports)
    asked_on = {}
    for r in o.requests:
        asked_on.setdefault(r.connection, 0)
        asked_on[r.connection] += 1
    assert sorted(asked_on.values()) == [3, 3, 3, 3]
    for c in clients:
        c.close()
    wait_until(lambda: o.open == 0, what="a client's connection to the backend closed with the client")


def test_streams_of_http2_are_announced_as_their_connection(sender, proxy_origin):
    o = proxy_origin()
    b = sender(o, "v2", workers=1)
    done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_code} %{local_port}\\n", "-o", "/dev/null",
                           f"http://127.0.0.1:{b.port}/"], capture_output=True, text=True, timeout=20)
    status, port = done.stdout.split()
    assert status == "200" and o.announced == [(2, "127.0.0.1", int(port), "127.0.0.1", b.port)], done.stderr


def test_a_kept_connection_that_closed_is_not_used(sender, proxy_origin):
    o = proxy_origin()
    b = sender(o, "v2", workers=1)
    with Client(b.port) as c:
        assert c.get("/").status == 200
        o.cut()
        wait_until(lambda: o.open == 0, what="the connection closed")
        assert c.get("/").status == 200
    assert len(o.announced) == 2


def test_in_and_out(http, proxy_origin):
    """What one balancer says the next one says again, the destination included."""
    o = proxy_origin()
    b = http(o, more=', proxy_protocol = "v2"')
    assert ask(b.port, proxy_proto.v1("203.0.113.9", "198.51.100.7", 4711, 443), "/").status == 200
    assert o.announced == [(2, "203.0.113.9", 4711, "198.51.100.7", 443)]


def test_an_unnamed_client_is_our_peer(http, proxy_origin):
    o = proxy_origin()
    b = http(o, more=', proxy_protocol = "v1"')
    with connect(b.port) as s:
        s.sendall(proxy_proto.local() + build_request("GET", "/"))
        assert read_response(s).status == 200
        assert o.announced == [(1, *s.getsockname(), "127.0.0.1", b.port)]


def test_the_header_goes_again_to_the_next_backend(ballast, proxy_origin):
    o, port = proxy_origin(), free_port()
    ballast(f"""
listeners = {{ web = {{ bind = "*:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "127.0.0.1:{free_port()}", "{o.address}" ], proxy_protocol = "v1",
                    health = {{ type = "none" }} }} }}
""")
    for _ in range(4):
        with connect(port) as s:
            s.sendall(build_request("GET", "/"))
            assert read_response(s).status == 200
    assert len(o.announced) == 4 and all(len(head) == 5 for head in o.announced)


def test_mistakes_in_the_file(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("""listeners = {
  web = { bind = "*:8080", pool = "app", proxy_protocol = true }
  db  = { bind = "*:8081", pool = "app", protocol = "tcp", trusted = [ "10.0.0.0/8" ] }
}
pools = { app = { backends = [ "127.0.0.1:1" ], proxy_protocol = "v3" } }
""")
    done = run("check", "-c", path)
    assert done.returncode == 1
    for want in ('bad.conf:2: error: listeners.web: proxy_protocol needs "trusted"',
                 'bad.conf:3: error: listeners.db: "trusted" means nothing with protocol = "tcp" without proxy_protocol',
                 'bad.conf:5: error: pools.app.proxy_protocol: "v3" is not one of: off, v1, v2'):
        assert want in done.stderr, done.stderr
