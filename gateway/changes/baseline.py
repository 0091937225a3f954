"""The baseline of an installation: each installed file and unit file by its digest, when a version was proposed (URS-CFG-06).

Who approves a version approves what it was tried with; a start, and each day, compare.
"""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("gateway", "drivers", "buffer", "config", "simulators")
UNITS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/run/systemd/system"))
FORM = "ebr-gateway/baseline/1"
MANIFEST = "gateway/install/MANIFEST.note"
"""The supplier's list of all other files, signed; it can not list itself (`release`)."""
Baseline = Mapping[str, Any]
"""software: version. files, units: name -> SHA-256. libraries: name -> version."""


def installed(line: str, units: tuple[Path, ...] = UNITS) -> dict[str, Any]:
    """Take the baseline of what is installed now. line: the name behind the @ of its unit. For a thread: some thousand files are read."""
    return {
        "form": FORM,
        "software": version("ebr-gateway"),
        "files": dict(sorted(_packages())),
        "libraries": dict(sorted((each.metadata["Name"], each.version) for each in distributions())),
        "units": dict(sorted(_units(line, units))),
    }


def sums(files: Mapping[str, str]) -> str:
    """Write the files of an installation as lines `SHA-256  name`, sorted by name, as sha256sum does."""
    return "".join(f"{files[name]}  {name}\n" for name in sorted(files))


def software() -> dict[str, str]:
    """Identify what is installed: the version, and the SHA-256 of `sums` over its files. For a thread."""
    return {"version": version("ebr-gateway"), "sha256": hashlib.sha256(sums(dict(package_files())).encode()).hexdigest()}


def package_files() -> Iterator[tuple[str, str]]:
    """Yield (name, SHA-256) of each installed file that a manifest lists. For a thread."""
    yield from ((name, digest) for name, digest in _packages() if name != MANIFEST)


def differences(before: Baseline, now: Baseline) -> list[str]:
    """Name each file and library that is not as it was, with what became of it; in order."""
    told = []
    for kind, word in (("files", ""), ("units", ""), ("libraries", "library ")):
        was, is_ = before.get(kind, {}), now.get(kind, {})
        told += [f"{word}{name} {_fate(was.get(name), is_.get(name))}" for name in sorted({*was, *is_}) if was.get(name) != is_.get(name)]
    return told


def _fate(before: str | None, now: str | None) -> str:
    return "was added" if before is None else "is gone" if now is None else "was changed"


def _packages() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            yield from _files(Path(root), package)


def _files(root: Path, name: str) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        if path.suffix != ".pyc" and "__pycache__" not in path.parts and path.is_file():
            yield f"{name}/{path.relative_to(root)}", _sha256(path)


def _units(line: str, places: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    for place in places:
        for path in (place / "ebr-gateway@.service", *_drop_ins(place, line)):
            if path.is_file():
                yield str(path), _sha256(path)


def _drop_ins(place: Path, line: str) -> Iterator[Path]:
    for unit in ("ebr-gateway@", f"ebr-gateway@{line}"):
        yield from sorted((place / f"{unit}.service.d").glob("*.conf"))


def _sha256(path: Path) -> str:
    """Compute the digest of a file; one that can not be read has none, which differs from any."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
