"""?now=1 of a removal and of a maintenance: what is in flight at that backend ends, and nothing else does."""

import pytest

from lib import h2client, http
from lib.net import connect, free_port
from lib.udp import UdpOrigin, client as udp_client
from lib.wait import wait_until


@pytest.fixture
def two(ballast, origins):
    """(instance, port, origins): two workers, two backends, both healthy."""
    port, pair = free_port(), origins(2)
    b = ballast(f"""
workers = 2
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {pair.list_text}, health = {{ interval = "200ms" }} }} }}
""")
    for one in pair:
        b.wait_status(one.address, "healthy")
    return b, port, pair


def held_at(b, port, origin, other, method="GET", body=b""):
    """A client whose request waits at origin for its answer."""
    b.admin(f"/lb/backends/{other.address}/disable", "POST")
    origin.hold()
    before = b.backends()[origin.address]["current_connections"]
    client = http.Client(port)
    client.send(http.build_request(method, "/held", body=body))
    wait_until(lambda: b.backends()[origin.address]["current_connections"] == before + 1)
    b.admin(f"/lb/backends/{other.address}/enable", "POST")
    return client


@pytest.mark.parametrize("verb, path", [("DELETE", "remove"), ("POST", "disable")])
def test_requests_go_elsewhere_or_are_answered(two, verb, path):
    b, port, (one, other) = two
    failures = b.backends()[one.address]["failed_requests"]
    with held_at(b, port, one, other) as get, held_at(b, port, one, other, "POST", b"pay") as post:
        b.admin(f"/lb/backends/{one.address}/{path}?now=1", verb)
        answer = get.read()
        assert answer.status == 200 and answer.text == other.id, "a GET may be sent again"
        answer = post.read()
        assert answer.status == 503 and "taken out" in answer.json()["error"], "a POST may not"
        assert [r.method for r in other.requests if r.path == "/held"] == ["GET"]
        if path == "disable":
            assert b.backends()[one.address]["current_connections"] == 0
            assert b.backends()[one.address]["failed_requests"] == failures, "it is not the backend's failure"
    one.release()
    event = [e for e in b.admin("/lb/events")["events"] if e["kind"] == "admin"][-1]
    assert path.rstrip("e") in event["reason"] and "cutting" in event["reason"]


def test_without_it_nothing_is_cut(two):
    b, port, (one, other) = two
    with held_at(b, port, one, other) as client, held_at(b, port, other, one) as bystander:
        assert b.admin(f"/lb/backends/{one.address}/remove?now=0", "DELETE")["in_flight"] == 1
        b.admin(f"/lb/backends/{other.address}/disable?now=1", "POST")
        assert bystander.read().status == 503, "there is nobody else"
        one.release()
        assert client.read().status == 200
    other.release()


def test_a_backend_that_comes_back_is_not_cut_again(two):
    b, port, (one, other) = two
    b.admin(f"/lb/backends/{one.address}/disable?now=1", "POST")
    b.admin(f"/lb/backends/{one.address}/enable", "POST")
    with held_at(b, port, one, other) as client:
        b.admin(f"/lb/backends/{other.address}/disable?now=1", "POST")
        with connect(port) as probe:  # another request has been through, after the cut was seen
            probe.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            one.release()
            assert client.read().status == 200


@pytest.mark.parametrize("value", ["2", "yes", "", "01", "%00"])
def test_bad_values(two, value):
    b, _, (one, _) = two
    for method, path in (("DELETE", "remove"), ("POST", "disable")):
        answer = b.request(method, f"/lb/backends/{one.address}/{path}?now={value}")
        assert answer.status == 400 and "now" in answer.json()["error"]
    assert b.backends()[one.address]["status"] == "healthy"


def test_tunnels_of_every_kind_end_and_others_stay(ballast, tcp_echo, websocket_origin):
    tcp, kept, dns, web = (free_port() for _ in range(4))
    echo, echo2, sockets, datagrams = tcp_echo(), tcp_echo(), websocket_origin(), UdpOrigin()
    b = ballast(f"""
listeners = {{ tcp = {{ bind = "127.0.0.1:{tcp}", protocol = "tcp", pool = "tcp" }}
  kept = {{ bind = "127.0.0.1:{kept}", protocol = "tcp", pool = "kept" }}
  dns = {{ bind = "127.0.0.1:{dns}", protocol = "udp", pool = "dns" }}
  web = {{ bind = "127.0.0.1:{web}", pool = "ws" }} }}
defaults = {{ health = {{ type = "none" }} }}
pools = {{ tcp = {{ backends = [ "{echo.address}" ] }}, kept = {{ backends = [ "{echo2.address}" ] }}
  dns = {{ backends = [ "{datagrams.address}" ] }}, ws = {{ backends = [ "{sockets.address}" ] }} }}
""")
    upgrade = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    try:
        with connect(tcp) as cut, connect(kept) as stays, connect(web) as ws, udp_client(dns) as datagram:
            for sock in (cut, stays):
                sock.sendall(b"one")
                assert sock.recv(3) == b"one"
            ws.sendall(upgrade)
            assert b" 101 " in ws.recv(4096)
            datagram.send(b"one")
            assert datagram.recv(100)
            for pool in ("tcp", "dns", "ws"):
                name = b.admin(f"/lb/backends?pool={pool}")["backends"][0]["id"]
                b.admin(f"/lb/backends/{name}/remove?now=1", "DELETE")
            assert cut.recv(10) == b"" and ws.recv(10) == b""
            wait_until(lambda: {row["name"]: row["active_connections"] for row in b.admin("/lb/listeners")["listeners"]}["dns"] == 0)
            stays.sendall(b"two")
            assert stays.recv(3) == b"two"
    finally:
        datagrams.stop()


def test_streams_of_http2_are_cut_and_their_connection_stays(two):
    b, port, (one, other) = two
    b.admin(f"/lb/backends/{other.address}/disable", "POST")
    one.hold()
    with h2client.Client(port) as client:
        posts = [client.start("POST", "/held") for _ in range(5)]
        client.flush()
        wait_until(lambda: b.backends()[one.address]["current_connections"] == 5)
        b.admin(f"/lb/backends/{other.address}/enable", "POST")
        b.admin(f"/lb/backends/{one.address}/disable?now=1", "POST")
        client.finish(*posts)
        assert [client.streams[n].status for n in posts] == [503] * 5
        assert client.request("GET", "/").data == other.id.encode()
    one.release()
