"""Big bodies, which move through pipes: whole, in order, cut where they are cut, and as fast as the slower side."""

import hashlib
import os
import socket
import threading

import pytest

from lib.http import Client, Reader, build_request, get, read_response
from lib.net import connect, free_port, reset
from lib.origin import TcpOrigin
from lib.wait import wait_until

BIG = 6_000_000
DATA = os.urandom(1 << 20) * (BIG // (1 << 20) + 1)
DATA = DATA[:BIG - 4321]


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def http(ballast):
    def start(backend, more="", **options):
        port = free_port()
        instance = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend.address}" ], health = {{ type = "none" }}{more} }} }}
""", workers=1, **options)
        instance.port = port
        return instance

    return start


def send_body(body, cut_at=None):
    def answer(request, sock):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        sock.sendall(head + body[:cut_at])
        return b"" if cut_at is None else None

    return answer


def uses_pipes(instance):
    """Do the workers hold any?"""
    return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")
               for pid in instance.worker_pids.values() for fd in os.listdir(f"/proc/{pid}/fd"))


def test_responses(http, origin):
    o = origin()
    o.script["/big"] = send_body(DATA)
    b = http(o)
    before = uses_pipes(b)
    with Client(b.port) as c:
        for _ in range(3):
            assert digest(c.get("/big", deadline=60).body) == digest(DATA)
            assert c.get("/").status == 200
    assert o.accepted == 1, "the connection to the backend was kept"
    assert not before and uses_pipes(b)


@pytest.mark.parametrize("size", [65535, 65536, 65537, 16384 + 65536, 1 << 20])
def test_sizes_around_the_bounds(http, origin, size):
    o = origin()
    o.script["/x"] = send_body(DATA[:size])
    b = http(o)
    with Client(b.port) as c:
        for _ in range(3):
            assert c.get("/x").body == DATA[:size]


def test_requests(http, origin):
    o = origin()
    b = http(o)
    with Client(b.port) as c:
        for _ in range(2):
            assert digest(c.request("POST", "/echo", body=DATA, deadline=60).body) == digest(DATA)
            assert c.get("/").status == 200
    assert uses_pipes(b)


def test_a_request_right_behind_a_big_body(http, origin):
    """Pipelined: what follows the body is not part of it."""
    o = origin()
    b = http(o)
    with connect(b.port, 60) as s:
        data = build_request("POST", "/echo", body=DATA[:400_001]) + build_request("GET", "/after")
        threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
        reader = Reader(s)
        assert read_response(s, "POST", 60, reader=reader).body == DATA[:400_001]
        assert read_response(s, "GET", 60, reader=reader).status == 200
    assert [r.path for r in o.requests] == ["/echo", "/after"]


def test_a_slow_reader_gets_all_and_stops_the_backend(http, origin):
    o = origin()
    sent = []

    def slow_count(request, sock):
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA) * 4}\r\n\r\n".encode())
        for _ in range(4):
            for at in range(0, len(DATA), 100_000):
                sock.sendall(DATA[at:at + 100_000])
                sent.append(1)
        return b""

    o.script["/slow"] = slow_count
    b = http(o)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.settimeout(60)
    with s:
        s.connect(("127.0.0.1", b.port))
        s.sendall(build_request("GET", "/slow"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(100)
        got, seen = hashlib.sha256(head[head.index(b"\r\n\r\n") + 4:]), len(head) - head.index(b"\r\n\r\n") - 4
        sizes = []
        while seen < len(DATA) * 4:
            data = s.recv(5000 if seen < 200_000 else 65536)
            assert data
            if seen < 200_000:
                sizes.append(len(sent))
            got.update(data)
            seen += len(data)
    assert got.hexdigest() == digest(DATA * 4)
    assert max(sizes) < 4 * len(DATA) // 100_000, "the backend was slowed down while the client read slowly"


@pytest.mark.parametrize("cut_at", [100_000, 3_000_000])
def test_a_backend_that_breaks_off(http, origin, cut_at):
    o = origin()
    o.script["/cut"] = send_body(DATA, cut_at)
    b = http(o)
    with connect(b.port, 30) as s:
        s.sendall(build_request("GET", "/cut"))
        got = b""
        try:
            while data := s.recv(65536):
                got += data
        except ConnectionResetError:
            pass
    body = got[got.index(b"\r\n\r\n") + 4:]
    assert len(body) <= cut_at and body == DATA[:len(body)]
    assert get(b.port).status == 200


def test_a_client_that_leaves(http, origin):
    o = origin()
    o.script["/big"] = send_body(DATA)
    b = http(o)
    for how in (socket.socket.close, reset):
        s = connect(b.port)
        s.sendall(build_request("GET", "/big"))
        assert s.recv(100_000)
        how(s)
    wait_until(lambda: b.admin("/lb/stats")["server_details"][0]["current_connections"] == 0,
               what="both given back")
    assert get(b.port, "/big", deadline=60).body == DATA


def test_a_client_that_leaves_in_its_request(http, origin):
    o = origin()
    b = http(o)
    s = connect(b.port)
    s.sendall(build_request("POST", "/echo", body=DATA)[:2_000_000])
    reset(s)
    assert get(b.port).status == 200
    wait_until(lambda: o.open <= 1, what="the broken request's connection closed")
    assert all(r.path != "/echo" for r in o.requests)


def test_an_answer_before_the_body_was_read(http, origin):
    """The backend answers and closes in the middle of a big request."""
    def handler(sock, number):
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with TcpOrigin(handler) as o:
        b = http(o)
        with connect(b.port, 30) as s:
            threading.Thread(target=lambda: _send(s, build_request("POST", "/", body=DATA)), daemon=True).start()
            assert read_response(s, "POST").status == 413


def _send(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


def test_tunnels_both_ways_with_half_closes(ballast, tcp_echo):
    port = free_port()
    b = ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "db" }} }}
pools = {{ db = {{ backends = [ "{tcp_echo(farewell=b"bye").address}" ], health = {{ type = "none" }} }} }}
""", workers=1)
    with connect(port, 60) as s:
        def send():
            for at in range(0, len(DATA), 700_000):
                s.sendall(DATA[at:at + 700_000])
            s.sendall(b"small")
            s.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        got = b""
        while data := s.recv(1 << 20):
            got += data
    assert len(got) == len(DATA) + 8 and got == DATA + b"small" + b"bye"
    assert uses_pipes(b)


def test_bytes_are_counted(http, origin):
    o = origin()
    o.script["/big"] = send_body(DATA)
    b = http(o)
    assert len(get(b.port, "/big", deadline=60).body) == len(DATA)

    def counted():
        lines = [line for line in b.request("GET", "/metrics").text.splitlines() if "bytes" in line and not line.startswith("#")]
        return sum(1 for line in lines if float(line.split()[-1]) >= len(DATA)) >= 2

    wait_until(counted, what="the bytes in the books, from the backend and to the client")
