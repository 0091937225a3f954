"""A certificate authority for tests: it signs servers, other authorities and users, and revokes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)


class Authority:
    """Signs. above: the authority that signs this one."""

    def __init__(self, name: str, above: "Authority | None" = None) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = above or self
        self.certificate = signer._sign(self.name, self.key, ca=True, days=365, uri=None)

    def _sign(self, name: x509.Name, key: Any, *, ca: bool, days: float, uri: str | None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=30))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if uri:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, place: Path, name: str, uri: str | None = None, days: float = 365, bits: int = 2048) -> tuple[Path, Path]:
        """(NAME.der, NAME.key.pem) of a new leaf."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, ca=False, days=days, uri=uri)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / f"{name}.key.pem").write_bytes(pem)
        return place / f"{name}.der", place / f"{name}.key.pem"

    def put(self, place: Path) -> None:
        """Our certificate, as a file of a folder of certificates."""
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{self.name.rfc4514_string()[3:]}.der"
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.DER))

    def revoke(self, place: Path, *certificates: x509.Certificate, until: timedelta = timedelta(days=7)) -> None:
        """A revocation list with these in it, perhaps none."""
        builder = (
            x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - timedelta(days=9)).next_update(NOW + until)
        )
        for one in certificates:
            revoked = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(NOW - timedelta(days=1)).build()
            builder = builder.add_revoked_certificate(revoked)
        place.mkdir(parents=True, exist_ok=True)
        signed = builder.sign(self.key, hashes.SHA256())
        (place / f"{self.name.rfc4514_string()[3:]}.crl").write_bytes(signed.public_bytes(serialization.Encoding.DER))
