"""Installation checks of the service: unit, account, groups, modes of folders and keys, credentials."""

import pwd
import re
import stat
from collections.abc import Iterator
from importlib.resources import files as resources
from pathlib import Path

from config import Credential
from config.credentials import CredentialMissing, path
from gateway.validation.check import Asked, NotChecked, listed, none_of
from gateway.validation.host import Host, may_write, mode_of, owner_of, status
from gateway.validation.iq_software import Subject

UNIT = "ebr-gateway@.service"
MOST_EXPOSED = 2.0
_SCORE = re.compile(r"Overall exposure level for \S+: ([0-9.]+)")
_LOADED = re.compile(r"(?m)^\s*LoadCredential(?:Encrypted)?=([^:\s]+):(\S+)")


def service(subject: Subject) -> Iterator[Asked]:
    """Give the checks of the service."""
    host, data = subject.host, subject.identity.data
    unit = f"ebr-gateway@{subject.identity.line.name}.service"
    yield Asked("unit-file", "Unit file", ("URS-CFG-06",), "that of the release", lambda: _unit(host))
    yield Asked("unit-score", "Exposure", ("URS-SEC-06",), f"at most {MOST_EXPOSED}", lambda: _score(host, unit))
    yield Asked("unit-enabled", "Starts with the machine", ("URS-OPS-05",), "enabled", lambda: _enabled(host, unit))
    yield Asked("account", "Account of the service", ("URS-SEC-06",), f"{host.account}, no root, no shell", lambda: _account(host))
    yield Asked("journal-mode", "Journal's folder", ("URS-SEC-06",), f"{host.account} 0700", lambda: _is(data, f"{host.account} 0700"))
    yield Asked("key-mode", "Signing key", ("URS-SEC-05",), f"{host.account} 0600, or a credential of root", lambda: _key(subject))
    yield Asked("users-mode", "List of users", ("URS-SEC-01",), f"{host.account} 0600", lambda: _users(subject))
    yield Asked("folder-written", "Line folder", ("URS-SEC-06",), "the service can not write it", lambda: _folder(subject))
    yield Asked("program-written", "Program", ("URS-SEC-07",), "the service can not write it", lambda: _program(host))
    yield Asked("credentials", "Secrets", ("URS-SEC-05",), "each is there, and for its owner alone", lambda: _credentials(subject))


def _unit(host: Host) -> tuple[str, bool]:
    shipped = resources("gateway") / "install" / "systemd" / UNIT
    if not shipped.is_file():
        shipped = Path(str(resources("gateway"))).parent / "systemd" / UNIT
    if not shipped.is_file():
        raise NotChecked("the release's unit file is not installed")
    places = [host.path(f"{place}/{UNIT}") for place in ("/etc/systemd/system", "/usr/lib/systemd/system")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return f"{UNIT} is in neither /etc/systemd/system nor /usr/lib/systemd/system", False
    return (str(found), True) if found.read_bytes() == shipped.read_bytes() else (f"{found} differs from that of the release", False)


def _score(host: Host, unit: str) -> tuple[str, bool]:
    told = host.command(["systemd-analyze", "security", "--no-pager", unit])
    score = _SCORE.search(told)
    if score is None:
        raise NotChecked("systemd-analyze tells no exposure level")
    return score[1], float(score[1]) <= MOST_EXPOSED


def _enabled(host: Host, unit: str) -> tuple[str, bool]:
    told = host.command(["systemctl", "is-enabled", unit]).strip()
    return told, told == "enabled"


def _account(host: Host) -> tuple[str, bool]:
    uid, gids = host.service()
    shell = pwd.getpwuid(uid).pw_shell
    good = uid != 0 and shell.rpartition("/")[2] in ("nologin", "false")
    return f"uid {uid}, groups {', '.join(map(str, sorted(gids)))}, shell {shell or 'none'}", good


def _is(place: Path, expected: str) -> tuple[str, bool]:
    if not place.exists():
        return f"{place} is not there", False
    found = mode_of(place)
    return f"{place}: {found}", found == expected


def _key(subject: Subject) -> tuple[str, bool]:
    place = subject.identity.data / "checkpoint-key"
    if place.exists():
        return _is(place, f"{subject.host.account} 0600")
    loaded = _loaded(subject).get("checkpoint-key")
    if loaded is None:
        return f"{place} is not there, and the unit loads no credential checkpoint-key", False
    return _closed("checkpoint-key", loaded)


def _users(subject: Subject) -> tuple[str, bool]:
    if subject.line is not None and subject.line.users is not None and subject.line.users.origin == "os-group":
        return "users are those of the operating system", True
    return _is(subject.identity.data / "users.json", f"{subject.host.account} 0600")


def _folder(subject: Subject) -> tuple[str, bool]:
    return _not_written(subject.identity.folder, *subject.host.service(), subject.identity.data)


def _program(host: Host) -> tuple[str, bool]:
    return _not_written(Path(str(resources("gateway"))), *host.service())


def _not_written(folder: Path, uid: int, gids: frozenset[int], own: Path | None = None) -> tuple[str, bool]:
    """Look at a folder and all in it: what an account may write. own: a folder below it that is the account's."""
    below = (place for place in sorted(folder.rglob("*")) if not place.is_symlink())
    places = [folder, *(place for place in below if own is None or not place.is_relative_to(own))]
    return none_of([f"{place} ({mode_of(place)})" for place in places if may_write(place, uid, gids)], f"{len(places)} files and folders")


def _credentials(subject: Subject) -> tuple[str, bool]:
    if subject.line is None:
        raise NotChecked("the line folder has errors")
    names, loaded = sorted(set(secrets(subject))), _loaded(subject)
    wrong = []
    for name in names:
        if name in loaded:
            found, good = _closed(name, loaded[name])
            wrong += [] if good else [found]
            continue
        try:
            path(Credential(credential=name), subject.line.folder)
        except (CredentialMissing, OSError) as error:
            wrong.append(str(error))
    return none_of(wrong, listed(names) if names else "the line names none")


def _closed(name: str, place: Path) -> tuple[str, bool]:
    """Look whether a file is there, for its owner alone, who is root or the service."""
    try:
        found = status(place)
    except FileNotFoundError:
        return f"{name}: {place} is not there", False
    return f"{name}: {place} {owner_of(found.st_uid)} {stat.S_IMODE(found.st_mode):04o}", not found.st_mode & 0o077


def _loaded(subject: Subject) -> dict[str, Path]:
    """Return the credentials that unit and drop-ins load: name -> file."""
    host, name = subject.host, subject.identity.line.name
    found: dict[str, Path] = {}
    for place in ("/usr/lib/systemd/system", "/etc/systemd/system"):
        folders = [host.path(f"{place}/{unit}.service.d") for unit in ("ebr-gateway@", f"ebr-gateway@{name}")]
        for file in [host.path(f"{place}/{UNIT}"), *(file for folder in folders for file in sorted(folder.glob("*.conf")))]:
            if file.is_file():
                text = file.read_text("utf-8", "replace").replace("%i", name)
                found |= {one: host.path(where) for one, where in _LOADED.findall(text)}
    return found


def secrets(subject: Subject) -> Iterator[str]:
    """Yield the name of every credential that a line folder names, wherever it stands in line.toml."""
    import tomllib

    yield from _named(tomllib.loads((subject.identity.folder / "line.toml").read_text("utf-8")))


def _named(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"credential"} and isinstance(value["credential"], str):
            yield value["credential"]
        for one in value.values():
            yield from _named(one)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one)
