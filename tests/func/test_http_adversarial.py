"""HTTP/1.1 against clients and backends that stop, vanish, stall, lie or send too much."""

import os
import random
import socket
import subprocess
import threading

import pytest

from lib import http, procs
from lib.net import connect, free_port, reset
from lib.origin import reply
from lib.wait import wait_until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = reply(200, "ok")


@pytest.fixture
def web(ballast):
    """web(backend, ...): an instance in front of it; .port is the listener's."""

    def start(backend, listener="", pool="", **options):
        port = free_port()
        text = backend if isinstance(backend, str) else f'[ "{backend.address}" ]'
        instance = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = {text}, health = {{ type = "none" }}{pool} }} }}
""", **options)
        instance.port = port
        return instance

    return start


def only_worker(instance):
    return list(instance.worker_pids.values())[0]


def in_flight(instance):
    stats = instance.admin("/lb/stats")
    return stats["active_connections"] + sum(s["current_connections"] for s in stats["server_details"])


def wait_quiet(instance):
    """Every place and every client connection was given back."""
    wait_until(lambda: in_flight(instance) == 0, 20, "nothing in flight")


def sockets(pid):
    return sorted(name for name in procs.descriptors(pid).values() if name.startswith("socket:"))


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def read_to_end(sock):
    """(bytes, "eof" or "reset")"""
    data = bytearray()
    sock.settimeout(15)
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        return bytes(data), "reset"
    return bytes(data), "eof"


# ---- the client's end of file ----------------------------------------------------------------------------------------

def test_half_closed_client_gets_every_pipelined_answer(web, origin):
    b = web(origin())
    n = 200
    data = b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(n))
    with connect(b.port) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        reader = http.Reader(s)
        for i in range(n):
            assert len(http.read_response(s, reader=reader).body) == i
        assert not reader.buffer and read_to_end(s) == (b"", "eof")
    wait_quiet(b)


def test_half_close_with_nc(web, origin):
    b = web(origin())
    done = subprocess.run(["nc", "-N", "127.0.0.1", str(b.port)], input=GET * 3, capture_output=True, timeout=20)
    assert done.stdout.count(b"HTTP/1.1 200 OK") == 3


def test_half_closed_client_waits_for_a_slow_backend(web, origin):
    o = origin()
    b = web(o, workers=1)
    o.hold()
    with connect(b.port) as s:
        s.sendall(GET)
        s.shutdown(socket.SHUT_WR)
        wait_until(lambda: o.waiting == 1, what="the request at the origin")
        assert b.admin("/lb/stats")["server_details"][0]["current_connections"] == 1
        o.release()
        assert http.read_response(s).status == 200
    wait_quiet(b)


def test_half_closed_client_gets_the_whole_of_a_large_answer(web, origin):
    b = web(origin())
    with connect(b.port) as s:
        s.sendall(b"GET /bytes/30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1) == b"H"
        s.shutdown(socket.SHUT_WR)
        data, end = read_to_end(s)
        assert end == "eof" and len(data.partition(b"\r\n\r\n")[2]) == 30000000
    wait_quiet(b)


def test_half_closed_client_in_the_middle_of_a_body_is_given_up(web, recording_origin):
    o = recording_origin()
    b = web(o)
    with connect(b.port) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s)[0] == b""
    wait_until(lambda: all(c.eof for c in o.connections), what="the abort at the origin")
    wait_quiet(b)


def test_a_client_that_closes_while_it_waits_costs_no_cpu_and_ends(web, recording_origin):
    o = recording_origin(lambda raw, answered: None)
    b = web(o, workers=1)
    pid = only_worker(b)
    socks = [connect(b.port) for _ in range(8)]
    for s in socks:
        s.sendall(GET)
    wait_until(lambda: len(o.connections) == 8, what="the requests at the origin")
    before = cpu_ticks(pid)
    for s in socks:
        s.close()
    wait_quiet(b)
    assert cpu_ticks(pid) - before < 30


# ---- request bodies and what follows them -------------------------------------------------------------------------------

@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_the_backend_did_not_read_is_never_taken_for_a_request(web, tcp_origin, tmp_path, chunked):
    """The backend answers without reading; the rest of the body waits in the balancer and must die there."""
    later = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    targets, gates = [], {}

    def handler(sock, number):
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += sock.recv(1)
        targets.append(raw.split(b" ", 2)[1])
        gate = gates.get(targets[-1])
        if gate:
            assert gate.wait(20)
        sock.sendall(reply(200, "ok", [("Connection", "close")]))
        sock.recv(1)

    o = tcp_origin(handler, unix=str(tmp_path / "o.sock"))
    b = web(f'( {{ name = "local", address = "unix:{tmp_path}/o.sock" }} )', workers=1)
    taken = lambda: b.admin("/lb/stats")["bytes_in"]
    for round_, size in enumerate(range(150_000, 420_000, 30_000)):
        target = b"/up%d" % round_
        gate = gates[target] = threading.Event()
        body = (later * (size // len(later) + 1))[:size // len(later) * len(later)]
        if chunked:
            head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % target
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (target, len(body))
        with connect(b.port) as s:
            before = taken()
            s.sendall(head + body)
            wait_until(lambda: taken() > before, what="the body in the balancer")
            wait_until(lambda: len({taken() for _ in range(4)}) == 1, what="no more taken")
            gate.set()
            s.settimeout(10)
            reader = http.Reader(s)
            assert http.read_response(s, reader=reader).status == 200
            s.shutdown(socket.SHUT_WR)
            data, _ = read_to_end(s)
            assert reader.buffer + data == b""
    assert b"/smuggled" not in targets


def test_body_limit_counts_the_body_and_not_its_chunk_framing(web, origin):
    b = web(origin(), listener=', limits = { body_size = "2k" }')
    one_byte_chunks = b"1\r\na\r\n" * 2000 + b"0\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert http.raw(b.port, head + one_byte_chunks).body == b"a" * 2000
    assert http.raw(b.port, head + b"1\r\na\r\n" * 2049 + b"0\r\n\r\n").status == 413
    wait_quiet(b)


def test_malformed_chunk_ends_the_request_and_the_connection(web, recording_origin):
    o = recording_origin()
    b = web(o)
    for bad in (b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"3;\n\r\nabc\r\n", b"10000000000000000\r\n"):
        with connect(b.port) as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            s.sendall(bad + GET)
            assert http.read_response(s).status == 400
            assert read_to_end(s)[0] == b""
    assert b"GET / " not in o.raw
    wait_quiet(b)


def test_trailing_garbage_is_refused_after_the_answer(web, origin):
    b = web(origin())
    with http.Client(b.port) as c:
        c.send(GET + b"garbage\r\n\r\n" + GET)
        assert c.read().status == 200
        r = c.read()
        assert r.status == 400 and r.header("Connection") == "close"
        assert c.eof()
    wait_quiet(b)


def test_head_split_at_every_byte(web, origin):
    b = web(origin(), workers=1)
    request = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    with http.Client(b.port) as c:
        for at in range(1, len(request)):
            c.send(request[:at])
            c.send(request[at:])
            assert c.read().body == b"abc"


def test_early_final_answer_while_the_body_still_comes(web, tcp_origin):
    """The answer arrives, the connection is closed, the rest of the body is not a request."""
    targets = []

    def handler(sock, number):
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += sock.recv(1)
        targets.append(raw.split(b" ", 2)[1])
        sock.sendall(reply(413, "no", reason="Too Large"))
        while sock.recv(65536):
            pass

    b = web(tcp_origin(handler), workers=1)
    for _ in range(5):
        with connect(b.port) as s:
            s.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + GET)
            r = http.read_response(s)
            assert r.status == 413 and r.header("Connection") == "close"
            try:
                s.sendall(GET * 1000)
            except ConnectionError:
                pass
    wait_quiet(b)
    assert set(targets) == {b"/up"}


def test_upload_continues_while_the_answer_already_flows(web, tcp_origin):
    """Both directions at once, each larger than all buffers."""

    def handler(sock, number):
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += sock.recv(1)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n")
        left = 8_000_000
        while left:
            data = sock.recv(65536)
            if not data:
                return
            left -= len(data)
            sock.sendall(data)

    b = web(tcp_origin(handler), workers=1)
    body = os.urandom(8_000_000)
    with connect(b.port) as s:
        sender = threading.Thread(target=s.sendall, args=(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + body,), daemon=True)
        sender.start()
        assert http.read_response(s, deadline=40).body == body
        sender.join(20)
    wait_quiet(b)


def test_a_large_upload_over_a_stale_pooled_connection(web, origin):
    """It cannot be sent twice, so the pooled connection is looked at first."""
    o = origin()
    b = web(o, workers=1)
    for method in ("PUT", "POST"):
        for _ in range(5):
            assert http.get(b.port, "/warm").status == 200
            os.kill(only_worker(b), 19)  # SIGSTOP: the close of the pooled connection and the request come at once
            try:
                o.cut()
                s = connect(b.port)
                s.sendall(b"%s /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" % method.encode() + b"u" * 100000)
                wait_until(lambda: o.open == 0, what="closed at the origin")
            finally:
                os.kill(only_worker(b), 18)
            with s:
                assert http.read_response(s).body == b"u" * 100000


# ---- answers ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("after,status", [(b"", 502), (b"garbage\r\n\r\n", 502), (None, 504)])
def test_failure_after_an_interim_answer_is_still_told(web, tcp_origin, after, status):
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.recv(65536)
        if after is None:
            sock.recv(65536)
        else:
            sock.sendall(after)

    b = web(tcp_origin(handler), pool=', timeouts = { read = "2s" }')
    with http.Client(b.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert c.read().status == 100
        c.send(b"hi")
        r = c.read()
        assert r.status == status and r.json()["error"]
    wait_quiet(b)


@pytest.mark.parametrize("interim,final", [(13_000, 10), (40_000, 10), (6_000, 20_000), (100, 60_000), (30_000, 50_000)])
def test_large_interim_and_final_heads(web, recording_origin, interim, final):
    o = recording_origin(b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\nHTTP/1.1 200 OK\r\nX-Big: %s\r\nContent-Length: 2\r\n\r\nok"
                         % (b"l" * interim, b"v" * final))
    b = web(o)
    with http.Client(b.port) as c:
        for _ in range(2):
            c.send(GET)
            r = c.read()
            assert r.status == 103 and len(r.header("Link")) == interim
            r = c.read()
            assert r.status == 200 and len(r.header("X-Big")) == final and r.body == b"ok"


@pytest.mark.parametrize("kind", ["length", "chunked", "close"])
def test_largest_heads_and_bodies_of_every_split(web, tcp_origin, kind):
    """A response head of 64 KiB, and responses cut into two segments at many places."""
    big = b"v" * 65_000
    head = {"length": b"Content-Length: 20\r\n", "chunked": b"Transfer-Encoding: chunked\r\n", "close": b""}[kind]
    body = b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n" if kind == "chunked" else b"x" * 20
    message = b"HTTP/1.1 200 OK\r\nX-Big: " + big + b"\r\n" + head + b"\r\n" + body
    cuts = iter(list(range(1, 40)) + list(range(65_000, len(message))))

    def handler(sock, number):
        while sock.recv(65536):
            at = next(cuts)
            sock.sendall(message[:at])
            sock.sendall(message[at:])
            if kind == "close":
                return

    b = web(tcp_origin(handler), workers=1)
    with http.Client(b.port) as c:
        for _ in range(len(message) - 65_000 + 39):
            c.send(GET)
            r = c.read()
            assert r.status == 200 and r.body == b"x" * 20


@pytest.mark.parametrize("request_,answer", [
    (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    (GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello")])
def test_a_body_where_none_may_be_is_cut(web, tcp_origin, request_, answer):
    """Whether it comes with the head or behind it, nobody else gets it."""
    turn, sent = iter(range(100)), threading.Semaphore(0)

    def handler(sock, number):
        while data := sock.recv(65536):
            if b"/good" in data:
                sock.sendall(reply(200, "good"))
                continue
            head, mark, rest = answer.partition(b"\r\n\r\n")
            for part in (answer,) if next(turn) % 2 else (head + mark, rest):
                sock.sendall(part)
            sent.release()

    b = web(tcp_origin(handler), workers=1)
    for _ in range(10):
        with http.Client(b.port) as c:
            c.send(request_)
            assert c.read("HEAD").body == b""
            assert sent.acquire(timeout=10)
            r = c.get("/good")
            assert r.status == 200 and r.text == "good"


def test_answer_with_connection_close_and_keep_alive(web, tcp_origin):
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 2\r\n\r\nok")

    b = web(tcp_origin(handler), workers=1)
    with http.Client(b.port) as c:
        for _ in range(10):
            r = c.get()
            assert r.body == b"ok" and r.header("Connection") is None


def test_backend_that_closes_right_after_each_complete_answer(web, tcp_origin):
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(OK)

    b = web(tcp_origin(handler), workers=1)
    with http.Client(b.port) as c:
        for _ in range(100):
            assert c.get().body == b"ok"
    wait_quiet(b)


@pytest.mark.parametrize("head", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_a_cut_answer_is_a_reset_for_those_who_could_not_tell(web, tcp_origin, head):
    """An HTTP/1.0 client reads to the end: a clean end would say that it has everything."""
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (b"5\r\nhello\r\n" if head else b"hello"))
        sock.recv(1)
        reset(sock)

    o = tcp_origin(handler)
    b = web(o, pool=', timeouts = { read = "2s" }')
    with connect(b.port) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_to_end(s)[1] == "reset"
    wait_quiet(b)


def test_header_names_and_values_cannot_split_an_answer(web, recording_origin):
    for bad in (b"X: a\rSet-Cookie: b\r\n", b"X: a\nSet-Cookie: b\r\n", b"X\r\n Y: 1\r\n", b"X: \0\r\n"):
        o = recording_origin(b"HTTP/1.1 200 OK\r\n" + bad + b"Content-Length: 0\r\n\r\n")
        assert http.get(web(o).port).status == 502


# ---- deadlines -----------------------------------------------------------------------------------------------------------

def test_connect_into_a_full_backlog_ends(web):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(full.getsockname())
            fill.append(s)
        b = web(f'[ "127.0.0.1:{full.getsockname()[1]}" ]', pool=', timeouts = { connect = "300ms" }')
        r = http.get(b.port)
        assert r.status == 504 and r.json()["error"]
        wait_quiet(b)
        for s in fill:
            s.close()


@pytest.mark.parametrize("part,status", [(b"", 504), (b"HTTP/1.1 200 OK\r\nX: ", 504), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", None),
                                         (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", None),
                                         (b"HTTP/1.1 200 OK\r\n\r\nab", None)])
def test_backend_that_stalls_anywhere(web, tcp_origin, part, status):
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(part)
        sock.recv(1)

    b = web(tcp_origin(handler), pool=', timeouts = { read = "1s" }', workers=1)
    with connect(b.port) as s:
        s.sendall(GET)
        data, _ = read_to_end(s) if status is None else (http.read_response(s), None)
    if status:
        assert data.status == status
    else:
        assert data.startswith(b"HTTP/1.1 200 OK") and not data.endswith(b"0\r\n\r\n")
    wait_quiet(b)


def test_client_that_reads_nothing_is_given_up(web, origin):
    b = web(origin(), listener=', timeouts = { body = "300ms" }', workers=1)
    pid = only_worker(b)
    with connect(b.port) as s:
        before = cpu_ticks(pid)
        s.sendall(b"GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 100)
        wait_until(lambda: b.admin("/lb/stats")["total_requests"] == 1, what="given up")
        wait_quiet(b)
    assert cpu_ticks(pid) - before < 100


def test_backend_that_reads_nothing_is_given_up(web, tcp_origin):
    def handler(sock, number):
        threading.Event().wait(8)

    b = web(tcp_origin(handler), pool=', timeouts = { send = "300ms" }', workers=1)
    with connect(b.port) as s:
        s.setblocking(False)
        s.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")

        def push():
            try:
                s.send(b"x" * 100000)
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            return b.admin("/lb/stats")["failed_requests"] == 1

        wait_until(push, what="the backend given up")
    wait_quiet(b)


def test_a_head_that_drips_meets_the_deadline_of_the_whole_head(web, origin):
    b = web(origin(), listener=', timeouts = { header = "500ms" }')
    with connect(b.port) as s:
        s.sendall(b"GET / HTTP/1.1\r\nX: ")
        s.setblocking(False)

        def drip():
            try:
                s.send(b"a")
                return s.recv(4096)
            except BlockingIOError:
                return None

        assert wait_until(drip, what="the deadline").startswith(b"HTTP/1.1 408")
    with connect(b.port) as s:
        assert read_to_end(s) == (b"", "eof")
    wait_quiet(b)


# ---- resets in every state ----------------------------------------------------------------------------------------------

CLIENT_STATES = {
    "before a byte": b"",
    "in a head": b"GET / HTTP/1.1\r\nHo",
    "waiting": GET,
    "waiting, pipelined": GET * 20,
    "in a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    "in a chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "in a large answer": b"GET /bytes/9000000 HTTP/1.1\r\nHost: x\r\n\r\n",
    "after a refusal": b"bad\r\n\r\n",
}


@pytest.mark.parametrize("how", [reset, socket.socket.close])
def test_client_vanishes_in_every_state(web, origin, how):
    o = origin()
    b = web(o, workers=1)
    pid = only_worker(b)
    assert http.get(b.port).status == 200
    wait_quiet(b)
    before = len(sockets(pid))
    o.hold()
    for state, data in CLIENT_STATES.items():
        for _ in range(5):
            s = connect(b.port)
            s.sendall(data)
            if state == "in a large answer":
                o.release()
                s.recv(1000)
                o.hold()
            how(s)
    wait_quiet(b)
    o.release()
    assert http.get(b.port).status == 200
    wait_until(lambda: len(sockets(pid)) <= before + 40, what="descriptors given back")
    o.cut()
    wait_until(lambda: len(sockets(pid)) <= before, what="descriptors given back")


BACKEND_PARTS = [b"", b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b"HTTP/1.1 200 OK\r\n\r\nab", OK,
                 b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: u\r\nConnection: Upgrade\r\n\r\n"]


@pytest.mark.parametrize("with_reset", [False, True])
def test_backend_vanishes_in_every_state(web, tcp_origin, with_reset):
    def handler(sock, number):
        sock.recv(65536)
        sock.sendall(BACKEND_PARTS[number % len(BACKEND_PARTS)])
        if with_reset:
            reset(sock)

    b = web(tcp_origin(handler), workers=1)
    pid = only_worker(b)
    before = len(sockets(pid))
    requests = [GET, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"p" * 300000]
    for request in requests:
        for _ in range(len(BACKEND_PARTS)):
            try:
                http.exchange(b.port, request, 10, half_close=True)
            except OSError:
                pass  # reset before we could close
    wait_quiet(b)
    wait_until(lambda: len(sockets(pid)) <= before, what="descriptors given back")


# ---- the end of the process and of configurations --------------------------------------------------------------------------

def test_stop_finishes_what_is_in_flight_and_says_close(web, origin):
    o = origin()
    b = web(o)
    o.hold()
    clients = [http.Client(b.port) for _ in range(6)]
    for c in clients:
        c.send(b"GET /bytes/300000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: o.waiting == 6, what="the requests at the origin")
    idle = http.Client(b.port)
    part = http.Client(b.port)
    part.send(GET[:10])
    b.signal(15)
    assert idle.eof()
    wait_until(lambda: not _accepts(b.port), what="the port closed")
    part.send(GET[10:])
    o.release()
    for c in clients:
        r = c.read()
        assert len(r.body) == 300000 and r.header("Connection") == "close"
        assert c.eof()
    r = part.read()
    assert r.status == 200 and r.header("Connection") == "close"
    b.stopped = True
    assert b.wait() == 0


def _accepts(port):
    try:
        connect(port, 1).close()
        return True
    except OSError:
        return False


def test_requests_already_here_when_the_stop_comes_are_answered(web, origin):
    """The first answer was begun before the stop and could not say close; the pipelined one behind it says it."""
    o = origin()
    b = web(o, workers=1)
    gate = threading.Event()

    def slow(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        gate.wait(20)
        return b"cd"

    o.script["/slow"] = slow
    with http.Client(b.port) as c:
        c.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET + GET)
        wait_until(lambda: o.count == 1, what="the request")
        assert c.sock.recv(1, socket.MSG_PEEK)
        b.signal(15)
        wait_until(lambda: not _accepts(b.port), what="the port closed")
        gate.set()
        r = c.read()
        assert r.body == b"abcd" and r.header("Connection") is None
        r = c.read()
        assert r.status == 200 and r.header("Connection") == "close"
        assert c.eof()
    b.stopped = True
    assert b.wait() == 0


def test_a_request_that_came_together_with_the_stop_is_answered(web, origin):
    b = web(origin(), workers=1)
    with http.Client(b.port) as c:
        assert c.get().status == 200
        pid = only_worker(b)
        os.kill(pid, 19)
        try:
            b.signal(15)
            c.send(GET)
            wait_until(lambda: "stop" in b.log().lower() or "drain" in b.log().lower(), what="the stop noticed")
        finally:
            os.kill(pid, 18)
        r = c.read()
        assert r.status == 200
        if r.header("Connection") != "close":  # the request was read before the order to stop: one more is answered
            assert c.get().header("Connection") == "close"
    b.stopped = True
    assert b.wait() == 0


def generations(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as f:
        return len({line.split()[0] for line in f if "memfd:ballast-configuration" in line})


def test_old_generations_live_as_long_as_their_requests(web, origin):
    o = origin()
    b = web(o, workers=1)
    pid = only_worker(b)
    one = generations(pid)
    o.hold()
    with http.Client(b.port) as c:
        c.send(GET)
        wait_until(lambda: o.waiting == 1, what="the request at the origin")
        with open(b.conf_path, encoding="utf-8") as f:
            text = f.read()
        for i in range(4):
            b.reload(text.replace('type = "none"', f'type = "none"\n}}, keepalive = {i + 1}, timeouts = {{ read = "30s"'))
        wait_until(lambda: generations(pid) == 2 * one, what="its own and the newest")
        o.release()
        assert c.read().status == 200
        assert c.get().status == 200
        wait_until(lambda: generations(pid) == one, what="old generations released")
    assert only_worker(b) == pid


def test_listener_removed_while_a_request_is_in_flight(ballast, origin):
    o = origin()
    one, two = free_port(), free_port()
    text = """
