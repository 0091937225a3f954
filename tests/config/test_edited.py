"""What was written to a folder since it was read: told by name, never guessed, and nothing is read of a folder that nobody writes to."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import config
from config import edited, examples
from config.edited import Edits, sums
from config.files import file_bytes

pytestmark = pytest.mark.urs("URS-CFG-02", "URS-CFG-06")


def edits(folder: Path) -> Edits:
    return Edits(folder, sums(config.load(folder).files))


def found(looks: Edits) -> dict[str, str]:
    return {one.name: one.fate for one in looks.look().edited}


def append(path: Path, text: str = "\n") -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("edit", "fates"),
    [
        (lambda folder: append(folder / "tags.csv"), {"tags.csv": "changed"}),
        (lambda folder: (folder / "codes.csv").unlink(), {"codes.csv": "gone"}),
        (lambda folder: (folder / "alarms.csv").write_text("alarm\n"), {"alarms.csv": "added"}),
        (lambda folder: (folder / "line.toml").unlink(), {"line.toml": "gone"}),
        (lambda folder: append(folder / "line.toml", "\n[[["), {"line.toml": "changed"}),
        (lambda folder: (folder / "pq.toml").write_text("x = 1\n"), {}),
        (lambda folder: (folder / "notes.csv").write_text("what somebody wrote\n"), {}),
        (lambda folder: os.utime(folder / "tags.csv"), {}),
    ],
)
def test_what_was_edited_is_named_until_it_is_as_it_was(folder: Path, edit: Callable[[Path], object], fates: dict[str, str]) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    looks = edits(folder)
    assert looks.look() == edited.Look()
    edit(folder)
    assert found(looks) == fates
    for name in fates:
        (folder / name).unlink(missing_ok=True)
    for path, data in before.items():
        path.write_bytes(data)
    assert found(looks) == {}


def test_tables_of_tags_are_those_that_line_toml_names_now(folder: Path) -> None:
    looks = edits(folder)
    looks.look()
    toml = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(f'tags = ["tags.csv", "more.csv", "../secret.csv"]\n{toml}')
    (folder / "more.csv").write_text("tag,source,address,type\n")
    (folder.parent / "secret.csv").write_text("x")
    assert found(looks) == {"line.toml": "changed", "more.csv": "added"}


def test_a_file_that_can_not_be_looked_at_is_not_taken_to_be_as_it_was(folder: Path) -> None:
    looks = edits(folder)
    (folder / "tags.csv").unlink()
    os.mkfifo(folder / "tags.csv")
    look = looks.look()
    assert (look.edited, look.unread) == ((), ("tags.csv: it is no regular file",))
    assert looks.digest() is None
    aside = folder.with_name("aside")
    folder.rename(aside)
    assert looks.look().unread == (f"{folder}: No such file or directory",)


def test_nothing_is_read_twice_of_a_folder_that_nobody_writes_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edited, "SETTLED_NS", -1)  # as if it had been written long ago
    read: list[str] = []

    def counted(where: Path, name: str) -> bytes:
        read.append(name)
        return file_bytes(where, name)

    monkeypatch.setattr(edited, "file_bytes", counted)
    looks = edits(folder)
    looks.look()
    once = list(read)
    for _ in range(3):
        looks.look()
    assert (sorted(once), read) == (sorted(looks.sums), once)
    append(folder / "tags.csv")
    looks.look()
    assert read == [*once, "tags.csv"]


def test_a_file_that_was_written_a_moment_ago_is_read_again_though_its_status_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = edits(folder)
    looks.look()
    monkeypatch.setattr(edited, "file_bytes", lambda _folder, _name: b"as if it had been written within the same tick")
    assert set(found(looks)) == set(looks.sums)


@pytest.mark.parametrize("name", examples.names())
def test_the_digest_is_that_of_the_folder_when_it_is_read(name: str, tmp_path: Path) -> None:
    examples.begin(tmp_path / "line-1", name, ",")
    assert edits(tmp_path / "line-1").digest() == config.load(tmp_path / "line-1").sha256
