"""Damaged and forged copies of a stopped journal and of an archive, through the verifier: no verdict is better than the proof.

The oracle reads a copy itself, by SQLite, zstd and SHA-256. GOOD may be said only of a copy in which every entry through the last signed
one has the bytes that it had, and none after it has others. Nothing but a report leaves the verifier, within `ROUND_S` of its thread's
processor time.
"""

import hashlib
import random
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from kit import forger
from kit.signed_journal import Made

from buffer.verify import verify

ROUND_S = 20.0
PAGE = 4096
VALUES: list[object] = [None, 0, 1, -1, 4096, 4097, 2**63 - 1, -(2**63), 1.5, "", "closed", "pruned", "{", b"", b"\0" * 32, b"\xff" * 300]


@dataclass
class Tally:
    """Figures of a run. verdicts: exit code -> how often; the copy was another one each time."""

    rounds: int = 0
    same: int = 0
    verdicts: dict[int, int] = field(default_factory=dict)
    longest_s: float = 0.0

    def __str__(self) -> str:
        said = ", ".join(f"exit {code} {number:,}" for code, number in sorted(self.verdicts.items()))
        return (
            f"{self.rounds:,} copies, of {self.same:,} the entries were the same; {said}; longest {self.longest_s:.2f} s; verdicts wrong 0"
        )


def spoiled(content: bytes, chance: random.Random) -> bytes:
    """Damage bytes as disks, cables and hands do: bits, bytes, cuts, pages."""
    body = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at, size = chance.randrange(max(len(body), 1)), chance.choice([1, 2, 16, 512, PAGE])
        other = chance.randrange(max(len(body), 1))
        kind = chance.randrange(8)
        if kind == 0 and body:
            body[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            body[at : at + size] = chance.randbytes(size)
        elif kind == 2:
            del body[at : at + size]
        elif kind == 3:
            body[at:at] = body[other : other + size]
        elif kind == 4:
            del body[at:]
        elif kind == 5:
            body[at // PAGE * PAGE : at // PAGE * PAGE + PAGE] = bytes(PAGE)
        elif kind == 6:
            one, two = at // PAGE * PAGE, other // PAGE * PAGE
            body[one : one + PAGE], body[two : two + PAGE] = body[two : two + PAGE], body[one : one + PAGE]
        else:
            body += chance.randbytes(size)
    return bytes(body)


def rewritten(path: Path, chance: random.Random) -> None:
    """Change rows of a database as its owner can, who may write what he likes into any column."""
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        for _ in range(chance.choice([1, 1, 2, 4])):
            table = chance.choice(tables)
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = [row for (row,) in db.execute(f"SELECT rowid FROM {table}")]
            if not rows:
                continue
            row, other, column = chance.choice(rows), chance.choice(rows), chance.choice(columns)
            kind = chance.randrange(4)
            with suppress(sqlite3.Error):  # what a constraint refuses nobody can write
                if kind == 0:
                    db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
                elif kind == 1:
                    db.execute(
                        f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE rowid = ?) WHERE rowid = ?", (other, row)
                    )
                elif kind == 2:
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (chance.choice(VALUES), row))
                else:
                    (value,) = db.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()
                    value = spoiled(value, chance) if isinstance(value, bytes) else value + 1 if isinstance(value, int) else f"{value}x"
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
        db.commit()


def held(journal: Path) -> dict[int, bytes] | None:
    """Read the entries of a journal's files: seq -> SHA-256. None if they can not be read."""
    found: dict[int, bytes] = {}
    try:
        for path in sorted((journal / "segments").glob("*.db")):
            with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
                for seq, payload in db.execute("SELECT seq, payload FROM entries"):
                    found[seq] = hashlib.sha256(zstandard.ZstdDecompressor().decompress(payload, max_output_size=1 << 24)).digest()
    except (sqlite3.Error, zstandard.ZstdError, TypeError, ValueError, OverflowError):
        return None
    return found


