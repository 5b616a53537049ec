"""The response cache with real clients: what is kept, for whom, for how long, and what takes it away."""

import gzip
import os
import signal
import socket
import threading
from email.utils import formatdate

import pytest

from lib import http, tls
from lib.ballast import run
from lib.h2client import Client as H2Client
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """
cache = {{ size = "{size}"{store} }}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}, cache = {cache}{pool} }} }}
"""


@pytest.fixture
def web(ballast, origin):
    """web(cache): an instance that keeps responses; .port, .origin, .text."""

    def start(cache="{ }", size="8m", store="", listener="", pool="", backend=None, **options):
        port, o = free_port(), origin()
        text = CONF.format(port=port, backend=backend or o.address, cache=cache, size=size, store=store, listener=listener,
                           pool=pool)
        instance = ballast(text, **options)
        instance.port, instance.origin, instance.text = port, o, text
        return instance

    return start


def says(o, path, status=200, body=b"hello", headers=(), reason="OK"):
    """The origin answers this at the path."""
    o.script[path] = reply(status, body, headers, reason)


def fresh(seconds=60, *more):
    return [("Cache-Control", f"max-age={seconds}"), *more]


def get(w, path="/", headers=(), method="GET"):
    return http.request(w.port, method, path, headers)


def x(response):
    return response.header("X-Cache")


def stored(w):
    """Responses in the cache."""
    return w.admin("/lb/cache")["objects"]


def test_a_second_request_is_answered_without_the_backend(web):
    w = web()
    says(w.origin, "/a", headers=fresh(60, ("ETag", '"1"'), ("X-Own", "yes"), ("Connection", "X-Hop"), ("X-Hop", "1")))
    first, second = get(w, "/a"), get(w, "/a")
    assert (x(first), x(second)) == ("MISS", "HIT")
    assert w.origin.count == 1
    assert second.status == 200 and second.body == b"hello" and second.header("X-Own") == "yes"
    assert second.header("Content-Length") == "5" and second.header("Age") in ("0", "1", "2")
    assert second.header("X-Hop") is None and second.header("Date")
    assert get(w, "/a?x=1").header("X-Cache") == "MISS"

    def counts():  # a request is counted behind its last byte
        said = w.admin("/lb/cache")
        return said["hits"], said["misses"], said["objects"], said["stored"]

    wait_until(lambda: sum(counts()) >= 7, what="all of it in the books")
    assert counts() == (1, 2, 2, 2)
    assert {e["url"] for e in w.admin("/lb/cache")["entries"]} == {"http://test.local/a", "http://test.local/a?x=1"}


def test_all_workers_share_it(web):
    w = web(workers=4)
    says(w.origin, "/a", headers=fresh())
    get(w, "/a")
    assert [x(get(w, "/a")) for _ in range(40)] == ["HIT"] * 40
    assert w.origin.count == 1


@pytest.mark.parametrize("body", [b"", b"x", b"y" * 4096, b"z" * 70000, os.urandom(900000)], ids=len)
@pytest.mark.parametrize("how", ["length", "chunked", "until-close"])
def test_bodies_of_all_sizes(web, body, how):
    w = web()
    fields = fresh()
    if how == "chunked":
        data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i:i + 5000] for i in range(0, len(body), 5000)))
        w.origin.script["/a"] = reply(200, data + b"0\r\n\r\n", fields + [("Transfer-Encoding", "chunked")], length=False)
    elif how == "length":
        says(w.origin, "/a", body=body, headers=fields)
    else:
        def close(request, sock):
            sock.sendall(reply(200, body, fields + [("Connection", "close")], length=False))
        w.origin.script["/a"] = close
    assert get(w, "/a").body == body
    again = get(w, "/a")
    assert x(again) == "HIT" and again.body == body and again.header("Content-Length") == str(len(body))
    head = get(w, "/a", method="HEAD")
    assert x(head) == "HIT" and head.body == b"" and head.header("Content-Length") == str(len(body))
    assert w.origin.count == 1


