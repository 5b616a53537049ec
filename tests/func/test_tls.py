"""TLS termination: certificates by name, versions, sessions, client certificates, reloads."""

import datetime
import hashlib
import os
import re
import ssl
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from lib import http, tls
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app"{listener}, tls = {{ certificates = {certificates}{tls} }} }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "none" }} }} }}
"""


def pair_text(pair):
    return f'{{ cert = "{pair[0]}", key = "{pair[1]}" }}'


def pairs_text(*pairs):
    return "( " + ", ".join(pair_text(p) if isinstance(p, tuple) else f'{{ pem = "{p}" }}' for p in pairs) + " )"


@pytest.fixture
def ca(tmp_path):
    return tls.Authority(tmp_path / "ca")


@pytest.fixture
def web(ballast, ca, origin):
    """web(certificates, settings...): an instance with a TLS listener; .port, .text(certificates)."""

    def start(certificates=None, settings="", listener="", backend=None, **options):
        port, o = free_port(), backend or origin()
        one = certificates or pairs_text(ca.issue("a", ["a.test"]))

        def text(certs=one, more=settings):
            return CONF.format(port=port, certificates=certs, tls=more, listener=listener, backend=o.address)

        instance = ballast(text(), **options)
        instance.port, instance.text, instance.origin = port, text, o
        return instance

    return start


def leaf(sock):
    return hashlib.sha256(sock.getpeercert(True)).hexdigest()


def names_of(port, context, name):
    with tls.connect(port, context, name) as s:
        return [value for _, value in s.getpeercert()["subjectAltName"]]


# ---- requests --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_over_tls(web, ca, version):
    b = web()
    with tls.Client(b.port, ca.context(least=version, most=version)) as c:
        for _ in range(3):
            r = c.get("/x")
            assert r.status == 200 and r.text == "b1"
        assert c.sock.version() == ("TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
    assert b.origin.requests[-1].header("X-Forwarded-Proto") == "https"
    assert b.metrics()['ballast_tls_handshakes_total{listener="web"}'] == 1


def test_bodies_both_ways(web, ca):
    b = web()
    body = os.urandom(3_000_000)
    with tls.Client(b.port, ca.context()) as c:
        assert c.request("POST", "/echo", body=body).status == 200
        assert b.origin.requests[-1].body == body
        r = c.get("/bytes/5000000")
        assert len(r.body) == 5_000_000


def test_pipelined_requests_in_one_record(web, ca):
    b = web()
    with tls.Client(b.port, ca.context()) as c:
        c.send(b"GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n" * 20)
        for _ in range(20):
            assert c.read().status == 200


def test_a_head_byte_by_byte(web, ca):
    b = web()
    with tls.Client(b.port, ca.context()) as c:
        for byte in b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n":
            c.send(bytes([byte]))
        assert c.read().status == 200


def test_the_answer_ends_with_close_notify(web, ca):
    b = web()
    with tls.Client(b.port, ca.context()) as c:
        assert c.get("/", [("Connection", "close")]).status == 200
        c.sock.suppress_ragged_eofs = False
        assert c.sock.recv(1) == b""  # an end without close_notify would raise


def test_plain_http_is_told(web):
    b = web()
    r = http.get(b.port)
    assert r.status == 400 and "TLS" in r.text


def test_garbage_ends_only_its_connection(web, ca):
    b = web()
    for junk in (b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\0" * 600, b"SSH-2.0-x\r\n"):
        assert len(http.exchange(b.port, junk)) < 100
    assert tls.get(b.port, ca.context()).status == 200
    wait_until(lambda: b.metrics()['ballast_tls_handshakes_failed_total{listener="web"}'] == 3, what="failures counted")


def test_a_handshake_that_does_not_come_is_over_in_time(web, ca):
    b = web(listener=', timeouts = { header = "2s" }')
    with connect(b.port) as s:
        s.settimeout(10)
        assert s.recv(1) == b""
    assert tls.get(b.port, ca.context()).status == 200


def test_tcp_over_tls_passes_both_ends(ballast, ca, tcp_echo):
    port, echo = free_port(), tcp_echo()
    ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "db", tls = {{
    certificates = {pairs_text(ca.issue("a", ["a.test"]))} }} }} }}
pools = {{ db = {{ backends = [ "{echo.address}" ], health = {{ type = "none" }} }} }}
""")
    data = os.urandom(300_000)
    with tls.connect(port, ca.context()) as s:
        threading.Thread(target=s.sendall, args=(data,)).start()
        got = b""
        while len(got) < len(data):
            got += s.recv(65536)
        assert got == data


