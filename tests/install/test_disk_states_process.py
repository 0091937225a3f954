"""What a power cut may leave of a few commands, where a file system keeps no order but what was flushed.

It is the model that the installer is held against (test_reordered_writes_faults.py).
"""

import subprocess
from pathlib import Path

import pytest
from kit.disk_states import Disk, Node, State, Tree
from kit.disk_trace import wrapper
from kit.installer_stage import needed


def states(folder: Path, script: str, before: dict[str, bytes]) -> list[Tree]:
    """Run a script there, and give what a power cut may leave of it, by names in that folder."""
    needed("strace", root=False)
    at = folder / "disk"
    at.mkdir()
    for name, content in before.items():
        (at / name).write_bytes(content)
    lain = {str(at): Node("folder"), **{f"{at}/{name}": Node("file", 0o644, content) for name, content in before.items()}}
    subprocess.run([*wrapper(str(folder / "trace")), "sh", "-c", script], cwd=at, check=True)
    with (folder / "trace").open() as lines:
        disk = Disk(lain, (str(at),)).follow(lines, str(at))
    return [named(state, f"{at}/") for state in disk.states(seed=1, drawn=10)]


def named(state: State, at: str) -> Tree:
    return {path.removeprefix(at): node for path, node in state.tree.items() if path.startswith(at)}


def contents(found: list[Tree], name: str) -> set[object]:
    return {tree[name].content if name in tree else None for tree in found}


def test_what_was_renamed_and_never_flushed_may_be_empty_half_or_not_there(tmp_path: Path) -> None:
    found = states(tmp_path, "printf 12345678 >new; mv -T new name", {})
    assert contents(found, "name") == {None, b"", b"1234", b"12345678"}


def test_what_was_flushed_before_it_was_renamed_is_whole_or_what_was_there_before(tmp_path: Path) -> None:
    found = states(tmp_path, "printf 12345678 >new; sync new; mv -T new name", {"name": b"old"})
    assert contents(found, "name") == {b"old", b"12345678"}


def test_a_flushed_file_may_have_no_name_until_its_folder_is_flushed(tmp_path: Path) -> None:
    found = states(tmp_path, "printf 1 >name; sync name; sync .; printf 2 >other", {})
    assert contents(found, "name") == {None, b"", b"1"}
    assert {b"1"} == contents([tree for tree in found if "other" in tree], "name"), "what comes behind a flush finds it there"


def test_a_link_that_is_renamed_before_its_folder_is_flushed_may_be_lost(tmp_path: Path) -> None:
    found = states(tmp_path, "ln -s to new; mv -T new name", {"name": b"old"})
    assert contents(found, "name") == {b"old", b"to", None}


def test_a_link_that_is_renamed_behind_a_flush_of_its_folder_is_never_lost(tmp_path: Path) -> None:
    found = states(tmp_path, "ln -s to new; sync .; mv -T new name", {"name": b"old"})
    assert contents(found, "name") == {b"old", b"to"}


def test_of_two_removals_either_may_be_there_alone(tmp_path: Path) -> None:
    found = states(tmp_path, "rm one; rm two", {"one": b"1", "two": b"2"})
    assert {frozenset(tree) for tree in found} == {frozenset(), frozenset({"one"}), frozenset({"two"}), frozenset({"one", "two"})}


def test_a_sync_between_them_keeps_their_order(tmp_path: Path) -> None:
    found = states(tmp_path, "rm one; sync; rm two", {"one": b"1", "two": b"2"})
    assert {frozenset(tree) for tree in found} == {frozenset(), frozenset({"two"}), frozenset({"one", "two"})}


def test_a_file_that_is_written_in_its_place_may_be_old_empty_half_or_new(tmp_path: Path) -> None:
    found = states(tmp_path, "printf 1234 >name", {"name": b"old!"})
    assert contents(found, "name") == {b"old!", b"", b"12", b"1234", b"old!1234"}


def test_a_call_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not understood"):
        states(tmp_path, "fallocate -l 10 name", {"name": b"1"})
