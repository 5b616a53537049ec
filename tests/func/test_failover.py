"""What happens when backends fail: retries, passive health, the circuit breaker, all_down. Seen from the origins' side."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from lib import http
from lib.load import Load
from lib.net import connect, free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {backends} ), health = {{ type = "none" }} {pool} }} }}
"""


def group(origin, **options):
    more = "".join(f", {k} = {v}" for k, v in options.items())
    return f'{{ name = "{origin.id}", address = "{origin.address}"{more} }}'


@pytest.fixture
def pool(ballast):
    """pool(origins, settings): a running instance; .port is the listener's, .config(settings) another file."""

    def start(origins, settings="", workers=4):
        port = free_port()

        def config(more):
            return CONF.format(port=port, backends=", ".join(group(o) for o in origins), pool=more)

        b = ballast(config(settings), workers=workers)
        b.port, b.config = port, config
        return b

    return start


def refuse(request, sock):
    return None


def reset(request, sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    return None


def truncated(request, sock):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    return None


def answer(status):
    return lambda request, sock: reply(status, f"{status}")


QUIET = "passive = { max_fails = 0 }"  # so that every request may meet the bad one


@pytest.mark.parametrize("bad", [refuse, reset, truncated, answer(500), answer(502), answer(503)],
                         ids=["close", "reset", "truncated", "500", "502", "503"])
def test_idempotent_requests_never_fail(pool, origins, bad):
    two = origins(2)
    two[0].script["/x"] = bad
    b = pool(two, QUIET + ', retry = { on = [ "connect", "reset", "timeout", "500-504" ] }')
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] * 4:
        body = b"once or twice" if method == "PUT" else None
        r = http.request(b.port, method, "/x", body=body)
        assert r.status == 200, (method, r)
        assert r.header("X-Origin") == two[1].id
    assert two[0].count >= 5 and two[1].count == 20
    assert [r.body for r in two[1].requests if r.method == "PUT"] == [b"once or twice"] * 4


@pytest.mark.parametrize("bad, status", [(refuse, 502), (reset, 502), (truncated, 502), (answer(503), 503)],
                         ids=["close", "reset", "truncated", "503"])
def test_a_post_is_never_sent_twice(pool, origins, bad, status):
    two = origins(2)
    two[0].script["/x"] = bad
    b = pool(two, QUIET + ', retry = { on = [ "connect", "reset", "timeout", "500-504" ] }')
    statuses = []
    for i in range(20):
        statuses.append(http.request(b.port, "POST", "/x", body=b"pay %d" % i).status)
    assert set(statuses) == {200, status} and statuses.count(200) == two[1].count
    seen = [r.body for o in two for r in o.requests]
    assert sorted(seen) == sorted(set(seen)) and len(seen) == 20


def test_a_post_goes_elsewhere_when_nothing_was_sent(pool, origins):
    two = origins(2)
    two[0].stop()
    b = pool(two, QUIET)
    for i in range(10):
        assert http.request(b.port, "POST", "/x", body=b"pay %d" % i).status == 200
    assert two[1].count == 10


def test_what_is_not_in_the_list_is_not_retried(pool, origins):
    two = origins(2)
    two[0].script["/x"] = answer(503)
    b = pool(two, QUIET + ", retry = { on = [ ] }")
    assert sorted(http.get(b.port, "/x").status for _ in range(4)) == [200, 200, 503, 503]
    two[0].stop()
    statuses = [http.get(b.port, "/x").status for _ in range(4)]
    assert sorted(statuses) == [200, 200, 502, 502]


def test_the_last_answer_is_passed_on(pool, origins):
    two = origins(2)
    for o in two:
        o.script["/x"] = answer(503)
    b = pool(two, QUIET + ', retry = { on = "503" }')
    r = http.get(b.port, "/x")
    assert r.status == 503 and r.text == "503" and r.header("X-Origin") is None
    assert two[0].count + two[1].count == 2, "each was asked once"


def test_attempts_end_it(pool, origins):
    five = origins(5)
    for o in five:
        o.script["/x"] = answer(500)
    b = pool(five, QUIET + ', retry = { on = "500", attempts = 4 }')
    assert http.get(b.port, "/x").status == 500
    assert sum(o.count for o in five) == 4