# ---- certificates by name ----------------------------------------------------------------------------------------------

def test_names_exact_wildcard_and_default(web, ca):
    b = web(pairs_text(ca.issue("a", ["a.test"]), ca.issue("w", ["*.w.test", "w.test"]), ca.pem("p", ["x.w.test"])))
    c = ca.context()
    c.check_hostname = False
    for asked, has in (("a.test", "a.test"), ("A.TEST", "a.test"), ("q.w.test", "*.w.test"), ("w.test", "*.w.test"),
                       ("x.w.test", "x.w.test"), ("y.x.w.test", "a.test"), ("other", "a.test")):
        assert names_of(b.port, c, asked)[0] == has, asked
    with c.wrap_socket(connect(b.port)) as s:  # no name at all
        assert s.getpeercert()["subject"][0][0][1] == "a.test"


@pytest.mark.parametrize("named", ["a.test", "b.test"])
def test_rsa_and_ecdsa_side_by_side(web, ca, named):
    b = web(pairs_text(ca.issue("a-ec", ["a.test"]), ca.issue("a-rsa", ["a.test"], kind="rsa"),
                       ca.issue("b-ec", ["b.test"]), ca.issue("b-rsa", ["b.test"], kind="rsa")))
    seen = {}
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        c = ca.context(most=ssl.TLSVersion.TLSv1_2)
        c.set_ciphers(cipher)
        with tls.connect(b.port, c, named) as s:
            assert s.cipher()[0] == cipher
            seen[cipher] = len(s.getpeercert(True))
    assert len(set(seen.values())) == 2


def test_many_certificates_are_cheap(web, ca):
    """One pair of files under many names in many entries: what counts is that start and choice stay quick."""
    pems = [ca.pem(f"n{i}", [f"n{i}.test", f"*.n{i}.test"]) for i in range(300)]
    b = web(pairs_text(*pems))
    for i in (0, 150, 299):
        assert names_of(b.port, ca.context(), f"n{i}.test")[0] == f"n{i}.test"


# ---- versions, ciphers, ALPN ---------------------------------------------------------------------------------------------

def test_modern_is_tls_1_3_only(web, ca):
    b = web(settings=', policy = "modern"')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.connect(b.port, ca.context(most=ssl.TLSVersion.TLSv1_2))
    assert tls.get(b.port, ca.context()).status == 200


def test_old_versions_are_refused(web, ca):
    b = web()
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{b.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                         input=b"", capture_output=True, timeout=20)
    assert b"Cipher is (NONE)" in out.stdout


