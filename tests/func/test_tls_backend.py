"""TLS towards backends: verification, names, client certificates, sessions."""

import ssl

import pytest

from lib import http, tls
from lib.net import free_port
from lib.origin import Origin, TcpEcho
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}, {pool} }} }}
"""


class Tls:
    """Wraps what a server accepts; notes names asked for, sessions and certificates."""

    def __init__(self, kind, context, **options):
        self.names, self.resumed, self.peers = [], [], []
        context.sni_callback = lambda sock, name, ctx: self.names.append(name)
        outer = self

        class Served(kind):
            def serve(self, sock, number):
                try:
                    sock = context.wrap_socket(sock, server_side=True)
                except (ssl.SSLError, ConnectionError):
                    return
                outer.resumed.append(sock.session_reused)
                outer.peers.append(sock.getpeercert())
                super().serve(sock, number)

        self.server = Served(**options)
        self.address = self.server.address


@pytest.fixture
def ca(tmp_path):
    return tls.Authority(tmp_path / "ca")


@pytest.fixture
def backend(ca):
    made = []

    def start(names, kind=Origin, clients=None, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ca.issue("backend", names))
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        made.append(Tls(kind, context, **options))
        return made[-1]

    yield start
    for b in made:
        b.server.stop()


@pytest.fixture
def web(ballast):
    def start(backend, pool, **options):
        port = free_port()
        address = backend if isinstance(backend, str) else backend.address
        instance = ballast(CONF.format(port=port, backend=address, pool=pool), **options)
        instance.port = port
        return instance

    return start


def test_verified_by_name(web, ca, backend):
    o = backend(["app.test"])
    b = web(o, f'tls = {{ ca = "{ca.path}", sni = "app.test" }}', workers=1)
    for _ in range(3):
        assert http.get(b.port).text == "b1"
    assert o.names == ["app.test"]  # one connection, kept
    assert o.server.requests[-1].header("X-Forwarded-Proto") == "http"


def test_the_name_of_the_address_is_the_one(web, ca, backend):
    o = backend(["localhost"])
    b = web(o.address.replace("127.0.0.1", "localhost"), f'tls = {{ ca = "{ca.path}" }}')
    assert http.get(b.port).status == 200 and o.names == ["localhost"]


@pytest.mark.parametrize("settings, reason", [
    ('ca = "{ca}", sni = "other.test"', "hostname mismatch"),
    ('ca = "{ca}"', "IP address mismatch"),
    ('ca = "{stranger}", sni = "app.test"', "unable to get local issuer|certificate signature failure"),
])
def test_what_cannot_be_verified_gets_nothing(web, ca, backend, settings, reason):
    o = backend(["app.test"])
    stranger = tls.Authority(ca.directory + "/other", "Other CA")
    b = web(o, "tls = { " + settings.format(ca=ca.path, stranger=stranger.path) + " }")
    r = http.get(b.port)
    assert r.status == 502 and not o.server.requests
    wait_until(lambda: any(part in b.log() for part in reason.split("|")), what="the reason in the log")


def test_unverified_when_told_so(web, ca, backend):
    o = backend(["whoever"])
    assert http.get(web(o, "tls = { verify = false }").port).status == 200


def test_plain_backend_is_a_failed_connection(web, ca, origin):
    o = origin()
    b = web(o.address, 'timeouts = { connect = "300ms" }, tls = { verify = false }')
    assert http.get(b.port).status in (502, 504)


def test_client_certificate(web, ca, backend):
    pair = ca.issue("balancer", ["balancer"], client=True)
    o = backend(["app.test"], clients=ca.path)
    assert http.get(web(o, "tls = { verify = false }").port).status == 502
    b = web(o, f'tls = {{ ca = "{ca.path}", sni = "app.test", cert = "{pair[0]}", key = "{pair[1]}" }}')
    assert http.get(b.port).status == 200
    assert o.peers[-1]["subject"][0][0][1] == "balancer"


def test_sessions_are_used_again(web, ca, backend):
    o = backend(["app.test"])
    b = web(o, f'keepalive = 0, tls = {{ ca = "{ca.path}", sni = "app.test" }}', workers=1)
    for _ in range(4):
        assert http.get(b.port).status == 200
    wait_until(lambda: len(o.resumed) == 4, what="four connections")
    assert o.resumed[0] is False and any(o.resumed[1:])


def test_bodies_and_kept_connections(web, ca, backend):
    o = backend(["app.test"])
    b = web(o, f'tls = {{ ca = "{ca.path}", sni = "app.test" }}', workers=1)
    body = b"x" * 2_000_000
    with http.Client(b.port) as c:
        for _ in range(3):
            assert c.request("POST", "/echo", body=body).status == 200
            assert o.server.requests[-1].body == body
            assert len(c.get("/bytes/3000000").body) == 3_000_000


def test_tcp_pool(ballast, ca, backend):
    port = free_port()
    o = backend(["app.test"], kind=TcpEcho)
    ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "db" }} }}
pools = {{ db = {{ backends = [ "{o.address}" ], health = {{ type = "none" }},
           tls = {{ ca = "{ca.path}", sni = "app.test" }} }} }}
""")
    assert http.exchange(port, b"hello" * 1000, half_close=True) == b"hello" * 1000


