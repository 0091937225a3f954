"""Check the destinations of evidence, of messages and of copies of the journal: [[witness]], [[notify]] and [backup]."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

from config.checks.parsed_folder import ParsedFolder
from config.sections import Notify, Witness
from config.toml.text import Path_

SCHEMES = ("file", "https", "http")
MESSAGES = ("smtp", "smtps", "https", "http", "mqtts", "mqtt")


def check(parts: ParsedFolder) -> None:
    """Add the problems of [[witness]], [[notify]] and [backup] to the document."""
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
    told: set[str] = set()
    for at, notify in parts.sections.notify:
        if notify.name in told:
            parts.document.error((*at, "name"), f"notify `{notify.name}` stands twice")
        told.add(notify.name)
        for key, problem in _notify(notify, is_production=_is_production(parts)):
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


def _is_production(parts: ParsedFolder) -> bool:
    return parts.sections.line is not None and parts.sections.line.environment == "production"


def _notify(notify: Notify, *, is_production: bool) -> Iterator[tuple[str, str]]:
    url = _split(notify.endpoint)
    if url is None or url.scheme not in MESSAGES or not url.hostname:
        meant = "smtp://host:587, smtps://host:465, https://host/path, mqtts://host:8883 or mqtt://host:1883"
        yield "endpoint", f"endpoint `{notify.endpoint[:80]}`: {meant} is meant"
        return
    is_mail, is_mqtt = url.scheme.startswith("smtp"), url.scheme.startswith("mqtt")
    if url.username is not None or url.fragment or ((is_mail or is_mqtt) and (url.path.strip("/") or url.query)):
        yield "endpoint", "an address without user and fragment is meant, and of a mail server or a broker without a path"
    if is_mail and (not notify.sender or not notify.to):
        yield "from" if not notify.sender else "to", "an e-mail needs `from` and `to`"
    if any("@" not in one or any(sign.isspace() for sign in one) for one in (*notify.to, *filter(None, [notify.sender]))):
        yield "to", "`from` and `to` are addresses, as shift@plant.example"
    if not is_mail and (notify.sender or notify.to):
        yield "endpoint", "`from` and `to` are for e-mail alone"
    if not is_mqtt and (notify.topic or notify.version != "5"):
        yield "topic" if notify.topic else "version", "`topic` and `version` are for MQTT alone"
    if not (is_mail or is_mqtt) and notify.user:
        yield "user", "`user` is for e-mail and MQTT; a webhook has `password` alone, its bearer token"
    if (is_mail or is_mqtt) and (notify.user is None) != (notify.password is None):
        yield "user", "`user` and `password` belong together"
    clear = url.scheme in ("http", "mqtt") or (url.scheme == "smtp" and not notify.encrypted)
    if clear and notify.password is not None:
        yield "password", "would cross the network unencrypted"
    if clear and is_production:
        yield "endpoint", f"notify `{notify.name}` without encryption is refused in production"


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
