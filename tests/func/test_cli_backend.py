"""`ballast backend`: the sample backend is an honest small HTTP/1.1 server."""

import asyncio
import contextlib
import json
import os
import subprocess
from signal import SIGINT, SIGTERM

import pytest
import websockets

from lib import http
from lib.ballast import SANITIZER, binary, environment
from lib.net import connect, free_port, free_ports, listening
from lib.wait import wait_until


@pytest.fixture
def sample():
    """sample(options...) starts one on a free port and returns the port; each must end with status 0."""
    started = []

    def start(*options, ports=None):
        port = free_port()
        where = ["--ports", ports] if ports else ["--port", str(port)]
        process = subprocess.Popen([binary(), "backend", *where, *map(str, options)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        started.append(process)
        if not ports:
            wait_until(lambda: process.poll() is not None or listening(port))
        start.process = process
        return port

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        _, err = process.communicate(timeout=15)
        assert process.returncode == 0, err
        assert not SANITIZER.search(err), err


def test_get_answers_json_about_the_request(sample):
    port = sample("--id", "b7")
    r = http.get(port, "/a/b?c=1", [("X-Test", "one"), ("x-test", "two")])
    assert r.status == 200 and r.header("Content-Type") == "application/json"
    assert r.header("X-Backend") == "b7" and r.header("Date").endswith(" GMT")
    body = r.json()
    assert body["id"] == "b7" and body["port"] == port
    assert body["method"] == "GET" and body["path"] == "/a/b?c=1"
    assert body["headers"]["x-test"] == "one, two"


def test_id_defaults_to_the_port(sample):
    port = sample()
    assert http.get(port).json()["id"] == f"backend-{port}"


def test_health(sample):
    port = sample("--fail-rate", "1", "--body-size", "10")
    assert http.get(port, "/health").json() == {"status": "healthy"}
    assert http.get(port, "/").status == 500


def test_post_echoes_the_length(sample):
    port = sample()
    assert http.request(port, "POST", "/", body=b"x" * 100_000).json()["body_bytes"] == 100_000
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: 1\r\n\r\n"
    assert http.raw(port, chunked).json()["body_bytes"] == 11


def test_expect_continue(sample):
    with http.Client(sample()) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert c.read().status == 100
        c.send(b"abc")
        assert c.read().json()["body_bytes"] == 3


def test_keep_alive_and_pipelining(sample):
    with http.Client(sample()) as c:
        for i in range(5):
            assert c.get(f"/{i}").json()["path"] == f"/{i}"
        c.send(b"".join(http.build_request("GET", f"/p{i}") for i in range(20)))
        assert [c.read().json()["path"] for _ in range(20)] == [f"/p{i}" for i in range(20)]
        assert c.request("HEAD", "/").body == b""
        last = c.get("/", [("Connection", "close")])
        assert last.header("Connection") == "close"
        assert c.eof()


def test_byte_by_byte(sample):
    with http.Client(sample()) as c:
        for byte in b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n":
            c.send(bytes([byte]))
        assert c.read().json()["path"] == "/slow"


@pytest.mark.parametrize("request_bytes", [b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n",
                                           b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                           b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_malformed_requests_are_refused(sample, request_bytes):
    with http.Client(sample()) as c:
        c.send(request_bytes)
        r = c.read()
        assert r.status == 400 and r.json()["error"]
        assert c.eof()


def test_body_size(sample):
    port = sample("--body-size", "300k")
    with http.Client(port) as c:
        for _ in range(3):
            assert len(c.get().body) == 300 * 1024
        assert c.request("HEAD", "/").header("Content-Length") == str(300 * 1024)


def test_fail_rate_is_an_exact_share(sample):
    with http.Client(sample("--fail-rate", "0.25")) as c:
        statuses = [c.get().status for _ in range(40)]
    assert statuses.count(500) == 10 and statuses.count(200) == 30


def test_delay_does_not_block_others(sample):
    port = sample("--delay", "1s")
    clients = [http.Client(port) for _ in range(20)]
    with contextlib.ExitStack() as stack:
        for c in clients:
            stack.enter_context(c)
            c.send(http.build_request("GET", "/"))
        assert http.get(port, "/health", deadline=30).status == 200
        for c in clients:
            assert c.read(deadline=30).status == 200


def test_several_ports_in_one_process(sample):
    three = free_ports(3)
    sample(ports=",".join(map(str, three)))
    for port in three:
        wait_until(lambda port=port: listening(port))
        assert http.get(port).json()["port"] == port


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_a_signal_lets_the_last_request_finish(sample, number):
    port = sample("--delay", "300ms")
    with http.Client(port) as idle, http.Client(port) as busy:
        assert idle.get().status == 200
        busy.send(http.build_request("GET", "/"))
        sample.process.send_signal(number)
        assert busy.read().status == 200
        assert idle.eof()
    assert sample.process.wait(10) == 0


def web_socket(port, talk, path="/ws"):
    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as ws:
            return await asyncio.wait_for(talk(ws), 30)

    return asyncio.run(run())


def test_web_socket_echo(sample):
    async def talk(ws):
        out = []
        for message in ("hello", "", b"\0\1\2", "ä" * 40_000, os.urandom(1_000_000)):
            await ws.send(message)
            out.append(await ws.recv() == message)
        await ws.send(["in ", "three ", "parts"])
        out.append(await ws.recv() == "in three parts")
        await (await ws.ping(b"p" * 125))
        return out

    assert web_socket(sample(), talk) == [True] * 6


HANDSHAKE = (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def test_web_socket_handshake_of_the_rfc(sample):
    with http.Client(sample()) as c:
        c.send(HANDSHAKE)
        r = c.read()
    assert r.status == 101
    assert r.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("frame", [b"\x81\x01x", b"\xc1\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x09\x80\0\0\0\0", b"\x89\xfe\0\x7e\0\0\0\0"],
                         ids=["unmasked", "reserved bit", "reserved opcode", "fragmented ping", "long ping"])
def test_web_socket_protocol_errors_close(sample, frame):
    s = connect(sample())
    with contextlib.closing(s):
        s.sendall(HANDSHAKE)
        http.read_response(s)
        s.sendall(frame)
        data = b""
        while more := s.recv(100):
            data += more
    assert data == b"\x88\x02\x03\xea"


def test_ws_without_upgrade(sample):
    r = http.get(sample(), "/ws")
    assert r.status == 426
    assert "Upgrade" in json.loads(r.body)["error"]
