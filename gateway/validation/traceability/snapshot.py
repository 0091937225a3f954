"""What a release is made of, as far as the assessment of a change asks: files, libraries, keys of the line folder, what tests reach."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from gateway.validation.traceability.imports import EVERYTHING, PRODUCT, Imports, reached, room_of
from gateway.validation.traceability.results import files

SCHEMAS = "docs/schemas/"
LOCK = "locks/run.txt"
FOLDER_SCHEMAS = ("line-toml", "line-tables", "line-lots")


class Snapshot(NamedTuple):
    """One state of the software.

    files: SHA-256 of each file of the product, of its schemas and of its tests. libraries: versions of the lock. users: library -> rooms
    that import it, or something that needs it. keys: key of the line folder -> digest of what it takes. reach: file of tests -> what it
    reaches (`imports.reached`).
    """

    files: Mapping[str, str]
    libraries: Mapping[str, str]
    users: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, str]
    reach: Mapping[str, tuple[str, ...]]


def of_tree(tree: Path) -> Snapshot:
    """Take it from a source tree and the libraries that are installed beside it."""
    imports = Imports(tree)
    kept = {
        name: sums
        for name, sums in files(tree).items()
        if name.startswith((*(f"{top}/" for top in PRODUCT), "tests/", "systemd/", SCHEMAS))
    }
    tests = sorted(path.relative_to(tree).as_posix() for path in (tree / "tests").rglob("test_*.py"))
    locked = dict(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (tree / LOCK).read_text("utf-8"))) if (tree / LOCK).exists() else {}
    return Snapshot(kept, locked, _users(imports, locked), dict(_keys(tree)), {file: tuple(reached(imports, file)) for file in tests})


def _users(imports: Imports, locked: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Say which rooms a library serves, also behind others that need it; `*` where nothing says it."""
    needs: dict[str, set[str]] = {name: set() for name in locked}
    for name in locked:
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in required:
            found = re.match(r"[A-Za-z0-9_.-]+", text)
            if found and (needed := _spelled(found[0], locked)):
                needs[needed].add(name)
    tops: dict[str, set[str]] = {}
    for top, names in metadata.packages_distributions().items():
        for name in names:
            if spelled := _spelled(name, locked):
                tops.setdefault(spelled, set()).add(top)
    direct: dict[str, set[str]] = {}
    for module in imports.modules():
        for name in imports.direct(module):
            direct.setdefault(name.partition(".")[0], set()).add(room_of(module))
    return {name: tuple(sorted(_serves(name, needs, tops, direct, set()))) or (EVERYTHING,) for name in sorted(locked)}


def _serves(
    name: str, needs: Mapping[str, set[str]], tops: Mapping[str, set[str]], direct: Mapping[str, set[str]], seen: set[str]
) -> set[str]:
    seen.add(name)
    mine = {room for top in tops.get(name, ()) for room in direct.get(top, ())}
    behind = (_serves(one, needs, tops, direct, seen) for one in needs[name] if one not in seen)
    return mine.union(*behind)


def _spelled(name: str, locked: Mapping[str, str]) -> str | None:
    """Return a library as the lock spells it."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return next((one for one in locked if re.sub(r"[-_.]+", "-", one).lower() == plain), None)


def _keys(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield each key of the line folder's schemas, `line-toml: Source.rate_ms`, with the digest of what it takes."""
    for name in FOLDER_SCHEMAS:
        path = tree / SCHEMAS / f"{name}.json"
        if path.exists():
            schema = json.loads(path.read_text("utf-8"))
            for model, told in ({"": schema} | schema.get("$defs", {})).items():
                for key, value in told.get("properties", {}).items():
                    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
                    yield f"{name}: {model}.{key}" if model else f"{name}: {key}", digest


def plain(told: Snapshot) -> dict[str, Any]:
    """Return it as it stands in the file of a release: rooms of a file in one text, so that the file stays readable."""
    joined = {name: {one: " ".join(values) for one, values in getattr(told, name).items()} for name in ("users", "reach")}
    return {**told._asdict(), **joined}


def loads(document: Mapping[str, Any]) -> Snapshot:
    """Read it back. Raises KeyError, AttributeError, TypeError where it is none."""
    users, reach = ({one: tuple(text.split()) for one, text in document[name].items()} for name in ("users", "reach"))
    return Snapshot(dict(document["files"]), dict(document["libraries"]), users, dict(document["keys"]), reach)
