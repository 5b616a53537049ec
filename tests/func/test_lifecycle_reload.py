"""Reload: running processes adopt the new configuration; no connection is closed; a bad file changes nothing."""

import asyncio
import signal
import threading

import pytest

from lib import http
from lib.ballast import sanitized
from lib.load import Load
from lib.net import connect, free_port, listening
from lib.wait import wait_until


def conf(port, backends, extra="", listeners="", pools=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} {listeners} }}
pools = {{ app = {{ backends = {backends.list_text} }} {pools} }}
{extra}
"""


def test_twenty_reloads_under_load(ballast, origins):
    port, three = free_port(), origins(3, keep_requests=False)
    both = type(three)(three[:2])
    b = ballast(conf(port, three))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    generation = b.generation
    with http.Client(port) as idle, Load(port, 12) as load:
        assert idle.get().status == 200
        wait_until(lambda: load.ok > 50)
        for number in range(20):
            b.reload(conf(port, both if number % 2 == 0 else three), number=[signal.SIGUSR2, signal.SIGHUP][number // 2 % 2])
            level = load.ok
            wait_until(lambda: load.ok > level + 12, what="traffic after the reload")
        assert idle.get().status == 200, "an idle connection lives on"
    assert load.failures == []
    assert load.closed == 0
    assert b.table == before, "the same processes serve"
    assert b.generation == generation + 20


def test_tcp_and_websocket_live_through_reloads(ballast, origins, tcp_echo, websocket_origin):
    import websockets

    web, raw, ws_port = free_port(), free_port(), free_port()
    echo, socket_echo, one = tcp_echo(), websocket_origin(), origins(1)

    def text(weight):
        return conf(web, one, listeners=f"""
  raw = {{ bind = "127.0.0.1:{raw}", protocol = "tcp", pool = "raw" }}
  ws = {{ bind = "127.0.0.1:{ws_port}", pool = "ws" }}""", pools=f"""
  raw = {{ backends = ( {{ address = "{echo.address}", weight = {weight} }} ) }}
  ws = {{ backends = [ "{socket_echo.address}" ], health = {{ type = "tcp" }} }}""")

    b = ballast(text(1))

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{ws_port}/") as ws:
            for number in range(5):
                await ws.send(f"message {number}")
                assert await asyncio.wait_for(ws.recv(), 10) == f"message {number}"
                await asyncio.get_running_loop().run_in_executor(None, b.reload, text(number + 2))

    with connect(raw) as sock:
        sock.sendall(b"one")
        assert sock.recv(3) == b"one"
        asyncio.run(talk())
        sock.sendall(b"two")
        assert sock.recv(3) == b"two"


def test_a_request_in_flight_keeps_its_generation(ballast, origins):
    """Its backend is removed by the reload; the answer still comes."""
    port, two = free_port(), origins(2)
    first, second = type(two)(two[:1]), type(two)(two[1:])
    b = ballast(conf(port, first))
    two[0].hold()
    with http.Client(port) as client:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: two[0].waiting == 1)
        b.reload(conf(port, second))
        assert http.get(port).text == "b2"
        two[0].release()
        assert client.read().text == "b1"
        assert client.get().text == "b2", "the next request of that connection is the new generation's"


def test_listeners_come_and_go(ballast, origins):
    old, new, one = free_port(), free_port(), origins(1)
    b = ballast(conf(old, one))
    assert not listening(new)
    b.reload(conf(old, one, listeners=f'more = {{ bind = "127.0.0.1:{new}", pool = "app" }}'))
    wait_until(lambda: http.get(new).status == 200)
    assert http.get(old).status == 200
    b.reload(conf(new, one))
    wait_until(lambda: not listening(old), what="the old port is closed")
    assert http.get(new).status == 200


def test_health_and_totals_go_on(ballast, origins):
    port, two = free_port(), origins(2)
    two[1].healthy = False
    fast = 'health = { interval = "200ms" }'
    text = f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, {fast} }} }}
"""
    b = ballast(text)
    b.wait_status(two[0].address, "healthy")
    b.wait_status(two[1].address, "unhealthy")
    for _ in range(10):
        assert http.get(port).text == "b1"
    served = two[1].count
    # The last one is counted when its last byte is sent: perhaps a moment after it arrived here.
    wait_until(lambda: b.admin("/lb/stats")["total_requests"] == 10)
    b.reload(text.replace("200ms", "10s"))
    assert b.backends()[two[1].address]["status"] == "unhealthy", "known before the first check of the new generation"
    assert b.admin("/lb/stats")["total_requests"] == 10
    for _ in range(10):
        assert http.get(port).text == "b1"
    assert two[1].count == served


