"""Backups on schedule when the clock was once ahead."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.processes import eventually

import config
from buffer import Body, Journal
from gateway.evidence.backups import Backups

LINE = '[line]\nsite = "lyon"\nname = "test-1"\ntimezone = "Europe/Paris"\n[backup]\nfolder = "copies"\nevery_h = 0.0004\nkeep = 2\n'
HEARTBEAT = Body("ebr-gateway/event/1", b'"time":"2026-11-22T00:00:00.000000Z","event":{"type":"heartbeat","observed":{}}}')
AHEAD = [f"lyon-test-1-20990101T00000{number}Z" for number in range(3)]


@pytest.mark.urs("URS-OPS-01")
async def test_backups_dated_ahead_by_a_wrong_clock_neither_stop_new_ones_nor_push_them_out(tmp_path: Path) -> None:
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "tags.csv").write_text("tag,source,address,type\n")
    (tmp_path / "copies").mkdir()
    for name in AHEAD:
        (tmp_path / "copies" / name).mkdir()
    line = config.load(tmp_path)
    assert line.backup is not None
    journal = Journal.open(line.data, line.gateway, retain_s=1e9, max_bytes=1 << 40)
    journal.append([HEARTBEAT])
    made: list[Mapping[str, Any]] = []

    async def audit(_action: str, what: Mapping[str, Any]) -> None:
        made.append(what)

    backups = Backups(line, line.backup, audit, lambda _event: None, look_s=0.1)
    work = asyncio.ensure_future(backups.run())
    await eventually(lambda: len(made) >= 3 or work.done())
    work.cancel()
    await asyncio.wait([work])
    journal.close()
    held = sorted(path.name for path in (tmp_path / "copies").iterdir() if not path.name.endswith(".part"))
    assert held[-3:] == AHEAD, "who made them so may look at them"
    assert held[:-3] == [Path(what["path"]).name for what in made[-2:]]
    assert backups.describe()["newest"] < "2099"


@pytest.mark.urs("URS-OPS-01", "URS-TIME-07")
@pytest.mark.parametrize("date", ["20990101T000000Z", "19700101T000100Z"])
async def test_the_newest_backup_is_the_one_with_the_newest_entries_whatever_its_date(tmp_path: Path, date: str) -> None:
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "tags.csv").write_text("tag,source,address,type\n")
    (tmp_path / "copies").mkdir()
    line = config.load(tmp_path)
    assert line.backup is not None
    journal = Journal.open(line.data, line.gateway, retain_s=1e9, max_bytes=1 << 40)
    journal.append([HEARTBEAT])
    made: list[Path] = []
    wrong = tmp_path / "copies" / f"lyon-test-1-{date}"

    async def audit(_action: str, what: Mapping[str, Any]) -> None:
        """Each but the first has an entry more; the second one is made by a clock that is wrong."""
        made.append(Path(what["path"]))
        await asyncio.wrap_future(journal.append([HEARTBEAT]))
        if len(made) == 2:
            made[-1].rename(wrong)

    backups = Backups(line, line.backup, audit, lambda _event: None, look_s=0.1)
    work = asyncio.ensure_future(backups.run())
    await eventually(lambda: len(made) == 3 or work.done())
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == sorted([wrong.name, made[2].name]), "the first one went"
    await eventually(lambda: len(made) >= 4 or work.done())
    work.cancel()
    await asyncio.wait([work])
    journal.close()
    held = [path.name for path in (tmp_path / "copies").iterdir() if not path.name.endswith(".part")]
    assert sorted(held) == [made[-2].name, made[-1].name], "what has older entries goes first"
    assert "2026" <= backups.describe()["newest"] < "2099"
