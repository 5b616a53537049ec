"""Messages of one turn of the loop leave together: nothing is lost, mixed up or kept back, whoever does not read or leaves."""

import threading

import pytest

from lib import http
from lib.load import Load
from lib.net import connect, free_port
from lib.wait import wait_until


@pytest.fixture(params=["true", "false"])
def web(ballast, origins, request):
    """A running instance with one worker and two origins; .port, .io_uring."""
    port, two = free_port(), origins(2, keep_requests=False)

    def config(together):
        return f"""
io_uring = {together}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, health = {{ type = "none" }}, keepalive = 100, retry = {{ on = [ "connect", "reset" ], budget = "100%" }} }} }}
"""

    b = ballast(config(request.param), workers=1)
    b.port, b.origins, b.config = port, two, config
    return b


def body(n):
    return b"%04d " % n * 760  # with its head just small enough to be batched


def test_who_pipelines_and_reads_late_gets_everything_in_order(web):
    """More than socket buffers hold, from several at once, so that what the kernel refuses is found at the end of a turn."""
    for o in web.origins:
        for n in range(20):
            o.script[f"/{n}"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body(n)) + body(n)
    count = 1500
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i % 20) for i in range(count))
    wrong = []

    def client():
        with connect(web.port, timeout=60) as s:
            sender = threading.Thread(target=s.sendall, args=(requests,))
            sender.start()
            go.wait(30)
            reader = http.Reader(s)
            for i in range(count):
                answer = http.read_response(s, reader=reader, deadline=60)
                if answer.body != body(i % 20):
                    wrong.append((i, answer.body[:20]))
            sender.join(30)

    go = threading.Event()
    threads = [threading.Thread(target=client) for _ in range(3)]
    for t in threads:
        t.start()
    seen = [0]

    def blocked():
        seen.append(web.metrics()['ballast_requests_received_total{listener="web"}'])
        return seen[-1] > 30 and len(set(seen[-5:])) == 1

    wait_until(blocked, 30, what="answers that nobody reads to fill the buffers")
    go.set()
    for t in threads:
        t.join(120)
        assert not t.is_alive()
    assert wrong == []


def test_a_reload_turns_it_on_and_off_under_load(web):
    with Load(web.port, 8) as load:
        for together in ("true", "false", "true", "false"):
            level = load.ok
            web.reload(web.config(together))
            wait_until(lambda: load.ok > level + 100, what="traffic")
    assert load.failures == [] and load.closed == 0


def test_clients_that_leave_at_once_hurt_nobody(web):
    """Their answers are on the way when their connections end."""
    with Load(web.port, 6) as load:
        for i in range(200):
            s = connect(web.port)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (i % 3 + 1))
            if i % 2:
                s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a RST
            s.close()
        level = load.ok
        wait_until(lambda: load.ok > level + 100, what="traffic")
    assert load.failures == []
    wait_until(lambda: web.metrics()['ballast_connections{listener="web"}'] == 0, what="nobody left")
    wait_until(lambda: web.metrics()['ballast_pool_connections{pool="app"}'] == 0, what="nothing in flight")


def test_backends_that_close_idle_connections_cost_no_request(web):
    with Load(web.port, 6) as load:
        for i in range(10):
            level = load.ok
            web.origins[i % 2].cut()
            wait_until(lambda: load.ok > level + 30, what="traffic")
    assert load.failures == []


def read_all(sock, seconds=60):
    """To the end, counted by the last bytes of answers."""
    sock.settimeout(seconds)
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


@pytest.mark.parametrize("together", ["true", "false"])
def test_answers_of_our_own_that_nobody_reads_yet(ballast, together):
    port = free_port()
    b = ballast(f"""
io_uring = {together}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", redirect = "https" }} }}
""", workers=1)
    count, path = 3000, b"/" + b"x" * 2000
    with connect(port, timeout=60) as s:
        sender = threading.Thread(target=s.sendall, args=((b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path) * count,))
        sender.start()
        seen = [0]

        def blocked():
            seen.append(b.metrics()['ballast_requests_received_total{listener="web"}'])
            return seen[-1] > 30 and len(set(seen[-5:])) == 1

        wait_until(blocked, 30, what="answers that nobody reads to fill the buffers")
        reader = http.Reader(s)
        assert [http.read_response(s, reader=reader, deadline=60).status for _ in range(count)] == [301] * count
        sender.join(30)


def test_who_says_no_more_before_reading_gets_all_answers(web):
    """One request at a time until an answer does not fit any more; then FIN, then reading."""
    for o in web.origins:
        o.script["/big"] = b"HTTP/1.1 200 OK\r\nContent-Length: 3500\r\n\r\n" + b"z" * 3500
    with connect(web.port, timeout=60) as s, connect(web.port) as other:
        sent = 0
        received = 'ballast_requests_received_total{listener="web"}'

        def answered():
            return web.metrics()[received] >= sent * 2 and web.metrics()['ballast_pool_connections{pool="app"}'] == 0

        while sent < 3000:
            for sock in (s, other):  # two at a time: they leave together
                sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            sent += 1
            http.read_response(other)
            if sent % 100 == 0:
                try:
                    wait_until(answered, 2)
                except AssertionError:
                    break
        s.shutdown(1)
        got = read_all(s)
    assert got.count(b"HTTP/1.1 200") == sent and got.endswith(b"z" * 3500)
