"""The types of health checks against real servers: http in detail, tcp that talks, tls, grpc, udp, and backends with
checks of their own."""

import concurrent.futures
import socket
import ssl
import threading

import grpc
import pytest

from lib.certs import Authority
from lib.net import free_port
from lib.origin import Origin, TcpOrigin, reply
from lib.wait import wait_until
from test_health import FAST, conf, reason, started

ONCE = FAST + ", unhealthy_threshold = 1"


# ---- http


def test_method_and_headers(ballast, recording_origin):
    o = recording_origin(answer=reply(200, ""), close_after=1)
    started(ballast, {"b1": o}, health=FAST + ', method = "POST", headers = ( ( "X-Probe", "lb" ), ( "accept", "a/b" ) )'
            ).wait_status("b1", "healthy")
    head = o.connections[0].raw.decode().split("\r\n")
    assert head[0] == "POST /health HTTP/1.1"
    assert {"X-Probe: lb", "accept: a/b", "Content-Length: 0", "Connection: close"} <= set(head)
    assert "Accept: */*" not in head


def test_head_has_no_body(ballast, recording_origin):
    o = recording_origin(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", close_after=1)
    b = started(ballast, {"b1": o}, health=FAST + ', method = "HEAD"')
    b.wait_status("b1", "healthy")
    assert o.connections[0].raw.startswith(b"HEAD /health HTTP/1.1\r\n")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("answer, why", [
    (reply(200, '{"db":"up"}'), None),
    (CHUNKED + b'6\r\n{"db":\r\n5\r\n"up"}\r\n0\r\n\r\n', None),
    (b'HTTP/1.1 200 OK\r\n\r\n{"db":"up"}', None),
    (reply(200, "x" * 65000 + '"db":"up"'), None),
    (reply(200, '{"db":"down"}'), 'status 200, but the body does not hold ""db":"up""'),
    (reply(503, '{"db":"up"}'), "status 503, expected 200-299"),
    (reply(200, "x" * 65530 + '"db":"up"'), 'status 200, but no ""db":"up"" in the body\'s first 64 KiB'),
    (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"db"', "invalid response: the body is cut short or malformed"),
    (CHUNKED + b'zz\r\n"db":"up"', "invalid response: the body is cut short or malformed"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 'status 204, but the body does not hold ""db":"up""'),
], ids=["length", "chunked", "until-close", "late", "another", "status", "too-late", "cut", "malformed", "none"])
def test_body(ballast, tcp_origin, answer, why):
    def serve(sock, number):
        sock.recv(4096)
        sock.sendall(answer)

    b = started(ballast, {"b1": tcp_origin(serve)}, health=ONCE + ', body = "\\"db\\":\\"up\\""')
    b.wait_status("b1", "unhealthy" if why else "healthy")
    assert reason(b, "b1") == (why or "status 200, and the body matches")


def test_endless_body_ends_with_the_deadline(ballast, tcp_origin):
    def serve(sock, number):
        sock.recv(4096)
        sock.sendall(CHUNKED + b"1\r\nx\r\n")
        o.stopping.wait()

    o = tcp_origin(serve)
    b = started(ballast, {"b1": o}, health='interval = "50ms", timeout = "500ms", unhealthy_threshold = 1, body = "up"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "timeout after 500 ms while reading the body"


# ---- tcp


def redis(up):
    """A server that answers PING, and says -LOADING until it is up."""
    def serve(sock, number):
        while data := sock.recv(4096):
            sock.sendall(b"+PONG\r\n" if data == b"PING\r\n" and up.is_set() else b"-LOADING\r\n")
    return serve


def test_tcp_talks(ballast, tcp_origin):
    up = threading.Event()
    up.set()
    b = started(ballast, {"b1": tcp_origin(redis(up))}, protocol="tcp",
                health='interval = "50ms", timeout = "2s", unhealthy_threshold = 1, send = "PING\\r\\n", expect = "+PONG"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "answered as expected"
    up.clear()
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "timeout after 2000 ms while waiting for what is expected"


def test_tcp_banner_with_zero_bytes(ballast, tcp_origin):
    """Nothing is sent; what is expected comes in pieces and has a zero byte in it."""
    def serve(sock, number):
        sock.sendall(b"\x0a8.0")
        wait_until(lambda: True, 1)
        sock.sendall(b"\x00mysql")
        sock.recv(1)

    b = started(ballast, {"b1": tcp_origin(serve)}, protocol="tcp", health=ONCE + ', expect = "8.0\\\\x00my"')
    b.wait_status("b1", "healthy")


def test_tcp_closed_before_it_spoke(ballast, tcp_origin):
    b = started(ballast, {"b1": tcp_origin(lambda sock, number: sock.sendall(b"bye"))}, protocol="tcp",
                health=ONCE + ', expect = "hello"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "closed after 3 bytes, without what is expected"


def test_tcp_garbage_is_bounded(ballast, tcp_origin):
    def serve(sock, number):
        while True:
            sock.sendall(b"x" * 65536)

    b = started(ballast, {"b1": tcp_origin(serve)}, protocol="tcp", health=ONCE + ', expect = "hello"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "not what is expected in 16384 bytes"


# ---- tls


class TlsOrigin(Origin):
    """An HTTP origin inside TLS; .names is what clients asked for."""

    def __init__(self, cert, **where):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert)
        self.names = []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        super().__init__(**where)

    def serve(self, sock, number):
        with self.context.wrap_socket(sock, server_side=True) as tls:
            super().serve(tls, number)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def tls_origin():
    made = []

    def start(cert, **where):
        made.append(TlsOrigin(cert, **where))
        return made[-1]

    yield start
    for o in made:
        o.stop()


def test_tls_handshake(ballast, tls_origin, authority):
    """By default whatever certificate will do: it is the handshake that counts."""
    o = tls_origin(authority.issue("somebody.example", days=-1))
    b = started(ballast, {"b1": o}, health=FAST + ', type = "tls", sni = "somebody.example"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "TLSv1.3 handshake"
    assert o.names[0] == "somebody.example"
    o.refuse()
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "connect: Connection refused"


@pytest.mark.parametrize("host, days, sni, why", [
    ("127.0.0.1", 1, "", None),
    ("api.example", 1, "api.example", None),
    ("api.example", 1, "other.example", "tls: certificate: hostname mismatch"),
    ("api.example", 1, "", "tls: certificate: IP address mismatch"),
    ("api.example", -1, "api.example", "tls: certificate: certificate has expired"),
], ids=["address", "name", "other-name", "no-address", "expired"])
def test_tls_verified(ballast, tls_origin, authority, host, days, sni, why):
    o = tls_origin(authority.issue(host, days=days))
    b = started(ballast, {"b1": o}, health=ONCE + f', type = "tls", verify = true, ca = "{authority.pem}", sni = "{sni}"')
    b.wait_status("b1", "unhealthy" if why else "healthy")
    assert reason(b, "b1") == (why or "TLSv1.3 handshake")


def test_tls_of_an_unknown_issuer(ballast, tls_origin, authority):
    """Against the system's issuers, and after a reload against the right one."""
    o = tls_origin(authority.issue("127.0.0.1"))
    port, strict = free_port(), 'type = "tls", verify = true, healthy_threshold = 1'
    others = {"other": ("127.0.0.1:1", 'type = "none"')}
    b = ballast(mixed(port, b1=(o.address, strict), **others))
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1").startswith("tls: certificate: ")
    b.reload(mixed(port, b1=(o.address, strict + f', ca = "{authority.pem}"'), **others))
    b.wait_status("b1", "healthy")


def test_tls_meets_plain_text(ballast, origin):
    b = started(ballast, {"b1": origin("b1")}, health='interval = "50ms", timeout = "1s", unhealthy_threshold = 1, type = "tls"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1").startswith("tls: ") or reason(b, "b1").startswith("timeout after 1000 ms while shaking hands")


def test_http_inside_tls(ballast, tls_origin, authority):
    o = tls_origin(authority.issue("127.0.0.1"))
    o.script["/big"] = reply(200, "x" * 60000 + "the end")
    b = started(ballast, {"b1": o},
                health=FAST + f', tls = true, verify = true, ca = "{authority.pem}", path = "/big", body = "the end"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "status 200, and the body matches"


def test_tcp_inside_tls(ballast, tls_origin, authority):
    o = tls_origin(authority.issue("127.0.0.1"))
    b = started(ballast, {"b1": o}, protocol="tcp",
                health=FAST + ', tls = true, send = "GET /health HTTP/1.0\\r\\n\\r\\n", expect = "200 OK"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "answered as expected"


@pytest.mark.parametrize("version, header", [
    ("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")])
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_proxy_header_of_a_check(ballast, tcp_origin, version, header, kind):
    """A backend that wants a PROXY header gets one from checks, too; a port for checks alone does not."""
    seen = {"traffic": b"", "other": b""}

    def serve(which):
        def answer(sock, number):
            data = b""
            while not data.endswith(b"ping" if kind == "tcp" else b"\r\n\r\n"):
                data += sock.recv(4096)
            seen[which] = seen[which] or data
            sock.sendall(reply(200, "pong"))
        return answer

    health = f'{FAST}, type = "{kind}"' + (', send = "ping", expect = "pong"' if kind == "tcp" else "")
    traffic, other = tcp_origin(serve("traffic")), tcp_origin(serve("other"))
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
pools = {{ app = {{ proxy_protocol = "{version}", health = {{ {health} }}, backends = (
    {{ name = "b1", address = "{traffic.address}" }},
    {{ name = "b2", address = "{traffic.address}", health = {{ port = {other.port} }} }} ) }} }}
""")
    b.wait_status("b1", "healthy")
    b.wait_status("b2", "healthy")
    assert seen["traffic"].startswith(header + (b"ping" if kind == "tcp" else b"GET /health"))
    assert seen["other"].startswith(b"ping" if kind == "tcp" else b"GET /health")


# ---- grpc


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 0x7F | 0x80, n >> 7])


class GrpcOrigin:
    """grpc.health.v1.Health; .statuses by service name, .asked in order."""

    def __init__(self, cert=None):
        self.statuses, self.asked = {"": 1}, []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(self.check, lambda raw: raw, lambda raw: raw)
        self.server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),))
        if cert:
            pem = open(cert, "rb").read()
            credentials = grpc.ssl_server_credentials([(pem[pem.index(b"-----BEGIN PRIVATE"):], pem)])
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def check(self, request, context):
        service = ""
        if request:
            assert request[0] == 0x0A
            start = 2 if request[1] < 128 else 3
            service = request[start:].decode()
            assert request[1:start] == varint(len(service))
        self.asked.append(service)
        if service not in self.statuses:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        status = self.statuses[service]
        return bytes([8, status]) if status else b""


@pytest.fixture
def grpc_origin():
    made = []

    def start(**options):
        made.append(GrpcOrigin(**options))
        return made[-1]

    yield start
    for o in made:
        o.server.stop(None).wait()


def test_grpc(ballast, grpc_origin):
    o = grpc_origin()
    b = started(ballast, {"b1": o}, health=FAST + ', type = "grpc"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "SERVING"
    o.statuses[""] = 2
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "NOT_SERVING"
    o.statuses[""] = 1
    b.wait_status("b1", "healthy")


@pytest.mark.parametrize("service", ["shop.v1.Cart", "s" * 200], ids=["short", "long"])
def test_grpc_service(ballast, grpc_origin, service):
    o = grpc_origin()
    o.statuses[service] = 1
    b = started(ballast, {"b1": o}, health=ONCE + f', type = "grpc", service = "{service}"')
    b.wait_status("b1", "healthy")
    assert o.asked[0] == service
    del o.statuses[service]
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "grpc-status 5 NOT_FOUND"


def test_grpc_unknown_status(ballast, grpc_origin):
    o = grpc_origin()
    o.statuses[""] = 0
    b = started(ballast, {"b1": o}, health=ONCE + ', type = "grpc"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "UNKNOWN"


def test_grpc_inside_tls(ballast, grpc_origin, authority):
    o = grpc_origin(cert=authority.issue("localhost", "127.0.0.1"))
    b = started(ballast, {"b1": o}, health=FAST + f', type = "grpc", tls = true, verify = true, ca = "{authority.pem}"')
    b.wait_status("b1", "healthy")
    assert reason(b, "b1") == "SERVING"


def test_grpc_meets_another_protocol(ballast, origin):
    b = started(ballast, {"b1": origin("b1")}, health=ONCE + ', type = "grpc"')
    b.wait_status("b1", "unhealthy")
    assert "HTTP/2" in reason(b, "b1") or "closed" in reason(b, "b1") or "receive" in reason(b, "b1") or "send" in reason(b, "b1")


# ---- udp


class UdpOrigin:
    """Answers each datagram with what answer(data) says; None: silence."""

    def __init__(self, answer):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.answer, self.seen = answer, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
                if peer[1] == self.port:  # told to stop
                    break
                self.seen.append(data)
                answer = self.answer(data)
                if answer is not None:
                    self.sock.sendto(answer, peer)
            except OSError:
                break
        self.sock.close()

    def stop(self):
        try:
            self.sock.sendto(b"", ("127.0.0.1", self.port))
        except OSError:
            pass


@pytest.fixture
def udp_origin():
    made = []

    def start(answer):
        made.append(UdpOrigin(answer))
        return made[-1]

    yield start
    for o in made:
        o.stop()


def test_udp_answer(ballast, udp_origin):
    answers = {"good": b"\x00\x01pong", "bad": b"\x00\x01oops"}
    which = ["good"]
    o = udp_origin(lambda data: answers[which[0]])
    b = started(ballast, {"b1": o}, health=ONCE + ', type = "udp", send = "\\\\x00\\\\x01ping", expect = "pong"')
    b.wait_status("b1", "healthy")
    assert o.seen[0] == b"\x00\x01ping"
    which[0] = "bad"
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "not what is expected in 6 bytes"


def test_udp_silence(ballast, udp_origin):
    """Without an expectation silence is healthy, and a port that the host says is closed is not."""
    o = udp_origin(lambda data: None)
    quick = 'interval = "50ms", timeout = "500ms", type = "udp", unhealthy_threshold = 1'
    b = started(ballast, {"quiet": o, "closed": f"127.0.0.1:{free_port()}"}, health=quick)
    b.wait_status("quiet", "healthy")
    assert reason(b, "quiet") == "no answer, and none is expected"
    b.wait_status("closed", "unhealthy")
    assert reason(b, "closed") == "receive: Connection refused"


def test_udp_silence_when_an_answer_is_expected(ballast, udp_origin):
    o = udp_origin(lambda data: None)
    b = started(ballast, {"b1": o}, health='interval = "50ms", timeout = "500ms", type = "udp", send = "x", expect = "y"')
    b.wait_status("b1", "unhealthy")
    assert reason(b, "b1") == "no answer after 500 ms"


# ---- a backend's own


def mixed(port, **checks):
    """One pool; each backend is (address, what stands in its own health group or None)."""
    listed = ", ".join(f'{{ name = "{name}", address = "{address}"' + (f", health = {{ {own} }}" if own else "") + " }"
                       for name, (address, own) in checks.items())
    return (f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}\n'
            f"pools = {{ app = {{ backends = ( {listed} ), health = {{ {ONCE} }} }} }}\n")


def test_own_checks(ballast, origin, tcp_origin):
    a, b2 = origin("a"), origin("b")
    b2.script["/up"] = reply(204)
    b2.healthy = False
    port = free_port()
    quiet = tcp_origin(lambda sock, number: sock.recv(1))
    b = ballast(mixed(port, a=(a.address, None), b=(b2.address, 'path = "/up"'), c=(quiet.address, 'type = "tcp"'),
                      d=(f"127.0.0.1:{free_port()}", 'type = "none"'),
                      e=(f"127.0.0.1:{free_port()}", f"port = {a.port}, host = \"e.example\"")))
    for name in "abcde":
        b.wait_status(name, "healthy")
    assert reason(b, "b") == "status 204"
    assert reason(b, "c") == "connected"
    b2.script["/up"] = reply(500)
    b.wait_status("b", "unhealthy")
    b.reload(mixed(port, a=(a.address, 'expect = "503"'), b=(b2.address, None), c=(quiet.address, 'type = "tcp"')))
    b.wait_status("a", "unhealthy")
    assert reason(b, "a") == "status 200, expected 503"
    b2.healthy = True
    b.wait_status("b", "healthy")
