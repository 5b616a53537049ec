"""Records of one turn are received and sent together, as plain bytes are: in parts, several at once, with the end behind them, from
clients that leave or do not read. A worker is stopped until all of it is there. What is lost or mixed up, OpenSSL here finds."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from lib import http, procs, tls
from lib.net import connect, free_port, reset
from lib.wait import wait_until

SIZES = (0, 1, 200, 2500, 2900, 3072, 3500, 4096, 15_000, 16_384, 40_000)


class Sealed:
    """A TLS client whose records are in the hands of the test; a socket for lib.http."""

    def __init__(self, port, context, timeout=30.0):
        self.plain, self.rx, self.tx = connect(port, timeout), ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.rx, self.tx, server_hostname="a.test")
        self._until(self.tls.do_handshake)
        self.reader = http.Reader(self)

    def _until(self, step):
        while True:
            try:
                done = step()
                self.plain.sendall(self.tx.read())
                return done
            except ssl.SSLWantReadError:
                self.plain.sendall(self.tx.read())
                got = self.plain.recv(65536)
                if got:
                    self.rx.write(got)
                else:
                    self.rx.write_eof()

    def seal(self, data):
        """One record, unless there is more than fits in one."""
        self.tls.write(data)
        return self.tx.read()

    def recv(self, n):
        return self._until(lambda: self.tls.read(n))

    def settimeout(self, seconds):
        self.plain.settimeout(seconds)

    def read(self):
        return http.read_response(self, reader=self.reader, deadline=30)

    def get(self, path="/"):
        self.plain.sendall(self.seal(ask(path)))
        return self.read()


def ask(path, *headers):
    return http.build_request("GET", path, headers)


def content(n):
    return (b"0123456789abcdef" * (n // 16 + 1))[:n]


@pytest.fixture(params=["true", "false"])
def scene(ballast, origins, tmp_path, request):
    """One worker, two origins; .port, .origins, .context(), .at_once()"""
    ca, port, two = tls.Authority(tmp_path / "ca"), free_port(), origins(2, keep_requests=False)
    cert, key = ca.issue("a", ["a.test"])

    def config(together):
        return f"""
