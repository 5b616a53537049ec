"""Workers that leave hand over: idle connections and tunnels outlive an upgrade and a smaller number of workers, with their
bytes, their places under every limit, and their line in the access log."""

import json
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from lib import http, procs, tls
from lib.ballast import run
from lib.load import Load
from lib.net import connect, free_port
from lib.udp import UdpOrigin
from lib.wait import Deadline, wait_until

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
ASK = b"GET /up HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def echo(request, sock):
    """A script of an Origin: an upgraded connection that sends everything back."""
    sock.sendall(ANSWER)
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.fixture
def scene(ballast, origin, tcp_echo):
    """scene(): an instance with an HTTP and a TCP listener; .port, .raw, .text(...), .origin"""

    def start(web="", raw="", app="", extra="", **options):
        port, raw_port, o, e = free_port(), free_port(), origin(), tcp_echo()
        o.script["/up"] = echo

        def text(extra=extra, raw_pool="raw"):
            return f"""
listeners = {{
  web = {{ bind = "127.0.0.1:{port}", pool = "app", timeouts = {{ header = "5m" }}{web} }}
  raw = {{ bind = "127.0.0.1:{raw_port}", protocol = "tcp", pool = "{raw_pool}"{raw} }}
}}
pools = {{
  app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }}{app} }}
  {raw_pool} = {{ backends = [ "{e.address}" ], health = {{ type = "none" }} }}
}}
{extra}
"""

        b = ballast(text(), **options)
        b.port, b.raw, b.text, b.origin, b.echo = port, raw_port, text, o, e
        wait_until(lambda: len(b.worker_pids) == options.get("workers", 2))
        return b

    return start


def upgrade(b):
    done = run("upgrade", "--pid", b.pid)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{b.log()}"


def replaced(b, before):
    """Only new workers are there, as many as before."""
    wait_until(lambda: not any(procs.alive(pid) for pid in before.values()), 20, "the old workers are gone")
    wait_until(lambda: len(b.worker_pids) == len(before), 20)


def says(sock, text):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        more = sock.recv(65536)
        assert more, f"closed after {got[:60]!r}"
        got += more
    assert got == text


def upgraded(port):
    sock = connect(port)
    sock.sendall(ASK)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock


def gauges(b):
    stats = b.admin("/lb/stats")
    return stats["active_connections"], {s["id"]: s["current_connections"] for s in stats["server_details"]}


def test_idle_connections_and_tunnels_outlive_upgrades(scene, tmp_path):
    path = tmp_path / "access.log"
    log = f', access_log = {{ target = "{path}" }}'
    b = scene(web=log, raw=log)
    before = b.worker_pids
    with http.Client(b.port) as idle, http.Client(b.port) as fresh, upgraded(b.port) as ws, connect(b.raw) as tunnel:
        assert idle.get("/one").status == 200
        says(ws, b"one")
        says(tunnel, b"one")
        held = wait_until(lambda: (g := gauges(b))[0] == 4 and sum(g[1].values()) == 2 and g, what="all of them in the books")
        for text in (b"two", b"three"):
            upgrade(b)
            replaced(b, before)
            before = b.worker_pids
            wait_until(lambda: gauges(b) == held, what="each is in the books once")
            says(ws, text)
            says(tunnel, text)
            r = idle.get("/two")
            assert r.status == 200 and r.header("Connection") is None
        assert fresh.get("/first").status == 200, "its first request comes at the third program"
    wait_until(lambda: gauges(b)[0] == 0 and not any(gauges(b)[1].values()))
    wait_until(lambda: b.admin("/lb/stats")["total_requests"] == 6)
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) == 6)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ws_line, = [line for line in lines if line["path"] == "/up"]
    assert ws_line["status"] == 101 and ws_line["backend"] == b.origin.address
    assert ws_line["bytes_in"] == len(ASK) + 11 and ws_line["bytes_out"] >= 11 + len(b"HTTP/1.1 101")
    tcp_line, = [line for line in lines if line["protocol"] == "tcp"]
    assert tcp_line["bytes_in"] == tcp_line["bytes_out"] == 11 and tcp_line["pool"] == "raw"


