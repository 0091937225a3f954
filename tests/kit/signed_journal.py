"""A stopped journal with one batch, checkpoints and a key, and what a forger makes of it."""

import random
import sqlite3
from pathlib import Path

from kit.journals import GATEWAY, event, numbered, opened, resting_on

from buffer import Body, keys
from buffer.entry.examples import EVENTS


def reading(number: int) -> Body:
    """Make readings that carry a number and bytes that do not compress."""
    return numbered(number, random.Random(number).randbytes(20).hex())


class Made:
    """A stopped journal with one batch, checkpoints, and its key."""

    def __init__(self, folder: Path, entries: int = 5000) -> None:
        self.folder, self.journal = folder, folder / "journal"
        self.signer = keys.create(folder / "key.pem", GATEWAY)
        journal = opened(self.journal)
        assert journal.opened.epoch_event is not None
        self.epoch = journal.opened.epoch
        journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event(EVENTS["tagset"])])
        for start in range(0, entries, 500):
            journal.append([reading(start + i) for i in range(500)])
        begun = journal.next_seq
        batch, step = resting_on(begun, EVENTS["batch"]), resting_on(begun, EVENTS["step"])
        journal.append([event({**batch, "transition": "start"})])
        journal.append([reading(10_000 + i) for i in range(300)])
        journal.append([event(step), event(batch)], urgent=True).result()
        for cause in ("batch-end", "interval"):
            self.checkpoint = journal.checkpoint(self.signer, cause)
            assert self.checkpoint is not None
            journal.append([event(self.checkpoint)])
            journal.append([reading(20_000 + i) for i in range(50)], urgent=True).result()
        self.last = journal.last[1]
        journal.close()


def edit(folder: Path, segment: str, sql: str) -> None:
    """Change a closed segment as its owner can, who knows the format: without its triggers, and without the sums."""
    path = folder / "segments" / segment
    path.chmod(0o600)
    with sqlite3.connect(path) as db:
        for name in ("entries_are_not_changed", "entries_are_not_removed"):
            db.execute(f"DROP TRIGGER {name}")
        db.executescript(sql)
    db.close()
    (folder / "SHA256SUMS").unlink()
