"""Certificates for tests: an authority made in this process, and what it signs."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """ca.pem is the authority's certificate; ca.issue(...) makes a server's certificate and key."""

    def __init__(self, directory, name="test authority"):
        self.directory, self.name = directory, _name(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = str(directory / f"{name.replace(' ', '-')}.pem")
        self._write(self.pem, self._sign(self.name, self.key, [], days=1, authority=True))

    def _sign(self, subject, key, names, days, authority=False):
        now = datetime.datetime.utcnow()
        until = now + datetime.timedelta(days=days)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(min(now, until) - datetime.timedelta(days=2)).not_valid_after(until)
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, path, *parts):
        with open(path, "wb") as out:
            out.write(b"".join(parts))

    def issue(self, *hosts, days=1):
        """Path of a file with a certificate for these names and addresses, and its key. days < 0: expired."""
        names = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        key = ec.generate_private_key(ec.SECP256R1())
        path = str(self.directory / f"{hosts[0].replace(':', '_')}{days}.pem")
        self._write(path, self._sign(_name(hosts[0]), key, names, days), _pem_key(key))
        return path
