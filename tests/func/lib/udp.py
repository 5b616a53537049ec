"""Datagram servers and clients."""

import socket
import threading

from lib.net import free_port


class UdpOrigin:
    """Answers each datagram with what answer(data, address) returns: bytes, a list of them, or None.

    By default its id and what came. It notes (data, address) of everything in .got."""

    def __init__(self, id="b1", answer=None, host="127.0.0.1", port=None):
        self.id, self.host, self.port = id, host, port or free_port()
        self.answer = answer or (lambda data, address: f"{self.id}:".encode() + data)
        self.got = []
        self.sock = None
        self.start()

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def clients(self):
        return {address for _, address in self.got}

    def start(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((self.host, self.port))
        self.sock.settimeout(0.2)
        self._running = True
        self._thread = threading.Thread(target=self._serve, args=(self.sock,), daemon=True)
        self._thread.start()

    def _serve(self, sock):
        while self._running:
            try:
                data, address = sock.recvfrom(65536)
            except socket.timeout:
                continue
            except OSError:
                return
            self.got.append((data, address))
            answers = self.answer(data, address)
            for part in answers if isinstance(answers, list) else [answers]:
                if part is not None:
                    sock.sendto(part, address)

    def send(self, data, address):
        """Unasked."""
        self.sock.sendto(data, address)

    def stop(self):
        """Nobody listens there any more: ICMP says so."""
        self._running = False
        self._thread.join(5.0)
        self.sock.close()


def client(where, bind=None, timeout=10.0):
    """A connected datagram socket."""
    where = ("127.0.0.1", where) if isinstance(where, int) else where
    s = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    if bind:
        s.bind(bind)
    s.connect(where)
    return s


def ask(where, data=b"?", **options):
    """One datagram and the answer to it."""
    with client(where, **options) as s:
        s.send(data)
        return s.recv(65536)
