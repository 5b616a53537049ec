#!/usr/bin/python3
"""Breaks things under load and counts what clients notice.

    chaos.py [--program build/ballast] [--short] [--peers] [--only NAME]

Every kind of client (fresh, keep-alive, pipelined, slow upload, upgraded, TLS, HTTP/2, TCP tunnel, UDP session, programs with
the client library and leases, and the load generators wrk and h2load) is at work while one fault after the other fires. A row of the table is one fault: requests that succeeded, that failed, connections that were closed with a word
("Connection: close", GOAWAY; for UDP: a session that went to another backend), bodies that were wrong; then what the table of the instance says when all clients are gone: gauges that did
not come back to zero, requests that were not counted. --peers runs the same clients against Debian's nginx and HAProxy where a
fault means something there. The exit status is 1 when a goal is missed.
"""

import argparse
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "func")]

import clients  # noqa: E402
from lib import procs, tls  # noqa: E402
from lib.ballast import Ballast, binary, run as run_ballast, sanitized  # noqa: E402
from lib.net import free_port, listening  # noqa: E402
from lib.wait import poll, wait_until  # noqa: E402

WORKERS = 2
PROCESSES = WORKERS + 3  # health, admin, broker
DRAIN = 'drain_timeout = "3s"'


class Backends:
    """The origin process, which can be taken away and brought back."""

    def __init__(self, count=2):
        self.ports = [free_port() for _ in range(count)]
        self.datagrams = [free_port() for _ in range(count)]
        self.tcp = free_port()
        self.start()

    def start(self):
        ports = ["--http", *self.ports, "--tcp", self.tcp, "--udp", *self.datagrams]
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "origin.py"), *map(str, ports)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Certificates:
    """An authority, and a certificate of it in the forms that each balancer wants."""

    def __init__(self, directory):
        self.ca = tls.Authority(os.path.join(directory, "ca"))
        self.cert, self.key = self.ca.issue("chaos", ["chaos.test"])
        self.pem = os.path.join(directory, "chaos.pem")
        with open(self.pem, "w", encoding="ascii") as out:
            for path in (self.cert, self.key):
                with open(path, encoding="ascii") as part:
                    out.write(part.read())
        os.chmod(self.pem, 0o644)


def conf(ports, backends, certificates, extra="", weight=1):
    rows = ", ".join(f'{{ address = "127.0.0.1:{p}", weight = {weight + i} }}' for i, p in enumerate(backends.ports))
    pair = f'{{ cert = "{certificates.cert}", key = "{certificates.key}" }}'
    return f"""
client_leases = 16
listeners = {{
  web = {{ bind = "127.0.0.1:{ports['http']}", pool = "app" }}
  safe = {{ bind = "127.0.0.1:{ports['tls']}", pool = "app", tls = {{ certificates = ( {pair} ), alpn = [ "h2", "http/1.1" ] }} }}
  raw = {{ bind = "127.0.0.1:{ports['tcp']}", protocol = "tcp", pool = "raw" }}
  dgrams = {{ bind = "127.0.0.1:{ports['udp']}", protocol = "udp", pool = "dgrams", timeouts = {{ idle = "2s" }} }}
}}
pools = {{
  app = {{ backends = ( {rows} ), health = {{ type = "tcp", interval = "200ms" }}, passive = {{ fail_timeout = "2s" }} }}
  raw = {{ backends = [ "127.0.0.1:{backends.tcp}" ], health = {{ interval = "200ms" }}, passive = {{ fail_timeout = "2s" }} }}
  dgrams = {{ backends = [ "127.0.0.1:{backends.datagrams[0]}", "127.0.0.1:{backends.datagrams[1]}" ], health = {{ type = "none" }} }}
}}
{extra}
"""


class Scene:
    """A running instance with its clients' ports."""

    def __init__(self, directory, backends, certificates, extra=DRAIN, load=False, env=None):
        self.directory, self.backends, self.certificates, self.extra, self.load = directory, backends, certificates, extra, load
        self.ports = {kind: free_port() for kind in ("http", "tls", "tcp", "udp")}
        self.start(directory, env)

    def start(self, directory, env=None):
        self.b = Ballast(directory, self.text(), workers=WORKERS, env=env)
        wait_until(lambda: len(self.b.table) == PROCESSES)

    def text(self, weight=1):
        return conf(self.ports, self.backends, self.certificates, self.extra, weight)

    def crowd(self):
        driver = os.path.join(os.path.dirname(binary()), "tests", "func", "client_driver")
        return clients.Crowd(self.ports, self.certificates.ca, load=self.load, instance=lambda: self.b.conf_path, driver=driver)


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


