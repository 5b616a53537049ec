"""Sessions: by our cookie, by the application's, by header, by address."""

import http.cookies

import pytest

from lib import http as client
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {backends} ), health = {{ type = "none" }}, sticky = {sticky} {pool} }} }}
"""


@pytest.fixture
def sticky(ballast):
    """sticky(origins, settings): a running instance; .port, .config(settings) for a reload."""

    def start(origins, settings, workers=4, pool=""):
        port = free_port()

        def config(settings, count=len(origins)):
            backends = ", ".join(f'{{ name = "{o.id}", address = "{o.address}" }}' for o in origins[:count])
            return CONF.format(port=port, backends=backends, sticky=settings, pool=pool)

        b = ballast(config(settings), workers=workers)
        b.port, b.config = port, config
        return b

    return start


def who(response):
    return response.header("X-Origin")


def cookie_of(response):
    """(name, value, attributes) of the one Set-Cookie that is ours."""
    jar = http.cookies.SimpleCookie()
    for line in response.all("Set-Cookie"):
        if line.startswith("SERVERID="):
            jar.load(line)
    (morsel,) = jar.values()
    return morsel.key, morsel.value, morsel


def ask(b, cookie=None, path="/", headers=()):
    more = [("Cookie", cookie)] if cookie else []
    return client.get(b.port, path, headers=[*headers, *more])


def test_the_cookie_is_inserted_honoured_and_hidden(sticky, origins):
    three = origins(3)
    b = sticky(three, "{ }")
    first = ask(b)
    name, value, attributes = cookie_of(first)
    assert name == "SERVERID" and attributes["path"] == "/" and attributes["httponly"] and attributes["max-age"] == "3600"
    assert attributes["samesite"] == "Lax" and not attributes["secure"]
    assert first.header("Cache-Control") == "private"
    for o in three:
        assert o.address not in value and o.id not in value
    for _ in range(12):
        r = ask(b, f"a=1; SERVERID={value}; b=2")
        assert who(r) == who(first) and r.header("Set-Cookie") is None and r.header("Cache-Control") is None
    mine = next(o for o in three if o.id == who(first))
    assert mine.requests[-1].all("Cookie") == ["a=1; b=2"]
    ask(b, f"SERVERID={value}")
    assert mine.requests[-1].all("Cookie") == [], "nothing is left of it"


def test_clients_without_a_cookie_are_spread(sticky, origins):
    three = origins(3)
    b = sticky(three, "{ }")
    assert {who(ask(b)) for _ in range(9)} == {o.id for o in three}


@pytest.mark.parametrize("value", ["", "x", "0123456789abcdef", "0123456789abcdef-", "0123456789ABCDEF-1",
                                   "0123456789abcdef-zz", "-" * 40, "0123456789abcdef-1;x", "f" * 16 + "-" + "1" * 30])
def test_a_cookie_that_is_none_of_ours_is_replaced(sticky, origins, value):
    b = sticky(origins(2), "{ }")
    r = ask(b, f"SERVERID={value}")
    assert r.status == 200 and cookie_of(r)


def test_the_right_one_of_several_cookies(sticky, origins):
    """One of the same name on another path comes first (RFC 6265 5.4); blanks are no part of a value."""
    b = sticky(origins(3), "{ }")
    first = ask(b)
    name, value, _ = cookie_of(first)
    good = f"{name}={value}"
    for cookies in (f"{name}=other; {good}", f"{name}=; {good}", f"a=1; {good} ; b=2", f"{good}\t; {name}=x"):
        r = [ask(b, cookies) for _ in range(4)]
        assert {who(x) for x in r} == {who(first)} and not r[0].all("Set-Cookie"), cookies
    r = [client.get(b.port, "/", [("Cookie", f"{name}=x; a=1"), ("Cookie", good)]) for _ in range(4)]
    assert {who(x) for x in r} == {who(first)}
    assert len({who(ask(b, f"{name}={good}")) for _ in range(6)}) == 3


def test_the_applications_own_cookies_pass(sticky, origins):
    one = origins(1)[0]
    one.script["/x"] = lambda request, sock: reply(200, b"", headers=[("Set-Cookie", "sid=7; Path=/")])
    b = sticky([one], "{ }")
    r = ask(b, path="/x")
    assert "sid=7; Path=/" in r.all("Set-Cookie") and len(r.all("Set-Cookie")) == 2


def test_attributes(sticky, origins):
    b = sticky(origins(1), '{ name = "SERVERID", path = "/app", http_only = false, secure = "always", same_site = "none", ttl = "0s" }')
    _, _, attributes = cookie_of(ask(b))
    assert attributes["path"] == "/app" and attributes["secure"] and not attributes["httponly"]
    assert attributes["samesite"] == "None" and not attributes["max-age"]


def test_drain_keeps_clients_maintenance_and_failure_move_them(sticky, origins):
    two = origins(2)
    b = sticky(two, "{ }")
    first = ask(b)
    mine = who(first)
    value = cookie_of(first)[1]
    b.admin(f"/lb/backends/{mine}/drain", method="POST")
    assert {who(ask(b, f"SERVERID={value}")) for _ in range(6)} == {mine}
    assert mine not in {who(ask(b)) for _ in range(6)}
    b.admin(f"/lb/backends/{mine}/disable", method="POST")
    moved = ask(b, f"SERVERID={value}")
    assert who(moved) != mine and cookie_of(moved)[1] != value
    b.admin(f"/lb/backends/{mine}/enable", method="POST")
    assert {who(ask(b, f"SERVERID={value}")) for _ in range(6)} == {mine}
    next(o for o in two if o.id == mine).stop()
    assert {who(ask(b, f"SERVERID={value}")) for _ in range(6)} == {who(moved)}


def test_sessions_survive_reloads_and_restarts(sticky, origins, ballast):
    three = origins(3)
    b = sticky(three, "{ }")
    sessions = {cookie_of(r)[1]: who(r) for r in (ask(b) for _ in range(6))}
    b.reload(b.config("{ }") + "\ndrain_timeout = \"5s\"\n")
    for value, mine in sessions.items():
        assert who(ask(b, f"SERVERID={value}")) == mine
    b.stop()
    again = ballast(b.config("{ }"), workers=2)
    again.port = b.port
    for value, mine in sessions.items():
        assert who(ask(again, f"SERVERID={value}")) == mine


def test_the_applications_cookie_names_the_backend(sticky, origins):
    three = origins(3)
    b = sticky(three, '{ type = "app_cookie", name = "SERVER" }')
    for o in three:
        for _ in range(4):
            r = ask(b, f"x=1; SERVER={o.id}")
            assert who(r) == o.id and r.header("Set-Cookie") is None
        assert o.requests[-1].header("Cookie") == f"x=1; SERVER={o.id}", "it is the application's: it passes"
    assert {who(ask(b, "SERVER=nobody")) for _ in range(6)} == {o.id for o in three}


def by_header(b, value):
    return who(client.get(b.port, headers=[("X-Session", value)]))


def test_by_header(sticky, origins):
    three = origins(3)
    b = sticky(three, '{ type = "header", name = "X-Session" }')
    sessions = {f"s{i}": by_header(b, f"s{i}") for i in range(30)}
    assert set(sessions.values()) == {o.id for o in three}
    for value, mine in sessions.items():
        assert by_header(b, value) == mine
    assert {who(client.get(b.port)) for _ in range(6)} == {o.id for o in three}, "without the field: by the algorithm"
    b.admin("/lb/backends/b1/drain", method="POST")
    for value, mine in sessions.items():
        assert by_header(b, value) == mine, "a draining backend keeps its clients"
    assert "b1" not in {by_header(b, f"new{i}") for i in range(20)}
    b.admin("/lb/backends/b1/disable", method="POST")
    moved = {value: by_header(b, value) for value in sessions}
    assert all(moved[v] == mine for v, mine in sessions.items() if mine != "b1") and "b1" not in moved.values()
    b.admin("/lb/backends/b1/enable", method="POST")
    for value, mine in moved.items():
        assert by_header(b, value) == mine, "who was moved stays where it is"


def test_by_address_also_over_a_reload_and_tcp(ballast, origins):
    three, ports = origins(3), [free_port(), free_port()]
    text = f"""
