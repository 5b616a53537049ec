"""Upgrade in place: another program takes over pid, sockets, table and what is in flight; a bad one changes nothing."""

import os
import shutil
import signal
import stat
import struct
import subprocess

import pytest

from lib import http, procs
from lib.ballast import binary, run
from lib.load import Load
from lib.net import connect, free_port
from lib.wait import wait_until


def conf(port, backends, extra="", listeners="", pools=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", timeouts = {{ header = "5m" }} }} {listeners} }}
pools = {{ app = {{ backends = {backends.list_text} }} {pools} }}
{extra}
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A copy of the program that a test may replace, as a package manager does."""
    path = tmp_path / "ballast-program"
    shutil.copy2(binary(), path)
    monkeypatch.setenv("BALLAST_BIN", str(path))
    return path


def replace(program, text=None):
    """text: a script; else the same program as a new file."""
    new = program.with_suffix(".new")
    if text is None:
        shutil.copy2(program, new)
    else:
        new.write_text(text)
    new.chmod(new.stat().st_mode | stat.S_IXUSR)
    os.replace(new, program)


def upgrade(b, status=0):
    done = run("upgrade", "--pid", b.pid)
    assert done.returncode == status, f"{done.stdout}{done.stderr}\n{b.log()}"
    return done.stdout + done.stderr


def settled(b):
    """Only the new processes are there."""
    table = b.table  # by title: old and new ones have the same
    return len(table) == len(procs.children(b.pid)) == 4 and not any(p["state"] == "draining" for p in b.admin("/lb/workers")["workers"]) and table


def test_same_pid_sockets_and_table_under_load(ballast, origins, program):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    b.wait_healthy()
    b.admin(f"/lb/backends/{two[0].address}/weight", "POST", {"weight": 7})
    b.reload()
    with Load(port, 6) as load:
        wait_until(lambda: load.ok > 30)
        for number in range(2):
            replace(program)
            said = upgrade(b)
            assert "upgraded: version" in said
            level = load.ok
            wait_until(lambda: load.ok > level + 30)
            after = wait_until(lambda: settled(b), 20)
            assert not set(after.values()) & set(before.values()), "other processes"
            before = after
    assert load.failures == [], "told to close, never cut"
    assert b.running() and b.backends()[two[0].address]["weight"] == 7
    assert b.backends()[two[0].address]["status"] == "healthy"
    wait_until(lambda: b.admin("/lb/stats")["total_requests"] == load.ok, what="every request is counted")
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0, what="every client is gone")
    assert len(b.admin("/lb/reloads")["reloads"]) == 3, "what was remembered: ours, and one before each upgrade"
    pid = b.table["worker 0"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: b.table.get("worker 0") not in (None, pid), what="children are supervised as before")
    b.reload()
    assert http.get(port).status == 200


def test_what_is_in_flight_finishes(ballast, origins, tcp_echo, program):
    port, raw, one, echo = free_port(), free_port(), origins(1), tcp_echo()
    b = ballast(conf(port, one, 'drain_timeout = "20s"', f'raw = {{ bind = "127.0.0.1:{raw}", protocol = "tcp", pool = "raw" }}',
                     f'raw = {{ backends = [ "{echo.address}" ] }}'))
    one[0].hold()
    with http.Client(port) as client, connect(raw) as tunnel, http.Client(port) as idle:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: one[0].waiting == 1)
        tunnel.sendall(b"one")
        assert tunnel.recv(3) == b"one"
        upgrade(b)
        tunnel.sendall(b"two")
        assert tunnel.recv(3) == b"two"
        one[0].release()
        assert client.read().status == 200
        assert idle.get().status == 200 and client.get().status == 200, "they go on at the new program"
        tunnel.sendall(b"end")
        assert tunnel.recv(3) == b"end"
        tunnel.close()
        wait_until(lambda: settled(b), 20)
    wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 0)


BAD = {
    "does not exist": None,
    "does not accept the file": "#!/bin/sh\necho 'ballast.conf:3: error: no such thing' >&2\nexit 1\n",
    "crashes": "#!/bin/sh\nkill -SEGV $$\n",
    "is another program": "#!/bin/sh\nexit 0\n",
    "is no program": "\x7fELF nothing\n",
}


@pytest.mark.parametrize("kind", BAD, ids=list(BAD))
def test_a_bad_program_changes_nothing(ballast, origins, program, kind):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    with http.Client(port) as client:
        assert client.get().status == 200
        shutil.move(program, str(program) + ".saved")
        if BAD[kind] is not None:
            program.write_text(BAD[kind])
            program.chmod(0o755)
        with_good = dict(os.environ, BALLAST_BIN=str(program) + ".saved")
        done = subprocess.run([str(program) + ".saved", "upgrade", "--pid", str(b.pid)], capture_output=True, text=True, timeout=60, env=with_good)
        assert done.returncode == 1, done.stdout
        assert kind != "does not accept the file" or "no such thing" in done.stderr
        assert client.get().status == 200
    wait_until(lambda: b.table == before, what="the same processes, and nobody else")
    assert [e["to"] for e in b.events() if e["kind"] == "upgrade"] == ["testing", "failed"]
    os.replace(str(program) + ".saved", program)
    b.reload()


def test_a_program_that_cannot_serve_gives_back(ballast, origins, program):
    """It passes its test, takes over, and fails: the old program takes over again, with what it served before."""
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    wait_until(lambda: len(b.table) == 4)
    b.admin(f"/lb/backends/{one[0].address}/weight", "POST", {"weight": 7})
    real = str(program) + ".real"
    shutil.copy2(program, real)
    replace(program, f"""#!/bin/sh
[ -z "$BALLAST_UPGRADE_TEST" ] && echo "nonsense = 1" > {b.conf_path}
exec {real} "$@"
""")
    with Load(port, 4) as load:
        wait_until(lambda: load.ok > 20)
        b.signal(0)
        queue_upgrade(b.pid)
        wait_until(lambda: "back to the old program" in b.log(), 20)
        level = load.ok
        wait_until(lambda: load.ok > level + 20)
        wait_until(lambda: settled(b), 20)
    assert load.failures == []
    assert b.running() and b.backends()[one[0].address]["weight"] == 7
    assert [e["to"] for e in b.events() if e["kind"] == "upgrade"] == ["testing", "failed"]
    b.reload_refused("nonsense = 1\n", raw=True)
    b.reload(conf(port, one))
    os.replace(real, program)
    upgrade(b)


REHEARSALS = {
    "aborts": ("kill -ABRT $$", "killed by signal 6"),
    "gives up": ("echo 'no such library' >&2; exit 127", "no such library"),
    "cannot start its workers": ('ulimit -n 16; exec {real} "$@"', "could not serve"),
}


@pytest.mark.parametrize("kind", REHEARSALS, ids=list(REHEARSALS))
def test_a_program_that_fails_its_rehearsal_changes_nothing(ballast, origins, program, kind):
    """It accepts the file, and breaks at the start: that shows before it takes over."""
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    real = str(program) + ".real"
    shutil.copy2(program, real)
    what, said = REHEARSALS[kind]
    replace(program, f"""#!/bin/sh
[ "$1" = check ] && exec {real} "$@"
{what.format(real=real)}
""")
    done = subprocess.run([real, "upgrade", "--pid", str(b.pid)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and said in done.stderr, done.stderr
    wait_until(lambda: b.table == before, what="the same processes, and nobody else")
    assert http.get(port).status == 200
    assert [e["to"] for e in b.events() if e["kind"] == "upgrade"] == ["testing", "failed"]
    os.replace(real, program)
    upgrade(b)
    assert len(os.listdir("/dev/shm")) >= 1 and os.path.exists(f"/dev/shm/ballast.{b.pid}")


def test_a_rehearsal_leaves_nothing_behind(ballast, origins, tmp_path, program):
    """Not the path of a unix socket, not a table, not a process, not a line in the log."""
    path, one = tmp_path / "sock", origins(1)
    b = ballast(conf(free_port(), one, listeners=f'local = {{ bind = "unix:{path}", pool = "app" }}'))
    wait_until(lambda: len(b.table) == 4)
    for _ in range(2):
        upgrade(b)
        wait_until(lambda: settled(b), 20)
        assert http.get(str(path)).status == 200
    log = b.log()
    assert log.count("event=start") == 1 and "rehearsed" not in log


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGALRM], ids=["crashes", "aborts", "hangs"])
def test_a_program_that_dies_after_it_took_over_gives_back(ballast, origins, program, number):
    """Between exec and serving: the old program is back in the same process, and nobody noticed."""
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    wait_until(lambda: len(b.table) == 4)
    b.admin(f"/lb/backends/{one[0].address}/weight", "POST", {"weight": 7})
    real = str(program) + ".real"
    shutil.copy2(program, real)
    replace(program, f"""#!/bin/sh
[ -z "$BALLAST_UPGRADE_TEST" ] && mv {b.conf_path} {b.conf_path}.saved && mkfifo {b.conf_path}
exec {real} "$@"
""")
    with Load(port, 3) as load, http.Client(port) as idle:
        assert idle.get().status == 200
        queue_upgrade(b.pid)
        wait_until(lambda: stat.S_ISFIFO(os.stat(b.conf_path).st_mode), 20)
        wait_until(lambda: int(procs.status(b.pid)["SigCgt"], 16) >> signal.SIGALRM - 1 & 1, what="it is guarded, and reads its file")
        b.signal(number)
        wait_until(lambda: "back to the old program" in b.log(), 20)
        os.replace(b.conf_path + ".saved", b.conf_path)
        level = load.ok
        wait_until(lambda: load.ok > level + 20)
        wait_until(lambda: settled(b), 20)
        assert idle.get().status == 200
    assert load.failures == []
    assert "the new program crashed" in b.log()
    assert b.running() and b.backends()[one[0].address]["weight"] == 7
    assert [e["to"] for e in b.events() if e["kind"] == "upgrade"] == ["testing", "failed"]
    b.reload(conf(port, one))
    os.replace(real, program)
    upgrade(b)


def test_a_file_that_cannot_be_served_refuses_the_upgrade(ballast, origins, program):
    """`check` does not see that a port is taken; the reload before the upgrade does."""
    import socket

    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        b.write(conf(port, one, listeners=f'taken = {{ bind = "127.0.0.1:{taken.getsockname()[1]}", pool = "app" }}'))
        assert "the reload before it failed" in upgrade(b, status=1)
    wait_until(lambda: b.table == before, what="the same processes, and nobody else")
    assert http.get(port).status == 200


def test_another_layout_makes_a_new_table(ballast, origins, program):
    """As when the new version's table looks different: health and overrides are carried over."""
    port, two = free_port(), origins(2)
    two[1].healthy = False
    text = f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, health = {{ interval = "200ms" }} }} }}