def test_a_timeout_moves_on_and_the_total_time_ends_it(pool, origins):
    two = origins(2)
    two[0].hold()
    b = pool(two, QUIET + ', timeouts = { read = "1s" }, retry = { on = "timeout" }')
    for _ in range(2):
        assert http.get(b.port, "/x").status == 200
    assert two[0].count >= 1 and two[1].count == 2
    b.reload(b.config(QUIET + ', timeouts = { read = "1s" }, retry = { on = "timeout", timeout = "500ms" }'))
    assert sorted(http.get(b.port, "/x").status for _ in range(4)) == [200, 200, 504, 504]


def test_bodies_are_kept_up_to_the_limit(pool, origins):
    two = origins(2)
    two[0].script["/x"] = refuse
    b = pool(two, QUIET + ', retry = { on = "reset", body_size = "40k" }')
    for size in (10, 20_000, 40_000):
        body = os.urandom(size)
        for _ in range(2):
            assert http.request(b.port, "PUT", "/x", body=body).status == 200
        assert two[1].requests[-1].body == body
    statuses = [http.request(b.port, "PUT", "/x", body=os.urandom(60_000)).status for _ in range(4)]
    assert sorted(statuses) == [200, 200, 502, 502]


def test_a_body_in_pieces_is_sent_again_whole(pool, origins):
    two = origins(2)
    two[0].script["/x"] = refuse
    b = pool(two, QUIET + ', retry = { on = "reset" }', workers=1)
    for _ in range(2):
        s = connect(b.port)
        s.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"3\r\nabc\r\n", b"4\r\ndefg\r\n", b"0\r\n\r\n"):
            s.sendall(part)
        assert http.read_response(s).status == 200
        assert two[1].requests[-1].body == b"abcdefg"
        s.close()


def test_the_budget_is_exact_over_all_workers(pool, origins):
    two = origins(2)
    bad, good = two
    bad.script["/x"] = answer(503)
    good.hold()
    b = pool(two, QUIET + ', balance = "first", retry = { on = "503", budget = "0%" }')
    socks = []
    for i in range(10):  # each meets the bad one, and the retry is held at the good one
        s = connect(b.port)
        s.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        socks.append(s)
        wait_until(lambda: bad.count == i + 1, what="the first attempt")
    wait_until(lambda: good.waiting == 3, what="three retries, which always may")
    refused = 0
    for s in socks[3:]:
        refused += http.read_response(s).status == 503
    assert refused == 7 and good.waiting == 3 and good.count == 3
    good.release()
    assert [http.read_response(s).status for s in socks[:3]] == [200] * 3
    for s in socks:
        s.close()


# ---- passive health ----------------------------------------------------------------------------------------------------------

def test_failures_take_a_backend_out_and_it_comes_back(pool, origins):
    two = origins(2)
    two[0].script["/x"] = refuse
    b = pool(two, 'passive = { max_fails = 3, fail_timeout = "5s" }')
    for _ in range(20):
        assert http.get(b.port, "/x").status == 200
    assert two[0].count == 3 and two[1].count == 20
    assert b.backends()["b1"]["status"] == "unhealthy" and b.backends()["b1"]["ejected"] is True
    assert b.metrics()['ballast_backend_ejected{pool="app",backend="b1"}'] == 1
    del two[0].script["/x"]

    def both_again():
        http.get(b.port, "/x")
        return two[0].count > 3

    wait_until(both_again, what="the first one back")
    assert b.backends()["b1"]["ejected"] is False
    kinds = [(e["object"], e["from"], e["to"]) for e in b.events() if e["kind"] == "passive"]
    assert kinds == [("app:b1", "in", "out"), ("app:b1", "out", "in")]


def test_chosen_statuses_count(pool, origins):
    two = origins(2)
    two[0].script["/x"] = answer(500)
    b = pool(two, 'passive = { max_fails = 2, on = [ "500" ] }')
    assert [http.get(b.port, "/x").status for _ in range(20)].count(500) == 2
    assert two[0].count == 2


