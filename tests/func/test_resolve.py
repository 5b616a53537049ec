"""Backends by name: a small name server of our own says which addresses there are, and changes its mind."""

import os
import signal
import socket
import struct
import threading

import pytest

from lib import http
from lib.net import free_port
from lib.origin import Origin
from lib.wait import wait_until

A, AAAA, SRV = 1, 28, 33


def wire(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def encode(kind, value):
    if kind == SRV:
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + wire(target)
    return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)


class NameServer:
    """.records[name, kind] is a list; a name without any does not exist. .silent: no answer at all."""

    def __init__(self):
        self.records, self.silent, self.asked = {}, False, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            query, peer = self.sock.recvfrom(4096)
            if peer[1] == self.port:  # told to stop
                break
            if not self.silent:
                self.sock.sendto(self.answer(query), peer)
        self.sock.close()

    def answer(self, query):
        at, parts = 12, []
        while query[at]:
            parts.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        name = ".".join(parts)
        self.asked.append((name, kind))
        exists = any(n == name and values for (n, _), values in self.records.items())
        values = self.records.get((name, kind), [])
        head = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if exists else 3), 1, len(values), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data
                        for data in (encode(kind, value) for value in values))
        return head + query[12:at + 5] + body

    def stop(self):
        self.sock.sendto(b"", ("127.0.0.1", self.port))


@pytest.fixture
def dns():
    server = NameServer()
    yield server
    server.stop()


@pytest.fixture
def at():
    """at(host, port): an origin there, named by its host."""
    made = []

    def start(host, port):
        made.append(Origin(host, host=host, port=port))
        return made[-1]

    yield start
    for o in made:
        o.stop()


def conf(port, dns, backends, more=""):
    return f"""
resolvers = [ "127.0.0.1:{dns.port}" ]
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {backends} ), health = {{ interval = "50ms", timeout = "20s" }} {more} }} }}
"""


def named(address, more=""):
    return f'{{ address = "{address}", resolve = "200ms" {more} }}'


def discovery(b):
    return [(e["object"], e["from"] or "", e["to"]) for e in b.events() if e["kind"] == "discovery"]


def backends(b):
    return {name: row["status"] for name, row in b.backends().items()}


def test_addresses_come_and_go(ballast, dns, at):
    behind, port = free_port(), free_port()
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        at(host, behind)
    dns.records["api.test", A] = ["127.0.0.1", "127.0.0.2"]
    b = ballast(conf(port, dns, named(f"api.test:{behind}", ", weight = 3, max_connections = 7")))
    one, two, three = (f"api.test:{behind}#127.0.0.{i}" for i in (1, 2, 3))
    wait_until(lambda: backends(b) == {one: "healthy", two: "healthy"}, 20, "both")
    row = b.backends()[one]
    assert (row["weight"], row["max_connections"], row["origin"]) == (3, 7, "discovery")
    assert {http.get(port, "/").text for _ in range(8)} == {"127.0.0.1", "127.0.0.2"}
    passed = row["health_checks_passed"]
    dns.records["api.test", A] = ["127.0.0.3", "127.0.0.1"]
    wait_until(lambda: backends(b) == {one: "healthy", three: "healthy"}, 20, "one went, another came")
    assert b.backends()[one]["health_checks_passed"] > passed, "who stays goes on where he was"
    assert {http.get(port, "/").text for _ in range(8)} == {"127.0.0.1", "127.0.0.3"}
    assert (f"app:{two}", "found", "gone") in discovery(b)
    assert len([e for e in discovery(b) if e[0] == f"app:{one}"]) == 1


