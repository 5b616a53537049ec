"""The system around it: privileges, systemd's protocols."""

import os
import pwd
import re
import shutil
import signal
import socket

import pytest

from lib import http, procs
from lib.net import free_port
from lib.wait import Deadline, wait_until


def conf(port, backends, extra=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends.list_text} }} }}
{extra}
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give privileges away")
def test_children_give_up_every_privilege(ballast, origins):
    port = free_port()
    nobody = pwd.getpwnam("nobody")
    # LeakSanitizer cannot look into a process that changed its user.
    b = ballast(conf(port, origins(1)), user="nobody", env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert http.get(port).status == 200
    table = wait_until(lambda: len(b.table) == 4 and b.table)
    for name, pid in table.items():
        status = procs.status(pid)
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4, name
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4, name
        assert "0" not in status["Groups"].split(), name
        assert int(status["NoNewPrivs"]) == 1, name
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[kind], 16) == 0, f"{name} {kind}"
    assert procs.status(b.pid)["Uid"].split()[0] == "0"


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can give capabilities")
def test_children_have_none_of_the_masters_ambient_capabilities(ballast, origins, tmp_path):
    """As under the systemd unit: an unprivileged user who may listen on low ports."""
    nobody = pwd.getpwnam("nobody")
    for path in (tmp_path, *tmp_path.parents):
        if str(path).startswith("/tmp/") and path.stat().st_uid == 0:
            path.chmod(path.stat().st_mode | 0o55)
    text = conf(free_port(), origins(1), f'pid_file = ""\nadmin = {{ bind = "127.0.0.1:{free_port()}" }}')
    prefix = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups",
              "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service"]
    b = ballast(text, prefix=prefix, env={"ASAN_OPTIONS": "detect_leaks=0"}, wait=False)
    table = wait_until(lambda: len(b.table) == 4 and b.table)
    assert int(procs.status(b.pid)["CapEff"], 16) != 0
    for name, pid in table.items():
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(procs.status(pid)[kind], 16) == 0, f"{name} {kind}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the user")
def test_reload_and_respawn_work_without_privileges(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two), user="nobody", env={"ASAN_OPTIONS": "detect_leaks=0"})
    new = free_port()
    b.reload(conf(new, two))
    wait_until(lambda: http.get(new).status == 200)
    pid = b.table["worker 0"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: b.table.get("worker 0") not in (None, pid))
    assert procs.status(b.table["worker 0"])["Uid"].split()[0] != "0"
    for _ in range(10):
        assert http.get(new).status == 200


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the user")
def test_an_unknown_user_is_an_error(ballast, origins):
    b = ballast(conf(free_port(), origins(1)), user="no-such-user", wait=False)
    assert b.wait() == 1
    assert "no-such-user" in b.log()
    b.stopped = True


class Notify:
    """What a service manager hears."""

    def __init__(self, name):
        self.name = name
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        self.heard = []

    def wait_for(self, wanted, seconds=20.0):
        """Reads until a datagram with a line that matches; returns that datagram's lines."""
        deadline = Deadline(seconds)
        while True:
            self.sock.settimeout(max(deadline.left, 0.001))
            try:
                lines = self.sock.recv(65536).decode().split("\n")
            except socket.timeout:
                raise AssertionError(f"no {wanted} in {self.heard}")
            self.heard.append(lines)
            if any(re.fullmatch(wanted, line) for line in lines):
                return lines


@pytest.fixture(params=["path", "abstract"])
def notify(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@ballast-test-{os.getpid()}-{free_port()}"
    listener = Notify(name)
    yield listener
    listener.sock.close()


def test_sd_notify(ballast, origins, notify):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two), env={"NOTIFY_SOCKET": notify.name})
    notify.wait_for("READY=1")
    assert any(line.startswith("STATUS=") for lines in notify.heard for line in lines)
    b.reload(conf(port, type(two)(two[:1])))
    reloading = notify.wait_for("RELOADING=1")
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in reloading), "in one datagram"
    notify.wait_for("READY=1")
    b.stop()
    notify.wait_for("STOPPING=1")


def test_refused_reload_is_ready_again(ballast, origins, notify):
    port = free_port()
    b = ballast(conf(port, origins(1)), env={"NOTIFY_SOCKET": notify.name})
    notify.wait_for("READY=1")
    b.reload_refused("nonsense = 1\n", raw=True)
    notify.wait_for("RELOADING=1")
    notify.wait_for("STATUS=.*; the last reload was refused: .*1: error: .*nonsense.*")
    b.reload(conf(port, origins(1)))
    notify.wait_for(r"STATUS=Serving generation 2: \d+ workers, \d+ listeners, \d+ pools")


def test_children_do_not_inherit_the_notify_socket(ballast, origins, tmp_path):
    listener = Notify(str(tmp_path / "notify"))
    b = ballast(conf(free_port(), origins(1)), env={"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "2000000"})
    listener.wait_for("READY=1")
    listener.wait_for("WATCHDOG=1")
    b.stop()
    listener.sock.close()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_listen_fds(ballast, origins):
    """The port is bound by another program before the start, so only an inherited socket can serve it."""
    port, one = free_port(), origins(1)
    passed = [f"--setenv={name}" for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "PATH")]
    b = ballast(conf(port, one), prefix=["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=web", *passed],
                wait=False)
    response = wait_until(lambda: http.get(port, deadline=20.0), 30, "an answer on the activated socket")
    assert response.status == 200 and response.text == "b1"
    b.wait_ready()
    assert len(b.worker_pids) == 2
    for _ in range(10):
        assert http.get(port).status == 200
    b.reload(conf(port, one, extra="max_connections = 100\n"))
    assert http.get(port).status == 200
