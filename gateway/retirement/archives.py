"""Archives of all batches: those that are made now, each verified, and those that the site has of before."""

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from buffer import StorageError, verify
from buffer.archive import packing

FOLDER = "archives"


class Shown(NamedTuple):
    """An archive that is there. why: what is wrong with it; "" if it is good."""

    path: Path
    batch: str | None
    sha256: str
    bytes: int
    why: str

    def facts(self) -> dict[str, Any]:
        """Return it for a document."""
        return {"batch": self.batch, "place": str(self.path), "sha256": self.sha256, "bytes": self.bytes, "verified": not self.why}


def shown(folder: Path | None, gateway: str, keys: str) -> list[Shown]:
    """Verify every archive of a folder. keys: the line's public keys."""
    return [] if folder is None else [looked_at(path, gateway, keys) for path in sorted(folder.rglob("*.zip"))]


def looked_at(path: Path, gateway: str, keys: str) -> Shown:
    """Verify one archive."""
    told, why = _manifest(path), ""
    try:
        report = verify.verify(path, keys or None)
        why = "; ".join([*report.problems, *report.missing][:3])
    except (ValueError, OSError) as error:
        why = f"can not be verified: {error}"
    if told.get("gateway") not in (None, gateway):
        why = f"is of {told['gateway']}, not of {gateway}"
    return Shown(path, told.get("batch"), _sha256(path), path.stat().st_size, why)


def made(data: Path, batch: str, target: Path, gateway: str, keys: str, sign: Callable[[str], str]) -> Shown:
    """Make the archive of a batch and verify it. What a run that was cut has left is made anew. Blocks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        packing.make(data, batch, target, keys.split(), sign)
    except (packing.NotReady, StorageError) as error:
        return Shown(target, batch, "", 0, f"was not made: {error}")
    return looked_at(target, gateway, keys)


def file_names(batches: Sequence[str]) -> dict[str, str]:
    """Return the name of each batch's archive: two that a medium may take for one, since it knows no capitals, have a digest each."""
    plain = {batch: file_name(batch) for batch in batches}
    often = Counter(name.lower() for name in plain.values())
    return {batch: name if often[name.lower()] == 1 else file_name(batch, is_alone=False) for batch, name in plain.items()}


def file_name(batch: str, *, is_alone: bool = True) -> str:
    """Return the name of a batch's archive: the batch itself where that can be a file's name, else with a digest to tell two apart."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", batch)[:100].lstrip(".") or "_"
    digest = hashlib.sha256(batch.encode()).hexdigest()[:8]
    return f"{plain}.zip" if plain == batch and is_alone else f"{plain}-{digest}.zip"


def _manifest(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read("manifest.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    return told if isinstance(told, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
