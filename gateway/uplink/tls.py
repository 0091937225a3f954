"""Makes the TLS contexts of an uplink and explains failed handshakes. TLS 1.2 or later, names always checked, without exception."""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from config import Credential, credentials
from config.sections import Tls
from gateway.uplink.errors import Refused, Unreachable

WARN_BEFORE = (timedelta(days=7), timedelta(days=30), timedelta(days=60))


class _Closing(ssl.SSLSocket):
    """A socket that closes itself when its handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the library declares it
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Identity:
    """The files of one `tls` table, relative to the line folder. Read anew at each `context()`: a rotated certificate needs no restart."""

    def __init__(self, tls: Tls | None, folder: Path) -> None:
        self._ca, self._cert, self._key = (
            (None, None, None)
            if tls is None
            else (
                _path(folder, tls.ca),
                _path(folder, tls.cert),
                _key_path(folder, tls.key),
            )
        )
        self._seen: tuple[float, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Make a client context. Raises Refused("certificate") if a file can not be used."""
        self._seen = self._stamps()
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self._ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = _Closing
            if self._cert is not None:
                context.load_cert_chain(self._cert, self._key, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise Refused("certificate", f"TLS files can not be used: {error}") from error
        return context

    def changed(self) -> bool:
        """True if a file differs from the one that `context()` read."""
        return bool(self._seen) and self._stamps() != self._seen

    def remarks(self, now: datetime | None = None) -> list[str]:
        """Return a sentence for each certificate that ends soon, or is not valid at this moment by this machine's clock."""
        now = now or datetime.now(UTC)
        return [remark for path in (self._ca, self._cert) if path is not None for remark in _ends(path, now)]

    def _stamps(self) -> tuple[float, ...]:
        return tuple(_mtime(path) for path in (self._ca, self._cert, self._key) if path is not None)


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


def _path(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / name


def _key_path(folder: Path, key: str | Credential | None) -> Path | None:
    return credentials.path(key, folder) if isinstance(key, Credential) else _path(folder, key)


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0.0


def _ends(path: Path, now: datetime) -> Iterable[str]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return
    for certificate in certificates:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < start or now >= end:
            yield f"{path.name}: not valid now ({start:%Y-%m-%d} to {end:%Y-%m-%d}); if it should be, this machine's clock is wrong"
        elif left := next((limit for limit in WARN_BEFORE if end - now < limit), None):
            yield f"{path.name}: ends on {end:%Y-%m-%d}, within {left.days} days"
