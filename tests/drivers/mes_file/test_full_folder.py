"""A drop folder from which nobody takes anything away: what is too much of it costs nothing but its own reading."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_file import TAGS, put, source

from drivers.mes_file import MesFileDriver
from drivers.mes_file.ledger import Ledger

MOST, TOO_MANY = 100, 400


@pytest.mark.urs("URS-DAQ-11")
async def test_room_is_looked_for_once_in_a_look_not_once_for_each_file_that_waits(
    tmp_path: Path, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each search walks all files that stand there: one for each of ten thousand that wait kept every source of the line waiting."""
    looks: list[Any] = []
    make_room = Ledger.make_room

    def counted(ledger: Ledger, present: Any) -> None:
        looks.append(present)
        make_room(ledger, present)

    monkeypatch.setattr(Ledger, "make_room", counted)
    for number in range(MOST + TOO_MANY):
        put(drop, f"{number}.csv", f"sample_id,lod\r\nS{number},1\r\n".encode())
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, ledger_files=MOST), TAGS), journal):
        await journal.until(lambda: "folder-full" in journal.codes)
        await journal.polled(journal.polls + 3)
        for number in range(50):
            (drop / f"{number}.csv").unlink()
        await journal.until(lambda: len(journal.messages) == MOST + 50)
    searched = Counter(map(id, looks))
    assert len(searched) >= 3
    assert max(searched.values()) <= 51, "one that finds nothing ends the search for this look"
    assert sum(1 for count in searched.values() if count > 1) <= 1, "the look that found fifty places"