BAD = [
    ("syntax", "listeners = { web = {{{ ", 1),
    ("unknown setting", 'lisenters = { }\n', 1),
    ("missing pool", 'listeners = { web = { bind = "127.0.0.1:1", pool = "gone" } }\npools = { }\n', 1),
    ("out of range", 'workers = 100000\n', 1),
]


@pytest.mark.parametrize("name,text,line", BAD, ids=[b[0] for b in BAD])
def test_a_bad_file_changes_nothing(ballast, origins, name, text, line):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    before, config = wait_until(lambda: len(b.table) == 4 and b.table), b.admin("/lb/config")
    with Load(port, 4) as load:
        wait_until(lambda: load.ok > 20)
        said = b.reload_refused(text, raw=True)
        level = load.ok
        wait_until(lambda: load.ok > level + 20)
    assert load.failures == [] and load.closed == 0
    assert f"{b.conf_path}:{line}: error:" in said
    assert b.table == before
    assert b.admin("/lb/config") == config
    b.reload(conf(port, two))


def test_a_missing_file_changes_nothing(ballast, origins):
    import os

    port = free_port()
    b = ballast(conf(port, origins(1)))
    generation, failed = b.generation, b.reloads("failed")
    os.unlink(b.conf_path)
    b.signal(signal.SIGHUP)
    wait_until(lambda: b.reloads("failed") > failed)
    assert b.generation == generation
    assert http.get(port).status == 200


def test_a_port_in_use_changes_nothing(ballast, origins):
    """A listener that cannot be opened refuses the whole generation, the possible parts included."""
    import socket

    port, taken, fine, one = free_port(), free_port(), free_port(), origins(1)
    b = ballast(conf(port, one))
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        said = b.reload_refused(conf(port, one, listeners=f"""
  fine = {{ bind = "127.0.0.1:{fine}", pool = "app" }}
  taken = {{ bind = "127.0.0.1:{taken}", pool = "app" }}"""))
    assert f"127.0.0.1:{taken}" in said
    assert not listening(fine)
    assert http.get(port).status == 200


def test_signals_in_a_burst_end_in_the_last_file(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    last = type(two)(two[1:])
    for number in range(30):
        b.write(conf(port, last if number % 2 else two))
        b.signal(signal.SIGHUP)
    wait_until(lambda: list(b.backends()) == [two[1].address], 30, "the last file serves")
    assert {http.get(port).text for _ in range(6)} == {"b2"}


def test_a_worker_killed_during_reload(ballast, origins):
    """Whatever wins, in the end all workers serve one generation and the file's."""
    import os

    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    last = type(two)(two[1:])
    b.write(conf(port, last))
    pid = wait_until(lambda: b.table.get("worker 0"))
    b.signal(signal.SIGHUP)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(b.table) == 4, 20)
    if list(b.backends()) != [two[1].address]:
        b.reload()
    wait_until(lambda: {http.get(port).text for _ in range(8)} == {"b2"}, 20)


def test_worker_count_follows_the_file(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one), workers=2)
    with Load(port, 4) as load:
        wait_until(lambda: load.ok > 20)
        b.workers = 4
        b.reload(conf(port, one))
        wait_until(lambda: sorted(b.worker_pids) == ["worker 0", "worker 1", "worker 2", "worker 3"], 20)
        level = load.ok
        wait_until(lambda: load.ok > level + 20)
    assert load.failures == [] and load.closed == 0


@pytest.mark.skipif(sanitized(), reason="an allocator that keeps what is freed")
def test_two_hundred_reloads_leave_nothing_behind(ballast, origins):
    """Generations are freed when their last request ends: memory, descriptors and maps are those of the first reloads."""
    import os

    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))

    def measure():
        out = {}
        for name, pid in {"master": b.pid, **b.table}.items():
            with open(f"/proc/{pid}/maps", encoding="ascii") as f:
                maps = sum("ballast-configuration" in line for line in f)
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                resident = int(f.read().split()[1]) * 4
            out[name] = (resident, len(os.listdir(f"/proc/{pid}/fd")), maps)
        return out

    with http.Client(port) as client:
        before = None
        for number in range(200):
            b.reload(conf(port, two, f"max_connections = {1000 + number}"))
            assert client.get().status == 200
            if number == 20:
                before = measure()

    def as_before():
        after = measure()
        for name, (resident, fds, maps) in after.items():
            assert resident <= before[name][0] + 512, f"{name}: {before[name]} -> {after[name]}"
            assert fds <= before[name][1] + 1 and maps <= before[name][2] + 1, f"{name}: {before[name]} -> {after[name]}"
        return True

    wait_until(as_before, what="the last old generation freed")


def test_reload_by_two_requests_at_once(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    answers = []

    def ask():
        answers.append(b.request("POST", "/lb/reload").status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 4 and set(answers) <= {200, 409, 503}, answers
    assert 200 in answers
    assert http.get(port).status == 200