class Copies:
    """What is damaged: a stopped journal, and an archive of it."""

    def __init__(self, made: Made, zipped: Path, folder: Path) -> None:
        self._made, self._zipped, self._folder = made, zipped, folder
        whole = held(made.journal)
        assert whole is not None
        assert made.checkpoint is not None
        self._whole, self._signed = whole, int(made.checkpoint["size"])
        with zipfile.ZipFile(zipped) as file:
            self._members = {name: file.read(name) for name in file.namelist()}

    def of(self, kind: str, chance: random.Random) -> tuple[Path, bool]:
        """Make a damaged copy. Returns it, and whether its entries are those of the original."""
        return self._archive(chance) if kind == "archive" else self._journal(kind, chance)

    def _journal(self, kind: str, chance: random.Random) -> tuple[Path, bool]:
        copy = forger.copied(self._made, self._folder / "copy")
        files = [copy / "journal.db"] if kind == "journal.db" else sorted((copy / "segments").glob("*.db"))
        path = chance.choice(files)
        path.chmod(0o600)
        if chance.random() < 0.8:  # nobody's sums: the proof alone
            (copy / "SHA256SUMS").unlink()
        if chance.random() < 0.5:
            path.write_bytes(spoiled(path.read_bytes(), chance))
        else:
            rewritten(path, chance)
        now = held(copy)
        if now is None:
            return copy, False
        is_told = all(now.get(seq) == told for seq, told in self._whole.items() if seq <= self._signed or seq in now)
        return copy, is_told and set(now) <= set(self._whole)

    def _archive(self, chance: random.Random) -> tuple[Path, bool]:
        target = self._folder / "copy.zip"
        content = self._zipped.read_bytes()
        if chance.random() < 0.5:
            target.write_bytes(spoiled(content, chance))
            return target, target.read_bytes() == content
        files = dict(self._members)
        name = chance.choice(sorted(files))
        if chance.random() < 0.2:
            del files[name]
        elif name.startswith("entries/") and chance.random() < 0.7:
            lines = files[name].splitlines(keepends=True)
            at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[at : at + 1] = chance.choice([[], [lines[other]], [lines[at], lines[at]], [spoiled(lines[at], chance)]])
            files[name] = b"".join(lines)
        else:
            files[name] = spoiled(files[name], chance)
        if "SHA256SUMS.note" not in files:
            files["SHA256SUMS.note"] = b""
        forger.packed(target, files)
        with zipfile.ZipFile(target) as file:  # the sums were put right
            return target, {name: file.read(name) for name in file.namelist()} == self._members

    def cleared(self, copy: Path) -> None:
        """Remove a copy."""
        if copy.is_dir():
            shutil.rmtree(copy)
        else:
            copy.unlink()


def run(copies: Copies, made: Made, kind: str, seed: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> Tally:
    """Fuzz for so many seconds. Raises AssertionError with the seed of the copy that broke the oracle."""
    tally, end_s = Tally(), clock() + seconds
    while clock() < end_s:
        one = f"{seed}-{tally.rounds}"
        copy, is_same = copies.of(kind, random.Random(one))
        begun = time.thread_time()
        try:
            report = verify(copy, made.signer.public)
            "\n".join(report.lines())
        except Exception as error:
            raise AssertionError(f"{kind} {one}: {error!r} in place of a report") from error
        took_s = time.thread_time() - begun
        tally.longest_s = max(tally.longest_s, took_s)
        tally.verdicts[report.exit_code] = tally.verdicts.get(report.exit_code, 0) + 1
        tally.rounds, tally.same = tally.rounds + 1, tally.same + is_same
        assert report.exit_code in {0, 1, 2}, f"{kind} {one}: exit {report.exit_code}"
        assert is_same or report.exit_code, f"{kind} {one}: GOOD of other entries: {list(report.lines())[:4]}"
        assert took_s < ROUND_S, f"{kind} {one}: {took_s:.1f} s"
        copies.cleared(copy)
    return tally
