"""The response cache under people and backends that mean it no good: nobody gets what was made for another."""

import os
import signal
import socket
import threading
from email.utils import formatdate

import pytest

from lib import http
from lib.h2client import Client as H2Client
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """
cache = {{ size = "64m", object_size = "8m" }}
listeners = {{ web = {{ bind = "127.0.0.1:{port}"{listener} }} }}
pools = {{ {pools} }}
"""


@pytest.fixture
def web(ballast, origin):
    """web(listener, **pools): an instance; .port, .origins by pool. A pool is what it says besides its backend."""

    def start(listener=', pool = "app"', workers=None, **pools):
        pools = pools or {"app": "cache = { }"}
        origins = {name: origin(id=name) for name in pools}
        text = CONF.format(port=free_port(), listener=listener, pools=" ".join(
            f'{name} = {{ backends = [ "{origins[name].address}" ], health = {{ type = "none" }}, {said} }}'
            for name, said in pools.items()))
        instance = ballast(text, **({"workers": workers} if workers else {}))
        instance.port = int(text.split("127.0.0.1:", 1)[1].split('"', 1)[0])
        instance.origins, instance.origin = origins, origins[next(iter(pools))]
        return instance

    return start


def fresh(seconds=60, *more):
    return [("Cache-Control", f"max-age={seconds}"), *more]


def get(w, path="/a", headers=(), method="GET", **more):
    return http.request(w.port, method, path, headers, **more)


def x(response):
    return response.header("X-Cache")


def stored(w):
    return w.admin("/lb/cache")["objects"]


# ---- what is not in the key ----


def test_a_field_that_the_backend_never_saw_chooses_no_variant(web):
    """`Connection: accept-language` takes the field away on the way: the answer is not one for that language."""
    w = web()
    w.origin.script["/a"] = lambda request, sock: reply(200, f"for {request.header('Accept-Language')}",
                                                        fresh(60, ("Vary", "Accept-Language")))
    assert get(w, headers=[("Accept-Language", "de"), ("Connection", "accept-language")]).text == "for None"
    victim = get(w, headers=[("Accept-Language", "de")])
    assert victim.text == "for de" and x(victim) == "MISS"
    assert get(w).text == "for None"


def test_routes_that_ask_otherwise_share_nothing(web):
    """The same pool and address, but the backend is told something else."""
    w = web(''', pool = "app", routes = (
        { path = "/", headers = ( ( "X-Beta", "1" ) ), pool = "app", request_headers = { set = ( ( "X-Edition", "beta" ) ) } },
        { path = "/", cookies = ( ( "edition", "old" ) ), pool = "app", request_headers = { set = ( ( "X-Edition", "old" ) ) } } )''')
    w.origin.script["/a"] = lambda request, sock: reply(200, f"edition {request.header('X-Edition')}", fresh())
    for _ in range(2):
        assert get(w, headers=[("X-Beta", "1")]).text == "edition beta"
        assert get(w).text == "edition None"
        assert get(w, headers=[("Cookie", "edition=old")]).text == "edition old"
    assert w.origin.count == 3
    assert w.admin("/lb/cache?url=http://test.local/a", "DELETE")["purged"] == 3


def test_what_says_who_the_client_is_counts_as_authorization(web):
    """auth.request tells the backend who asks: such an answer is for that client, unless it says otherwise."""
    w = web(''', pool = "app", auth = { request = { pool = "judge", path = "/ask", headers = [ "X-User" ] } }''',
            app="cache = { }", judge="keepalive = 0")
    w.origins["judge"].script["/ask"] = lambda request, sock: reply(
        200, b"", [("X-User", request.header("Cookie", "nobody").partition("=")[2])])
    w.origin.script["/a"] = lambda request, sock: reply(200, f"page of {request.header('X-User')}", fresh())
    w.origin.script["/v"] = lambda request, sock: reply(200, f"page of {request.header('X-User')}",
                                                        fresh(60, ("Vary", "X-User"), ("Cache-Control", "public")))
    w.origin.script["/p"] = reply(200, b"for all", fresh(60, ("Cache-Control", "public")))
    for user in ("ann", "bob"):
        for path in ("/a", "/v"):
            assert get(w, path, [("Cookie", f"u={user}")]).text == f"page of {user}", path
    assert x(get(w, "/p", [("Cookie", "u=ann")])) == "MISS" and x(get(w, "/p", [("Cookie", "u=bob")])) == "HIT"


def test_a_question_mark_is_a_part_of_the_address(web):
    w = web()
    w.origin.script["/a"] = lambda request, sock: reply(200, request.target, fresh())
    for target in ("/a", "/a?", "/a??", "/a?x", "/a?x=", "/a/", "//a", "/%61", "/A", "/a;x"):
        w.origin.script[target.split("?")[0]] = w.origin.script["/a"]
        assert get(w, target).text == target
    for target in ("/a", "/a?", "/a?x", "/%61", "//a"):
        assert get(w, target).text == target and x(get(w, target)) == "HIT"


