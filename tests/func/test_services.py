"""Instances that register themselves: PUT /lb/services/{service}/instances/{id}, again and again."""

import os
import signal
import time

import pytest

from lib import http
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

FAST = 'health = { interval = "50ms", timeout = "20s" }'
AT = "/lb/services/app/instances/"


def conf(port, backends="[ ]", more="", top=""):
    return f"""{top}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends} {FAST} {more} }}, other = {{ backends = [ "127.0.0.1:1" ], health = {{ type = "none" }} }} }}
"""


def put(b, name, port, status=201, **more):
    return b.admin(AT + name, "PUT", {"address": "127.0.0.1", "port": port, **more}, status)


def instances(b):
    return {i["id"]: i for i in b.admin("/lb/services/app")["instances"]}


def discovery(b):
    return [(e["object"], e["from"], e["to"], e["reason"]) for e in b.events() if e["kind"] == "discovery"]


def test_registers_serves_and_leaves(ballast, origin):
    o, port = origin("i1"), free_port()
    b = ballast(conf(port))
    made = put(b, "i1", o.port, ttl=60, weight=3)
    assert (made["id"], made["service"], made["address"], made["port"], made["ttl"], made["weight"]) == (
        "i1", "app", "127.0.0.1", o.port, 60, 3)
    b.wait_status("i1", "healthy")
    assert http.get(port, "/").text == "i1"
    assert b.backends()["i1"]["origin"] == "discovery"
    assert put(b, "i1", o.port, 200, ttl=60, weight=5)["weight"] == 5
    assert b.admin(AT + "i1")["status"] == "healthy"
    assert b.admin(AT + "i1", "DELETE") == {"id": "i1", "removed": True}
    assert instances(b) == {}
    b.admin(AT + "i1", "DELETE", status=404)
    b.admin(AT + "i1", status=404)
    actions = [(e["object"], e["to"]) for e in b.events() if e["kind"] == "admin"]
    assert actions == [("app:i1", "registered"), ("app:i1", "removed")], "heartbeats are no news"


def test_expires_without_heartbeats(ballast, origin):
    a, c = origin("a"), origin("c")
    b = ballast(conf(free_port()))
    put(b, "a", a.port, ttl=1)
    put(b, "c", c.port)  # without an end
    wait_until(lambda: "a" not in instances(b), 20, "it ran out")
    assert discovery(b) == [("app:a", "registered", "expired", "not heard of for 1.0 s")]
    assert instances(b)["c"]["ttl"] is None and instances(b)["c"]["expires_in"] is None


def test_heartbeats_keep_it(ballast, origin):
    o = origin("i1")
    b = ballast(conf(free_port()))
    put(b, "i1", o.port, ttl=5)
    until = time.monotonic() + 6
    wait_until(lambda: put(b, "i1", o.port, 200, ttl=5) and time.monotonic() > until, 30, "longer than its ttl")
    assert 0 < instances(b)["i1"]["expires_in"] <= 5
    assert discovery(b) == []


def test_survives_a_reload_and_a_crash(ballast, origin):
    o, port = origin("i1"), free_port()
    b = ballast(conf(port))
    put(b, "i1", o.port, ttl=600)
    b.wait_status("i1", "healthy")
    b.reload(conf(port, more="keepalive = 7"))
    assert b.backends()["i1"]["status"] == "healthy"
    before = b.table["admin"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: b.table.get("admin", before) != before, 20, "a new admin process")
    assert instances(b)["i1"]["status"] == "healthy"
    assert http.get(port, "/").text == "i1"


def test_moves(ballast, origin):
    """The same instance elsewhere: the old place gets nothing more."""
    old, new, port = origin("old"), origin("new"), free_port()
    b = ballast(conf(port))
    put(b, "i1", old.port, ttl=60)
    b.wait_status("i1", "healthy")
    put(b, "i1", new.port, 200, ttl=60)
    b.wait_status("i1", "healthy")
    assert {http.get(port, "/").text for _ in range(4)} == {"new"}


