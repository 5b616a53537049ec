"""Compression: who gets what in which coding, what the head says, and that not a byte is lost or late."""

import random
import subprocess
import threading
import zlib

import pytest

from lib import h2client, http
from lib.ballast import run
from lib.net import connect, free_port
from lib.origin import TcpOrigin, reply
from lib.wait import Deadline, wait_until

CODINGS = ["gzip", "br", "zstd"]
NO_CHECK = 'health = { type = "none" }'
rng = random.Random(7)
WORDS = [bytes(rng.choices(b"abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(2000)]
PROSE = b" ".join(rng.choices(WORDS, k=60_000))
NOISE = rng.randbytes(700_000)


@pytest.fixture
def web(ballast, origin):
    """web(compression): an instance with one pool; .port, .origin"""

    def start(compression="{ }", listener="", top="", o=None, **options):
        o, port = o or origin(), free_port()
        text = (f'{top}\nlisteners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", '
                    f'compression = {compression}\n{listener} }} }}\n'
                    f'pools = {{ app = {{ backends = [ "{o.address}" ], {NO_CHECK} }} }}')
        b = ballast(text, **options)
        b.port, b.origin, b.text = port, o, text
        return b

    return start


def answers(body, *headers, type="text/plain", status=200, length=True):
    return reply(status, body, ([("Content-Type", type)] if type else []) + list(headers), length=length)


def chunked(body, size=5000, trailers=b""):
    parts = (body[i:i + size] for i in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n" + trailers + b"\r\n"


def curl(port, path="/", coding=None, *options, deadline=60):
    """The decoded body and the head as curl sees them."""
    encoding = ["-H", f"Accept-Encoding: {coding}"] if coding else []
    p = subprocess.run(["curl", "-sS", "--compressed", "-D", "/dev/stderr", *encoding, *options,
                        f"http://127.0.0.1:{port}{path}"], capture_output=True, timeout=deadline, check=False)
    assert p.returncode == 0, p.stderr
    head = p.stderr.decode("latin-1").lower()
    return p.stdout, dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)


def ask(b, path="/", encoding="gzip", method="GET", headers=()):
    more = [("Accept-Encoding", encoding)] if encoding is not None else []
    return http.request(b.port, method, path, more + list(headers))


def varies(r):
    return [v.strip().lower() for line in r.all("Vary") for v in line.split(",")]


# ---- the body


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_arrive_whole(web, coding):
    b = web('{ min_size = "0b" }')
    script = b.origin.script
    bodies = [PROSE[:n] for n in (1, 2, 1023, 1024, 16_350, 16_400, 70_000)] + [PROSE, NOISE, bytes(900_000)]
    for i, body in enumerate(bodies):
        script[f"/length/{i}"] = answers(body)
        script[f"/chunked/{i}"] = answers(chunked(body), ("Transfer-Encoding", "chunked"), length=False)
        script[f"/close/{i}"] = lambda r, s, body=body: s.sendall(answers(body, ("Connection", "close"), length=False))
        for kind in ("length", "chunked", "close"):
            got, head = curl(b.port, f"/{kind}/{i}", coding)
            assert got == body, (kind, i)
            assert head["content-encoding"] == coding and head["transfer-encoding"] == "chunked", (kind, i)
            assert "content-length" not in head and head["vary"] == "accept-encoding"


@pytest.mark.parametrize("level", [1, 4, 9])
def test_levels(web, level):
    b = web(f"{{ level = {level} }}", workers=1)
    b.origin.script["/"] = answers(PROSE)
    for coding in CODINGS * 2:  # the second time with what was kept
        assert curl(b.port, "/", coding)[0] == PROSE


def test_one_connection_many_answers(web):
    b = web(workers=1)
    b.origin.script["/p"] = answers(PROSE)
    b.origin.script["/n"] = answers(NOISE)
    with http.Client(b.port) as c:
        for i in range(40):
            body = NOISE if i % 3 == 0 else PROSE
            r = c.get("/n" if i % 3 == 0 else "/p", [("Accept-Encoding", "gzip")] if i % 4 else [])
            if i % 4:
                assert r.header("Content-Encoding") == "gzip" and zlib.decompress(r.body, 31) == body
            else:
                assert r.header("Content-Encoding") is None and r.body == body
            assert varies(r) == ["accept-encoding"]
    assert b.origin.accepted == 1


def test_many_at_once(web):
    b = web(workers=2)
    b.origin.script["/p"] = answers(PROSE)
    wrong = []

    def work(i):
        try:
            got, _ = curl(b.port, "/p", CODINGS[i % 3])
            if got != PROSE:
                wrong.append(i)
        except AssertionError as e:
            wrong.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_trailers_follow(web):
    b = web()
    body = chunked(PROSE[:5000], trailers=b"X-Sum: 1\r\nX-More: a b\r\n")
    b.origin.script["/"] = answers(body, ("Transfer-Encoding", "chunked"), length=False)
    r = ask(b)
    assert zlib.decompress(r.body, 31) == PROSE[:5000]
    assert r.trailers == [("X-Sum", "1"), ("X-More", "a b")]


@pytest.mark.parametrize("size", [0, 3000, 200_000])
def test_a_cut_answer_is_cut(web, size):
    def cut(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400000\r\n\r\n" + PROSE[:size])

    b = web()
    b.origin.script["/"] = cut
    with http.Client(b.port) as c, pytest.raises((http.HttpError, ConnectionError)):
        c.get("/", [("Accept-Encoding", "gzip")])


def test_a_malformed_chunk_ends_it(web):
    b = web()
    b.origin.script["/"] = answers(b"5\r\nhello\r\nzz\r\n", ("Transfer-Encoding", "chunked"), length=False)
    with http.Client(b.port) as c:
        r = c.get("/", [("Accept-Encoding", "gzip")])
        assert r.status == 502 and r.json() and r.header("Content-Encoding") is None
        assert c.get("/other").status == 200  # nothing stands behind that answer
    b.origin.script["/"] = answers(chunked(PROSE)[:-5] + b"zz\r\n", ("Transfer-Encoding", "chunked"), length=False)
    with http.Client(b.port) as c, pytest.raises((http.HttpError, ConnectionError)):
        c.get("/", [("Accept-Encoding", "gzip")])


# ---- what comes bit by bit


@pytest.mark.parametrize("coding", CODINGS)
def test_what_trickles_goes_out(web, coding):
    b = web('{ types = "text/event-stream" }')
    told = threading.Semaphore(0)

    def events(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(5):
            assert told.acquire(timeout=30)
            sock.sendall(b"data: %d\n" % i)
        assert told.acquire(timeout=30)

    b.origin.script["/"] = events
    p = subprocess.Popen(["curl", "-sSN", "--compressed", "-H", f"Accept-Encoding: {coding}",
                          f"http://127.0.0.1:{b.port}/"], stdout=subprocess.PIPE)
    try:
        for i in range(5):
            told.release()
            assert p.stdout.readline() == b"data: %d\n" % i  # before the next one is sent
    finally:
        told.release()
        p.stdout.close()
        p.wait(30)


def dechunk(data):
    """The payload of a whole body."""
    parts, at = [], 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(data[end + 2:end + 2 + size])
        at = end + 4 + size


def test_a_reader_that_stops_stops_the_backend(web):
    sent = []

    def endless(sock, number):
        http.Reader(sock).until(b"\r\n\r\n", Deadline(30))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 35000000\r\n\r\n")
        for _ in range(50):
            sock.sendall(NOISE)
            sent.append(len(NOISE))

    with TcpOrigin(endless) as o:
        b = web(o=o, workers=1)
        with connect(b.port, 60) as c:
            c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
            before = 0

            def settled():
                nonlocal before
                now = b.metrics()['ballast_compression_input_bytes_total{listener="web"}']
                quiet, before = now == before > 0, now
                return quiet

            wait_until(settled, what="a backend that is stopped")
            assert sum(sent) < 34_000_000
            parts = []
            while data := c.recv(1 << 20):
                parts.append(data)
        body = dechunk(b"".join(parts).partition(b"\r\n\r\n")[2])
        assert zlib.decompress(body, 31) == NOISE * 50


def test_more_than_there_are_compressors(web):
    """Who finds all at work is answered as it is."""
    b = web('{ types = "text/event-stream" }', workers=1)
    ready = threading.Event()

    def stream(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        ready.wait(60)
        sock.sendall(b"data: end\n\n")

    b.origin.script["/"] = stream
    clients = [http.Client(b.port) for _ in range(270)]
    try:
        for c in clients:
            c.send(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        wait_until(lambda: b.origin.count == 270, what="all at the backend")
        ready.set()
        plain = 0
        for c in clients:
            r = c.read(deadline=30)
            encoded = r.header("Content-Encoding") == "gzip"
            plain += not encoded
            assert (zlib.decompress(r.body, 31) if encoded else r.body) == b"data: end\n\n"
            assert varies(r) == ["accept-encoding"]
        assert plain == 14
    finally:
        ready.set()
        for c in clients:
            c.close()


# ---- the head


def test_what_is_left_alone(web):
    b = web()
    cases = {
        "short": answers(b"x" * 1023),
        "empty": answers(b""),
        "image": answers(PROSE, type="image/png"),
        "untyped": answers(PROSE, type=None),
        "nearly": answers(PROSE, type="text/htmlx"),
        "encoded": answers(PROSE, ("Content-Encoding", "br")),
        "identity": answers(PROSE, ("content-encoding", "identity")),
        "no-transform": answers(PROSE, ("Cache-Control", "max-age=1, No-Transform")),
        "part": answers(PROSE, ("Content-Range", f"bytes 0-{len(PROSE) - 1}/9999999"), status=206),
        "range": answers(PROSE, ("Content-Range", "bytes */3"), status=416),
        "digest": answers(PROSE, ("Repr-Digest", "sha-256=:x:")),
        "digest-behind": answers(PROSE, ("Trailer", "Content-Digest")),
        "nothing": b"HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n",
    }
    for name, answer in cases.items():
        b.origin.script["/" + name] = answer
        r = ask(b, "/" + name)
        expected = answer.partition(b"\r\n\r\n")[2]
        assert r.body == expected and not r.all("Vary"), name
        assert r.header("Content-Encoding") == {"encoded": "br", "identity": "identity"}.get(name), name
        if name != "nothing":
            assert r.header("Content-Length") == str(len(expected)), name


def test_what_is_compressed(web):
    b = web('{ types = [ "text/*", "application/json" ] }')
    for type in ("text/html", "TEXT/HTML;charset=utf-8", "text/x-anything", "application/json", "application/JSON ; a=b"):
        b.origin.script["/"] = answers(PROSE, type=type)
        r = ask(b)
        assert r.header("Content-Encoding") == "gzip" and zlib.decompress(r.body, 31) == PROSE, type
    for type in ("texts/html", "application/jsonx", "application/jso"):
        b.origin.script["/"] = answers(PROSE, type=type)
        assert ask(b).header("Content-Encoding") is None, type
    for status in (200, 201, 404, 500):
        b.origin.script["/"] = answers(PROSE, status=status)
        r = ask(b)
        assert r.status == status and r.header("Content-Encoding") == "gzip"


def test_entity_tags_and_ranges(web):
    b = web()
    b.origin.script["/"] = answers(PROSE, ("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("X-Other", "1"))
    r = ask(b)
    assert r.all("ETag") == ['W/"v1"'] and not r.all("Accept-Ranges") and r.header("X-Other") == "1"
    r = ask(b, encoding=None)
    assert r.all("ETag") == ['"v1"'] and r.all("Accept-Ranges") == ["bytes"] and r.body == PROSE
    b.origin.script["/"] = answers(PROSE, ("ETag", 'W/"v1"'))
    assert ask(b).all("ETag") == ['W/"v1"']

    def conditional(request, sock):
        return b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n'

    b.origin.script["/"] = conditional
    r = ask(b, headers=[("If-None-Match", 'W/"v1"')])
    assert r.status == 304 and r.all("ETag") == ['W/"v1"'] and varies(r) == ["accept-encoding"]
    r = ask(b, headers=[("If-None-Match", '"v1"')])
    assert r.status == 304 and r.all("ETag") == ['"v1"'] and r.header("Content-Encoding") is None
    assert b.origin.requests[-1].header("If-None-Match") == '"v1"'


def test_head_says_what_get_says(web):
    b = web()

    def answer(request, sock):
        whole = answers(PROSE, ("ETag", '"v1"'), ("Vary", "Origin"))
        return whole[:whole.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else whole

    b.origin.script["/"] = answer
    with http.Client(b.port) as c:
        for encoding in ([("Accept-Encoding", "gzip")], []):
            got, head = c.get("/", encoding), c.request("HEAD", "/", encoding)
            for name in ("Content-Encoding", "Vary", "ETag", "Content-Length", "Content-Type"):
                assert got.all(name) == head.all(name), name
            assert head.body == b""
        assert c.get("/").status == 200


@pytest.mark.parametrize("sent, expected", [
    ([], ["Accept-Encoding"]), (["Origin"], ["Origin, Accept-Encoding"]),
    (["Origin", "Cookie, X"], ["Origin, Cookie, X, Accept-Encoding"]), (["accept-encoding"], ["accept-encoding"]),
    (["Origin, Accept-Encoding"], ["Origin, Accept-Encoding"]), (["*"], ["*"]),
    (["X-Accept-Encoding"], ["X-Accept-Encoding, Accept-Encoding"])])
def test_vary_once(web, sent, expected):
    b = web()
    b.origin.script["/"] = answers(PROSE, *[("Vary", v) for v in sent])
    for encoding in ("gzip", None, "identity"):
        assert ask(b, encoding=encoding).all("Vary") == expected


def test_vary_as_configured(web):
    b = web(listener='''pool = "app"
        routes = ( { path = "/set", pool = "app", response_headers = { set = ( ( "Vary", "X-A" ) ) } },
                   { path = "/says", pool = "app", response_headers = { set = ( ( "Vary", "X-A, Accept-Encoding" ) ) } },
                   { path = "/adds", pool = "app", response_headers = { add = ( ( "Vary", "X-A" ) ) } },
                   { path = "/gone", pool = "app", response_headers = { remove = [ "Vary", "ETag" ] } } )'''
            .replace('pool = "app"\n', "", 1))
    for path, expected in (("/set", ["accept-encoding", "x-a"]), ("/says", ["accept-encoding", "x-a"]),
                           ("/adds", ["accept-encoding", "origin", "x-a"]), ("/gone", ["accept-encoding"])):
        b.origin.script[path] = answers(PROSE, ("Vary", "Origin"), ("ETag", '"1"'))
        r = ask(b, path)
        assert sorted(varies(r)) == expected, path
        assert r.all("ETag") == ([] if path == "/gone" else ['W/"1"'])
        assert zlib.decompress(r.body, 31) == PROSE


@pytest.mark.parametrize("encoding, expected", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("*", "zstd"),
    ("gzip;q=1.0, br;q=0.5", "gzip"), ("gzip;q=0.4, br;q=0.5, *;q=0", "br"), ("*;q=0.1, zstd;q=0", "br"),
    ("GZIP", "gzip"), ("x-gzip", "gzip"), ("identity", None), ("", None), (None, None), ("gzip;q=0", None),
    ("gzip;q=0.5, identity", None), ("gzip;q=0.5, identity;q=0.4", "gzip"), ("identity;q=0, *;q=0", None),
    ("deflate", None), ("gzip;q=2", None), ("gzip;q=", None), ("gzip;q=0.5x, br", "br"), (" ,, gzip ; q=0.001 ,", "gzip")])
def test_what_the_client_takes(web_for_all, encoding, expected):
    r = ask(web_for_all, encoding=encoding)
    assert r.header("Content-Encoding") == expected and varies(r) == ["accept-encoding"]


@pytest.fixture
def web_for_all(web):
    b = web()
    b.origin.script["/"] = answers(PROSE)
    return b


def test_fields_on_several_lines(web):
    b = web()
    b.origin.script["/"] = answers(PROSE)
    r = ask(b, encoding="gzip;q=0.3", headers=[("Accept-Encoding", "br;q=0.4")])
    assert r.header("Content-Encoding") == "br"
    assert b.origin.requests[-1].all("Accept-Encoding") == ["gzip;q=0.3", "br;q=0.4"]


def test_clients_that_want_it_as_it_is(web):
    b = web()
    b.origin.script["/"] = answers(PROSE)
    r = ask(b, headers=[("Cache-Control", "no-transform")])
    assert r.body == PROSE and varies(r) == ["accept-encoding"]
    r = http.raw(b.port, b"GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
    assert r.body == PROSE and r.header("Content-Encoding") is None and varies(r) == ["accept-encoding"]


def test_replies_of_our_own(web, tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes(b"<p>" + PROSE[:20000])
    big = tmp_path / "big.html"
    big.write_bytes(NOISE.hex().encode()[:60000])
    b = web(listener=f'''error_pages = ( {{ status = "404", file = "{page}" }}, {{ status = "403", file = "{big}" }} )
        routes = ( {{ path = "/said", respond = 200, body = "{"said and done " * 200}" }},
                   {{ path = "/short", respond = 200, body = "short" }},
                   {{ path = "/page", respond = 404 }}, {{ path = "/big", respond = 403 }},
                   {{ path = "/off", respond = 404, compression = "off" }},
                   {{ path = "/own", respond = 200, body = "{"own " * 300}", content_type = "image/x", compression = {{ types = "*/*" }} }},
                   {{ path = "/moved", redirect = "https://a.example/" }} )''')
    whole = {"/said": b"said and done " * 200, "/page": page.read_bytes()}
    with http.Client(b.port) as c:
        for path, body in whole.items():
            for coding in (*CODINGS, None, "gzip;q=0"):
                ask_for = [("Accept-Encoding", coding)] if coding else []
                r, head = c.get(path, ask_for), c.request("HEAD", path, ask_for)
                expected = coding if coding in CODINGS else None
                assert r.header("Content-Encoding") == expected and varies(r) == ["accept-encoding"], (path, coding)
                assert r.all("Content-Length") == head.all("Content-Length") == [str(len(r.body))]
                assert head.header("Content-Encoding") == expected
                if expected is None:
                    assert r.body == body
                else:
                    assert len(r.body) < len(body)
            assert zlib.decompress(c.get(path, [("Accept-Encoding", "gzip")]).body, 31) == body
            decoded, _ = curl(b.port, path, "br")
            assert decoded == body
        assert c.get("/own", [("Accept-Encoding", "gzip")]).header("Content-Encoding") == "gzip"
        assert len(c.get("/big", [("Accept-Encoding", "gzip")]).body) < 40000
        for path in ("/short", "/off", "/moved"):
            r = c.get(path, [("Accept-Encoding", "gzip")])
            assert not r.all("Content-Encoding") and not r.all("Vary"), path
        assert c.get("/big").body == big.read_bytes()


# ---- HTTP/2


def test_over_http2(web):
    b = web()
    b.origin.script["/p"] = answers(PROSE, ("ETag", '"1"'))
    trailers = chunked(PROSE, trailers=b"x-sum: 1\r\n")
    b.origin.script["/t"] = answers(trailers, ("Transfer-Encoding", "chunked"), length=False)
    b.origin.script["/n"] = answers(NOISE)
    with h2client.Client(b.port) as c:
        for path, body in (("/p", PROSE), ("/n", NOISE), ("/t", PROSE)) * 3:
            s = c.request("GET", path, [("accept-encoding", "gzip")])
            assert s.status == 200 and zlib.decompress(s.data, 31) == body
            assert s.header("content-encoding") == "gzip" and s.header("vary") == "Accept-Encoding"
            assert s.header("content-length") is None and s.header("transfer-encoding") is None
            assert s.header("etag") == ('W/"1"' if path == "/p" else None)
            assert (dict(s.trailers) if s.trailers else None) == ({"x-sum": "1"} if path == "/t" else None)
        s = c.request("HEAD", "/p", [("accept-encoding", "gzip")])
        assert s.header("content-encoding") == "gzip" and s.data == b""
        s = c.request("GET", "/p")
        assert s.data == PROSE and s.header("content-length") == str(len(PROSE))
    for coding in CODINGS:
        assert curl(b.port, "/p", coding, "--http2-prior-knowledge")[0] == PROSE


# ---- configuration


def test_routes_and_defaults(web):
    b = web('{ algorithms = "gzip" }', top='defaults = { compression = { algorithms = "br", min_size = "3k" } }', listener='''
        routes = ( { path = "/off", pool = "app", compression = "off" },
                   { path = "/own", pool = "app", compression = { types = "image/*" } } )''')
    for path, type, size, expected in (
            ("/", "text/plain", 4000, "gzip"), ("/", "text/plain", 2000, None), ("/off", "text/plain", 4000, None),
            ("/own", "text/plain", 4000, None), ("/own", "image/bmp", 2000, "zstd")):
        b.origin.script[path] = answers(PROSE[:size], type=type)
        r = ask(b, path, "gzip, br, zstd")
        assert r.header("Content-Encoding") == expected, path
        assert not r.all("Vary") or path != "/off"


def test_a_reload_turns_it_on_and_off(web):
    b = web('"off"')
    b.origin.script["/"] = answers(PROSE)
    text = b.text
    with http.Client(b.port) as c:
        for value, expected in (("off", None), ("{ }", "gzip"), ("off", None)):
            b.reload(text.replace('"off"', '"off"' if value == "off" else value))
            r = c.get("/", [("Accept-Encoding", "gzip")])
            assert r.header("Content-Encoding") == expected
            assert bool(r.all("Vary")) == (expected is not None)


def test_backends_need_not_know(web):
    b = web("{ offload = true }")
    b.origin.script["/"] = answers(PROSE)
    assert ask(b).header("Content-Encoding") == "gzip"
    assert not b.origin.requests[-1].all("Accept-Encoding")


def test_metrics(web):
    b = web()
    b.origin.script["/"] = answers(PROSE)
    r = ask(b)
    ask(b, encoding=None)
    wait_until(lambda: b.metrics()['ballast_compression_output_bytes_total{listener="web"}'] > 0, what="it is in the books")
    m = b.metrics()
    assert m['ballast_responses_compressed_total{listener="web"}'] == 1
    assert m['ballast_compression_input_bytes_total{listener="web"}'] == len(PROSE)
    assert m['ballast_compression_output_bytes_total{listener="web"}'] == len(r.body)


@pytest.mark.parametrize("text, complaint", [
    ("true", "wants a group"), ('"on"', "wants"), ('{ algorithms = "gzip, lzma" }', '"lzma" is not one of: gzip, br, zstd'),
    ('{ algorithms = [ ] }', "is empty"), ('{ algorithms = [ "gzip", "gzip" ] }', "is there twice"),
    ('{ types = "text" }', '"text" is not a media type'), ('{ types = "text/ht*" }', "is not a media type"),
    ('{ types = ( "a/b", 1 ) }', "wants a string"), ("{ level = 0 }", "out of range"), ("{ level = 10 }", "out of range"),
    ("{ min_size = 1000 }", "needs a unit"), ("{ gzip_types = 1 }", 'did you mean "types"')])
def test_bad_settings(tmp_path, text, complaint):
    path = tmp_path / "bad.conf"
    path.write_text('listeners = { web = { bind = "127.0.0.1:1", pool = "app"\n'
                    f'compression = {text} }} }}\npools = {{ app = {{ backends = [ "127.0.0.1:2" ] }} }}\n')
    r = run("check", "-c", path)
    assert r.returncode == 1 and f"{path}:2: error" in r.stderr and complaint in r.stderr, r.stderr


def test_only_for_http_and_pools(tmp_path):
    path = tmp_path / "bad.conf"
    pools = 'pools = { app = { backends = [ "127.0.0.1:2" ] } }'
    path.write_text(f'listeners = {{ web = {{ bind = "127.0.0.1:1", protocol = "tcp", pool = "app"\ncompression = {{ }} }} }}\n'
                    f'{pools}')
    r = run("check", "-c", path)
    assert r.returncode == 1 and "compression" in r.stderr
    path.write_text('listeners = { web = { bind = "127.0.0.1:1"\nroutes = ( { path = "/", redirect = "/x", compression = { } } '
                    f') }} }}\n{pools}')
    r = run("check", "-c", path)
    assert r.returncode == 1 and '"compression" means nothing with "redirect"' in r.stderr
