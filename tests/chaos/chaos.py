#!/usr/bin/python3
"""Breaks things under load and counts what clients notice.

    chaos.py [--program build/ballast] [--short] [--peers] [--only NAME]

Every kind of client (fresh, keep-alive, pipelined, slow upload, upgraded, TCP tunnel) is at work while one fault after the other
fires. A row of the table is one fault: requests that succeeded, that failed, connections that were closed with a word
("Connection: close"), bodies that were wrong; then what the table of the instance says when all clients are gone: gauges that did
not come back to zero, requests that were not counted. --peers runs the same clients against Debian's nginx and HAProxy where a
fault means something there. The exit status is 1 when a goal is missed.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "func")]

import clients  # noqa: E402
from lib import procs  # noqa: E402
from lib.ballast import Ballast, binary, run as run_ballast, sanitized  # noqa: E402
from lib.net import free_port, listening  # noqa: E402
from lib.wait import poll, wait_until  # noqa: E402

WORKERS = 2


class Backends:
    """The origin process; flap() takes it away and brings it back."""

    def __init__(self, count=2):
        self.ports = [free_port() for _ in range(count)]
        self.tcp = free_port()
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "origin.py"), *map(str, self.ports), str(self.tcp)],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def conf(port, tcp_port, backends, extra="", weight=1):
    rows = ", ".join(f'{{ address = "127.0.0.1:{p}", weight = {weight + i} }}' for i, p in enumerate(backends.ports))
    return f"""
listeners = {{
  web = {{ bind = "127.0.0.1:{port}", pool = "app" }}
  raw = {{ bind = "127.0.0.1:{tcp_port}", protocol = "tcp", pool = "raw" }}
}}
pools = {{
  app = {{ backends = ( {rows} ), health = {{ type = "tcp", interval = "200ms" }} }}
  raw = {{ backends = [ "127.0.0.1:{backends.tcp}" ], health = {{ interval = "200ms" }} }}
}}
{extra}
"""


class Scene:
    """A running instance with its clients' ports."""

    def __init__(self, directory, backends, extra=""):
        self.backends, self.extra = backends, extra
        self.port, self.tcp_port = free_port(), free_port()
        self.b = Ballast(directory, self.text(), workers=WORKERS)
        wait_until(lambda: len(self.b.table) == WORKERS + 2)

    def text(self, weight=1):
        return conf(self.port, self.tcp_port, self.backends, self.extra, weight)


# ---- faults: each is told the scene and the crowd; docstrings are the names of the rows --------------------------------------


def nothing(s, crowd):
    """nothing (the baseline)"""
    assert crowd.went_on()


def reloads(s, crowd):
    """20 reloads"""
    for n in range(20):
        s.b.reload(s.text(weight=1 + n % 3))


def storm(s, crowd):
    """reload storm: 100 signals"""
    for n in range(100):
        s.b.write(s.text(weight=1 + n % 3))
        s.b.signal(signal.SIGHUP)
        poll(lambda: False, 0.005)
    s.b.write(s.text(weight=9))
    s.b.signal(signal.SIGHUP)
    wait_until(lambda: s.b.backends()[f"127.0.0.1:{s.backends.ports[0]}"]["weight"] == 9, 20)


def bad_file(s, crowd):
    """bad configuration file, 10 times"""
    for _ in range(10):
        s.b.reload_refused("nonsense = {\n", raw=True)
    s.b.reload(s.text())


def workers_up_and_down(s, crowd):
    """workers 2 -> 4 -> 2 -> 3"""
    for count in (4, 2, 3, 2):
        s.b.workers = count
        wait_until(lambda: not any(w["state"] == "draining" for w in s.b.admin("/lb/workers")["workers"]), 40)
        s.b.reload(s.text())
        wait_until(lambda: len(s.b.worker_pids) == count, 40)


def kill_role(name):
    def kill(s, crowd):
        before = wait_until(lambda: s.b.table.get(name))
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: s.b.table.get(name) not in (None, before), 20)
    kill.__name__ = "kill_" + name.split()[0]
    kill.__doc__ = f"kill -9 of {name}"
    return kill