def test_ciphers(web, ca):
    b = web(settings=', ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256"')
    for most, name in ((ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"), (None, "TLS_CHACHA20_POLY1305_SHA256")):
        with tls.connect(b.port, ca.context(most=most)) as s:
            assert s.cipher()[0] == name


def test_alpn(web, ca):
    b = web(settings=', alpn = [ "http/1.1" ]')
    with tls.connect(b.port, ca.context(alpn=["h2", "http/1.1"])) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLError):
        tls.connect(b.port, ca.context(alpn=["smtp"]))


# ---- sessions ------------------------------------------------------------------------------------------------------------

def resumed(b, context, session):
    with tls.Client(b.port, context, session=session) as c:
        assert c.get("/").status == 200
        return c.sock.session_reused, c.sock.session


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_across_workers_and_reloads(web, ca, most):
    b = web(workers=4)
    c = ca.context(most=most)
    reused, session = resumed(b, c, None)
    assert not reused
    for _ in range(12):  # with four workers they cannot all be the one that made it
        before = session.id
        reused, session = resumed(b, c, session)
        assert reused and (most != ssl.TLSVersion.TLSv1_3 or session.id != before), "TLS 1.3 uses a ticket once: a new one came"
    b.reload(b.text())
    assert resumed(b, c, session)[0]
    assert b.metrics()['ballast_tls_handshakes_resumed_total{listener="web"}'] == 13


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_without_tickets_a_worker_remembers(web, tmp_path, version):
    """With openssl's client: Python's gives a session up when it closes first."""
    b = web(settings=", tickets = false", workers=1)
    kept = tmp_path / "session.pem"

    def connect_with(*more):
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{b.port}", version, "-servername", "a.test",
                               "-ign_eof", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as p:
            out, _ = p.communicate(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", timeout=20)
        assert b"HTTP/1.1 200" in out
        return b"Reused, TLS" in out

    assert not connect_with("-sess_out", str(kept))
    assert connect_with("-sess_in", str(kept))


def test_a_session_is_over_in_time(web, ca):
    b = web(settings=', session_timeout = "1s"')
    c = ca.context(most=ssl.TLSVersion.TLSv1_2)
    _, session = resumed(b, c, None)
    wait_until(lambda: not resumed(b, c, session)[0], what="the session to expire")


# ---- client certificates ---------------------------------------------------------------------------------------------------

SUBJECT = [(NameOID.ORGANIZATION_NAME, "Evil\r\nX-Admin: 1"), (NameOID.COMMON_NAME, "joe, \"the\" client")]


def test_client_certificate_required(web, ca):
    b = web(settings=f', client_ca = "{ca.path}", client_verify = "required"')
    with pytest.raises((ssl.SSLError, ConnectionError, http.HttpError)):
        tls.get(b.port, ca.context())
    with pytest.raises((ssl.SSLError, ConnectionError, http.HttpError)):
        stranger = tls.Authority(ca.directory + "/other", "Other CA")
        tls.get(b.port, ca.context(pair=stranger.issue("eve", ["eve"], client=True)))
    pair = ca.issue("joe", ["joe"], client=True, subject=SUBJECT)
    with tls.Client(b.port, ca.context(pair=pair)) as c:
        assert c.get("/", [("X-Client-Cert-Subject", "CN=root"), ("X-Client-Cert-Verify", "x")]).status == 200
        assert c.get("/again").status == 200
    seen = b.origin.requests[-2]
    assert seen.all("X-Client-Cert-Verify") == ["SUCCESS"]
    assert len(seen.all("X-Client-Cert-Subject")) == 1 and seen.all("X-Admin") == []
    assert seen.header("X-Client-Cert-Subject").startswith("CN=joe\\, \\\"the\\\" client,O=Evil\\0D\\0AX-Admin")
    assert seen.header("X-Client-Cert-Issuer") == "CN=Test CA" and len(seen.header("X-Client-Cert-SHA256")) == 64


def test_client_certificate_optional(web, ca):
    b = web(settings=f', client_ca = "{ca.path}", client_verify = "optional"')
    assert tls.get(b.port, ca.context(), headers=[("X-Client-Cert-Subject", "CN=root")]).status == 200
    assert b.origin.requests[-1].all("X-Client-Cert-Verify") == ["NONE"]
    assert b.origin.requests[-1].all("X-Client-Cert-Subject") == []
    stranger = tls.Authority(ca.directory + "/other", "Other CA")
    with pytest.raises((ssl.SSLError, ConnectionError, http.HttpError)):
        tls.get(b.port, ca.context(pair=stranger.issue("eve", ["eve"], client=True)))


def test_nobody_forges_an_identity_on_a_plain_listener(ballast, origin):
    port, o = free_port(), origin()
    ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}\n'
            f'pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}\n')
    assert http.get(port, headers=[("x-client-CERT-subject", "CN=root"), ("X-Mine", "1")]).status == 200
    assert o.requests[-1].all("X-Client-Cert-Subject") == [] and o.requests[-1].header("X-Mine") == "1"


