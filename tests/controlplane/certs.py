"""Keys and certificates that live as long as one test session. Made here so that no openssl is needed."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def write_signing_key(directory: Path) -> tuple[Path, Path]:
    """The service-account issuer's key pair; returns (private file, public file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = directory / "sa.key", directory / "sa.pub"
    private.write_bytes(_private_pem(key))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


class Authority:
    """Signs certificates with its own.

    Without ``identifiers`` it and they name no keys, like those of older clusters: the strict verification that
    Python 3.13 turned on refuses them, and nothing else does. With another one's ``key`` it signs in its place.
    """

    def __init__(self, key: bytes | None = None, *, identifiers: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1()) if key is None else _read_key(key)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "singleton-jobs test CA")])
        self._identifiers = identifiers
        certificate = (
            self._builder(self._name, self._key.public_key(), datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.key = _private_pem(self._key)

    def server(self) -> tuple[bytes, bytes]:
        """Certificate and key for this machine's loopback names."""
        names: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        return self._issue(subject, ExtendedKeyUsageOID.SERVER_AUTH, names, datetime.timedelta(days=30))

    def client(self, user: str, group: str, *, ends_in: datetime.timedelta) -> tuple[bytes, bytes]:
        """Certificate and key for one who is this user, of this group, to an API server that trusts this authority."""
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, user)]
        )
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH, [], ends_in)

    def _issue(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        ends_in: datetime.timedelta,
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key.public_key(), ends_in)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        leaf = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM), _private_pem(key)

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, ends_in: datetime.timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + ends_in)
        )
        if not self._identifiers:
            return builder
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)


def write_server_certificate(directory: Path, *, identifiers: bool = True) -> tuple[Path, Path, Path]:
    """A certificate for this machine's loopback names; returns (its CA's file, chain file, key file).

    With a CA of its own: a bare self-signed leaf fails where Python verifies strictly.
    """
    authority = Authority(identifiers=identifiers)
    ca_file, chain_file, key_file = directory / "ca.crt", directory / "server.crt", directory / "server.key"
    ca_file.write_bytes(authority.pem)
    certificate, key = authority.server()
    chain_file.write_bytes(certificate)
    key_file.write_bytes(key)
    return ca_file, chain_file, key_file


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
