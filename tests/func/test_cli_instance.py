"""The commands for a running instance: reload, stop, quit, reopen, top, events - also when every process is dead."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import shutil
import subprocess
import tempfile
import termios
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from lib import http, procs
from lib.ballast import binary, environment, run
from lib.net import connect, free_port
from lib.wait import poll, wait_until


def conf(port, backends, more=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends} }} }}
{more}"""


@pytest.fixture
def pair(ballast, origins):
    """An instance with two origins, both healthy; b.port is its listener."""
    two = origins(2)
    port = free_port()
    b = ballast(conf(port, two.list_text))
    b.port, b.origins = port, two
    for o in two:
        b.wait_status(o.address, "healthy")
    return b


def kill_all(b):
    """The worst that can happen: no process of the instance is left."""
    b.expect_crash = True
    children = procs.children(b.pid)
    for pid in [b.pid, *children]:
        os.kill(pid, SIGKILL)
    b.process.wait()
    assert poll(lambda: not procs.in_session(b.session))


def one(b, *args):
    done = run(*args, "--pid", b.pid)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reload_reports_the_change(pair):
    pair.write(conf(pair.port, f'[ "{pair.origins[0].address}" ]'))
    before = pair.generation
    done = run("reload", "-c", pair.conf_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"reloaded: generation {before + 1}, 1 changes")
    assert pair.generation == before + 1
    assert [b["endpoint"] for b in pair.backends().values()] == [pair.origins[0].address]


def test_reload_by_pid_and_by_relative_path(pair):
    assert one(pair, "reload").startswith("reloaded: ")
    done = run("reload", "-c", "ballast.conf", cwd=pair.directory)
    assert done.returncode == 0, done.stderr


