"""Is what is installed what was released? The supplier's signed manifest against the files, and libraries against the lock (URS-SEC-07).

The wheel brings `gateway/install/MANIFEST.note`: a signed note (C2SP signed-note, Ed25519) whose text names the version and each file with
its SHA-256. It proves something to who has the release key another way: who can change the files can change a key that lies among them.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from buffer.verify import Key
from gateway.changes.baseline import MANIFEST, differences, package_files, sums

FORM = "ebr-gateway/manifest/1"
KEYS = Path("/etc/ebr-gateway/release-keys")
"""Where a plant puts the supplier's public keys, one a line."""
LOCK = "install/run.txt"
MOST_NAMED = 5
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")


class Library(NamedTuple):
    """A library that the lock names. installed: its version here, None if it is not there. wrong: what is wrong with it; None: nothing."""

    name: str
    locked: str
    installed: str | None
    wrong: str | None


class Verified(NamedTuple):
    """What came of looking. sha256: of the list of files as they are; manifest: as it was released. problems: none, it is good."""

    version: str
    sha256: str
    manifest: str | None
    signed_by: str | None
    problems: tuple[str, ...]


def manifest_text(version: str, files: Mapping[str, str]) -> str:
    """Write what is signed: the form, the version, and the files as `sums` writes them."""
    return f"{FORM}\n{version}\n{sums(files)}"


def release_keys(named: Path | None = None) -> list[str]:
    """Read the supplier's public keys that this machine was given; none if it was given none. Raises OSError, ValueError.

    named: another file than that of the machine.
    """
    path = named or KEYS
    if not path.exists():
        return []
    told = path.read_text("utf-8").split()
    for one in told:
        Key.parse(one)
    return told


def verified(version: str, publics: Sequence[str], keys_named: str | None = None) -> Verified:
    """Compare the installed files with the manifest. For a thread: some hundred files are read. keys_named: where the keys come from."""
    found = dict(package_files())
    note = _note()
    return judged(version, found, note, publics, keys_named or str(KEYS))


def judged(version: str, found: Mapping[str, str], note: str | None, publics: Sequence[str], keys_named: str) -> Verified:
    """Judge files by a manifest: pure. found: name -> SHA-256, as they are."""
    digest = hashlib.sha256(sums(found).encode()).hexdigest()
    if note is None:
        return Verified(version, digest, None, None, ("no manifest is installed: this is no release, but a copy of the source",))
    listed, stated, problem = _read(note)
    if problem is not None:
        return Verified(version, digest, None, None, (problem,))
    signers = [key.name for key in map(Key.parse, publics) if key.signed(note)]
    problems = [*_signature_problems(publics, signers, keys_named)]
    if stated != version:
        problems.append(f"the manifest is that of version {stated}, and {version} is installed")
    differ = differences({"files": listed}, {"files": found})
    problems += differ[:MOST_NAMED] + ([f"and {len(differ) - MOST_NAMED} files more"] if len(differ) > MOST_NAMED else [])
    released = hashlib.sha256(sums(listed).encode()).hexdigest()
    return Verified(version, digest, released, signers[0] if signers else None, tuple(problems))


def _signature_problems(publics: Sequence[str], signers: Sequence[str], keys_named: str) -> Iterator[str]:
    if not publics:
        yield f"no release key is known: put the supplier's, as you got it another way, into {keys_named}"
    elif not signers:
        yield f"the manifest is signed by none of the keys of {keys_named}"


def _read(note: str) -> tuple[dict[str, str], str, str | None]:
    """Read (files, version, what is wrong) of a manifest."""
    form, _, rest = note.partition("\n\n")[0].partition("\n")
    version, _, listed = rest.partition("\n")
    lines = [_LINE.fullmatch(line) for line in listed.splitlines()]
    if form != FORM or not lines or not all(lines):
        return {}, "", "the manifest can not be read"
    return {line[2]: line[1] for line in lines if line}, version, None


def _note() -> str | None:
    spec = find_spec("gateway")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root).parent / MANIFEST
        if path.is_file():
            return path.read_text("utf-8", "replace")
    return None


def lock_text() -> str | None:
    """Return the lock file that the release was tested with; None where it is not installed."""
    path = resources("gateway") / LOCK
    if path.is_file():
        return path.read_text("utf-8")
    beside = Path(str(resources("gateway"))).parent / "locks" / "run.txt"  # a copy of the source
    return beside.read_text("utf-8") if beside.is_file() else None


def libraries(lock: str, *, thorough: bool = False) -> list[Library]:
    """Compare installed libraries with the lock: each there, of that version. thorough: and each file as its RECORD says; for a thread."""
    return [_library(name, version, thorough=thorough) for name, version in sorted(_PINNED.findall(lock))]


def _library(name: str, locked: str, *, thorough: bool) -> Library:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return Library(name, locked, None, "is not installed")
    if found.version != locked:
        return Library(name, locked, found.version, f"is {found.version}, and the lock says {locked}")
    changed = _changed(found) if thorough else []
    return Library(name, locked, found.version, f"was changed: {', '.join(changed[:MOST_NAMED])}" if changed else None)


def _changed(found: Distribution) -> list[str]:
    """Name the files of a library that are not as its RECORD says (PyPA, Recording installed projects).

    Its scripts outside of the packages are left out: the gateway runs none, and an environment that is moved has them rewritten.
    """
    from base64 import urlsafe_b64encode

    changed = []
    for path in found.files or ():
        if path.hash is None or path.hash.mode != "sha256" or ".." in path.parts:
            continue
        try:
            digest = hashlib.sha256(Path(str(path.locate())).read_bytes()).digest()
        except OSError:
            digest = b""
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != path.hash.value:
            changed.append(str(path))
    return changed
