"""HTTP/2 to backends: trailers behind a body of known length, and how long connections are kept."""

import threading

import h2.config
import h2.connection
import h2.events
import pytest

from lib import h2client, http
from lib.ballast import run
from lib.net import free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}, protocol = "h2c"{pool} }} }}
"""


class Backend:
    """answer(connection, stream) is called with each request's end; counts connections, open and in all, and requests on each."""

    def __init__(self, answer):
        self.answer, self.open, self.requests, self.lock = answer, 0, {}, threading.Lock()
        self.got = []  # (data, trailers) of each request, in the order of their ends

    def __call__(self, sock, number):
        with self.lock:
            self.open += 1
            self.requests[number] = 0
        try:
            self.serve(sock, number)
        finally:
            with self.lock:
                self.open -= 1

    def serve(self, sock, number):
        c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        c.initiate_connection()
        sock.sendall(c.data_to_send())
        data_of, trailers_of = {}, {}
        while data := sock.recv(65536):
            for event in c.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    data_of[event.stream_id] = data_of.get(event.stream_id, b"") + event.data
                    c.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.TrailersReceived):
                    trailers_of[event.stream_id] = [(k.decode(), v.decode()) for k, v in event.headers]
                elif isinstance(event, h2.events.StreamEnded):
                    self.got.append((data_of.get(event.stream_id, b""), trailers_of.get(event.stream_id, [])))
                if isinstance(event, h2.events.StreamEnded):
                    self.requests[number] += 1
                    self.answer(c, event.stream_id)
            sock.sendall(c.data_to_send())


def plain(c, stream):
    c.send_headers(stream, [(":status", "200"), ("content-length", "2")])
    c.send_data(stream, b"ok", end_stream=True)


@pytest.fixture
def web(ballast, tcp_origin):
    def start(answer=plain, pool=""):
        backend, port = Backend(answer), free_port()
        instance = ballast(CONF.format(port=port, backend=tcp_origin(backend).address, pool=pool), workers=1)
        instance.port, instance.backend = port, backend
        return instance

    return start


TRAILERS = [("grpc-status", "0"), ("x-last", "yes")]


def test_trailers_behind_a_body_of_known_length(web):
    def answer(c, stream):
        c.send_headers(stream, [(":status", "200"), ("content-length", "5")])
        c.send_data(stream, b"hello")
        c.send_headers(stream, TRAILERS, end_stream=True)

    b = web(answer)
    with h2client.Client(b.port) as c:
        for _ in range(3):
            s = c.request("GET", "/")
            assert s.status == 200 and s.data == b"hello" and s.header("content-length") == "5" and list(s.trailers) == TRAILERS
    r = http.get(b.port)  # text has no place for them
    assert r.status == 200 and r.body == b"hello"


def post(c, data, length=True, trailers=(), at_once=False):
    """A request whose trailers come behind its body, in a packet of their own or in one with it."""
    n = c.start("POST", "/", [("content-length", str(len(data)))] if length else [], end=False)
    if at_once:
        c.h2.send_data(n, data, end_stream=not trailers)
    else:
        c.send(n, data, end=not trailers)
        c.request("GET", "/meanwhile")
    if trailers:
        c.h2.send_headers(n, trailers, end_stream=True)
    c.flush()
    return c.finish(n)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("length", [False, True])
@pytest.mark.parametrize("size", [1, 2, 15_000])
def test_trailers_of_a_request(web, size, length, at_once):
    b = web()
    with h2client.Client(b.port) as c:
        for trailers in (TRAILERS, [], TRAILERS[1:]):
            assert post(c, b"y" * size, length, trailers, at_once).status == 200
            assert [got for got in b.backend.got if got[0]][-1] == (b"y" * size, trailers)


def test_a_request_that_is_sent_again_keeps_its_trailers(ballast, tcp_origin):
    """The first backend hangs up; what it was sent is sent to the second."""
    there, port = Backend(plain), free_port()

    def hang_up(sock, _):
        sock.recv(65536)

    instance = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( "{tcp_origin(hang_up).address}", "{tcp_origin(there).address}" ), health = {{ type = "none" }},
                    protocol = "h2c", retry = {{ attempts = 3 }} }} }}
""", workers=1)
    assert instance
    with h2client.Client(port) as c:
        for _ in range(4):
            n = c.start("PUT", "/", [("content-length", "3")], end=False)
            c.send(n, b"abc")
            c.h2.send_headers(n, TRAILERS, end_stream=True)
            c.flush()
            assert c.finish(n).status == 200
    assert there.got == [(b"abc", TRAILERS)] * 4


def test_no_trailers_are_awaited_for_an_http1_backend(ballast, recording_origin):
    """Text has no place for them behind a body of known length."""
    port = free_port()
    origin = recording_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    instance = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{origin.address}" ], health = {{ type = "none" }} }} }}
""", workers=1)
    assert instance
    with h2client.Client(port) as c:
        n = c.start("POST", "/", [("content-length", "5")], end=False)
        c.send(n, b"hello")
        c.until(lambda: c.streams[n].data == b"ok")  # the answer, before the client ended its half
        assert c.request("GET", "/").status == 200


@pytest.mark.parametrize("size", [1, 50_000])
def test_trailers_that_come_late(web, size):
    """The body is passed on as it comes; its last byte and the end wait for the trailers."""
    late = []

    def answer(c, stream):
        if late:
            c.send_headers(late.pop(), TRAILERS, end_stream=True)
            return plain(c, stream)
        c.send_headers(stream, [(":status", "200"), ("content-length", str(size))])
        for at in range(0, size, 10_000):
            c.send_data(stream, b"x" * min(10_000, size - at))
        return late.append(stream)

    b = web(answer)
    with h2client.Client(b.port) as c:
        n = c.start("GET", "/")
        c.until(lambda: c.streams[n].headers and len(c.streams[n].data) == size - 1)
        assert not c.streams[n].ended
        assert c.request("GET", "/next").status == 200
        s = c.finish(n)
        assert s.data == b"x" * size and list(s.trailers) == TRAILERS


def test_idle_connections_end(web):
    b = web(pool=', keepalive_timeout = "5s"')
    assert http.get(b.port).status == 200 and b.backend.open == 1
    wait_until(lambda: b.backend.open == 0, what="the idle connection to end")
    assert http.get(b.port).status == 200 and len(b.backend.requests) == 2


def test_none_is_kept(web):
    b = web(pool=", keepalive = 0")
    assert http.get(b.port).status == 200
    wait_until(lambda: b.backend.open == 0, what="the idle connection to end")


def test_so_many_requests_on_a_connection(web):
    b = web(pool=", keepalive_requests = 5")
    with h2client.Client(b.port) as c:
        for _ in range(12):
            assert c.request("GET", "/").status == 200
    assert sorted(b.backend.requests.values()) == [2, 5, 5]
    wait_until(lambda: b.backend.open == 1, what="the spent ones to end")


@pytest.mark.parametrize("settings, said", [
    ('keepalive_timeout = "0s"', "is out of range"), ("keepalive_timeout = 60", "needs a unit"),
    ('keepalive_timeout = "2d"', "is out of range"), ("keepalive_requests = -1", "is out of range")])
def test_bad_settings(tmp_path, settings, said):
    path = tmp_path / "ballast.conf"
    path.write_text(CONF.format(port=1, backend="127.0.0.1:1", pool=", " + settings))
    done = run("check", "-c", path)
    assert done.returncode == 1 and said in done.stderr and ":3: error" in done.stderr, done.stderr
