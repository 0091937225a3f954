"""Judge a server's certificate: chain, revocation, dates, names (Part 4, 6.1.3). From files alone, without network.

The folder is laid out as OPC UA stacks do: trusted/certs and trusted/crl, issuers/certs and issuers/crl. What is in trusted/ is trusted,
with everything that an authority in it signed; an authority in issuers/ only helps to build the chain. Certificates and lists that lie
in trusted/ itself are taken too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048
"""Least length of an RSA key, ours and the server's."""
ACCEPTED_KEY_BITS = 1024
"""Least length of a server's key whose weakness somebody has accepted."""
DEEPEST = 8
"""Most certificates in a chain."""
NOT_TRUSTED = "the server's certificate is not trusted"
_WEAK = {"md5", "sha1"}
_SUFFIXES = {".der", ".pem", ".crt", ".cer"}


class UnreadableFile(ValueError):
    """A file of the folder is no certificate or no revocation list. Nothing is trusted until it is put right: it might revoke."""


Accepted = Mapping[str, Collection[str]]
"""SHA-256 of a certificate -> its faults that are let pass: "dates", "uri", "key"."""
Fault = tuple[str, str, x509.Certificate]
"""(kind, the fault in words, whose)."""


@dataclass(slots=True)
class Judgement:
    """refusal: reason why the certificate is not accepted, None if it is. doubts: what could not be checked.

    fault: (SHA-256 of the certificate that has it, kind) where the reason is one that a person may accept.
    """

    refusal: str | None
    doubts: list[str] = field(default_factory=list)
    fault: tuple[str, str] | None = None


@dataclass(slots=True)
class _Store:
    trusted: list[x509.Certificate]
    issuers: list[x509.Certificate]
    lists: list[x509.CertificateRevocationList]


def judge(
    folder: Path,
    server: x509.Certificate,
    uri: str | None = None,
    now: datetime | None = None,
    sent: Sequence[x509.Certificate] = (),
    accepted: Accepted | None = None,
) -> Judgement:
    """Judge a server's certificate. sent: the rest of the chain as the server showed it. Raises UnreadableFile.

    Trust is checked first, everything else for a trusted chain alone. What nobody trusts, or what was revoked, no acceptance lets pass.
    """
    now = now or datetime.now(UTC)
    store = _read(folder)
    chain = _chain(server, [*store.trusted, *store.issuers, *sent])
    if not any(certificate in store.trusted for certificate in chain):
        return Judgement(_not_trusted(chain))
    doubts: list[str] = []
    refusal = _revoked(chain, store.lists, now, doubts)
    if refusal is None:
        for kind, why, whose in (*_dated(chain, now), *_named(server, uri), *_short_key(server)):
            if kind not in (accepted or {}).get(fingerprint(whose), ()):
                return Judgement(why, doubts, (fingerprint(whose), kind))
    return Judgement(refusal or _weak(chain), doubts)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, 64 hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def certificates(place: Path) -> Iterator[tuple[Path, x509.Certificate]]:
    """Yield the certificates of a folder and of certs/ in it, by name. Raises UnreadableFile."""
    for file in sorted([*place.glob("*"), *place.glob("certs/*")]):
        if file.suffix.lower() in _SUFFIXES and file.name != "key.pem" and not file.name.endswith(".key.pem"):
            try:
                yield file, load(file)
            except ValueError as error:
                raise UnreadableFile(f"{file} is no certificate: {error}") from error


def load(file: Path) -> x509.Certificate:
    """Read a certificate file in PEM or DER. Raises ValueError."""
    raw = file.read_bytes()
    return x509.load_pem_x509_certificate(raw) if raw.startswith(b"-----") else x509.load_der_x509_certificate(raw)