@pytest.mark.parametrize("status,headers,request_headers", [
    (200, [], []),
    (200, [("Cache-Control", "no-store, max-age=60")], []),
    (200, [("Cache-Control", "private, max-age=60")], []),
    (200, fresh(60, ("Set-Cookie", "a=b")), []),
    (200, fresh(60, ("Vary", "*")), []),
    (200, fresh(60, ("Vary", "X-Real-IP")), []),
    (200, [("Cache-Control", "max-age=0")], []),
    (200, [("Expires", "0")], []),
    (200, fresh(), [("Authorization", "Basic eDp5")]),
    (200, fresh(), [("Cache-Control", "no-store")]),
    (206, fresh(60, ("Content-Range", "bytes 0-4/9")), [("Range", "bytes=0-4")]),
    (500, fresh(), []),
    (200, fresh(60, ("Age", "60")), []),
    (200, fresh(60, ("Date", formatdate(1000000000, usegmt=True))), []),
], ids=str)
def test_what_is_not_kept(web, status, headers, request_headers):
    w = web()
    says(w.origin, "/a", status=status, headers=headers)
    for _ in range(3):
        assert get(w, "/a", request_headers).status == status
    assert w.origin.count == 3 and stored(w) == 0


@pytest.mark.parametrize("headers,request_headers", [
    ([("Expires", formatdate(4000000000, usegmt=True))], []),
    ([("Cache-Control", "max-age=0, s-maxage=60")], []),
    (fresh(60, ("Cache-Control", "public")), [("Authorization", "Basic eDp5")]),
    (fresh(), [("Cookie", "a=b")]),
    ([("Cache-Control", 'max-age="60"')], []),
], ids=str)
def test_what_is_kept(web, headers, request_headers):
    w = web()
    says(w.origin, "/a", headers=headers)
    for _ in range(3):
        assert get(w, "/a", request_headers).status == 200
    assert w.origin.count == 1


def test_configured_validity(web):
    w = web('{ valid = [ "200 1d", "404 1m", "500-599 2m" ] }')
    says(w.origin, "/own", headers=[("Cache-Control", "max-age=0")])
    for path, kept in (("/x", True), ("/status/404", True), ("/status/503", True), ("/status/302", False), ("/own", False)):
        before = w.origin.count
        get(w, path), get(w, path)
        assert (w.origin.count - before == 1) == kept, path
    ages = {e["status"]: round(e["fresh_seconds"]) for e in w.admin("/lb/cache")["entries"]}
    assert 86390 < ages[200] <= 86400 and 50 < ages[404] <= 60


def test_one_fetch_for_many(web):
    w = web(workers=4)
    says(w.origin, "/a", body=b"x" * 200000, headers=fresh())
    w.origin.hold()
    got = []

    def one():
        got.append(get(w, "/a"))

    threads = [threading.Thread(target=one) for _ in range(50)]
    for t in threads:
        t.start()
    wait_until(lambda: w.admin("/lb/cache?limit=0")["collapsed"] == 49)
    w.origin.release()
    for t in threads:
        t.join(30)
    assert len(got) == 50 and all(r.body == b"x" * 200000 for r in got)
    assert w.origin.count == 1
    assert sorted(x(r) for r in got) == ["HIT"] * 49 + ["MISS"]


def test_what_is_not_kept_holds_nobody_up(web):
    w = web(workers=2)
    w.origin.hold()
    threads = [threading.Thread(target=get, args=(w, "/a")) for _ in range(10)]
    for t in threads:
        t.start()
    wait_until(lambda: w.admin("/lb/cache?limit=0")["collapsed"] == 9)
    w.origin.release()
    for t in threads:
        t.join(30)
    assert w.origin.count == 10
    w.origin.hold()  # now it is known: nobody waits
    threads = [threading.Thread(target=get, args=(w, "/a")) for _ in range(10)]
    for t in threads:
        t.start()
    wait_until(lambda: w.origin.waiting == 10)
    w.origin.release()
    for t in threads:
        t.join(30)


def test_waiting_ends(web):
    w = web('{ wait = "100ms" }')
    says(w.origin, "/a", headers=fresh())
    w.origin.hold()
    threads = [threading.Thread(target=get, args=(w, "/a")) for _ in range(3)]
    for t in threads:
        t.start()
    wait_until(lambda: w.origin.waiting == 3)
    w.origin.release()
    for t in threads:
        t.join(30)
    assert x(get(w, "/a")) == "HIT"