def test_a_busy_connection_stays_open(scene):
    """The request in flight finishes at the old worker, without being told to go; the next one is the new one's."""
    b = scene()
    before = b.worker_pids
    b.origin.hold()
    with http.Client(b.port) as client:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: b.origin.waiting == 1)
        upgrade(b)
        b.origin.release()
        r = client.read()
        assert r.status == 200 and r.header("Connection") is None
        replaced(b, before)
        assert client.get().status == 200


def test_pipelined_requests_and_half_a_head_go_along(scene):
    b = scene()
    before = b.worker_pids
    b.origin.hold()
    ask = http.build_request("GET", "/x")
    with http.Client(b.port) as piped, http.Client(b.port) as half, http.Client(b.port) as stuck:
        stuck.send(ask)
        piped.send(ask + ask + ask[:10])
        half.send(ask[:-4])
        wait_until(lambda: b.origin.waiting == 2)
        upgrade(b)
        half.send(ask[-4:])
        piped.send(ask[10:])
        b.origin.release()
        assert half.read().status == 200 and stuck.read().status == 200
        assert [piped.read().status for _ in range(3)] == [200] * 3
        replaced(b, before)


def pump(sock, data, chunk):
    for at in range(0, len(data), chunk):
        sock.sendall(data[at:at + chunk])


@pytest.mark.parametrize("way", ["raw", "ws"])
def test_bytes_on_their_way_arrive_once_and_in_order(scene, way):
    """Both directions full, nobody reads, while the tunnel changes hands twice."""
    b = scene()
    before = b.worker_pids
    data = os.urandom(1 << 20) * 24
    with (connect(b.raw, 60) if way == "raw" else upgraded(b.port)) as tunnel:
        tunnel.settimeout(60)
        says(tunnel, b"begin")
        sender = threading.Thread(target=pump, args=(tunnel, data, 300_000))
        sender.start()
        name = f'ballast_received_bytes_total{{listener="{"raw" if way == "raw" else "web"}"}}'
        wait_until(lambda: b.metrics()[name] > 1_000_000, what="bytes on their way")
        for _ in range(2):
            upgrade(b)
            replaced(b, before)
            before = b.worker_pids
        got = bytearray()
        while len(got) < len(data):
            more = tunnel.recv(1 << 20)
            assert more, f"closed after {len(got)} bytes"
            got += more
        sender.join(20)
        assert bytes(got) == data
        tunnel.shutdown(socket.SHUT_WR)
        assert tunnel.recv(1) == b"", "its end arrives"
    wait_until(lambda: gauges(b)[0] == 0)


def test_a_half_closed_tunnel(scene):
    b = scene()
    before = b.worker_pids
    with connect(b.raw) as tunnel:
        says(tunnel, b"hello")
        b.echo.farewell = b"bye"
        upgrade(b)
        replaced(b, before)
        tunnel.shutdown(socket.SHUT_WR)
        rest = b""
        while more := tunnel.recv(100):
            rest += more
        assert rest == b"bye"
    wait_until(lambda: gauges(b)[0] == 0)


def served(port):
    sock = connect(port)
    try:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        if sock.recv(4096).startswith(b"HTTP/1.1 200"):
            return sock
    except ConnectionError:
        pass
    sock.close()
    return None


def test_limits_stay_exact(scene):
    """Never one more, and never one less, than before: per client, and at the backend."""
    b = scene(web=", limits = { connections_per_client = 6 }", app=", max_connections = 3")
    before = b.worker_pids
    tunnels = [upgraded(b.port) for _ in range(3)]
    idle = [served(b.port) for _ in range(4)]
    assert idle == [None] * 4, "the pool is full, answered 503 and closed by us"
    wait_until(lambda: gauges(b)[0] == 3, what="the four are gone, and only then are there three places")
    idle = [connect(b.port) for _ in range(3)]
    wait_until(lambda: gauges(b)[0] == 6)
    stop, tries = threading.Event(), []

    def press():
        while not stop.is_set():
            sock = served(b.port)
            tries.append(sock is not None)
            if sock:
                sock.close()

    thread = threading.Thread(target=press)
    thread.start()
    for _ in range(2):
        upgrade(b)
        replaced(b, before)
        before = b.worker_pids
    stop.set()
    thread.join(20)
    assert tries and not any(tries), "somebody was served over the limit"
    wait_until(lambda: gauges(b)[0] == 6, what="whoever pressed last is gone, and nobody else")
    tunnels.pop().close()
    wait_until(lambda: gauges(b)[0] == 5 and sum(gauges(b)[1].values()) == 2, what="its place at the listener and at the backend")
    sock = served(b.port)
    assert sock, "the place that became free"
    assert served(b.port) is None, "the client has six again"
    for s in [sock, *tunnels, *idle]:
        s.close()
    wait_until(lambda: gauges(b)[0] == 0)


