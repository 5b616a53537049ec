"""HTTP/2 to backends, and gRPC through it, with a real client and a real server."""

import re
import threading
from concurrent import futures

import grpc
import pytest

from lib import h2client, http, tls
from lib.ballast import run
from lib.net import free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener} }} }}
pools = {{ app = {{ backends = [ {backends} ], health = {{ type = "none" }}, protocol = "{protocol}"{pool} }} }}
"""


class Echo(grpc.GenericRpcHandler):
    """Methods on bytes: unary, streaming up, streaming down, both; failing, slow, with metadata."""

    def __init__(self):
        self.calls, self.cancelled = [], threading.Event()

    def service(self, details):
        name = details.method.rsplit("/", 1)[-1]
        self.calls.append((details.method, dict(details.invocation_metadata)))
        kinds = {"Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                 "Up": grpc.stream_unary_rpc_method_handler(self.up),
                 "Down": grpc.unary_stream_rpc_method_handler(self.down),
                 "Both": grpc.stream_stream_rpc_method_handler(self.both),
                 "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
                 "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
                 "Late": grpc.unary_stream_rpc_method_handler(self.late)}
        return kinds.get(name)

    def unary(self, request, context):
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-last-bin", b"\0\1")))
        return request.upper()

    def up(self, requests, context):
        return b",".join(requests)

    def down(self, request, context):
        for i in range(int(request)):
            yield b"%d" % i

    def both(self, requests, context):
        for request in requests:
            yield request[::-1]

    def fail(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \u00e9")

    def slow(self, request, context):
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(20)
        return b""

    def late(self, request, context):
        yield b"one"
        context.abort(grpc.StatusCode.ABORTED, "midway")


@pytest.fixture
def server():
    made = []

    def start(credentials=None):
        s = grpc.server(futures.ThreadPoolExecutor(8))
        s.echo = Echo()
        s.add_generic_rpc_handlers((s.echo,))
        port = free_port()
        assert (s.add_secure_port(f"127.0.0.1:{port}", credentials) if credentials
                else s.add_insecure_port(f"127.0.0.1:{port}")) == port
        s.address = f"127.0.0.1:{port}"
        s.start()
        made.append(s)
        return s

    yield start
    for s in made:
        s.stop(None).wait()


@pytest.fixture
def web(ballast):
    def start(*servers, protocol="h2c", pool="", listener="", **options):
        port = free_port()
        backends = ", ".join(f'"{s.address}"' for s in servers)
        instance = ballast(CONF.format(port=port, backends=backends, protocol=protocol, pool=pool, listener=listener),
                           **options)
        instance.port = port
        return instance

    return start


@pytest.fixture
def channel():
    made = []

    def open_channel(port, credentials=None, name=None):
        options = [("grpc.ssl_target_name_override", name)] if name else []
        made.append(grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) if credentials
                    else grpc.insecure_channel(f"127.0.0.1:{port}"))
        return made[-1]

    yield open_channel
    for c in made:
        c.close()


def all_kinds(c):
    unary = c.unary_unary("/echo.Echo/Unary")
    reply, call = unary.with_call(b"hello", timeout=20, metadata=(("x-mine", "me"), ("x-mine-bin", b"\0\xff")))
    assert reply == b"HELLO" and ("x-first", "1") in call.initial_metadata()
    assert ("x-last", "2") in call.trailing_metadata() and ("x-last-bin", b"\0\1") in call.trailing_metadata()
    assert c.stream_unary("/echo.Echo/Up")(iter([b"a", b"b", b"c"]), timeout=20) == b"a,b,c"
    assert list(c.unary_stream("/echo.Echo/Down")(b"200", timeout=20)) == [b"%d" % i for i in range(200)]
    assert list(c.stream_stream("/echo.Echo/Both")(iter([b"ab", b"cd"]), timeout=20)) == [b"ba", b"dc"]
    big = b"x" * 3_000_000
    assert unary(big, timeout=30) == big.upper()


def test_every_kind_of_call(server, web, channel):
    s = server()
    all_kinds(channel(web(s).port))
    metadata = s.echo.calls[0][1]
    assert metadata["x-mine"] == "me" and metadata["x-forwarded-for"] == "127.0.0.1"


def test_over_tls_on_both_sides(server, web, channel, tmp_path):
    ca = tls.Authority(tmp_path / "ca")
    back, front = ca.issue("back", ["app.test"]), ca.issue("front", ["a.test"])

    def read(path):
        with open(path, "rb") as f:
            return f.read()

    s = server(grpc.ssl_server_credentials([(read(back[1]), read(back[0]))]))
    b = web(s, protocol="h2", pool=f', tls = {{ ca = "{ca.path}", sni = "app.test" }}',
            listener=f', tls = {{ certificates = ( {{ cert = "{front[0]}", key = "{front[1]}" }} ) }}')
    all_kinds(channel(b.port, grpc.ssl_channel_credentials(read(ca.path)), "a.test"))


def test_messages_flow_one_by_one(server, web, channel):
    """Each answer comes before the next question: nothing waits for an end."""
    go = threading.Semaphore(1)
    seen = []

    def questions():
        for i in range(20):
            assert go.acquire(timeout=20)
            yield b"%d!" % i

    for reply in channel(web(server()).port).stream_stream("/echo.Echo/Both")(questions(), timeout=30):
        seen.append(reply)
        go.release()
    assert seen == [(b"%d!" % i)[::-1] for i in range(20)]


def test_errors_keep_their_status(server, web, channel):
    c = channel(web(server()).port)
    with pytest.raises(grpc.RpcError) as e:
        c.unary_unary("/echo.Echo/Fail")(b"", timeout=20)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND and e.value.details() == "no such thing: \u00e9"
    with pytest.raises(grpc.RpcError) as e:
        c.unary_unary("/echo.Echo/Nothing")(b"", timeout=20)
    assert e.value.code() == grpc.StatusCode.UNIMPLEMENTED
    replies = c.unary_stream("/echo.Echo/Late")(b"", timeout=20)
    assert next(replies) == b"one"
    with pytest.raises(grpc.RpcError) as e:
        next(replies)
    assert e.value.code() == grpc.StatusCode.ABORTED


def test_a_deadline_cancels_at_the_backend(server, web, channel):
    s = server()
    with pytest.raises(grpc.RpcError) as e:
        channel(web(s).port).unary_unary("/echo.Echo/Slow")(b"", timeout=3)
    assert e.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert s.echo.cancelled.wait(20)


def test_many_calls_share_a_connection(server, web, channel):
    s = server()
    b = web(s, workers=1)
    call = channel(b.port).unary_unary("/echo.Echo/Unary")
    pending = [call.future(b"%d" % i, timeout=30) for i in range(200)]
    assert [f.result() for f in pending] == [b"%d" % i for i in range(200)]
    with open("/proc/net/tcp", encoding="ascii") as f:
        to_backend = re.findall(r"0100007F:%04X 01 " % int(s.address.split(":")[1]), f.read())
    assert len(to_backend) <= 4


def test_a_backend_that_dies_is_a_failed_call_and_comes_back(server, web, channel):
    s, other = server(), server()
    b = web(s, other, workers=1)
    call = channel(b.port).unary_unary("/echo.Echo/Unary")
    for _ in range(4):
        assert call(b"x", timeout=20) == b"X"
    s.stop(None).wait()
    done = 0
    for _ in range(10):
        try:
            assert call(b"x", timeout=20) == b"X"
            done += 1
        except grpc.RpcError:
            pass
    assert done >= 8


def test_http1_clients_of_an_http2_backend(server, web):
    """Text in, fields out: a call by hand, over HTTP/1.1."""
    b = web(server())
    message = b"\0\0\0\0\2hi"
    r = http.request(b.port, "POST", "/echo.Echo/Unary", [("Content-Type", "application/grpc"), ("TE", "trailers")], message)
    assert r.status == 200 and r.body == b"\0\0\0\0\2HI" and dict(r.trailers)["grpc-status"] == "0"


def test_http2_clients_of_an_http2_backend(server, web):
    b = web(server())
    with h2client.Client(b.port) as c:
        numbers = []
        for _ in range(20):
            n = c.start("POST", "/echo.Echo/Unary", [("content-type", "application/grpc"), ("te", "trailers")], end=False)
            c.send(n, b"\0\0\0\0\2hi", end=True)
            numbers.append(n)
        c.finish(*numbers)
        assert all(c.streams[n].data == b"\0\0\0\0\2HI" and dict(c.streams[n].trailers)["grpc-status"] == "0" for n in numbers)


def test_what_does_not_speak_http2(web, origin):
    o = origin()
    b = web(o, workers=1)
    assert http.get(b.port, deadline=20).status in (502, 504)


def test_nobody_there(web):
    class Nobody:
        address = f"127.0.0.1:{free_port()}"

    assert http.get(web(Nobody()).port).status == 502


def test_a_reload_cuts_no_call(server, web, channel):
    s = server()
    b = web(s)
    c = channel(b.port)
    go = threading.Event()

    def questions():
        yield b"ab"
        go.wait(20)
        yield b"cd"

    replies = c.stream_stream("/echo.Echo/Both")(questions(), timeout=30)
    assert next(replies) == b"ba"
    b.reload()
    go.set()
    assert list(replies) == [b"dc"]
    wait_until(lambda: c.unary_unary("/echo.Echo/Unary")(b"x", timeout=20) == b"X", what="a call afterwards")


@pytest.mark.parametrize("settings, said", [
    ('protocol = "h2"', 'needs "tls"'),
    ('protocol = "h2c", tls = { verify = false }', 'is "h2"'),
    ('protocol = "h2c", proxy_protocol = "v2"', "HTTP/2 connections are shared"),
    ('protocol = "spdy"', "is not one of: http1, h2, h2c"),
])
def test_bad_settings(tmp_path, settings, said):
    path = tmp_path / "ballast.conf"
    path.write_text('listeners = { web = { bind = "127.0.0.1:1", pool = "app" } }\n'
                    f'pools = {{ app = {{ backends = [ "127.0.0.1:1" ], {settings} }} }}\n')
    result = run("check", "-c", path)
    assert result.returncode == 1 and said in result.stderr and "ballast.conf:2: error" in result.stderr