def test_own_check(ballast, origin):
    one, two, port = origin("one"), origin("two"), free_port()
    one.healthy = two.healthy = False
    one.script["/up"] = two.script["/deep?x=1"] = reply(204)
    two.script["/deep"] = reply(204)
    b = ballast(conf(port))
    put(b, "one", one.port, health_check_url="/up")
    put(b, "two", free_port(), health_check_url=f"http://127.0.0.1:{two.port}/deep?x=1")
    b.wait_status("one", "healthy")
    b.wait_status("two", "healthy")


def test_nobody_expires_while_nobody_can_be_heard(ballast, origin):
    """The admin process stands still: heartbeats are not lost for good."""
    b = ballast(conf(free_port(), top='watchdog = "1h"'))
    put(b, "i1", origin("i1").port, ttl=5)
    os.kill(b.table["admin"], signal.SIGSTOP)
    until = time.monotonic() + 8
    wait_until(lambda: time.monotonic() > until, 30)
    os.kill(b.table["admin"], signal.SIGCONT)
    put(b, "i1", origin("i1").port, 200, ttl=60)
    assert discovery(b) == []


def test_conflicts(ballast, origin):
    o = origin("b1")
    b = ballast(conf(free_port(), backends=f'( {{ name = "b1", address = "{o.address}" }} )'))
    put(b, "b1", o.port, 409)
    b.admin(AT + "b1", "DELETE", status=409)
    b.admin(AT + "b1", status=409)
    b.admin("/lb/services/nowhere", status=404)
    b.admin("/lb/services/nowhere/instances/i1", "PUT", {"address": "127.0.0.1", "port": 1}, 404)
    assert [s["service"] for s in b.admin("/lb/services")["services"]] == ["app", "other"]


def test_needs_the_token(ballast, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    port = free_port()
    b = ballast(conf(free_port(), top=f'admin = {{ bind = "127.0.0.1:{port}", token_file = "{token}" }}'), admin_port=port)
    put(b, "i1", 1, 401)
    b.admin(AT + "i1", "DELETE", status=401)
    b.admin("/lb/services")


@pytest.mark.parametrize("body, what", [
    ({"port": 1}, "address is missing"),
    ({"address": "127.0.0.1"}, "port is missing"),
    ({"address": "name.example", "port": 1}, "address must be an IP address"),
    ({"address": "0.0.0.0", "port": 1}, "address must be an IP address"),
    ({"address": "unix:/x", "port": 1}, "address must be an IP address"),
    ({"address": 5, "port": 1}, "address must be an IP address"),
    ({"address": "127.0.0.1", "port": 65536}, "port must be a whole number from 1 to 65535"),
    ({"address": "127.0.0.1", "port": "1"}, "port must be a whole number from 1 to 65535"),
    ({"address": "127.0.0.1", "port": 1, "weight": 257}, "weight must be a whole number from 0 to 256"),
    ({"address": "127.0.0.1", "port": 1, "ttl": 0}, "ttl must be a whole number of seconds from 1 to 86400"),
    ({"address": "127.0.0.1", "port": 1, "ttl": "30s"}, "ttl must be a whole number of seconds from 1 to 86400"),
    ({"address": "127.0.0.1", "port": 1, "tags": []}, "tags is not a field of an instance"),
    ({"address": "127.0.0.1", "port": 1, "health_check_url": "up"}, "health_check_url must be"),
    ({"address": "127.0.0.1", "port": 1, "health_check_url": "/a b"}, "health_check_url must be"),
    ({"address": "127.0.0.1", "port": 1, "health_check_url": "http://10.0.0.1/x"}, "health_check_url must be"),
    ({"address": "127.0.0.1", "port": 1, "health_check_url": "/" + "x" * 128}, "health_check_url must be"),
])
def test_bad_bodies(ballast, body, what):
    b = ballast(conf(free_port()))
    assert b.admin(AT + "i1", "PUT", body, 400)["error"].startswith(what)
    assert instances(b) == {}


@pytest.mark.parametrize("name", ["a%20b", "x" * 64, "a%2Fb", "%22"])
def test_bad_ids(ballast, name):
    b = ballast(conf(free_port()))
    put(b, name, 1, 400)
    b.admin("/lb/services/app/instances/", "PUT", {}, 404)
    b.admin("/lb/services/app/instances/a/b", "PUT", {}, 404)
    b.admin("/lb/services/app/instances/a", "POST", {}, 405)