def test_refused_reload_prints_every_error(pair):
    pair.write(conf(pair.port, '[ "127.0.0.1:1" ]').replace("pool = ", "pol = ").replace("backends", "backnds"))
    before = pair.generation
    done = run("reload", "-c", pair.conf_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the old configuration keeps serving" in done.stderr
    assert f"{pair.conf_path}:2: error:" in done.stderr and f"{pair.conf_path}:3: error:" in done.stderr
    assert pair.generation == before
    assert http.get(pair.port).status == 200


def test_reload_refused_at_adoption_prints_the_event(pair):
    other = free_port()
    with connect_listener(other):
        pair.write(conf(pair.port, pair.origins.list_text).replace(f'"127.0.0.1:{pair.port}"',
                                                                   f'[ "127.0.0.1:{pair.port}", "127.0.0.1:{other}" ]'))
        done = run("reload", "-c", pair.conf_path)
    assert done.returncode == 1
    assert str(other) in done.stderr
    assert http.get(pair.port).status == 200


def connect_listener(port):
    import socket
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen()
    return s


def test_stop_waits_for_the_end(pair):
    done = run("stop", "-c", pair.conf_path)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
    pair.stopped = True
    assert pair.wait(5) == 0
    pair.check_clean()
    again = run("stop", "-c", pair.conf_path)
    assert again.returncode == 1
    assert "no instance runs with" in again.stderr


def test_quit_waits_for_what_is_in_flight(pair):
    pair.origins[0].hold()
    pair.origins[1].hold()
    with http.Client(pair.port, timeout=30) as client:
        client.send(http.build_request("GET", "/hold"))
        wait_until(lambda: sum(s["current_connections"] for s in pair.servers().values()) == 1)
        timed = run("quit", "--pid", pair.pid, "--timeout", "300ms")
        assert timed.returncode == 1
        assert "still runs" in timed.stderr
        waiting = subprocess.Popen([binary(), "quit", "--pid", str(pair.pid)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        wait_until(lambda: pair.log().count("signal QUIT") == 2, what="the second signal")
        assert waiting.poll() is None
        for o in pair.origins:
            o.release()
        assert client.read().status == 200
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, "stopped\n"), err
    pair.stopped = True
    assert pair.wait(5) == 0
    pair.check_clean()


def test_reopen(ballast, origins, tmp_path):
    log = tmp_path / "ballast.log"
    b = ballast(conf(free_port(), origins(1).list_text, f'log = {{ target = "{log}" }}'))
    os.rename(log, tmp_path / "old.log")
    done = run("reopen", "-c", b.conf_path)
    assert (done.returncode, done.stdout) == (0, "log files reopened\n"), done.stderr
    assert log.exists()
    log.unlink()
    log.mkdir()
    done = run("reopen", "-c", b.conf_path)
    assert done.returncode == 1
    assert "directory" in done.stderr
    log.rmdir()


def test_two_instances_must_be_told_apart(ballast, origins):
    first, second = (ballast(conf(free_port(), origins(1).list_text)) for _ in range(2))
    done = run("top", "--once")
    assert done.returncode == 1
    assert "several instances run" in done.stderr
    assert str(first.pid) in done.stderr and str(second.pid) in done.stderr
    for b in (first, second):
        assert f"pid {b.pid} " in run("top", "--once", "-c", b.conf_path).stdout


def test_top_once(pair):
    for _ in range(10):
        assert http.get(pair.port).status == 200
    text = one(pair, "top", "--once", "--interval", "50ms")
    assert f"pid {pair.pid} " in text and "workers 2" in text and pair.conf_path in text
    assert "pool app   2 of 2 backends usable" in text
    for o in pair.origins:
        row = next(line for line in text.splitlines() if o.address in line)
        assert " healthy " in row and row.split()[-1] == "5", row


def test_top_json_agrees_with_the_api(pair):
    for _ in range(6):
        assert http.get(pair.port).status == 200
    wait_until(lambda: pair.admin("/lb/stats")["total_requests"] == 6)
    shown, stats = json.loads(one(pair, "top", "--once", "--json", "--interval", "50ms")), pair.admin("/lb/stats")
    assert shown["running"] is True
    assert shown["generation"] == 1 and shown["workers_ready"] == 2
    assert shown["total_requests"] == stats["total_requests"]
    rows = {b["name"]: b for b in shown["pools"][0]["backends"]}
    for s in stats["server_details"]:
        row = rows[s["name"]]
        for key in ("endpoint", "status", "weight", "total_requests", "failed_requests", "current_connections", "max_connections"):
            assert row[key] == s[key], key
        assert row["response_time"].keys() == s["response_time"].keys()


def test_top_shows_the_broken_first(pair):
    name = pair.origins[1].address
    pair.admin(f"/lb/backends/{name}/disable", "POST")
    text = one(pair, "top", "--once", "--interval", "50ms")
    rows = [line for line in text.splitlines() if line.startswith("  127.0.0.1:")]
    assert rows[0].split()[:2] == [name, "maintenance"]
    assert "1 of 2 backends usable" in text


def test_top_says_why_a_backend_is_out(pair):
    one_of, other = (o.address for o in pair.origins)
    pair.admin(f"/lb/backends/{one_of}/disable", "POST")
    pair.origins[1].stop()
    pair.wait_status(other, "unhealthy", 60)
    lines = one(pair, "top", "--once", "--interval", "50ms").splitlines()
    for name, why in ((one_of, "in maintenance"), (other, "unhealthy for ")):
        row = next(i for i, line in enumerate(lines) if line.startswith(f"  {name} "))
        assert lines[row + 1].strip().startswith(why), lines
    shown = json.loads(one(pair, "top", "--once", "--json", "--interval", "50ms"))["pools"][0]["backends"]
    assert {b["name"]: b["why"] for b in shown}[one_of] == "in maintenance"


def test_top_shows_processes(pair):
    http.get(pair.port)
    wait_until(lambda: pair.admin("/lb/stats")["total_requests"] == 1, what="it is in the books")
    wait_until(lambda: all(w["state"] == "ready" for w in pair.admin("/lb/workers")["workers"]), what="all of them serve")
    shown = json.loads(one(pair, "top", "--once", "--json", "--interval", "50ms"))["processes"]
    assert [p["name"] for p in shown] == ["worker 0", "worker 1", "health", "admin"]
    assert {p["name"]: p["pid"] for p in shown} == {n: p for n, p in pair.table.items() if n != "master"}
    assert all(p["state"] == "ready" for p in shown) and sum(p["total_requests"] for p in shown) == 1
    text = one(pair, "top", "--once", "--interval", "50ms")
    assert "worker 1                 ready" in text and "!" not in text


@pytest.mark.parametrize("title, said", [("worker 1", "worker 1 (pid {}) has not moved for"), ("master", "the master is stopped")])
def test_top_shows_who_does_not_move(pair, title, said):
    pid = pair.pid if title == "master" else pair.table[title]
    os.kill(pid, SIGSTOP)
    try:
        wait_until(lambda: "! " + said.format(pid) in one(pair, "top", "--once", "--interval", "50ms"), 9)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGCONT)
    wait_until(lambda: "! " not in one(pair, "top", "--once", "--interval", "50ms"), 20)


def test_top_json_lines_until_the_instance_ends(pair):
    top = subprocess.Popen([binary(), "top", "--json", "--interval", "50ms", "--pid", str(pair.pid)],
                           stdout=subprocess.PIPE, text=True, env=environment())
    assert json.loads(top.stdout.readline())["running"] is True
    assert json.loads(top.stdout.readline())["running"] is True
    pair.stop()
    *_, last = top.communicate(timeout=20)[0].splitlines()
    assert json.loads(last)["running"] is False
    assert top.returncode == 0


def read_screen(fd, until, seconds=15):
    data = b""

    def more():
        nonlocal data
        if select.select([fd], [], [], 0.05)[0]:
            data += os.read(fd, 65536)
        return until in data

    wait_until(more, seconds, f"{until!r} on the screen")
    return data


@pytest.mark.parametrize("how", ["q", SIGINT, SIGTERM])
def test_top_on_a_terminal(pair, how):
    control, terminal = pty.openpty()
    top = subprocess.Popen([binary(), "top", "--interval", "50ms", "--pid", str(pair.pid)], stdin=terminal,
                           stdout=terminal, stderr=subprocess.PIPE, env=environment())
    os.close(terminal)
    screen = read_screen(control, b"q quits")
    assert b"\x1b[?1049h" in screen and b"pool app" in screen
    if how == "q":
        os.write(control, b"q")
    else:
        top.send_signal(how)
    read_screen(control, b"\x1b[?1049l")  # the terminal is as before
    assert top.wait(10) == 0
    os.close(control)


def on_terminal(b, rows, columns=80, **env):
    """The first screen of `ballast top` on a terminal of that size."""
    control, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    top = subprocess.Popen([binary(), "top", "--interval", "50ms", "--pid", str(b.pid)], stdin=terminal, stdout=terminal,
                           stderr=subprocess.PIPE, env=environment(env))
    os.close(terminal)
    try:
        screen = read_screen(control, b"q quits")
        os.write(control, b"q")
        read_screen(control, b"\x1b[?1049l")
        assert top.wait(10) == 0
    finally:
        top.kill()
        top.wait()
        os.close(control)
    return screen.split(b"\x1b[H", 1)[1].split(b"q quits", 1)[0].decode()


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 24])
def test_top_fits_the_screen(pair, rows):
    assert on_terminal(pair, rows).count("\n") < max(rows, 1)


