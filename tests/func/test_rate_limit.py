"""Rate limits with real clients: exact over workers, reloads and crashes."""

import os
import signal
import socket
import subprocess
import threading

import pytest

from lib import http
from lib.ballast import binary
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}{pool} }} }}
"""


@pytest.fixture
def web(ballast, origin):
    """web(limit): an instance whose listener has this rate_limit; .port, .origin."""

    def start(limit="", pool="", listener="", **options):
        port, o = free_port(), origin()
        text = f", rate_limit = {limit}" if limit else ""
        text = CONF.format(port=port, backend=o.address, listener=text + listener, pool=pool)
        instance = ballast(text, **options)
        instance.port, instance.origin, instance.text = port, o, text
        return instance

    return start


@pytest.fixture
def mistake(tmp_path):
    """What `ballast check` says about a text that it must refuse."""

    def check(text):
        path = tmp_path / "bad.conf"
        path.write_text(text)
        done = subprocess.run([binary(), "check", "-c", str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stdout
        return done.stderr

    return check


def statuses(port, count, headers=(), path="/"):
    with http.Client(port) as c:
        return [c.get(path, headers).status for _ in range(count)]


def storm(port, clients, each, headers=()):
    """How many of all these requests were answered 200; every other answer is 429."""
    results = []

    def run():
        results.append(sum((statuses(port, 1, headers) for _ in range(each)), []))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    flat = sum(results, [])
    assert len(flat) == clients * each and set(flat) <= {200, 429}
    return flat.count(200)


def limits(instance):
    return {r["name"]: r for r in instance.admin("/lb/stats")["rate_limits"]}


@pytest.mark.parametrize("limit", [
    '{ rate = "1/24h", burst = 50 }',
    '{ algorithm = "sliding_window", rate = "50/24h" }',
    '{ algorithm = "sliding_window", rate = "50/24h", key = "global" }',
])
def test_exact_over_four_workers(web, limit):
    b = web(limit, workers=4)
    assert storm(b.port, 8, 25) == 50
    requests = {w["index"]: w["total_requests"] for w in b.admin("/lb/workers")["workers"]}
    assert sum(n > 0 for n in requests.values()) > 1, "one worker got everything: nothing was shown"
    counted = limits(b)["listeners.web"]
    assert (counted["passed"], counted["limited"]) == (50, 150)
    metrics = b.metrics()
    assert metrics['ballast_rate_limit_total{listener="web",result="passed"}'] == 50
    assert metrics['ballast_rate_limit_total{listener="web",result="limited"}'] == 150


def test_a_leaky_bucket_refuses_beyond_its_bound_and_delays_within(web):
    b = web('{ algorithm = "leaky_bucket", rate = "1/s", burst = 5 }')
    together = [connect(b.port) for _ in range(4)]
    for s in together:
        s.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    for s in together:
        assert http.read_response(s).status == 200
        s.close()
    assert 1 <= limits(b)["listeners.web"]["delayed"] <= 3


def test_a_full_leaky_bucket(web):
    b = web('{ algorithm = "leaky_bucket", rate = "1/1h", burst = 3 }')
    waiting = [connect(b.port) for _ in range(3)]
    for s in waiting:
        s.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    wait_until(lambda: limits(b)["listeners.web"]["passed"] + limits(b)["listeners.web"]["delayed"] == 3, what="three taken")
    r = http.get(b.port)
    assert r.status == 429 and 3590 <= int(r.header("Retry-After")) <= 3600
    wait_until(lambda: b.origin.requests, what="the first request at the backend")
    assert len(b.origin.requests) == 1
    for s in waiting:  # who gives up while waiting harms nobody
        s.close()
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0, what="waiting clients gone")


def test_the_answer_says_what_and_when(web):
    b = web('{ rate = "1/1h", burst = 2, headers = true }')
    first = http.get(b.port)
    assert first.status == 200 and first.text == "b1"
    assert [first.header(f"RateLimit-{n}") for n in ("Limit", "Remaining", "Reset")] == ["2", "1", "3600"]
    assert first.header("Retry-After") is None
    second = http.get(b.port)
    assert second.header("RateLimit-Remaining") == "0" and int(second.header("RateLimit-Reset")) > 7100
    third = http.get(b.port)
    assert third.status == 429 and third.json() == {"error": "Too many requests"}
    assert 3500 < int(third.header("Retry-After")) <= 3600 and third.header("RateLimit-Remaining") == "0"
    assert "html" in http.get(b.port, headers=[("Accept", "text/html")]).header("Content-Type")


def test_passed_answers_say_nothing_unless_asked(web):
    r = http.get(web('{ rate = "1/1h", burst = 2 }').port)
    assert r.status == 200 and not [n for n, _ in r.headers if n.lower().startswith("ratelimit")]


@pytest.mark.parametrize("key, mine, yours", [
    ("header:X-Api-Key", [("x-api-key", "a")], [("X-Api-Key", "b")]),
    ("cookie:sid", [("Cookie", "x=1; sid=a")], [("Cookie", "sid=b; x=1")]),
    ("host", [("Host", "A.example")], [("Host", "b.example")]),
])
def test_each_key_has_its_own(web, key, mine, yours):
    b = web(f'{{ rate = "1/1h", burst = 2, key = "{key}" }}')
    assert statuses(b.port, 3, mine) == [200, 200, 429]
    assert statuses(b.port, 3, yours) == [200, 200, 429]
    if key == "host":
        assert statuses(b.port, 1, [("Host", "a.EXAMPLE")]) == [429]
    else:  # without it: by address
        assert statuses(b.port, 3) == [200, 200, 429]


def test_path_and_uri_keys(web):
    b = web('( { rate = "1/1h", burst = 3, key = "path" }, { rate = "1/1h", burst = 2, key = "uri" } )')
    assert [http.get(b.port, p).status for p in ("/a?1", "/a?1", "/a?1", "/a?2", "/a?3", "/b")] == [200, 200, 429, 200, 429, 200]


def test_clients_by_address(web):
    b = web('{ rate = "1/1h", burst = 1 }')

    def ask(address):
        s = socket.create_connection(("127.0.0.1", b.port), 10, source_address=(address, 0))
        with s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            return http.read_response(s).status

    assert [ask(a) for a in ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.3")] == [200, 200, 429, 429, 200]


def test_clients_behind_a_trusted_proxy(web):
    b = web('{ rate = "1/1h", burst = 1 }', listener=', trusted = [ "127.0.0.0/8" ]')
    asked = [[("X-Forwarded-For", a)] for a in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "6.6.6.6, 192.0.2.1", "2001:db8::1", "2001:db8::2")]
    assert [http.get(b.port, headers=h).status for h in asked] == [200, 200, 429, 429, 200, 429]  # one /64 is one client


def test_limits_of_routes(web):
    b = web(listener=""", routes = (
        { path = "/a/", pool = "app", rate_limit = { rate = "1/1h", burst = 2 } },
        { path = "/b/", pool = "app", rate_limit = ( { rate = "1/1h", burst = 1 } ) } )""")
    assert statuses(b.port, 3, path="/a/x") == [200, 200, 429]
    assert statuses(b.port, 2, path="/b/x") == [200, 429]
    assert statuses(b.port, 3, path="/c") == [200] * 3
    assert {"listeners.web.routes[0]", "listeners.web.routes[1]"} == set(limits(b))


def test_several_limits_apply_and_a_refused_request_uses_up_none(web):
    b = web('( { rate = "1/1h", burst = 2, key = "header:X-User" }, { rate = "1/1h", burst = 5, key = "global" } )')
    a, c = [("X-User", "a")], [("X-User", "c")]
    assert statuses(b.port, 10, a) == [200] * 2 + [429] * 8
    assert statuses(b.port, 3, c) == [200, 200, 429]
    assert statuses(b.port, 3, [("X-User", "d")]) == [200, 429, 429]  # the fifth of all


def test_a_limit_of_the_pool_counts_over_its_listeners(ballast, origin):
    one, two, o = free_port(), free_port(), origin()
    ballast(f"""
