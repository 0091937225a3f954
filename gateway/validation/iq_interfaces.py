"""Installation checks of the interfaces: each partner's name resolves, it connects, says who it is, and lets nothing be written."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config import Source
from drivers import Driver, DriverError
from drivers.contract import Probes
from gateway.runtime import assembly
from gateway.validation.check import Asked, NotChecked, none_of
from gateway.validation.host import may_write, mode_of
from gateway.validation.iq_software import Subject

CONNECTS_WITHIN_S = 5.0
PORTS = {
    "opc.tcp": 4840,
    "tcp": 502,
    "mqtt": 1883,
    "mqtts": 8883,
    "https": 443,
    "http": 80,
    "postgresql": 5432,
    "mysql": 3306,
    "mssql": 1433,
}
"""Ports of schemes whose address names none; `oracle` is asked at 1521."""
TAKE_FEW = ("modbus", "serial")
"""Drivers whose devices may take one connection: while the gateway runs it has that."""
_FILES = ("file", "sqlite", "serial", "rtu")


def interfaces(subject: Subject, keep: Callable[[str, bytes], object]) -> Iterator[Asked]:
    """Give the checks of the interfaces. keep: takes a file of evidence, by its name."""
    if subject.line is None:
        broken = Asked("interfaces", "Interfaces", ("URS-MAP-07",), "each can be looked at", _no_line)
        yield broken
        return
    line = subject.line
    for source, driver in assembly.drivers_of(line):
        yield from _source(subject, source, driver, keep)
    for uplink in line.uplinks:
        yield _reached(f"uplink-{uplink.name}", f"EBR by {uplink.name}", (uplink.endpoint,))
        yield Asked(
            f"uplink-{uplink.name}-state",
            f"Uplink {uplink.name}",
            ("URS-UPL-08",),
            "connected",
            partial(_uplink, subject, uplink.name),
        )
    for witness in line.witnesses:
        yield Asked(
            f"witness-{witness.name}",
            f"Witness {witness.name}",
            ("URS-AUD-05",),
            "takes checkpoints",
            partial(_witness, subject, witness.name),
        )
    yield Asked("backup", "Backups", ("URS-OPS-01",), "a folder on another disk, that the service may write", lambda: _backup(subject))


def _no_line() -> tuple[str, bool]:
    raise NotChecked("the line folder has errors")


def _source(subject: Subject, source: Source, driver: Driver, keep: Callable[[str, bytes], object]) -> Iterator[Asked]:
    name = source.name
    yield _reached(f"source-{name}", f"Source {name}", source.endpoints, source.folder)
    yield Asked(
        f"source-{name}-state", f"Source {name}, as the gateway has it", ("URS-MAP-07",), "connected", partial(_state, subject, name)
    )

    @cache
    def report() -> Any:
        return _probed(subject, source, driver, keep)

    yield Asked(f"source-{name}-tags", f"Tags of {name}", ("URS-MAP-07",), "each as the map says", lambda: _tags(report()))
    yield Asked(f"source-{name}-rights", f"Rights at {name}", ("URS-MAP-07",), "reading alone", partial(_rights, subject, source, report))


def _reached(identity: str, title: str, endpoints: tuple[str, ...], folder: Path = Path()) -> Asked:
    urs = ("URS-MAP-07",) if identity.startswith("source") else ("URS-UPL-08",)
    return Asked(identity, title, urs, "name resolves, and it connects", partial(_connects, endpoints, folder))


def _connects(endpoints: tuple[str, ...], folder: Path) -> tuple[str, bool]:
    told = [_connected(endpoint, folder) for endpoint in endpoints]
    return "; ".join(text for text, _ in told), all(good for _, good in told)


def _connected(endpoint: str, folder: Path) -> tuple[str, bool]:
    url = urlsplit(endpoint)
    scheme = url.scheme.partition("+")[0]
    if scheme in _FILES:
        place = folder / unquote(f"{url.netloc}{url.path}")
        return f"{place} {'is there' if place.exists() else 'is not there'}", place.exists()
    port = url.port or PORTS.get(scheme) or (1521 if scheme == "oracle" else None)
    if url.hostname is None or port is None:
        raise NotChecked(f"{scheme}: no host and port are known of this address")
    try:
        found = sorted({str(one[4][0]) for one in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        return f"{url.hostname} does not resolve: {error.strerror or error}", False
    try:
        socket.create_connection((url.hostname, port), CONNECTS_WITHIN_S).close()
    except OSError as error:
        return f"{url.hostname}:{port} ({', '.join(found)}) does not connect: {error.strerror or error}", False
    return f"{url.hostname}:{port} ({', '.join(found)})", True


def _state(subject: Subject, name: str) -> tuple[str, bool]:
    if subject.now is None:
        raise NotChecked("no gateway answers that could say")
    one = next((each for each in subject.now["sources"] if each["name"] == name), None)
    if one is None:
        return "the gateway that runs does not have it", False
    return f"{one['state']}{': ' + one['detail'] if one.get('detail') else ''}", one["state"] == "connected"


def _uplink(subject: Subject, name: str) -> tuple[str, bool]:
    if subject.now is None:
        raise NotChecked("no gateway answers that could say")
    one = next((each for each in subject.now["uplinks"] if each["name"] == name), None)
    return ("the gateway that runs does not have it", False) if one is None else (str(one["state"]), one["state"] == "connected")


def _probed(subject: Subject, source: Source, driver: Driver, keep: Callable[[str, bytes], object]) -> Any:
    """Probe a source once. Raises NotChecked."""
    if not isinstance(driver, Probes):
        raise NotChecked(f"a {source.driver} source has nothing to probe")
    if subject.now is not None and source.driver in TAKE_FEW:
        raise NotChecked("the gateway runs and holds the one connection that such a device may take: stop it to probe")
    try:
        report = asyncio.run(driver.probe())
    except DriverError as error:
        raise NotChecked(f"could not be probed: {error}") from error
    keep(f"probe-{source.name}.txt", "".join(f"{line}\n" for line in report.lines()).encode())
    return report


def _tags(report: Any) -> tuple[str, bool]:
    wrong = [*getattr(report, "findings", ())]
    for tag in report.tags:
        problems = [*([] if getattr(tag, "state", "ok") == "ok" else [str(tag.state)]), *getattr(tag, "problems", ())]
        wrong += [f"{getattr(tag, 'tag', getattr(tag, 'query', 'a tag'))}: {', '.join(problems)}"] if problems else []
    return none_of(wrong, f"{len(report.tags)} as the map says")


def _rights(subject: Subject, source: Source, report: Callable[[], Any]) -> tuple[str, bool]:
    if source.driver == "mes_file":
        return _not_written(subject, source)
    told = {getattr(tag, "tag", "?"): getattr(tag, "may_write", None) for tag in report().tags}
    if None in told.values() or not told:
        raise NotChecked(f"{source.driver}: neither protocol nor probe says what this user may write")
    return none_of([f"{name} may be written" for name, may in told.items() if may], f"{len(told)} tags, none may be written")


def _not_written(subject: Subject, source: Source) -> tuple[str, bool]:
    uid, gids = subject.host.service()
    url = urlsplit(source.endpoints[0])
    place = source.folder / unquote(f"{url.netloc}{url.path}")
    return f"{place} {mode_of(place)}", not may_write(place, uid, gids)


def _witness(subject: Subject, name: str) -> tuple[str, bool]:
    if subject.now is None:
        raise NotChecked("no gateway answers that could say")
    told = subject.now["evidence"].get("witnesses", ())
    one = next((each for each in told if each["name"] == name), None)
    if one is None:
        raise NotChecked("the gateway that runs does not have it")
    if one["away"] or one["contradicts"]:
        return str(one["away"] or one["contradicts"]), False
    if one["size"] is None:
        raise NotChecked("it was given no checkpoint since the start")
    return f"took checkpoint {one['epoch']}/{one['size']}", True


def _backup(subject: Subject) -> tuple[str, bool]:
    assert subject.line is not None
    if subject.line.backup is None:
        return "line.toml has no [backup]", False
    place = (subject.line.folder / subject.line.backup.folder).resolve()
    if not place.is_dir():
        return f"{place} is not there", False
    other = place.stat().st_dev != subject.identity.data.stat().st_dev
    writes = may_write(place, *subject.host.service())
    return f"{place} {mode_of(place)}, on {'another' if other else 'the same'} disk", other and writes