def test_top_shows_pools_in_trouble_first(ballast, origins):
    """On a small screen, and every other pool still has its line."""
    good, port = origins(1)[0], free_port()
    pools = "".join(f'p{i} = {{ backends = [ "{good.address}" ] }}\n' for i in range(9))
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "p0" }} }}
pools = {{ {pools} z = {{ backends = [ "{good.address}", "127.0.0.1:1" ], health = {{ type = "none" }} }} }}
""")
    b.admin("/lb/backends/z:127.0.0.1:1/disable", "POST")
    lines = one(b, "top", "--once", "--interval", "50ms").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("pool ")] == ["z", *(f"p{i}" for i in range(9))]
    screen = on_terminal(b, 20, NO_COLOR="1")
    assert "1 of 2 backends usable" in screen and "in maintenance" in screen
    assert screen.count("1 of 1 backends usable") == 9


def test_top_without_colours(pair):
    assert "\x1b[1m" in on_terminal(pair, 24)
    assert "\x1b[1m" in on_terminal(pair, 24, NO_COLOR="")
    screen = on_terminal(pair, 24, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", screen) and "pool app" in screen


def test_top_on_a_dumb_terminal(pair):
    control, terminal = pty.openpty()
    done = subprocess.run([binary(), "top", "--interval", "50ms", "--pid", str(pair.pid)], stdin=terminal, stdout=terminal,
                          stderr=subprocess.PIPE, timeout=30, env=environment({"TERM": "dumb"}))
    os.close(terminal)
    screen = read_screen(control, b"worker 1")
    os.close(control)
    assert done.returncode == 0 and b"\x1b" not in screen and b"pool app" in screen


class Corpse:
    """A dead instance's table, kept although every start of another instance on this host removes such tables."""

    def __init__(self, b):
        self.path, self.link = f"/dev/shm/ballast.{b.pid}", f"/dev/shm/test-cli-{b.pid}"
        os.link(self.path, self.link)
        kill_all(b)

    def run(self, *args):
        """The command's outcome with the table in its place."""

        def attempt():
            before = os.stat(self.link).st_nlink
            if before == 1:
                os.link(self.link, self.path)
            done = run(*args)
            return done if os.stat(self.link).st_nlink == 2 else None

        return wait_until(attempt)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.link)