def test_methods_under_a_cover(web):
    """A backend may take a GET for what X-HTTP-Method-Override says: neither kept nor looked for."""
    w = web()
    w.origin.script["/a"] = lambda request, sock: reply(
        200, b"" if request.header("X-HTTP-Method-Override") == "HEAD" else b"whole", fresh())
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        get(w, headers=[(name, "HEAD")])
    assert get(w).text == "whole"
    assert x(get(w, headers=[("X-HTTP-Method-Override", "HEAD")])) == "BYPASS"
    assert x(get(w)) == "HIT"


def test_the_host_that_a_trusted_proxy_names(web):
    w = web(', pool = "app", trusted = [ "127.0.0.1" ]')
    w.origin.script["/a"] = lambda request, sock: reply(200, request.header("X-Forwarded-Host"), fresh())
    for host in ("a.example", "b.example"):
        assert get(w, headers=[("X-Forwarded-Host", host)]).text == host
    assert get(w).text == "test.local"
    assert x(get(w, headers=[("X-Forwarded-Host", "b.example")])) == "HIT"


def test_http2_host_and_authority(web):
    w = web()
    w.origin.script["/a"] = lambda request, sock: reply(200, request.header("Host"), fresh())
    with H2Client(w.port) as c:
        s = c.request(path="/a", authority="a.example", headers=[("host", "b.example")])
        assert s.reset is not None or s.status == 400 or s.data == b"a.example"
    assert get(w, host="a.example").text == "a.example"
    assert get(w, host="b.example").text == "b.example"


def test_long_values_do_not_push_others_out_of_the_key(web):
    w = web(', pool = "app", limits = { header_size = "64k" }')
    names = ",".join(["x-long"] * 40) + ",x-who"
    w.origin.script["/a"] = lambda request, sock: reply(200, request.header("X-Who"), fresh(60, ("Vary", names)))
    for _ in range(2):
        for who in ("a" * 3000, "b" * 3000):
            assert get(w, headers=[("X-Long", "l" * 1600), ("X-Who", who)]).text == who


def test_encoded_answers_are_for_those_who_asked_alike(web):
    """A backend that encodes and forgets to say Vary: Accept-Encoding."""
    w = web()

    def answer(request, sock):
        if "gzip" in request.header("Accept-Encoding", ""):
            return reply(200, b"\x1f\x8b packed", fresh(60, ("Content-Encoding", "gzip")))
        return reply(200, b"plain", fresh())

    w.origin.script["/a"] = answer
    assert get(w, headers=[("Accept-Encoding", "gzip")]).body == b"\x1f\x8b packed"
    assert get(w).body == b"plain"


# ---- what backends say ----


@pytest.mark.parametrize("control", ['ext="a, no-store, max-age=60', 'max-age=60, private="x', "max-age=60\t,\tNo-Store",
                                     'max-age=60, no-cache="set-cookie, x', "max-age=1x0", "max-age=-1", "max-age", "max-age=60, max-age=0",
                                     "s-maxage=0, max-age=60", 'max-age=60, foo="\\", private, no-store'])
def test_what_cannot_be_understood_is_not_kept(web, control):
    w = web()
    w.origin.script["/a"] = reply(200, b"hello", [("Cache-Control", control)])
    assert [x(get(w)) for _ in range(2)] == ["MISS", "MISS"]


@pytest.mark.parametrize("fields,expected", [
    ([("Age", "60"), ("Age", "0")], "MISS"),
    ([("Age", "0, 60")], "HIT"),
    ([("Age", "99999999999999999999999")], "MISS"),
    ([("Age", "-1")], "HIT"),
    ([("Date", formatdate(4000000000, usegmt=True))], "HIT"),
    ([("Expires", "0")], "HIT"),
    ([("Warning", "110 - stale")], "HIT"),
], ids=str)
def test_ages(web, fields, expected):
    w = web()
    w.origin.script["/a"] = reply(200, b"hello", fresh(60, *fields))
    get(w)
    assert x(get(w)) == expected


def confirmed(w, *fields, first=()):
    """An answer that is stale at once, and what confirms it."""
    seen = []

    def answer(request, sock):
        seen.append(request)
        if request.header("If-None-Match"):
            return reply(304, headers=fields)
        return reply(200, b"old", [("Cache-Control", "max-age=0"), ("ETag", '"v1"'), *first])

    w.origin.script["/a"] = answer
    get(w)
    return seen


def test_a_confirmation_of_another_is_none(web):
    """RFC 9111 4.3.4: its strong validator is not that of what is kept."""
    w = web()
    seen = confirmed(w, *fresh(), ("ETag", '"v2"'))
    get(w)
    again = get(w)
    assert x(again) != "HIT" and again.header("ETag") != '"v2"'
    assert len(seen) == 3 and seen[2].header("If-None-Match") is None


def test_a_confirmation_that_forbids_to_keep_it(web):
    w = web()
    confirmed(w, ("Cache-Control", "no-store"), ("ETag", '"v1"'))
    assert get(w).body == b"old" and stored(w) == 0


