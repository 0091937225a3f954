"""A disk that is lost, a backup that is older than what the EBR has: restored, the line goes on and nothing arrives twice in effect."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line, dropped
from kit.processes import command, free_port, listens, process, running, until

from buffer.verify import verify


def received(store: Path) -> list[tuple[int, int, str, dict[str, Any]]]:
    """(epoch, seq, digest, entry) of all that the EBR holds."""
    if not (store / "ebr.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{store / 'ebr.db'}?mode=ro", uri=True)) as db:
        return [
            (row[0], row[1], row[2], json.loads(row[3]))
            for row in db.execute("SELECT epoch, seq, digest, payload FROM entries ORDER BY 1, 2")
        ]


def rows(store: Path) -> list[tuple[int, str, str]]:
    """(epoch, key, the whole row with its source) of each row that has come."""
    events = [(epoch, entry["event"]) for epoch, _, _, entry in received(store) if entry.get("event", {}).get("type") == "message"]
    return [(epoch, row["key"], json.dumps([event["source"], event["name"], row])) for epoch, event in events for row in event["rows"]]


def samples(store: Path) -> set[str]:
    """Keys of the rows that have come."""
    return {key for _, key, _ in rows(store)}


def counts(store: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{store / 'ebr.db'}?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT name, value FROM counts"))


def read_again(came: list[tuple[int, str, str]], first_epoch: int) -> set[str]:
    """Keys that came in both epochs. Each is the same row, byte for byte, so a receiver that keys its rows has it once in effect."""
    before = {key: row for epoch, key, row in came if epoch == first_epoch}
    after = {key: row for epoch, key, row in came if epoch > first_epoch}
    assert len(came) == len(before) + len(after)
    assert all(after[key] == before[key] for key in before.keys() & after)
    return before.keys() & after


def restored(line: Path, backup: Path, store: Path | None) -> int:
    """Lose the disk, restore, put the key back: entries that the journal holds then."""
    (line / "data").rename(line / "the disk that was lost")
    done = command("restore", line, "--from", backup, "--reason", "the disk was lost", *(("--ebr", store) if store else ()))
    assert done.returncode == 0, done.stdout + done.stderr
    held = verify(line / "data").entries
    assert not store or f"{held - verify(backup).entries} entries beyond the backup were taken" in done.stdout
    shutil.copy2(line / "the disk that was lost" / "checkpoint-key", line / "data" / "checkpoint-key")
    return held


@pytest.mark.urs("URS-OPS-02", "URS-UPL-02")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("from_ebr", [False, True])
def test_after_a_restore_the_ebr_gets_nothing_again_as_new(tmp_path: Path, figures: Callable[[str, str], None], *, from_ebr: bool) -> None:
    port, store, backup = free_port(), tmp_path / "store", tmp_path / "backup"
    line = drop_line(tmp_path / "line", f'[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{port}"\n')
    with process("ebr", "--store", store, "--http", str(port), log=tmp_path / "ebr.log"):
        until(lambda: listens(port))
        with running(line) as gateway:
            dropped(line, "a.csv", S1="1.25", S2="1.25", S3="1.25")
            until(lambda: {"S1", "S2", "S3"} <= samples(store))
            assert command("backup", line, "--to", backup).returncode == 0
            dropped(line, "b.csv", S4="1.25", S5="1.25")
            until(lambda: {"S4", "S5"} <= samples(store))
            gateway.kill()
            gateway.wait()
        before = {(epoch, seq): digest for epoch, seq, digest, _ in received(store)}
        first_epoch = max(epoch for epoch, _ in before)
        held = restored(line, backup, store if from_ebr else None)
        assert not from_ebr or held == len(before), "the journal has all that the EBR has"
        with running(line):
            dropped(line, "c.csv", S6="1.25")
            until(lambda: "S6" in samples(store))
            until(lambda: json.loads(command("status", line, "--json").stdout)["uplinks"][0]["entries"] == 0)
            assert command("keys", "rotate", line, "--reason", "after the restore").returncode == 0  # signs twice
            until(lambda: json.loads(command("status", line, "--json").stdout)["evidence"]["accepted"][0]["size"])
    after = received(store)
    now = {(epoch, seq): digest for epoch, seq, digest, _ in after}
    new = [item for item in now if item not in before]
    assert {item: now[item] for item in before} == before, "what the EBR had stays as it is"
    assert {epoch for epoch, _ in new} == {max(epoch for epoch, _ in now)}
    assert max(epoch for epoch, _ in now) > first_epoch
    assert len(set(now.values())) == len(now)
    again = read_again(rows(store), first_epoch)
    assert again == (set() if from_ebr else {"S4", "S5"}), "what neither the backup nor the EBR told of is read again, and nothing else"
    assert samples(store) == {f"S{number}" for number in range(1, 7)}
    begun = next(entry["event"] for epoch, seq, _, entry in after if (epoch, seq) == (max(now)[0], 1))
    assert (begun["type"], begun["reason"], begun["follows"], begun["last_seq"]) == ("epoch", "restored", first_epoch, held)
    public = line / "data" / "checkpoint-key.pub"
    journal, theirs = verify(line / "data", public), verify(store, public)
    assert (journal.exit_code, theirs.exit_code) == (0, 0), [*journal.lines(), *theirs.lines()]
    told = counts(store)
    told_again = f"{len(again)} of 6 rows were read again from the source, unchanged"
    figures(
        "restore --ebr" if from_ebr else "restore",
        f"the EBR had {len(before)} entries, the backup {held}; {len(new)} came in the new epoch, {told['duplicates']} came again "
        f"under old identities and were recognised, {told['suspects']} contradicted; {told_again}",
    )
    assert (told["suspects"], told["refused"]) == (0, 0)