def test_fewer_workers_close_nothing(scene):
    b = scene(workers=3)
    tunnels = [connect(b.raw) for _ in range(9)] + [upgraded(b.port) for _ in range(9)]
    clients = [http.Client(b.port) for _ in range(9)]
    for c in clients:
        assert c.get().status == 200
    held = wait_until(lambda: (g := gauges(b))[0] == 27 and sum(g[1].values()) == 18 and g, what="all of them in the books")
    with Load(b.port, 3) as load:
        b.workers = 1
        b.reload(b.text())
        wait_until(lambda: len(b.worker_pids) == 1, 20)
        level = load.ok
        wait_until(lambda: load.ok > level + 20)
    assert load.failures == []
    wait_until(lambda: gauges(b) == held)
    for t in tunnels:
        says(t, b"still here")
        t.close()
    for c in clients:
        r = c.get()
        assert r.status == 200 and r.header("Connection") is None
        c.close()
    wait_until(lambda: gauges(b)[0] == 0)


def test_into_a_new_table(scene):
    """The new version's table looks different: connections and tunnels are found there by the names of what they belong to."""
    b = scene()
    before = b.worker_pids
    with http.Client(b.port) as idle, upgraded(b.port) as ws, connect(b.raw) as tunnel:
        assert idle.get().status == 200
        says(tunnel, b"one")
        held = wait_until(lambda: (g := gauges(b))[0] == 3 and sum(g[1].values()) == 2 and g, what="all of them in the books")
        with open(f"/dev/shm/ballast.{b.pid}", "r+b") as table:
            table.seek(8)
            version, = struct.unpack("<I", table.read(4))
            table.seek(8)
            table.write(struct.pack("<I", version + 1000))
        queue_upgrade(b.pid)
        replaced(b, before)
        assert "the table was made anew" in b.log()
        wait_until(lambda: gauges(b) == held)
        says(ws, b"two")
        says(tunnel, b"two")
        assert idle.get().status == 200
    wait_until(lambda: gauges(b)[0] == 0)


def queue_upgrade(pid):
    import ctypes
    assert ctypes.CDLL(None, use_errno=True).sigqueue(pid, signal.SIGUSR2, ctypes.c_void_p(0x0B60ADED)) == 0


def test_what_the_heir_cannot_place_stays(scene):
    """The tunnel's pool is not configured any more: nobody can take it over; it has drain_timeout, the rest goes on."""
    b = scene(extra='drain_timeout = "5s"')
    before = b.worker_pids
    with connect(b.raw) as tunnel, http.Client(b.port) as idle:
        says(tunnel, b"one")
        assert idle.get().status == 200
        b.reload(b.text(raw_pool="other"))
        upgrade(b)
        says(tunnel, b"two")
        assert idle.get().status == 200
        tunnel.settimeout(30)
        assert tunnel.recv(1) == b"", "its time is over"
    replaced(b, before)
    wait_until(lambda: "refused: 1" in b.log())
    wait_until(lambda: gauges(b)[0] == 0)


