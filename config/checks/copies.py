"""Check the destinations of evidence and of copies of the journal: [[witness]] and [backup]."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

from config.checks.parsed_folder import ParsedFolder
from config.sections import Witness
from config.toml.text import Path_

SCHEMES = ("file", "https", "http")


def check(parts: ParsedFolder) -> None:
    """Add the problems of [[witness]] and [backup] to the document."""
    names: set[str] = set()
    endpoints: set[str] = set()
    for at, witness in parts.sections.witness:
        if witness.name in names:
            parts.document.error((*at, "name"), f"witness `{witness.name}` stands twice")
        if witness.endpoint.rstrip("/") in endpoints:
            parts.document.error((*at, "endpoint"), f"`{witness.endpoint[:80]}` stands twice")
        names.add(witness.name)
        endpoints.add(witness.endpoint.rstrip("/"))
        for key, problem in _witness(witness):
            parts.document.error((*at, key), problem)
    if parts.sections.backup is not None and parts.sections.buffer is not None:
        _backup(parts, ("backup", "folder"), parts.sections.backup.folder, parts.sections.buffer.directory)


def _witness(witness: Witness) -> Iterator[tuple[str, str]]:
    url = _split(witness.endpoint)
    if url is None or url.scheme not in SCHEMES:
        yield "endpoint", f"endpoint `{witness.endpoint[:80]}`: a folder as file:///srv/share/folder, or https:// is meant"
        return
    if url.scheme == "file" and (url.netloc or url.path in ("", "/")):
        yield "endpoint", f"endpoint `{witness.endpoint[:80]}`: write the absolute path of a folder, as in file:///srv/share/folder"
    if url.scheme != "file" and not url.hostname:
        yield "endpoint", f"endpoint `{witness.endpoint[:80]}`: a host is missing"
    if url.username is not None or url.query or url.fragment:
        yield "endpoint", "an address without user, query and fragment is meant: a checkpoint proves itself, and `tls` says who we are"
    if witness.tls is not None and url.scheme != "https":
        yield "tls", "`tls` is for https:// alone"


def _split(endpoint: str) -> SplitResult | None:
    try:
        url = urlsplit(endpoint)
        _ = url.port  # raises ValueError where it is none
    except ValueError:
        return None
    return url


def _backup(parts: ParsedFolder, at: Path_, folder: str, directory: str) -> None:
    """Refuse a backup folder inside the journal's folder, or around it: it would copy itself."""
    there, here = PurePosixPath(folder), PurePosixPath(directory)
    if not folder.strip():
        parts.document.error(at, "`folder`: a folder is meant")
    elif there == here or there.is_relative_to(here):
        parts.document.error(at, f"`folder`: `{folder[:80]}` lies in the journal's own directory")
