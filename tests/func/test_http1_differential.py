"""The HTTP/1 parser against h11: whatever ballast accepts, h11 accepts too, and both see the same message.

Messages are generated: right ones, which both must accept, and right ones with a few wrong bytes. The parser runs as
tests/unit/base/test_http1_probe (see there for the protocol). BALLAST_EXAMPLES asks for more than the usual number.
"""

import os
import struct
import subprocess

import h11
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from lib.ballast import ROOT, binary

EXAMPLES = int(os.environ.get("BALLAST_EXAMPLES", "150"))
PROBE = "tests/unit/base/test_http1_probe"
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize="BALLAST_EXAMPLES" not in os.environ,
                    suppress_health_check=list(HealthCheck))


class Probe:
    def __init__(self):
        build = os.path.dirname(binary())
        program = os.path.join(build, PROBE)
        if not os.path.exists(program):
            subprocess.run(["make", f"BUILD={os.path.relpath(build, ROOT)}", os.path.relpath(program, ROOT)], cwd=ROOT,
                           check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, message):
        self.process.stdin.write(struct.pack(">cI", kind, len(message)) + message)
        self.process.stdin.flush()
        return Answer(self.process.stdout.readline().decode().split())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()


class Answer:
    def __init__(self, words):
        def unhex(word):
            return b"" if word == "-" else bytes.fromhex(word)

        self.result = words[0]
        self.minor, self.status = int(words[1]), int(words[2])
        self.method, self.target = unhex(words[3]), unhex(words[4])
        self.body, self.length = words[5], int(words[6])
        self.keep_alive, self.head_bytes = words[7] == "1", int(words[8])
        self.payload = unhex(words[9])
        pairs = [] if words[10] == "-" else words[10].split(",")
        self.headers = [tuple(bytes.fromhex(part) for part in pair.split(":")) for pair in pairs]


@pytest.fixture(scope="module")
def probe():
    running = Probe()
    yield running
    running.close()


class Message:
    """What h11 makes of the bytes: head event, payload, whether the end was seen, what follows the message."""

    def __init__(self, connection, raw, eof=False):
        self.connection, self.head, self.payload, self.complete = connection, None, b"", False
        connection.receive_data(raw)
        if eof:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, (h11.Request, h11.Response)):
                self.head = event
            elif isinstance(event, h11.Data):
                self.payload += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.complete = True
                break
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                break
        self.rest = connection.trailing_data[0]


def h11_request(raw):
    # h11 leaves out RFC 9112 2.2's tolerance for one empty line
    raw = raw[2:] if raw.startswith(b"\r\n") else raw
    return Message(h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), raw)


def h11_response(raw, method, eof):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target="/" if method != "CONNECT" else "a.test:80", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    return Message(connection, raw, eof)


# ---- messages ------------------------------------------------------------------------------------------------------------

TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VCHAR = bytes(range(0x21, 0x7f)) + bytes(range(0x80, 0x100))
FRAMING = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"}

tokens = st.text(TCHAR, min_size=1, max_size=24).map(str.encode)
blanks = st.sampled_from([b"", b" ", b"\t", b"  \t "])
words = st.lists(st.sampled_from([bytes([c]) for c in VCHAR]), min_size=1, max_size=20).map(b"".join)
values = st.lists(words, max_size=3).map(b" \t".join)
names = tokens.filter(lambda name: name.lower() not in FRAMING)
fields = st.lists(st.tuples(names, values), max_size=6)
known = st.lists(st.sampled_from([
    (b"Connection", b"close"), (b"Connection", b"keep-alive"), (b"connection", b"x-a, Close"), (b"CONNECTION", b",foo,,"),
    (b"Expect", b"100-continue"), (b"Upgrade", b"websocket"), (b"Cookie", b"a=b; c=d"), (b"TE", b"trailers"),
    (b"X-Forwarded-For", b"192.0.2.1"), (b"Accept", b"*/*")]), max_size=3)
origin_targets = st.text([chr(c) for c in range(0x21, 0x7f) if c != 0x23], max_size=40).map(lambda s: b"/" + s.encode())
absolute_targets = st.tuples(st.sampled_from([b"http://", b"HTTPS://"]), st.sampled_from([b"b.test", b"[::1]:80", b"1.2.3.4:"]),
                             st.one_of(st.just(b""), origin_targets)).map(b"".join)
methods = st.one_of(st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"DELETE"]),
                    tokens.filter(lambda method: method not in (b"CONNECT", b"OPTIONS")))
hosts = st.sampled_from([b"a.test", b"a.test:8080", b"127.0.0.1", b"[::1]:1", b"a_b%41"])
payloads = st.binary(max_size=60)


