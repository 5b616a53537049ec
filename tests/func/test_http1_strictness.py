"""The strictness vectors of tests/data/http1_strictness.json against the real program: what must be refused is answered
and closed, nothing behind it is ever taken for a request, and what is accepted reaches the backend unchanged."""

import json
import os

from lib import http
from lib.ballast import ROOT
from lib.net import free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}
"""
BEHIND = b"GET /behind HTTP/1.1\r\nHost: test\r\n\r\n"

with open(os.path.join(ROOT, "tests/data/http1_strictness.json"), encoding="utf-8") as f:
    VECTORS = json.load(f)


def send(port, vector, cuts):
    """The vector and a request behind it, in pieces; (status of the first response, number of responses, closed)."""
    data = vector["raw"].encode("latin-1") + BEHIND
    wanted = 1 if vector["status"] >= 400 else 2
    with http.Client(port) as client:
        try:
            for at in range(0, len(data), cuts):
                client.send(data[at:at + cuts])
        except ConnectionError:
            pass  # refused before all of it was sent
        statuses = [client.read().status for _ in range(wanted)]
        return statuses, wanted == 1 and client.eof()


def run(ballast, recording_origin, cuts):
    origin = recording_origin()
    port = free_port()
    ballast(CONF.format(port=port, backend=origin.address))
    wrong = []
    for vector in VECTORS:
        refused = vector["status"] >= 400
        try:
            got = send(port, vector, cuts)
        except (http.HttpError, ConnectionError) as error:
            got = error
        if got != (([vector["status"]], True) if refused else ([200, 200], False)):
            wrong.append(f"{vector['name']}: {got}")
    assert not wrong, "\n".join(wrong)
    accepted = sum(vector["status"] == 200 for vector in VECTORS)
    wait_until(lambda: origin.raw.count(b"GET /behind ") >= accepted, what="the accepted requests at the origin")
    assert origin.raw.count(b"GET /behind ") == accepted


def test_vectors_in_one_piece(ballast, recording_origin):
    run(ballast, recording_origin, 65536)


def test_vectors_in_pieces_of_seven_bytes(ballast, recording_origin):
    run(ballast, recording_origin, 7)


def test_accepted_bytes_are_forwarded_unchanged(ballast, recording_origin):
    origin = recording_origin()
    port = free_port()
    ballast(CONF.format(port=port, backend=origin.address))
    with http.Client(port) as client:
        client.send(b"fOO /a%2f..?x=%00&y='\"{}|\\^` HTTP/1.1\r\nhOsT: test\r\nX-oBs: \x80\xff \t z\r\nx-Empty:\r\n\r\n")
        assert client.read().status == 200
    assert origin.raw.startswith(b"fOO /a%2f..?x=%00&y='\"{}|\\^` HTTP/1.1\r\n")
    lines = origin.raw.split(b"\r\n")
    assert b"X-oBs: \x80\xff \t z" in lines
    assert any(line.lower() == b"host: test" for line in lines)
    assert any(line.lower().rstrip() == b"x-empty:" for line in lines)
