"""What is kept beside a stored response: the body that a 304 confirmed, coded forms; and what is not there any more."""

import gzip
import os
import random
import threading

import pytest

from lib import h2client, http
from lib.net import connect, free_port
from lib.origin import reply
from lib.wait import wait_until

WORDS = b" ".join(b"%d" % (n * n) for n in range(12000))  # compresses, but not to nothing
GZIP = [("Accept-Encoding", "gzip")]


@pytest.fixture
def web(ballast, origin):
    """web(listener): an instance that keeps and compresses; .port, .origin, .text."""

    def start(listener='compression = { algorithms = "zstd, br, gzip" }', cache="{ }", size="8m", **options):
        port, o = free_port(), origin()
        text = f'''cache = {{ size = "{size}" }}
            listeners = {{ web = {{ bind = "127.0.0.1:{port}", {listener}
                routes = ( {{ path = "/", pool = "app" }}, {{ path = "/", methods = "POST", pool = "other" }} ) }} }}
            pools = {{ app   = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}, cache = {cache} }}
                       other = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}'''
        b = ballast(text, **options)
        b.port, b.origin, b.text = port, o, text
        return b

    return start


def says(o, path, body=WORDS, headers=(), cache="max-age=60"):
    o.script[path] = reply(200, body, [("Content-Type", "text/plain"), ("Cache-Control", cache), *headers])


def get(b, path="/a", headers=GZIP):
    return http.get(b.port, path, headers)


def used(b):
    return b.admin("/lb/cache")["used_bytes"]


def compressed(b):
    """(answers, bytes that went into compressors)"""
    m = b.metrics()
    return tuple(sum(v for k, v in m.items() if k.startswith(name))
                 for name in ("ballast_responses_compressed_total", "ballast_compression_input_bytes_total"))


def warm(b, path="/a", headers=GZIP):
    """Kept, and compressed once from what is kept."""
    assert get(b, path, []).header("X-Cache") == "MISS"
    assert get(b, path, headers).header("X-Cache") == "HIT"
    wait_until(lambda: get(b, path, headers).header("Content-Length"), what="a coded form")


@pytest.mark.parametrize("workers", [1, 3])
def test_compressed_once(web, workers):
    b = web(workers=workers)
    says(b.origin, "/a", headers=[("ETag", '"1"'), ("X-Own", "yes")])
    warm(b)
    wait_until(lambda: compressed(b)[1] >= len(WORDS), what="the books")
    answers, went_in = compressed(b)
    with http.Client(b.port) as c:
        for _ in range(10):
            r = c.get("/a", GZIP)
            assert r.header("Content-Encoding") == "gzip" and r.header("ETag") == 'W/"1"' and r.header("X-Own") == "yes"
            assert r.header("Content-Length") == str(len(r.body)) and r.all("Transfer-Encoding") == []
            assert r.header("Vary") == "Accept-Encoding" and r.header("Age") and gzip.decompress(r.body) == WORDS
        assert c.get("/a").body == WORDS
        assert c.request("HEAD", "/a", GZIP).header("Content-Encoding") == "gzip"
        assert c.get("/a", [*GZIP, ("Range", "bytes=3-5")]).body == WORDS[3:6]
        assert c.get("/a", [*GZIP, ("If-None-Match", 'W/"1"')]).status == 304
    with h2client.Client(b.port) as c:
        numbers = [c.start("GET", "/a", [("accept-encoding", "gzip")]) for _ in range(5)]
        c.finish(*numbers)
        assert {gzip.decompress(c.streams[n].data) for n in numbers} == {WORDS}
    wait_until(lambda: compressed(b)[0] >= answers + 15, what="the answers in the books")
    assert compressed(b)[1] == went_in and b.origin.count == 1


def test_each_coding_and_level_is_its_own(web):
    b = web()
    says(b.origin, "/a")
    before = None
    for coding in ("gzip", "br", "zstd"):
        headers = [("Accept-Encoding", coding)]
        if before is None:
            warm(b, headers=headers)
        wait_until(lambda: get(b, "/a", headers).header("Content-Length"), what=coding)
        r = get(b, "/a", headers)
        assert r.header("Content-Encoding") == coding
        if coding == "gzip":
            assert gzip.decompress(r.body) == WORDS
        assert before is None or used(b) > before
        before = used(b)
    went_in = compressed(b)[1]
    b.reload(b.text.replace('"zstd, br, gzip"', '"zstd, br, gzip", level = 9'))
    assert get(b).header("Content-Encoding") == "gzip"
    wait_until(lambda: get(b).header("Content-Length"), what="another level")
    assert gzip.decompress(get(b).body) == WORDS and compressed(b)[1] > went_in
    wait_until(lambda: used(b) == before, 5.0, "the other level is gone") if used(b) > before + 8192 else None


@pytest.mark.parametrize("how", ["purge", "post", "expired"])
def test_it_goes_with_its_entry(web, how):
    b = web(cache='{ valid = "200 1h" }')
    empty = used(b)
    says(b.origin, "/a", cache="max-age=4" if how == "expired" else "max-age=60")
    warm(b)
    assert used(b) > empty + len(WORDS)
    says(b.origin, "/a", WORDS[::-1], cache="no-store" if how == "expired" else "max-age=60")
    if how == "purge":
        assert b.admin("/lb/cache/purge", "POST", {"all": True})["purged"] == 1
    elif how == "post":  # through another pool
        assert http.request(b.port, "POST", "/a", body=b"").status == 200
        assert b.admin("/lb/cache")["entries"] == []
    else:
        wait_until(lambda: get(b).header("X-Cache") in ("EXPIRED", "MISS"), what="its end")
    wait_until(lambda: used(b) == empty, what="nothing is kept")
    r = get(b)
    assert gzip.decompress(r.body) == WORDS[::-1]