io_uring = {together}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }} }}
pools = {{ app = {{ backends = {two.list_text}, health = {{ type = "none" }}, keepalive = 100, retry = {{ on = [ "connect", "reset" ], budget = "100%" }} }} }}
"""

    b = ballast(config(request.param), workers=1)
    b.port, b.origins, b.ca, b.config = port, two, ca, config
    pid = list(b.worker_pids.values())[0]
    b.at_once = lambda: procs.stopped(pid)
    return b


def clients(scene, count, **versions):
    """Each has had an answer, and is idle."""
    context = scene.ca.context(**versions)
    made = [Sealed(scene.port, context) for _ in range(count)]
    for c in made:
        assert c.get().status == 200
    return made


def answers(scene, n):
    """So many requests wait at the origins; their answers come at once."""
    wait_until(lambda: sum(o.waiting for o in scene.origins) == n, 20, "requests at the origins")
    with scene.at_once():
        for o in scene.origins:
            o.release()
        wait_until(lambda: sum(o.waiting for o in scene.origins) == 0, 20)


def nobody_left(scene, *groups):
    for group in groups:
        for c in group:
            c.plain.close()
    wait_until(lambda: scene.metrics()['ballast_connections{listener="web"}'] == 0, 20, "nobody left")
    wait_until(lambda: scene.metrics()['ballast_pool_connections{pool="app"}'] == 0, 20, "nothing under way")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sizes_side_by_side(scene, version):
    some = clients(scene, 2 * len(SIZES), least=version, most=version)
    for turn in range(3):
        for o in scene.origins:
            o.hold()
        with scene.at_once():
            for i, c in enumerate(some):
                n = SIZES[(i + turn) % len(SIZES)]
                long = [("X-Long", "l" * min(n, 16_000))] if i % 2 else []
                c.plain.sendall(c.seal(ask(f"/bytes/{n}", *long)))
        answers(scene, len(some))
        for i, c in enumerate(some):
            n = SIZES[(i + turn) % len(SIZES)]
            assert c.read().body == content(n)
    nobody_left(scene, some)


def test_records_in_parts_and_many_at_once(scene):
    some = clients(scene, 20)
    for at in (1, 4, 5, 6, 30, -1):
        rest = []
        with scene.at_once():
            for i, c in enumerate(some):
                whole = c.seal(ask(f"/bytes/{i}"))
                c.plain.sendall(whole[:at] if i % 2 else whole)
                rest.append(whole[at:] if i % 2 else b"")
        for i, c in enumerate(some):
            if i % 2 == 0:
                assert c.read().body == content(i)
        with scene.at_once():
            for c, r in zip(some, rest):
                c.plain.sendall(r)
        for i, c in enumerate(some):
            if i % 2:
                assert c.read().body == content(i)
    # a head over several records, and several heads, and a head of more than is received at once
    with scene.at_once():
        for i, c in enumerate(some):
            head = ask(f"/bytes/{i}", *[("X-Long", "l" * 7000)] * (4 if i % 4 == 3 else 0))
            if i % 4 == 0:
                c.plain.sendall(b"".join(c.seal(head[j:j + 1]) for j in range(len(head))))
            elif i % 4 == 1:
                c.plain.sendall(b"".join(c.seal(head) for _ in range(12)))
            else:
                c.plain.sendall(c.seal(head))
    for i, c in enumerate(some):
        for _ in range(12 if i % 4 == 1 else 1):
            assert c.read().body == content(i)
    nobody_left(scene, some)


def test_ends_and_nonsense_in_the_same_turn(scene):
    """Each leaves in its own way, with a request before that or without; their neighbours are answered."""
    for turn in range(4):
        stay, go = clients(scene, 6), clients(scene, 12)
        with scene.at_once():
            for c in stay:
                c.plain.sendall(c.seal(ask("/bytes/1000")))
            for i, c in enumerate(go):
                if (i + turn) % 2:
                    c.plain.sendall(c.seal(ask("/bytes/2000")))
                if i % 6 == 0:
                    c.plain.sendall(os.urandom(100))
                elif i % 6 == 1:
                    c.plain.sendall(c.seal(b"x")[:-1] + b"\0")
                elif i % 6 == 2:
                    reset(c.plain)
                elif i % 6 == 3:
                    c.plain.close()
                elif i % 6 == 4:
                    with contextlib.suppress(ssl.SSLError):
                        c.tls.unwrap()  # close_notify
                    c.plain.sendall(c.tx.read())
                else:
                    c.plain.shutdown(socket.SHUT_WR)
        for c in stay:
            assert c.read().body == content(1000)
            assert c.get("/bytes/10").body == content(10)
        nobody_left(scene, stay, go)


def test_who_does_not_read_gets_everything_later(scene):
    """Two requests at a time until an answer does not fit any more, which is found when the batch is sent."""
    some, other = clients(scene, 2), clients(scene, 1)[0]
    sent, seen = 0, 'ballast_requests_received_total{listener="web"}'
    before = scene.metrics()[seen]

    def answered():
        return scene.metrics()[seen] >= before + 3 * sent and scene.metrics()['ballast_pool_connections{pool="app"}'] == 0

    while True:
        assert sent < 5000, "socket buffers without an end"
        for c in (*some, other):
            c.plain.sendall(c.seal(ask("/bytes/2900")))
        sent += 1
        other.read()
        if sent % 100 == 0:
            try:
                wait_until(answered, 2)
            except AssertionError:
                break
    reset(some[0].plain)
    assert [some[1].read().body == content(2900) for _ in range(sent)] == [True] * sent
    assert some[1].get("/bytes/5").body == content(5)
    nobody_left(scene, some, [other])


def test_a_stop_waits_for_who_reads_late(scene):
    """The end of the answers is on its way, and close_notify behind it."""
    one = clients(scene, 1)[0]
    for _ in range(100):
        assert one.get("/bytes/2900").status == 200
    with scene.at_once():
        one.plain.sendall(one.seal(ask("/bytes/2900")))
    scene.signal(signal.SIGTERM)
    assert one.read().body == content(2900)
    assert one.recv(1) == b""
    assert scene.wait() == 0
    scene.stopped = True


def test_on_and_off_under_load(scene):
    stop, failed, done = threading.Event(), [], [0]
    context = scene.ca.context()

    def client(i):
        try:
            c = Sealed(scene.port, context)
            while not stop.is_set():
                if c.get(f"/bytes/{100 * i}").body != content(100 * i):
                    failed.append(i)
                done[0] += 1
            c.plain.close()
        except (OSError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for together in ("true", "false", "true", "false"):
        level = done[0]
        scene.reload(scene.config(together))
        wait_until(lambda: done[0] > level + 100, what="traffic")
    stop.set()
    for t in threads:
        t.join(30)
    assert failed == []


class Command:
    """openssl s_client, for what Python's TLS cannot do."""

    def __init__(self, scene, *options):
        self.process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{scene.port}", "-servername", "a.test", *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen, self.reading = b"", threading.Thread(target=self._read)
        self.reading.start()

    def _read(self):
        for part in iter(lambda: self.process.stdout.read1(65536), b""):
            self.seen += part

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reading.join(10)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def command(scene):
    made = []

    def start(*options):
        made.append(Command(scene, *options))
        return made[-1]

    yield start
    for c in made:
        c.end()


def test_new_keys_in_between(scene, command):
    """The client changes its keys and asks for others of ours, which go before the next answer."""
    some, one = clients(scene, 3), command()
    wait_until(lambda: b"read R BLOCK" in one.seen or b"Verify return code" in one.seen, what="a handshake")
    for turn in range(5):
        with scene.at_once():
            one.say(ask(f"/bytes/{50 + turn}"))
            for c in some:
                c.plain.sendall(c.seal(ask("/bytes/3000")))
        wait_until(lambda: content(50 + turn) in one.seen, what="an answer")
        for c in some:
            assert c.read().body == content(3000)
        with scene.at_once():
            one.say(b"K\n")
            wait_until(lambda: one.seen.count(b"KEYUPDATE") == turn + 1, what="a change of keys")
            for c in some:
                c.plain.sendall(c.seal(ask("/bytes/10")))
        for c in some:
            assert c.read().body == content(10)
    one.end()
    nobody_left(scene, some)


def test_small_fragments(scene, command):
    """Who asks for records of 512 bytes gets an answer in several."""
    some, one = clients(scene, 3), command("-quiet", "-maxfraglen", "512", "-ign_eof")
    for n in (3000, 100, 2800, 600):
        for o in scene.origins:
            o.hold()
        one.say(ask(f"/bytes/{n}"))
        for c in some:
            c.plain.sendall(c.seal(ask("/bytes/100")))
        before = one.seen
        answers(scene, 4)
        wait_until(lambda: one.seen[len(before):].endswith(content(n)), what="an answer")
        for c in some:
            assert c.read().body == content(100)