def test_the_next_in_line_fetches_when_the_first_gives_up(web):
    w = web()
    says(w.origin, "/a", headers=fresh())
    w.origin.hold()
    first = http.Client(w.port)
    first.send(http.build_request("GET", "/a"))
    wait_until(lambda: w.origin.waiting == 1)
    got = []
    second = threading.Thread(target=lambda: got.append(get(w, "/a")))
    second.start()
    wait_until(lambda: w.admin("/lb/cache?limit=0")["collapsed"] == 1)
    first.close()
    wait_until(lambda: w.origin.waiting == 2)
    w.origin.release()
    second.join(30)
    assert got[0].body == b"hello"


def test_keys_cannot_be_forged(web):
    w = web('{ valid = "any 1h" }')
    assert get(w, "/b/c", [("Host", "a")]).status == 200
    for path, host in (("/c", "a/b"), ("/c", "a%2fb"), ("/", "a/b/c"), ("/b/c", "a:81"), ("/b/c?", "A.")):
        r = get(w, path, [("Host", host)])
        assert r.status == 400 or x(r) == "MISS", (path, host)
    assert x(get(w, "/b/c", [("Host", "A:80")])) == "HIT"
    assert x(get(w, "http://A/b/c")) == "HIT"  # as an absolute address


def test_vary(web):
    w = web()
    w.origin.script["/a"] = lambda request, sock: reply(200, f"for {request.header('Accept-Language')}",
                                                        fresh(60, ("Vary", "Accept-Language, Accept")))
    for language in ("de", "en", None):
        headers = [("Accept-Language", language)] if language else []
        assert get(w, "/a", headers).text == f"for {language}"
    assert w.origin.count == 3
    for language in ("de", "en", None):
        again = get(w, "/a", [("accept-language", language)] if language else [])
        assert x(again) == "HIT" and again.text == f"for {language}"
    assert w.origin.count == 3
    assert x(get(w, "/a", [("Accept-Language", "de"), ("Accept", "text/html")])) == "MISS"
    assert get(w, "/a", method="POST").status == 200  # all variants go
    assert x(get(w, "/a", [("Accept-Language", "de")])) == "MISS"


def test_conditional_requests_are_answered_here(web):
    w = web()
    modified = formatdate(1700000000, usegmt=True)
    says(w.origin, "/a", headers=fresh(60, ("ETag", 'W/"v1"'), ("Last-Modified", modified), ("Content-Type", "text/css")))
    get(w, "/a")
    for field in [("If-None-Match", '"v1"'), ("If-None-Match", '"x", W/"v1"'), ("If-None-Match", "*"),
                  ("If-Modified-Since", modified), ("If-Modified-Since", formatdate(1800000000, usegmt=True))]:
        same = get(w, "/a", [field])
        assert same.status == 304 and same.body == b"" and same.header("ETag") == 'W/"v1"', field
        assert same.header("Content-Type") is None and same.header("Content-Length") is None and x(same) == "HIT"
    for field in [("If-None-Match", '"v2"'), ("If-Modified-Since", formatdate(1600000000, usegmt=True)),
                  ("If-Modified-Since", "yesterday")]:
        assert get(w, "/a", [field]).status == 200, field
    both = get(w, "/a", [("If-None-Match", '"v2"'), ("If-Modified-Since", modified)])
    assert both.status == 200
    assert w.origin.count == 1
    assert x(get(w, "/a", [("If-Match", '"v1"')])) == "BYPASS"


def test_ranges_of_what_is_kept(web):
    w = web()
    body = bytes(range(256)) * 40
    says(w.origin, "/a", body=body, headers=fresh(60, ("ETag", '"v1"')))
    missed = get(w, "/a", [("Range", "bytes=0-9")])
    assert x(missed) == "BYPASS"
    get(w, "/a")
    for text, first, last in (("0-0", 0, 0), ("4000-4200", 4000, 4200), ("10000-", 10000, 10239), ("-7", 10233, 10239),
                              ("10230-99999", 10230, 10239)):
        part = get(w, "/a", [("Range", f"bytes={text}")])
        assert part.status == 206 and part.body == body[first:last + 1], text
        assert part.header("Content-Range") == f"bytes {first}-{last}/{len(body)}"
    outside = get(w, "/a", [("Range", "bytes=10240-")])
    assert outside.status == 416 and outside.header("Content-Range") == f"bytes */{len(body)}"
    for text in ("bytes=5-2", "lines=1-2", "bytes=0-1,4-5", "bytes=", "bytes=-", "bytes=99999999999999999999-"):
        assert get(w, "/a", [("Range", text)]).status == 200, text
    assert get(w, "/a", [("Range", "bytes=0-1"), ("If-Range", '"v1"')]).status == 206
    assert get(w, "/a", [("Range", "bytes=0-1"), ("If-Range", '"v2"')]).status == 200


