"""Certificates that a test session makes for itself: nothing secret is ever committed.

Kafka and Python both read them as PEM, so no store of Java's is needed.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.services.ports import LOOPBACK

BACK = datetime.timedelta(hours=1)
LASTS = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Certificate:
    """The files of one certificate.

    Args:
        chain: the certificate.
        key: its private key, PKCS 8, not encrypted.
        both: key and certificate in one file, as Kafka wants it.
    """

    chain: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; who trusts it trusts them.

    Args:
        folder: where the files go.
        name: of the authority, and of its file, `NAME.pem`.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named(name)
        unsigned = unsigned_certificate(self._name, self._name, self._key.public_key())
        ours = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = key_usage(signs_certificates=True)
        ours = ours.add_extension(identifier, critical=False).add_extension(usage, critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(ours.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> Certificate:
        """Make a certificate for both ends of a connection on loopback.

        Args:
            name: the common name, and that of the files.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = (
            unsigned_certificate(named(name), self._name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        chain = signed.public_bytes(Encoding.PEM)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Certificate(
            chain=self._write(f"{name}.pem", chain),
            key=self._write(f"{name}.key", secret),
            both=self._write(f"{name}.both.pem", secret + chain),
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def named(name: str) -> x509.Name:
    """A distinguished name that consists of a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def unsigned_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """What every certificate has, valid from an hour ago for two days."""
    now = datetime.datetime.now(datetime.UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - BACK,
        not_valid_after=now + LASTS,
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key may be used for; OpenSSL's strict checks want it said."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