def test_a_confirmation_without_a_date(web):
    """It was made now, whatever the kept one's date."""
    w = web()
    confirmed(w, *fresh(), first=[("Date", formatdate(1000000000, usegmt=True))])
    assert x(get(w)) == "REVALIDATED"
    assert x(get(w)) == "HIT"


def test_a_confirmation_that_was_long_on_its_way(web):
    w = web()
    confirmed(w, *fresh(), ("Age", "60"))
    assert [x(get(w)) for _ in range(2)] == ["REVALIDATED"] * 2


def test_a_confirmation_that_makes_the_head_too_large(web):
    w = web()
    first, second = [(f"X-A{i}", "a" * 1000) for i in range(50)], [(f"X-B{i}", "b" * 1000) for i in range(50)]
    confirmed(w, *fresh(), *second, first=first)
    for _ in range(3):
        r = get(w)
        assert r.status == 200 and r.body == b"old" and r.header("X-A49")


# ---- requests that change something ----


def test_a_change_through_another_pool_is_a_change(web):
    """Reads and writes may have pools, and routes, of their own."""
    w = web(''', pool = "app", routes = ( { path = "/", methods = [ "POST", "PUT" ], pool = "writer" },
                                          { path = "/", methods = [ "DELETE" ], pool = "app", cache = "off" } )''',
            app="cache = { }", writer="keepalive = 4")
    w.origin.script["/a"] = reply(200, b"hello", fresh())
    for method in ("POST", "PUT", "DELETE"):
        get(w)
        assert x(get(w)) == "HIT"
        assert get(w, method=method).status == 200
        assert x(get(w)) == "MISS", method


def test_what_the_client_asks_for_anew_is_fetched_anew(web):
    w = web()
    w.origin.script["/a"] = reply(200, b"hello", fresh())
    get(w)
    before = w.origin.count
    assert x(get(w, headers=[("Cache-Control", "max-age=0")])) != "HIT"
    assert w.origin.count == before + 1


def test_many_who_ask_anew_are_not_served_one_after_the_other(web):
    """One fetch that began meanwhile is as new as they wanted it."""
    w = web(workers=2)
    w.origin.script["/a"] = reply(200, b"hello", fresh())
    get(w)
    w.origin.hold()
    threads = [threading.Thread(target=get, args=(w, "/a", [("Cache-Control", "no-cache")])) for _ in range(8)]
    for t in threads:
        t.start()
    wait_until(lambda: w.admin("/lb/cache?limit=0")["collapsed"] == 7)
    w.origin.release()
    for t in threads:
        t.join(30)
    assert w.origin.count == 2


# ---- slow ones ----


def test_a_reader_who_stops_does_not_keep_others_from_it(web):
    """Who fetches and does not read holds the others up for `wait` once; then another's fetch is kept."""
    w = web(workers=1, app='cache = { wait = "200ms" }')
    body = os.urandom(6 << 20)
    w.origin.script["/a"] = reply(200, body, fresh())
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", w.port))
        slow.sendall(http.build_request("GET", "/a"))
        wait_until(lambda: w.origin.count == 1)
        assert get(w, deadline=30).body == body
        assert x(get(w, deadline=30)) == "HIT"
        assert w.origin.count == 2


def test_one_answer_to_the_question_what_happened(web):
    w = web()
    w.origin.script["/a"] = reply(200, b"hello", fresh(60, ("X-Cache", "HIT from behind")))
    assert get(w).all("X-Cache") == ["MISS"] and get(w).all("X-Cache") == ["HIT"]


# ---- workers that die ----


def peers_of(pid, port):
    """Ports of the other side of a process's TCP connections that have this port at one end, ours or theirs."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:[").rstrip("]"))
        except OSError:
            continue
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f][1:]
    ends = [[int(end.split(":")[1], 16) for end in (row[1], row[2])] for row in rows if row[9] in inodes and row[3] == "01"]
    return {there for here, there in ends if port in (here, there)}


def test_only_those_at_the_dead_worker_lose_something(web):
    """The one who fetches is killed while others, in all workers, wait for it; then the configuration is read again."""
    w = web(workers=4)
    w.origin.script["/a"] = reply(200, b"x" * 100000, fresh())
    w.origin.hold()
    clients = [http.Client(w.port, timeout=30) for _ in range(24)]
    for c in clients:
        c.send(http.build_request("GET", "/a"))
    wait_until(lambda: w.origin.waiting == 1 and w.admin("/lb/cache?limit=0")["collapsed"] == 23)
    fetching = [pid for pid in w.worker_pids.values() if peers_of(pid, w.origin.port)]
    assert len(fetching) == 1
    os.kill(fetching[0], signal.SIGSTOP)
    lost = peers_of(fetching[0], w.port)
    os.kill(fetching[0], signal.SIGKILL)
    wait_until(lambda: w.origin.waiting == 2)  # the next one fetches
    w.reload()
    w.origin.release()
    for c in clients:
        if c.sock.getsockname()[1] not in lost:
            assert c.read().body == b"x" * 100000
            assert x(c.get("/a")) == "HIT"
        c.close()
    assert w.origin.count == 2 and len(lost) < 24