def wait_checked(b):
    """Every backend that is checked is healthy."""
    wait_until(lambda: all(x["status"] == "healthy" for x in b.backends().values() if x["pool"] != "dgrams"), 20)


def backends_die(s, crowd):
    """all backends die and come back"""
    s.backends.stop()
    poll(lambda: False, 0.5)
    s.backends.start()
    wait_checked(s.b)


def oom_kill(s, crowd):
    """a worker killed for want of memory"""
    group = f"/sys/fs/cgroup/memory/ballast-chaos.{os.getpid()}"
    before = wait_until(lambda: s.b.table.get("worker 0"))
    try:
        os.mkdir(group)
    except OSError:
        raise NotTried("no memory cgroup of its own")
    try:
        for name, value in (("memory.limit_in_bytes", 16384), ("cgroup.procs", before)):
            with open(os.path.join(group, name), "w", encoding="ascii") as f:
                f.write(str(value))
        died = poll(lambda: s.b.table.get("worker 0") not in (None, before), 20)
        if not died:
            os.kill(before, signal.SIGKILL)
            wait_until(lambda: s.b.table.get("worker 0") not in (None, before), 20)
    finally:
        poll(lambda: not remove_group(group), 5.0)
    if not died:
        raise NotTried("it needed no more memory")


def remove_group(path):
    try:
        os.rmdir(path)
        return False
    except OSError:
        return os.path.exists(path)


def kill_master(s, crowd):
    """kill -9 of the master, and a start on the same ports"""
    old = s.b
    old.expect_crash = True
    s.old.append(old)
    os.kill(old.pid, signal.SIGKILL)
    old.process.wait()
    s.start(tempfile.mkdtemp(dir=s.directory))
    wait_checked(s.b)


def jump(s, crowd):
    """the wall clock jumps a day on, two back, one on"""
    for seconds in (86400, -86400, 0):
        with open(s.clock, "r+b") as f:
            f.write(struct.pack("<q", seconds))
        assert crowd.went_on()


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


class NotTried(Exception):
    """This machine does not let us."""


ANY = 10**9
TOLD = "told"  # only TLS and HTTP/2, which cannot be handed over, and datagrams, whose sessions begin anew
FLIGHT = "in flight"  # what one process held
FAULTS = [
    # fault, failed at most, closed at most
    (nothing, 0, 0),
    (reloads, 0, 0),
    (storm, 0, 0),
    (bad_file, 0, 0),
    (one_backend_flaps, 0, 0),
    (workers_up_and_down, 0, TOLD),
    (kill_role("health"), 0, 0),
    (kill_role("admin"), 0, 0),
    (kill_role("broker"), 0, 0),
    (kill_role("worker 0"), FLIGHT, ANY),
    (segfault, FLIGHT, ANY),
    (oom_kill, FLIGHT, ANY),
    (thaw, 0, 0),
    (freeze, FLIGHT, ANY),
    (no_descriptors, FLIGHT, ANY),
    (full_disk, 0, 0),
    (upgrade, 0, TOLD),
    (backends_die, ANY, ANY),
]
SHORT = ["nothing", "reloads", "storm", "kill_worker", "kill_broker", "full_disk", "upgrade"]


def too_many(crowd, what, allowed):
    """How many of `failed` or `closed` are beyond what a row allows."""
    if allowed == FLIGHT:
        allowed = sum(len(m._threads) * (16 if isinstance(m, clients.Generator) else 4) for m in crowd.members)
    if allowed == TOLD:
        return sum(getattr(m, what) for m in crowd.members if m.moves)
    return max(0, crowd.total(what) - allowed)


class Row:
    def __init__(self, name):
        self.name, self.problems, self.cells, self.by = name, [], {}, ""

    def take(self, crowd, failed_most, closed_most):
        self.cells = {k: crowd.total(k) for k in ("ok", "failed", "closed", "wrong")}
        self.by = ", ".join(f"{m.name} {m.failed}+{m.closed}" for m in crowd.members if m.failed or m.closed)
        self.texts = [t for m in crowd.members for t in m.texts[:2]]
        if too_many(crowd, "failed", failed_most):
            self.problems.append(f"{self.cells['failed']} failed: {self.texts[:3]}")
        if too_many(crowd, "closed", closed_most):
            self.problems.append(f"{self.cells['closed']} closed")
        if self.cells["wrong"]:
            self.problems.append(f"{self.cells['wrong']} wrong bodies")


