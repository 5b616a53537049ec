"""How many at a time: per backend, per pool, per listener; the queue. Seen from the origins' side."""

import os
import threading

import pytest

from lib import http
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" {listener} }} }}
pools = {{ app = {{ backends = ( {backends} ), health = {{ type = "none" }} {pool} }} }}
"""


def group(origin, **options):
    more = "".join(f", {k} = {v}" for k, v in options.items())
    return f'{{ name = "{origin.id}", address = "{origin.address}"{more} }}'


@pytest.fixture
def limited(ballast):
    """limited(origins, pool, listener=..., each=...): a running instance; .port, .config() as it was given."""

    def start(origins, pool="", listener="", workers=4, each=1000):
        port = free_port()

        def config(pool, listener=listener):
            backends = ", ".join(group(o, max_connections=each) for o in origins)
            return CONF.format(port=port, backends=backends, pool=pool, listener=listener)

        b = ballast(config(pool), workers=workers)
        b.port, b.config = port, config
        return b

    return start


def ask(b, path="/"):
    s = connect(b.port)
    s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    return s


def answers(socks, deadline=20.0):
    out = []
    for s in socks:
        out.append(http.read_response(s, deadline=deadline))
        s.close()
    return out


def queued(b):
    return b.metrics()['ballast_pool_queue_length{pool="app"}']


class Peak:
    """The most requests that an origin ever had at once."""

    def __init__(self, origin):
        self.now = self.most = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()
        origin.script["/work"] = self

    def __call__(self, request, sock):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self._gate.wait(0.003)
        with self._lock:
            self.now -= 1
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def hammer(b, clients, each, statuses):
    def client():
        with http.Client(b.port) as c:
            for _ in range(each):
                status = c.get("/work").status
                with lock:
                    statuses.append(status)

    lock = threading.Lock()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
        assert not t.is_alive()


@pytest.mark.parametrize("setting", ["backend", "pool"])
def test_the_origin_never_sees_one_too_many(limited, origins, setting):
    one = origins(1)[0]
    peak = Peak(one)
    b = limited([one], "queue = { size = 1000 }" + (", max_connections = 10" if setting == "pool" else ""),
                workers=8, each=10 if setting == "backend" else 1000)
    statuses = []
    hammer(b, 500, 2, statuses)
    assert statuses == [200] * 1000
    assert 1 < peak.most <= 10


def test_without_a_queue_the_others_get_503(limited, origins):
    one = origins(1)[0]
    b = limited([one], each=2)
    one.hold()
    first = [ask(b), ask(b)]
    wait_until(lambda: one.waiting == 2, what="both places taken")
    assert b.backends()["b1"]["status"] == "overloaded"
    r = answers([ask(b)])[0]
    assert r.status == 503 and r.header("Retry-After") == "1"
    assert r.json() == {"error": "All servers are at their connection limit"}
    one.release()
    assert [r.status for r in answers(first)] == [200, 200]


def test_the_first_to_come_is_the_first_to_go_over_all_workers(limited, origins):
    one = origins(1)[0]
    b = limited([one], "queue = { size = 10 }", each=1)
    one.hold()
    socks = [ask(b, "/0")]
    wait_until(lambda: one.waiting == 1, what="the place taken")
    for i in range(1, 8):
        socks.append(ask(b, f"/{i}"))
        wait_until(lambda: queued(b) == i, what="in the queue")
    one.release()
    assert [r.status for r in answers(socks)] == [200] * 8
    assert [r.path for r in one.requests] == [f"/{i}" for i in range(8)]
    assert queued(b) == 0


def test_a_full_queue_refuses_and_a_long_wait_ends(limited, origins):
    one = origins(1)[0]
    b = limited([one], 'queue = { size = 2, timeout = "1h" }', each=1)
    one.hold()
    first = ask(b)
    wait_until(lambda: one.waiting == 1)
    waiting = [ask(b), ask(b)]
    wait_until(lambda: queued(b) == 2, what="two wait")
    r = answers([ask(b)])[0]
    assert r.status == 503 and r.json()["error"] == "All servers are busy and the queue is full"
    for s in waiting:
        s.close()
    wait_until(lambda: queued(b) == 0, what="they gave up")
    b.reload(b.config('queue = { size = 2, timeout = "300ms" }'))
    assert [(r.status, r.json()["error"]) for r in answers([ask(b), ask(b)])] == [(503, "No server became free in time")] * 2
    one.release()
    assert answers([first])[0].status == 200
    assert one.count == 1 and queued(b) == 0


def test_who_leaves_the_queue_leaves_no_trace(limited, origins):
    one = origins(1)[0]
    b = limited([one], "queue = { size = 5 }", each=1)
    one.hold()
    first = ask(b)
    wait_until(lambda: one.waiting == 1)
    gone = [ask(b, "/gone") for _ in range(3)]
    wait_until(lambda: queued(b) == 3)
    stays = ask(b, "/stays")
    wait_until(lambda: queued(b) == 4)
    for s in gone:
        s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a reset
        s.close()
    wait_until(lambda: queued(b) == 1, what="the others forgotten")
    one.release()
    assert [r.status for r in answers([first, stays])] == [200, 200]
    assert [r.path for r in one.requests] == ["/", "/stays"]


def test_a_killed_worker_leaves_no_place_and_no_turn_behind(limited, origins):
    one = origins(1)[0]
    b = limited([one], "queue = { size = 50 }", each=1)
    one.hold()
    socks = [ask(b)]
    wait_until(lambda: one.waiting == 1)
    for i in range(40):  # so many that some are with the worker that lives
        socks.append(ask(b, f"/{i}"))
    wait_until(lambda: queued(b) == 40)
    before = dict(b.worker_pids)
    for pid in list(before.values())[:3]:
        os.kill(pid, 9)
    wait_until(lambda: len(b.worker_pids) == 4 and len(set(b.worker_pids.values()) & set(before.values())) == 1)
    one.release()
    ok = 0
    for s in socks:
        try:
            ok += http.read_response(s, deadline=10).status == 200
        except (http.HttpError, OSError):
            pass  # its worker was killed
        s.close()
    assert ok >= 1
    wait_until(lambda: queued(b) == 0, what="an empty queue")
    wait_until(lambda: b.backends()["b1"]["current_connections"] == 0, what="nothing in flight")
    assert http.get(b.port).status == 200


def test_a_listener_has_its_own_limit(limited, origins):
    one = origins(1)[0]
    b = limited([one], listener=", max_connections = 3")
    held = [http.Client(b.port) for _ in range(3)]
    for c in held:
        assert c.get().status == 200
    late = ask(b)
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):
        late.recv(1)
    held[0].close()
    late.settimeout(10)
    assert http.read_response(late).status == 200
    late.close()
    for c in held[1:]:
        c.close()


def test_a_reload_changes_the_limits_at_once(limited, origins):
    one = origins(1)[0]
    b = limited([one], "max_connections = 1")
    one.hold()
    first = ask(b)
    wait_until(lambda: one.waiting == 1)
    assert answers([ask(b)])[0].status == 503
    b.reload(b.config("max_connections = 2"))
    second = ask(b)
    wait_until(lambda: one.waiting == 2, what="the second place")
    assert answers([ask(b)])[0].status == 503
    one.release()
    assert [r.status for r in answers([first, second])] == [200, 200]
