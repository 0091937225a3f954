"""Looks at what a line needs of this machine before it runs: secrets, TLS files, ports, space, devices. Warnings: it may yet come."""

import errno
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import config
from config import Credential, Line, Problem, Uplink, credentials
from config.grammars.listen import host_of
from config.sections import Tls
from gateway.operation.control import NotRunning, ask

SERVICE = "(systemd gives credentials to the service alone)"


def warnings(line: Line) -> list[Problem]:
    """Find what is not there, or not enough, as seen from here; no network but the machine's own addresses."""
    found = [problem for index, uplink in enumerate(line.uplinks) for problem in _of_uplink(line, index, uplink)]
    found += [*_of_sources(line), *_of_push(line), *_same_devices(line), *_space(line), *_page(line)]
    return found


def _of_uplink(line: Line, index: int, uplink: Uplink) -> Iterator[Problem]:
    """Warn of files that an uplink names and that are not there: it is refused until they come, and the line runs without it."""
    for key, name in (uplink.tls or Tls()).model_dump(exclude_none=True).items():
        if isinstance(name, str) and not (line.folder / name).is_file():
            text = f"{key} `{name}` is not there: uplink {uplink.name} is refused until it is"
            yield config.place_of(line, ("uplink", index, "tls")).problem(text, "warning")
    secrets = {"password": uplink.password, "tls": uplink.tls and uplink.tls.key}
    for key, secret in secrets.items():
        if isinstance(secret, Credential) and (why := _missing(line, secret)) is not None:
            text = f"{why}: uplink {uplink.name} is refused until it is {SERVICE}"
            yield config.place_of(line, ("uplink", index, key)).problem(text, "warning")


def _of_sources(line: Line) -> Iterator[Problem]:
    """Warn of secrets that a source's options name: the source is misconfigured until they come, and the others are read."""
    for index, source in enumerate(line.sources):
        for key, name in _named(source.options):
            if (why := _missing(line, Credential(credential=name))) is not None:
                text = f"{why}: source {source.name} is misconfigured until it is {SERVICE}"
                yield config.place_of(line, ("source", index, key)).problem(text, "warning")
        user = source.options.get("user_certificate")
        if source.driver == "opcua" and isinstance(user, str):
            for path in (line.folder / user, (line.folder / user).with_suffix(".key.pem")):
                if not path.is_file():
                    text = f"{path} is not there: source {source.name} is misconfigured until it is"
                    yield config.place_of(line, ("source", index, "user_certificate")).problem(text, "warning")


def _named(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names of secrets in options that are valid: (key of the option, name)."""
    for key, value in options.items():
        if isinstance(value, Mapping) and value.keys() == {"credential"}:
            yield key, str(value["credential"])


def _missing(line: Line, secret: Credential) -> str | None:
    try:
        credentials.path(secret, line.folder)
    except (credentials.CredentialMissing, OSError) as error:
        return str(error)
    return None


def _of_push(line: Line) -> list[Problem]:
    """Warn of tokens and TLS files of [push]: nothing can be pushed until they are there."""
    if line.push is None:
        return []
    from gateway.intake.push import push_problems  # here: a line without [push] needs no HTTP server

    left_out = "nothing is taken by [push] of what needs it until it is"
    return [Problem(each.file, each.line, f"{each.message}: {left_out}", "warning") for each in push_problems(line)]


def _same_devices(line: Line) -> Iterator[Problem]:
    """Warn of two sources at one serial port or one Modbus device: a port has one user, and many devices take one connection."""
    first: dict[tuple[str, str], str] = {}
    for index, source in enumerate(line.sources):
        for endpoint in source.endpoints if source.driver in ("serial", "modbus") else ():
            url = urlsplit(endpoint)
            is_wired = url.scheme in ("serial", "rtu")
            device = ("port", str(Path(url.netloc + url.path))) if is_wired else ("host", f"{url.hostname}:{url.port or 502}")
            other = first.setdefault(device, source.name)
            if other != source.name:
                why = "only one of them can open it" if is_wired else "it gets a connection from each, and many devices take one"
                text = f"sources {other} and {source.name} are at one device, {device[1]}: {why}; put their tags into one source"
                yield config.place_of(line, ("source", index, "endpoint")).problem(text, "warning")


def _space(line: Line) -> Iterator[Problem]:
    """Warn of a journal that may become larger than the disk that it lies on, and of one in a folder of a folder that is not there."""
    place = line.data
    if Path(line.buffer.directory).is_absolute() and not place.exists() and not place.parent.exists():
        text = f"{place.parent} is not there: if a disk is mounted there later, the journal that begins now lies below it, unseen"
        yield config.place_of(line, ("buffer", "directory")).problem(text, "warning")
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        total = shutil.disk_usage(place).total
    except OSError:
        return
    if line.buffer.max_bytes > total:
        text = f"max_bytes is {line.buffer.max_bytes:,}, and the disk of {place} has {total:,} bytes: it will be full before the journal is"
        yield config.place_of(line, ("buffer", "max_bytes")).problem(text, "warning")


def _page(line: Line) -> Iterator[Problem]:
    """Warn of a page whose address is taken by another program than this line's own gateway."""
    if line.web is None or _runs(line):
        return
    host, port = host_of(line.web.listen), int(line.web.listen.rpartition(":")[2])
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"{line.web.listen} is in use by another program: the page is not there until it is free, the line is read all the same"
            yield config.place_of(line, ("web", "listen")).problem(text, "warning")


def _runs(line: Line) -> bool:
    try:
        ask(line.data)
    except NotRunning:
        return False
    return True
