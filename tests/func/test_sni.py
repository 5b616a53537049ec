"""Routing of TLS connections by the name and the protocols that their ClientHello asks for, untouched."""

import socket
import ssl
import subprocess

import pytest

from lib import proxy_proto
from lib.ballast import run
from lib.net import connect, free_port
from lib.tls_hello import hello, in_records


class Named:
    """Backends that answer everything with their name, and keep what came."""

    def __init__(self, tcp_origin):
        self.got = {}
        self.servers = {name: tcp_origin(lambda sock, number, name=name: self.serve(sock, name))
                        for name in ("a", "b", "wild", "h2", "rest")}

    def serve(self, sock, name):
        sock.sendall(name.encode())
        while data := sock.recv(65536):
            self.got[name] = self.got.get(name, b"") + data

    @property
    def pools(self):
        return "\n".join(f'p_{n} = {{ backends = [ "{s.address}" ], health = {{ type = "none" }} }}'
                         for n, s in self.servers.items())


RULES = """sni = ( { host = "a.example", pool = "p_a" },
  { host = "B.example", alpn = [ "h2", "h3" ], pool = "p_h2" }, { host = "b.example", pool = "p_b" },
  { host = "*.example", pool = "p_wild" }, { host = "*.deep.example", pool = "p_a" } )"""


@pytest.fixture
def sni(ballast, tcp_origin):
    def start(rules=RULES, more="", default=', pool = "p_rest"', bind="127.0.0.1", **options):
        named, port = Named(tcp_origin), free_port()
        instance = ballast(f"""
listeners = {{ web = {{ bind = "{bind}:{port}", protocol = "tcp", {rules}{default}{more} }} }}
pools = {{ {named.pools} }}
""", **options)
        instance.port, instance.named = port, named
        return instance

    return start


def where(port, data, pieces=None, before=b""):
    """The name of the backend that answers; "" when the connection is closed."""
    with connect(port) as s:
        try:
            s.sendall(before)
            for at in range(0, len(data), pieces or 1 << 20):
                s.sendall(data[at:at + (pieces or len(data))])
            return s.recv(100).decode()
        except ConnectionError:
            return ""


def test_names(sni):
    b = sni()
    for host, want in (("a.example", "a"), ("A.EXAMPLE", "a"), ("b.example", "b"), ("c.example", "wild"),
                       ("x.y.example", "wild"), ("x.deep.example", "a"), ("deep.example", "wild"),
                       ("example", "rest"), ("a.example.org", "rest"), ("xa.example2", "rest"), (None, "rest")):
        assert where(b.port, hello(host)) == want, host


def test_protocols(sni):
    b = sni()
    assert where(b.port, hello("b.example", ["h2", "http/1.1"])) == "h2"
    assert where(b.port, hello("b.example", ["http/1.1", "h3"])) == "h2"
    assert where(b.port, hello("b.example", ["http/1.1"])) == "b"


def test_a_protocol_of_any_name(sni):
    b = sni('sni = ( { host = "a.example", pool = "p_a" }, { host = "*", alpn = "h2", pool = "p_h2" } )', default="")
    assert where(b.port, hello("a.example", ["h2"])) == "a"
    assert where(b.port, hello("z.example", ["h2"])) == "h2"
    assert where(b.port, hello(None, ["h2"])) == "h2"
    assert where(b.port, hello("z.example")) == ""


def test_pieces_and_records(sni):
    b = sni()
    data = hello("b.example", ["h2"])
    assert where(b.port, data, pieces=1) == "h2"
    for size in (9, 50, 300):
        assert where(b.port, in_records(data, size)) == "h2"
    assert where(b.port, in_records(data, 40), pieces=3) == "h2"


def test_bytes_arrive_untouched(sni):
    b = sni()
    data = in_records(hello("b.example"), 100) + b"\x17\x03\x03 whatever follows"
    with connect(b.port) as s:
        s.sendall(data)
        assert s.recv(10) == b"b"
        s.sendall(b" and more")
        s.shutdown(socket.SHUT_WR)
        assert s.recv(10) == b""
    assert b.named.got["b"] == data + b" and more"


def test_what_is_not_tls(sni):
    b = sni()
    assert where(b.port, b"SSH-2.0-OpenSSH_9.2\r\n") == "rest"
    assert where(b.port, b"G") == "rest"
    strict = sni(default="")
    assert where(strict.port, b"GET / HTTP/1.1\r\n\r\n") == ""
    assert where(strict.port, hello("nobody.test")) == ""
    assert where(strict.port, hello(None)) == ""
    assert where(strict.port, hello("a.example")) == "a"


def test_malformed_and_endless_ones_are_closed(sni):
    b = sni()
    data = bytearray(hello("a.example"))
    data[9 + 2 + 32] = 200  # session id
    for bad in (bytes(data), b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x40\x01" + b"\1" * 100,
                b"\x16\x03\x01\x00\x04\x02\0\0\0", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
                in_records(hello("a.example"), 5)):
        assert where(b.port, bad) == ""
    assert b.named.got == {}