def test_a_session_does_not_outlive_a_change_of_authorities(web, ca):
    other = tls.Authority(ca.directory + "/other", "Other CA")
    settings = ', client_ca = "{}", client_verify = "required"'
    b = web(settings=settings.format(ca.path))
    c = ca.context(pair=ca.issue("joe", ["joe"], client=True), most=ssl.TLSVersion.TLSv1_2)
    _, session = resumed(b, c, None)
    b.reload(b.text(more=settings.format(other.path)))
    with pytest.raises((ssl.SSLError, ConnectionError, http.HttpError)):
        resumed(b, c, session)


# ---- HSTS, OCSP ------------------------------------------------------------------------------------------------------------

def test_hsts_in_every_answer(web, ca, origin):
    b = web(settings=', hsts = "365d"')
    with tls.Client(b.port, ca.context()) as c:
        assert c.get("/").all("Strict-Transport-Security") == ["max-age=31536000"]
        assert c.get("/status/404").all("Strict-Transport-Security") == ["max-age=31536000"]
        b.origin.stop()
        r = c.get("/")
        assert r.status == 502 and r.all("Strict-Transport-Security") == ["max-age=31536000"]


def ocsp_response(ca, cert_path, directory):
    """Made by openssl, signed by the CA itself."""
    key = os.path.join(directory, "ca.key")
    with open(key, "wb") as f:
        f.write(ca.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    index, request, response = (os.path.join(directory, n) for n in ("index.txt", "req.der", "resp.der"))
    serial = subprocess.run(["openssl", "x509", "-in", cert_path, "-noout", "-serial"], capture_output=True,
                            check=True).stdout.decode().strip().split("=")[1]
    with open(index, "w", encoding="ascii") as f:
        f.write(f"V\t401231235959Z\t\t{serial}\tunknown\t/CN=a.test\n")
    subprocess.run(["openssl", "ocsp", "-issuer", ca.path, "-cert", cert_path, "-reqout", request], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "ocsp", "-index", index, "-rsigner", ca.path, "-rkey", key, "-CA", ca.path, "-reqin", request,
                    "-respout", response, "-ndays", "3"], check=True, capture_output=True)
    return response


def test_ocsp_is_stapled(web, ca, tmp_path):
    cert, key = ca.issue("a", ["a.test"])
    response = ocsp_response(ca, cert, str(tmp_path))
    b = web(f'( {{ cert = "{cert}", key = "{key}", ocsp = "{response}" }} )')
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{b.port}", "-servername", "a.test", "-status"],
                         input=b"", capture_output=True, timeout=20).stdout
    assert b"OCSP Response Status: successful" in out and b"Cert Status: good" in out


def own_ocsp_response(ca, cert_path, path, hours=72, revoked=False):
    """One that openssl's tool would not make."""
    from cryptography import x509
    from cryptography.x509 import ocsp
    with open(cert_path, "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    now = datetime.datetime.utcnow()
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=cert, issuer=ca.cert, algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=now - datetime.timedelta(hours=100), next_update=now + datetime.timedelta(hours=hours),
        revocation_time=now - datetime.timedelta(hours=99) if revoked else None, revocation_reason=None)
    response = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, ca.cert).sign(ca.key, hashes.SHA256())
    with open(path, "wb") as f:
        f.write(response.public_bytes(serialization.Encoding.DER))
    return path


def stapled(b):
    return b"OCSP Response Status: successful" in subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{b.port}", "-servername", "a.test", "-status"], input=b"",
        capture_output=True, timeout=20).stdout


def test_an_expired_ocsp_response_is_not_stapled(web, ca, tmp_path):
    cert, key = ca.issue("a", ["a.test"])
    conf = f'( {{ cert = "{cert}", key = "{key}", ocsp = "{own_ocsp_response(ca, cert, tmp_path / "r", hours=-1)}" }} )'
    b = web(conf)
    assert "has expired: it is not stapled" in b.log() and not stapled(b)
    own_ocsp_response(ca, cert, tmp_path / "r")
    b.reload(b.text(conf))
    assert stapled(b)


