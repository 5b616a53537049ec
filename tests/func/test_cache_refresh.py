"""Stale responses that are fetched anew behind the back of who gets them, and whole ones for clients that ask on a condition."""

import threading
import zlib

import pytest

from lib import http
from lib.h2client import Client as H2Client
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

STALE = [("Cache-Control", "max-age=0, stale-while-revalidate=600")]
BODY = b"whole and sound " * 20000


@pytest.fixture
def web(ballast, origin):
    def start(cache="{ }", listener="", pool="", **options):
        o, port = origin(), free_port()
        text = (f'cache = {{ size = "16m" }}\n'
                f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" {listener} }} }}\n'
                f'pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}, cache = {cache} {pool} }} }}')
        instance = ballast(text, **options)
        instance.port, instance.origin, instance.text = port, o, text
        return instance

    return start


def get(w, path="/a", headers=(), method="GET", **more):
    return http.request(w.port, method, path, headers, **more)


def x(response):
    return response.header("X-Cache")


def counts(w):
    return w.admin("/lb/cache?limit=0")


def versions(w, path="/a", fields=STALE, etag=None):
    """The origin answers "1", then "2", ..."""
    seen = []

    def answer(request, sock):
        seen.append(request)
        tag = [("ETag", etag)] if etag else []
        if etag and request.header("If-None-Match") == etag:
            return reply(304, headers=fields + tag)
        return reply(200, b"%d" % len(seen), fields + tag)

    w.origin.script[path] = answer
    return seen


# ---- in the background ----


def test_the_stale_one_at_once_and_one_fetch_behind_it(web):
    w = web(workers=4)
    seen = versions(w)
    assert get(w).body == b"1"
    w.origin.hold()
    for _ in range(12):
        r = get(w)
        assert x(r) == "STALE" and r.body == b"1"
    wait_until(lambda: w.origin.waiting == 1)
    w.origin.release()
    wait_until(lambda: counts(w)["stored"] == 2)
    assert len(seen) == 2
    assert get(w).body == b"2"


@pytest.mark.parametrize("request_headers, method", [
    ([("If-None-Match", '"other"')], "GET"), ([("Range", "bytes=0-0")], "GET"), ([], "HEAD"), ([("If-Range", '"x"'), ("Range", "bytes=0-0")], "GET"),
], ids=str)
def test_whoever_is_served_the_whole_is_fetched(web, request_headers, method):
    w = web()
    seen = versions(w)
    get(w)
    r = get(w, headers=request_headers, method=method)
    assert x(r) == "STALE"
    wait_until(lambda: counts(w)["stored"] == 2)
    assert seen[1].method == "GET" and not [n for n, _ in seen[1].headers if n.lower().startswith(("if-", "range"))]
    assert get(w).body == b"2"


def test_a_confirmation_is_enough(web):
    w = web()
    seen = versions(w, etag='"v"')
    assert get(w).body == b"1"
    assert x(get(w)) == "STALE"
    wait_until(lambda: counts(w)["stored"] == 2)
    assert seen[1].header("If-None-Match") == '"v"'
    assert get(w).body == b"1"


def test_variants_and_rewritten_targets(web):
    w = web(listener=', routes = ( { path = "/in/", strip_prefix = true, pool = "app" } )')
    w.origin.script["/a"] = lambda request, sock: reply(
        200, f"{request.header('Accept-Language')} {w.origin.count}", STALE + [("Vary", "Accept-Language")])
    de, en = [("Accept-Language", "de")], [("Accept-Language", "en")]
    assert get(w, "/in/a", de).body == b"de 1" and get(w, "/in/a", en).body == b"en 2"
    assert get(w, "/in/a", de).body == b"de 1"
    wait_until(lambda: counts(w)["stored"] == 3)
    assert get(w, "/in/a", de).body == b"de 3" and get(w, "/in/a", en).body == b"en 2"


def test_a_refresh_that_fails_does_no_harm(web):
    w = web()
    versions(w)
    get(w)
    w.origin.script["/a"] = reply(503, b"sorry")
    assert x(get(w)) == "STALE"
    wait_until(lambda: w.origin.count == 2)
    for _ in range(5):  # and is not tried again at once
        assert (lambda r: (x(r), r.body))(get(w)) == ("STALE", b"1")
    assert w.origin.count == 2
    w.origin.stop()
    assert get(w).body == b"1"


def test_one_that_is_not_to_be_kept_any_more_ends_it(web):
    w = web()
    versions(w)
    get(w)
    w.origin.script["/a"] = reply(200, b"secret", [("Cache-Control", "no-store")])
    assert x(get(w)) == "STALE"
    wait_until(lambda: counts(w)["objects"] == 0)
    assert get(w).body == b"secret"


def test_the_client_may_be_gone(web):
    w = web()
    seen = versions(w)
    get(w)
    w.origin.hold()
    get(w)
    wait_until(lambda: w.origin.waiting == 1)  # its connection is closed by now
    w.reload(w.text.replace('size = "16m"', 'size = "17m"'))
    w.origin.release()
    wait_until(lambda: len(seen) == 2)


def test_a_refresh_is_in_no_books_but_the_backends(web, tmp_path):
    log = tmp_path / "access.log"
    w = web(listener=f', access_log = {{ target = "{log}", format = "json" }}')
    seen = versions(w)
    get(w), get(w)
    wait_until(lambda: counts(w)["stored"] == 2)
    assert len(seen) == 2
    wait_until(lambda: w.metrics()['ballast_requests_total{listener="web",code="2xx"}'] == 2)
    backend = f'ballast_backend_requests_total{{pool="app",backend="{w.origin.address}",code="2xx"}}'
    assert w.metrics()[backend] == 2
    said = counts(w)
    assert (said["misses"], said["stale"], said["revalidated"]) == (1, 1, 0)
    w.stop()
    assert len(log.read_text().splitlines()) == 2


