"""Origins: servers behind the balancer, in this process, each connection in a thread of its own.

Origin           HTTP/1.1, with an id, delays, a gate, scripted answers and a list of what was asked
RecordingOrigin  keeps every byte of every connection and answers canned bytes
TcpOrigin        hands each connection to a function;  TcpEcho  echoes and closes after the peer's end of file
WebSocketEcho    echoes messages (python3-websockets)
"""

import asyncio
import json
import os
import socket
import threading

from lib.http import HttpError, Reader, _chunks, _headers
from lib.net import free_port
from lib.wait import Deadline

FOREVER_S = 3600.0


class Server:
    """Accepts on a TCP port or a unix socket; subclasses serve(sock, number) one connection."""

    def __init__(self, port=None, host="127.0.0.1", unix=None):
        self.host, self.unix = host, unix
        self.port = None if unix else (port or free_port())
        self.accepted = 0  # connections, ever
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open = set()
        self._listener = None
        self.start()

    @property
    def address(self):
        """As a configuration writes it."""
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def open(self):
        """Connections open now."""
        with self._lock:
            return len(self._open)

    def start(self):
        """Listens (again, on the same address)."""
        self.stopping.clear()
        if self.unix:
            if os.path.exists(self.unix):
                os.unlink(self.unix)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(self.unix)
            os.chmod(self.unix, 0o666)
        else:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
        listener.listen(1024)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                number = self.accepted
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(sock, number)
        except (OSError, HttpError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def serve(self, sock, number):
        raise NotImplementedError

    def refuse(self):
        """Stops listening; open connections go on."""
        if self._listener is not None:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            except OSError:
                pass
            self._listener.close()
            self._listener = None

    def cut(self, with_reset=False):
        """Closes every open connection."""
        with self._lock:
            socks = list(self._open)
        for sock in socks:
            try:
                if with_reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        """As if the machine was switched off politely: no listener, no connection."""
        self.stopping.set()
        self.refuse()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Request:
    def __init__(self, method, target, version, headers, raw_head, connection):
        self.method, self.target, self.version = method, target, version
        self.headers, self.raw_head, self.connection = headers, raw_head, connection
        self.body, self.trailers = b"", []

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    def header(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __repr__(self):
        return f"<Request {self.method} {self.target} on connection {self.connection}>"


def reply(status=200, body=b"", headers=(), reason="OK", length=True):
    """The bytes of a response."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {reason}"] + [f"{n}: {v}" for n, v in headers]
    if length and not (status == 204 or status == 304 or 100 <= status < 200):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Counting(Reader):
    """Adds what it reads to its origin's .received."""

    def __init__(self, sock, origin):
        super().__init__(sock)
        self.origin = origin

    def _more(self, deadline):
        had = len(self.buffer)
        came = super()._more(deadline)
        with self.origin._lock:
            self.origin.received += len(self.buffer) - had
        return came


class Origin(Server):
    """An HTTP/1.1 origin. What it answers:

    script[path]        bytes (sent as they are), or a function (request, sock) -> bytes | None (None: close)
    /health             200, or 503 while .healthy is False; not counted in .requests
    /status/N           that status            /bytes/N       N bytes with Content-Length
    /chunked/N          N bytes, chunked       /until-close/N N bytes ended by closing
    /echo               the request's body     /headers       the request's header fields as JSON pairs
    anything else       200 and the id

    Every answer carries X-Origin: id. .delay_s holds each answer; .hold() / .release() hold them until told.
    """

    def __init__(self, id="b1", delay_s=0.0, keep_requests=True, **where):
        self.id, self.delay_s, self.healthy = id, delay_s, True
        self.script = {}
        self.requests = []  # in order of arrival, health checks left out
        self.count = 0
        self.checks = 0
        self.waiting = 0  # requests held by the gate or the delay
        self.received = 0  # bytes
        self.keep_requests = keep_requests
        self._gate = threading.Event()
        self._gate.set()
        super().__init__(**where)

    def hold(self):
        self._gate.clear()

    def release(self):
        self._gate.set()

    def stop(self):
        super().stop()
        self._gate.set()

    def serve(self, sock, number):
        reader = Counting(sock, self)
        while self._one(sock, reader, number):
            reader.taken = b""

    def _head(self, reader, number):
        head = reader.until(b"\r\n\r\n", Deadline(FOREVER_S))
        line, _, block = head.partition(b"\r\n")
        method, target, version = line.decode("latin-1").split(" ", 2)
        return Request(method, target, version, _headers(block), head, number)

    def _read_body(self, sock, reader, request):
        deadline = Deadline(FOREVER_S)
        if request.header("Expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in request.header("Transfer-Encoding", "").lower():
            request.body, request.trailers = _chunks(reader, deadline)
        else:
            request.body = reader.exactly(int(request.header("Content-Length", "0")), deadline)

    def _note(self, request):
        with self._lock:
            if request.path == "/health":
                self.checks += 1
                return
            self.count += 1
            if self.keep_requests:
                self.requests.append(request)

    def _hold(self, request):
        if request.path == "/health":
            return
        with self._lock:
            self.waiting += 1
        try:
            self._gate.wait(FOREVER_S)
            if self.delay_s:
                self.stopping.wait(self.delay_s)
        finally:
            with self._lock:
                self.waiting -= 1

    def _one(self, sock, reader, number):
        request = self._head(reader, number)
        self._read_body(sock, reader, request)
        self._note(request)
        self._hold(request)
        scripted = self.script.get(request.path)
        if callable(scripted):
            scripted = scripted(request, sock)
            if scripted is None:
                return False
        data, keep = (scripted, True) if scripted is not None else self.answer(request)
        sock.sendall(data)
        return keep and request.header("Connection", "").lower() != "close"

    def answer(self, request):
        """(bytes, keep the connection)"""
        own = [("X-Origin", self.id), ("Content-Type", "text/plain")]
        kind, _, tail = request.path.lstrip("/").partition("/")
        if kind == "health":
            return reply(200 if self.healthy else 503, "ok\n" if self.healthy else "no\n", own), True
        if kind == "status" and tail.isdigit():
            return reply(int(tail), self.id, own, "Scripted"), True
        if kind == "echo":
            data = reply(200, request.body, own)
        elif kind == "headers":
            data = reply(200, json.dumps(request.headers), own)
        elif kind in ("bytes", "chunked", "until-close") and tail.isdigit():
            return self._sized(kind, int(tail), own)
        else:
            data = reply(200, self.id, own)
        if request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        return data, True

    def _sized(self, kind, n, own):
        body = b"0123456789abcdef" * (n // 16) + b"0123456789abcdef"[: n % 16]
        if kind == "bytes":
            return reply(200, body, own), True
        if kind == "until-close":
            return reply(200, body, own + [("Connection", "close")], length=False), False
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i : i + 4096] for i in range(0, n, 4096)))
        return reply(200, chunks + b"0\r\n\r\n", own + [("Transfer-Encoding", "chunked")], length=False), True


class Recorded:
    """What came on one connection."""

    def __init__(self):
        self.raw = b""
        self.answered = 0
        self.eof = False  # the peer closed its side


def complete_requests(raw):
    """How many complete requests stand in raw bytes, read as a plain server would."""
    count = 0
    while b"\r\n\r\n" in raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        names = {n.lower(): v for n, v in _headers(head.partition(b"\r\n")[2])}
        if "chunked" in names.get("transfer-encoding", "").lower():
            end = rest.find(b"0\r\n\r\n")
            if end < 0:
                return count
            rest = rest[end + 5 :]
        else:
            length = int(names.get("content-length", "0"))
            if len(rest) < length:
                return count
            rest = rest[length:]
        raw = rest
        count += 1
    return count


class RecordingOrigin(Server):
    """Keeps the raw bytes of each connection in .connections[i].raw.

    answer: bytes sent once per complete request seen, or a function (raw, answered) -> bytes | None called after
    each arrival until it returns None. close_after: closes after that many answers.
    """

    def __init__(self, answer=reply(200, "ok"), close_after=None, **where):
        self.answer, self.close_after = answer, close_after
        self.connections = []
        super().__init__(**where)

    @property
    def raw(self):
        """All bytes of all connections in order of arrival of the connections."""
        return b"".join(c.raw for c in self.connections)

    def _due(self, seen):
        if callable(self.answer):
            return self.answer(seen.raw, seen.answered)
        return self.answer if complete_requests(seen.raw) > seen.answered else None

    def serve(self, sock, number):
        seen = Recorded()
        with self._lock:
            self.connections.append(seen)
        while True:
            data = sock.recv(65536)
            if not data:
                seen.eof = True
                return
            seen.raw += data
            while (due := self._due(seen)) is not None:
                seen.answered += 1
                sock.sendall(due)
                if self.close_after is not None and seen.answered >= self.close_after:
                    return


class TcpOrigin(Server):
    """Hands each connection to handler(sock, number)."""

    def __init__(self, handler, **where):
        self.handler = handler
        super().__init__(**where)

    def serve(self, sock, number):
        self.handler(sock, number)


class TcpEcho(Server):
    """Sends back what comes; after the peer's end of file sends `farewell` and closes."""

    def __init__(self, greeting=b"", farewell=b"", **where):
        self.greeting, self.farewell = greeting, farewell
        super().__init__(**where)

    def serve(self, sock, number):
        sock.sendall(self.greeting)
        while data := sock.recv(65536):
            sock.sendall(data)
        sock.sendall(self.farewell)


class WebSocketEcho:
    """Echoes WebSocket messages; prefix is put before each text message."""

    def __init__(self, prefix="", port=None, host="127.0.0.1"):
        self.prefix, self.host, self.port = prefix, host, port or free_port()
        self.accepted = 0
        self.open = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10.0), "the WebSocket origin did not start"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    async def _echo(self, ws, path=None):
        self.accepted += 1
        self.open += 1
        try:
            async for message in ws:
                await ws.send(self.prefix + message if isinstance(message, str) else message)
        finally:
            self.open -= 1

    async def _serve(self):
        import websockets

        self._done = asyncio.Event()
        async with websockets.serve(self._echo, self.host, self.port):
            self._ready.set()
            await self._done.wait()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(10.0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
