"""Ports and sockets."""

import fcntl
import os
import random
import socket
import tempfile

# Below the range the kernel gives to outgoing connections, so nobody takes one by chance.
_FIRST, _LAST = 10000, 32000
_lock_file = None
_given = set()


def _claim(port):
    """Holds a byte lock named by the port until this process ends: no two test processes get the same one."""
    global _lock_file
    if _lock_file is None:
        path = os.path.join(tempfile.gettempdir(), f"ballast-test-ports.{os.getuid()}")
        _lock_file = open(path, "a+b")
    try:
        fcntl.lockf(_lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        return True
    except OSError:
        return False


def _bindable(port):
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as s:
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    s.bind((host, port))
                except OSError:
                    return False
    return True


def free_port():
    """A port number nobody listens on, given once and to one test process only."""
    for _ in range(10000):
        port = random.randint(_FIRST, _LAST)
        if port in _given or not _claim(port):
            continue
        _given.add(port)
        if _bindable(port):
            return port
    raise RuntimeError("no free port left")


def free_ports(n):
    return [free_port() for _ in range(n)]


def connect(where, timeout=10.0):
    """A connected stream socket. where: a port on 127.0.0.1, (host, port), or a path of a unix socket."""
    if isinstance(where, str):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(where)
        return s
    if isinstance(where, int):
        where = ("127.0.0.1", where)
    s = socket.create_connection(where, timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_to_end(sock):
    """(bytes, "eof" or "reset")"""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        return data, "reset"
    return data, "eof"


def listening(port, host="127.0.0.1"):
    """Does anybody accept on this port?"""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def reset(sock):
    """Closes a socket with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
