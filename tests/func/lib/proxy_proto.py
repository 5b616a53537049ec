"""PROXY headers, as a peer before or behind the balancer writes and reads them."""

import ipaddress
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.1", destination="198.51.100.7", sport=1111, dport=80):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {sport} {dport}\r\n".encode()


def v2(source="192.0.2.1", destination="198.51.100.7", sport=1111, dport=80, tlvs=b"", command=1):
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    block = a.packed + b.packed + struct.pack("!HH", sport, dport) + tlvs
    return SIGNATURE + bytes([0x20 | command, 0x11 if a.version == 4 else 0x21]) + struct.pack("!H", len(block)) + block


def local():
    return SIGNATURE + b"\x20\0\0\0"


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def _exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise ValueError(f"closed within a PROXY header: {data!r}")
        data += more
    return data


def read(sock):
    """Takes a header from a connection, exactly: (version, source, sport, destination, dport); (version,) when local."""
    start = _exactly(sock, 6)
    if start == b"PROXY ":
        line = start
        while not line.endswith(b"\r\n"):
            line += _exactly(sock, 1)
        words = line.decode().split()
        return (1,) if words[1] == "UNKNOWN" else (1, words[2], int(words[4]), words[3], int(words[5]))
    head = start + _exactly(sock, 10)
    if head[:12] != SIGNATURE:
        raise ValueError(f"no PROXY header: {head!r}")
    block = _exactly(sock, struct.unpack("!H", head[14:])[0])
    if head[12] == 0x20 or head[13] == 0:
        return (2,)
    family, size = (socket.AF_INET, 4) if head[13] == 0x11 else (socket.AF_INET6, 16)
    ports = struct.unpack("!HH", block[2 * size:2 * size + 4])
    return (2, socket.inet_ntop(family, block[:size]), ports[0],
            socket.inet_ntop(family, block[size:2 * size]), ports[1])
