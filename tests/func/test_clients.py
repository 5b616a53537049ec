"""The clients that people use, each through the balancer once. Others have their tests where their subject is: nghttp, h2load and
curl in test_h2.py, grpc in test_grpc.py, openssl's in test_tls.py."""

import shutil
import struct
import subprocess

import pytest

from lib import chromium, tls
from lib.net import free_port
from lib.udp import UdpOrigin

WEB = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }},
                      routes = ( {{ path = "/chat", pool = "chat" }}, {{ path = "/", pool = "app" }} ) }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }}
          chat = {{ backends = [ "{chat}" ], health = {{ type = "none" }} }} }}
"""
DNS = """
listeners = {{ udp = {{ bind = "127.0.0.1:{port}", protocol = "udp", responses = 1, pool = "dns" }} }}
pools = {{ dns = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}
"""


@pytest.mark.skipif(chromium.program() is None, reason="no chromium is installed")
def test_chromium(ballast, origin, websocket_origin, tmp_path):
    """HTTP/2 by ALPN, requests side by side, and a WebSocket as a stream of the same connection (RFC 8441)."""
    port, o, chat = free_port(), origin(), websocket_origin("echo: ")
    cert, key = tls.Authority(tmp_path / "ca").issue("localhost", ["localhost"])
    b = ballast(WEB.format(port=port, cert=cert, key=key, backend=o.address, chat=chat.address), workers=1)
    browser = chromium.Chromium("--ignore-certificate-errors")
    try:
        page = browser.page()
        page.open(f"https://localhost:{port}/")
        assert page.js("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        assert page.js("Promise.all([...Array(50).keys()].map(i => fetch('/bytes/3000?' + i).then(r => r.text())"
                       ".then(t => t.length))).then(all => all.reduce((a, b) => a + b))") == 150_000
        assert page.js("fetch('/', {method: 'POST', body: 'x'.repeat(100000)}).then(r => r.status)") == 200
        assert page.js("new Promise((done, failed) => { const s = new WebSocket('wss://' + location.host + '/chat');"
                       "s.onopen = () => s.send('hello'); s.onmessage = m => done(m.data); s.onerror = () => failed('error'); })"
                       ) == "echo: hello"
    finally:
        browser.close()
    assert b.log().count("HTTP/2 connection ended") == 0


def answer(query, address):
    """A name server that knows one address: 192.0.2.1 for every name."""
    end = query.index(b"\0", 12) + 5
    return query[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0) + query[12:end] + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + b"\xc0\0\x02\x01"


@pytest.mark.skipif(shutil.which("dig") is None, reason="no dig is installed")
def test_dig(ballast):
    server, port = UdpOrigin(answer=answer), free_port()
    try:
        ballast(DNS.format(port=port, backend=server.address))
        out = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=3", "+time=5", "a.example", "b.example"],
                             capture_output=True, text=True, timeout=60)
        assert out.stdout.split() == ["192.0.2.1"] * 2, out.stdout + out.stderr
    finally:
        server.stop()