def test_what_another_pool_invalidated_is_not_listed(web):
    b = web()
    for path in ("/a", "/b"):
        says(b.origin, path)
        get(b, path, [])
    said = b.admin("/lb/cache")
    assert said["objects"] == 2 and len(said["entries"]) == 2
    assert http.request(b.port, "POST", "/a", body=b"x").status == 200
    said = b.admin("/lb/cache")
    assert said["objects"] == 1 and [e["url"] for e in said["entries"]] == ["http://test.local/b"]
    assert used(b) < said["used_bytes"]  # looking removed it
    assert get(b, "/a", []).header("X-Cache") == "MISS" and get(b, "/b", []).header("X-Cache") == "HIT"


@pytest.mark.parametrize("size", [2000, 5000, 300000])
def test_a_confirmed_body_is_not_copied(web, size):
    b = web(workers=2)
    body = random.Random(size).randbytes(size // 2).hex().encode()
    stale = [("Cache-Control", "max-age=0")]

    def answer(request, _sock):
        if request.header("If-None-Match") == '"1"':
            return reply(304, headers=[("ETag", '"1"'), ("Cache-Control", "max-age=60"), ("X-Now", str(b.origin.count))])
        return reply(200, body, [("Content-Type", "text/plain"), ("ETag", '"1"'), ("Cache-Control", "max-age=60")])

    b.origin.script["/a"] = answer
    warm(b)
    had = used(b)
    for _ in range(6):
        r = get(b, headers=stale)
        assert r.header("X-Cache") == "REVALIDATED" and r.body == body and r.header("X-Now") == str(b.origin.count)
        assert r.header("Content-Length") == str(len(body))
        hit = get(b, headers=[])
        assert hit.header("X-Cache") == "HIT" and hit.body == body and hit.header("X-Now") == r.header("X-Now")
        assert get(b, headers=[("Range", "bytes=10-19")]).body == body[10:20]
        coded = get(b)
        assert gzip.decompress(coded.body) == body
        if size > 4096:  # as it was made before
            assert coded.header("Content-Length")
    wait_until(lambda: used(b) <= had + 4096 * 2, what="the heads before are gone")
    (entry,) = b.admin("/lb/cache")["entries"]
    assert entry["body_bytes"] == len(body) and entry["bytes"] >= size and b.admin("/lb/cache")["objects"] == 1
    assert b.admin("/lb/cache/purge", "POST", {"all": True})["purged"] == 1
    wait_until(lambda: used(b) == 0, what="all of it is gone")


def test_who_leaves_in_the_middle(web):
    b = web(workers=1)
    body = os.urandom(400000).hex().encode()
    says(b.origin, "/a", body)
    assert get(b, headers=[]).body == body
    had = used(b)
    for _ in range(5):
        with connect(b.port) as s:
            s.sendall(http.build_request("GET", "/a", GZIP))
            assert s.recv(1000)
    wait_until(lambda: b.metrics()['ballast_connections{listener="web"}'] == 0, what="all gone")
    assert used(b) <= had + len(body)
    wait_until(lambda: get(b).header("Content-Length"), 20.0, "a coded form")
    assert gzip.decompress(get(b).body) == body


def test_many_at_once_while_it_changes(web):
    """Never a body of one with the coded form of another, whatever is removed meanwhile."""
    b = web(workers=2)
    now = [0]

    def answer(request, _sock):
        n = int(request.path.rsplit("/", 1)[1])
        if request.header("If-None-Match") == f'"{now[0]}"':
            return reply(304, headers=[("ETag", f'"{now[0]}"'), ("Cache-Control", "max-age=60")])
        return reply(200, b"%d %d " % (n, now[0]) + WORDS[:20000 + n], [("Content-Type", "text/plain"), ("ETag", f'"{now[0]}"'),
                                                                       ("Cache-Control", "max-age=60")])

    for n in range(12):
        b.origin.script[f"/x/{n}"] = answer
    wrong, done = [], threading.Event()

    def ask(seed):
        r = random.Random(seed)
        with http.Client(b.port, timeout=30) as c:
            while not done.is_set():
                n = r.randrange(12)
                headers = r.choice([[], GZIP, GZIP, [("Accept-Encoding", "zstd")], [("Cache-Control", "max-age=0")]])
                answer = c.get(f"/x/{n}", headers)
                body = gzip.decompress(answer.body) if answer.header("Content-Encoding") == "gzip" else answer.body
                plain = answer.header("Content-Encoding") in (None, "gzip")
                etag = answer.header("ETag").strip('W/"')
                if plain and body != b"%d %d " % (n, int(etag)) + WORDS[:20000 + n]:
                    wrong.append((n, etag, body[:20]))

    threads = [threading.Thread(target=ask, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for k in range(12):
        now[0] = k
        if k % 3 == 0:
            b.admin("/lb/cache/purge", "POST", {"all": True})
        else:
            http.request(b.port, "POST", f"/x/{k}", body=b"")
        seen = b.origin.count
        wait_until(lambda: b.origin.count > seen + 10, 30.0, "requests")
    done.set()
    for t in threads:
        t.join(30)
    assert not wrong
    b.admin("/lb/cache/purge", "POST", {"all": True})
    wait_until(lambda: used(b) == 0, what="all of it is gone")