def segfault(s, crowd):
    """SIGSEGV in a worker"""
    before = wait_until(lambda: s.b.table.get("worker 1"))
    os.kill(before, signal.SIGSEGV)
    wait_until(lambda: s.b.table.get("worker 1") not in (None, before), 20)


def freeze(s, crowd):
    """SIGSTOP of a worker for good"""
    before = wait_until(lambda: s.b.table.get("worker 0"))
    os.kill(before, signal.SIGSTOP)
    wait_until(lambda: s.b.table.get("worker 0") not in (None, before), 60)


def thaw(s, crowd):
    """SIGSTOP of a worker, SIGCONT after 0.5 s"""
    pid = wait_until(lambda: s.b.table.get("worker 1"))
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: False, 0.5)
    os.kill(pid, signal.SIGCONT)


def upgrade(s, crowd):
    """upgrade in place"""
    done = run_ballast("upgrade", "--pid", s.b.pid)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: not any(w["state"] == "draining" for w in s.b.admin("/lb/workers")["workers"]), 40)


def one_backend_flaps(s, crowd):
    """a backend disabled and enabled, 20 times"""
    name = f"app:127.0.0.1:{s.backends.ports[0]}"
    for n in range(20):
        s.b.admin(f"/lb/backends/{name}/{'disable' if n % 2 == 0 else 'enable'}", "POST")


def backends_die(s, crowd):
    """all backends die and come back"""
    s.backends.stop()
    poll(lambda: False, 0.5)
    s.backends.start()
    s.b.wait_healthy(20)


