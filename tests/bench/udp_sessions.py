#!/usr/bin/python3
"""Holds sessions of datagrams and says what they cost.

    tests/bench/udp_sessions.py [--build DIR] [--sessions 100000] [--workers 8] [--backends 8]

Every session is a client address and port of its own on the loopback network. Each sends a datagram, and all of them another one when
the last is there: the second must reach the same backend from the same port, or the session was not held. A session takes a descriptor
of a worker: sessions / workers must fit in `ulimit -n`.
"""

import argparse
import http.client
import json
import os
import select
import socket
import struct
import sys
import tempfile
import threading
import time

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PORTS_FROM, PORTS = 10000, 12000  # of clients, below those that the kernel gives out
IN_FLIGHT = 256
IP_PKTINFO = 8  # Linux; this socket module does not name it
CONF = """
workers = {workers}
user = "{user}"
max_connections = 1000000
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = {{ bind = "unix:{dir}/admin.sock" }}
listeners = {{ udp = {{ bind = "127.0.0.1:{port}", protocol = "udp", pool = "app", timeouts = {{ idle = "1h" }} }} }}
pools = {{ app = {{ balance = "round_robin", max_connections = 0, health = {{ type = "none" }}, backends = ( {backends} ) }} }}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--backends", type=int, default=8)
    return parser.parse_args()


class Backends(threading.Thread):
    """Answer with their number and the port that they were asked from."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for s in self.sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.bind(("127.0.0.1", 0))
            s.setblocking(False)

    def run(self):
        poll = select.poll()
        number = {s.fileno(): i for i, s in enumerate(self.sockets)}
        for s in self.sockets:
            poll.register(s, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                s = self.sockets[number[fd]]
                for _ in range(64):
                    try:
                        data, peer = s.recvfrom(64)
                    except BlockingIOError:
                        break
                    s.sendto(data + struct.pack(">HH", number[fd], peer[1]), peer)


class Clients:
    """One socket per port, from as many addresses as it takes."""

    def __init__(self, port, sessions):
        self.to, self.sessions, self.homes = ("127.0.0.1", port), sessions, {}
        self.poll = select.poll()
        self.sockets = {}
        for i in range(min(PORTS, sessions)):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("0.0.0.0", PORTS_FROM + i))
            s.setblocking(False)
            self.poll.register(s, select.POLLIN)
            self.sockets[s.fileno()] = s
        self.order = list(self.sockets.values())

    def send(self, number):
        source = struct.pack("=I4s4s", 0, socket.inet_aton(f"127.0.1.{1 + number // len(self.order)}"), b"\0" * 4)
        self.order[number % len(self.order)].sendmsg([struct.pack(">I", number)], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, self.to)

    def take(self, waiting, moved):
        for fd, _ in self.poll.poll(200):
            try:
                number, *home = struct.unpack(">IHH", self.sockets[fd].recv(64))
            except BlockingIOError:
                continue
            waiting.discard(number)
            if self.homes.setdefault(number, home) != home:
                moved.add(number)

    def round(self):
        """A datagram of every session and the answer to it: seconds, sent again, sessions that moved."""
        begin, again, moved = time.monotonic(), 0, set()
        for first in range(0, self.sessions, IN_FLIGHT):
            waiting = set(range(first, min(first + IN_FLIGHT, self.sessions)))
            for number in waiting:
                self.send(number)
            deadline = time.monotonic() + 2
            while waiting:
                self.take(waiting, moved)
                if waiting and time.monotonic() > deadline:
                    again += len(waiting)
                    for number in waiting:
                        self.send(number)
                    deadline = time.monotonic() + 2
        return time.monotonic() - begin, again, len(moved)


def held(path):
    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(path)

    c = Connection("admin")
    c.request("GET", "/lb/stats")
    return sum(s["current_connections"] for s in json.load(c.getresponse())["server_details"])


def kernel_kb():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Slab:")).split()[1])


def main():
    args = arguments()
    proxies.START_S = 60.0
    with tempfile.TemporaryDirectory(prefix="ballast-udp.") as directory:
        backends = Backends(args.backends)
        backends.start()
        port = proxies.free_port()
        listed = ", ".join(f'{{ address = "127.0.0.1:{s.getsockname()[1]}", max_connections = 1000000 }}' for s in backends.sockets)
        path = os.path.join(directory, "ballast.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(CONF.format(workers=args.workers, user=proxies.user_name(), dir=directory, port=port, backends=listed))
        program = proxies.Program("ballast", [os.path.join(ROOT, args.build, "ballast"), "run", "-c", path], [], None,
                                  os.path.join(directory, "log"))
        try:
            while not os.path.exists(os.path.join(directory, "admin.sock")):
                select.select([], [], [], 0.05)
            select.select([], [], [], 0.5)
            clients = Clients(port, args.sessions)
            pss, slab = measure.pss_kb(program.pid), kernel_kb()
            for turn in ("begin", "go on"):
                before = sum(measure.cpu_s(program.pid))
                seconds, again, moved = clients.round()
                cpu = sum(measure.cpu_s(program.pid)) - before
                print(f"{args.sessions} sessions {turn}: {1e6 * cpu / args.sessions:.1f} us of processor time each, {seconds:.1f} s, "
                      f"{again} sent again, {moved} moved, {held(os.path.join(directory, 'admin.sock'))} held")
                if moved or held(os.path.join(directory, "admin.sock")) != args.sessions:
                    sys.exit("not all were held")
            print(f"memory: {1024 * (measure.pss_kb(program.pid) - pss) / args.sessions:.0f} bytes each in the workers, "
                  f"{1024 * (kernel_kb() - slab) / args.sessions:.0f} in the kernel (clients' sockets not counted: made before)")
            before = sum(measure.cpu_s(program.pid))
            select.select([], [], [], 5)
            print(f"idle: {100 * (sum(measure.cpu_s(program.pid)) - before) / 5:.1f} % of a core while nothing is sent")
        finally:
            program.stop()
            with open(os.path.join(directory, "log"), encoding="utf-8") as f:
                print(f.read()[-1000:], end="", file=sys.stderr)


main()
