"""Who runs: roles in ps, pid_file, --daemon, a second instance, log files."""

import os
import pwd
import signal

import pytest

from lib import http, procs
from lib.ballast import Ballast, run
from lib.net import free_port, listening
from lib.wait import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name
CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends} }} }}
"""


def conf(port, backends, extra=""):
    return CONF.format(port=port, backends=backends.list_text) + extra


def test_every_role_has_its_title(ballast, origins):
    b = ballast(conf(free_port(), origins(2)), workers=3)
    wait_until(lambda: len(b.table) == 5, what="five children")
    assert sorted(b.table) == ["admin", "health", "worker 0", "worker 1", "worker 2"]
    assert procs.title(b.pid).startswith("ballast: master")


def test_workers_are_listed_with_their_pids(ballast, origins):
    b = ballast(conf(free_port(), origins(1)), workers=2)
    wait_until(lambda: len(b.worker_pids) == 2)
    listed = {w["pid"] for w in b.admin("/lb/workers")["workers"]}
    assert set(b.worker_pids.values()) <= listed


def test_children_hold_no_terminal_input_and_no_foreign_descriptor(ballast, origins):
    """A child has its loop, its channel, the log, the table, the generation and its sockets, and nothing of a sibling."""
    b = ballast(conf(free_port(), origins(1)), workers=4)
    wait_until(lambda: [w["state"] for w in b.admin("/lb/workers")["workers"]] == ["ready"] * 4, what="all of them serve")
    counts = {name: len(procs.descriptors(pid)) for name, pid in b.worker_pids.items()}
    assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 1, counts


def test_balances_over_all_workers(ballast, origins):
    port, three = free_port(), origins(3)
    b = ballast(conf(port, three), workers=3)
    b.wait_healthy()
    for _ in range(30):
        assert http.get(port).status == 200
    assert [o.count for o in three] == [10, 10, 10]
    b.stop()


def test_pid_file_names_the_master_and_goes_with_it(ballast, origins):
    b = ballast(conf(free_port(), origins(1)))
    with open(b.pid_path, encoding="ascii") as f:
        assert f.read() == f"{b.pid}\n"
    b.stop()
    assert not os.path.exists(b.pid_path)


def test_second_instance_on_the_same_port_is_refused(ballast, origins, tmp_path):
    port, two = free_port(), origins(2)
    first = ballast(conf(port, two))
    second = Ballast(tmp_path_dir(tmp_path, "second"), conf(port, two), wait=False)
    assert second.wait() == 1
    assert f"127.0.0.1:{port}" in second.log()
    second.stopped = True
    second.check_clean()
    for _ in range(20):
        assert http.get(port).status == 200
    assert len(first.table) == 4


def test_second_instance_with_the_same_pid_file_is_refused(ballast, origins, tmp_path):
    two = origins(2)
    first = ballast(conf(free_port(), two))
    extra = f'pid_file = "{first.pid_path}"\n'
    second = Ballast(tmp_path_dir(tmp_path, "second"), conf(free_port(), two, extra), wait=False)
    assert second.wait() == 1
    assert first.pid_path in second.log()
    second.check_clean()
    with open(first.pid_path, encoding="ascii") as f:
        assert f.read() == f"{first.pid}\n"


def tmp_path_dir(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    return path


def test_restart_at_once_on_the_same_port(ballast, origins):
    """TIME_WAIT of the predecessor's connections does not keep the port."""
    port, one = free_port(), origins(1)
    text = conf(port, one)
    for _ in range(3):
        b = ballast(text)
        with http.Client(port) as client:
            assert client.get().status == 200
            b.stop()


