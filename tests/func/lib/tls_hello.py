"""ClientHellos as OpenSSL sends them, and the same cut into many records."""

import ssl
import struct


def hello(host, alpn=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(to_client, from_client, server_hostname=host).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return from_client.read()


def in_records(data, size):
    """The message of one record in records of so many bytes."""
    message = data[5:]
    parts = [message[at:at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(p)) + p for p in parts)
