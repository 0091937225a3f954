"""A file that was taken away unread is told, also where another one got its place on the disk."""

import pytest
from kit.collector import Journal

from drivers.mes_file.folder import Scan, Seen
from drivers.mes_file.reader import FileReader
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.restored_rows import RestoredRows
from drivers.rows import Mapped

FIRST = Seen("a.csv", 7, 100, 1_000)


async def told(now: Seen | None, *, truncated: bool = False) -> list[str]:
    """What is said when FIRST is not there any more, and another file is. truncated: more names stand there than were looked at."""
    pattern, journal = Pattern(name="p", glob="*.csv", format="csv"), Journal()
    reader = FileReader(pattern, FileSettings(pattern=(pattern,)), Mapped([], lambda _: ("", "")), journal, RestoredRows({}))
    await reader.lose_what_vanished({"a.csv": FIRST}, Scan({} if now is None else {now.name: now}, truncated=truncated))
    return journal.codes


@pytest.mark.urs("URS-DAQ-04")
async def test_what_is_gone_is_told() -> None:
    assert await told(None) == ["file-vanished"]


async def test_what_was_renamed_is_not_lost() -> None:
    assert await told(Seen("b.csv", 7, 100, 1_000)) == []


@pytest.mark.urs("URS-DAQ-04")
async def test_another_file_with_the_number_of_the_first_is_not_the_first() -> None:
    """Disks give the number of a removed file to the next one that is made."""
    assert await told(Seen("b.csv", 7, 140, 2_000)) == ["file-vanished"]
    assert await told(Seen("b.csv", 7, 100, 2_000)) == ["file-vanished"]


async def test_what_was_not_looked_at_is_not_gone() -> None:
    assert await told(None, truncated=True) == []
