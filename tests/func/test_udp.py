"""protocol = "udp": sessions of datagrams, their answers, and what ends them."""

import os
import signal
import socket

import pytest

from lib.ballast import run
from lib.net import free_port
from lib.udp import UdpOrigin, ask, client
from lib.wait import wait_until


@pytest.fixture
def udp_origin():
    made = []

    def start(*args, **options):
        made.append(UdpOrigin(*args, **options))
        return made[-1]

    yield start
    for server in made:
        server.stop()


@pytest.fixture
def udp(ballast):
    def start(origins, listener="", pool="", bind="127.0.0.1", top="", **options):
        port = free_port()
        backends = ", ".join(f'{{ name = "{o.id}", address = "{o.address}" }}' for o in origins)
        instance = ballast(f"""
{top}
listeners = {{ dns = {{ bind = "{bind}:{port}", protocol = "udp", pool = "dns"{listener} }} }}
pools = {{ dns = {{ backends = ( {backends} ){pool or ', health = { type = "none" }'} }} }}
""", **options)
        instance.port = port
        return instance

    return start


def sessions(instance):
    return sum(s["current_connections"] for s in instance.admin("/lb/stats")["server_details"])


def test_there_and_back(udp, udp_origin):
    b = udp([udp_origin()])
    with client(b.port) as s:
        for data in (b"one", b"", b"x" * 1400, os.urandom(60000)):
            s.send(data)
            assert s.recv(65536) == b"b1:" + data


def test_a_session_stays_with_its_backend(udp, udp_origin):
    origins = [udp_origin(f"b{i}") for i in range(3)]
    b = udp(origins)
    seen = []
    for _ in range(6):
        with client(b.port) as s:
            names = set()
            for _ in range(5):
                s.send(b"x")
                names.add(s.recv(100))
            assert len(names) == 1
            seen += names
    assert sorted(seen) == sorted([b"b0:x", b"b1:x", b"b2:x"] * 2), "round robin over sessions"
    assert [len(o.clients) for o in origins] == [2, 2, 2]


def test_answers_go_to_the_right_client(udp, udp_origin):
    b = udp([udp_origin(), udp_origin("b2")])
    clients = [client(b.port) for _ in range(40)]
    for round_ in range(3):
        for i, s in enumerate(clients):
            s.send(f"{i}/{round_}".encode())
        for i, s in enumerate(clients):
            assert s.recv(100).endswith(f":{i}/{round_}".encode())
    for s in clients:
        s.close()


def test_answers_come_from_the_address_that_was_asked(udp, udp_origin):
    """A connected client takes datagrams from nobody else."""
    b = udp([udp_origin()], bind="*")
    for where in ("127.0.0.1", "127.0.0.7", "127.9.9.9", "::1"):
        assert ask((where, b.port)) == b"b1:?"