def test_an_ocsp_response_of_a_revoked_certificate_is_said(web, ca, tmp_path):
    cert, key = ca.issue("a", ["a.test"])
    b = web(f'( {{ cert = "{cert}", key = "{key}", ocsp = "{own_ocsp_response(ca, cert, tmp_path / "r", revoked=True)}" }} )')
    assert "says that the certificate is revoked" in b.log()


def test_keys_are_in_no_core_file(web):
    """Neither the configuration nor the keys of tickets, and processes that serve leave none at all."""
    b = web(workers=1)
    with open(f"/proc/{next(iter(b.worker_pids.values()))}/smaps", encoding="ascii") as f:
        areas = re.findall(r"^[0-9a-f]+-\S+ .*?((?:ballast-configuration|ballast-tickets|$))[^\n]*\n(?:.*\n)*?VmFlags: (.*)", f.read(), re.M)
    secret = {name: flags.split() for name, flags in areas if name}
    assert set(secret) == {"ballast-configuration", "ballast-tickets"} and all("dd" in flags for flags in secret.values())


# ---- reloads ---------------------------------------------------------------------------------------------------------------

def test_a_reload_changes_certificates_and_no_connection(web, ca):
    b = web(workers=2)
    c = ca.context()
    with tls.Client(b.port, c) as before:
        assert before.get("/").status == 200
        first = leaf(before.sock)
        b.reload(b.text(pairs_text(ca.issue("a", ["a.test"]))))
        assert before.get("/").status == 200
        with tls.Client(b.port, c) as after:
            assert leaf(after.sock) != first and after.get("/").status == 200
        assert before.get("/").status == 200 and leaf(before.sock) == first


def test_a_reload_within_a_handshake(web, ca):
    """What began with one generation may end with another: it ends well, either way."""
    b = web()
    c = ca.context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = c.wrap_bio(incoming, outgoing, server_hostname="a.test")
    with connect(b.port) as s:
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        s.sendall(outgoing.read())
        incoming.write(s.recv(65536))
        b.reload(b.text(pairs_text(ca.issue("a", ["a.test"]))))
        while True:
            try:
                half.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(s.recv(65536))
        half.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        s.sendall(outgoing.read())
        got = b""
        while b"\r\n\r\n" not in got:
            try:
                got += half.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(s.recv(65536))
        assert got.startswith(b"HTTP/1.1 200")


def test_new_certificates_under_load(web, ca):
    b = web(workers=2)
    c = ca.context()
    stop, failures, done = threading.Event(), [], [0]

    def load():
        try:
            while not stop.is_set():
                with tls.Client(b.port, c) as client:
                    for _ in range(3):
                        assert client.get("/").status == 200
                        done[0] += 1
        except Exception as error:  # told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(4):
        b.reload(b.text(pairs_text(ca.issue("a", ["a.test"]))))
    stop.set()
    for t in threads:
        t.join()
    assert not failures and done[0] > 0


def test_a_broken_certificate_leaves_the_old_one(web, ca):
    b = web()
    cert, key = ca.issue("a", ["a.test"])[0], ca.issue("other", ["a.test"])[1]
    assert "does not belong" in b.reload_refused(b.text(pairs_text((cert, key))))
    with tls.connect(b.port, ca.context()) as s:
        assert s.getpeercert()


def test_an_expired_certificate_does_not_stop_the_others(web, ca):
    """A restart or an unrelated reload the day after must not take all names down."""
    from lib.ballast import run
    old, good = ca.issue("old", ["old.test"], days=-1, begins=-10), ca.issue("good", ["good.test"])
    b = web(pairs_text(good, old))
    assert "old.crt has expired: clients will refuse it" in b.log() and "level=warning" in b.log()
    with tls.connect(b.port, ca.context(), "good.test") as s:
        assert s.getpeercert()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        tls.connect(b.port, ca.context(), "old.test")
    b.reload(b.text(pairs_text(good, old)) + "\nmax_connections = 1234\n")
    checked = run("check", "-c", b.conf_path)
    assert checked.returncode == 0 and "has expired" in checked.stderr


