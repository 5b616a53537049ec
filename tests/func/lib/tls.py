"""Certificates made on the spot, and clients that speak TLS."""

import datetime
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib import http
from lib.net import connect as connect_plain

_rsa = None


def _key(kind):
    """RSA keys take long to find: one for all."""
    global _rsa
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if _rsa is None:
        _rsa = rsa.generate_private_key(65537, 2048)
    return _rsa


class Authority:
    """A CA. issue() writes a certificate and its key below a directory."""

    def __init__(self, directory, name="Test CA"):
        self.directory, self.name = str(directory), name
        os.makedirs(self.directory, exist_ok=True)
        self.key = _key("ec")
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.cert = self._sign(self.subject, self.key, [], ca=True)
        self.path = self._write(f"{name.replace(' ', '-')}.pem", self.cert.public_bytes(serialization.Encoding.PEM))

    def _write(self, name, data):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def _sign(self, subject, key, names, ca=False, days=365, begins=-1, client=False):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=begins))
                   .not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        if client:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, file, names, kind="ec", days=365, begins=-1, client=False, subject=None, passphrase=None):
        """Returns (certificate path, key path)."""
        key = _key(kind)
        attributes = subject or [(NameOID.COMMON_NAME, (names or [file])[0])]
        cert = self._sign(x509.Name([x509.NameAttribute(o, v) for o, v in attributes]), key, names, False, days, begins,
                          client)
        seal = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal)
        return (self._write(f"{file}.crt", cert.public_bytes(serialization.Encoding.PEM)),
                self._write(f"{file}.key", pem))

    def pem(self, file, names, **options):
        """Certificate and key in one file."""
        cert, key = self.issue(file, names, **options)
        with open(cert, "rb") as c, open(key, "rb") as k:
            return self._write(f"{file}.pem", c.read() + k.read())

    def context(self, alpn=None, least=None, most=None, pair=None):
        c = ssl.create_default_context(cafile=self.path)
        if alpn:
            c.set_alpn_protocols(alpn)
        if least:
            c.minimum_version = least
        if most:
            c.maximum_version = most
        if pair:
            c.load_cert_chain(*pair)
        return c


def connect(where, context, name="a.test", session=None, timeout=10.0):
    """A connected TLS socket that asked for this name."""
    plain = connect_plain(where, timeout)
    try:
        return context.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise


class Client(http.Client):
    """http.Client over TLS."""

    def __init__(self, where, context, name="a.test", session=None, timeout=10.0):
        self.sock = connect(where, context, name, session, timeout)
        self.timeout, self.host = timeout, name
        self.reader = http.Reader(self.sock)


def get(where, context, path="/", headers=(), name="a.test"):
    with Client(where, context, name) as c:
        return c.get(path, headers)