def test_unknown_at_the_start(ballast, dns, at):
    """The instance starts without it, says so, and takes it when it is there; what it had it keeps."""
    behind, port = free_port(), free_port()
    at("127.0.0.1", behind)
    b = ballast(conf(port, dns, named(f"late.test:{behind}")))
    wait_until(lambda: (f"app:late.test:{behind}", "", "unresolved") in discovery(b), 20, "said")
    assert http.get(port, "/").status == 503
    assert b.backends() == {}
    dns.records["late.test", A] = ["127.0.0.1"]
    wait_until(lambda: list(backends(b).values()) == ["healthy"], 20, "there")
    assert http.get(port, "/").text == "127.0.0.1"
    del dns.records["late.test", A]
    wait_until(lambda: discovery(b)[-1] == (f"app:late.test:{behind}", "", "unresolved"), 20, "unknown again")
    asked = len(dns.asked)
    wait_until(lambda: len(dns.asked) > asked + 4, 20, "and asked again")
    assert http.get(port, "/").text == "127.0.0.1"
    assert len([e for e in discovery(b) if e[2] == "unresolved"]) == 2


def test_a_silent_name_server_blocks_nobody(ballast, dns, origin):
    dns.silent = True
    o, port = origin("b1"), free_port()
    b = ballast(conf(port, dns, f'{{ name = "b1", address = "{o.address}" }}, ' + named("slow.test:80")))
    b.wait_status("b1", "healthy")
    assert http.get(port, "/").text == "b1"
    checks = o.checks
    wait_until(lambda: o.checks > checks + 10, 20, "checks go on")


def test_addresses_of_ipv6(ballast, dns, at):
    behind, port = free_port(), free_port()
    try:
        at("::1", behind)
    except OSError:
        pytest.skip("no IPv6 here")
    dns.records["six.test", AAAA] = ["::1"]
    b = ballast(conf(port, dns, named(f"six.test:{behind}")))
    wait_until(lambda: backends(b) == {f"six.test:{behind}#::1": "healthy"}, 20)
    assert http.get(port, "/").text == "::1"


def test_service_records(ballast, dns, at):
    one, two, spare, port = free_port(), free_port(), free_port(), free_port()
    for behind in (one, two, spare):
        at("127.0.0.1", behind)
    dns.records["_http._tcp.api.test", SRV] = [(10, 5, one, "h1.test"), (10, 0, two, "h1.test"), (20, 1, spare, "h2.test")]
    dns.records["h1.test", A] = ["127.0.0.1"]
    dns.records["h2.test", A] = ["127.0.0.1"]
    b = ballast(conf(port, dns, named("srv:_http._tcp.api.test", ', name = "api"')))
    wait_until(lambda: backends(b) == {f"api#127.0.0.1:{p}": "healthy" for p in (one, two, spare)}, 20)
    rows = b.backends()
    assert [(rows[f"api#127.0.0.1:{p}"]["weight"], rows[f"api#127.0.0.1:{p}"]["backup"]) for p in (one, two, spare)] == [
        (5, False), (1, False), (1, True)]


def test_reload_and_crash_keep_state(ballast, dns, at):
    behind, port = free_port(), free_port()
    at("127.0.0.1", behind)
    dns.records["api.test", A] = ["127.0.0.1"]
    static = '{ name = "static", address = "127.0.0.1:1", health = { type = "none" } }, '
    b = ballast(conf(port, dns, static + named(f"api.test:{behind}")))
    name = f"api.test:{behind}#127.0.0.1"
    b.wait_status(name, "healthy")
    b.reload(conf(port, dns, static + named(f"api.test:{behind}", ", weight = 9"), more="keepalive = 3"))
    wait_until(lambda: b.backends()[name]["weight"] == 9, 20, "settings follow")
    before = b.table["health"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: b.table.get("health", before) != before, 20, "a new health process")
    asked = len(dns.asked)
    wait_until(lambda: len(dns.asked) > asked + 4, 20, "it looks up")
    assert [e for e in discovery(b) if e[0] == f"app:{name}"] == [(f"app:{name}", "", "found")]
    b.reload(conf(port, dns, static))
    wait_until(lambda: name not in b.backends(), 20, "no longer configured")
    assert (f"app:{name}", "found", "gone") in discovery(b)


def test_own_checks_of_a_name(ballast, dns, at):
    behind, port = free_port(), free_port()
    o = at("127.0.0.1", behind)
    o.healthy = False
    dns.records["api.test", A] = ["127.0.0.1"]
    b = ballast(conf(port, dns, named(f"api.test:{behind}", ', health = { path = "/up" }')))
    wait_until(lambda: list(backends(b).values()) == ["healthy"], 20)