def test_both_sides(ballast, ca, backend):
    port = free_port()
    o = backend(["app.test"])
    pair = ca.issue("front", ["a.test"])
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app",
               tls = {{ certificates = ( {{ cert = "{pair[0]}", key = "{pair[1]}" }} ) }} }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }},
           tls = {{ ca = "{ca.path}", sni = "app.test" }} }} }}
""")
    with tls.Client(port, ca.context()) as c:
        for _ in range(3):
            assert len(c.get("/bytes/1000000").body) == 1_000_000


def test_an_answer_that_is_cut_looks_cut(web, ca, backend):
    """A body that ends with the connection, which ends without close_notify: an attacker may have cut it."""
    from lib.origin import TcpOrigin

    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1000)

    class Cut(TcpOrigin):
        def __init__(self, **where):
            super().__init__(handler, **where)

    o = backend(["app.test"], kind=Cut)
    b = web(o, "tls = { verify = false }")
    got = http.exchange(b.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"x" * 100 in got and not got.endswith(b"0\r\n\r\n")


def test_health_checks_speak_tls(ballast, ca, backend):
    port = free_port()
    o = backend(["app.test"])
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ path = "/", interval = "100ms", healthy_threshold = 1 }},
           tls = {{ ca = "{ca.path}", sni = "app.test" }} }} }}
""")
    b.wait_healthy()
    assert set(o.names) == {"app.test"}


@pytest.mark.parametrize("settings, said", [
    ('verify = "no"', "wants true or false"),
    ('ca = "nope.pem"', "cannot read"),
    ('ca = "ballast.conf"', "holds no PEM certificate"),
    ('verify = false, ca = "x"', "means nothing with verify = false"),
    ('key = "x"', 'means nothing without "cert"'),
    ('cert = "nope.crt"', "cannot read"),
    ('sni = "a b"', "is not a host name"),
])
def test_bad_settings(tmp_path, settings, said):
    from lib.ballast import run
    path = tmp_path / "ballast.conf"
    path.write_text(CONF.format(port=1, backend="127.0.0.1:1", pool=f"tls = {{ {settings} }}"))
    result = run("check", "-c", path)
    assert result.returncode == 1 and said in result.stdout + result.stderr and "ballast.conf:3: error" in result.stderr


def test_a_unix_socket_needs_a_name(tmp_path):
    from lib.ballast import run
    path = tmp_path / "ballast.conf"
    path.write_text(CONF.format(port=1, backend="unix:/x", pool="tls = { }"))
    result = run("check", "-c", path)
    assert result.returncode == 1 and "set tls.sni" in result.stderr
