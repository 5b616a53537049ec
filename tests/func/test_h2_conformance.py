"""HTTP/2 as RFC 9113 and RFC 7541 ask for it, frame by frame: what h2spec checks, told in raw frames.

A case sends frames and says how the server must take them. A connection error is GOAWAY with that code, or the end of the
connection; a stream error may be made one of the connection (RFC 9113 5.4.2). Whatever a case does, the next client is served.
"""

import struct
import threading

import hpack
import pytest

from lib.net import connect, free_port
from lib.wait import Deadline

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 1, 4, 8, 0x20
PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, REFUSED, COMPRESSION = 1, 3, 5, 6, 7, 9
GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
POST = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]


def frame(kind, flags, stream, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(fields):
    """Literals that touch no table: a case may send any number of them in any order."""
    return hpack.Encoder().encode([(n, v, True) for n, v in fields], huffman=False)


def headers(stream, fields=None, flags=END_STREAM | END_HEADERS, payload=None):
    return frame(HEADERS, flags, stream, block(fields or GET) if payload is None else payload)


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def number(n):
    return struct.pack(">I", n)


class Peer:
    """A client that sends frames and remembers what came: (kind, flags, stream, payload)."""

    def __init__(self, port, greeting=PREFACE + frame(SETTINGS, 0, 0)):
        self.sock, self.buffer, self.closed, self.frames = connect(port, 10.0), b"", False, []
        self.send(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError:
            pass  # it ended the connection already: the frames say why

    def step(self, deadline):
        self.sock.settimeout(max(deadline.left, 0.001))
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.closed = not data
        self.buffer += data
        while len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
            size = 9 + int.from_bytes(self.buffer[:3], "big")
            one, self.buffer = self.buffer[:size], self.buffer[size:]
            self.frames.append((one[3], one[4], int.from_bytes(one[5:9], "big") & 0x7FFFFFFF, one[9:]))

    def until(self, condition, seconds=10.0):
        deadline = Deadline(seconds)
        while not self.closed and not condition():
            self.step(deadline)

    def of(self, kind, stream=None):
        return [f for f in self.frames if f[0] == kind and stream in (None, f[2])]

    def answered(self, stream=1):
        self.until(lambda: any(f[1] & END_STREAM for f in self.of(HEADERS, stream) + self.of(DATA, stream)))
        return bool(self.of(HEADERS, stream))

    def goaway(self):
        return int.from_bytes(self.of(GOAWAY)[0][3][4:8], "big") if self.of(GOAWAY) else None

    def reset(self, stream):
        return int.from_bytes(self.of(RST_STREAM, stream)[0][3], "big") if self.of(RST_STREAM, stream) else None


@pytest.fixture
def port(ballast, origin):
    where = free_port()
    ballast(CONF.format(port=where, backend=origin().address), workers=1)
    yield where
    with Peer(where) as p:
        p.send(headers(1))
        assert p.answered(), "the next client is not served"


def connection_error(port, what, data, *codes, greeting=None):
    with Peer(port) if greeting is None else Peer(port, greeting) as p:
        p.send(data)
        p.until(lambda: p.of(GOAWAY))
        assert p.closed or p.of(GOAWAY), what
        assert not p.of(GOAWAY) or p.goaway() in codes, f"{what}: GOAWAY with {p.goaway()}"


def stream_error(port, what, data, *codes, stream=1):
    with Peer(port) as p:
        p.send(data)
        p.until(lambda: p.of(GOAWAY) or p.of(RST_STREAM, stream))
        code = p.reset(stream) if p.of(RST_STREAM, stream) else p.goaway()
        assert code in codes or (code is None and p.closed), f"{what}: {code}"


def passes(port, what, data, stream=1):
    with Peer(port) as p:
        p.send(data)
        assert p.answered(stream), f"{what}: {[f[:3] for f in p.frames]}"
        assert not p.of(GOAWAY) and not p.of(RST_STREAM), what


# ---- 3.4, 4: the beginning, frames --------------------------------------------------------------------------------------------

def test_the_beginning(port):
    with Peer(port) as p:
        p.until(lambda: p.of(SETTINGS))
        assert p.frames[0][0] == SETTINGS and not p.frames[0][1] & ACK, "SETTINGS come first"
        p.until(lambda: [f for f in p.of(SETTINGS) if f[1] & ACK])
    connection_error(port, "no SETTINGS behind the preface", headers(1), PROTOCOL, greeting=PREFACE)
    connection_error(port, "a wrong end of the preface", b"", PROTOCOL, greeting=PREFACE[:-4] + b"XX\r\n")


def test_frames(port):
    passes(port, "an unknown kind", frame(0x16, 0xFF, 0, b"\0" * 8) + frame(0x16, 0xFF, 5, b"x") + headers(1))
    passes(port, "undefined flags", frame(PING, 0xF6, 0, b"12345678") + headers(1))
    passes(port, "the reserved bit", frame(PING, 0, 0x80000000, b"12345678") + headers(1))
    connection_error(port, "HEADERS longer than SETTINGS_MAX_FRAME_SIZE",
                     frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\0" * 16385), FRAME_SIZE, COMPRESSION)
    stream_error(port, "DATA longer than SETTINGS_MAX_FRAME_SIZE",
                 headers(1, POST, END_HEADERS) + frame(DATA, END_STREAM, 1, b"x" * 16385), FRAME_SIZE)
    with Peer(port) as p:
        p.send(headers(1, POST, END_HEADERS) + frame(DATA, END_STREAM, 1, b"x" * 16384))
        assert p.answered()


def test_header_blocks(port):
    connection_error(port, "an index that is in no table", headers(1, payload=b"\xbf"), COMPRESSION)
    connection_error(port, "index zero", headers(1, payload=b"\x80"), COMPRESSION)
    connection_error(port, "a table larger than announced", headers(1, payload=b"\x3f\xe1\xff\x03" + block(GET)), COMPRESSION)
    connection_error(port, "a table size behind fields", headers(1, payload=block(GET) + b"\x20"), COMPRESSION)
    connection_error(port, "a cut literal", headers(1, payload=block(GET) + b"\x00\x05abc"), COMPRESSION)
    connection_error(port, "Huffman padding of more than 7 bits", headers(1, payload=block(GET) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
                     COMPRESSION)
    connection_error(port, "Huffman padding with zeros", headers(1, payload=block(GET) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
                     COMPRESSION)
    connection_error(port, "Huffman with EOS", headers(1, payload=block(GET) + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"),
                     COMPRESSION)
    connection_error(port, "an integer without an end", headers(1, payload=b"\xff" + b"\xff" * 16 + b"\x01"), COMPRESSION)
    passes(port, "a smaller table", headers(1, payload=b"\x20" + block(GET)))


# ---- 5.1: streams -------------------------------------------------------------------------------------------------------------------

def test_idle_streams(port):
    connection_error(port, "DATA", frame(DATA, END_STREAM, 1, b"x"), PROTOCOL)
    connection_error(port, "RST_STREAM", frame(RST_STREAM, 0, 1, number(8)), PROTOCOL)
    connection_error(port, "WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, number(100)), PROTOCOL)
    connection_error(port, "CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(GET)), PROTOCOL)
    passes(port, "PRIORITY", frame(PRIORITY, 0, 1, number(0) + b"\x10") + headers(1))


LATE = {"DATA": frame(DATA, END_STREAM, 1, b"x"), "HEADERS": headers(1), "CONTINUATION": frame(CONTINUATION, END_HEADERS, 1, block(GET))}


@pytest.mark.parametrize("kind", LATE)
def test_streams_that_the_client_ended(port, kind):
    """Half closed: an error. Closed: discarded, or an error; the connection is in step all the same (5.1)."""
    late, wanted = LATE[kind], (STREAM_CLOSED, PROTOCOL) if kind == "CONTINUATION" else (STREAM_CLOSED,)
    stream_error(port, f"{kind} on a half closed stream", headers(1) + late, *wanted)
    for how, reset in ((headers(1), False), (headers(1, POST, END_HEADERS) + frame(RST_STREAM, 0, 1, number(8)), True)):
        with Peer(port) as p:
            p.send(how + frame(PING, 0, 0, b"12345678"))
            p.until(lambda: p.of(PING) and (reset or p.of(HEADERS, 1)))
            p.send(late + headers(3))
            p.until(lambda: p.of(GOAWAY) or p.of(HEADERS, 3))
            assert p.closed or p.of(HEADERS, 3) or p.goaway() in wanted, f"{kind} on a closed stream: {p.goaway()}"


def test_what_may_come_late(port):
    """WINDOW_UPDATE, RST_STREAM and PRIORITY may cross the end of their stream (5.1)."""
    with Peer(port) as p:
        p.send(headers(1))
        assert p.answered()
        p.send(frame(WINDOW_UPDATE, 0, 1, number(10)) + frame(RST_STREAM, 0, 1, number(8)) +
               frame(PRIORITY, 0, 1, number(0) + b"\x10") + headers(3))
        assert p.answered(3) and not p.of(GOAWAY)


def test_stream_numbers(port):
    connection_error(port, "an even one", headers(2), PROTOCOL)
    connection_error(port, "stream 0", headers(0), PROTOCOL)
    for first, back in ((5, 3), (5, 1), (3, 1), (101, 77)):
        connection_error(port, f"{back}, passed over by {first}", headers(first) + headers(back), PROTOCOL)
    connection_error(port, "one passed over by the second", headers(1) + headers(7) + headers(5), PROTOCOL)
    with Peer(port) as p:  # one that was used is closed: no request
        p.send(headers(5) + headers(7))
        assert p.answered(5) and p.answered(7)
        p.send(headers(5) + headers(9))
        assert p.answered(9) and len(p.of(HEADERS, 5)) == 1


def test_more_streams_than_announced(port):
    with Peer(port) as p:
        p.until(lambda: [f for f in p.of(SETTINGS) if f[1] & ACK])
        said = dict(struct.iter_unpack(">HI", p.frames[0][3]))
        most = said[3]
        p.send(frame(SETTINGS, ACK, 0) + b"".join(headers(1 + 2 * i, POST, END_HEADERS) for i in range(most + 1)))
        last = 1 + 2 * most
        p.until(lambda: p.of(RST_STREAM, last) or p.of(GOAWAY))
        assert (p.reset(last) if p.of(RST_STREAM, last) else p.goaway()) in (PROTOCOL, REFUSED)


def test_dependencies(port):
    """RFC 9113 5.3 took priorities away; what a frame says of them is passed over, a stream on itself included (or refused)."""
    passes(port, "HEADERS with a priority", headers(1, flags=END_STREAM | END_HEADERS | PRIORITY_FLAG,
                                                  payload=number(0) + b"\x10" + block(GET)))
    with Peer(port) as p:
        p.send(headers(1, flags=END_STREAM | END_HEADERS | PRIORITY_FLAG, payload=number(1) + b"\x10" + block(GET)))
        p.until(lambda: p.of(HEADERS, 1) or p.of(RST_STREAM, 1) or p.of(GOAWAY))
        assert p.of(HEADERS, 1) or p.reset(1) == PROTOCOL or p.goaway() == PROTOCOL


# ---- 6: kinds of frames -----------------------------------------------------------------------------------------------------------------

def test_data(port):
    open_stream = headers(1, POST, END_HEADERS)
    passes(port, "padding", open_stream + frame(DATA, END_STREAM | PADDED, 1, b"\x06" + b"x" + b"\0" * 6))
    passes(port, "nothing but padding", open_stream + frame(DATA, END_STREAM | PADDED, 1, b"\x06" + b"\0" * 6))
    connection_error(port, "stream 0", open_stream + frame(DATA, END_STREAM, 0, b"x"), PROTOCOL)
    connection_error(port, "more padding than frame", open_stream + frame(DATA, END_STREAM | PADDED, 1, b"\x05" + b"x"), PROTOCOL)
    connection_error(port, "padded and empty", open_stream + frame(DATA, END_STREAM | PADDED, 1, b""), PROTOCOL, FRAME_SIZE)


def test_headers_and_continuation(port):
    whole = block(GET)
    passes(port, "padding", headers(1, flags=END_STREAM | END_HEADERS | PADDED, payload=b"\x06" + whole + b"\0" * 6))
    passes(port, "two pieces", headers(1, flags=END_STREAM, payload=whole[:5]) + frame(CONTINUATION, END_HEADERS, 1, whole[5:]))
    passes(port, "an empty first piece",
           headers(1, flags=END_STREAM, payload=b"") + frame(CONTINUATION, 0, 1, whole[:9]) + frame(CONTINUATION, END_HEADERS, 1, whole[9:]))
    connection_error(port, "more padding than frame", headers(1, flags=END_STREAM | END_HEADERS | PADDED, payload=b"\xff" + whole), PROTOCOL)
    connection_error(port, "a priority that is cut", headers(1, flags=END_STREAM | END_HEADERS | PRIORITY_FLAG, payload=b"\0\0"),
                     PROTOCOL, FRAME_SIZE)
    begun = headers(1, flags=END_STREAM, payload=whole[:5])
    for what, other in (("DATA", frame(DATA, END_STREAM, 1, b"x")), ("HEADERS", headers(1, payload=whole)),
                        ("HEADERS of another stream", headers(3)), ("PING", frame(PING, 0, 0, b"12345678")),
                        ("an unknown kind", frame(0x16, 0, 1, b"x")), ("SETTINGS", settings((3, 100))),
                        ("CONTINUATION of another stream", frame(CONTINUATION, END_HEADERS, 3, whole[5:]))):
        connection_error(port, f"{what} between HEADERS and CONTINUATION", begun + other, PROTOCOL)
    connection_error(port, "CONTINUATION behind the end", headers(1, flags=END_HEADERS) + frame(CONTINUATION, END_HEADERS, 1, whole), PROTOCOL)
    connection_error(port, "CONTINUATION on stream 0", begun + frame(CONTINUATION, END_HEADERS, 0, whole[5:]), PROTOCOL)
    connection_error(port, "CONTINUATION behind DATA",
                     headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, END_HEADERS, 1, whole), PROTOCOL)


def test_priority(port):
    connection_error(port, "stream 0", frame(PRIORITY, 0, 0, number(0) + b"\x10"), PROTOCOL)
    stream_error(port, "four bytes", headers(1, POST, END_HEADERS) + frame(PRIORITY, 0, 1, number(0)), FRAME_SIZE)


def test_rst_stream(port):
    connection_error(port, "stream 0", frame(RST_STREAM, 0, 0, number(8)), PROTOCOL)
    connection_error(port, "three bytes", headers(1, POST, END_HEADERS) + frame(RST_STREAM, 0, 1, b"\0\0\0"), FRAME_SIZE)
    connection_error(port, "five bytes", headers(1, POST, END_HEADERS) + frame(RST_STREAM, 0, 1, b"\0\0\0\0\x08"), FRAME_SIZE)


def test_settings(port):
    connection_error(port, "ACK with a payload", frame(SETTINGS, ACK, 0, b"\0"), FRAME_SIZE)
    connection_error(port, "on a stream", frame(SETTINGS, 0, 1, b"\0\3\0\0\0\x64"), PROTOCOL)
    connection_error(port, "not a multiple of six", frame(SETTINGS, 0, 0, b"\0\3\0"), FRAME_SIZE)
    connection_error(port, "ENABLE_PUSH 2", settings((2, 2)), PROTOCOL)
    connection_error(port, "INITIAL_WINDOW_SIZE 2^31", settings((4, 1 << 31)), FLOW_CONTROL)
    connection_error(port, "MAX_FRAME_SIZE below 2^14", settings((5, 16383)), PROTOCOL)
    connection_error(port, "MAX_FRAME_SIZE above 2^24-1", settings((5, 1 << 24)), PROTOCOL)
    passes(port, "an unknown one", settings((0xFF, 1)) + headers(1))
    passes(port, "one twice", settings((4, 100), (4, 65535)) + headers(1))
    with Peer(port) as p:
        p.until(lambda: [f for f in p.of(SETTINGS) if f[1] & ACK])
        before = len(p.frames)
        p.send(settings((3, 100)))
        p.until(lambda: [f for f in p.frames[before:] if f[0] == SETTINGS and f[1] & ACK])
        assert not p.closed and not p.of(GOAWAY)


def test_push_promise_ping_goaway(port):
    connection_error(port, "a client promises", headers(1, POST, END_HEADERS) + frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + block(GET)), PROTOCOL)
    connection_error(port, "PING on a stream", frame(PING, 0, 1, b"12345678"), PROTOCOL)
    connection_error(port, "PING of six bytes", frame(PING, 0, 0, b"123456"), FRAME_SIZE)
    connection_error(port, "GOAWAY on a stream", frame(GOAWAY, 0, 1, number(0) + number(0)), PROTOCOL)
    with Peer(port) as p:
        p.send(frame(PING, ACK, 0, b"unasked.") + frame(PING, 0, 0, b"12345678"))
        p.until(lambda: p.of(PING))
        assert [(f[1], f[3]) for f in p.of(PING)] == [(ACK, b"12345678")], "an ACK is not answered"
    with Peer(port) as p:  # what is in flight finishes
        p.send(headers(1) + frame(GOAWAY, 0, 0, number(0) + number(0)))
        assert p.answered()


# ---- 6.9: windows ---------------------------------------------------------------------------------------------------------------------

def test_window_updates(port):
    connection_error(port, "an increment of 0", frame(WINDOW_UPDATE, 0, 0, number(0)), PROTOCOL)
    stream_error(port, "an increment of 0 on a stream", headers(1, POST, END_HEADERS) + frame(WINDOW_UPDATE, 0, 1, number(0)), PROTOCOL)
    connection_error(port, "three bytes", frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), FRAME_SIZE)
    connection_error(port, "more than 2^31-1", 2 * frame(WINDOW_UPDATE, 0, 0, number(0x7FFFFFFF)), FLOW_CONTROL)
    stream_error(port, "more than 2^31-1 on a stream",
                 headers(1, POST, END_HEADERS) + 2 * frame(WINDOW_UPDATE, 0, 1, number(0x7FFFFFFF)), FLOW_CONTROL)
    stream_error(port, "a new initial window that overflows one",
                 headers(1, POST, END_HEADERS) + frame(WINDOW_UPDATE, 0, 1, number(0x7FFFFFFF - 65535)) + settings((4, 0x7FFFFFFF)),
                 FLOW_CONTROL)


def test_the_clients_window_is_kept(port):
    """One byte at a time; from nothing; from below nothing (6.9.2)."""
    big = [(":method", "GET"), (":scheme", "http"), (":path", "/bytes/1000"), (":authority", "a")]

    def data(p):
        return sum(len(f[3]) for f in p.of(DATA, 1))

    with Peer(port, PREFACE + settings((4, 1))) as p:
        p.send(headers(1, big))
        p.until(lambda: data(p))
        assert data(p) == 1
        p.send(frame(PING, 0, 0, b"12345678"))
        p.until(lambda: p.of(PING))
        assert data(p) == 1, "sent more than the window"
        p.send(settings((4, 10)))
        p.until(lambda: data(p) >= 10)
        p.send(settings((4, 2)) + frame(WINDOW_UPDATE, 0, 1, number(8)) + frame(PING, 0, 0, b"12345678"))
        p.until(lambda: len(p.of(PING)) == 2)
        assert data(p) == 10, "a window of minus eight takes eight to be open"
        p.send(frame(WINDOW_UPDATE, 0, 1, number(2000)))
        assert p.answered() and data(p) == 1000


def test_our_window_is_enforced(ballast, tcp_origin):
    """Who sends more than we let it is told: what a backend does not take is bounded by the window."""
    go, where = threading.Event(), free_port()
    backend = tcp_origin(lambda sock, number: go.wait(30))
    ballast(CONF.format(port=where, backend=backend.address), workers=1)
    stream_error(where, "more than the window of the stream", headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x" * 16384) * 2000,
                 FLOW_CONTROL)
    go.set()


# ---- 8: requests ----------------------------------------------------------------------------------------------------------------------

def test_messages(port):
    trailers = [("x-trailer", "1")]
    stream_error(port, "trailers that do not end the stream",
                 headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + headers(1, trailers, END_HEADERS), PROTOCOL)
    stream_error(port, "a pseudo field in trailers",
                 headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + headers(1, [(":method", "GET")]), PROTOCOL)
    stream_error(port, "an upper case trailer",
                 headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + headers(1, [("X-Trailer", "1")]), PROTOCOL)
    stream_error(port, "less data than said, in two frames",
                 headers(1, [*POST, ("content-length", "5")], END_HEADERS) + frame(DATA, 0, 1, b"x") + frame(DATA, END_STREAM, 1, b"y"), PROTOCOL)
    stream_error(port, "an empty :path", headers(1, [*GET[:2], (":path", ""), GET[3]]), PROTOCOL)
    stream_error(port, "a field with a leading space", headers(1, [*GET, ("x", " y")]), PROTOCOL)
    passes(port, "trailers", headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + headers(1, trailers))
    passes(port, "OPTIONS *", headers(1, [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")]))
    passes(port, "te: trailers", headers(1, [*GET, ("te", "trailers")]))