def test_a_silent_client_is_closed(sni):
    b = sni(more=', timeouts = { header = "300ms" }')
    assert where(b.port, b"") == ""
    assert where(b.port, hello("a.example")[:-1]) == ""


def test_behind_and_before_proxy_headers(ballast, tcp_origin):
    heads, port = [], free_port()

    def handler(sock, number):
        heads.append(proxy_proto.read(sock))
        sock.sendall(sock.recv(3) + b"a")

    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", protocol = "tcp", proxy_protocol = true, trusted = [ "127.0.0.1" ],
                        sni = ( {{ host = "a.example", pool = "a" }} ) }} }}
pools = {{ a = {{ backends = [ "{tcp_origin(handler).address}" ], proxy_protocol = "v2", health = {{ type = "none" }} }} }}
""")
    header = proxy_proto.v1("203.0.113.9", "198.51.100.7", 4711, 443)
    assert where(port, hello("a.example"), before=header) == "\x16\x03\x01a"
    assert where(port, header + hello("a.example"), pieces=5) == "\x16\x03\x01a"
    assert heads == [(2, "203.0.113.9", 4711, "198.51.100.7", 443)] * 2


def test_a_real_handshake_goes_through(sni, ballast, tcp_origin, tmp_path):
    cert = tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=a.example", "-addext", "subjectAltName=DNS:a.example", "-keyout", str(cert),
                    "-out", str(tmp_path / "crt")], check=True, capture_output=True, timeout=30)
    with open(cert, "a", encoding="ascii") as f:
        f.write((tmp_path / "crt").read_text())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert)

    def handler(sock, number):
        with server.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"hello " + tls.recv(100))

    port = free_port()
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", protocol = "tcp", sni = ( {{ host = "a.example", pool = "a" }} ) }} }}
pools = {{ a = {{ backends = [ "{tcp_origin(handler).address}" ], health = {{ type = "none" }} }} }}
""")
    client = ssl.create_default_context(cafile=str(tmp_path / "crt"))
    with connect(port) as s, client.wrap_socket(s, server_hostname="a.example") as tls:
        tls.sendall(b"you")
        assert tls.recv(100) == b"hello you"


def test_thousands_of_names(sni):
    rules = ", ".join(f'{{ host = "h{i}.many.example", pool = "p_{"ab"[i % 2]}" }}' for i in range(5000))
    b = sni(f"sni = ( {rules} )")
    for i in (0, 1, 4998, 4999):
        assert where(b.port, hello(f"h{i}.many.example")) == "ab"[i % 2]
    assert where(b.port, hello("h5000.many.example")) == "rest"


def test_a_reload_changes_the_rules(sni):
    b = sni()
    data = hello("a.example")
    with connect(b.port) as early:
        early.sendall(data[:50])
        text = open(b.conf_path, encoding="utf-8").read()
        b.reload(text.replace('host = "a.example", pool = "p_a"', 'host = "a.example", pool = "p_b"'))
        early.sendall(data[50:])
        assert early.recv(10) == b"b"
    assert where(b.port, data) == "b"


def test_shown_and_loaded_again(sni, tmp_path):
    b = sni()
    shown = run("show", "-c", b.conf_path)
    assert shown.returncode == 0 and '{ host = "b.example", alpn = [ "h2", "h3" ], pool = "p_h2" }' in shown.stdout
    (tmp_path / "again.conf").write_text(shown.stdout)
    again = run("show", "-c", tmp_path / "again.conf")
    assert again.stdout == shown.stdout


def test_mistakes_in_the_file(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("""listeners = {
  one = { bind = "*:8080", protocol = "tcp", sni = ( { host = "a.b", pool = "ap" } ) }
  two = { bind = "*:8081", pool = "app", sni = ( { host = "a.b", pool = "app" } ) }
  three = { bind = "*:8082", protocol = "tcp", sni = (
    { host = "a..b", pool = "app" },
    { host = "a*.b", pool = "app" },
    { pool = "app" },
    { host = "c.d" },
    { host = "e.f", pool = "app" },
    { host = "E.f", pool = "app" },
    { host = "g.h", alpn = [ "" ], pool = "app" } ) }
  four = { bind = "*:8083", protocol = "tcp", sni = ( ) }
  five = { bind = "*:8084", protocol = "tcp" }
}
pools = { app = { backends = [ "127.0.0.1:1" ] } }
""")
    done = run("check", "-c", path)
    assert done.returncode == 1
    for want in ('2: error: listeners.one.sni[0].pool: there is no pool "ap", did you mean "app"?',
                 '3: error: listeners.two: "sni" means nothing with protocol = "http"',
                 '5: error: listeners.three.sni[0].host: "a..b" is not a host',
                 '6: error: listeners.three.sni[1].host: "a*.b" is not a host',
                 '7: error: listeners.three.sni[2]: "host" is missing',
                 '8: error: listeners.three.sni[3]: "pool" is missing',
                 '10: error: sni: "e.f" is never reached: ',
                 '11: error: listeners.three.sni[6].alpn: wants protocols such as "h2"',
                 '12: error: listeners.four.sni: wants a list ( ) of 1 to',
                 '13: error: listeners.five: "pool" '):
        assert want in done.stderr, (want, done.stderr)