listeners = {{ {first} two = {{ bind = "127.0.0.1:{two}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{address}" ], health = {{ type = "none" }} }} }}
"""
    first = f'one = {{ bind = "127.0.0.1:{one}", pool = "app" }},'
    b = ballast(text.format(first=first, two=two, address=o.address), workers=1)
    o.hold()
    with http.Client(one) as busy, http.Client(one) as idle, http.Client(one) as part, http.Client(two) as other:
        busy.send(GET + GET)
        part.send(GET[:9])
        other.send(GET)
        wait_until(lambda: o.waiting == 2, what="the requests at the origin")
        b.reload(text.format(first="", two=two, address=o.address))
        assert idle.eof()
        o.release()
        assert busy.read().status == 200
        assert busy.eof()
        part.send(GET[9:])  # a head that had begun is read to its end and answered
        answer = part.read()
        assert answer.status == 200 and answer.header("Connection") == "close" and part.eof()
        assert other.read().status == 200
        assert other.get().status == 200
    assert not _accepts(one)
    wait_quiet(b)


def test_out_of_descriptors_and_back(web, origin):
    o = origin()
    b = web(o, workers=1)
    pid = only_worker(b)
    assert http.get(b.port).status == 200
    used = len(procs.descriptors(pid))
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={used + 6}:{used + 6}"], check=True, timeout=10)
    socks = [connect(b.port) for _ in range(30)]
    for s in socks:
        s.sendall(GET)
    wait_until(lambda: "cannot accept" in b.log(), what="out of descriptors")
    assert procs.alive(pid)
    statuses = []
    for s in socks:  # each answer frees a place for the next in the queue
        s.settimeout(20)
        statuses.append(http.read_response(s).status)
        s.close()
    assert set(statuses) <= {200, 503}
    wait_quiet(b)
    assert http.get(b.port).status == 200
    assert only_worker(b) == pid


# ---- HTTP/1.0 ---------------------------------------------------------------------------------------------------------------

def test_http10_keep_alive_corner_cases(web, origin):
    o = origin()
    b = web(o)
    keep = b"GET %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    with http.Client(b.port) as c:
        c.send(keep % b"/bytes/5" + keep % b"/status/204" + b"HEAD /bytes/9 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        for method, size in (("GET", 5), ("GET", 0), ("HEAD", 0)):
            r = c.read(method)
            assert len(r.body) == size and r.header("Connection") == "keep-alive"
        c.send(keep % b"/chunked/5000")  # no length can be told: the end is the close
        r = c.read()
        assert r.header("Connection") == "close" and r.header("Transfer-Encoding") is None and len(r.body) == 5000
    with http.Client(b.port) as c:
        c.send(b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
        r = c.read()
        assert r.status == 200 and r.body == b"hi"
    wait_quiet(b)


# ---- everything at once --------------------------------------------------------------------------------------------------------

CHAOS_S = 6.0
MESSAGES = [GET, GET * 5, b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % 200_000, b"GET /chunked/70000 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /until-close/30000 HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /bytes/5 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /chunked/9000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /bad HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\nhello",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"b" * 90000,
            b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"b" * 90000,
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"c" * 1000 + b"\r\n0\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\0\0\0\r\n\r\n", b"G", b"",
            b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"]


def chaos_origin(origin, name):
    o = origin(name, keep_requests=False)

    def upgrade(request, sock):
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: u\r\n\r\n")
        sock.sendall(sock.recv(100))
        return None

    def half(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        reset(sock)
        return None

    o.script.update({"/die": lambda request, sock: None, "/half": half, "/upgrade": upgrade, "/bad": b"no http\r\n\r\n",
                     "/early": reply(413, "no")})
    return o


def chaos_client(port, seed, done):
    rng = random.Random(seed)
    while not done.is_set():
        try:
            s = connect(port, 5)
        except OSError:
            continue
        try:
            for _ in range(rng.randint(1, 4)):
                data = rng.choice(MESSAGES)
                cut = rng.randint(0, len(data)) if rng.random() < 0.3 else len(data)
                s.sendall(data[:cut])
                if rng.random() < 0.6:
                    s.settimeout(rng.choice([0.001, 0.05, 0.3]))
                    while len(s.recv(rng.choice([1, 1000, 65536]))) > 0 and rng.random() < 0.8:
                        pass
            if rng.random() < 0.3:
                s.shutdown(socket.SHUT_WR)
                s.settimeout(0.3)
                s.recv(65536)
        except OSError:
            pass
        if rng.random() < 0.5:
            reset(s)
        else:
            s.close()


def test_chaos(web, origin, tmp_path):
    """Many clients do anything to backends that do anything; afterwards everything was given back and the sums agree."""
    backends = [chaos_origin(origin, f"b{i}") for i in range(3)]
    listed = "[ " + ", ".join(f'"{o.address}"' for o in backends) + f', "127.0.0.1:{free_port()}" ]'
    b = web(listed, listener=', timeouts = { header = "2s", body = "2s", idle = "2s" }',
            pool=', timeouts = { connect = "1s", read = "2s", send = "2s" }', log_level="warning")
    pids = b.worker_pids
    assert http.get(b.port).status == 200
    wait_quiet(b)

    def held(pid):  # pipes for large bodies are kept for the next one
        return sum(not what.startswith("pipe:") for what in procs.descriptors(pid).values())

    before = {pid: held(pid) for pid in pids.values()}
    done = threading.Event()
    threads = [threading.Thread(target=chaos_client, args=(b.port, i, done), daemon=True) for i in range(24)]
    for t in threads:
        t.start()
    timer = threading.Timer(CHAOS_S, done.set)
    timer.start()
    assert done.wait(60)
    for t in threads:
        t.join(20)
        assert not t.is_alive()
    wait_quiet(b)
    assert b.worker_pids == pids, "a worker died"
    for o in backends:
        o.cut()
    wait_until(lambda: all(held(p) <= n for p, n in before.items()), what="descriptors given back")
    stats = b.admin("/lb/stats")
    assert stats["total_requests"] > 100
    assert sum(w["total_requests"] for w in stats["workers"]) == stats["total_requests"]
    assert stats["successful_requests"] + stats["failed_requests"] + stats["aborted_requests"] == stats["total_requests"]
    for o in backends:
        assert http.get(b.port).status == 200


def test_a_client_that_leaves_with_requests_in_line_is_noticed(web, origin):
    o = origin()
    b = web(o, workers=1)
    o.hold()
    s = connect(b.port)
    s.sendall(GET * 20)
    wait_until(lambda: in_flight(b) == 2, what="the client and its first request")
    s.close()
    wait_quiet(b)
    o.release()
    assert http.get(b.port).status == 200