def test_stale_ones_are_asked_about(web):
    w = web()
    seen = []

    def answer(request, sock):
        seen.append((request.header("If-None-Match"), request.header("If-Modified-Since")))
        if request.header("If-None-Match") == '"v1"':
            return reply(304, headers=[("Cache-Control", "max-age=60"), ("ETag", '"v1"'), ("X-New", "1")])
        return reply(200, b"first" * 3000, [("Cache-Control", "max-age=0"), ("ETag", '"v1"'), ("X-Old", "1")])

    w.origin.script["/a"] = answer
    assert x(get(w, "/a")) == "MISS"
    second = get(w, "/a", [("If-None-Match", '"other"')])
    assert x(second) == "REVALIDATED" and second.status == 200 and second.body == b"first" * 3000
    assert second.header("X-New") == "1" and second.header("X-Old") == "1" and len(second.all("Cache-Control")) == 1
    assert x(get(w, "/a")) == "HIT"
    assert seen == [(None, None), ('"v1"', None)]
    assert get(w, "/a", [("If-None-Match", '"v1"')]).status == 304
    assert stored(w) == 1


def test_a_changed_one_replaces_the_stale(web):
    w = web()
    bodies = iter([b"one", b"two"])
    w.origin.script["/a"] = lambda request, sock: reply(200, next(bodies), [("Cache-Control", "max-age=0"), ("ETag", '"x"')])
    assert get(w, "/a").body == b"one"
    second = get(w, "/a")
    assert second.body == b"two" and x(second) == "EXPIRED"
    assert stored(w) == 1


def test_one_that_is_not_to_be_kept_any_more_is_forgotten(web):
    w = web('{ stale_if_error = "1h" }')
    answers = iter([(200, "max-age=0", b"old"), (200, "no-store", b"new"), (503, "max-age=0", b"sorry")])

    def answer(request, sock):
        status, control, body = next(answers)
        return reply(status, body, [("Cache-Control", control), ("ETag", '"1"')])

    w.origin.script["/a"] = answer
    assert [get(w, "/a").body for _ in range(3)] == [b"old", b"new", b"sorry"]
    assert stored(w) == 0


def test_stale_if_error(web):
    w = web('{ stale_if_error = "1h" }')
    says(w.origin, "/a", headers=[("Cache-Control", "max-age=0")])
    says(w.origin, "/own", headers=[("Cache-Control", "max-age=0, must-revalidate")])
    get(w, "/a"), get(w, "/own")
    says(w.origin, "/a", status=503, body=b"sorry")
    bad = get(w, "/a")
    assert x(bad) == "STALE" and bad.status == 200 and bad.body == b"hello"
    w.origin.stop()
    dead = get(w, "/a")
    assert x(dead) == "STALE" and dead.status == 200 and dead.body == b"hello"
    assert get(w, "/own").status in (502, 503)
    assert get(w, "/b").status in (502, 503)


def test_stale_while_revalidate(web):
    w = web()
    says(w.origin, "/a", headers=[("Cache-Control", "max-age=0, stale-while-revalidate=60")])
    get(w, "/a")
    w.origin.hold()
    fetching = threading.Thread(target=get, args=(w, "/a"))
    fetching.start()
    wait_until(lambda: w.origin.waiting == 1)
    assert [x(get(w, "/a")) for _ in range(5)] == ["STALE"] * 5
    w.origin.release()
    fetching.join(30)
    assert w.origin.count == 2