def test_tls_is_told_to_go(ballast, origin, tmp_path):
    ca, port, one = tls.Authority(tmp_path / "ca"), free_port(), origin()
    cert, key = ca.issue("a", ["a.test"])
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }} }}
pools = {{ app = {{ backends = [ "{one.address}" ], health = {{ type = "none" }} }} }}
""")
    before = wait_until(lambda: len(b.worker_pids) == 2 and b.worker_pids)
    one.hold()
    with tls.connect(port, ca.context()) as sock:
        sock.sendall(http.build_request("GET", "/x"))
        wait_until(lambda: one.waiting == 1)
        upgrade(b)
        one.release()
        r = http.read_response(sock)
        assert r.status == 200 and r.header("Connection") == "close"
    replaced(b, before)


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_tls_sessions_are_resumed_after_upgrades(ballast, origin, tmp_path, version):
    """The keys of tickets go along: a client that was here before comes back without a full handshake."""
    ca, port, one = tls.Authority(tmp_path / "ca"), free_port(), origin()
    cert, key = ca.issue("a", ["a.test"])
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }} }}
pools = {{ app = {{ backends = [ "{one.address}" ], health = {{ type = "none" }} }} }}
""")
    session = tmp_path / "session"

    def handshake(*args):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "a.test", version, "-ign_eof", *args],
                              input=b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", capture_output=True, timeout=30)
        assert b"HTTP/1.1 200" in done.stdout, done.stdout + done.stderr
        return "Reused" if b"\nReused, " in done.stdout else "New"

    assert handshake("-sess_out", session) == "New" and session.stat().st_size > 0
    before = wait_until(lambda: len(b.worker_pids) == 2 and b.worker_pids)
    for _ in range(2):
        upgrade(b)
        replaced(b, before)
        before = b.worker_pids
        assert handshake("-sess_in", session) == "Reused"
    assert b.metrics()['ballast_tls_handshakes_resumed_total{listener="web"}'] == 2


@pytest.mark.parametrize("seconds", [0, 2], ids=["soon", "later"])
def test_datagrams_that_wait_for_their_answer(ballast, request, seconds):
    """The answer comes when the old worker does not listen any more, perhaps from a backend that takes its time."""
    port, hold = free_port(), threading.Event()
    slow = UdpOrigin(answer=lambda data, address: b"late:" + data if hold.wait(60) else None)
    request.addfinalizer(slow.stop)
    b = ballast(f"""
listeners = {{ dns = {{ bind = "127.0.0.1:{port}", protocol = "udp", pool = "dns" }} }}
pools = {{ dns = {{ backends = [ "{slow.address}" ], health = {{ type = "none" }} }} }}
""")
    before = wait_until(lambda: len(b.worker_pids) == 2 and b.worker_pids)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(30)
        sock.send(b"one")
        wait_until(lambda: slow.got)
        upgrade(b)
        end = Deadline(seconds)
        wait_until(lambda: end.over, what="it takes its time")
        hold.set()
        assert sock.recv(100) == b"late:one"
        sock.send(b"two")
        assert sock.recv(100) == b"late:two"
    replaced(b, before)


def test_an_heir_that_dies(scene):
    """What it had taken goes with it, as with any killed worker; the books say so at once."""
    b = scene(workers=1)
    before = b.worker_pids
    with connect(b.raw) as tunnel, http.Client(b.port) as idle:
        says(tunnel, b"one")
        assert idle.get().status == 200
        upgrade(b)
        replaced(b, before)
        heir = b.worker_pids["worker 0"]
        os.kill(heir, signal.SIGKILL)
        try:
            assert tunnel.recv(1) == b""
        except ConnectionResetError:
            pass
        wait_until(lambda: b.worker_pids.get("worker 0") not in (None, heir))
    wait_until(lambda: gauges(b)[0] == 0 and not any(gauges(b)[1].values()))
    assert http.get(b.port).status == 200


def test_many_at_once(scene):
    """More than the channel holds, and half of them in use meanwhile."""
    b = scene()
    before = b.worker_pids
    count = 300
    clients, tunnels = [], []
    for _ in range(count):
        clients.append(http.Client(b.port, timeout=30))
        tunnels.append(connect(b.raw, 30))
        assert clients[-1].get().status == 200
        says(tunnels[-1], b"one")
    upgrade(b)
    for c in clients[: count // 2]:
        assert c.get().status == 200
    replaced(b, before)
    wait_until(lambda: gauges(b)[0] == 2 * count, what="each is in the books once")
    for c, t in zip(clients, tunnels):
        assert c.get().status == 200
        says(t, b"two")
        c.close()
        t.close()
    wait_until(lambda: gauges(b)[0] == 0)
