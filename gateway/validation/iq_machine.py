"""Installation checks of the machine: disk, clock, time zones, ports that are open, certificates and their ends."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography import x509

from config import Line
from config.sections import ClockSection
from gateway.clock.baseline import MAIN_FILE, check_baseline
from gateway.validation.check import Asked, NotChecked, listed, none_of
from gateway.validation.host import Host
from gateway.validation.iq_software import Subject

LASTING = ("ext4", "xfs", "btrfs", "zfs", "f2fs", "ext3", "jfs", "bcachefs")
"""File systems of a disk of this machine that keep what fsync(2) was asked to keep."""
LEAST_DAYS = 30
LISTENS = "0A"
"""State of a socket in /proc/net/tcp (proc(5)): TCP_LISTEN."""


def machine(subject: Subject, to: Path) -> Iterator[Asked]:
    """Give the checks of the machine. to: the folder of the evidence, where a file may be written."""
    data = subject.identity.data
    yield Asked("disk-space", "Space for the journal", ("URS-BUF-03",), "[buffer] max_bytes fits", lambda: _space(subject))
    yield Asked(
        "disk-kind", "File system of the journal", ("URS-BUF-02",), f"one of {', '.join(LASTING)}", lambda: _kind(subject.host, data)
    )
    yield Asked(
        "disk-sync", "Writes reach the disk", ("URS-BUF-02",), "barriers on; fsync takes 0.05 ms or more", lambda: _sync(subject, to)
    )
    yield Asked("clock-state", "Clock", ("URS-TIME-05",), "synchronised, within [clock] max_error_s", lambda: _clock(subject))
    yield Asked("clock-source", "Time daemon", ("URS-TIME-04",), "chrony has a reference", lambda: _daemon(subject.host))
    yield Asked("clock-chrony", "chrony's configuration", ("URS-TIME-04",), "nothing differs from the baseline", lambda: _chrony(subject))
    yield Asked("time-zone", "Time zone data", ("URS-TIME-02",), "the line's zone is known", lambda: _zone(subject))
    yield Asked("ports-gateway", "Ports of the gateway", ("URS-SEC-08",), "those of line.toml and no other", lambda: _own_ports(subject))
    yield Asked("ports-machine", "Ports of the machine", ("URS-SEC-08",), _declared(subject), lambda: _other_ports(subject))
    yield Asked("certificates", "Certificates", ("URS-SEC-04",), f"valid for {LEAST_DAYS} days more", lambda: _certificates(subject))


def _space(subject: Subject) -> tuple[str, bool]:
    if subject.line is None:
        raise NotChecked("the line folder has errors")
    usage, most = shutil.disk_usage(subject.identity.data), subject.line.buffer.max_bytes
    held = sum(file.stat().st_size for file in subject.identity.data.rglob("*") if file.is_file() and not file.is_symlink())
    text = f"disk {usage.total:,} bytes, free {usage.free:,}, journal holds {held:,}, may hold {most:,}"
    return text, usage.free + held >= most


def mount_of(host: Host, place: Path) -> tuple[str, str, str]:
    """Return (mount point, file system, options) of the mount that a place lies on. Raises NotChecked."""
    try:
        lines = host.path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise NotChecked(f"the mounts can not be read: {error}") from error
    mounts = [line.split(" ") for line in lines if len(line.split(" ")) >= 4]
    over = [one for one in mounts if place.resolve().is_relative_to(one[1].replace("\\040", " "))]
    if not over:
        raise NotChecked(f"no mount is known for {place}")
    _, point, kind, options = max(enumerate(over), key=lambda one: (len(one[1][1]), one[0]))[1][:4]
    return point, kind, options


def _kind(host: Host, data: Path) -> tuple[str, bool]:
    point, kind, options = mount_of(host, data)
    return f"{point}: {kind} ({options})", kind in LASTING


def _sync(subject: Subject, to: Path) -> tuple[str, bool]:
    """Look at the options, and time fsync on the same disk; a disk that answers at once keeps it in memory."""
    point, _, options = mount_of(subject.host, subject.identity.data)
    words = options.split(",")
    if unsafe := [word for word in words if word in ("nobarrier", "barrier=0", "async,nobarrier", "eatmydata")]:
        return f"{point} is mounted with {', '.join(unsafe)}", False
    if subject.identity.data.stat().st_dev != to.stat().st_dev:
        raise NotChecked("the evidence lies on another disk than the journal, and nothing is written beside the journal: give --to there")
    took = sorted(_synced(to) for _ in range(10))[5]
    return f"{point}: fsync took {took * 1000:.2f} ms (median of 10)", took >= 0.00005


def _synced(folder: Path) -> float:
    place = folder / ".sync"
    with place.open("wb") as file:
        file.write(os.urandom(4096))
        file.flush()
        begun = time.monotonic()
        os.fsync(file.fileno())
        took = time.monotonic() - begun
    place.unlink()
    return took


def _clock(subject: Subject) -> tuple[str, bool]:
    if subject.now is None:
        raise NotChecked("no gateway answers that could say")
    clock, most = subject.now["clock"], getattr(subject.line, "clock", None) or ClockSection()
    bound = clock["bound_s"]
    good = clock["status"] == "synchronised" and bound is not None and bound <= most.max_error_s
    return f"{clock['status']}, bound {'unknown' if bound is None else f'{bound:.6f} s'}", good


def _daemon(host: Host) -> tuple[str, bool]:
    told = host.command(["chronyc", "-c", "tracking"]).strip().split(",")
    if len(told) < 14:
        raise NotChecked("chronyc tells no tracking")
    return f"reference {told[1] or told[0]}, stratum {told[2]}, leap {told[13]}", told[2] not in ("0", "") and told[13] == "Normal"


def _chrony(subject: Subject) -> tuple[str, bool]:
    clock = getattr(subject.line, "clock", None) or ClockSection()
    main = subject.host.path(str(MAIN_FILE))
    found = check_baseline(main, drift_ppm=clock.max_drift_ppm, max_error_s=clock.max_error_s, leap_mode=clock.leap_mode)
    return none_of([f"{one.severity}: {one.text}" for one in found], str(main))


def _zone(subject: Subject) -> tuple[str, bool]:
    name = subject.identity.line.timezone
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        return f"{name}: {error}", False
    now = datetime.now(UTC).astimezone(zone)
    return f"{name}, now {now:%Z} {now:%z}; tzdata {version('tzdata')}", True


# ------------------------------------------------------------------ ports


def listening(host: Host, folder: str) -> dict[str, tuple[str, int]]:
    """Read the listening TCP sockets: inode -> (address in hexadecimal, port). folder: of /proc. Raises NotChecked."""
    found: dict[str, tuple[str, int]] = {}
    for name in ("tcp", "tcp6"):
        try:
            rows = host.path(f"/proc/{folder}/net/{name}").read_text("ascii").splitlines()[1:]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NotChecked(f"/proc/{folder}/net/{name}: {error.strerror}") from error
        for row in (line.split() for line in rows):
            if row[3] == LISTENS:
                address, _, port = row[1].partition(":")
                found[row[9]] = address, int(port, 16)
    return found


def _inodes(host: Host, pid: int) -> set[str]:
    folder = host.path(f"/proc/{pid}/fd")
    try:
        targets = [str(one.readlink()) for one in folder.iterdir()]
    except OSError as error:
        raise NotChecked(f"{folder}: {error.strerror}; run it as root") from error
    return {found[1] for target in targets if (found := re.fullmatch(r"socket:\[(\d+)\]", target))}


def expected_ports(line: Any) -> set[int]:
    """Return the TCP ports that a line opens by its line.toml."""
    return {int(one.listen.rpartition(":")[2]) for one in (line.web, line.push) if one is not None}


def _own_ports(subject: Subject) -> tuple[str, bool]:
    if subject.now is None or subject.line is None:
        raise NotChecked("no gateway answers, or the line folder has errors")
    mine = _inodes(subject.host, subject.now["pid"])
    open_ = {port for inode, (_, port) in listening(subject.host, str(subject.now["pid"])).items() if inode in mine}
    named = expected_ports(subject.line)
    told = f"open: {', '.join(map(str, sorted(open_))) or 'none'}; line.toml: {', '.join(map(str, sorted(named))) or 'none'}"
    return told, open_ == named


def _declared(subject: Subject) -> str:
    more = ", ".join(map(str, sorted(subject.host.ports)))
    return f"reachable from other machines: the gateway's own{f' and {more}' if more else ' alone'}"


def _other_ports(subject: Subject) -> tuple[str, bool]:
    if subject.line is None:
        raise NotChecked("the line folder has errors")
    reachable = {port for address, port in listening(subject.host, "self").values() if not _is_loopback(address)}
    allowed = expected_ports(subject.line) | set(subject.host.ports)
    return none_of([f"port {port}" for port in sorted(reachable - allowed)], f"{', '.join(map(str, sorted(reachable))) or 'none'}")


def _is_loopback(address: str) -> bool:
    """Return whether an address of /proc/net/tcp (bytes of each word in the machine's order) is of this machine alone."""
    if len(address) == 8:
        return address[6:] == "7F"
    return address in ("00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


# ------------------------------------------------------------------ certificates


def certificate_files(line: Line) -> Iterator[tuple[str, Path]]:
    """Yield (whose, file) of each certificate that the line uses."""
    parts: list[tuple[str, Any]] = [(f"uplink {each.name}", each.tls) for each in line.uplinks]
    parts += [(f"witness {each.name}", each.tls) for each in line.witnesses]
    parts += [(name, each.tls) for name, each in (("page", line.web), ("push", line.push)) if each is not None]
    for name, tls in parts:
        yield from ((f"{name} {key}", line.folder / text) for key in ("ca", "cert") if tls and (text := getattr(tls, key)))
    for source in line.sources:
        if source.driver == "opcua":
            folder = line.folder / str(source.options.get("certificates", "certs"))
            yield from ((f"source {source.name}", file) for place in ("own", "trusted", "issuers") for file in _in(folder / place))


def _in(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.glob("*") if file.suffix in (".der", ".pem", ".crt", ".cer") and not file.name.endswith("key.pem")
    )


def _certificates(subject: Subject) -> tuple[str, bool]:
    if subject.line is None:
        raise NotChecked("the line folder has errors")
    files = dict.fromkeys(certificate_files(subject.line))
    wrong: list[str] = []
    good: list[str] = []
    for name, file in files:
        try:
            left = days_left(file)
        except FileNotFoundError:
            wrong.append(f"{name}: {file} is not there")
            continue
        except ValueError as error:
            wrong.append(f"{name}: {file} can not be read: {error}")
            continue
        (good if left >= LEAST_DAYS else wrong).append(f"{name}: {file.name} ends in {left} days")
    return none_of(wrong, listed(good) if good else "the line uses none")


def days_left(file: Path) -> int:
    """Return in how many days the first certificate of a file ends; -1 of one that is not valid yet. Raises OSError, ValueError."""
    content = file.read_bytes()
    read = x509.load_pem_x509_certificates(content) if b"-----BEGIN" in content else [x509.load_der_x509_certificate(content)]
    now = datetime.now(UTC)
    if any(one.not_valid_before_utc > now for one in read):
        return -1
    return min((one.not_valid_after_utc - now).days for one in read)
