"""W3C Trace Context: valid fields pass, others are replaced by a trace that begins here, and the log names it."""

import json
import re

import pytest

from lib import h2client, http
from lib.ballast import run
from lib.net import free_port
from lib.wait import wait_until

VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OWN = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])")


@pytest.fixture
def web(ballast, origin, tmp_path):
    def start(more="traceparent = true"):
        o, port, log = origin(), free_port(), tmp_path / "access.log"
        b = ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", access_log = {{ target = "{log}" }}\n{more} }} }}\n'
                    f'pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}')
        b.port, b.origin, b.log_path = port, o, log
        return b

    return start


def logged(b, count):
    wait_until(lambda: b.log_path.exists() and b.log_path.read_text().count("\n") >= count, 20, f"{count} lines")
    return [json.loads(line) for line in b.log_path.read_text().splitlines()]


def seen(b, headers=()):
    """What the backend got: (traceparent fields, tracestate fields)."""
    assert http.get(b.port, "/", headers).status == 200
    r = b.origin.requests[-1]
    return r.all("traceparent"), r.all("tracestate")


def test_a_valid_one_passes(web):
    b = web()
    assert seen(b, [("Traceparent", VALID), ("Tracestate", "a=1"), ("tracestate", "b=2")]) == ([VALID], ["a=1", "b=2"])
    later = "01-" + VALID[3:] + "-what.may.come"
    assert seen(b, [("traceparent", later)]) == ([later], [])
    assert [line["trace_id"] for line in logged(b, 2)] == [VALID[3:35]] * 2


@pytest.mark.parametrize("value", [
    None, "", "garbage", VALID.upper(), VALID[:-1], VALID + "0", VALID + "-x", "ff" + VALID[2:], "0g" + VALID[2:],
    "00-" + "0" * 32 + VALID[35:], VALID[:36] + "0" * 16 + "-01", VALID.replace("-", "_"), "01-" + VALID[3:] + "x", "x" * 3000])
def test_others_are_replaced(web, value):
    b = web()
    fields = [("tracestate", "a=1")] + ([("traceparent", value)] if value is not None else [])
    parents, states = seen(b, fields)
    assert len(parents) == 1 and not states
    match = OWN.fullmatch(parents[0])
    assert match and match[3] == "01" and int(match[1], 16) and int(match[2], 16)
    assert logged(b, 1)[0]["trace_id"] == match[1]


def test_two_are_none(web):
    parents, states = seen(web(), [("traceparent", VALID), ("traceparent", VALID), ("tracestate", "a=1")])
    assert len(parents) == 1 and parents[0][3:35] != VALID[3:35] and not states


def test_each_its_own(web):
    b = web()
    with http.Client(b.port) as c:
        for _ in range(50):
            assert c.get("/").status == 200
    fields = [r.header("traceparent") for r in b.origin.requests]
    assert len({f[3:35] for f in fields}) == len({f[36:52] for f in fields}) == 50
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/", [("traceparent", VALID)]).status == 200
        assert c.request("GET", "/").status == 200
    assert b.origin.requests[-2].all("traceparent") == [VALID]
    assert OWN.fullmatch(b.origin.requests[-1].header("traceparent"))


def test_how_many_are_sampled(web):
    b = web('traceparent = true, traceparent_sample = "0%"')
    assert seen(b)[0][0].endswith("-00")
    assert seen(b, [("traceparent", VALID)])[0] == [VALID]  # what the client decided stays


def test_off_is_hands_off(web):
    b = web("")
    assert seen(b, [("traceparent", "garbage"), ("tracestate", "a=1")]) == (["garbage"], ["a=1"])
    assert seen(b) == ([], [])
    assert all("trace_id" not in line for line in logged(b, 2))


def test_what_the_configuration_sets_wins(web):
    b = web('traceparent = true, request_headers = { set = ( ( "traceparent", "mine" ) ) }')
    assert seen(b) == (["mine"], []) and seen(b, [("traceparent", VALID)]) == (["mine"], [])


def test_an_answer_of_our_own_has_one_too(web):
    b = web('traceparent = true, routes = ( { path = "/no", respond = 403 } )')
    assert http.get(b.port, "/no").status == 403
    assert re.fullmatch("[0-9a-f]{32}", logged(b, 1)[0]["trace_id"])


@pytest.mark.parametrize("text, complaint", [
    ('traceparent = "start"', "wants true or false"), ('traceparent_sample = "101%"', "out of range"),
    ("traceparent_sample = 10", "needs its unit"), ('protocol = "tcp", traceparent = true', "traceparent")])
def test_bad_settings(tmp_path, text, complaint):
    path = tmp_path / "bad.conf"
    path.write_text(f'listeners = {{ web = {{ bind = "127.0.0.1:1", pool = "app"\n{text} }} }}\n'
                    'pools = { app = { backends = [ "127.0.0.1:2" ] } }\n')
    r = run("check", "-c", path)
    assert r.returncode == 1 and f"{path}:2: error" in r.stderr and complaint in r.stderr, r.stderr