listeners = {{ a = {{ bind = "127.0.0.1:{one}", pool = "app" }}, b = {{ bind = "127.0.0.1:{two}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}, rate_limit = {{ rate = "1/1h", burst = 3 }} }} }}
""")
    assert statuses(one, 2) + statuses(two, 2) + statuses(one, 1) == [200, 200, 200, 429, 429]


def test_counts_go_on_over_a_reload_and_a_changed_limit_begins_anew(web):
    b = web('{ rate = "1/1h", burst = 5 }', workers=2)
    assert statuses(b.port, 3) == [200] * 3
    b.reload(b.text.replace('pool = "app"', 'pool = "app", timeouts = { idle = "50s" }'))
    assert statuses(b.port, 3) == [200, 200, 429]
    b.reload(b.text.replace("burst = 5", "burst = 6"))
    assert statuses(b.port, 7) == [200] * 6 + [429]
    assert "listener web: rate_limit: ( { algorithm" in b.log()


def test_exact_although_workers_are_killed(web):
    b = web('{ rate = "1/24h", burst = 300 }', workers=4)
    passed, lost, done = [], [], threading.Event()

    def run():
        while not done.is_set():
            try:
                if http.get(b.port).status == 200:
                    passed.append(1)
            except (http.HttpError, OSError):
                lost.append(1)  # it was in flight in the worker that died

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for n in (40, 80, 120):
        wait_until(lambda: len(passed) > n, 30, f"{n} requests passed")
        os.kill(next(iter(b.worker_pids.values())), signal.SIGKILL)
    wait_until(lambda: limits(b)["listeners.web"]["limited"] > 20, 30, "the limit is reached")
    done.set()
    for t in threads:
        t.join(30)
    assert len(passed) <= 300 <= len(passed) + len(lost)
    assert set(statuses(b.port, 8)) == {429}


def test_the_onset_is_an_event(web):
    b = web('{ rate = "1/1h", burst = 1 }', workers=2)
    statuses(b.port, 10)
    events = [e for e in b.admin("/lb/events")["events"] if e["kind"] == "rate_limit"]
    assert len(events) == 1 and events[0]["object"] == "listeners.web" and events[0]["to"] == "limiting"
    assert "127.0.0.1" in events[0]["reason"]


def test_connections_of_tcp(ballast, tcp_echo):
    port = free_port()
    b = ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "p",
    rate_limit = ( {{ rate = "1/1h", burst = 2 }}, {{ algorithm = "leaky_bucket", rate = "1000/s", key = "global" }} ) }} }}
pools = {{ p = {{ backends = [ "{tcp_echo().address}" ], health = {{ type = "none" }} }} }}
""")

    def echoes():
        with connect(port) as s:
            try:
                s.sendall(b"ping")
                return s.recv(10) == b"ping"
            except ConnectionError:
                return False

    assert [echoes() for _ in range(4)] == [True, True, False, False]
    assert b.admin("/lb/stats")["rate_limits"]


def test_a_flood_of_keys_neither_grows_nor_unlimits(web):
    b = web('{ rate = "1/24h", burst = 5, key = "header:K", entries = 200 }')
    assert statuses(b.port, 7, [("K", "heavy")]) == [200] * 5 + [429] * 2
    size = os.stat(f"/dev/shm/ballast.{b.pid}").st_blocks
    with http.Client(b.port) as c:
        for i in range(3000):
            assert c.get("/", [("K", f"fresh{i}")]).status == 200
    assert os.stat(f"/dev/shm/ballast.{b.pid}").st_blocks == size
    assert statuses(b.port, 2, [("K", "heavy")]) == [429, 429]
    assert limits(b)["listeners.web"]["evicted"] > 1000


@pytest.mark.parametrize("limit, problem", [
    ('{ rate = "fast" }', 'rate: wants how many in how long, such as "100/s"'),
    ('{ rate = 5 }', "rate: wants how many in how long"),
    ('{ rate = "0/s" }', '"0/s" is out of range: 1 to 1000000'),
    ('{ rate = "2000000/s" }', "out of range"),
    ('{ rate = "5/2d" }', "wants how many"),
    ('{ burst = 0 }', "burst: 0 is out of range"),
    ('{ algorithm = "sliding_window", burst = 5 }', '"burst" means nothing with algorithm = "sliding_window"'),
    ('{ algorithm = "token_buckt" }', 'did you mean "token_bucket"?'),
    ('{ key = "ip" }', '"ip" is not one of: client_ip, global, uri, path, host, header:NAME, cookie:NAME'),
    ('{ key = "header:" }', "is not one of"),
    ('{ entries = 0 }', "entries: 0 is out of range"),
    ('{ headers = "yes" }', "headers: wants true or false"),
    ('{ rates = "5/s" }', 'did you mean "rate"?'),
    ('"5/s"', "wants a group"),
    ('( { }, { } )', "says the same as the one at"),
])
def test_mistakes(mistake, limit, problem):
    assert problem in mistake(CONF.format(port=1, backend="127.0.0.1:1", listener=f", rate_limit = {limit}", pool=""))


def test_mistakes_of_tcp_and_defaults(mistake):
    text = CONF.format(port=1, backend="127.0.0.1:1", listener=', protocol = "tcp", rate_limit = {}', pool="")
    assert 'key = "uri" means nothing with protocol = "tcp"' in mistake(text.replace("{}", '{ key = "uri" }'))
    assert '"headers" means nothing with protocol = "tcp"' in mistake(text.replace("{}", "{ headers = true }"))
    assert "cannot be inherited" in mistake(CONF.format(port=1, backend="127.0.0.1:1", listener="", pool="")
                                                 + "defaults = { rate_limit = { } }\n")