def test_everything_dead_is_still_readable(pair):
    for _ in range(8):
        assert http.get(pair.port).status == 200
    wait_until(lambda: pair.admin("/lb/stats")["total_requests"] == 8)
    with Corpse(pair) as corpse:
        done = corpse.run("top", "--once", "-c", pair.conf_path)
        assert done.returncode == 0, done.stderr
        assert "NOT RUNNING" in done.stdout and "total 8" in done.stdout
        assert json.loads(corpse.run("top", "--json", "--once", "--pid", pair.pid).stdout)["running"] is False
        events = corpse.run("events", "-f", "-c", pair.conf_path)
        assert events.returncode == 0
        assert " start " in events.stdout
        assert "does not run any more" in events.stderr
        for name in ("reload", "stop"):
            done = corpse.run(name, "--pid", pair.pid)
            assert done.returncode == 1
            assert "does not run" in done.stderr


def test_events(pair):
    name = pair.origins[0].address
    pair.admin(f"/lb/backends/{name}/disable", "POST")
    lines = one(pair, "events").splitlines()
    assert any(" health " in line and "unknown -> healthy" in line for line in lines)
    assert " admin " in lines[-1] and "enabled -> maintenance" in lines[-1]
    records = [json.loads(line) for line in one(pair, "events", "--json").splitlines()]
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert records[-1]["kind"] == "admin" and records[-1]["to"] == "maintenance"
    api = pair.events()
    assert [(r["seq"], r["time"], r["kind"], r["object"]) for r in records] == \
        [(r["seq"], r["time"], r["kind"], r["object"]) for r in api]
    since = one(pair, "events", "--json", "--since", records[-2]["seq"]).splitlines()
    assert [json.loads(line)["seq"] for line in since] == [records[-1]["seq"]]
    assert one(pair, "events", "--since", records[-1]["seq"]) == ""


def test_events_follow(pair):
    last = pair.events()[-1]["seq"]
    follow = subprocess.Popen([binary(), "events", "-f", "--json", "--since", str(last), "--pid", str(pair.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    name = pair.origins[0].address
    for verb, to in (("disable", "maintenance"), ("enable", "enabled")):
        pair.admin(f"/lb/backends/{name}/{verb}", "POST")
        assert json.loads(follow.stdout.readline())["to"] == to
    pair.stop()
    out, err = follow.communicate(timeout=20)
    assert any(json.loads(line)["kind"] == "stop" for line in out.splitlines())
    assert "ended" in err
    assert follow.returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of another user")
def test_a_table_of_somebody_else_is_not_believed(pair):
    """Everybody can write to /dev/shm: whoever puts a table there with my pid in its name must not have it signalled."""
    victim = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    fake = f"/dev/shm/ballast.{victim.pid}"
    try:
        with open(f"/dev/shm/ballast.{pair.pid}", "rb") as f, open(fake, "wb") as out:
            out.write(f.read(1 << 20))
            out.truncate(os.stat(f.name).st_size)
        os.chown(fake, 65534, 65534)
        done = run("stop", "--pid", victim.pid)
        assert done.returncode == 1
        assert "belongs to somebody else" in done.stderr
        assert victim.poll() is None
        assert str(victim.pid) not in run("reload").stderr
    finally:
        os.unlink(fake)
        victim.kill()
        victim.communicate()


@pytest.fixture
def public_directory():
    """One that other users may enter."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_an_instance_that_may_not_be_read_is_not_called_missing(pair, public_directory):
    shutil.copy(binary(), public_directory)
    for command in ("top", "events", "reload", "stop"):
        for words in (["-c", pair.conf_path], ["--pid", str(pair.pid)]):
            done = subprocess.run([public_directory / "ballast", command, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                                  user=65534, group=65534, extra_groups=[], env=environment())
            assert done.returncode == 1
            of = "" if words[0] == "-c" else str(pair.pid)  # others may run on this machine
            assert f"cannot read the table of pid {of}" in done.stderr and "Permission denied" in done.stderr, (command, words)
            assert "run as root" in done.stderr
    assert pair.running


def test_a_stopped_master_is_named_as_the_reason(pair):
    os.kill(pair.pid, SIGSTOP)
    try:
        for command in ("reload", "reopen", "stop"):
            done = run(command, "-c", pair.conf_path, "--timeout", "1500ms")
            assert done.returncode == 1
            assert "1500ms" in done.stderr and "kill -CONT" in done.stderr, done.stderr
    finally:
        os.kill(pair.pid, SIGCONT)
    assert pair.wait() == 0, "the signals wait for it"
