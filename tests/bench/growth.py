#!/usr/bin/python3
"""What grows and what does not: ballast with many backends, routes, connections and reloads.

    tests/bench/growth.py [--build DIR] [--seconds S] [--only backends,routes,certificates,connections,idle,reloads] [--json] [--short]

One worker on core 0; wrk and the origin are on core 1. Backends are addresses of 127.0.0.0/8 with one origin behind them.
us/request is processor time, user and system, of all processes of ballast. A handshake is a full one with a name that
was not asked for before (cold) or was (warm), by a client in Python. --short: small sizes, a second each.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/func"))
from lib import procs  # noqa: E402
from lib.certs import Authority  # noqa: E402
CONF = """
workers = {workers}
user = "{user}"
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = {{ bind = "127.0.0.1:{admin}" }}
listeners = {{ web = {{ bind = "127.0.0.1:{http}", routes = ( {routes} ) }}{tls} }}
pools = {{ app = {{
    balance = "{algorithm}", health = {{ type = "none" }}, keepalive = 10000
    backends = ( {backends} )
}} }}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are (default: build)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run of wrk")
    parser.add_argument("--only", default="backends,routes,certificates,connections,idle,reloads")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--short", action="store_true")
    return parser.parse_args()


class Bench:
    """Where the programs are, and one origin for all runs."""

    def __init__(self, args, directory, stack):
        allowed = sorted(os.sched_getaffinity(0))
        self.build, self.directory, self.seconds = os.path.join(ROOT, args.build), directory, 1 if args.short else args.seconds
        self.short, self.cores, self.origin = args.short, (allowed[0], allowed[-1]), proxies.free_port()
        program = proxies.Program("origin", [f"{self.build}/tests/bench/origin", str(self.origin)], [self.origin],
                                  self.cores[1], os.path.join(directory, "origin.log"))
        stack.callback(program.stop)
        program.wait_ready()

    def sizes(self, *many):
        return [n for n in many if n <= 100] if self.short else many

    def wrk(self, ballast, connections=64, seconds=None):
        """wrk's figures, and us_per_request."""
        before = sum(measure.cpu_s(ballast.pid))
        done = measure.wrk(f"http://127.0.0.1:{ballast.http}/", connections, seconds or self.seconds, [],
                           proxies.pinned(self.cores[1]))
        done["us_per_request"] = 1e6 * (sum(measure.cpu_s(ballast.pid)) - before) / max(done["requests"], 1)
        return done


class Ballast:
    """One instance; a context manager."""

    def __init__(self, bench, backends=1, routes=0, algorithm="round_robin", workers=1, certificates=()):
        self.bench, self.http, self.admin, self.https = bench, proxies.free_port(), proxies.free_port(), proxies.free_port()
        listed = ", ".join(f'{{ address = "127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{bench.origin}", max_connections = 20000 }}'
                           for i in range(backends))
        rules = ", ".join(f'{{ host = "h{i % 100}.test", path = "/p{i}/", pool = "app" }}' for i in range(routes))
        rules = rules + ', { pool = "app" }' if rules else '{ pool = "app" }'
        self.path = os.path.join(bench.directory, "ballast.conf")
        self.fields = dict(dir=bench.directory, user=proxies.user_name(), admin=self.admin, http=self.http, workers=workers,
                           algorithm=algorithm, backends=listed, routes=rules)
        self.write(certificates)

    def write(self, certificates):
        pairs = ", ".join(f'{{ pem = "{path}" }}' for path in certificates)
        tls = f'\nsafe = {{ bind = "127.0.0.1:{self.https}", pool = "app", tls = {{ certificates = ( {pairs} ) }} }}' if pairs else ""
        with open(self.path, "w", encoding="ascii") as f:
            f.write(CONF.format(tls=tls, **self.fields))

    def __enter__(self):
        command = [f"{self.bench.build}/ballast", "run", "-c", self.path]
        began = time.monotonic()
        self.program = proxies.Program("ballast", command, [self.http, self.admin], self.bench.cores[0],
                                       os.path.join(self.bench.directory, "ballast.log")).wait_ready()
        self.start_ms = 1e3 * (time.monotonic() - began)
        self.pid = self.program.pid
        return self

    def __exit__(self, *_):
        self.program.stop()

    def ask(self, method, path):
        """Milliseconds that the admin took, and what it answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        began = time.monotonic()
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        took = 1e3 * (time.monotonic() - began)
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {body[:500]}")
        return took, body


    def successor_ms(self):
        """How long it takes the master to put another worker in the place of one that is killed."""
        def worker():
            return next((p for p in procs.children(self.pid) if procs.title(p) == "ballast: worker 0"), None)

        old, began = worker(), time.monotonic()
        os.kill(old, signal.SIGKILL)
        while worker() in (old, None):
            if time.monotonic() - began > 60:
                raise RuntimeError("no successor")
        return 1e3 * (time.monotonic() - began)


def best(measured, times=3):
    return min(measured() for _ in range(times))


class Watcher:
    """One client that asks without a pause and remembers its longest wait."""

    def __init__(self, ballast):
        self.port, self.longest_ms, self.stop = ballast.http, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            while not self.stop.is_set():
                began = time.monotonic()
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if not s.recv(65536).endswith(b"x"):
                    raise RuntimeError("an answer in pieces")
                self.longest_ms = max(self.longest_ms, 1e3 * (time.monotonic() - began))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30.0)


def with_backends(bench):
    for algorithm in ("round_robin", "least_connections"):
        for n in bench.sizes(10, 100, 1000, 10000):
            with Ballast(bench, backends=n, algorithm=algorithm) as b:
                bench.wrk(b, seconds=1 if n < 10000 else 3)  # opens what will be pooled
                run = bench.wrk(b)
                with Watcher(b) as w:
                    reload_ms = best(lambda: b.ask("POST", "/lb/reload")[0])
                yield {"algorithm": algorithm, "backends": n, "us/request": run["us_per_request"], "failed": run["failed"],
                       "start ms": b.start_ms, "reload ms": reload_ms, "longest wait ms": w.longest_ms,
                       "/metrics ms": best(lambda: b.ask("GET", "/metrics")[0]), "PSS kB": measure.pss_kb(b.pid)}


def with_routes(bench):
    for n in bench.sizes(10, 100, 1000, 10000):
        with Ballast(bench, routes=n) as b:
            bench.wrk(b, seconds=1)
            run = bench.wrk(b)
            yield {"routes": n, "us/request": run["us_per_request"], "failed": run["failed"], "start ms": b.start_ms,
                   "reload ms": best(lambda: b.ask("POST", "/lb/reload")[0]), "PSS kB": measure.pss_kb(b.pid)}


def handshakes_us(ballast, names):
    """Processor time of ballast for a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    before = sum(measure.cpu_s(ballast.pid))
    for name in names:
        with socket.create_connection(("127.0.0.1", ballast.https)) as s:
            context.wrap_socket(s, server_hostname=name).close()
    return 1e6 * (sum(measure.cpu_s(ballast.pid)) - before) / len(names)