def test_a_certificate_about_to_expire_is_said(web, ca):
    b = web(pairs_text(ca.issue("a", ["a.test"], days=5)))
    assert re.search(r"ballast.conf:2: the certificate \S+a.crt expires in [45] days", b.log())


def test_what_is_shown_loads_again(web, ca, tmp_path):
    from lib.ballast import run
    b = web(pairs_text(ca.issue("a", ["a.test"]), ca.pem("p", ["p.test"])),
            f', hsts = "1d", client_ca = "{ca.path}", client_verify = "optional", policy = "modern"')
    shown = run("show", "-c", b.conf_path)
    again = tmp_path / "again.conf"
    again.write_text(shown.stdout)
    assert run("show", "-c", again).stdout == shown.stdout and 'client_verify = "optional"' in shown.stdout


def test_secrets_are_not_shown(web, ca):
    b = web()
    shown = str(b.admin("/lb/config"))
    assert "PRIVATE" not in shown and "a.key" in shown


# ---- what is refused ----------------------------------------------------------------------------------------------------------

def test_bad_settings(check_tls, ca, tmp_path):
    good = ca.issue("a", ["a.test"])
    other = ca.issue("b", ["b.test"])
    locked = ca.issue("c", ["c.test"], passphrase=b"secret")
    rows = [
        (pairs_text((good[0], other[1])), "", "the key does not belong to the certificate"),
        (pairs_text(("nope.crt", good[1])), "", "cannot read"),
        (pairs_text((good[0], "nope.key")), "", "cannot read"),
        (pairs_text((good[1], good[1])), "", "holds no PEM certificate"),
        (pairs_text((good[0], good[0])), "", "holds no PEM private key"),
        (pairs_text(locked), "", "is encrypted"),
        (f'( {{ cert = "{good[0]}" }} )', "", "key: is missing"),
        (f'( {{ key = "{good[1]}" }} )', "", "cert: is missing"),
        (f'( {{ pem = "{good[0]}", key = "{good[1]}" }} )', "", "holds certificate and key"),
        ("( )", "", "is empty"),
        (pairs_text(good), ', ciphers = "NOPE"', "OpenSSL knows none of"),
        (pairs_text(good), ', ciphers = "TLS_NOPE"', "OpenSSL does not know all of"),
        (pairs_text(good), ', policy = "ancient"', "is not one of: modern, intermediate"),
        (pairs_text(good), ', min_version = "1.1"', "is not one of: 1.2, 1.3"),
        (pairs_text(good), ', policy = "modern", min_version = "1.2"', "TLS 1.3 only"),
        (pairs_text(good), ', client_verify = "required"', 'needs "client_ca"'),
        (pairs_text(good), f', client_ca = "{ca.path}"', "means nothing while"),
        (pairs_text(good), f', client_verify = "optional", client_ca = "{good[1]}"', "holds no PEM certificate"),
        (pairs_text(good), ', alpn = [ "h3" ]', "is not one of: h2, http/1.1"),
        (pairs_text(good), ", alpn = [ ]", "is empty"),
        (pairs_text(good), ", hsts = 365", "needs a unit"),
        (pairs_text(good), ', session_timeout = "2d"', "out of range"),
        (pairs_text(good), ', tickets = "no"', "wants true or false"),
        (f'( {{ cert = "{good[0]}", key = "{good[1]}", ocsp = "{good[0]}" }} )', "", "not an OCSP response"),
        (f'( {{ cert = "{good[0]}", key = "{good[1]}", ocsp = "{ocsp_response(ca, other[0], str(tmp_path))}" }} )', "",
         "is about another certificate"),
    ]
    for certificates, settings, said in rows:
        errors = check_tls(certificates, settings)
        assert said in errors and "ballast.conf:2: error" in errors, (certificates, settings, errors)


@pytest.fixture
def check_tls(tmp_path):
    from lib.ballast import run

    def check(certificates, settings):
        path = tmp_path / "ballast.conf"
        path.write_text(CONF.format(port=1, listener="", certificates=certificates, tls=settings, backend="127.0.0.1:1"))
        result = run("check", "-c", path)
        assert result.returncode == 1
        return result.stdout + result.stderr

    return check
