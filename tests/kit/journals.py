"""Journals of the journal's own tests: opened with the settings of a test, filled with small entries, read, and changed by a forger."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from buffer import Body, Entry, Journal, segment
from buffer import verify as verifier

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
