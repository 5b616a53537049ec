"""protocol = "udp" with datagrams that the kernel joins and cuts (UDP_GRO, UDP_SEGMENT): nobody may notice but the clock."""

import os
import socket

import pytest

from lib.net import free_port
from lib.udp import UdpOrigin, client
from lib.wait import wait_until

UDP_SEGMENT = 103  # Linux; this socket module does not name it


def can_cut():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        except OSError:
            return False
    return True


pytestmark = pytest.mark.skipif(not can_cut(), reason="this kernel does not cut datagrams")


class Burst(UdpOrigin):
    """Answers "N LENGTH LAST" with N datagrams of LENGTH bytes and one of LAST bytes, in one call."""

    def __init__(self, **options):
        super().__init__(answer=self.burst, **options)

    def burst(self, data, address):
        count, each, last = map(int, data.split())
        parts = [bytes([i]) * each for i in range(count)] + [b"\xff" * last]
        self.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, each)
        self.sock.sendto(b"".join(parts), address)
        self.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)


@pytest.fixture
def udp(ballast):
    made = []

    def start(origins, listener="", bind="127.0.0.1"):
        made.extend(origins)
        port = free_port()
        backends = ", ".join(f'{{ name = "b{i}", address = "{o.address}" }}' for i, o in enumerate(origins))
        instance = ballast(f"""
listeners = {{ dns = {{ bind = "{bind}:{port}", protocol = "udp", pool = "dns"{listener} }} }}
pools = {{ dns = {{ backends = ( {backends} ), health = {{ type = "none" }} }} }}
""")
        instance.port = port
        return instance

    yield start
    for origin in made:
        origin.stop()


def cut(s, each, data):
    """One message that the kernel makes datagrams of."""
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, each)
    s.send(data)
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)


def details(instance):
    return instance.admin("/lb/stats")["server_details"][0]


@pytest.mark.parametrize("each,last", [(1200, 700), (1200, 1200), (1, 1), (33, 7)])
def test_a_clients_datagrams_stay_apart(udp, each, last):
    origin = UdpOrigin(answer=lambda data, address: None)
    b = udp([origin])
    sent = [os.urandom(each) for _ in range(30)] + [os.urandom(last)]
    with client(b.port) as s:
        cut(s, each, b"".join(sent))
        wait_until(lambda: len(origin.got) >= len(sent))
        assert [data for data, _ in origin.got] == sent
        assert len(origin.clients) == 1
        stats = details(b)
        assert stats["bytes_out"] == sum(map(len, sent)) and stats["current_connections"] == 1


@pytest.mark.parametrize("bind", ["127.0.0.1", "[::1]"])
def test_a_backends_datagrams_stay_apart(udp, bind):
    b = udp([Burst()], bind=bind)
    total = 0
    with client((bind.strip("[]"), b.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for count, each, last in [(40, 1200, 700), (40, 1200, 1200), (3, 1000, 20), (40, 50, 1), (1, 9000, 8999), (50, 1200, 3)]:
            s.send(f"{count} {each} {last}".encode())
            got = [s.recv(65536) for _ in range(count + 1)]
            assert got == [bytes([i]) * each for i in range(count)] + [b"\xff" * last]
            total += sum(map(len, got))
        assert details(b)["bytes_in"] == total


def test_small_and_large_answers_mixed(udp):
    sizes = [700, 700, 700, 300, 700, 0, 0, 5, 5, 6, 1400, 1400, 10, 60000, 3]

    def answer(data, address):
        return [bytes([i]) * size for i, size in enumerate(sizes)]

    b = udp([UdpOrigin(answer=answer)])
    with client(b.port) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for _ in range(5):
            s.send(b"?")
            assert [s.recv(65536) for _ in sizes] == answer(None, None)


def test_the_last_answer_that_is_expected_ends_a_session(udp):
    origin = Burst()
    b = udp([origin], listener=", responses = 3")
    with client(b.port) as s:
        for _ in range(3):  # each a session of its own: 3 of 6 answers come
            s.send(b"5 100 100")
            assert [s.recv(200) for _ in range(3)] == [bytes([i]) * 100 for i in range(3)]
        wait_until(lambda: details(b)["current_connections"] == 0)
        assert len(origin.clients) == 3


def test_each_datagram_of_a_client_expects_answers(udp):
    b = udp([UdpOrigin()], listener=", responses = 1")
    with client(b.port) as s:
        cut(s, 10, bytes(range(100)))
        assert sorted(s.recv(100) for _ in range(10)) == [b"b1:" + bytes(range(i, i + 10)) for i in range(0, 100, 10)]
        wait_until(lambda: details(b)["current_connections"] == 0)


def test_a_backend_that_is_gone_gives_its_run_to_another(udp):
    gone, there = UdpOrigin(), UdpOrigin(answer=lambda data, address: None)
    b = udp([gone, there])
    gone.stop()
    socks = [client(b.port) for _ in range(2)]
    try:
        for s in socks:  # the first of them met the one that is gone, and is told of it
            s.send(b"first")
        wait_until(lambda: details(b)["failed_requests"] > 0)
        for s in socks:
            cut(s, 100, b"x" * 1000)
        wait_until(lambda: len([d for d, _ in there.got if d == b"x" * 100]) == 20)
    finally:
        for s in socks:
            s.close()