def zero_gauges(b):
    """Gauges that are not zero although no client is there."""
    stats = b.admin("/lb/stats")
    left = {"active": stats["active_connections"]}
    leases = b.admin("/lb/leases")
    left.update({"leases": leases["total"], "lent": leases["connections"]})
    left.update({s["id"]: s["current_connections"] for s in stats["server_details"]})
    return {k: v for k, v in left.items() if v}


def after(row, s, total_before, crowd):
    """What the table says when everybody is gone."""
    phantom = poll(lambda: not zero_gauges(s.b), 15.0)
    if not phantom:
        row.problems.append(f"phantom gauges {zero_gauges(s.b)}")
    leases = s.b.admin("/lb/leases")
    if not leases["opened"] or not leases["died"]:
        row.problems.append(f"nobody had a lease, or was killed with one: {leases}")
    counted = s.b.admin("/lb/stats")["total_requests"] - total_before
    answered = sum(m.ok for m in crowd.members if m.counted)
    if counted < answered:
        row.problems.append(f"{answered - counted} answered requests are not counted")
    row.cells["counted"] = counted
    wait_until(lambda: len(s.b.table) == PROCESSES, 20, "all processes are there")


def run_fault(s, fault, failed_most, closed_most):
    row = Row(fault.__doc__)
    total, s.old = s.b.admin("/lb/stats")["total_requests"], []
    try:
        with s.crowd() as crowd:
            fault(s, crowd)
            if not crowd.went_on():
                row.problems.append("some clients do not go on")
        row.take(crowd, failed_most, closed_most)
        if not s.old:  # else its table is gone
            after(row, s, total, crowd)
    except NotTried as why:
        row.name += f" (not tried: {why})"
    except (AssertionError, OSError, KeyError) as error:
        row.problems.append(f"{type(error).__name__}: {str(error)[:300]}")
    return row


def resources(b, field="Pss"):
    """Descriptors and memory (kB) of all processes of an instance. Anonymous: without the table, whose rings fill up."""
    fds = pss = 0
    for pid in [b.pid, *b.table.values()]:
        fds += len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            pss += next(int(line.split()[1]) for line in f if line.startswith(field + ":"))
    return fds, pss


def show(rows, title, judged=True):
    print(f"\n{title}\n{'fault':46} {'ok':>8} {'failed':>7} {'closed':>7} {'wrong':>6}  {'goal; ' if judged else ''}whose failed+closed")
    for r in rows:
        c = r.cells
        verdict = "; ".join(r.problems) or ("met" if judged else "")
        print(f"{r.name:46} {c.get('ok', 0):8} {c.get('failed', 0):7} {c.get('closed', 0):7} {c.get('wrong', 0):6}  "
              f"{verdict}{'; ' if verdict and r.by else ''}{r.by}", flush=True)


def end_of(s):
    """Ends an instance; what it complains about, as rows."""
    rows = []
    for b in [*getattr(s, "old", []), s.b]:
        try:
            b.close()
        except AssertionError as error:
            rows.append(Row("the end"))
            rows[-1].problems.append(str(error)[-600:])
    return rows


def ballast_rows(directory, faults, certificates, load):
    backends, rows = Backends(), []
    s = Scene(directory, backends, certificates, load=load)
    try:
        rows.append(run_fault(s, *faults[0]))
        fds, pss = resources(s.b)
        rows += [run_fault(s, *fault) for fault in faults[1:]]
        end = Row("descriptors and memory afterwards")
        poll(lambda: resources(s.b)[0] <= fds + 8, 10.0)
        fds_now, pss_now = resources(s.b)
        end.name += f": {fds} -> {fds_now} fds, {pss} -> {pss_now} kB"
        grew = pss_now > pss * 1.5 + 4096 and not sanitized()  # AddressSanitizer keeps what is freed for a while
        if fds_now > fds + 8 or grew:
            end.problems.append("they grew")
        rows.append(end)
    finally:
        rows += end_of(s)
        backends.stop()
    return rows


def alone(directory, certificates, fault, allowed, prepare=None):
    """A fault with an instance of its own."""
    backends = Backends()
    place = tempfile.mkdtemp(dir=directory)
    s = Scene(place, backends, certificates, env=prepare(place) if prepare else None)
    s.clock = os.path.join(place, "clock")
    try:
        row = run_fault(s, fault, *allowed)
        return [row, *end_of(s)]
    finally:
        backends.stop()


