"""The populations: what real clients do to a balancer, each with an exact account of what went wrong."""

import os
import re
import select
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "func"))

from lib import h2client, tls  # noqa: E402
from lib.http import Client, HttpError, build_request  # noqa: E402
from lib.net import connect  # noqa: E402
from lib.wait import Deadline, poll  # noqa: E402
from origin import body_for  # noqa: E402

TIMEOUT_S = 15.0


class Population:
    """Threads that do the same thing until told to stop. ok, failed, closed (by the server, politely), wrong (bodies)."""

    name = ""
    counted = True  # what is ok is a request in the balancer's books
    moves = True  # a hand-over between workers leaves it open

    def __init__(self, port, threads=2, context=None):
        self.port, self.context = port, context
        self.ok = self.failed = self.closed = self.wrong = 0
        self.texts = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_S)
            if thread.is_alive():
                self.note(failed="a client hangs")

    def note(self, ok=0, failed=None, closed=0, wrong=0):
        with self._lock:
            self.ok += ok
            self.closed += closed
            self.wrong += wrong
            if failed:
                self.failed += 1
                self.texts.append(f"{self.name}: {failed}")

    def _run(self, number):
        while not self._stop.is_set():
            try:
                self.session(number)
            except (OSError, HttpError, ValueError, AssertionError) as error:
                self.note(failed=f"{type(error).__name__}: {str(error)[:120]}")
                poll(self._stop.is_set, 0.02)

    def check(self, response, path):
        if response.status != 200:
            self.note(failed=f"status {response.status}")
        elif response.body != body_for(path):
            self.note(wrong=1)
        else:
            self.note(ok=1)
        return (response.header("Connection") or "").lower() != "close"


class Fresh(Population):
    name = "fresh"

    def session(self, number):
        path = f"/f{number}/{self.ok}"
        with Client(self.port, TIMEOUT_S) as client:
            self.check(client.get(path, {"Connection": "close"}), path)


class KeepAlive(Population):
    name = "keep-alive"

    def open(self):
        return Client(self.port, TIMEOUT_S)

    def session(self, number):
        with self.open() as client:
            while not self._stop.is_set():
                path = f"/k{number}/{self.ok}"
                if not self.check(client.get(path), path):
                    self.note(closed=1)
                    return


class TlsKeepAlive(KeepAlive):
    name, moves = "tls", False

    def open(self):
        return tls.Client(self.port, self.context, "chaos.test", timeout=TIMEOUT_S)


class Http2(Population):
    """A few streams at a time over one connection; what GOAWAY says was not begun may be sent again."""

    name, moves = "http/2", False
    STREAMS = 4

    def judge(self, client, number, path):
        stream = client.streams[number]
        if not stream.ended and client.goaway and number > (client.goaway.last_stream_id or 0):
            return
        if not stream.ended or stream.reset is not None:
            self.note(failed=f"stream ended={stream.ended} reset={stream.reset} closed={client.closed}")
        elif stream.status != 200:
            self.note(failed=f"status {stream.status}")
        else:
            self.note(ok=stream.data == body_for(path), wrong=stream.data != body_for(path))

    def session(self, number):
        with h2client.Client(tls.connect(self.port, self.context, "chaos.test", timeout=TIMEOUT_S), TIMEOUT_S) as client:
            while not self._stop.is_set() and not client.goaway:
                paths = {client.start(path=path): path for path in (f"/h{number}/{self.ok}/{i}" for i in range(self.STREAMS))}
                deadline = Deadline(TIMEOUT_S)
                while not client.closed and deadline.left > 0 and not all(
                        client.streams[n].ended or client.streams[n].reset is not None for n in paths):
                    client.step(deadline)
                for n, path in paths.items():
                    self.judge(client, n, path)
                if client.closed:
                    break
            if client.goaway:
                self.note(closed=1)


class Session(Population):
    """Datagrams of one client, each answered; another backend than before means that its session is forgotten."""

    name, counted, moves = "udp", False, False

    def session(self, number):
        before, count = None, 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.port))
            sock.settimeout(3.0)
            while not self._stop.is_set():
                count += 1
                message = f"{number}/{count}".encode()
                sock.send(message)
                backend, _, back = sock.recv(65536).partition(b":")
                if before not in (None, backend):
                    self.note(closed=1)
                before = backend
                self.note(ok=back == message, wrong=back != message)
                poll(self._stop.is_set, 0.01)


