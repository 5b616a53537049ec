"""ballast explain: where a request would go and why, from the live table."""

import json

import pytest

from lib import http
from lib.ballast import run
from lib.net import connect, free_port
from lib.wait import wait_until


def group(origin, **options):
    more = "".join(f", {k} = {v}" for k, v in options.items())
    return f'{{ name = "{origin.id}", address = "{origin.address}"{more} }}'


@pytest.fixture
def start(ballast):
    def start(groups, pool='balance = "round_robin"', listener='pool = "app"', workers=2):
        port = free_port()
        b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", {listener} }} }}
pools = {{ app = {{ {pool}, backends = ( {", ".join(groups)} ), health = {{ type = "none" }} }} }}
""", workers=workers)
        b.port = port
        return b

    return start


def explain(b, target="/", *args):
    r = run("explain", "--pid", str(b.pid), "--json", *args, f"GET http://127.0.0.1:{b.port}{target}")
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def only_pool(answer):
    assert len(answer["pools"]) == 1
    return answer["pools"][0]


@pytest.mark.parametrize("algorithm", ["round_robin", "weighted_round_robin", "least_connections",
                                       "weighted_least_connections", "least_response_time", "first"])
def test_the_choice_is_what_the_next_request_gets_and_takes_no_turn(start, origins, algorithm):
    three = origins(3)
    b = start([group(o, weight=i + 1) for i, o in enumerate(three)], f'balance = "{algorithm}"')
    assert http.get(b.port).status == 200  # the first one finds the loads not yet counted
    for n in range(8):
        choices = {only_pool(explain(b))["choice"] for _ in range(2)}
        got = http.get(b.port)
        assert got.status == 200
        if algorithm != "least_response_time":  # a probe ticket may be due
            assert choices == {got.text}


@pytest.mark.parametrize("algorithm", ["consistent_hash", "maglev", "url_hash"])
def test_hash_algorithms_by_the_same_key(start, origins, algorithm):
    three = origins(3)
    b = start([group(o) for o in three], f'balance = "{algorithm}", hash_key = "uri"')
    for n in range(10):
        assert only_pool(explain(b, f"/x?{n}"))["choice"] == http.get(b.port, f"/x?{n}").text


def test_a_header_or_the_client_decides(start, origins):
    three = origins(3)
    b = start([group(o) for o in three], 'balance = "maglev", hash_key = "header:X-Tenant"')
    for n in range(10):
        want = http.get(b.port, "/", headers=[("X-Tenant", f"t{n}")]).text
        assert only_pool(explain(b, "/", "-H", f"X-Tenant: t{n}"))["choice"] == want
    seen = {only_pool(explain(b, "/", "--client", f"192.0.2.{n}"))["choice"] for n in range(20)}
    assert len(seen) == 3


def test_who_is_left_out_and_why(start, origins):
    five = origins(5)
    b = start([group(five[0]), group(five[1]), group(five[2], weight=0), group(five[3], max_connections=1),
               group(five[4], backup="true")], 'balance = "least_connections"')
    b.admin(f"/lb/backends/{five[0].id}/disable", "POST")
    five[3].hold()
    five[1].hold()
    held = []
    for n in range(2):  # one each
        s = connect(b.port)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
        wait_until(lambda: sum(o.waiting for o in five) == n + 1, what="the request to arrive")
    pool = only_pool(explain(b))
    why = {x["name"]: x["excluded"] for x in pool["backends"]}
    assert why[five[0].id] == "in maintenance"
    assert why[five[1].id] is None
    assert why[five[2].id] == "weight 0"
    assert why[five[3].id] == "at max_connections (1 of 1)"
    assert why[five[4].id] == "backup, not needed"
    assert pool["choice"] == five[1].id
    b.admin(f"/lb/backends/{five[1].id}/disable", "POST")
    b.admin(f"/lb/backends/{five[3].id}/disable", "POST")
    assert only_pool(explain(b))["choice"] == five[4].id
    b.admin(f"/lb/backends/{five[4].id}/disable", "POST")
    assert only_pool(explain(b))["choice"] is None
    for o in five:
        o.release()
    for s in held:
        s.close()


def test_an_unhealthy_backend(ballast, origins):
    two = origins(2)
    two[0].healthy = False
    port = free_port()
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {group(two[0])}, {group(two[1])} ), health = {{ interval = "50ms" }} }} }}
""")
    b.port = port
    b.wait_status(two[0].id, "unhealthy")
    b.wait_status(two[1].id, "healthy")
    pool = only_pool(explain(b))
    assert pool["choice"] == two[1].id
    assert pool["backends"][0]["excluded"].startswith("unhealthy for ")


def test_routes(start, origins):
    two = origins(2)
    b = start([group(o) for o in two], listener="""pool = "app",
        routes = ( { path = "/old/", redirect = "https://example.com/" }, { path = "/closed", respond = 403 },
                   { path = "/app/", pool = "app" } )""")
    assert explain(b, "/old/x")["redirect"].startswith("https://example.com/")
    assert explain(b, "/closed")["respond"] == "403"
    assert "number 3" in explain(b, "/app/x")["route"]
    assert "none" in explain(b, "/else")["route"]


def test_text_and_mistakes(start, origins):
    two = origins(2)
    b = start([group(o) for o in two])
    at = ["--pid", str(b.pid)]
    r = run("explain", *at, f"GET http://127.0.0.1:{b.port}/")
    assert r.returncode == 0
    assert "pool app: balance round_robin" in r.stdout and "choice: " in r.stdout and "> b" in r.stdout
    for args, words in [
        ([*at], "wants one request"),
        ([*at, "GET http://"], "is not like"),
        ([*at, "GET http://127.0.0.1:1/"], "no listener has the port"),
        ([*at, "GET http://127.0.0.1:99999/"], "no such port"),
        ([*at, "--listener", "nope", "GET http://x/"], 'no listener "nope"'),
        ([*at, "--client", "nobody", f"GET http://x:{b.port}/"], "not an address"),
        ([*at, "-H", "no colon", f"GET http://x:{b.port}/"], "would be refused"),
        (["--pid", "1", f"GET http://x:{b.port}/"], "pid 1"),
    ]:
        r = run("explain", *args)
        assert r.returncode in (1, 2) and words in r.stderr, (args, r.stderr)
