"""The folder that holds the evidence of a qualification: the document in its three forms, files, their sums (URS-VAL-07).

DIR/document.json|html|pdf    the document; it names each file of evidence with its SHA-256, so a signature under it is over all of them
DIR/evidence/...              what the verdicts rest on
DIR/SHA256SUMS                `sha256sum --check SHA256SUMS`
DIR/dispositions/001.json ... what persons disposed of its deviations, each a document; added later, nothing above is changed
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from buffer import durable
from gateway.documents import NotADocument, read

DOCUMENT = "document.json"
SUMS = "SHA256SUMS"
RUNNING = "running.json"
"""Stands there while a run goes on."""
DISPOSITIONS = "dispositions"


class Bundle:
    """A folder of evidence that is being made. Nothing that is there is written over."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises FileExistsError where there is something in it, OSError."""
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(17, "is not empty", str(folder))
        self.folder = folder
        (folder / "evidence").mkdir(parents=True, exist_ok=True)
        self.sums: dict[str, str] = {}

    @classmethod
    def again(cls, folder: Path, sums: Mapping[str, str], drop: Iterable[str]) -> "Bundle":
        """Open a folder that goes on growing; its document is made anew. sums: what it names. drop: files that are made anew, too."""
        bundle = cls.__new__(cls)
        bundle.folder, bundle.sums = folder, {name: digest for name, digest in sums.items() if name not in drop}
        for name in drop:
            (folder / name).unlink(missing_ok=True)
        return bundle

    def keep(self, name: str, content: bytes) -> str:
        """Write a file of evidence; return its name below the folder. name: of a file, with no folder that leads out of it."""
        path = (self.folder / "evidence" / name).resolve()
        if not path.is_relative_to((self.folder / "evidence").resolve()):
            raise ValueError(f"{name} is no name of a file of evidence")
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.create(path, content)
        told = f"evidence/{path.relative_to((self.folder / 'evidence').resolve())}"
        self.sums[told] = hashlib.sha256(content).hexdigest()
        return told

    def facts(self) -> dict[str, str]:
        """Return what the document says of the evidence: name -> SHA-256. Writes SHA256SUMS."""
        ordered = dict(sorted(self.sums.items()))
        durable.write(self.folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in ordered.items()).encode(), 0o644)
        return ordered


def document_of(folder: Path) -> dict[str, Any]:
    """Read the document of a folder. Raises NotADocument, OSError."""
    return read(folder / DOCUMENT)


def unfinished(folder: Path) -> str | None:
    """Return when a run began that came to no end, by a power cut say, or goes on. None: there is a document, or was no run."""
    path = folder / RUNNING
    return str(json.loads(path.read_bytes())["begun"]) if path.exists() and not (folder / DOCUMENT).exists() else None


def dispositions_of(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Read the dispositions of a folder in their order, with their names. Raises NotADocument, OSError."""
    numbered = [path for path in (folder / DISPOSITIONS).glob("*.json") if path.stem.isdecimal()]
    return [(f"{DISPOSITIONS}/{path.name}", read(path)) for path in sorted(numbered, key=lambda path: int(path.stem))]


def next_name(series: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the name of the files of the next disposition, without their ends."""
    return f"{int(Path(series[-1][0]).stem) + 1 if series else 1:03d}"


def problems(folder: Path, document: Mapping[str, Any]) -> list[str]:
    """Say what of the evidence is not as the document says: changed, gone, added. Raises NotADocument."""
    listed = document["facts"].get("evidence")
    if not isinstance(listed, Mapping):
        raise NotADocument(f"{folder}: the document names no evidence")
    found = {str(path.relative_to(folder)): path for path in sorted((folder / "evidence").rglob("*")) if path.is_file()}
    told = [f"{name} is gone" for name in listed if name not in found]
    told += [f"{name} was added" for name in found if name not in listed]
    told += [f"{name} was changed" for name, digest in listed.items() if name in found and _sha256(found[name]) != digest]
    sums = "".join(f"{digest}  {name}\n" for name, digest in listed.items())
    if not (folder / SUMS).is_file() or (folder / SUMS).read_text("utf-8", "replace") != sums:
        told.append(f"{SUMS} is not that of the document")
    return told


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