def test_the_last_usable_backend_stays(pool, origins):
    two = origins(2)
    for o in two:
        o.script["/x"] = answer(500)
    b = pool(two, 'passive = { max_fails = 1, on = [ "500" ] }')
    assert [http.get(b.port, "/x").status for _ in range(20)] == [500] * 20
    assert sum(s["ejected"] for s in b.backends().values()) == 1


def test_enabling_forgets_the_failures(pool, origins):
    two = origins(2)
    two[0].script["/x"] = refuse
    b = pool(two, 'passive = { max_fails = 1, fail_timeout = "1h" }')
    for _ in range(4):
        assert http.get(b.port, "/x").status == 200
    assert b.backends()["b1"]["ejected"]
    b.admin("/lb/backends/b1/enable", method="POST")
    assert not b.backends()["b1"]["ejected"]


def test_a_reload_without_passive_health_forgets_too(pool, origins):
    two = origins(2)
    two[0].script["/x"] = refuse
    b = pool(two, 'passive = { max_fails = 1, fail_timeout = "1h" }')
    for _ in range(4):
        assert http.get(b.port, "/x").status == 200
    b.reload(b.config('passive = { max_fails = 1, fail_timeout = "1h" }, keepalive = 5'))
    assert b.backends()["b1"]["ejected"], "a reload forgets nothing"
    b.reload(b.config(QUIET))
    assert not b.backends()["b1"]["ejected"]


