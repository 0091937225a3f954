"""The certificate of a simulated PLC, signed by itself, and who may log in: so that trust and passwords can be rehearsed.

Kept in a folder, so that the PLC is the same one after a restart: a certificate that was trusted stays so.
"""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config import Credential, Source
from config.credentials import CredentialMissing, read

URI = "urn:example:simulated-plc"


def is_secured(source: Source) -> bool:
    """True if the line asks for a security policy, or for a person's certificate or password that one protects."""
    security = source.options.get("security") or {}
    return str(security.get("policy", "Basic256Sha256")) != "None" or "user" in source.options


def own(folder: Path, source: Source) -> tuple[Path, Path]:
    """Return the files of certificate (DER) and key (PEM, mode 0600) in a folder; they are made there if they are missing."""
    certificate, key = folder / "cert.der", folder / "key.pem"
    if certificate.exists() and key.exists():
        return certificate, key
    folder.mkdir(parents=True, exist_ok=True)
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    key.touch(mode=0o600)
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    certificate.write_bytes(_signed(private, source).public_bytes(serialization.Encoding.DER))
    return certificate, key


def _signed(key: rsa.RSAPrivateKey, source: Source) -> x509.Certificate:
    """Sign a certificate as OPC UA part 6, 6.2.2 wants it of an application."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated {source.name}")])
    usage = x509.KeyUsage(True, True, True, True, False, True, False, False, False)  # noqa: FBT003 - the library's positional flags
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URI), _host(source)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).add_extension(usage, critical=True)
    extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return builder.add_extension(extended, critical=False).sign(key, hashes.SHA256())


def _host(source: Source) -> x509.GeneralName:
    host = urlsplit(source.endpoints[0]).hostname or "127.0.0.1"
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def users(source: Source) -> Mapping[str, str]:
    """Return the name and the password that the line logs in with; none, so that everybody is let in, if the line has none to give."""
    user, password = source.options.get("user"), source.options.get("password")
    if user is None or password is None:
        return {}
    try:
        return {str(user): read(Credential.model_validate(password), source.folder)}
    except CredentialMissing:  # the gateway says so itself, and where the file belongs
        return {}
