"""The admin server's own HTTP: framing, limits, who may ask, many and bad clients."""

import http.client
import json
import select
import socket

import pytest

from lib import http as wire
from lib.net import connect, free_port
from lib.wait import wait_until

LIMIT = 64 * 1024


@pytest.fixture
def admin(ballast, origins):
    """An instance with one backend."""
    return ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
pools = {{ app = {{ backends = {origins(1).list_text} }} }}
""")


def client(b):
    return wire.Client(b.admin_port, host=f"127.0.0.1:{b.admin_port}")


def test_one_connection_serves_many_requests(admin):
    c = http.client.HTTPConnection("127.0.0.1", admin.admin_port, timeout=10)
    sockets = set()
    for path in ["/lb/health", "/metrics", "/nothing", "/lb/stats", "/"]:
        c.request("GET", path)
        sockets.add(c.sock)
        answer = c.getresponse()
        assert answer.status == (404 if path == "/nothing" else 200)
        assert int(answer.headers["Content-Length"]) == len(answer.read())
    assert len(sockets) == 1
    c.close()


def test_pipelined_requests_are_answered_in_order(admin):
    with client(admin) as c:
        c.send(wire.build_request("GET", "/health/live") .replace(b"test.local", b"localhost")
               + wire.build_request("POST", "/lb/reload", body=b"", host="localhost")
               + wire.build_request("GET", "/nothing", host="localhost")
               + wire.build_request("GET", "/health", host="localhost"))
        assert c.read().json() == {"status": "alive"}
        assert "generation" in c.read().json()
        assert c.read().status == 404
        assert c.read().json() == {"status": "healthy"}


def test_head_has_the_headers_of_get_and_no_body(admin):
    with client(admin) as c:
        length = c.get("/").header("Content-Length")
        head = c.request("HEAD", "/")
        assert head.status == 200 and head.header("Content-Length") == length
        assert c.get("/health").json() == {"status": "healthy"}, "the connection is in step"


def test_wrong_methods_say_which_are_right(admin):
    with client(admin) as c:
        for method, path, allow in [("POST", "/lb/stats", "GET, HEAD"), ("GET", "/lb/reload", "POST"), ("PATCH", "/metrics", "GET, HEAD"),
                                    ("OPTIONS", "/lb/backends/add", "POST"), ("GET", "/lb/backends/x/remove", "DELETE")]:
            answer = c.request(method, path)
            assert answer.status == 405 and answer.header("Allow") == allow


def test_unknown_paths_list_the_endpoints(admin):
    answer = admin.request("GET", "/lb/nothing/here")
    assert answer.status == 404
    paths = {(e["method"], e["path"]) for e in answer.json()["endpoints"]}
    assert ("POST", "/lb/backends/add") in paths and ("GET", "/metrics") in paths


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_up_to_the_limit_are_read_and_no_further(admin, chunked):
    def post(n):
        body = b'{"host":"127.0.0.1","port":1,"pool":"none"}'
        body += b" " * (n - len(body))
        if not chunked:
            return admin.request("POST", "/lb/backends/add", body)
        data = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 1000]), body[i:i + 1000]) for i in range(0, n, 1000)) + b"0\r\n\r\n"
        return admin.request("POST", "/lb/backends/add", data, {"Transfer-Encoding": "chunked"})

    assert post(LIMIT).status == 404, "read whole: it is the pool that is unknown"
    too_much = post(LIMIT + 1)
    assert too_much.status == 413 and too_much.header("Connection") == "close"


def test_an_announced_body_that_is_too_large_is_refused_before_it_comes(admin):
    with client(admin) as c:
        c.send(b"POST /lb/backends/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n")
        assert c.read().status == 413
        assert c.eof()


def test_expect_continue_is_answered_only_for_what_is_welcome(admin):
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    body = b'{"weight": 2}'
    with client(admin) as c:
        c.send(head.format("/lb/backends/nobody/weight", len(body)).encode())
        assert c.read().status == 100
        c.send(body)
        assert c.read().status == 404
        assert c.get("/health").status == 200
    for path, length, status in [("/nowhere", 2, 404), ("/lb/stats", 2, 405), ("/lb/backends/add", LIMIT + 1, 413)]:
        with client(admin) as c:
            c.send(head.format(path, length).encode())
            assert c.read().status == status, "the answer, not 100"
            assert c.eof()


@pytest.mark.parametrize("data, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET /\r\n\r\n", 400), (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", (400, 505)),
    (b"GET / HTTP/1.1\nHost: localhost\n\n", 400), (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, 431)),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"POST /lb/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /lb/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", (400, 501)),
    (b"POST /lb/backends/add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400)])
def test_malformed_requests_end_the_connection(admin, data, status):
    with client(admin) as c:
        c.send(data)
        answer = c.read()
        assert answer.status in (status if isinstance(status, tuple) else (status,))
        assert answer.json()["error"]
        assert c.eof()
    assert admin.admin("/health/live")["status"] == "alive"


def test_http_1_0_is_answered_and_closed(admin):
    with client(admin) as c:
        c.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert c.read().json() == {"status": "healthy"}
        assert c.eof()


@pytest.mark.parametrize("host, status", [("localhost", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("10.9.8.7", 200),
                                          ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.nip.io", 403)])
def test_names_that_were_made_to_point_here_get_nothing(admin, host, status):
    answer = wire.get(admin.admin_port, "/lb/config", host=host)
    assert answer.status == status
    assert (status == 200) == ("pools" in answer.text)


def test_other_sites_change_nothing(admin):
    name = next(iter(admin.backends()))
    own = f"http://127.0.0.1:{admin.admin_port}"
    for origin, status in [("http://evil.example", 403), ("null", 403), (own + "0", 403), (own, 200)]:
        answer = admin.request("POST", f"/lb/backends/{name}/drain", b"", {"Origin": origin})
        assert answer.status == status, origin
        assert admin.backends()[name]["mode"] == ("draining" if status == 200 else "enabled")
    assert admin.request("GET", "/lb/stats", headers={"Origin": "http://evil.example"}).header("Access-Control-Allow-Origin") is None


def test_idle_connections_make_room_for_new_ones(admin):
    crowd = [connect(admin.admin_port) for _ in range(100)]
    try:
        assert admin.admin("/health/live")["status"] == "alive"
        with client(admin) as c:
            assert c.get("/health").status == 200
    finally:
        for s in crowd:
            s.close()


def test_waiting_for_events_leaves_room_for_others(admin):
    """32 may wait; whoever comes later is answered at once with what there is."""
    name = next(iter(admin.backends()))
    admin.wait_status(name, "healthy")
    newest = admin.admin("/lb/events?since=-1")["newest"]
    crowd = [client(admin) for _ in range(50)]
    try:
        for c in crowd:
            c.send(wire.build_request("GET", f"/lb/events?since={newest}&wait=60s", host="localhost"))
        wait_until(lambda: len(answered(crowd)) == 18)
        at_once = answered(crowd)
        assert all(c.read().json()["events"] == [] for c in at_once)
        admin.admin(f"/lb/backends/{name}/drain", "POST")
        for c in set(crowd) - set(at_once):
            assert [e["to"] for e in c.read().json()["events"]] == ["draining"]
    finally:
        for c in crowd:
            c.close()


def answered(clients):
    readable = select.select([c.sock for c in clients], [], [], 0)[0]
    return [c for c in clients if c.sock in readable]


def test_clients_that_never_finish_do_not_stop_others(admin):
    crowd = [connect(admin.admin_port) for _ in range(100)]
    try:
        for number, s in enumerate(crowd):
            try:
                s.sendall([b"GET /lb/st", b"POST /lb/backends/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"][number % 2])
            except ConnectionError:
                pass  # made room for another one already
        assert admin.admin("/lb/stats")["total_servers"] == 1
    finally:
        for s in crowd:
            s.close()
    wait_until(lambda: admin.admin("/health/live")["status"] == "alive")


def test_a_slow_reader_gets_all_of_it(admin):
    with client(admin) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(40):
            c.send(wire.build_request("GET", "/", host="localhost"))
        pages = {c.read().body for _ in range(40)}
        assert len(pages) == 1 and b"</html>" in pages.pop()


def test_byte_by_byte_is_a_request_too(admin):
    data = wire.build_request("POST", "/lb/backends/add", body={"host": "127.0.0.1", "port": 1, "pool": "none"}, host="localhost")
    with client(admin) as c:
        for i in range(len(data)):
            c.send(data[i:i + 1])
        assert c.read().status == 404


def test_a_unix_socket_needs_no_name(ballast, origins, tmp_path):
    path, admin_port = str(tmp_path / "admin.sock"), free_port()
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
pools = {{ app = {{ backends = {origins(1).list_text} }} }}
admin = {{ bind = [ "127.0.0.1:{admin_port}", "unix:{path}" ] }}
""", admin_port=admin_port)
    with wire.Client(path, host="anything.example") as c:
        assert c.get("/health/live").json() == {"status": "alive"}
        name = next(iter(b.backends()))
        assert c.request("POST", f"/lb/backends/{name}/disable", body=b"").status == 200
    assert any("unix uid" in e["reason"] for e in b.events() if e["kind"] == "admin")


def test_stopping_answers_those_who_wait(admin):
    newest = admin.admin("/lb/events?since=-1")["newest"]
    with client(admin) as c, client(admin) as idle:
        assert idle.get("/health").status == 200
        c.send(wire.build_request("GET", f"/lb/events?since={newest}&wait=60s", host="localhost"))
        assert admin.admin("/health/ready")["status"] == "ready"
        admin.stop()
        answer = c.read()
        assert answer.status == 200 and json.loads(answer.body)["last"] >= newest
        assert idle.eof()


def test_connections_live_through_reloads(admin):
    with client(admin) as c:
        generation = c.get("/lb/health").json()["generation"]
        admin.reload()
        assert c.get("/lb/health").json()["generation"] == generation + 1