class Generator(Population):
    """A load generator, started again and again."""

    def command(self):
        raise NotImplementedError

    def session(self, number):
        done = subprocess.run(self.command(), capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ValueError(f"{self.name}: status {done.returncode}: {done.stderr[-100:]}")
        self.read(done.stdout)


def numbers(pattern, text):
    found = re.search(pattern, text)
    return [int(n) for n in found.groups()] if found else []


class Wrk(Generator):
    name = "wrk"

    def command(self):
        return ["wrk", "-t1", "-c4", "-d1s", f"http://127.0.0.1:{self.port}/w"]

    def read(self, text):
        self.note(ok=sum(numbers(r"(\d+) requests in", text)))
        bad = numbers(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text) + numbers(r"Non-2xx or 3xx responses: (\d+)", text)
        for _ in range(sum(bad)):
            self.note(failed=f"errors {bad}")


class H2load(Generator):
    """It ends with its connection and counts the rest as errors, even behind a GOAWAY: what was cut off, Http2 tells."""

    name, moves = "h2load", False

    def command(self):
        return ["h2load", "-n1000", "-c2", "-m8", f"https://127.0.0.1:{self.port}/w"]

    def read(self, text):
        good, failed, errored, timeout = numbers(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        self.note(ok=good, closed=errored > 0)
        for _ in range(failed - errored + timeout):
            self.note(failed=f"failed {failed} errored {errored} timeout {timeout}")


class Pipelined(Population):
    name = "pipelined"
    DEPTH = 4

    def session(self, number):
        with Client(self.port, TIMEOUT_S) as client:
            while not self._stop.is_set():
                paths = [f"/p{number}/{self.ok}/{i}" for i in range(self.DEPTH)]
                client.send(b"".join(build_request("GET", p) for p in paths))
                for path in paths:
                    if not self.check(client.read(), path):
                        self.note(closed=1)  # what was pipelined behind it was not taken: the client may send it again
                        return


class Upload(Population):
    name = "slow upload"
    PIECES, PIECE = 8, b"x" * 2000

    def session(self, number):
        with Client(self.port, TIMEOUT_S) as client:
            client.send(f"POST /u{number} HTTP/1.1\r\nHost: c\r\nContent-Length: {self.PIECES * len(self.PIECE)}\r\n\r\n".encode())
            for _ in range(self.PIECES):
                poll(self._stop.is_set, 0.03)
                client.send(self.PIECE)
            response = client.read("POST")
            if response.status != 200:
                self.note(failed=f"status {response.status}")
            elif response.body != f"{self.PIECES * len(self.PIECE)} bytes".encode():
                self.note(wrong=1)
            else:
                self.note(ok=1)


class Tunnel(Population):
    """A long connection: every message must come back; the end of the tunnel is what counts."""

    name, counted = "tcp tunnel", False

    def begin(self, sock):
        pass

    def session(self, number):
        with connect(self.port, TIMEOUT_S) as sock:
            self.begin(sock)
            while not self._stop.is_set():
                message = f"{number}:{self.ok:08d};".encode() * 20
                sock.sendall(message)
                back = b""
                while len(back) < len(message):
                    data = sock.recv(65536)
                    if not data:
                        raise HttpError("tunnel closed")
                    back += data
                self.note(ok=back == message, wrong=back != message)
                poll(self._stop.is_set, 0.01)


class Upgraded(Tunnel):
    name = "websocket"

    def begin(self, sock):
        sock.sendall(b"GET /up HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: chaos\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(1)
            if not data:
                raise HttpError("no answer to the upgrade")
            head += data
        if b" 101 " not in head:
            raise HttpError(f"upgrade refused: {head[:40]!r}")


class Leasing(Population):
    """Programs with the client library: they choose by a lease and connect by themselves, and some are killed with a request
    in flight. Where no lease is to be had the listener is asked."""

    name, counted = "leases", False
    LIFE = 40  # requests of one program

    def __init__(self, port, instance, driver):
        super().__init__(port)
        self._instance, self._driver = instance, driver

    @staticmethod
    def ask(program, *words):
        program.stdin.write(" ".join(map(str, words)) + "\n")
        program.stdin.flush()
        if not select.select([program.stdout], [], [], 2 * TIMEOUT_S)[0]:
            raise HttpError(f"the library does not answer: {words[0]}")
        return program.stdout.readline().split()

    def request(self, program, number):
        path = f"/l{number}/{self.ok}"
        result, pick, _, endpoint = self.ask(program, "pick", "app")[:4]
        port = int(endpoint.rpartition(":")[2]) if result == "ok" else self.port
        done = self.ok
        try:
            with Client(port, TIMEOUT_S) as client:
                self.check(client.get(path, {"Connection": "close"}), path)
        finally:
            self.ask(program, "report", pick, "s" if self.ok > done else "f", 1000)

    def session(self, number):
        program = subprocess.Popen([self._driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        try:
            self.ask(program, "open", self._instance(), 0, f"127.0.0.1:{self.port}", "a")
            for _ in range(self.LIFE):
                if self._stop.is_set():
                    break
                self.request(program, number)
            self.ask(program, "pick", "app")
        finally:
            program.kill()
            program.communicate()


KINDS = {  # by the port they go to
    "http": [Fresh, KeepAlive, Pipelined, Upload, Upgraded],
    "tls": [TlsKeepAlive, Http2],
    "tcp": [Tunnel],
    "udp": [Session],
}
LOAD = {"http": [Wrk], "tls": [H2load]}


class Crowd:
    """All populations at once. ports: by kind; load: the load generators, too; instance(): the configuration file of an instance
    that gives leases, driver: a program with the client library."""

    def __init__(self, ports, ca=None, threads=2, load=False, instance=None, driver=None):
        self.members = []
        for kind, port in ports.items():
            for population in KINDS[kind]:
                alpn = ["h2"] if population is Http2 else None
                context = ca.context(alpn=alpn) if kind == "tls" else None
                self.members.append(population(port, threads, context))
            self.members += [population(port, 1) for population in LOAD.get(kind, []) if load]
        if instance:
            self.members.append(Leasing(ports["http"], instance, driver))

    def __enter__(self):
        for member in self.members:
            member.start()
        if not poll(lambda: all(m.ok or m.failed for m in self.members), 20.0):
            raise AssertionError(f"some clients never got going: { {m.name: m.ok for m in self.members} }")
        return self

    def __exit__(self, *_):
        for member in self.members:
            member._stop.set()
        for member in self.members:
            member.stop()

    def total(self, what):
        return sum(getattr(m, what) for m in self.members)

    def went_on(self, seconds=20.0):
        """Every population gets something done from here on."""
        before = {m: m.ok for m in self.members}
        return bool(poll(lambda: all(m.ok > n for m, n in before.items()), seconds))