def uri_of(certificate: x509.Certificate) -> str | None:
    """Return the application URI in a certificate's subject alternative names; None if it has none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)


def _read(folder: Path) -> _Store:
    trusted = [certificate for _, certificate in certificates(folder / "trusted")]
    issuers = [certificate for _, certificate in certificates(folder / "issuers")]
    return _Store(trusted, issuers, [*_lists(folder / "trusted"), *_lists(folder / "issuers")])


def _lists(place: Path) -> Iterator[x509.CertificateRevocationList]:
    for file in sorted([*place.glob("*.crl"), *(file for file in place.glob("crl/*") if file.is_file())]):
        raw = file.read_bytes()
        try:
            yield x509.load_pem_x509_crl(raw) if raw.startswith(b"-----") else x509.load_der_x509_crl(raw)
        except ValueError as error:
            raise UnreadableFile(f"{file} is no revocation list: {error}") from error


def _chain(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificate and its issuers as far as they are known, up to a self-signed one."""
    chain = [leaf]
    while len(chain) <= DEEPEST and chain[-1].subject != chain[-1].issuer:
        above = next((candidate for candidate in candidates if candidate not in chain and _signed(chain[-1], candidate)), None)
        if above is None:
            break
        chain.append(above)
    return chain


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    if certificate.issuer != by.subject or not _is_authority(by):
        return False
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return bool(constraints.ca) and (usage is None or usage.key_cert_sign)


def _revoked(
    chain: Sequence[x509.Certificate], lists: Sequence[x509.CertificateRevocationList], now: datetime, doubts: list[str]
) -> str | None:
    """Return the reason if one of the chain was revoked. A list must be signed by the issuer itself; none, or none of today, is a doubt."""
    for certificate, issuer in pairwise(chain):
        key: Any = issuer.public_key()
        own_lists = [listed for listed in lists if listed.issuer == issuer.subject and listed.is_signature_valid(key)]
        for listed in own_lists:
            entry = listed.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None:
                whose = "the server's certificate" if certificate is chain[0] else f"the authority {_name(certificate)}"
                return f"{whose} was revoked on {entry.revocation_date_utc:%Y-%m-%d} by {_name(issuer)}"
        if not own_lists:
            doubts.append(f"there is no revocation list of {_name(issuer)}")
        elif all(listed.next_update_utc is not None and listed.next_update_utc < now for listed in own_lists):
            newest = max(listed.next_update_utc for listed in own_lists if listed.next_update_utc is not None)
            doubts.append(f"the revocation list of {_name(issuer)} should have been renewed on {newest:%Y-%m-%d}")
    return None


def _dated(chain: Sequence[x509.Certificate], now: datetime) -> Iterator[Fault]:
    for certificate in chain:
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not since <= now <= until:
            whose = "the server's certificate" if certificate is chain[0] else f"the authority {_name(certificate)}"
            yield (
                "dates",
                f"{whose} is valid from {since.date()} to {until.date()}; it is {now.date()} here: check both clocks",
                certificate,
            )


def _not_trusted(chain: Sequence[x509.Certificate]) -> str:
    """Say that nobody trusts a chain; of one that ends early, also whose certificate lacks to follow it on."""
    last = chain[-1]
    if last.subject == last.issuer:
        return NOT_TRUSTED
    return f"{NOT_TRUSTED}; its chain ends before {last.issuer.rfc4514_string()}, whose certificate is not in issuers/ or trusted/"


def _named(server: x509.Certificate, uri: str | None) -> Iterator[Fault]:
    named = uri_of(server)
    if uri and named != uri:
        whose = f"belongs to {named}" if named else "names no application (it has no URI among its subject alternative names)"
        yield "uri", f"the certificate {whose}, the server says it is {uri}", server


def _short_key(server: x509.Certificate) -> Iterator[Fault]:
    key = server.public_key()
    if isinstance(key, rsa.RSAPublicKey) and ACCEPTED_KEY_BITS <= key.key_size < KEY_BITS:
        yield "key", f"the server's key has {key.key_size} bits, at least {KEY_BITS} are needed", server


def _weak(chain: Sequence[x509.Certificate]) -> str | None:
    key = chain[0].public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < ACCEPTED_KEY_BITS:
        return f"the server's key is not RSA with at least {KEY_BITS} bits"
    for certificate in chain if len(chain) > 1 else ():
        algorithm = certificate.signature_hash_algorithm
        if certificate.issuer != certificate.subject and (algorithm is None or algorithm.name in _WEAK):
            return f"the signature of {_name(certificate)} is made with {algorithm.name if algorithm else 'an unknown hash'}: too weak"
    return None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
