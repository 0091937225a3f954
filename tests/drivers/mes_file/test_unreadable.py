"""A file that can not be opened or read stops itself alone, is told, and is read when it can be, though no look shows a change then."""

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from kit.collector import Journal, running
from kit.mes_file import TAGS, put, source

from drivers.mes_file import MesFileDriver, folder

HEAD = b"sample_id,lod\r\n"


@contextmanager
def leased(path: Path) -> Iterator[None]:
    """As a file server holds a file that one of its clients has open: who opens it meanwhile without waiting gets EAGAIN."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel asks the holder to give the lease back
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(file)
        signal.signal(signal.SIGIO, before)


def keys(journal: Journal) -> list[str]:
    return [message.key for message in journal.messages]


@pytest.mark.urs("URS-DAQ-04")
async def test_a_file_that_another_program_has_leased_waits_alone_and_is_read_when_it_is_free(tmp_path: Path, drop: Path) -> None:
    journal = Journal()
    put(drop, "a.csv", HEAD + b"S1,1\r\n")
    held = ExitStack()
    held.enter_context(leased(drop / "a.csv"))
    async with running(MesFileDriver(source(tmp_path, incomplete_s=0), TAGS), journal):
        put(drop, "b.csv", HEAD + b"S2,2\r\n")
        await journal.until(lambda: keys(journal) == ["S2"] and "file-unreadable" in journal.codes)
        await journal.until(lambda: "lease" in journal.unread)
        held.close()
        await journal.until(lambda: keys(journal) == ["S2", "S1"])
        await journal.until(lambda: journal.unread == "")
    (told,) = journal.findings
    assert told.severity == "alarm"
    assert told.text.startswith("a.csv: can not be read: another program holds a lease on it")
    assert told.tags == (0,)


@pytest.mark.urs("URS-DAQ-04")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.EIO, errno.ESTALE])
async def test_whatever_the_system_says_of_one_file_stops_that_one_until_it_says_so_no_more(
    tmp_path: Path, drop: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A mode that was wrong, a lock of a Windows share, a bad sector, a handle of NFS: none of them changes size or time of the file."""
    really, bad = os.open, {"a.csv"}

    def opened(name: str, *how: int, dir_fd: int | None = None) -> int:
        if name in bad:
            raise OSError(number, os.strerror(number))
        return really(name, *how, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", opened)
    journal = Journal()
    put(drop, "a.csv", HEAD + b"S1,1\r\n")
    async with running(MesFileDriver(source(tmp_path, incomplete_s=0), TAGS), journal):
        put(drop, "b.csv", HEAD + b"S2,2\r\n")
        await journal.until(lambda: keys(journal) == ["S2"] and journal.codes == ["file-unreadable"])
        assert os.strerror(number) in journal.findings[0].text
        bad.clear()
        await journal.until(lambda: keys(journal) == ["S2", "S1"])


@pytest.mark.urs("URS-DAQ-04")
async def test_a_name_that_can_not_be_looked_at_does_not_hide_the_others(drop: Path) -> None:
    class Entry:
        name = "a.csv"

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            raise OSError(errno.EUCLEAN if not follow_symlinks else 0, os.strerror(errno.EUCLEAN))

    files: dict[str, folder.Seen] = {}
    refused: dict[str, str] = {}
    folder._look(Entry(), files, refused)  # type: ignore[arg-type]
    assert files == {}
    assert refused == {"a.csv": os.strerror(errno.EUCLEAN)}


async def test_a_file_that_can_not_be_read_is_told_by_probe(tmp_path: Path, drop: Path) -> None:
    put(drop, "a.csv", HEAD + b"S1,1\r\n")
    with leased(drop / "a.csv"):
        probe = await MesFileDriver(source(tmp_path), TAGS).probe()
    assert probe.tags[0].problems == ["a.csv: can not be read: another program holds a lease on it"]
    assert probe.tags[0].state == "differs"
