"""Makes the TLS contexts of an uplink and explains failed handshakes. TLS 1.2 or later, names always checked, without exception."""

import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from config import Credential, credentials
from config.sections import Tls
from gateway.entries.findings import Severity
from gateway.uplink.errors import Refused, Unreachable

WARN_BEFORE = (timedelta(days=7), timedelta(days=30), timedelta(days=60))


class Remark(NamedTuple):
    """A sentence about a connection that is worth a finding."""

    code: str
    severity: Severity
    text: str


class _Closing(ssl.SSLSocket):
    """A socket that closes itself when its handshake fails, which paho leaves to the garbage collector, and tells why it broke later.

    In TLS 1.3 the other end refuses our certificate after the handshake: the first read brings its reason, which paho drops.
    """

    note: Callable[[ssl.SSLError], None]

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the library declares it
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self.note(error)
            raise


class Identity:
    """The secrets of one connection, as files: those of a `tls` table, relative to the line folder, and perhaps a password.

    Read anew at each `context()` and `password()`: what was rotated needs no restart, and what is away refuses this connection alone.
    broken: the error that TLS ended the last connection with, None if it did not.
    """

    def __init__(self, tls: Tls | None, folder: Path, password: Credential | None = None) -> None:
        self._tls, self._folder, self._password = tls or Tls(), folder, password
        self._seen: tuple[float, ...] | None = None
        self.broken: ssl.SSLError | None = None

    def context(self) -> ssl.SSLContext:
        """Make a client context. Raises Refused("certificate") if a file can not be used."""
        self._seen, self.broken = self._stamps(), None
        try:
            cert, key = self._path(self._tls.cert), self._path(self._tls.key)
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self._path(self._tls.ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = type("_Noting", (_Closing,), {"note": staticmethod(self._note)})
            if cert is not None:
                context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError, ValueError, credentials.CredentialMissing) as error:
            raise Refused("certificate", f"TLS files can not be used: {error}") from error
        return context

    def password(self) -> str | None:
        """Read the password, None if there is none. Raises Refused("credentials") if it can not be read."""
        self._seen = self._stamps()
        try:
            return None if self._password is None else credentials.read(self._password, self._folder)
        except (OSError, credentials.CredentialMissing) as error:
            raise Refused("credentials", str(error)) from error

    def changed(self) -> bool:
        """True if a file differs from the one that was read, also if that was not there."""
        return self._seen is not None and self._stamps() != self._seen

    def remarks(self, now: datetime | None = None) -> list[Remark]:
        """Return a remark for each certificate that ends soon, or is not valid at this moment by this machine's clock."""
        now = now or datetime.now(UTC)
        return [remark for name in (self._tls.ca, self._tls.cert) if name is not None for remark in _ends(self._folder / name, now)]

    def _note(self, error: ssl.SSLError) -> None:
        if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            self.broken = error

    def _path(self, name: str | Credential | None) -> Path | None:
        if isinstance(name, Credential):
            return credentials.path(name, self._folder)
        return None if name is None else self._folder / name

    def _stamps(self) -> tuple[float, ...]:
        return tuple(self._stamp(name) for name in (self._tls.ca, self._tls.cert, self._tls.key, self._password) if name is not None)

    def _stamp(self, name: str | Credential) -> float:
        """When the file was written; 0 if it is not there, or can not be used."""
        try:
            path = self._path(name)
            return 0.0 if path is None else path.stat().st_mtime_ns
        except (OSError, credentials.CredentialMissing):
            return 0.0


def failure(error: BaseException) -> Refused | Unreachable | None:
    """Return the error to raise for a failed TLS handshake, or None if `error` is not one.

    A name or chain that does not fit waits for a person, and so does our certificate if the other end refuses it. A wrong clock looks like
    an expired certificate: the text says so.
    """
    cause: BaseException | None = error
    while cause is not None and type(cause).__module__ != "ssl":  # aiohttp's own errors wrap the one that knows the reason
        cause = cause.__cause__ or cause.__context__
    if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLWantReadError):
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "; if the certificate is good, this machine's clock is wrong" if cause.verify_code in {9, 10} else ""
        return Refused("certificate", f"the receiver's certificate is not accepted: {cause.verify_message}{hint}")
    reason = (cause.reason or str(cause)).lower().replace("_", " ")
    return Refused("certificate", f"TLS handshake failed: {reason}")


def _ends(path: Path, now: datetime) -> Iterable[Remark]:
    from cryptography import x509  # here: most uplinks name no certificate

    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return
    for certificate in certificates:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < start or now >= end:
            text = f"{path.name}: not valid now ({start:%Y-%m-%d} to {end:%Y-%m-%d}); if it should be, this machine's clock is wrong"
            yield Remark("certificate", "alarm", text)
        elif left := next((limit for limit in WARN_BEFORE if end - now < limit), None):
            yield Remark("certificate-ends", "warning", f"{path.name}: ends on {end:%Y-%m-%d}, within {left.days} days")