@pytest.fixture
def daemon(tmp_path):
    """The pid of a daemon to end whatever happens."""
    pids = []
    yield pids.append
    for pid in pids:
        if procs.alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_daemon_returns_when_it_serves(tmp_path, origins, daemon):
    port, pid_path, log = free_port(), tmp_path / "pid", tmp_path / "log"
    path = tmp_path / "ballast.conf"
    path.write_text(conf(port, origins(1)) + f'pid_file = "{pid_path}"\nlog = {{ target = "{log}" }}\n'
                    f'workers = 2\nadmin = "off"\nuser = "{ME}"\n')
    done = run("run", "-c", path, "--daemon", env={"ASAN_OPTIONS": f"log_path={tmp_path}/asan"})
    assert done.returncode == 0, done.stderr
    pid = int(pid_path.read_text())
    daemon(pid)
    assert http.get(port).status == 200
    session = procs.stat(pid)["session"]
    assert session != os.getsid(0)
    assert procs.descriptors(pid)[0] == "/dev/null"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not procs.alive(pid), 20, "the daemon ends")
    wait_until(lambda: not procs.in_session(session), what="its children end")
    assert not pid_path.exists()
    assert not os.path.exists(f"/dev/shm/ballast.{pid}")
    assert not listening(port)
    assert not list(tmp_path.glob("asan*")), "a sanitizer report"
    assert "error" not in log.read_text()


def test_daemon_that_cannot_start_says_so(tmp_path, origins):
    port = free_port()
    path = tmp_path / "ballast.conf"
    (tmp_path / "none").write_text("a file where a directory should be\n")
    path.write_text(conf(port, origins(1)) + f'pid_file = "{tmp_path}/none/pid"\nadmin = "off"\nuser = "{ME}"\n')
    done = run("run", "-c", path, "--daemon")
    assert done.returncode == 1
    assert f"{tmp_path}/none/pid" in done.stderr
    assert not listening(port)


def test_usr1_reopens_the_log_in_every_process(ballast, origins, tmp_path):
    log = tmp_path / "ballast.log"
    b = ballast(conf(free_port(), origins(1), f'log = {{ target = "{log}", level = "debug" }}\n'))
    wait_until(lambda: len(b.table) == 4)
    wait_until(lambda: "worker 0" in log.read_text(), what="a word of a worker")
    old = tmp_path / "ballast.log.1"
    log.rename(old)
    b.signal(signal.SIGUSR1)
    wait_until(log.exists, what="a new log file")

    def moved():
        for pid in [b.pid, *b.table.values()]:
            files = procs.descriptors(pid).values()
            assert str(old) not in files and str(log) in files, f"{procs.title(pid)}: {files}"
        return True

    wait_until(moved, what="every process writes to the new file")


def test_a_log_that_cannot_be_reopened_keeps_the_old_one(ballast, origins, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "ballast.log"
    port = free_port()
    b = ballast(conf(port, origins(1), f'log = {{ target = "{log}" }}\n'))
    moved = tmp_path / "moved"
    folder.rename(moved)
    b.signal(signal.SIGUSR1)
    wait_until(lambda: "reopen" in (moved / "ballast.log").read_text().lower(), what="a complaint in the old log")
    assert http.get(port).status == 200


def test_flags_instead_of_a_file(ballast, origins):
    port, admin, two = free_port(), free_port(), origins(2)
    b = ballast(argv=["run", "--listen", f"127.0.0.1:{port}", "--backend", two[0].address, "--backend",
                      f"{two[1].address},weight=3", "--algorithm", "weighted_round_robin", "--admin",
                      f"127.0.0.1:{admin}", "--workers", "2"], admin_port=admin)
    b.wait_healthy()
    for _ in range(8):
        assert http.get(port).status == 200
    assert [o.count for o in two] == [2, 6]
    assert len(b.worker_pids) == 2


def test_idle_signals_do_nothing(ballast, origins):
    port = free_port()
    b = ballast(conf(port, origins(1)))
    before = wait_until(lambda: len(b.table) == 4 and b.table)
    for number in (signal.SIGWINCH, signal.SIGPIPE, signal.SIGCHLD):
        b.signal(number)
    assert http.get(port).status == 200
    assert b.table == before
