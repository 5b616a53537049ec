#!/usr/bin/python3
"""What a DNS query costs through ballast, through a blind relay (the floor) and through nginx, with dnsperf.

    tests/bench/dns.py [--build DIR] [--seconds S] [--rate QUERIES_PER_SECOND] [--rounds N]

Each proxy has one worker on core 0; dnsperf and the name server are on core 1. At a rate that all sustain nothing may be lost; the
figure to compare is processor time per query.
"""

import argparse
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BALLAST = """
workers = 1
user = "{user}"
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = "off"
listeners = {{ dns = {{ bind = "127.0.0.1:{port}", protocol = "udp", pool = "dns" }} }}
pools = {{ dns = {{ backends = [ "127.0.0.1:{origin}" ], health = {{ type = "none" }} }} }}
"""
NGINX = """
load_module modules/ngx_stream_module.so;
daemon off;
user {user};
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log error;
events {{ worker_connections 4096; }}
stream {{ server {{ listen 127.0.0.1:{port} udp; proxy_pass 127.0.0.1:{origin}; proxy_timeout 30s; }} }}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def dnsperf(port, directory, args, pin):
    queries = os.path.join(directory, "queries")
    with open(queries, "w", encoding="ascii") as f:
        f.write("".join(f"h{i}.example A\n" for i in range(1000)))
    out = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", queries, "-l", str(args.seconds), "-c", "64", "-T", "1",
                          "-Q", str(args.rate), "-q", "2000"], capture_output=True, text=True, timeout=args.seconds + 60, preexec_fn=pin).stdout
    return {name: int(re.search(rf"Queries {name}:\s+(\d+)", out).group(1)) for name in ("sent", "completed", "lost")}


def write(directory, name, text, **values):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text.format(dir=directory, user=proxies.user_name(), **values))
    return path


def commands(directory, build, origin):
    port = {name: proxies.free_port() for name in ("ballast", "floor", "nginx")}
    found = {
        "ballast": [f"{build}/ballast", "run", "-c", write(directory, "ballast.conf", BALLAST, port=port["ballast"], origin=origin)],
        "floor": [f"{build}/tests/bench/datagrams", "floor", str(port["floor"]), str(origin)],
    }
    if shutil.which("nginx") and os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
        path = write(directory, "nginx.conf", NGINX, port=port["nginx"], origin=origin)
        found["nginx"] = ["nginx", "-e", f"{directory}/nginx.log", "-p", "/usr/share/nginx", "-c", path]
    return {name: (command, port[name]) for name, command in found.items()}


def main():
    args = arguments()
    build = os.path.join(ROOT, args.build)
    if not shutil.which("dnsperf"):
        sys.exit("dnsperf is not installed")
    cores = sorted(os.sched_getaffinity(0))
    costs, lost = {}, {}
    with tempfile.TemporaryDirectory(prefix="ballast-dns.") as directory:
        origin = proxies.free_port()
        programs = {"": proxies.Program("origin", [f"{build}/tests/bench/datagrams", "origin", str(origin)], [], cores[-1],
                                        os.path.join(directory, "origin.log"))}
        try:
            wanted = commands(directory, build, origin)
            for name, (command, _) in wanted.items():
                programs[name] = proxies.Program(name, command, [], cores[0], os.path.join(directory, name + ".log"))
            select.select([], [], [], 1.0)
            for _ in range(args.rounds):
                for name, (_, port) in wanted.items():
                    before = sum(measure.cpu_s(programs[name].pid))
                    result = dnsperf(port, directory, args, proxies.pinned(cores[-1]))
                    cpu = sum(measure.cpu_s(programs[name].pid)) - before
                    costs.setdefault(name, []).append(1e6 * cpu / max(result["sent"], 1))
                    lost[name] = lost.get(name, 0) + result["lost"]
        finally:
            for program in programs.values():
                program.stop()
    for name, values in costs.items():
        print(f"{name:8} {statistics.median(values):6.2f} us of processor time per query ({args.rate} asked for a second), {lost[name]} lost")
    sys.exit(1 if lost["ballast"] else 0)


main()
