"""Reads one state of the software for an assessment: a release, by its file, its wheel or its folder; a source tree; this program."""

import json
import zipfile
from pathlib import Path

from gateway.validation.traceability import snapshot, tree
from gateway.validation.traceability.results import RELEASE_FILE
from gateway.validation.traceability.snapshot import Snapshot
from gateway.validation.traceability.tree import NoTraceability, Traceability

State = tuple[Traceability, Snapshot]


def state_of(place: Path | None) -> State:
    """Read it; None: this installation, or the source tree that it runs from. Raises NoTraceability."""
    where = tree.here() if place is None else place
    if where is None:
        return _read(str(tree.HERE / "release.json"), (tree.HERE / "release.json").read_bytes())
    if tree.is_tree(where):
        return tree.of_tree(where, []), snapshot.of_tree(where)
    if where.is_dir():
        wheels = sorted(where.glob("*.whl"))
        if len(wheels) != 1:
            raise NoTraceability(f"{where}: neither a source tree nor a folder with one wheel, but with {len(wheels)}")
        where = wheels[0]
    return _read(str(where), _bytes(where))


def _bytes(file: Path) -> bytes:
    """Return the file of a release, out of its wheel if need be."""
    try:
        if file.suffix != ".whl":
            return file.read_bytes()
        with zipfile.ZipFile(file) as wheel:
            return wheel.read(RELEASE_FILE)
    except KeyError:
        raise NoTraceability(f"{file}: was built without its traceability: it is no release") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise NoTraceability(f"{file}: {getattr(error, 'strerror', None) or error}") from None


def _read(name: str, content: bytes) -> State:
    try:
        text = content.decode()
        return tree.loads(text), snapshot.loads(json.loads(text)["build"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise NoTraceability(f"{name}: is no file of a release: {type(error).__name__}: {error}") from None
    except NoTraceability as error:
        raise NoTraceability(f"{name}: {error}") from None