@st.composite
def chunked(draw):
    out = b""
    extensions = st.sampled_from([b"", b"", b"", b";a", b";a=b", b';a="b \\" ;";c', b"; a = b"])
    for chunk in draw(st.lists(st.binary(min_size=1, max_size=30), max_size=4)):
        size = draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % len(chunk)
        out += size + draw(extensions) + b"\r\n" + chunk + b"\r\n"
    out += draw(st.sampled_from([b"0", b"00"])) + draw(extensions) + b"\r\n"
    for name, value in draw(st.lists(st.tuples(names, values), max_size=2)):
        out += name + b": " + value + b"\r\n"
    return out + b"\r\n"


@st.composite
def framed(draw, start_line, required, minor):
    """A message with this start line: fields in any order, and a body."""
    kind = draw(st.sampled_from(["none", "length", "chunked"] if minor == b"1" else ["none", "length"]))
    all_fields = list(required) + draw(fields) + draw(known)
    body = b""
    if kind == "length":
        body = draw(payloads)
        all_fields.append((draw(st.sampled_from([b"Content-Length", b"content-length"])), b"%d" % len(body)))
    elif kind == "chunked":
        body = draw(chunked())
        all_fields.append((b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))))
    out = start_line + b"\r\n"
    for name, value in draw(st.permutations(all_fields)):
        out += name + b":" + draw(blanks) + value + draw(blanks) + b"\r\n"
    return out + b"\r\n" + body


@st.composite
def requests(draw):
    minor = draw(st.sampled_from([b"1", b"1", b"0"]))
    line = b" ".join([draw(methods), draw(st.one_of(origin_targets, absolute_targets)), b"HTTP/1." + minor])
    return draw(framed(line, [(b"Host", draw(hosts))], minor))


@st.composite
def responses(draw):
    minor = draw(st.sampled_from([b"1", b"1", b"0"]))
    status = draw(st.sampled_from([b"200", b"201", b"204", b"206", b"301", b"304", b"404", b"500", b"599"]))
    line = b"HTTP/1." + minor + b" " + status + b" " + draw(values)
    return draw(framed(line, [], minor))


SPICE = st.one_of(st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b";", b'"', b"\x0b", b"\x7f", b"0", b"1",
                                   b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"chunked, ",
                                   b"\r\n ", b"\r\n\r\n", b"+", b"-", b"0x", b"#"]),
                  st.binary(min_size=1, max_size=1))


@st.composite
def damaged(draw, messages):
    raw = draw(messages)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 2))
        raw = raw[:at] + draw(st.one_of(st.just(b""), SPICE)) + raw[at + cut:]
    return raw


# ---- the comparison ------------------------------------------------------------------------------------------------------

def normal(name, value):
    """As h11 presents a field: the coding in lower case."""
    return name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value


def check_same(raw, answer, message):
    assert answer.payload == message.payload, raw
    assert [normal(n, v) for n, v in answer.headers] == list(message.head.headers), raw
    # h11 says 1.2 where ballast, as RFC 9110 6.2 wants, treats it as the highest minor version that it knows
    assert answer.minor == min(int(message.head.http_version[2:]), 1), raw


def check_request(raw, answer):
    message = h11_request(raw)
    assert message.head is not None, raw
    assert (answer.method, answer.target) == (message.head.method, message.head.target), raw
    assert message.complete == (answer.result == "done"), raw
    check_same(raw, answer, message)
    if answer.keep_alive and answer.minor == 1:
        assert message.connection.their_state is not h11.MUST_CLOSE, raw
    return message


def check_response(raw, answer, method):
    message = h11_response(raw, method, answer.body == "close")
    assert message.head is not None, raw
    assert answer.status == message.head.status_code, raw
    assert message.complete == (answer.result == "done"), raw
    check_same(raw, answer, message)


@SETTINGS
@given(raw=requests())
def test_right_requests(probe, raw):
    answer = probe.ask(b"Q", raw)
    assert answer.result == "done", raw
    state = check_request(raw, answer).connection.their_state
    # h11 does not know keep-alive in HTTP/1.0
    if answer.minor == 1 and state in (h11.DONE, h11.MUST_CLOSE):
        assert answer.keep_alive == (state is h11.DONE), raw


@SETTINGS
@given(raw=damaged(requests()))
def test_damaged_requests(probe, raw):
    answer = probe.ask(b"Q", raw)
    assume(answer.result != "error" and answer.head_bytes > 0)
    check_request(raw, answer)


KINDS = {"GET": b"R", "HEAD": b"H"}


@SETTINGS
@given(raw=responses(), method=st.sampled_from(["GET", "HEAD"]))
def test_right_responses(probe, raw, method):
    answer = probe.ask(KINDS[method], raw)
    assert answer.result == "done", raw
    check_response(raw, answer, method)


@SETTINGS
@given(raw=damaged(responses()), method=st.sampled_from(["GET", "HEAD"]))
def test_damaged_responses(probe, raw, method):
    answer = probe.ask(KINDS[method], raw)
    assume(answer.result != "error" and answer.head_bytes > 0)
    check_response(raw, answer, method)