def no_descriptors(s, crowd):
    """a worker without descriptors"""
    pid = s.b.table["worker 0"]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 1, before[1]))
    poll(lambda: False, 1.0)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def full_disk(s, crowd):
    """full disk: log and state file"""
    with open(f"/proc/{s.b.pid}/limits", encoding="ascii"):
        pass
    before = resource.prlimit(s.b.pid, resource.RLIMIT_FSIZE)
    s.b.signal(signal.SIGUSR1)
    resource.prlimit(s.b.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    name = f"app:127.0.0.1:{s.backends.ports[0]}"
    for weight in (5, 6, 7):
        s.b.admin(f"/lb/backends/{name}/weight", "POST", {"weight": weight})
    poll(lambda: False, 0.5)
    resource.prlimit(s.b.pid, resource.RLIMIT_FSIZE, before)
    assert s.b.running()
    s.b.admin(f"/lb/backends/{name}/overrides", "DELETE")


# name, how many clients may fail (None: whoever was there), may a connection be closed politely, fault
ANY = 10**9
FAULTS = [
    # fault, failed at most, closed at most
    (nothing, 0, 0),
    (reloads, 0, 0),
    (storm, 0, 0),
    (bad_file, 0, 0),
    (one_backend_flaps, 0, 0),
    (workers_up_and_down, 0, 0),
    (kill_role("health"), 0, 0),
    (kill_role("admin"), 0, 0),
    (kill_role("worker 0"), "in flight", ANY),
    (segfault, "in flight", ANY),
    (thaw, 0, 0),
    (freeze, "in flight", ANY),
    (no_descriptors, "in flight", ANY),
    (full_disk, 0, 0),
    (upgrade, 0, 0),
    (backends_die, ANY, ANY),
]
SHORT = ["nothing", "reloads", "storm", "kill_worker", "full_disk", "upgrade"]


def limit_of(allowed, crowd):
    """"in flight": what one process held."""
    if allowed == "in flight":
        return sum(len(m._threads) for m in crowd.members) * 2
    return allowed


class Row:
    def __init__(self, name):
        self.name, self.problems, self.cells = name, [], {}

    def take(self, crowd, failed_most, closed_most):
        self.cells = {k: crowd.total(k) for k in ("ok", "failed", "closed", "wrong")}
        self.by = ", ".join(f"{m.name} {m.failed}" for m in crowd.members if m.failed)
        self.texts = [t for m in crowd.members for t in m.texts[:2]]
        if self.cells["failed"] > failed_most:
            self.problems.append(f"{self.cells['failed']} failed ({self.by}): {self.texts[:3]}")
        if self.cells["closed"] > closed_most:
            self.problems.append(f"{self.cells['closed']} closed")
        if self.cells["wrong"]:
            self.problems.append(f"{self.cells['wrong']} wrong bodies")


def zero_gauges(b):
    """Gauges that are not zero although no client is there."""
    stats = b.admin("/lb/stats")
    left = {"active": stats["active_connections"]}
    left.update({s["id"]: s["current_connections"] for s in stats["server_details"]})
    return {k: v for k, v in left.items() if v}


def after(row, s, total_before, crowd):
    """What the table says when everybody is gone."""
    phantom = poll(lambda: not zero_gauges(s.b), 15.0)
    if not phantom:
        row.problems.append(f"phantom gauges {zero_gauges(s.b)}")
    counted = s.b.admin("/lb/stats")["total_requests"] - total_before
    answered = sum(m.ok for m in crowd.members if not isinstance(m, clients.Tunnel))
    if counted < answered:
        row.problems.append(f"{answered - counted} answered requests are not counted")
    row.cells["counted"] = counted
    wait_until(lambda: len(s.b.table) == WORKERS + 2, 20, "all processes are there")


def run_fault(s, fault, failed_most, closed_most):
    row = Row(fault.__doc__)
    total = s.b.admin("/lb/stats")["total_requests"]
    try:
        with clients.Crowd(s.port, s.tcp_port) as crowd:
            fault(s, crowd)
            if not crowd.went_on():
                row.problems.append("some clients do not go on")
        row.take(crowd, limit_of(failed_most, crowd), limit_of(closed_most, crowd))
        after(row, s, total, crowd)
    except (AssertionError, OSError, KeyError) as error:
        row.problems.append(f"{type(error).__name__}: {str(error)[:300]}")
    return row


def resources(b):
    """Descriptors and memory (PSS, kB) of all processes of an instance."""
    fds = pss = 0
    for pid in [b.pid, *b.table.values()]:
        fds += len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            pss += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return fds, pss


def show(rows, title, judged=True):
    print(f"\n{title}\n{'fault':42} {'ok':>8} {'failed':>7} {'closed':>7} {'wrong':>6}  {'goal' if judged else 'who failed'}")
    for r in rows:
        c = r.cells
        verdict = "; ".join(r.problems) or ("met" if judged else "")
        if not r.problems and c.get("failed"):
            verdict = f"{verdict} ({r.by})".strip()
        print(f"{r.name:42} {c.get('ok', 0):8} {c.get('failed', 0):7} {c.get('closed', 0):7} {c.get('wrong', 0):6}  {verdict}", flush=True)


def ballast_rows(directory, faults):
    backends, rows = Backends(), []
    s = Scene(directory, backends, 'drain_timeout = "3s"')
    try:
        rows.append(run_fault(s, *faults[0]))
        fds, pss = resources(s.b)
        rows += [run_fault(s, *fault) for fault in faults[1:]]
        end = Row("descriptors and memory afterwards")
        poll(lambda: resources(s.b)[0] <= fds + 8, 10.0)
        fds_now, pss_now = resources(s.b)
        end.cells = {"ok": pss_now}
        end.name += f": {fds} -> {fds_now} fds, {pss} -> {pss_now} kB"
        grew = pss_now > pss * 1.5 + 4096 and not sanitized()  # AddressSanitizer keeps what is freed for a while
        if fds_now > fds + 8 or grew:
            end.problems.append("they grew")
        rows.append(end)
    finally:
        try:
            s.b.close()
        except AssertionError as error:
            rows.append(Row("the end"))
            rows[-1].problems.append(str(error)[-600:])
        backends.stop()
    return rows


def full_shm(directory):
    """full /dev/shm at the start: a message and status 1"""
    row = Row(full_shm.__doc__)
    path = os.path.join(directory, "shm.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "127.0.0.1:1" ] }} }}
admin = "off"
pid_file = ""
state_file = ""
""")
    script = 'mount -t tmpfs -o size=64k none /dev/shm && exec "$0" run -c "$1"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, binary(), path], capture_output=True, text=True, timeout=60)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        row.name += " (not tried: no right to mount)"
    elif done.returncode != 1 or "/dev/shm is full" not in done.stderr:
        row.problems.append(f"status {done.returncode}: {done.stderr[-200:]}")
    return row


# ---- peers --------------------------------------------------------------------------------------------------------


class Peer:
    """Another balancer with two workers and the same backends; reload() and victim() are its own."""

    def __init__(self, directory, backends):
        self.directory, self.port, self.tcp_port = directory, free_port(), None
        self.path = os.path.join(directory, "conf")
        with open(self.path, "w", encoding="ascii") as f:
            f.write(self.text(backends))
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: listening(self.port), 20)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for pid in procs.in_session(self.process.pid):
            os.kill(pid, signal.SIGKILL)

    def workers(self):
        return procs.children(self.process.pid)


class Nginx(Peer):
    name, binary = "nginx", "/usr/sbin/nginx"

    def text(self, backends):
        servers = " ".join(f"server 127.0.0.1:{p};" for p in backends.ports)
        return f"""
daemon off; worker_processes 2; pid {self.directory}/pid; error_log /dev/null; user root;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {self.directory}; proxy_temp_path {self.directory};
  fastcgi_temp_path {self.directory}; uwsgi_temp_path {self.directory}; scgi_temp_path {self.directory};
  map $http_upgrade $up {{ default upgrade; '' ''; }}
  upstream app {{ {servers} keepalive 32; }}
  server {{ listen 127.0.0.1:{self.port} reuseport; keepalive_requests 1000000;
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection $up; proxy_set_header Upgrade $http_upgrade; }} }} }}
"""

    def command(self):
        return [self.binary, "-c", self.path, "-p", self.directory]

    def reload(self):
        old = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        poll(lambda: set(self.workers()) - old, 5.0)


class Haproxy(Peer):
    name, binary = "haproxy", "/usr/sbin/haproxy"

    def text(self, backends):
        servers = "\n".join(f"  server b{i} 127.0.0.1:{p}" for i, p in enumerate(backends.ports))
        return f"""
