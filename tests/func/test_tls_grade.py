"""The grade that SSL Labs' published rules (Server Rating Guide 2009r) give to what a listener agrees to by default.

What is offered is found out as their test does: a handshake for each version, then for each cipher, the ones that were chosen left out.
Trust in the certificate is not judged: it is the operator's."""

import re
import socket
import ssl
import subprocess

import pytest

from lib.certs import Authority
from lib.net import free_port

PROTOCOLS = {ssl.TLSVersion.TLSv1: 90, ssl.TLSVersion.TLSv1_1: 95, ssl.TLSVersion.TLSv1_2: 100, ssl.TLSVersion.TLSv1_3: 100}
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
FORWARD_SECRET = ("ECDHE-", "DHE-", "TLS_")
RSA_EQUIVALENT = {"X25519": 3072, "prime256v1": 3072, "secp384r1": 7680}  # bits of an RSA key as strong (NIST SP 800-57)


def agreed(port, version, left_out=()):
    """(name, version, bits) of the cipher that the server chose, or None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.set_ciphers(":".join([EVERYTHING, *(f"!{name}" for name in left_out)]))
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", port), 10.0) as s, context.wrap_socket(s) as tls:
            return tls.cipher()
    except (ssl.SSLError, ConnectionError):
        return None


def ciphers(port):
    """{name: bits} of TLS 1.2, in the server's order; those of TLS 1.3 cannot be left out one by one, and none of them is weak."""
    found = {}
    while (chosen := agreed(port, ssl.TLSVersion.TLSv1_2, found)) is not None:
        found[chosen[0]] = chosen[2]
    return found


def key_exchange(port):
    """Bits of an RSA key as strong as what keys are exchanged with."""
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input=b"", capture_output=True, timeout=30).stdout.decode()
    return RSA_EQUIVALENT[re.search(r"Server Temp Key: (?:ECDH, )?([\w]+)", out).group(1)]


def strength(bits):
    return 0 if bits == 0 else 20 if bits < 128 else 80 if bits < 256 else 100


def score(versions, bits, key_bits):
    protocol = (max(versions) + min(versions)) / 2
    cipher = (strength(max(bits)) + strength(min(bits))) / 2
    key = 20 if key_bits < 1024 else 80 if key_bits < 2048 else 90 if key_bits < 4096 else 100
    return 0.3 * protocol + 0.3 * key + 0.4 * cipher


def capped(letter, offered, names):
    """By the guide: no TLS 1.2: C; old versions, no forward secrecy or no AEAD: B."""
    if ssl.TLSVersion.TLSv1_2 not in offered and ssl.TLSVersion.TLSv1_3 not in offered:
        return max(letter, "C")
    old = {ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1} & set(offered)
    weak = [name for name in names if not name.startswith(FORWARD_SECRET) or not re.search("GCM|CCM|CHACHA20", name)]
    return max(letter, "B") if old or weak else letter


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # old versions are asked for on purpose
@pytest.mark.parametrize("more,least", [("", 90), (', policy = "modern"', 85), (', ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"', 94)])
def test_an_a(ballast, origin, tmp_path, more, least):
    port, pem = free_port(), Authority(tmp_path).issue("localhost")
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ pem = "{pem}" }} ){more} }} }} }}
pools = {{ app = {{ backends = [ "{origin().address}" ], health = {{ type = "none" }} }} }}
""")
    offered = [version for version in PROTOCOLS if agreed(port, version)]
    found = ciphers(port) or {name: bits for name, _, bits in [agreed(port, ssl.TLSVersion.TLSv1_3)]}
    total = score([PROTOCOLS[version] for version in offered], found.values(), key_exchange(port))
    letter = capped("A" if total >= 80 else "B" if total >= 65 else "C", offered, found)
    assert letter == "A" and total >= least, f"{letter}, {total}: {offered} {found}"


def test_the_rules_tell_good_from_bad():
    assert capped("A", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2], ["ECDHE-RSA-AES128-GCM-SHA256"]) == "B"
    assert capped("A", [ssl.TLSVersion.TLSv1_2], ["AES128-GCM-SHA256"]) == "B"
    assert capped("A", [ssl.TLSVersion.TLSv1_2], ["ECDHE-RSA-AES128-SHA"]) == "B"
    assert capped("A", [ssl.TLSVersion.TLSv1], ["ECDHE-RSA-AES128-SHA"]) == "C"
    assert round(score([100], [128, 256], 3072)) == 93 and score([90, 100], [112, 256], 1024) < 80
