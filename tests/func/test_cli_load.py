"""`ballast load`: one request again and again, how long answers took, and who gave them."""

import json

import pytest

from lib.ballast import run
from lib.net import free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Backend: odd one\r\n\r\nok"


@pytest.fixture
def backends(ballast, origins):
    port, three = free_port(), origins(3)
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {three.list_text} }} }}
""")
    b.wait_healthy()
    return f"http://127.0.0.1:{port}", three


def load(*words):
    done = run("load", "--output", "-", *words, timeout=120)
    return done.returncode, json.loads(done.stdout)


def test_counts_latencies_and_who_answered(backends, tmp_path):
    url, three = backends
    done = run("load", "--url", f"{url}/x?y=1", "--requests", "30", "--concurrency", "5", "--by", "X-Origin",
               "--output", tmp_path / "results.json", timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "results.json").read_text())
    assert said["requests"] == said["successful_requests"] == 30 and said["failed_requests"] == 0 and said["concurrency"] == 5
    assert said["servers"] == {"b1": 10, "b2": 10, "b3": 10} and said["statuses"] == {"200": 30}
    times = said["response_time"]
    assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["p999"] <= times["max"] <= said["elapsed_seconds"]
    assert said["requests_per_second"] > 0 and said["body_bytes"] == 60
    for line in ("30 answers", "200 x 30", "p99 ", "b2                              10    33.3 %"):
        assert line in done.stdout, done.stdout
    seen = [r for o in three for r in o.requests if r.path == "/x"]
    assert len(seen) == 30 and {r.target for r in seen} == {"/x?y=1"}


def test_every_kind_of_answer(backends):
    url, _ = backends
    for path, status, size in (("/status/204", 204, 0), ("/status/304", 304, 0), ("/bytes/100000", 200, 100_000), ("/status/404", 404, None)):
        code, said = load(url + path, "-n", "8", "--concurrency", "2")
        assert code == 0 and said["statuses"] == {str(status): 8}, said
        assert size is None or said["body_bytes"] == 8 * size
    code, said = load(url + "/bytes/1000", "-n", "5", "-X", "HEAD")
    assert code == 0 and said["body_bytes"] == 0
    code, said = load(url + "/status/500", "-n", "5")
    assert code == 1 and said["statuses"] == {"500": 5} and said["successful_requests"] == 0


def test_headers_methods_and_fresh_connections(backends):
    url, three = backends
    code, _ = load("--url", url + "/x", "-n", "9", "--concurrency", "3", "-X", "DELETE", "-H", "X-Mine: 1", "-H", "Host: b.example", "--close")
    assert code == 0
    seen = [r for o in three for r in o.requests if r.path == "/x"]
    assert len(seen) == 9 and all(r.method == "DELETE" and r.header("X-Mine") == "1" and r.header("Host") == "b.example" for r in seen)


def raw(answer, close=False):
    def serve(sock, number):
        while True:
            data = b""
            while b"\r\n\r\n" not in data:
                got = sock.recv(65536)
                if not got:
                    return
                data += got
            if answer is not None:
                sock.sendall(answer)
            if close:
                return
    return serve


@pytest.mark.parametrize("answer, close, statuses, failures", [
    (ANSWER, False, {"200": 6}, {}),
    (ANSWER, True, {"200": 6}, {}),  # a kept connection that ends between two requests is no failure
    (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER, False, {"200": 6}, {}),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;a=b\r\nabc\r\n0\r\n\r\n", False, {"200": 6}, {}),
    (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", True, {"200": 6}, {}),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", True, {}, {"closed": 6}),
    (b"", True, {}, {"closed": 6}),
    (b"nonsense\r\n\r\n", True, {}, {"malformed": 6}),
    (None, False, {}, {"timeout": 6}),
])
def test_servers_of_every_kind(tcp_origin, answer, close, statuses, failures):
    o = tcp_origin(raw(answer, close))
    code, said = load(f"http://{o.address}/", "-n", "6", "--concurrency", "3", "--timeout", "300ms" if answer is None else "30s")
    assert said["statuses"] == statuses
    assert {k: v for k, v in said["failures"].items() if v} == failures
    assert code == (1 if failures else 0)
    if answer == ANSWER:
        assert said["servers"] == {"odd one": 6}


def test_nobody_there():
    code, said = load(f"http://127.0.0.1:{free_port()}/", "-n", "1000", "--concurrency", "20")
    assert code == 1 and said["failures"]["connect"] == 1000 and said["requests"] == 1000


@pytest.mark.parametrize("words, hint", [
    ([], "one URL"), (["http://a/", "http://b/"], "one URL"), (["https://127.0.0.1/"], "h2load"), (["http:///x"], "not like http://"),
    (["http://127.0.0.1:1/a b"], "not like http://"), (["http://127.0.0.1:1/", "-n", "0"], "at least 1"),
    (["http://127.0.0.1:1/", "--concurrency", "0"], "at least 1"), (["http://127.0.0.1:1/", "-n", "1e9"], "whole number"),
    (["http://127.0.0.1:1/", "-H", "no colon"], "NAME: VALUE"), (["http://127.0.0.1:1/", "-H", "a: b\r\nc: d"], "NAME: VALUE"),
    (["http://127.0.0.1:1/", "-X", "GE T"], "no method"), (["http://127.0.0.1:1/", "--timeout", "0"], "at least 1")])
def test_bad_usage(words, hint):
    done = run("load", *words)
    assert done.returncode == 2 and hint in done.stderr, done.stderr


@pytest.mark.parametrize("url, hint", [("http://127.0.0.1:99999/", "99999"), ("http://no-such-host.invalid/", "no-such-host")])
def test_bad_addresses(url, hint):
    done = run("load", url)
    assert done.returncode == 1 and hint in done.stderr


def test_a_result_that_cannot_be_written(backends):
    url, _ = backends
    done = run("load", url, "-n", "2", "--output", "/nowhere/at/all.json")
    assert done.returncode == 1 and "cannot write /nowhere/at/all.json" in done.stderr
    done = run("load", url, "-n", "2", "--output", "/dev/full")
    assert done.returncode == 1 and "No space left" in done.stderr
