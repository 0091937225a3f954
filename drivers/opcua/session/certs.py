"""Manage the folder of OPC UA certificates: own/, trusted/, issuers/, rejected/. The work of `ebr-gateway certs`.

own/ holds cert.der and key.pem (0600); trusted/ and issuers/ are laid out as `trust` reads them; rejected/ holds refused certificates, each
named by its SHA-256, until a person has looked at it and trusts it.
"""

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.opcua.session.trust import KEY_BITS, certificates, load, uri_of

__all__ = ["certificates", "load", "uri_of"]  # of `trust`, for callers that know this module alone

WARN_DAYS = (60, 30, 7)
"""Days before a certificate's end at which a warning begins."""
DAYS = 1825
"""Validity of our own certificate."""


Kind = Literal["own", "trusted", "issuer", "rejected"]


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """Our application instance certificate, its key's file and its application URI."""

    certificate: x509.Certificate
    key_file: Path
    uri: str


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One certificate of the folder, for a person. warning: a line if it ends soon, or has ended."""

    kind: Kind
    sha256: str
    subject: str
    uri: str | None
    not_before: datetime
    not_after: datetime
    file: str
    warning: str | None


def make(folder: Path, uri: str | None = None) -> CertificateInfo:
    """Make a new key and self-signed certificate in own/, valid for five years. Raises FileExistsError rather than replace one."""
    place = folder / "own"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    host = socket.gethostname()
    key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = _signed(key, host, uri or f"urn:{host}:ebr-gateway")
    _write(place / "key.pem", pem, 0o600)
    _write(place / "cert.der", certificate.public_bytes(serialization.Encoding.DER), 0o644)
    return _info("own", place / "cert.der", certificate)


def _signed(key: rsa.RSAPrivateKey, host: str, uri: str) -> x509.Certificate:
    """Sign our certificate as Part 6, 6.2.2 asks: URI and host as subject alternative names, the usages of a client."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ebr-gateway@{host}"[:64])])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def own(folder: Path) -> OwnCertificate | None:
    """Read our certificate; None if there is none yet."""
    certificate_file, key_file = folder / "own" / "cert.der", folder / "own" / "key.pem"
    if not certificate_file.is_file() or not key_file.is_file():
        return None
    certificate = load(certificate_file)
    return OwnCertificate(certificate, key_file, uri_of(certificate) or "")


def reject(folder: Path, server: x509.Certificate) -> str:
    """Store a refused certificate in rejected/ and return its SHA-256."""
    digest = server.fingerprint(hashes.SHA256()).hex()
    place = folder / "rejected"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = place / f"{digest}.der"
    if not file.exists() and len(list(place.iterdir())) < 100:  # a hostile peer can not fill the disk
        _write(file, server.public_bytes(serialization.Encoding.DER), 0o644)
    return digest


def trust(folder: Path, which: str) -> CertificateInfo:
    """Trust a rejected certificate, by the beginning of its SHA-256, or a certificate file. Raises LookupError if not just one fits."""
    given, certificate = _chosen(folder, which)
    digest = certificate.fingerprint(hashes.SHA256()).hex()
    place = folder / "trusted" / "certs"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = place / f"{digest}.der"
    if not file.exists() and not (folder / "trusted" / file.name).exists():
        _write(file, certificate.public_bytes(serialization.Encoding.DER), 0o644)
    if given.parent == folder / "rejected":
        given.unlink()
    return _info("trusted", file, certificate)


def meant(folder: Path, which: str) -> CertificateInfo:
    """Say which certificate `trust` would trust, and change nothing. Raises LookupError, ValueError as it does."""
    return _info("rejected", *_chosen(folder, which))


def _chosen(folder: Path, which: str) -> tuple[Path, x509.Certificate]:
    given = Path(which)
    if given.is_file():
        return given, load(given)
    matches = [(file, certificate) for file, certificate in certificates(folder / "rejected") if file.stem.startswith(which.lower())]
    if len(matches) != 1:
        raise LookupError(f"{len(matches)} rejected certificates begin with {which!r}")
    return matches[0]


def show(folder: Path, now: datetime | None = None) -> list[CertificateInfo]:
    """List everything in the folder, own first."""
    places: dict[Kind, str] = {"own": "own", "trusted": "trusted", "issuer": "issuers", "rejected": "rejected"}
    return [_info(kind, file, certificate, now) for kind, place in places.items() for file, certificate in certificates(folder / place)]


def expiry_warning(certificate: x509.Certificate, now: datetime | None = None) -> str | None:
    """Return a line from 60 days before a certificate's end on, and after it; else None."""
    left = (certificate.not_valid_after_utc - (now or datetime.now(UTC))).days
    if left < 0:
        return f"expired on {certificate.not_valid_after_utc.date()}"
    return f"expires in {left} days, on {certificate.not_valid_after_utc.date()}" if left <= max(WARN_DAYS) else None


def expiry(certificate: x509.Certificate, now: datetime | None = None) -> tuple[str, Literal["info", "warning", "alarm"]] | None:
    """Return (text, severity) of the finding about a certificate's end, or None; the text changes at 60, 30 and 7 days, not each day."""
    left = (certificate.not_valid_after_utc - (now or datetime.now(UTC))).days
    until = certificate.not_valid_after_utc.date()
    if left < 0:
        return f"expired on {until}", "alarm"
    step = next((days for days in reversed(WARN_DAYS) if left <= days), None)
    return None if step is None else (f"expires within {step} days, on {until}", "alarm" if step == min(WARN_DAYS) else "warning")


def load_key(file: Path) -> Any:
    """Read a private key in PEM without a password: the file's mode protects it."""
    return serialization.load_pem_private_key(file.read_bytes(), None)


def _info(kind: Kind, file: Path, certificate: x509.Certificate, now: datetime | None = None) -> CertificateInfo:
    return CertificateInfo(
        kind,
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.subject.rfc4514_string(),
        uri_of(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        str(file),
        expiry_warning(certificate, now),
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Make a file, whole or not at all: half a certificate would be no certificate to whoever reads the folder, now and later.

    Raises FileExistsError rather than replace one, of two who make it at the same instant for the second.
    """
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.link(part, file)  # as a rename, but never over another
    finally:
        part.unlink(missing_ok=True)