listeners = {{ web = {{ bind = "127.0.0.1:{ports[0]}", pool = "app" }}, raw = {{ bind = "127.0.0.1:{ports[1]}", protocol = "tcp", pool = "app" }} }}
pools = {{ app = {{ backends = {three.list_text}, health = {{ type = "none" }}, sticky = {{ type = "client_ip" }} }} }}
"""
    b = ballast(text, workers=4)
    mine = {who(client.get(p)) for p in ports for _ in range(6)}
    assert len(mine) == 1
    b.reload(text + 'drain_timeout = "7s"\n')
    assert {who(client.get(p)) for p in ports for _ in range(6)} == mine


def test_many_sessions_are_remembered(sticky, origins):
    two = origins(2)
    b = sticky(two, '{ type = "header", name = "X-Session" }', workers=2)
    with client.Client(b.port) as c:
        first = {i: who(c.get(headers=[("X-Session", f"s{i}")])) for i in range(300)}
        b.admin("/lb/backends/b1/drain", method="POST")
        wait_until(lambda: b.backends()["b1"]["status"] == "draining")
        assert {i: who(c.get(headers=[("X-Session", f"s{i}")])) for i in range(300)} == first


@pytest.mark.parametrize("setting, message", [
    ('{ type = "header" }', 'pools.app.sticky: type "header" needs a "name"'),
    ('{ type = "app_cookie" }', 'pools.app.sticky: type "app_cookie" needs a "name"'),
    ('{ name = "a b" }', '"a b" cannot be the name of a cookie'),
    ('{ name = "" }', '"" cannot be the name of a cookie'),
    ('{ path = "/;x" }', 'cannot stand in a cookie'),
    ('{ type = "cookies" }', 'did you mean "cookie"?'),
    ('{ same_site = "laxx" }', 'did you mean "lax"?'),
    ('true', 'wants a group { }, found true'),
])
def test_bad_input(ballast, origins, setting, message):
    one = origins(1)
    text = CONF.format(port=free_port(), backends=f'{{ address = "{one[0].address}" }}', sticky=setting, pool="")
    b = ballast(text, wait=False)
    assert b.wait() == 1
    assert message in b.log() and ":3: error: " in b.log()
    b.stopped = True