"""
    b = ballast(text)
    b.wait_status(two[0].address, "healthy")
    b.wait_status(two[1].address, "unhealthy")
    b.admin(f"/lb/backends/{two[0].address}/weight", "POST", {"weight": 7})
    b.admin("/lb/backends/add", "POST", {"host": "127.0.0.1", "port": two[0].port, "id": "extra"}, status=201)
    with open(f"/dev/shm/ballast.{b.pid}", "r+b") as table:
        table.seek(8)
        version, = struct.unpack("<I", table.read(4))
        table.seek(8)
        table.write(struct.pack("<I", version + 1000))
    with Load(port, 3) as load:
        wait_until(lambda: load.ok > 10)
        replace(program)
        os.kill(b.pid, 0)
        b.request("POST", "/lb/reload")
        queue_upgrade(b.pid)
        wait_until(lambda: settled(b) and "the table was made anew" in b.log(), 30)
        level = load.ok
        wait_until(lambda: load.ok > level + 10)
    assert load.failures == []
    backends = b.backends()
    assert backends[two[0].address]["weight"] == 7 and "extra" in backends
    assert backends[two[1].address]["status"] == "unhealthy"
    assert not os.path.exists(f"/dev/shm/ballast.{b.pid}.old")


def queue_upgrade(pid):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.sigqueue(pid, signal.SIGUSR2, ctypes.c_void_p(0x0B60ADED)) == 0


def test_by_the_api(ballast, origins, program, tmp_path):
    port, admin, one = free_port(), free_port(), origins(1)
    token = tmp_path / "token"
    token.write_text("secret\n")
    b = ballast(conf(port, one, f'admin = {{ bind = "127.0.0.1:{admin}", token_file = "{token}" }}'), admin_port=admin)
    assert b.request("POST", "/lb/upgrade").status == 401
    b.token = "secret"
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    assert b.request("POST", "/lb/upgrade").status == 202
    wait_until(lambda: not set(b.table.values()) & set(before.values()) and len(b.table) == 4, 20)
    wait_until(lambda: any(e["kind"] == "upgrade" and e["to"] == "serving" for e in b.events()))


def test_without_a_token_it_is_refused(ballast, origins):
    b = ballast(conf(free_port(), origins(1)))
    assert b.request("POST", "/lb/upgrade").status == 403


def test_daemon_and_its_pid_file(tmp_path, origins, program, ballast):
    """An instance that was started from flags upgrades, too; a second one at once is refused or done, never lost."""
    port, one = free_port(), origins(1)
    b = ballast(argv=["run", "--listen", f"127.0.0.1:{port}", "--backend", one[0].address])
    wait_until(lambda: len(b.table) >= 3)
    upgrade(b)
    assert http.get(port).status == 200
    assert procs.title(b.pid).startswith("ballast: master")
