#!/usr/bin/python3
"""What health checks cost: processor time of the health process with many backends.

    tests/bench/health.py [--build DIR] [--backends 10000] [--interval 10] [--seconds 30] [--type http|tcp] [--json] [--short]

The backends are addresses of 127.0.0.0/8 with one origin behind them. The measurement starts when every backend has been
checked once. --short: 500 backends for two seconds.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_S = 60.0
CONF = """
workers = 1
user = "{user}"
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = {{ bind = "127.0.0.1:{admin}" }}
listeners = {{ web = {{ bind = "127.0.0.1:{http}", pool = "app" }} }}
pools = {{ app = {{
    health = {{ type = "{type}", interval = "{interval}s", timeout = "5s" }}
    backends = [
        {backends}
    ]
}} }}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are (default: build)")
    parser.add_argument("--backends", type=int, default=10000)
    parser.add_argument("--interval", type=int, default=10, help="seconds")
    parser.add_argument("--seconds", type=int, default=30, help="length of the measurement")
    parser.add_argument("--type", default="http", choices=("http", "tcp"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args()
    if args.short:
        args.backends, args.seconds, args.interval = 500, 2, 1
    return args


def metric(port, pattern):
    """Sum of the samples of /metrics whose line begins with pattern."""
    with socket.create_connection(("127.0.0.1", port), timeout=30.0) as s:
        s.sendall(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        text = b"".join(iter(lambda: s.recv(1 << 20), b"")).decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line))


def checks(port):
    return {result: metric(port, rf'ballast_backend_health_checks_total\{{.*result="{result}"') for result in
            ("pass", "fail")}


def pause(program, seconds):
    """Lets time pass while the program runs."""
    try:
        program.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(f"{program.name} ended with status {program.process.returncode}")


def health_pid(master):
    for pid in measure.tree(master):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            if f.read().startswith(b"ballast: health"):
                return pid
    raise RuntimeError("no health process")


def own_cpu_s(pid):
    fields = measure.stat_fields(pid)
    return int(fields[11]) / measure.TICKS, int(fields[12]) / measure.TICKS


def start(stack, name, command, port, directory, core):
    program = proxies.Program(name, command, [port], core, os.path.join(directory, f"{name}.log"))
    stack.callback(program.stop)
    return program.wait_ready()


def start_ballast(stack, args, build, directory, cores):
    origin, http, admin = (proxies.free_port() for _ in range(3))
    start(stack, "origin", [f"{build}/tests/bench/origin", str(origin)], origin, directory, cores[1])
    listed = ",\n        ".join(f'"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{origin}"' for i in range(args.backends))
    path = os.path.join(directory, "ballast.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(CONF.format(dir=directory, admin=admin, http=http, user=proxies.user_name(), type=args.type,
                            interval=args.interval, backends=listed))
    return start(stack, "ballast", [f"{build}/ballast", "run", "-c", path], admin, directory, cores[0]), admin


def run(args, build, directory, cores):
    with contextlib.ExitStack() as stack:
        program, admin = start_ballast(stack, args, build, directory, cores)
        deadline = time.monotonic() + READY_S
        while checks(admin)["pass"] < args.backends:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all backends were checked within {READY_S} s: {checks(admin)}")
            pause(program, 0.5)
        pid = health_pid(program.pid)
        before, cpu, began = checks(admin), own_cpu_s(pid), time.monotonic()
        pause(program, args.seconds)
        after, cpu_after, seconds = checks(admin), own_cpu_s(pid), time.monotonic() - began
        done = sum(after.values()) - sum(before.values())
        used = sum(cpu_after) - sum(cpu)
        return {"backends": args.backends, "type": args.type, "interval_s": args.interval, "seconds": seconds,
                "checks": int(done), "failed": int(after["fail"]), "core_percent": 100 * used / seconds,
                "us_per_check": 1e6 * used / max(done, 1), "user_s": cpu_after[0] - cpu[0],
                "system_s": cpu_after[1] - cpu[1], "pss_kb": measure.pss_kb(pid)}


def main():
    args = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="ballast-bench.") as directory:
        result = run(args, os.path.join(ROOT, args.build), directory, (allowed[0], allowed[-1]))
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print("{backends} backends every {interval_s} s ({type}): {checks} checks in {seconds:.1f} s, {failed} failed\n"
              "health process: {core_percent:.1f} % of a core, {us_per_check:.0f} us per check "
              "(user {user_s:.2f} s, system {system_s:.2f} s), {pss_kb} kB PSS".format(**result))
    sys.exit(1 if result["failed"] or not result["checks"] else 0)


main()