# ---- all down ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("setting, status", [("fail", 503), ("try", 200)])
def test_all_down(ballast, origins, setting, status):
    two, port = origins(2), free_port()
    for o in two:
        o.healthy = False
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, all_down = "{setting}", health = {{ interval = "50ms", unhealthy_threshold = 1 }} }} }}
""", workers=2)
    wait_until(lambda: all(s["status"] == "unhealthy" for s in b.backends().values()), what="all down")
    r = [http.get(port) for _ in range(6)]
    assert [x.status for x in r] == [status] * 6
    if setting == "try":
        assert two[0].count == two[1].count == 3
        for name in list(b.backends()):
            b.admin(f"/lb/backends/{name}/disable", method="POST")
        r = http.get(port)
        assert r.status == 503, "who is in maintenance is not asked"
    assert (r if setting == "try" else r[0]).json() == {"error": "No available servers"}


# ---- circuit breaker ---------------------------------------------------------------------------------------------------------

def state(b, name="b1"):
    return b.backends()[name]["circuit_breaker"]


def test_the_breaker_opens_lets_exactly_its_tickets_through_and_closes(pool, origins):
    one = origins(1)[0]
    one.script["/x"] = answer(500)
    b = pool([one], 'circuit_breaker = { failure_threshold = 5, success_threshold = 3, timeout = "5s" }, retry = { on = [ ] }')
    assert [http.get(b.port, "/x").status for _ in range(8)] == [500] * 5 + [503] * 3
    assert one.count == 5 and state(b) == "open"
    assert b.metrics()['ballast_circuit_breaker_state{pool="app",backend="b1"}'] == 2
    del one.script["/x"]
    one.hold()

    def probe():
        s = connect(b.port)
        s.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        return s

    socks = []

    def opened():
        socks.append(probe())
        return one.waiting >= 3

    wait_until(opened, what="three probes at the origin")
    more = [probe() for _ in range(20)]
    assert all(http.read_response(s).status == 503 for s in more)
    assert one.waiting == 3 and state(b) == "half_open"
    one.release()
    wait_until(lambda: state(b) == "closed", what="the breaker closed")
    assert http.get(b.port, "/x").status == 200
    changes = [(e["from"], e["to"]) for e in b.events() if e["kind"] == "breaker"]
    assert changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    for s in socks + more:
        s.close()


def test_a_failed_probe_opens_it_again(pool, origins):
    one = origins(1)[0]
    one.script["/x"] = refuse
    b = pool([one], 'circuit_breaker = { failure_threshold = 2, timeout = "100ms" }, retry = { on = [ ] }')
    for _ in range(2):
        assert http.get(b.port, "/x").status == 502
    wait_until(lambda: http.get(b.port, "/x").status == 502, what="a probe")
    assert state(b) == "open" and one.count == 3


def test_requests_go_round_an_open_breaker(pool, origins):
    two = origins(2)
    two[0].script["/x"] = answer(500)
    b = pool(two, 'circuit_breaker = { failure_threshold = 2, timeout = "1h" }, retry = { on = [ ] }')
    statuses = [http.get(b.port, "/x").status for _ in range(20)]
    assert statuses.count(500) == 2 and statuses[4:] == [200] * 16


def test_a_reload_keeps_the_breaker_and_one_without_it_closes_it(pool, origins):
    one = origins(1)[0]
    one.script["/x"] = answer(500)
    rule = 'circuit_breaker = { failure_threshold = 1, timeout = "1h" }, retry = { on = [ ] }'
    b = pool([one], rule)
    assert http.get(b.port, "/x").status == 500 and state(b) == "open"
    b.reload(b.config(rule + ", keepalive = 5"))
    assert state(b) == "open" and http.get(b.port, "/x").status == 503
    b.reload(b.config(""))
    assert state(b) == "closed" and http.get(b.port, "/x").status == 500


# ---- under load --------------------------------------------------------------------------------------------------------------

SLOW_ORIGIN = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); from lib.origin import Origin; import threading\n"
               "o = Origin(id=sys.argv[2], keep_requests=False); print(o.port, flush=True); threading.Event().wait()"]


class ProcessOrigin:
    """An origin in a process of its own, to be killed and stopped."""

    def __init__(self, id, port=None):
        self.id = id
        self.process = subprocess.Popen([*SLOW_ORIGIN, os.path.dirname(os.path.abspath(__file__)), id],
                                        stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("fault", ["killed", "hung"])
def test_under_load_nothing_fails_when_a_backend_is(pool, fault):
    made = [ProcessOrigin(f"b{i}") for i in (1, 2, 3)]
    try:
        b = pool(made, 'timeouts = { connect = "1s", read = "1s" }, '
                       'retry = { on = [ "connect", "reset", "timeout" ], budget = "100%" }', workers=2)
        with Load(b.port, 8) as load:
            wait_until(lambda: load.ok > 100, what="traffic")
            made[0].process.send_signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
            level = load.ok
            wait_until(lambda: load.ok > level + 500, 30, what="more traffic")
        assert load.failures == []
        assert b.backends()["b1"]["ejected"]
    finally:
        for o in made:
            o.close()


def slow(request, sock):
    threading.Event().wait(3)  # more than timeouts.read
    return reply(200, "late")


@pytest.mark.parametrize("bad", [reset, slow, answer(503)], ids=["resets", "is slow", "answers 503"])
def test_under_load_nothing_fails_when_a_backend(pool, origins, bad):
    """And no request body arrives twice, although one of three backends takes them and says nothing good."""
    three = origins(3)
    b = pool(three, 'timeouts = { connect = "1s", read = "1s" }, passive = { max_fails = 3, fail_timeout = "200ms" }, '
                    'retry = { on = [ "connect", "reset", "timeout", "503" ], budget = "100%" }', workers=4)
    with Load(b.port, 8) as load:
        wait_until(lambda: load.ok > 100, what="traffic")
        three[0].script["/"] = three[0].script["/post"] = bad
        for i in range(20):
            http.request(b.port, "POST", "/post", body=b"pay %d" % i)
        level = load.ok
        wait_until(lambda: load.ok > level + 500, 30, what="more traffic")
    assert load.failures == []
    paid = [r.body for o in three for r in o.requests if r.method == "POST"]
    assert sorted(paid) == sorted(b"pay %d" % i for i in range(20))


def test_under_load_nothing_fails_while_a_backend_flaps(pool, origins):
    two = origins(2)
    b = pool(two, 'retry = { on = [ "connect", "reset", "timeout" ], budget = "100%" }, '
                  'passive = { max_fails = 2, fail_timeout = "50ms" }', workers=2)
    with Load(b.port, 6) as load:
        for _ in range(10):
            level = load.ok
            two[0].stop()
            wait_until(lambda: load.ok > level + 20, what="traffic without it")
            two[0].start()
            level = load.ok
            wait_until(lambda: load.ok > level + 20, what="traffic with it")
    assert load.failures == []