def test_what_clients_ask_for(web):
    w = web()
    says(w.origin, "/a", headers=fresh())
    get(w, "/a")
    assert get(w, "/b", [("Cache-Control", "only-if-cached")]).status == 504
    assert x(get(w, "/a", [("Cache-Control", "only-if-cached")])) == "HIT"
    for field in [("Cache-Control", "no-cache"), ("Cache-Control", "max-age=0"), ("Pragma", "no-cache"),
                  ("Cache-Control", "min-fresh=3600")]:
        before = w.origin.count
        get(w, "/a", [field])
        assert w.origin.count == before + 1, field
    says(w.origin, "/old", headers=[("Cache-Control", "max-age=0, stale-if-error=60")])
    get(w, "/old")
    assert x(get(w, "/old", [("Cache-Control", "max-stale")])) == "STALE"
    w.reload(w.text.replace("cache = { }", "cache = { client_control = false }"))
    before = w.origin.count
    assert x(get(w, "/a", [("Cache-Control", "no-cache")])) == "HIT"
    assert w.origin.count == before


def test_unsafe_methods_invalidate(web):
    w = web()
    says(w.origin, "/a", headers=fresh())
    get(w, "/a")
    says(w.origin, "/a", status=500)
    assert x(get(w, "/a", method="DELETE")) is None
    assert x(get(w, "/a")) == "HIT"  # it failed
    says(w.origin, "/a", headers=fresh())
    for method in ("POST", "PUT", "PATCH"):
        get(w, "/a", method=method)
        assert x(get(w, "/a")) == "MISS", method
        assert x(get(w, "/a")) == "HIT"
    get(w, "/a", method="OPTIONS")
    assert x(get(w, "/a")) == "HIT"


def test_a_response_that_was_invalidated_on_its_way_is_not_kept(web):
    w = web()
    says(w.origin, "/a", headers=fresh())
    w.origin.hold()
    fetching = threading.Thread(target=get, args=(w, "/a"))
    fetching.start()
    wait_until(lambda: w.origin.waiting == 1)
    assert w.admin("/lb/cache?all=1", "DELETE")["purged"] == 0
    w.origin.release()
    fetching.join(30)
    assert stored(w) == 0


def test_purge(web):
    w = web()
    for path in ("/a/1", "/a/2", "/b"):
        says(w.origin, path, headers=fresh())
        get(w, path)
    host = f"http://test.local"
    assert w.admin(f"/lb/cache?url={host}/a", "DELETE")["purged"] == 0
    assert w.admin(f"/lb/cache?url={host}/a/1", "DELETE")["purged"] == 1
    assert x(get(w, "/a/1")) == "MISS"
    assert w.admin("/lb/cache/purge", "POST", {"prefix": "/a/", "pool": "none"})["purged"] == 0
    assert w.admin("/lb/cache/purge", "POST", {"prefix": "/a/", "pool": "app"})["purged"] == 2
    assert [x(get(w, p)) for p in ("/a/1", "/a/2", "/b")] == ["MISS", "MISS", "HIT"]
    assert w.admin("/lb/cache/purge", "POST", {"all": True})["purged"] == 3
    assert stored(w) == 0 and w.admin("/lb/cache")["used_bytes"] == 0
    assert [e["object"] for e in w.events() if e["to"] == "purged"][-1] == "cache all"
    for method, path, body in (("DELETE", "/lb/cache", None), ("DELETE", "/lb/cache?all=1&prefix=/", None),
                               ("POST", "/lb/cache/purge", {}), ("POST", "/lb/cache/purge", {"all": "yes"}),
                               ("POST", "/lb/cache/purge", {"uri": "/"})):
        w.admin(path, method, body, status=422)
    w.admin("/lb/cache?all=perhaps", "DELETE", status=400)
    w.admin("/lb/cache?limit=x", status=400)


def test_reload_keeps_what_is_there_and_workers_may_die(web):
    w = web(workers=2)
    says(w.origin, "/a", headers=fresh())
    get(w, "/a")
    w.reload(w.text + "# another\n")
    assert x(get(w, "/a")) == "HIT"
    for pid in w.worker_pids.values():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in w.worker_pids.values() and len(w.worker_pids) == 2)
    wait_until(lambda: w.admin("/lb/health")["workers"] == 2 if "workers" in w.admin("/lb/health") else True)
    assert x(get(w, "/a")) == "HIT"
    w.reload(w.text.replace("cache = { }", 'cache = "off"'))
    assert x(get(w, "/a")) is None


