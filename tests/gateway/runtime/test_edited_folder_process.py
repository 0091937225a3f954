"""Who edits the folder of a line that runs is told where he looks that it is not what runs, since when, and what to do. It is no alarm."""

import json
from pathlib import Path
from typing import Any

import pytest
from kit.change_desk import Desk, actor
from kit.commands import called
from kit.drop_line import drop_line
from kit.processes import running, until
from kit.production_line import production_line
from kit.snapshots import snapshot

from config.edited import Edited, Look
from gateway.changes import Book, baseline
from gateway.changes.next_step import next_step
from gateway.operation import folder as operation_folder
from gateway.operation.control import ask
from gateway.operation.folder import Folder, note
from gateway.operation.status import problems
from gateway.pages.banner import banner
from gateway.runtime import folder_watch

pytestmark = pytest.mark.urs("URS-CFG-02", "URS-CFG-06")


def often() -> None:
    """Look more often than a line does, so that a test need not wait."""
    folder_watch.LOOK_EVERY_S = 0.05


def state(line: Path, wanted: str) -> dict[str, Any] | None:
    now = ask(line / "data")
    return now if now["folder"]["state"] == wanted else None


def test_an_edited_folder_is_told_by_status_page_and_check_and_is_no_alarm(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line", '[web]\nlisten = "127.0.0.1:0"\n')
    tags = (line / "tags.csv").read_bytes()
    with running(line, before=often):
        until(lambda: state(line, "same"))
        assert "not what runs" not in called("check", line).stdout
        (line / "tags.csv").write_bytes(tags + b"\n")
        now = until(lambda: state(line, "differs"))
        told = called("status", line).stdout.replace("\n", " ")
        assert "Note: The line folder is not what runs: tags.csv changed (since " in told
        assert "end the gateway and start it again" in told
        assert not [problem for problem in problems(now) if "folder" in problem]
        assert any("The line folder is not what runs" in each for each in banner(now).notes)
        checked = called("check", line)
        assert checked.returncode == 0
        assert "this is not what runs now: tags.csv changed; so that it runs: end the gateway and start it again" in checked.stdout
        (line / "codes.csv").write_text("a\n")
        broken = called("check", line)
        assert (broken.returncode, "codes.csv added, tags.csv changed" in broken.stdout) == (2, True)
        (line / "codes.csv").unlink()
        assert json.loads(called("check", line, "--json").stdout)["runs"]["files"] == [{"name": "tags.csv", "fate": "changed"}]
        (line / "tags.csv").write_bytes(tags)
        until(lambda: state(line, "same"))
    with running(line, before=often):
        until(lambda: state(line, "same"))
    assert "runs" not in called("check", line).stdout, "nothing runs, so nothing is said of what does"


async def test_the_next_step_is_that_of_the_versions_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"form": baseline.FORM, "software": "0", "files": {"gateway/x.py": "aa"}, "libraries": {}, "units": {}}
    monkeypatch.setattr(baseline, "installed", lambda _line, _units=(): taken)
    desk = Desk(production_line(tmp_path / "line"))
    await desk.in_force()
    first = desk.register.book().named(1).sha256
    toml = desk.folder / "line.toml"
    toml.write_text(toml.read_text() + "# edited\n")

    def step(sha256: str | None) -> str:
        return next_step(Path("/line"), desk.register.book(), sha256, None)

    assert "check /line, then ebr-gateway config propose /line" in step("00")
    number = await desk.proposed()
    second = desk.register.book().named(number).sha256
    assert f"version {number} holds it and is proposed: ebr-gateway config approve /line {number}" in step(second)
    await desk.register.decide("approve", number, actor("qa"), meaning="approved for production")
    assert f"is approved: ebr-gateway config activate /line {number}" in step(second)
    await desk.register.activate(number, actor("engineer"), emergency=False)
    assert "version 1 held it: ebr-gateway config rollback /line 1" in step(first)
    assert "propose" in step(None)


def test_without_versions_a_restart_takes_it_and_a_folder_that_was_checked_is_not_checked_again() -> None:
    restart = "systemctl restart ebr-gateway@x"
    assert next_step(Path("/x"), Book(), None, restart) == f"ebr-gateway check /x, then {restart}"
    assert next_step(Path("/x"), Book(), None, restart, checked=True) == restart


def test_what_nobody_saw_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Folder(Path("/x"), {}, None)
    assert kept.described()["state"] == "not-checked"
    kept.found(Look(), 10, "")
    assert (kept.described()["state"], note(snapshot() | {"folder": kept.described()})) == ("same", "")
    kept.found(Look(unread=("tags.csv: Permission denied",)), 20, "")
    told = note(snapshot() | {"folder": kept.described()})
    assert told == "Whether the line folder is what runs is not checked: tags.csv: Permission denied"
    kept.found(Look(), 30, "")
    monkeypatch.setattr(operation_folder, "OLD_S", -1.0)  # the disk has not answered for longer
    assert kept.described()["state"] == "not-checked"
    assert note(snapshot() | {"folder": {"state": None}}) == "", "an older release says nothing of it"


def test_what_was_so_at_the_first_look_has_no_instant_and_what_came_later_keeps_its_own() -> None:
    kept = Folder(Path("/x"), {}, None)
    kept.found(Look((Edited("a.csv", "changed"),)), 10, "do it")
    assert "a.csv changed (since before this start). So that it runs: do it" in note(snapshot() | {"folder": kept.described()})
    kept.found(Look((Edited("b.csv", "gone"),)), 17_953_308_000_000_000, "do it")
    kept.found(Look((Edited("b.csv", "gone"),)), 17_953_308_990_000_000, "do it")
    assert "b.csv gone (since 08:00:00)" in note(snapshot() | {"folder": kept.described()})
    assert "(since 2026-11-22 08:00:00)" in note(snapshot() | {"folder": kept.described(), "local": "2026-11-23 08:00:00"})
    many = [Edited(f"t{number}.csv", "added") for number in range(30)]
    kept.found(Look(tuple(many)), 17_953_308_990_000_000, "do it")
    assert "t4.csv added and 25 more" in note(snapshot() | {"folder": kept.described()})
