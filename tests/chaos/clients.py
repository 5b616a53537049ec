"""The populations: what real clients do to a balancer, each with an exact account of what went wrong."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "func"))

from lib.http import Client, HttpError, build_request  # noqa: E402
from lib.net import connect  # noqa: E402
from lib.wait import poll  # noqa: E402
from origin import body_for  # noqa: E402

TIMEOUT_S = 15.0


class Population:
    """Threads that do the same thing until told to stop. ok, failed, closed (by the server, politely), wrong (bodies)."""

    name = ""

    def __init__(self, port, threads=2):
        self.port = port
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
            except (OSError, HttpError, ValueError) as error:
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

    def session(self, number):
        with Client(self.port, TIMEOUT_S) as client:
            while not self._stop.is_set():
                path = f"/k{number}/{self.ok}"
                if not self.check(client.get(path), path):
                    self.note(closed=1)
                    return


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

    name = "tcp tunnel"

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


HTTP = [Fresh, KeepAlive, Pipelined, Upload, Upgraded]


class Crowd:
    """All populations at once."""

    def __init__(self, http_port, tcp_port=None, threads=2):
        self.members = [kind(http_port, threads) for kind in HTTP]
        if tcp_port:
            self.members.append(Tunnel(tcp_port, threads))

    def __enter__(self):
        for member in self.members:
            member.start()
        if not poll(lambda: all(m.ok or m.failed for m in self.members), 10.0):
            raise AssertionError(f"some clients never got going: { {m.name: m.ok for m in self.members} }")
        return self

    def __exit__(self, *_):
        for member in self.members:
            member._stop.set()
        for member in self.members:
            member.stop()

    def total(self, what):
        return sum(getattr(m, what) for m in self.members)

    def went_on(self, seconds=15.0):
        """Every population gets something done from here on."""
        before = {m: m.ok for m in self.members}
        return bool(poll(lambda: all(m.ok > n for m, n in before.items()), seconds))