def test_a_worker_that_dies_while_it_fetches_leaves_nothing(web):
    w = web(workers=2)
    says(w.origin, "/ok", headers=fresh())

    def half(request, sock):
        sock.sendall(reply(200, b"x" * 500000, fresh())[:300000])
        w.origin.stopping.wait(20)

    w.origin.script["/a"] = half
    clients = [http.Client(w.port) for _ in range(4)]
    for c in clients:
        c.send(http.build_request("GET", "/a"))
    wait_until(lambda: w.origin.count >= 1)
    for pid in w.worker_pids.values():
        os.kill(pid, signal.SIGKILL)
    for c in clients:
        c.close()
    wait_until(lambda: len(w.worker_pids) == 2)
    w.origin.script["/a"] = reply(200, b"whole", fresh())
    w.origin.cut()
    wait_until(lambda: get(w, "/a").body == b"whole")
    assert x(get(w, "/a")) == "HIT"
    wait_until(lambda: w.admin("/lb/cache")["used_bytes"] <= 8192)


def test_a_body_that_is_too_large_passes(web):
    w = web(store=', object_size = "100k"')
    for path in ("/bytes/200000", "/chunked/200000"):
        data = w.origin.answer
        w.origin.script[path] = None
        w.origin.script.pop(path)
        n = int(path.rsplit("/", 1)[1])

        def big(request, sock, path=path):
            body, _ = w.origin.answer(request)
            return body.replace(b"X-Origin: b1", b"X-Origin: b1\r\nCache-Control: max-age=60", 1)

        w.origin.script[path] = big
        for _ in range(2):
            r = get(w, path)
            assert len(r.body) == n and x(r) == "MISS"
    assert stored(w) == 0
    assert w.admin("/lb/cache")["abandoned"] >= 1


def test_a_cut_response_is_not_kept(web):
    w = web(pool=', retry = { attempts = 1 }')
    w.origin.script["/a"] = lambda request, sock: sock.sendall(reply(200, b"x" * 1000, fresh())[:-10])
    for _ in range(2):
        with pytest.raises(http.HttpError):
            get(w, "/a")
    assert w.origin.count == 2 and stored(w) == 0


def test_a_flood_of_addresses_stays_within_its_room(web):
    w = web('{ valid = "any 1h" }', size="1m", store=', object_size = "64k"')
    says(w.origin, "/hot", headers=fresh(3600))
    get(w, "/hot")
    with http.Client(w.port) as c:
        for i in range(1500):
            assert c.get(f"/{i}").status == 200
            if i % 20 == 0:
                c.get("/hot")
    counts = w.admin("/lb/cache")
    assert counts["used_bytes"] <= counts["size_bytes"] == 1 << 20
    assert counts["evicted"] > 1000 and counts["objects"] > 100
    assert x(get(w, "/hot")) == "HIT"


def test_a_slow_reader_gets_it_whole_although_it_is_purged(web):
    w = web(size="64m", store=', object_size = "8m"')
    body = os.urandom(1 << 20) * 8
    says(w.origin, "/a", body=body, headers=fresh())
    get(w, "/a")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", w.port))
        raw.sendall(http.build_request("GET", "/a"))
        wait_until(lambda: w.admin("/lb/cache?limit=0")["served_bytes"] > 0)
        assert w.admin("/lb/cache?all=1", "DELETE")["purged"] == 1
        assert w.admin("/lb/cache?limit=0")["served_bytes"] < len(body)
        for i in range(100):  # nothing of it is overwritten
            says(w.origin, f"/{i}", body=b"n" * 800000, headers=fresh())
            get(w, f"/{i}")
        got = http.read_response(raw)
    assert got.body == body


def test_http2_clients(web):
    w = web()
    body = os.urandom(300000)
    says(w.origin, "/a", body=body, headers=fresh(60, ("ETag", '"1"')))
    with H2Client(w.port) as c:
        for expected in ("MISS", "HIT", "HIT"):
            s = c.request(path="/a", authority="site.test")
            assert s.status == 200 and s.data == body and s.header("x-cache") == expected
        s = c.request(path="/a", authority="site.test", headers=[("if-none-match", '"1"')])
        assert s.status == 304 and s.data == b""
        numbers = [c.start(path="/a", authority="site.test") for _ in range(20)]
        c.finish(*numbers)
        assert all(c.streams[n].data == body for n in numbers)
    assert x(get(w, "/a", [("Host", "SITE.test:80")])) == "HIT"
    assert w.origin.count == 1


