"""Secrets that a line folder names but never holds: `password = { credential = "name" }` (URS-SEC-05).

Looked up in systemd's credential directory (`LoadCredential=` in the unit), then in the folder that EBR_GATEWAY_CREDENTIALS names, then
as a file in LINE/credentials. Outside systemd's directory only its owner may read it.
"""

import os
import ssl
import stat
from pathlib import Path

from config.sections import Credential, Tls

FOLDER_VARIABLE = "EBR_GATEWAY_CREDENTIALS"
MAX_BYTES = 1024 * 1024


class CredentialMissing(Exception):
    """The secret does not exist, or others can read it. A person must act; waiting does not help."""


def path(credential: Credential, folder: Path | None = None) -> Path:
    """Find the file that holds a secret, for libraries that want a path. folder: the line folder. Raises CredentialMissing."""
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    others = [Path(named)] if (named := os.environ.get(FOLDER_VARIABLE)) else []
    others += [folder / "credentials"] if folder is not None else []
    # systemd's files are 0400 and carry an access list for the service's user, which shows as a group bit: 0440.
    for place, closed in [*([(Path(systemd), 0o007)] if systemd else []), *((place, 0o077) for place in others)]:
        file = place / credential.credential
        if file.exists():
            _check_mode(file, closed)
            return file
    where = " nor in ".join(filter(None, [systemd or "$CREDENTIALS_DIRECTORY (not set)", *map(str, others)]))
    raise CredentialMissing(f"credential `{credential.credential}` is not in {where}")


def read(credential: Credential, folder: Path | None = None) -> str:
    """Read a secret, without the newline that editors put at the end. Raises CredentialMissing."""
    file = path(credential, folder)
    try:
        data = file.read_bytes()
        if len(data) > MAX_BYTES:
            raise CredentialMissing(f"credential `{credential.credential}` is larger than {MAX_BYTES} bytes")
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialMissing(f"credential `{credential.credential}` can not be read: {type(error).__name__}") from None


def server_tls(tls: Tls, folder: Path, may_show: str | None = None) -> ssl.SSLContext:
    """Make the context of a server of ours: its certificate, and with `ca` that clients must show one. TLS 1.2 or newer.

    may_show: the authority of a certificate that clients may show, and need not; one that it did not sign is refused.
    Raises CredentialMissing, OSError, ssl.SSLError.
    """
    key = path(tls.key, folder) if isinstance(tls.key, Credential) else folder / str(tls.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=None if tls.ca is None else folder / tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / str(tls.cert), key)
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    elif may_show is not None:
        context.load_verify_locations(folder / may_show)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _check_mode(file: Path, closed: int) -> None:
    """Refuse a secret that others than its owner can read. Raises CredentialMissing."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CredentialMissing(f"{file} is no regular file")
    if stat.S_IMODE(status.st_mode) & closed:
        raise CredentialMissing(f"{file} can be read by others (mode {stat.S_IMODE(status.st_mode):04o}), chmod 600 it")