def all_new(ballast, paths, others):
    """Milliseconds of a reload in which every certificate is another one, and of the master's answer to a crash in such a reload."""
    ballast.write(others)
    new_ms = ballast.ask("POST", "/lb/reload")[0]
    ballast.write(paths)
    os.kill(ballast.pid, signal.SIGUSR2)
    return new_ms, ballast.successor_ms()


def with_certificates(bench):
    authority = Authority(pathlib.Path(bench.directory))
    paths, others = ([authority.issue(f"h{i}.test", days=days) for i in range(max(bench.sizes(10, 10000)))] for days in (90, 91))
    for n in bench.sizes(10, 10000):
        names = [f"h{i * max(n // 1000, 1) % n}.test" for i in range(1000)]
        with Ballast(bench, certificates=paths[:n]) as b:
            with Watcher(b) as w:
                reload_ms = best(lambda: b.ask("POST", "/lb/reload")[0])
            cold, warm, pss_kb = handshakes_us(b, names), handshakes_us(b, names), measure.pss_kb(b.pid)
            new_ms, successor_ms = all_new(b, paths[:n], others[:n])
            yield {"certificates": n, "start ms": b.start_ms, "reload ms": reload_ms, "longest wait ms": w.longest_ms,
                   "all new ms": new_ms, "successor meanwhile ms": successor_ms,
                   "handshake us, cold": cold, "warm": warm, "PSS kB": pss_kb}


def with_connections(bench):
    for n in bench.sizes(64, 256, 1000, 4000, 8000):
        seconds = bench.seconds * (1 if n < 1000 else 4)  # so that opening them is a small part
        with Ballast(bench) as b:
            bench.wrk(b, n, seconds)
            run = bench.wrk(b, n, seconds)
            yield {"connections": n, "us/request": run["us_per_request"], "failed": run["failed"], "p99 ms": run["p99_us"] / 1e3}


def with_idle(bench):
    """Memory of an instance with two workers, and of client connections that wait after an answer."""
    for n in bench.sizes(100, 8000):
        with Ballast(bench, workers=2) as b, contextlib.ExitStack() as stack:
            idle_kb = measure.pss_kb(b.pid)
            socks = [stack.enter_context(socket.create_connection(("127.0.0.1", b.http))) for _ in range(n)]
            for s in socks:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                s.recv(65536)
            held_kb = measure.pss_kb(b.pid)
            yield {"idle connections": n, "instance kB": idle_kb, "with them kB": held_kb,
                   "bytes each": 1024 * (held_kb - idle_kb) / n}


def with_reloads(bench):
    with Ballast(bench, backends=100, workers=2) as b:
        done = 0
        for n in bench.sizes(10, 100, 1000):
            times = []
            while done < n:
                times.append(b.ask("POST", "/lb/reload")[0])
                done += 1
            yield {"reloads": n, "PSS kB": measure.pss_kb(b.pid), "median ms": sorted(times)[len(times) // 2], "slowest ms": max(times)}


PARTS = {"backends": with_backends, "routes": with_routes, "certificates": with_certificates, "connections": with_connections, "idle": with_idle,
         "reloads": with_reloads}


def show(rows):
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        print("| " + " | ".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    print(flush=True)


def main():
    args = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = {}
    with tempfile.TemporaryDirectory(prefix="ballast-bench.") as directory, contextlib.ExitStack() as stack:
        bench = Bench(args, directory, stack)
        for part in args.only.split(","):
            result[part] = list(PARTS[part](bench))
            if not args.json:
                show(result[part])
    if args.json:
        print(json.dumps(result, indent=2))
    sys.exit(1 if any(row.get("failed") for rows in result.values() for row in rows) else 0)


main()
