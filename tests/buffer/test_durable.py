"""A file that is evidence is on the disk before it has its name, and has its name on the disk before anybody is told so."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buffer import durable, keys
from gateway.documents import files as documents
from gateway.runtime import observation_files

Calls = list[tuple[str, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the kernel is asked for, in order: the real calls, with the name that each handle has."""
    made: Calls = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        made.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def replaced(source: Any, target: Any, **more: Any) -> None:
        made.append(("name", Path(target).name))
        replace(source, target, **more)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "rename", replaced)
    return made


def is_durable(calls: Calls, part: str, path: Path) -> bool:
    """Content, then name, then folder: each is there, and in this order."""
    named = calls.index(("name", path.name))
    return ("sync", part) in calls[:named] and ("sync", path.parent.name) in calls[named:]


@pytest.mark.urs("URS-BUF-02")
def test_what_is_written_in_place_of_another_is_synced_before_and_after_it_has_its_name(tmp_path: Path, calls: Calls) -> None:
    path = tmp_path / "users.json"
    path.write_text("before")
    durable.write(path, b"after", 0o640)
    assert (path.read_text(), path.stat().st_mode & 0o777, list(tmp_path.iterdir())) == ("after", 0o640, [path])
    assert is_durable(calls, ".users.json.part", path)


@pytest.mark.urs("URS-BUF-02")
def test_a_new_file_is_synced_and_never_another_ones(tmp_path: Path, calls: Calls) -> None:
    durable.create(tmp_path / "a.json", b"1")
    assert calls == [("sync", "a.json"), ("sync", tmp_path.name)]
    with pytest.raises(FileExistsError):
        durable.create(tmp_path / "a.json", b"2")
    assert (tmp_path / "a.json").read_bytes() == b"1"


@pytest.mark.urs("URS-BUF-02")
def test_a_folder_that_gets_its_name_is_synced_with_all_that_lies_in_it(tmp_path: Path, calls: Calls) -> None:
    part, target = tmp_path / "made" / ".part", tmp_path / "content"
    (part / "inner").mkdir(parents=True)
    (part / "inner" / "tags.csv").write_text("x")
    durable.place(part, target)
    assert (target / "inner" / "tags.csv").read_text() == "x"
    named = calls.index(("name", "content"))
    assert {("sync", "tags.csv"), ("sync", "inner"), ("sync", ".part")} <= set(calls[:named])
    assert {("sync", tmp_path.name), ("sync", "made")} <= set(calls[named:]), "the folder that it comes from, too"


@pytest.mark.parametrize(("write", "step"), [(durable.write, "fsync"), (durable.write, "rename"), (durable.create, "fsync")])
def test_what_can_not_be_made_durable_leaves_what_was_there_and_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None], step: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = tmp_path / "before"
    before.write_text("before")
    path = before if write is durable.write else tmp_path / "new"
    for name in ("fsync",) if step == "fsync" else ("replace", "rename"):
        monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"after")
    assert ([one.name for one in tmp_path.iterdir()], before.read_text()) == (["before"], "before")


def test_a_share_that_can_not_sync_a_folder_takes_the_file_and_a_disk_that_fails_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, answer = os.fsync, errno.EINVAL

    def synced(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_dir():
            raise OSError(answer, os.strerror(answer))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    durable.write(tmp_path / "a", b"1")
    answer = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        durable.write(tmp_path / "b", b"1")


DOCUMENT = {"document": "observation-report", "made_at": {"time": "2026-11-02T00:00:00Z"}, "id": "12345678-aaaa"}


@pytest.mark.urs("URS-OBS-04")
def test_the_files_of_a_days_report_are_durable(tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "FORMS", dict.fromkeys(("json", "html"), lambda document, printed: b"{}"))
    observation_files.put(DOCUMENT, tmp_path, 0)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"observation-report-20261102T000000Z-12345678.{form}" for form in ("json", "html")}
    for name in names:
        stem, _, form = name.rpartition(".")
        assert is_durable(calls, f"{stem}.part.{form}", tmp_path / name)


def test_keys_are_durable(tmp_path: Path, calls: Calls) -> None:
    keys.create(tmp_path / "key", "lyon/test-1")
    assert is_durable(calls, ".key.part", tmp_path / "key")
    assert is_durable(calls, ".key.pub.part", tmp_path / "key.pub")
