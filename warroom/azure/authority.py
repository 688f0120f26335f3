"""A certificate authority to throw away, and what it vouches for."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=365)
CLOCKS_MAY_DIFFER = timedelta(hours=1)
USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Issued(NamedTuple):
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _key_usage(*uses: str) -> x509.KeyUsage:
    usage = {name: name in uses for name in USES}
    return x509.KeyUsage(**usage)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _draft(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """What every certificate has. OpenSSL's strict mode wants it to tell its key."""
    now = datetime.now(timezone.utc)
    public_key = key.public_key()
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_MAY_DIFFER)
        .not_valid_after(now + VALID_FOR)
        .add_extension(key_id, critical=False)
    )


def _new_authority() -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Simulated tenant, to throw away")
    authority = (
        _draft(name, key)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Issued(authority, key)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _vouched(hosts: Iterable[str], authority: Issued) -> Issued:
    """A server's certificate for these hosts."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general_name(host) for host in hosts]
    draft = _draft(_name("Simulated tenant"), key)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority.key.public_key()
    )
    extensions = (
        x509.SubjectAlternativeName(names),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        issuer_id,
    )
    for extension in extensions:
        draft = draft.add_extension(extension, critical=False)
    certificate = (
        draft.issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate, key)


def _certificate_pem(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(issued: Issued) -> bytes:
    return issued.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def vouch_for(hosts: Iterable[str], folder: Path) -> ssl.SSLContext:
    """What a server of these hosts proves itself with to those who trust `ca.pem`.

    folder: where that file is written, and the server's own; nobody else may read there.
    The authority's key is written nowhere, so it can vouch for nothing more.
    """
    authority = _new_authority()
    server = _vouched(hosts, authority)
    (folder / "ca.pem").write_bytes(_certificate_pem(authority))
    path = folder / "server.pem"
    path.write_bytes(_key_pem(server) + _certificate_pem(server))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