def shifted_clock(place):
    """The environment of an instance whose wall clock a file sets."""
    library = os.path.join(place, "clock.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library, os.path.join(HERE, "clock.c"), "-ldl"], check=True)
    with open(os.path.join(place, "clock"), "wb") as f:
        f.write(struct.pack("<q", 0))
    return {"LD_PRELOAD": library, "CHAOS_CLOCK": f.name}


def many_reloads(directory, certificates, count=1000):
    """memory after 1,000 reloads as after 10"""
    row, backends = Row(many_reloads.__doc__), Backends()
    s = Scene(tempfile.mkdtemp(dir=directory), backends, certificates)
    try:
        for n in range(count):
            s.b.reload(s.text(weight=1 + n % 3))
            if n == 9:
                fds, kb = resources(s.b, "Anonymous")
        settled = poll(lambda: resources(s.b)[0] <= fds, 10.0)
        fds_now, kb_now = resources(s.b, "Anonymous")
        row.name += f": {fds} -> {fds_now} fds, {kb} -> {kb_now} kB"
        if not settled or kb_now > kb + 512:
            row.problems.append("they grew")
        row.problems += [p for r in end_of(s) for p in r.problems]
    finally:
        backends.stop()
    return row


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

    def __init__(self, directory, backends, certificates):
        self.directory, self.certificates = directory, certificates
        self.ports = {kind: free_port() for kind in self.kinds}
        self.path = os.path.join(directory, "conf")
        with open(self.path, "w", encoding="ascii") as f:
            f.write(self.text(backends))
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: all(listening(port) for port in self.ports.values()), 20)

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
    name, binary, kinds = "nginx", "/usr/sbin/nginx", ("http", "tls")  # Debian's has its stream module in a package of its own

    def text(self, backends):
        servers = " ".join(f"server 127.0.0.1:{p};" for p in backends.ports)
        return f"""
daemon off; worker_processes 2; pid {self.directory}/pid; error_log /dev/null; user root;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {self.directory}; proxy_temp_path {self.directory};
  fastcgi_temp_path {self.directory}; uwsgi_temp_path {self.directory}; scgi_temp_path {self.directory};
  map $http_upgrade $up {{ default upgrade; '' ''; }}
  upstream app {{ {servers} keepalive 32; }}
  ssl_certificate {self.certificates.cert}; ssl_certificate_key {self.certificates.key};
  server {{ listen 127.0.0.1:{self.ports['http']} reuseport; listen 127.0.0.1:{self.ports['tls']} reuseport ssl http2;
    keepalive_requests 1000000;
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection $up; proxy_set_header Upgrade $http_upgrade; }} }} }}
"""

    def command(self):
        return [self.binary, "-c", self.path, "-p", self.directory]

    def reload(self):
        old = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        poll(lambda: set(self.workers()) - old, 5.0)


class Haproxy(Peer):
    name, binary, kinds = "haproxy", "/usr/sbin/haproxy", ("http", "tls", "tcp")

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
  bind 127.0.0.1:{self.ports['http']}
  bind 127.0.0.1:{self.ports['tls']} ssl crt {self.certificates.pem} alpn h2,http/1.1
  default_backend app
listen raw
  mode tcp
  bind 127.0.0.1:{self.ports['tcp']}
  server echo 127.0.0.1:{backends.tcp}
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


def peer_rows(directory, kind, certificates):
    rows = []
    for fault in (peer_reloads, peer_kill):
        backends = Backends()
        place = tempfile.mkdtemp(dir=directory)
        peer = kind(place, backends, certificates)
        row = Row(fault.__doc__)
        try:
            with clients.Crowd(peer.ports, certificates.ca) as crowd:
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


def extra_rows(directory, certificates, options):
    """What needs an instance of its own."""
    wanted, rows = options.only or [], []
    everything = not options.only and not options.short
    if everything or "kill_master" in wanted:
        rows += alone(directory, certificates, kill_master, (ANY, ANY))
    if (everything or "jump" in wanted) and not sanitized():  # it wants to be preloaded first
        rows += alone(directory, certificates, jump, (0, 0), shifted_clock)
    if (everything or "many_reloads" in wanted) and not sanitized():
        rows.append(many_reloads(directory, certificates))
    if not options.only:
        rows.append(full_shm(directory))
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
        certificates = Certificates(directory)
        rows = ballast_rows(directory, faults, certificates, load=not options.short)
        rows += extra_rows(directory, certificates, options)
        show(rows, "ballast")
        for kind in (Nginx, Haproxy) if options.peers else ():
            if os.path.exists(kind.binary):
                show(peer_rows(directory, kind, certificates), kind.name, judged=False)
            else:
                print(f"\n{kind.name}: not installed")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if any(r.problems for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
