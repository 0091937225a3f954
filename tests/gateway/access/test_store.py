"""The file with the list of users: for its owner alone, whole or not at all, and never taken for an empty one."""

import os
import threading
from pathlib import Path

import pytest
from kit.persons import five

from gateway.access import Directory, UsersUnreadable
from gateway.access.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.replace(Directory(), five())
    return made


@pytest.mark.bar("S15")
@pytest.mark.urs("URS-SEC-05")
def test_the_file_is_for_its_owner_alone_and_one_that_others_may_read_is_not_believed(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(UsersUnreadable, match="others may read"):
        store.read()


@pytest.mark.urs("URS-SEC-01")
@pytest.mark.parametrize("content", ["", "{}x", '{"version":2}', '{"users":[{"user":"anna","role":"king"}]}', "[]"])
def test_a_damaged_list_lets_nobody_in_and_is_no_empty_one(store: Store, tmp_path: Path, content: str) -> None:
    (tmp_path / "users.json").write_text(content)
    with pytest.raises(UsersUnreadable, match="damaged, nobody is let in by it: set it aside"):
        store.read()
    (tmp_path / "users.json").rename(tmp_path / "users.json.damaged")
    assert not store.read().has_admin(), "the way out that was named: root may add the first one again"


def test_a_link_in_its_place_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "users.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "users.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UsersUnreadable):
        store.read()


def test_a_change_made_from_an_older_list_is_not_written_over_a_newer_one(store: Store) -> None:
    before = store.read()
    one = before.named("qa").model_copy(update={"name": "Quentin Abel-Roux"})
    store.replace(before, before.put(one))
    with pytest.raises(UsersUnreadable, match="meanwhile"):
        store.replace(before, before.put(before.named("admin").model_copy(update={"failures": 3})))
    assert (store.read().named("qa").name, store.read().named("admin").failures) == ("Quentin Abel-Roux", 0)


def test_of_many_writers_at_once_each_that_is_told_yes_has_written(store: Store) -> None:
    done: list[int] = []

    def write(number: int) -> None:
        try:
            before = store.read()
            store.replace(before, before.put(before.named("qa").model_copy(update={"failures": number})))
            done.append(number)
        except UsersUnreadable:
            pass

    before = store.read().changes
    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read().changes == before + len(done)
    assert done


def test_a_disk_that_is_full_leaves_the_list_as_it_was(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    before = store.read()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.replace(before, before.put(before.named("qa").model_copy(update={"failures": 4})))
    assert store.read() == before
    store.replace(before, before.put(before.named("qa").model_copy(update={"failures": 4})))
    assert store.read().named("qa").failures == 4
    assert {path.name for path in tmp_path.iterdir()} == {"users.json"}
