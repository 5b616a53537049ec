"""The Forwarded field (RFC 7239): a client cannot say there who it is, a trusted proxy can, and ours tells the truth."""

import pytest

from lib import h2client, http, tls
from lib.ballast import run
from lib.net import free_port
from lib.origin import reply

CONF = """listeners = {{ web = {{ bind = {bind}, pool = "app", {more} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}"""
THEIRS = [("Forwarded", "for=203.0.113.9;host=evil.example"), ("forwarded", 'for="[2001:db8::1]"')]
TRUSTED = 'trusted = [ "127.0.0.0/8", "::1/128" ]'


@pytest.fixture
def web(ballast, origin):
    """start(settings) -> what the backend got of Forwarded when a client sent fields"""

    def start(more="", host="127.0.0.1"):
        o, port = origin(), free_port()
        ballast(CONF.format(bind=f'[ "127.0.0.1:{port}", "[::1]:{port}" ]', more=more, backend=o.address))

        def ask(fields=(), headers=None):
            with http.Client((host, port)) as c:
                assert c.request("GET", "/", [("Host", "a.test:81"), *fields]).status == 200
            return o.requests[-1].all("Forwarded")

        ask.port = port
        return ask

    return start


def test_what_a_client_says_is_dropped(web):
    ask = web()
    assert ask(THEIRS) == []
    assert ask([("FORWARDED", "x")]) == [] and ask([("Forwarded", "")]) == []
    assert ask([*THEIRS, ("Connection", "Forwarded")]) == []


def test_nor_over_http2(ballast, origin):
    o, port = origin(), free_port()
    ballast(CONF.format(bind=f'"127.0.0.1:{port}"', more='forwarded = "set"', backend=o.address))
    with h2client.Client(port) as c:
        assert c.request("GET", "/", [("forwarded", "for=203.0.113.9")]).status == 200
    (ours,) = o.requests[-1].all("Forwarded")
    assert ours.startswith("for=127.0.0.1;host=") and "203" not in ours


def test_what_a_trusted_proxy_says_passes(web):
    ask = web(TRUSTED)
    assert ask(THEIRS) == [value for _, value in THEIRS]
    assert ask([*THEIRS, ("Connection", "forwarded, close")]) == [value for _, value in THEIRS]
    assert ask() == []


def test_pass_and_remove(web):
    assert web('forwarded = "pass"')(THEIRS) == [value for _, value in THEIRS]
    assert web(f'forwarded = "remove", {TRUSTED}')(THEIRS) == []


def test_ours(web):
    ask = web('forwarded = "set"')
    assert ask(THEIRS) == ask() == ['for=127.0.0.1;host="a.test:81";proto=http']
    assert web('forwarded = "set"', host="::1")() == ['for="[::1]";host="a.test:81";proto=http']


def test_ours_stands_behind_that_of_a_trusted_proxy(web):
    ask = web(f'forwarded = "set", {TRUSTED}')
    assert ask(THEIRS) == [THEIRS[0][1] + ", " + THEIRS[1][1] + ', for=127.0.0.1;host="a.test:81";proto=http']
    assert ask([("Forwarded", "")]) == ask()


def test_a_host_ends_no_quotes(web):
    ask = web('forwarded = "set"')
    raw = b'GET / HTTP/1.1\r\nHost: a";for=1.2.3.4;x="\r\nConnection: close\r\n\r\n'
    answer = http.exchange(ask.port, raw)
    assert answer.startswith(b"HTTP/1.1 400") or b"1.2.3.4" not in answer
    raw = b"GET / HTTP/1.0\r\n\r\n"
    assert http.exchange(ask.port, raw).startswith(b"HTTP/1.1 200")
    assert ask() == ['for=127.0.0.1;host="a.test:81";proto=http']


def test_edits_have_the_last_word(web):
    assert web('forwarded = "set", request_headers = { remove = [ "Forwarded" ] }')(THEIRS) == []
    assert web('request_headers = { set = ( ( "Forwarded", "for={client_ip}" ) ) }')(THEIRS) == ["for=127.0.0.1"]


def test_over_tls(ballast, origin, tmp_path):
    ca, o, port = tls.Authority(tmp_path / "ca"), origin(), free_port()
    cert, key = ca.issue("a", ["a.test"])
    settings = f'forwarded = "set", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }}'
    ballast(CONF.format(bind=f'"127.0.0.1:{port}"', more=settings, backend=o.address))
    assert tls.get(port, ca.context(), headers=[("Forwarded", "proto=http")]).status == 200
    (ours,) = o.requests[-1].all("Forwarded")
    assert ours.startswith("for=127.0.0.1;host=") and ours.endswith(";proto=https")


def test_the_longest_hosts_and_lists_fit(web):
    ask = web(f'forwarded = "set", {TRUSTED}')
    for size in (200, 3000, 7000, 15000):
        long = "for=" + "a" * size
        assert ask([("Forwarded", long)]) == [f'{long}, for=127.0.0.1;host="a.test:81";proto=http']


def test_a_judge_is_not_told_stories(ballast, origin):
    app, judge, port = origin(id="app"), origin(id="judge"), free_port()
    judge.script["/may"] = reply(200)
    ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", forwarded = "pass",
                    auth = {{ request = {{ pool = "judge", path = "/may" }} }} }} }}
        pools = {{ app = {{ backends = [ "{app.address}" ], health = {{ type = "none" }} }}
                   judge = {{ backends = [ "{judge.address}" ], health = {{ type = "none" }} }} }}''')
    assert http.get(port, "/x", headers=THEIRS).text == "app"
    assert judge.requests[-1].all("Forwarded") == [] and app.requests[-1].all("Forwarded")


def test_bad_settings(tmp_path):
    path = tmp_path / "c.conf"
    path.write_text('''pools = { p = { backends = [ "127.0.0.1:1" ] } }
listeners = { a = { bind = "127.0.0.1:2", pool = "p", forwarded = "add" }
b = { bind = "127.0.0.1:3", pool = "p", protocol = "tcp", forwarded = "set" } }
''')
    done = run("check", "-c", path)
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert 'c.conf:2: error: listeners.a.forwarded: "add" is not one of: trusted, set, pass, remove' in text
    assert 'c.conf:3: error: listeners.b: "forwarded" means nothing with protocol = "tcp"' in text
