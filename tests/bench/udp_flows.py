#!/usr/bin/python3
"""What a datagram of a long flow costs, as in a download by QUIC: one flow and many, with peers that let the kernel cut and join
datagrams, and with peers that do not.

    tests/bench/udp_flows.py [--build DIR] [--seconds S] [--rounds N]

One worker on core 0; client and source are on core 1. The figure is processor time of all processes of ballast per datagram.
"""

import argparse
import os
import select
import statistics
import subprocess
import sys
import tempfile

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONF = """
workers = 1
user = "{user}"
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = "off"
listeners = {{ flows = {{ bind = "127.0.0.1:{port}", protocol = "udp", pool = "app" }} }}
pools = {{ app = {{ backends = [ "127.0.0.1:{source}" ], health = {{ type = "none" }} }} }}
"""
BURST = 44


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def measured(args, mode, directory, cores):
    """{flows: [us per datagram]}, and how many were lost."""
    build, port, source = os.path.join(ROOT, args.build), proxies.free_port(), proxies.free_port()
    flows = f"{build}/tests/bench/flows"
    path = os.path.join(directory, "ballast.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(CONF.format(dir=directory, user=proxies.user_name(), port=port, source=source))
    programs = [proxies.Program("source", [flows, "source", str(source), str(BURST), mode], [], cores[-1], os.path.join(directory, "source.log")),
                proxies.Program("ballast", [f"{build}/ballast", "run", "-c", path], [], cores[0], os.path.join(directory, "ballast.log"))]
    costs, lost = {}, 0
    try:
        select.select([], [], [], 1.0)
        for _ in range(args.rounds):
            for count in (1, 64):
                before = sum(measure.cpu_s(programs[1].pid))
                out = subprocess.run([flows, "client", str(port), str(count), str(args.seconds), mode], capture_output=True, text=True,
                                     timeout=args.seconds + 60, check=True, preexec_fn=proxies.pinned(cores[-1])).stdout.split()
                costs.setdefault(count, []).append(1e6 * (sum(measure.cpu_s(programs[1].pid)) - before) / max(int(out[0]), 1))
                lost += int(out[1])
    finally:
        for program in programs:
            program.stop()
    return costs, lost


def main():
    args = arguments()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="ballast-flows.") as directory:
        for mode in ("segments", "plain"):
            costs, lost = measured(args, mode, directory, cores)
            for count, values in costs.items():
                print(f"{mode:8} {count:2} flows: {statistics.median(values):5.2f} us of processor time per datagram of 1200 bytes")
            print(f"{mode:8} {lost} lost")


sys.exit(main())