def test_http2_backends(web, ballast, origin):
    port, o, body = free_port(), origin(), os.urandom(200000)
    ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}\n'
            f'pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}\n')
    w = web(backend=f"127.0.0.1:{port}", pool=', protocol = "h2c"')
    says(o, "/a", body=body, headers=fresh(60, ("ETag", '"1"')))
    says(o, "/b", headers=[("Cache-Control", "max-age=0"), ("ETag", '"1"')])
    assert [(x(r), r.body == body) for r in (get(w, "/a"), get(w, "/a"))] == [("MISS", True), ("HIT", True)]
    get(w, "/b")
    o.script["/b"] = lambda request, sock: reply(304 if request.header("If-None-Match") == '"1"' else 200, headers=fresh())
    assert x(get(w, "/b")) == "REVALIDATED" and get(w, "/b").body == b"hello"
    assert o.count == 3


def test_tls_clients(ballast, origin, tmp_path):
    port, ca, o, body = free_port(), tls.Authority(tmp_path / "ca"), origin(), os.urandom(700000)
    cert, key = ca.issue("a", ["a.test"])
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }} }}
pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}, cache = {{ }} }} }}
""")
    o.script["/a"] = reply(200, body, fresh())
    with tls.connect(port, ca.context(alpn=["http/1.1"])) as sock:
        for expected in ("MISS", "HIT", "HIT"):
            sock.sendall(http.build_request("GET", "/a", host="a.test"))
            r = http.read_response(sock)
            assert x(r) == expected and r.body == body
    with H2Client(tls.connect(port, ca.context(alpn=["h2"]))) as c:
        numbers = [c.start(path="/a", authority="a.test", pseudo=[(":method", "GET"), (":scheme", "https"), (":path", "/a"),
                                                                  (":authority", "a.test")]) for _ in range(5)]
        c.finish(*numbers)
        assert all(c.streams[n].data == body for n in numbers)
    assert o.count == 1


def test_old_clients_and_pipelines(web):
    w = web()
    says(w.origin, "/a", body=b"x" * 50000, headers=fresh())
    get(w, "/a")
    old = http.exchange(w.port, b"GET /a HTTP/1.0\r\nHost: test.local\r\n\r\n")
    assert old.endswith(b"\r\n\r\n" + b"x" * 50000) and b"Content-Length: 50000\r\n" in old
    with http.Client(w.port) as c:
        c.send(http.build_request("GET", "/a") * 20 + http.build_request("HEAD", "/a"))
        assert all(c.read().body == b"x" * 50000 for _ in range(20))
        assert c.read("HEAD").status == 200
    assert w.origin.count == 1


def test_kept_as_it_came_and_compressed_on_its_way(web):
    w = web(listener=", compression = { }")
    body = b"a text that repeats itself; " * 3000
    says(w.origin, "/a", body=body, headers=fresh(60, ("Content-Type", "text/plain"), ("ETag", '"1"')))
    for result in ("MISS", "HIT", "HIT"):
        r = get(w, "/a", [("Accept-Encoding", "gzip")])
        assert x(r) == result and r.header("Content-Encoding") == "gzip" and gzip.decompress(r.body) == body
        assert r.header("Vary") == "Accept-Encoding" and r.header("ETag") == 'W/"1"'
    plain = get(w, "/a")
    assert x(plain) == "HIT" and plain.header("Content-Encoding") is None and plain.body == body
    assert get(w, "/a", [("Accept-Encoding", "gzip"), ("If-None-Match", 'W/"1"')]).status == 304
    part = get(w, "/a", [("Accept-Encoding", "gzip"), ("Range", "bytes=2-5")])
    assert part.status == 206 and part.body == body[2:6]
    assert w.origin.count == 1


def test_routes_choose(web):
    w = web('{ valid = "any 1h" }', listener=""", routes = (
      { path = "/never/", pool = "app", cache = "off" },
      { path = "/short/", pool = "app", cache = { valid = "200 1m", header = "cache-status" } },
      { path = "/strip/", pool = "app", strip_prefix = true, cache = { valid = "200 1m", header = "off" } } )""")
    for path in ("/never/x", "/short/x", "/strip/x", "/x"):
        get(w, path)
    assert x(get(w, "/never/x")) is None
    short = get(w, "/short/x")
    assert short.header("Cache-Status", "").startswith("ballast; hit; ttl=") and x(short) is None
    strip = get(w, "/strip/x")
    assert strip.header("Age") and strip.header("Cache-Status") is None and x(strip) is None
    assert x(get(w, "/x")) == "HIT"
    assert w.origin.count == 5


def test_edits_and_metrics(web):
    w = web('{ valid = "any 1h" }', listener=', response_headers = { set = ( ( "X-Frame-Options", "DENY" ) ) }')
    get(w, "/x")
    assert get(w, "/x").all("X-Frame-Options") == ["DENY"]
    wait_until(lambda: w.metrics()['ballast_cache_requests_total{pool="app",result="hit"}'] == 1)  # behind its last byte
    m = w.metrics()
    assert m['ballast_cache_requests_total{pool="app",result="miss"}'] == 1
    assert m["ballast_cache_objects"] == 1 and m["ballast_cache_used_bytes"] == 4096
    assert m["ballast_cache_size_bytes"] == 8 << 20
    assert w.admin("/lb/stats")["cache"]["hits"] == 1


@pytest.mark.parametrize("text,message", [
    ('cache = { valid = "200" }', "statuses and a time"),
    ('cache = { valid = [ "200 1d", "nonsense 1m" ] }', "statuses and a time"),
    ('cache = { valid = "100 1d" }', "statuses and a time"),
    ('cache = { valid = "200 100ms" }', "1s"),
    ('cache = { valid = "200 10" }', "statuses and a time"),
    ('cache = "on"', 'a group { } or "off"'),
    ("cache = { ttl = 5 }", 'did you mean "valid"'),
    ('cache = { header = "yes" }', "x-cache, cache-status, off"),
    ('cache = { wait = 5 }', "unit"),
], ids=str)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "bad.conf"
    path.write_text('listeners = { web = { bind = "127.0.0.1:1", pool = "app" } }\n'
                    f'pools = {{ app = {{ backends = [ "127.0.0.1:9" ], {text} }} }}\n')
    done = run("check", "-c", path)
    assert done.returncode == 1 and message in done.stderr and "bad.conf:2:" in done.stderr, done.stderr


@pytest.mark.parametrize("text,message", [
    ('cache = { size = "10k" }', "out of range"),
    ('cache = { size = "1m", object_size = "1m" }', "eighth"),
    ('cache = { size = 5 }', "unit"),
], ids=str)
def test_mistakes_about_the_room(tmp_path, text, message):
    path = tmp_path / "bad.conf"
    path.write_text(f'{text}\nlisteners = {{ web = {{ bind = "127.0.0.1:1", pool = "app" }} }}\n'
                    'pools = { app = { backends = [ "127.0.0.1:9" ], cache = { } } }\n')
    done = run("check", "-c", path)
    assert done.returncode == 1 and message in done.stderr, done.stderr


def test_it_is_shown_as_it_was_said(tmp_path):
    path = tmp_path / "a.conf"
    path.write_text('cache = { size = "16m", object_size = "100k" }\n'
                    'listeners = { web = { bind = "127.0.0.1:1", pool = "app", routes = ( { path = "/x", pool = "app", cache = "off" } ) } }\n'
                    'pools = { app = { backends = [ "127.0.0.1:9" ], cache = { valid = [ "200 301-302 1d", "any 5s" ], wait = "0s" } } }\n')
    shown = run("show", "-c", path)
    assert shown.returncode == 0, shown.stderr
    for text in ('"200 1d", "301-302 1d", "any 5s"', 'wait = "0s"', 'cache = "off"', 'object_size = "100k"', 'header = "x-cache"'):
        assert text in shown.stdout, text
    again = tmp_path / "b.conf"
    again.write_text(shown.stdout)
    assert run("show", "-c", again).stdout.replace(str(again), "") == shown.stdout.replace(str(path), "")


def test_where_it_means_nothing(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text('listeners = { web = { bind = "127.0.0.1:1", routes = ( { path = "/", respond = 200, cache = { } } ) }\n'
                    '  db = { bind = "127.0.0.1:2", protocol = "tcp", pool = "app" } }\n'
                    'pools = { app = { backends = [ "127.0.0.1:9" ], cache = { } } }\n')
    done = run("check", "-c", path)
    assert done.returncode == 1 and 'means nothing without "pool"' in done.stderr, done.stderr
    assert 'means nothing with protocol = "tcp"' in done.stderr
