"""A plain HTTP/1.1 client that shows exactly what came over the wire."""

import json
import socket

from lib.net import connect
from lib.wait import Deadline


class HttpError(AssertionError):
    """The peer did not send a complete response: said what is missing and what came."""


class Response:
    def __init__(self, version, status, reason, headers, body, trailers, raw, framing):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers  # [(name as sent, value)]
        self.body, self.trailers = body, trailers
        self.raw = raw  # every byte of it
        self.framing = framing  # "none", "length", "chunked", "close"

    def header(self, name, default=None):
        """The first value of a header field, whatever its case."""
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<Response {self.status} {self.reason} {len(self.body)} bytes>"


class Reader:
    """Buffered reading from a socket with a deadline."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.taken = b""
        self.eof = False

    def _more(self, deadline):
        self.sock.settimeout(max(deadline.left, 0.001))
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise HttpError(f"nothing more within {deadline.seconds:g} s; so far {self.taken + self.buffer!r:.2000}")
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def until(self, mark, deadline):
        while mark not in self.buffer:
            if not self._more(deadline):
                raise HttpError(f"closed before {mark!r}; so far {self.taken + self.buffer!r:.2000}")
        end = self.buffer.index(mark) + len(mark)
        return self.take(end)

    def exactly(self, n, deadline):
        parts, have = [self.buffer], len(self.buffer)
        while have < n:
            self.buffer = b""
            if not self._more(deadline):
                raise HttpError(f"closed {n - have} bytes before the end of {n}")
            parts.append(self.buffer)
            have += len(self.buffer)
        self.buffer = b"".join(parts)
        return self.take(n)

    def to_end(self, deadline):
        parts = [self.buffer]
        self.buffer = b""
        while self._more(deadline):
            parts.append(self.buffer)
            self.buffer = b""
        self.buffer = b"".join(parts)
        return self.take(len(self.buffer))

    def take(self, n):
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        self.taken += data
        return data


def _headers(block):
    out = []
    for line in block.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            out.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return out


def _chunks(reader, deadline):
    body = []
    while True:
        size = int(reader.until(b"\r\n", deadline).split(b";")[0].strip(), 16)
        if size == 0:
            break
        body.append(reader.exactly(size, deadline))
        if reader.exactly(2, deadline) != b"\r\n":
            raise HttpError(f"chunk of {size} not followed by CRLF")
    trailers = []
    while True:
        line = reader.until(b"\r\n", deadline)
        if line == b"\r\n":
            return b"".join(body), trailers
        trailers += _headers(line)


def _body(reader, method, status, headers, deadline):
    names = {n.lower(): v for n, v in headers}
    if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
        return b"", [], "none"
    if "chunked" in names.get("transfer-encoding", "").lower():
        return (*_chunks(reader, deadline), "chunked")
    if "content-length" in names:
        return reader.exactly(int(names["content-length"]), deadline), [], "length"
    return reader.to_end(deadline), [], "close"


def read_response(sock, method="GET", deadline=10.0, reader=None):
    """One complete response (a 1xx counts as one). HttpError when it does not come whole in time."""
    reader = reader or Reader(sock)
    end = Deadline(deadline)
    reader.taken = b""
    head = reader.until(b"\r\n\r\n", end)
    line, _, block = head.partition(b"\r\n")
    parts = line.decode("latin-1").split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():
        raise HttpError(f"not a status line: {line!r}")
    headers = _headers(block)
    status = int(parts[1])
    body, trailers, framing = _body(reader, method, status, headers, end)
    reason = parts[2] if len(parts) > 2 else ""
    return Response(parts[0], status, reason, headers, body, trailers, reader.taken, framing)


class Client:
    """One connection, kept alive as long as the server keeps it. where: see lib.net.connect."""

    def __init__(self, where, timeout=10.0, host="test.local"):
        self.sock = connect(where, timeout)
        self.timeout, self.host = timeout, host
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.settimeout(self.timeout)
        self.sock.sendall(data)

    def read(self, method="GET", deadline=None):
        return read_response(self.sock, method, deadline or self.timeout, self.reader)

    def request(self, method, path, headers=(), body=None, deadline=None):
        """headers: pairs or a dict. A str or dict body is sent as UTF-8 or JSON. 1xx are skipped."""
        self.send(build_request(method, path, headers, body, self.host))
        response = self.read(method, deadline)
        while 100 <= response.status < 200 and response.status != 101:
            response = self.read(method, deadline)
        return response

    def get(self, path="/", headers=(), deadline=None):
        return self.request("GET", path, headers, None, deadline)

    def eof(self, deadline=10.0):
        """True when the server closed the connection (FIN or RST) within the deadline without further bytes."""
        if self.reader.buffer:
            return False
        try:
            return not self.reader._more(Deadline(deadline))
        except HttpError:
            return False
        except ConnectionError:
            return True


def build_request(method, path, headers=(), body=None, host="test.local"):
    headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers.append(("Content-Type", "application/json"))
    if isinstance(body, str):
        body = body.encode()
    names = {n.lower() for n, _ in headers}
    lines = [f"{method} {path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host}")
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{n}: {v}" for n, v in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def request(where, method, path, headers=(), body=None, deadline=10.0, host="test.local"):
    """One request on a connection of its own."""
    with Client(where, deadline, host) as client:
        return client.request(method, path, headers, body)


def get(where, path="/", headers=(), deadline=10.0, host="test.local"):
    return request(where, "GET", path, headers, None, deadline, host)


def exchange(where, data, deadline=10.0, half_close=False):
    """Sends raw bytes and returns every byte that comes until the peer closes or the deadline is over."""
    end = Deadline(deadline)
    received = b""
    with connect(where, deadline) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            while True:
                sock.settimeout(max(end.left, 0.001))
                more = sock.recv(65536)
                if not more:
                    return received
                received += more
        except (socket.timeout, ConnectionError):
            return received


def raw(where, data, method="GET", deadline=10.0):
    """Sends raw bytes and reads one complete response."""
    with connect(where, deadline) as sock:
        try:
            sock.sendall(data)
        except ConnectionError:
            pass  # refused early: the answer may stand in our receive buffer already
        return read_response(sock, method, deadline)
