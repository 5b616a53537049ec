"""Listeners that a reload renames, removes or moves: who keeps a connection, and how the others lose it."""

import contextlib
import threading

from lib import h2client, http
from lib.load import Load
from lib.net import connect, free_port, listening
from lib.wait import wait_until


def conf(listeners, backends, extra="", pools=""):
    return f"""
listeners = {{ {listeners} }}
pools = {{ app = {{ backends = {backends.list_text} }} {pools} }}
{extra}
"""


def web(port, name="web"):
    return f'{name} = {{ bind = "127.0.0.1:{port}", pool = "app" }}'


def test_a_renamed_listener_keeps_its_connections(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(web(port), one))
    with http.Client(port) as idle, Load(port, 4) as load:
        assert idle.get().status == 200
        wait_until(lambda: load.ok > 20)
        for name in ("site", "web", "home"):
            b.reload(conf(web(port, name), one))
            level = load.ok
            wait_until(lambda: load.ok > level + 20)
        assert idle.get().status == 200
    assert load.failures == [] and load.closed == 0
    wait_until(lambda: [(l["name"], l["active_connections"]) for l in b.admin("/lb/listeners")["listeners"]] == [("home", 0)])


def test_a_split_listener_takes_each_connection_where_it_came_from(ballast, origins):
    """Two addresses of one listener become two listeners; no gauge is lost."""
    one, two, origin = free_port(), free_port(), origins(1)
    b = ballast(conf(f'web = {{ bind = [ "127.0.0.1:{one}", "127.0.0.1:{two}" ], pool = "app" }}', origin))
    with http.Client(one) as first, http.Client(two) as second:
        assert first.get().status == 200 and second.get().status == 200
        b.reload(conf(web(one, "left") + web(two, "right"), origin))
        assert first.get().status == 200 and second.get().status == 200

        def active():
            return {l["name"]: l["active_connections"] for l in b.admin("/lb/listeners")["listeners"]}

        wait_until(lambda: active() == {"left": 1, "right": 1})
    wait_until(lambda: active() == {"left": 0, "right": 0})


def test_a_removed_listener_finishes_what_is_in_flight(ballast, origins):
    old, new, one = free_port(), free_port(), origins(1)
    b = ballast(conf(web(old), one))
    one[0].hold()
    with http.Client(old) as client, http.Client(old) as idle:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: one[0].waiting == 1)
        b.reload(conf(web(new, "other"), one))
        assert not listening(old)
        one[0].release()
        answer = client.read()
        assert answer.status == 200 and answer.header("Connection") == "close"
        assert client.eof()
        assert idle.eof(), "an idle one is closed"
    wait_until(lambda: [l["name"] for l in b.admin("/lb/listeners")["listeners"]] == ["other"], what="its row is free")


def test_a_request_on_its_way_to_a_removed_listener_is_answered(ballast, origins):
    """Part of its head had arrived; and a kept connection has a moment for one more."""
    old, new, one = free_port(), free_port(), origins(1)
    b = ballast(conf(web(old), one))
    with http.Client(old) as begun, http.Client(old) as kept:
        assert kept.get().status == 200
        assert begun.get().status == 200
        begun.send(b"GET /half HTTP/1.1\r\nHo")
        wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 2)
        b.reload(conf(web(new, "other"), one))
        begun.send(b"st: test.local\r\n\r\n")
        answer = begun.read()
        assert answer.status == 200 and answer.header("Connection") == "close"
        assert begun.eof() and kept.eof()


def test_tunnels_of_a_removed_listener_get_drain_timeout(ballast, origins, tcp_echo):
    raw, port, one, echo = free_port(), free_port(), origins(1), tcp_echo()
    pools = f'raw = {{ backends = [ "{echo.address}" ] }}'
    tcp = f'raw = {{ bind = "127.0.0.1:{raw}", protocol = "tcp", pool = "raw" }}'
    b = ballast(conf(web(port) + tcp, one, 'drain_timeout = "2s"', pools))
    with connect(raw) as sock:
        sock.sendall(b"one")
        assert sock.recv(3) == b"one"
        b.reload(conf(web(port), one, 'drain_timeout = "2s"', pools))
        assert not listening(raw)
        sock.sendall(b"two")
        assert sock.recv(3) == b"two", "it may finish"
        sock.settimeout(20)
        assert sock.recv(1) == b"", "until the limit"
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0)