def test_several_answers_and_unasked_ones(udp, udp_origin):
    o = udp_origin(answer=lambda data, address: [b"1", b"2", b"3"])
    b = udp([o])
    with client(b.port) as s:
        s.send(b"x")
        assert [s.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
        o.send(b"news", o.got[0][1])
        assert s.recv(10) == b"news"


def test_responses_end_a_session(udp, udp_origin):
    o = udp_origin()
    b = udp([o], listener=", responses = 1")
    with client(b.port) as s:
        for i in range(3):
            s.send(b"x")
            assert s.recv(10) == b"b1:x"
            wait_until(lambda: sessions(b) == 0, what="the session ended with its answer")
    assert len(o.clients) == 3
    wait_until(lambda: b.metrics()['ballast_connections{listener="dns"}'] == 0, what="its place in the listener")


def test_responses_are_counted_per_datagram(udp, udp_origin):
    """Two for each: the session lasts until all are there."""
    o = udp_origin(answer=lambda data, address: None)
    b = udp([o], listener=", responses = 2")
    with client(b.port) as s:
        s.send(b"a")
        s.send(b"b")
        wait_until(lambda: len(o.got) == 2, what="both datagrams")
        backend_side = o.got[0][1]
        for i in range(4):
            assert sessions(b) == 1
            o.send(str(i).encode(), backend_side)
            assert s.recv(10) == str(i).encode()
        wait_until(lambda: sessions(b) == 0, what="the session ended")


def test_idle_sessions_end(udp, udp_origin):
    o = udp_origin()
    b = udp([o], listener=', timeouts = { idle = "2s" }')
    with client(b.port) as s:
        s.send(b"x")
        s.recv(10)
        wait_until(lambda: sessions(b) == 0, what="the session ended")
        s.send(b"x")
        assert s.recv(10) == b"b1:x"
    assert len(o.clients) == 2


def test_a_backend_that_is_not_there(udp, udp_origin):
    """ICMP says so: the same client's next datagram goes to another one."""
    gone, o = udp_origin("gone"), udp_origin()
    gone.stop()
    b = udp([gone, o])
    for _ in range(4):
        with client(b.port, timeout=0.2) as s:
            def answered():
                s.send(b"x")
                try:
                    return s.recv(10) == b"b1:x"
                except socket.timeout:
                    return False
            wait_until(answered, what="an answer of the one that is there")
    details = {s["id"].split(":")[-1]: s for s in b.admin("/lb/stats")["server_details"]}
    assert details["gone"]["failed_requests"] >= 1


def test_a_backend_that_goes_away_within_a_session(udp, udp_origin):
    first, second = udp_origin("first"), udp_origin("second")
    b = udp([first, second], pool=', balance = "first", health = { type = "none" }')
    with client(b.port) as s:
        s.send(b"x")
        assert s.recv(20) == b"first:x"
        s.settimeout(0.2)
        first.stop()

        def moved():
            s.send(b"x")
            try:
                return s.recv(20) == b"second:x"
            except socket.timeout:
                return False
        wait_until(moved, what="the session moved")


def test_no_backend_at_all(udp, udp_origin):
    o = udp_origin()
    o.stop()
    b = udp([o])
    with client(b.port, timeout=0.2) as s:
        for _ in range(3):
            s.send(b"x")
        with pytest.raises((socket.timeout, ConnectionRefusedError)):
            s.recv(10)
    o.start()
    assert ask(b.port) == b"b1:?"


@pytest.mark.parametrize("balance", ["round_robin", "weighted_round_robin", "least_connections",
                                     "weighted_least_connections", "random", "power_of_two", "first", "ip_hash",
                                     "url_hash", "consistent_hash", "maglev", "least_response_time"])
def test_algorithms(udp, udp_origin, balance):
    b = udp([udp_origin("b1"), udp_origin("b2")], pool=f', balance = "{balance}", health = {{ type = "none" }}')
    names = {ask(b.port, bind=("127.0.0.1", 0)) for _ in range(6)}
    assert names <= {b"b1:?", b"b2:?"}
    if balance in ("ip_hash", "consistent_hash", "maglev", "first"):
        assert len(names) == 1
    if "round_robin" in balance:
        assert len(names) == 2


def test_health_of_a_udp_pool(udp, udp_origin):
    """By default a udp check: who is not there gets nothing."""
    gone, o = udp_origin("gone"), udp_origin()
    gone.stop()
    b = udp([gone, o], pool=', health = { interval = "100ms", unhealthy_threshold = 1 }')
    b.wait_status("gone", "unhealthy")
    b.wait_status("b1", "healthy")
    assert [ask(b.port) for _ in range(4)] == [b"b1:?"] * 4


def test_sessions_survive_reloads(udp, udp_origin):
    origins = [udp_origin(f"b{i}") for i in range(3)]
    b = udp(origins)
    clients = [client(b.port) for _ in range(12)]
    for s in clients:
        s.send(b"x")
    names = [s.recv(100) for s in clients]
    text = open(b.conf_path, encoding="utf-8").read()
    b.reload(text.replace('name = "b2", address', 'weight = 3, name = "b2", address'))
    b.reload()
    for s, name in zip(clients, names):
        s.send(b"x")
        assert s.recv(100) == name
        s.close()
    assert sum(len(o.clients) for o in origins) == 12


@pytest.mark.parametrize("before, after", [(4, 2), (1, 3)])
def test_sessions_keep_their_backend_when_the_number_of_workers_changes(udp, udp_origin, before, after):
    origins = [udp_origin(f"b{i}") for i in range(5)]
    b = udp(origins, workers=before, pool=', balance = "random", health = { type = "none" }')
    clients = [client(b.port) for _ in range(60)]
    try:
        def homes():
            for c in clients:
                c.send(b"?")
            return [c.recv(100) for c in clients]

        first = homes()
        assert len(set(first)) > 1
        text = open(b.conf_path, encoding="ascii").read()
        b.reload(text.replace(f"workers = {before}", f"workers = {after}"))
        wait_until(lambda: [w["state"] for w in b.admin("/lb/workers")["workers"]].count("ready") == after, what="the workers to change")
        for _ in range(3):
            assert homes() == first
    finally:
        for c in clients:
            c.close()


def test_a_session_that_ended_is_forgotten(udp, udp_origin):
    """Its client may come back to another backend: it is the algorithm's turn."""
    origins = [udp_origin(f"b{i}") for i in range(3)]
    b = udp(origins, listener=", responses = 1")
    with client(b.port) as c:
        seen = set()
        for _ in range(9):
            c.send(b"?")
            seen.add(c.recv(100))
            wait_until(lambda: sessions(b) == 0, what="the session to end")
    assert len(seen) == 3


def test_clients_of_one_address_share_a_backend(udp, udp_origin):
    origins = [udp_origin(f"b{i}") for i in range(3)]
    b = udp(origins, pool=', balance = "random", sticky = { type = "client_ip" }, health = { type = "none" }')
    assert len({ask(b.port) for _ in range(30)}) == 1


def test_a_listener_that_a_reload_removes(udp, udp_origin):
    o = udp_origin()
    b = udp([o])
    other = free_port()
    with client(b.port) as s:
        s.send(b"x")
        assert s.recv(10) == b"b1:x"
        text = open(b.conf_path, encoding="utf-8").read()
        b.reload(text.replace(f":{b.port}", f":{other}"))
        assert ask(other) == b"b1:?"
        s.settimeout(0.3)
        s.send(b"x")
        with pytest.raises((socket.timeout, ConnectionRefusedError)):
            s.recv(10)
    wait_until(lambda: b.metrics()['ballast_connections{listener="dns"}'] <= 1, what="the old session ended")


def test_a_worker_that_dies_is_replaced(udp, udp_origin):
    o = udp_origin()
    b = udp([o])
    clients = [client(b.port) for _ in range(8)]
    for s in clients:
        s.send(b"x")
        assert s.recv(10) == b"b1:x"
    for pid in b.worker_pids.values():
        os.kill(pid, signal.SIGKILL)
    for s in clients:
        s.send(b"y")  # waits in the socket, which the master holds
        assert s.recv(10) == b"b1:y"
        s.close()


def test_tcp_and_udp_on_one_port(ballast, udp_origin, tcp_echo):
    port, o = free_port(), udp_origin()
    ballast(f"""
listeners = {{ dns = {{ bind = "127.0.0.1:{port}", protocol = "udp", pool = "dns" }}
               tcp = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "echo" }} }}
pools = {{ dns = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }}
           echo = {{ backends = [ "{tcp_echo(greeting=b"tcp").address}" ], health = {{ type = "none" }} }} }}
""")
    assert ask(port) == b"b1:?"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        assert s.recv(10) == b"tcp"


def test_sessions_are_bounded(udp, udp_origin):
    b = udp([udp_origin()], top="max_connections = 3", workers=1)
    clients = [client(b.port) for _ in range(3)]
    for s in clients:
        s.send(b"x")
        assert s.recv(10) == b"b1:x"
    with client(b.port, timeout=0.2) as late:
        late.send(b"x")
        with pytest.raises(socket.timeout):
            late.recv(10)
    wait_until(lambda: "no place for another session" in b.log(), what="the reason in the log")
    for s in clients:
        s.send(b"y")
        assert s.recv(10) == b"b1:y"
        s.close()


def test_a_second_instance_cannot_steal_the_port(udp, udp_origin, tmp_path):
    b = udp([udp_origin()])
    path = tmp_path / "second.conf"
    text = open(b.conf_path, encoding="utf-8").read().replace(str(b.admin_port), str(free_port()))
    path.write_text(text.replace(b.pid_path, str(tmp_path / "pid")))
    done = run("run", "-c", path)
    assert done.returncode == 1 and f"cannot listen on 127.0.0.1:{b.port}" in done.stderr, done.stderr


def test_thousands_of_sessions(udp, udp_origin):
    """Each its own, none mixed up; all ended when idle."""
    o = udp_origin()
    b = udp([o], listener=', timeouts = { idle = "3s" }',
            pool=', health = { type = "none" }').port
    socks = [client(b) for _ in range(400)]
    for at in range(0, len(socks), 50):
        for i, s in enumerate(socks[at:at + 50]):
            s.send(str(at + i).encode())
        for i, s in enumerate(socks[at:at + 50]):
            assert s.recv(20) == f"b1:{at + i}".encode()
    for s in socks:
        s.close()
    assert len(o.clients) == 400


def test_a_port_serves_a_session_with_each_backend(udp, udp_origin):
    """So a host holds more sessions than it has ports; the sessions of one backend are told apart by them all the same."""
    origins = [udp_origin(f"b{i}") for i in range(4)]
    b = udp(origins, workers=1, pool=', health = { type = "none" }')
    count, addresses = 2600, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
    clients = [client(b.port, bind=(addresses[i % 4], 0)) for i in range(count)]
    try:
        for turn in range(2):
            for at in range(0, count, 50):
                for i in range(at, at + 50):
                    clients[i].send(b"%d.%d" % (turn, i))
                for i in range(at, at + 50):
                    assert clients[i].recv(100).split(b":")[1] == b"%d.%d" % (turn, i)
        ports = [[port for _, port in o.clients] for o in origins]
        assert all(len(own) == count / 4 == len(set(own)) for own in ports)
        assert len(set(sum(ports, []))) < count, "ports are shared"
    finally:
        for c in clients:
            c.close()


class QuicServer(UdpOrigin):
    """As much of QUIC as its invariants (RFC 8999): answers an Initial with an id of its own, everything else with its name."""

    def __init__(self, id, id_bytes):
        self.ids, self.id_bytes = {}, id_bytes
        super().__init__(id, answer=self.answer_quic)

    def answer_quic(self, data, address):
        if not data[0] & 0x80:
            return b"\x40" + self.id.encode()
        theirs = data[7 + data[5]:7 + data[5] + data[6 + data[5]]]
        ours = self.ids.setdefault(theirs, os.urandom(self.id_bytes))
        return b"\xc0\0\0\0\x01" + bytes([len(theirs)]) + theirs + bytes([len(ours)]) + ours + self.id.encode()


@pytest.fixture
def call():
    """As ask(), each time from another port: those stay open."""
    used = []

    def call_once(port, data):
        used.append(client(port))
        used[-1].send(data)
        return used[-1].recv(65536)

    yield call_once
    for s in used:
        s.close()


def handshake(call, port):
    """The id by which the server wants to be called, and its name."""
    first, mine = os.urandom(8), os.urandom(8)
    answer = call(port, b"\xc0\0\0\0\x01" + bytes([8]) + first + bytes([8]) + mine + b"\0" * 1100)
    size = answer[14]
    return answer[15:15 + size], answer[15 + size:]


@pytest.mark.parametrize("id_bytes", [4, 8, 20])
def test_a_quic_client_that_moves_keeps_its_backend(udp, call, id_bytes):
    servers = [QuicServer(f"b{i}", id_bytes) for i in range(6)]
    try:
        b = udp(servers, listener=", quic = true", workers=3, pool=', balance = "random", health = { type = "none" }')
        homes = [handshake(call, b.port) for _ in range(20)]
        assert len({name for _, name in homes}) > 1
        for called, name in homes:
            for _ in range(3):
                assert call(b.port, b"\x41" + called + os.urandom(30)) == b"\x40" + name
                mine = bytes([8]) + os.urandom(8)
                answer = call(b.port, b"\xe0\0\0\0\x01" + bytes([id_bytes]) + called + mine + b"rest")
                assert answer.endswith(name), "a long header names it too"
        b.reload()
        assert all(call(b.port, b"\x41" + called + os.urandom(30)) == b"\x40" + name for called, name in homes)
    finally:
        for s in servers:
            s.stop()


def test_what_looks_like_quic_hurts_nobody(udp, udp_origin):
    """Headers that are cut, ids that are too long or unknown, and no datagram at all."""
    b = udp([udp_origin()], listener=", quic = true")
    whole = b"\xc0\0\0\0\x01" + bytes([8]) + b"a" * 8 + bytes([8]) + b"b" * 8
    for data in [whole[:n] for n in range(len(whole))] + [b"\xc0\0\0\0\0" + whole[5:], b"\xc0\0\0\0\1\xff", b"\x40", b"\x40" + b"z" * 20,
                                                          b"\xc0\0\0\0\1\0\xff" + b"x" * 300]:
        assert ask(b.port, data) == b"b1:" + data


def test_shown_in_the_api(udp, udp_origin):
    b = udp([udp_origin()])
    listener = b.admin("/lb/listeners")["listeners"][0]
    assert listener["protocol"] == "udp"


def test_mistakes_in_the_file(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("""listeners = {
  a = { bind = "unix:/run/x.sock", protocol = "udp", pool = "u" }
  b = { bind = "*:8081", protocol = "udp", pool = "u", proxy_protocol = true }
  c = { bind = "*:8082", protocol = "tcp", pool = "u", responses = 1 }
  d = { bind = "*:8083", protocol = "udp", pool = "u", trusted = [ "10.0.0.0/8" ], timeouts = { header = "1s" } }
  e = { bind = "*:8084", protocol = "udp", pool = "p", responses = -1 }
  f = { bind = "*:8084", protocol = "udp", pool = "s" }
  g = { bind = "*:8085", protocol = "udp", pool = "t" }
  h = { bind = "*:8086", protocol = "udp", pool = "q" }
  i = { bind = "*:8087", protocol = "udp", pool = "r" }
  j = { bind = "*:8088", protocol = "udp", pool = "k" }
  k = { bind = "*:8089", protocol = "udp", pool = "h" }
  l = { bind = "*:8090", protocol = "udp", pool = "m" }
  m = { bind = "*:8091", protocol = "udp", pool = "l" }
  n = { bind = "*:8092", protocol = "tcp", pool = "u", quic = true }
}
defaults = { sticky = { type = "cookie" }, queue = { size = 5 }, keepalive = 3 }
pools = { u = { backends = [ "127.0.0.1:1" ] }
          p = { backends = [ "127.0.0.1:1" ], proxy_protocol = "v2" }
          s = { backends = [ "unix:/run/y.sock" ] }
          t = { backends = [ "127.0.0.1:1" ], sticky = { type = "header", name = "X-User" } }
          q = { backends = [ "127.0.0.1:1" ], queue = { size = 10 } }
          r = { backends = [ "127.0.0.1:1" ], retry = { attempts = 7 } }
          k = { backends = [ "127.0.0.1:1" ], keepalive = 7 }
          h = { backends = [ "127.0.0.1:1" ], hash_key = "uri" }
          m = { backends = [ "127.0.0.1:1" ], timeouts = { connect = "1s" } }
          l = { backends = [ "127.0.0.1:1" ], rate_limit = { rate = "1/s" } } }
""")
    done = run("check", "-c", path)
    assert done.returncode == 1
    for want in ('2: error: listeners.a: "unix:/run/x.sock": udp needs an IP address and a port',
                 '3: error: listeners.b: "proxy_protocol" means nothing with protocol = "udp"',
                 '4: error: listeners.c: "responses" means nothing with protocol = "tcp"',
                 '5: error: listeners.d: "trusted" means nothing with protocol = "udp"',
                 '5: error: listeners.d.timeouts: "header" means nothing with protocol = "udp"',
                 '6: error: listeners.e.responses: -1 is out of range',
                 '6: error: listeners.e: pool p has proxy_protocol, which udp has not',
                 '7: error: listeners.f: "*:8084" clashes with',
                 '8: error: listeners.g: pool t has sticky that is not by client_ip, which udp has not',
                 '9: error: listeners.h: pool q has queue,', '10: error: listeners.i: pool r has retry,',
                 '11: error: listeners.j: pool k has keepalive,', '12: error: listeners.k: pool h has hash_key,',
                 '13: error: listeners.l: pool m has timeouts,', '14: error: listeners.m: pool l has rate_limit,',
                 '15: error: listeners.n: "quic" means nothing with protocol = "tcp"',
                 '20: error: pools.s: "unix:/run/y.sock" is a unix socket'):
        assert want in done.stderr, (want, done.stderr)