global
  nbthread 1
  stats socket {self.directory}/sock expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend web
  bind 127.0.0.1:{self.port}
  default_backend app
backend app
{servers}
"""

    def command(self):
        return [self.binary, "-W", "-f", self.path, "-p", os.path.join(self.directory, "pid")]

    def reload(self):
        old = set(self.workers())
        self.process.send_signal(signal.SIGUSR2)
        poll(lambda: set(self.workers()) - old, 5.0)


def peer_reloads(peer):
    """20 reloads"""
    for _ in range(20):
        peer.reload()


def peer_kill(peer):
    """kill -9 of a worker"""
    os.kill(peer.workers()[-1], signal.SIGKILL)
    poll(lambda: False, 0.5)


def peer_rows(directory, kind):
    rows = []
    for fault in (peer_reloads, peer_kill):
        backends = Backends()
        place = tempfile.mkdtemp(dir=directory)
        peer = kind(place, backends)
        row = Row(fault.__doc__)
        try:
            with clients.Crowd(peer.port) as crowd:
                fault(peer)
                crowd.went_on(5.0)
            row.take(crowd, ANY, ANY)
        except AssertionError as error:
            row.problems.append(str(error)[:200])
        finally:
            peer.stop()
            backends.stop()
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program")
    parser.add_argument("--short", action="store_true", help="the faults that matter most, in half a minute")
    parser.add_argument("--peers", action="store_true", help="nginx and HAProxy, too")
    parser.add_argument("--only", action="append", help="these faults, by the name of their function")
    options = parser.parse_args()
    if options.program:
        os.environ["BALLAST_BIN"] = os.path.abspath(options.program)
    wanted = options.only or (SHORT if options.short else [f[0].__name__ for f in FAULTS])
    faults = [f for f in FAULTS if f[0].__name__ in ["nothing", *wanted]]
    directory = tempfile.mkdtemp(prefix="ballast-chaos.")
    os.chmod(directory, 0o755)
    try:
        rows = ballast_rows(directory, faults)
        if not options.only:
            rows.append(full_shm(directory))
        show(rows, "ballast")
        print("not simulated: a jump of the wall clock (it has no namespace of its own; everything that waits counts monotonic time)")
        for kind in (Nginx, Haproxy) if options.peers else ():
            if os.path.exists(kind.binary):
                show(peer_rows(directory, kind), kind.name, judged=False)
            else:
                print(f"\n{kind.name}: not installed")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if any(r.problems for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