def test_tunnels_inside_http2_get_drain_timeout_too(ballast, origins, tcp_origin):
    def serve(sock, number):
        while b"\r\n\r\n" not in sock.recv(65536):
            pass
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: x\r\n\r\nhello")
        while data := sock.recv(65536):
            sock.sendall(data)

    port, ws, one, chat = free_port(), free_port(), origins(1), tcp_origin(serve)
    pools = f'chat = {{ backends = [ "{chat.address}" ], health = {{ type = "none" }} }}'
    listener = f'chat = {{ bind = "127.0.0.1:{ws}", pool = "chat" }}'
    b = ballast(conf(web(port) + listener, one, 'drain_timeout = "2s"', pools))
    with h2client.Client(ws, timeout=20) as client:
        number = client.start(end=False, pseudo=[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                                 (":path", "/"), (":authority", "a")],
                              headers=[("sec-websocket-version", "13")])
        stream = client.streams[number]
        client.until(lambda: stream.data == b"hello")
        b.reload(conf(web(port), one, 'drain_timeout = "2s"', pools))
        client.send(number, b"two")
        client.until(lambda: stream.data == b"hellotwo")
        client.until(lambda: stream.ended or stream.reset is not None or client.closed, 20)
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0)


def test_a_listener_that_changes_its_protocol_lets_old_connections_finish(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(web(port), one))
    with http.Client(port) as client:
        assert client.get().status == 200
        b.reload(conf(web(port).replace("pool =", 'protocol = "tcp", pool ='), one))
        assert client.eof()
    assert http.get(port).status == 200, "bytes through a tunnel"


def admin_works(port):
    return http.get(port, "/health/live", host=f"127.0.0.1:{port}").status == 200


def test_an_address_moves_between_a_listener_and_admin(ballast, origins):
    """In one reload, there and back; new connections are never refused meanwhile. (One that is in the middle of its
    handshake with the very socket that closes may be reset by the kernel: two sockets are two queues.)"""
    shared, other, one = free_port(), free_port(), origins(1)
    first = conf(web(shared), one, f'admin = {{ bind = "127.0.0.1:{other}" }}')
    b = ballast(first, admin_port=other)
    refused, stop = [], threading.Event()

    def knock():
        while not stop.is_set():
            with contextlib.suppress(ConnectionResetError):
                try:
                    connect(shared).close()
                except ConnectionRefusedError as e:
                    refused.append(e)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        for number in range(4):
            listener_port, admin_port = (other, shared) if number % 2 == 0 else (shared, other)
            b.write(conf(web(listener_port), one, f'admin = {{ bind = "127.0.0.1:{admin_port}" }}'))
            b.signal(12)  # USR2
            b.admin_port = admin_port
            wait_until(lambda: admin_works(admin_port) and http.get(listener_port).text == "b1")
    finally:
        stop.set()
        thread.join()
    assert not refused


def test_a_unix_socket_moves_between_a_listener_and_admin(ballast, origins, tmp_path):
    path, port, one = str(tmp_path / "sock"), free_port(), origins(1)
    b = ballast(conf(web(port), one, f'admin = {{ bind = [ "unix:{path}", "127.0.0.1:{free_port()}" ] }}'), admin_port=None)
    wait_until(lambda: http.get(path, "/health/live", host="localhost").status == 200)
    both = f'web = {{ bind = [ "127.0.0.1:{port}", "unix:{path}" ], pool = "app" }}'
    b.write(conf(both, one, 'admin = "off"'))
    b.signal(12)
    wait_until(lambda: http.get(path).text == "b1")
    b.write(conf(web(port), one, f'admin = {{ bind = "unix:{path}" }}'))
    b.signal(12)
    wait_until(lambda: http.get(path, "/health/live", host="localhost").status == 200)
