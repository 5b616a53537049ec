"""protocol = "tcp" through the real binary."""

import os
import socket
import subprocess
import threading

import pytest

from lib.net import connect, free_port
from lib.wait import wait_until


@pytest.fixture
def tcp(ballast):
    def start(backends, timeouts="", **options):
        port = free_port()
        instance = ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "db"{timeouts} }} }}
pools = {{ db = {{ backends = {backends}, health = {{ type = "none" }} }} }}
""", **options)
        instance.port = port
        return instance

    return start


def read_all(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def test_the_server_speaks_first(tcp, tcp_echo):
    b = tcp(f'[ "{tcp_echo(greeting=b"220 hello").address}" ]')
    with connect(b.port) as s:
        assert s.recv(100) == b"220 hello"


def test_half_close(tcp, tcp_echo):
    """The client's end of file is passed on; the answer to it still comes back."""
    b = tcp(f'[ "{tcp_echo(farewell=b" bye").address}" ]')
    with connect(b.port) as s:
        s.sendall(b"data")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"data bye"


def test_half_close_with_nc(tcp, tcp_echo):
    b = tcp(f'[ "{tcp_echo(farewell=b" bye").address}" ]')
    done = subprocess.run(["nc", "-N", "127.0.0.1", str(b.port)], input=b"from nc", capture_output=True, timeout=20)
    assert done.stdout == b"from nc bye"


def test_half_close_by_the_backend(tcp, tcp_origin):
    got = []

    def handler(sock, number):
        sock.sendall(b"only this")
        sock.shutdown(socket.SHUT_WR)
        got.append(read_all(sock))

    b = tcp(f'[ "{tcp_origin(handler).address}" ]')
    with connect(b.port) as s:
        assert read_all(s) == b"only this"
        s.sendall(b"still here")
        s.shutdown(socket.SHUT_WR)
        wait_until(lambda: got == [b"still here"], what="the rest at the backend")


def test_large_transfer_both_ways_at_once(tcp, tcp_echo):
    b = tcp(f'[ "{tcp_echo().address}" ]')
    data = os.urandom(20_000_000)
    with connect(b.port, 60) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert read_all(s) == data
        sender.join(60)


def test_next_backend_when_a_connect_fails(tcp, tcp_echo):
    b = tcp(f'[ "127.0.0.1:{free_port()}", "{tcp_echo(greeting=b"up").address}" ]')
    for _ in range(6):
        with connect(b.port) as s:
            assert s.recv(10) == b"up"


def test_no_backend_closes_the_connection(tcp):
    b = tcp(f'[ "127.0.0.1:{free_port()}" ]')
    with connect(b.port) as s:
        assert s.recv(10) == b""


def test_idle_timeout(tcp, tcp_echo):
    b = tcp(f'[ "{tcp_echo().address}" ]', ', timeouts = { idle = "2s" }')
    with connect(b.port) as s:
        s.sendall(b"x")
        assert s.recv(10) == b"x"
        assert s.recv(10) == b""


def test_connections_are_counted_and_given_back(tcp, tcp_echo):
    b = tcp(f'[ "{tcp_echo().address}" ]')
    socks = [connect(b.port) for _ in range(5)]
    for s in socks:
        s.sendall(b"x")
        assert s.recv(10) == b"x"
    assert b.admin("/lb/stats")["server_details"][0]["current_connections"] == 5
    for s in socks:
        s.close()
    wait_until(lambda: b.admin("/lb/stats")["server_details"][0]["current_connections"] == 0, what="all given back")
