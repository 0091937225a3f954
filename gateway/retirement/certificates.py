"""Lists the certificates that stand for a line, for whoever signed them to revoke them, and for whoever trusts them to trust no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from config import Line


def listed(line: Line) -> list[dict[str, Any]]:
    """List each certificate of the line's own, with what is needed to revoke it. One that can not be read is a row that says so."""
    rows: dict[str, dict[str, Any]] = {}
    for purpose, path in _files(line):
        for row in _rows(path):
            known = rows.setdefault(str(row["sha256"] or path), {**row, "file": str(path), "purposes": []})
            known["purposes"].append(purpose)
    return list(rows.values())


def _files(line: Line) -> Iterator[tuple[str, Path]]:
    """Yield (purpose, file): each that shows somebody else that this is the line."""
    named: list[tuple[str, Any]] = [(f"client of uplink {one.name}", one.tls) for one in line.uplinks]
    named += [(f"client of witness {one.name}", one.tls) for one in line.witnesses]
    named += [(f"client of notify {one.name}", one.tls) for one in line.notify]
    named += [(f"server of the {what}", one.tls) for what, one in (("page", line.web), ("port of [push]", line.push)) if one is not None]
    yield from ((purpose, line.folder / tls.cert) for purpose, tls in named if tls is not None and tls.cert is not None)
    for source in (one for one in line.sources if one.driver == "opcua"):
        own = line.folder / str(source.options.get("certificates", "certs")) / "own" / "cert.der"
        if own.exists():
            yield f"application at the OPC UA server of source {source.name}", own
        if (user := source.options.get("user_certificate")) is not None:
            yield f"user at the OPC UA server of source {source.name}", line.folder / str(user)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        content = path.read_bytes()
        pem = b"-----BEGIN" in content
        read = x509.load_pem_x509_certificates(content)[:1] if pem else [x509.load_der_x509_certificate(content)]
    except (OSError, ValueError) as error:
        nothing = dict.fromkeys(("sha256", "subject", "issuer", "serial", "not_after"))
        return [{**nothing, "revoke": f"not known: the file can not be read: {error}"}]
    return [_row(one) for one in read]


def _row(one: x509.Certificate) -> dict[str, Any]:
    own = one.subject == one.issuer
    return {
        "sha256": one.fingerprint(hashes.SHA256()).hex(),
        "subject": one.subject.rfc4514_string(),
        "issuer": one.issuer.rfc4514_string(),
        "serial": f"{one.serial_number:x}",
        "not_after": one.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
        "revoke": "remove it from the trusted ones of each server: nobody but itself signed it" if own else "have its authority revoke it",
    }
