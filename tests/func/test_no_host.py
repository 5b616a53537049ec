"""A client of HTTP/1.0 that names no host: backends of HTTP/1.1 get one all the same."""

import json

from lib import http
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """listeners = {{ web = {{ bind = [ {bind} ], pool = "app", {more}
    access_log = {{ target = "{log}" }} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }}, {pool} }} }}"""


def test_the_host_is_where_it_connected_to(ballast, origin, tmp_path):
    o, port, path = origin(), free_port(), tmp_path / "sock"
    bind = f'"127.0.0.1:{port}", "[::1]:{port}", "unix:{path}"'
    ballast(CONF.format(bind=bind, backend=o.address, log=tmp_path / "log", more='trusted = [ "127.0.0.1" ]', pool=""))
    for where, host in ((("127.0.0.1", port), f"127.0.0.1:{port}"), (("::1", port), f"[::1]:{port}"), (str(path), "localhost")):
        assert http.exchange(where, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200"), where
        seen = o.requests[-1]
        assert seen.all("Host") == [host] and seen.all("X-Forwarded-Host") == []
    assert http.exchange(port, b"GET / HTTP/1.0\r\nX-Forwarded-Host: a.test\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert o.requests[-1].all("X-Forwarded-Host") == ["a.test"]
    assert http.exchange(port, b"GET / HTTP/1.0\r\nHost: b.test\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert o.requests[-1].all("Host") == o.requests[-1].all("X-Forwarded-Host") == ["b.test"]


def test_a_judge_gets_one_too(ballast, origin):
    app, judge, port = origin(id="app"), origin(id="judge"), free_port()
    ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app",
                    auth = {{ request = {{ pool = "judge", path = "/may" }} }} }} }}
        pools = {{ app = {{ backends = [ "{app.address}" ], health = {{ type = "none" }} }}
                   judge = {{ backends = [ "{judge.address}" ], health = {{ type = "none" }} }} }}''')
    judge.script["/may"] = reply(200)
    assert http.exchange(port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert judge.requests[-1].all("Host") == [f"127.0.0.1:{port}"]
    assert http.get(port, headers=[("Host", "a.test")]).status == 200
    assert judge.requests[-1].all("Host") == ["a.test"]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_why_a_request_ended_stands_in_the_log(ballast, origin, tmp_path):
    """Replies of the balancer itself: none of them "finished"."""
    o, port, log = origin(), free_port(), tmp_path / "log"
    ballast(CONF.format(bind=f'"127.0.0.1:{port}"', backend=o.address, log=log, more='timeouts = { body = "200ms" }, limits = { body_size = "1k" },',
                        pool='retry = { attempts = 1 }'))
    assert http.exchange(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").startswith(b"HTTP/1.1 408")
    assert http.exchange(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n").startswith(b"HTTP/1.1 413")
    o.stop()
    assert http.get(port).status == 502
    said = wait_until(lambda: len(found := lines(log)) == 3 and found, what="three lines")
    ended = {x["status"]: x["termination"] for x in said}
    assert set(ended) == {408, 413, 502} and ended[408] == "Request body timed out"
    assert "finished" not in ended.values(), ended