def test_over_http2_and_to_http2_backends(web, ballast, origin):
    o, inner, outer = origin(), free_port(), free_port()
    versions(type("W", (), {"origin": o}))
    ballast(f'listeners = {{ in = {{ bind = "127.0.0.1:{inner}", pool = "app" }} }}\n'
            f'pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}')
    w = ballast(f'cache = {{ size = "16m" }}\nlisteners = {{ web = {{ bind = "127.0.0.1:{outer}", pool = "app" }} }}\n'
                f'pools = {{ app = {{ backends = [ "127.0.0.1:{inner}" ], protocol = "h2c", health = {{ type = "none" }}, cache = {{ }} }} }}')
    with H2Client(outer) as c:
        assert c.request(path="/a").data == b"1"
        s = c.request(path="/a")
        assert s.data == b"1" and s.header("x-cache") == "STALE"
        wait_until(lambda: counts(w)["stored"] == 2)
        assert c.request(path="/a").data == b"2"


# ---- conditions ----


def tagged(w, body=BODY, fields=(("Cache-Control", "max-age=60"),), chunked=False):
    def answer(request, sock):
        head = [("ETag", '"v1"'), ("Last-Modified", "Sat, 01 Aug 2026 00:00:00 GMT"), ("Content-Type", "text/plain"), *fields]
        if request.header("If-None-Match") == '"v1"':
            return reply(304, headers=head)
        if chunked:
            parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i:i + 7000] for i in range(0, len(body), 7000)))
            return reply(200, parts + b"0\r\n\r\n", head + [("Transfer-Encoding", "chunked")], length=False)
        return reply(200, body, head)

    w.origin.script["/a"] = answer


@pytest.mark.parametrize("condition", [("If-None-Match", '"v1"'), ("If-None-Match", 'W/"v1", "x"'), ("If-None-Match", "*"),
                                       ("If-Modified-Since", "Sun, 02 Aug 2026 00:00:00 GMT")], ids=str)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_condition_that_is_met_fetches_the_whole(web, condition, chunked):
    w = web()
    tagged(w, chunked=chunked)
    with http.Client(w.port) as c:
        r = c.get("/a", [condition])
        assert r.status == 304 and x(r) == "MISS" and r.header("ETag") == '"v1"' and not r.body
        assert not [n for n in ("Content-Length", "Transfer-Encoding", "Content-Type") if r.header(n)]
        again = c.get("/a")
        assert x(again) == "HIT" and again.body == BODY and again.header("Content-Type") == "text/plain"
    assert w.origin.count == 1


def test_a_condition_that_is_not_met(web):
    w = web()
    tagged(w)
    r = get(w, headers=[("If-None-Match", '"v0"')])
    assert r.status == 200 and r.body == BODY
    assert x(get(w)) == "HIT"


def test_conditions_wait_for_each_other(web):
    w = web(workers=2)
    tagged(w)
    w.origin.hold()
    got = []
    threads = [threading.Thread(target=lambda: got.append(get(w, headers=[("If-None-Match", '"v1"')]).status)) for _ in range(8)]
    for t in threads:
        t.start()
    wait_until(lambda: counts(w)["collapsed"] == 7)
    w.origin.release()
    for t in threads:
        t.join(30)
    assert got == [304] * 8 and w.origin.count == 1


@pytest.mark.parametrize("field", [("Authorization", "Basic eDp5"), ("Cookie", "a=b")])
def test_what_is_likely_for_one_client_is_asked_for_as_the_client_does(web, field):
    w = web()
    tagged(w, fields=[("Cache-Control", "private")])
    r = get(w, headers=[("If-None-Match", '"v1"'), field])
    assert r.status == 304 and w.origin.requests[-1].header("If-None-Match") == '"v1"'


@pytest.mark.parametrize("size", [10, 50000, 3000000])
def test_what_is_not_kept_is_judged_all_the_same(web, size):
    w = web()
    tagged(w, body=b"x" * size, fields=[("Cache-Control", "no-store")])
    with http.Client(w.port) as c:
        assert c.get("/a", [("If-None-Match", '"v1"')]).status == 304
        assert c.get("/a", [("If-None-Match", '"v1"')]).status == 304  # now the backend judges it
        assert len(c.get("/a").body) == size
    assert w.origin.requests[1].header("If-None-Match") == '"v1"'


def test_a_whole_that_does_not_come_whole(web):
    w = web(pool=", retry = { attempts = 1 }")
    w.origin.script["/a"] = lambda request, sock: sock.sendall(reply(200, b"x" * 1000, [("ETag", '"v1"'), ("Cache-Control", "max-age=60")])[:-10])
    for _ in range(2):
        assert get(w, headers=[("If-None-Match", '"v1"')]).status == 502
    assert counts(w)["objects"] == 0


def test_conditions_over_http2_and_compressed(web):
    w = web(listener=", compression = { }")
    tagged(w)
    with H2Client(w.port) as c:
        s = c.request(path="/a", headers=[("if-none-match", 'W/"v1"'), ("accept-encoding", "gzip")])
        assert s.status == 304 and s.header("etag") == 'W/"v1"' and s.header("vary") == "Accept-Encoding"
        s = c.request(path="/a", headers=[("accept-encoding", "gzip")])
        assert s.header("x-cache") == "HIT" and zlib.decompress(s.data, 31) == BODY
