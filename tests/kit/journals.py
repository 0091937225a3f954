"""Journals of the journal's own tests: opened with the settings of a test, filled with small entries, read, and changed by a forger."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from buffer import Body, Entry, Journal, segment
from buffer import verify as verifier
from buffer.verify import CITING

GATEWAY = "lyon/granulation-2"
READINGS = "ebr-gateway/readings/1"
EVENT = "ebr-gateway/event/1"
TIME = '"time":"2026-11-22T07:15:02.5123456Z"'
EMPTY = Body(READINGS, f"{TIME}}}".encode())


def opened(
    folder: Path, gateway: str = GATEWAY, *, commit_interval_s: float = 0.001, retain_s: float = 0.0, max_bytes: int = 1 << 40
) -> Journal:
    """Open a journal that commits almost at once, keeps nothing beyond its receipts and has room."""
    return Journal.open(folder, gateway, commit_interval_s=commit_interval_s, retain_s=retain_s, max_bytes=max_bytes)


def numbered(number: int, pad: str = "") -> Body:
    """Make readings that carry a number, and `pad` to be larger."""
    return Body(READINGS, f'{TIME},"n":{number},"pad":"{pad}"}}'.encode())


def event(content: dict[str, Any]) -> Body:
    """Make an event of this content."""
    return Body(EVENT, f'{TIME},"event":{json.dumps(content, ensure_ascii=False, separators=(",", ":"))}}}'.encode())


def resting_on(seq: int, content: Any) -> Any:
    """Let an example of an event rest on one entry, whatever entries the example names."""
    if isinstance(content, list):
        return [resting_on(seq, item) for item in content]
    if isinstance(content, dict):
        return {name: seq if name in CITING and type(item) is int else resting_on(seq, item) for name, item in content.items()}
    return content


def entries(journal: Journal) -> list[Entry]:
    """Read all that the journal holds, page by page."""
    found: list[Entry] = []
    while page := journal.read((found[-1].epoch, found[-1].seq) if found else (0, 0), max_bytes=1 << 24):
        found += page
    return found


def short_segments(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Let a segment end after so many entries, for the journal and for the verifier: what happens at its end then happens soon."""
    monkeypatch.setattr(segment, "ENTRIES", length)
    monkeypatch.setattr(verifier, "SEGMENT", length)


def change(folder: Path, *statements: str) -> None:
    """Change journal.db as somebody with the rights of its owner can, who leaves out the sums."""
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        for sql in statements:
            db.execute(sql)
        db.commit()
    (folder / "SHA256SUMS").unlink(missing_ok=True)


def open_journal(path: Path, **options: object) -> Journal:
    """Open the journal in a folder's `journal`, with a few options of its own."""
    defaults = {"commit_interval_s": 0.005, "retain_s": 0.0, "max_bytes": 1 << 30}
    return Journal.open(path / "journal", GATEWAY, **{**defaults, **options})  # type: ignore[arg-type]


def digest_at(journal: Journal, seq: int, epoch: int | None = None) -> str:
    """Read the digest of one entry."""
    (entry,) = journal.read((epoch or journal.opened.epoch, seq - 1), max_bytes=1, max_entries=1)
    return entry.digest


def filled(path: Path, **options: object) -> Journal:
    """Open a journal with one required uplink and 9,001 entries: two closed segments and one that grows."""
    journal = open_journal(path, **options)
    journal.uplink("ebr", True)
    for start in range(0, 9000, 1000):
        journal.append([numbered(start + i) for i in range(1000)])
    journal.append([numbered(9000)], urgent=True).result()
    return journal


def confirm(journal: Journal, seq: int) -> None:
    """Give the uplink's receipt through one entry."""
    journal.acknowledge("ebr", journal.opened.epoch, seq, digest_at(journal, seq))
