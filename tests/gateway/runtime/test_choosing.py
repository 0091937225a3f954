"""What a start runs: the folder, the version in force, or nothing, and what is said of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.change_desk import Desk, actor
from kit.journals import event, opened
from kit.production_line import PLC, accepts, production_line

import config
from buffer.restore.backup import backup, restore
from gateway.changes import NotAllowed, baseline, known_act
from gateway.runtime.baseline_watch import BaselineWatch
from gateway.runtime.choosing import Chosen, chosen

TAKEN = {
    "form": baseline.FORM,
    "software": "0",
    "files": {"gateway/x.py": "aa", "drivers/y.py": "bb"},
    "libraries": {"z": "1"},
    "units": {},
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(baseline, "installed", lambda line, units=(): TAKEN)
    monkeypatch.setattr("gateway.runtime.baseline_watch.installed", lambda line: TAKEN)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    folder = production_line(tmp_path / "line", PLC)
    accepts(folder, "security:press-plc")
    return Desk(folder)


def codes(found: Chosen) -> list[str]:
    return [event["code"] for event in found.findings]


@pytest.mark.urs("URS-CFG-02")
async def test_production_without_a_version_in_force_is_refused_with_the_commands_that_are_needed(desk: Desk) -> None:
    for done in (desk.proposed, lambda: desk.register.decide("approve", 1, actor("qa"), meaning="approved")):
        with pytest.raises(config.ConfigError, match=r"config propose LINE.*config approve LINE 1.*config activate LINE 1"):
            chosen(desk.folder)
        await done()
    with pytest.raises(config.ConfigError, match="no version of this line was approved yet"):
        chosen(desk.folder)
    await desk.register.activate(1, actor("engineer"), emergency=False)
    found = chosen(desk.folder)
    assert (found.controlled, found.registered.version, codes(found)) == (True, 1, [])
    assert found.registered.stated["approved_by"].startswith("Quentin Abel")


@pytest.mark.urs("URS-CFG-02")
async def test_versions_that_are_gone_although_the_journal_knows_of_them_are_no_first_version(desk: Desk) -> None:
    await desk.in_force()
    journal = opened(desk.around.data, desk.around.gateway)
    newest = desk.register.book().last
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event)], watermark=("gateway", {"acts": newest}), urgent=True).result()
    journal.close()
    shutil.rmtree(desk.around.data / "changes")
    with pytest.raises(config.ConfigError, match=f"the journal knows one .{newest[:16]}. that is not there") as told:
        chosen(desk.folder)
    assert "config propose" not in str(told.value), "a list that begins anew would hide what is gone"
    elsewhere = desk.elsewhere(known=lambda: known_act(desk.around.data))
    assert "that is not there" in elsewhere.described()["wrong"]
    with pytest.raises(NotAllowed, match="that is not there"):
        await elsewhere.propose(actor("engineer"), change_no="CC-8", author=None)


EDITS: dict[str, Callable[[Desk], object]] = {
    "other content": lambda desk: desk.edit("line.toml", "rate_ms = 200", "rate_ms = 250"),
    "no production any more": lambda desk: desk.edit("line.toml", 'environment = "production"', 'environment = "development"'),
    "errors": lambda desk: desk.edit("line.toml", "rate_ms = 200", "rate_ms = fast"),
    "an acceptance that is taken out": lambda desk: (desk.folder / "dispositions.csv").unlink(),
    "a file too many": lambda desk: (desk.folder / "codes.csv").write_text("table,version,code,text\nt,1,1,On\n"),
    "no line.toml": lambda desk: (desk.folder / "line.toml").unlink(),
    "another folder for the journal": lambda desk: desk.edit("line.toml", "[users]", '[buffer]\ndirectory = "elsewhere"\n[users]'),
}


@pytest.mark.bar("S01", "S18")
@pytest.mark.urs("URS-CFG-02", "URS-OPS-05")
@pytest.mark.parametrize("edited", EDITS)
async def test_whatever_the_folder_holds_the_version_in_force_runs_on_as_it_was_frozen(desk: Desk, edited: str) -> None:
    await desk.in_force()
    held = config.load(desk.folder)
    EDITS[edited](desk)
    found = chosen(desk.folder)
    assert (found.line.files, found.line.sha256, found.line.data) == (held.files, held.sha256, held.data)
    assert (found.registered.version, codes(found)) == (1, ["config-not-approved"])
    assert "version 1, which is in force, runs on" in found.findings[0]["text"]


@pytest.mark.urs("URS-CFG-02")
async def test_versions_that_another_folder_shows_are_not_taken_before_those_of_the_service(
    desk: Desk, tmp_path: Path, monkeypatch
) -> None:
    await desk.in_force()
    other = Desk(production_line(tmp_path / "other", '[buffer]\ndirectory = "elsewhere"\n'))
    await other.in_force()
    shutil.copytree(other.folder / "elsewhere", desk.folder / "elsewhere")
    shutil.copy(other.folder / "line.toml", desk.folder / "line.toml")
    monkeypatch.setenv("STATE_DIRECTORY", f"{desk.around.data}:/nowhere")
    found = chosen(desk.folder)
    assert (found.line.data, codes(found)) == (desk.around.data, ["config-not-approved"])


@pytest.mark.urs("URS-CFG-01", "URS-CFG-07")
async def test_a_line_that_is_no_production_runs_its_folder_and_names_the_version_if_it_is_the_same(tmp_path: Path, desk: Desk) -> None:
    folder = production_line(tmp_path / "validation")
    toml = folder / "line.toml"
    toml.write_text(toml.read_text().replace('environment = "production"', 'environment = "validation"'))
    bench = Desk(folder)
    assert (chosen(folder).controlled, chosen(folder).registered.version) == (False, None)
    await bench.in_force()
    assert (chosen(folder).controlled, chosen(folder).registered.version) == (False, 1)
    bench.edit("line.toml", "rate_ms = 200", "rate_ms = 250")
    assert (chosen(folder).registered.version, chosen(folder).registered.given, codes(chosen(folder))) == (None, 1, [])
    bench.edit("line.toml", 'environment = "validation"', 'environment = "production"')
    assert chosen(folder).controlled, "it goes live when a version for production is in force, and not before"
    assert chosen(folder).line.line.environment == "validation"


@pytest.mark.urs("URS-CFG-04")
async def test_an_emergency_is_said_at_each_start_until_it_is_approved_afterwards(desk: Desk) -> None:
    await desk.in_force()
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 250")
    number = await desk.proposed()
    await desk.register.activate(number, actor("engineer"), emergency=True)
    found = chosen(desk.folder)
    assert (codes(found), found.registered.stated["emergency"], found.registered.stated["approved_by"]) == (
        ["config-emergency"],
        True,
        None,
    )
    await desk.register.roll_back(1, actor("engineer"), emergency=False)
    assert codes(chosen(desk.folder)) == ["config-not-approved", "config-emergency"], "it is owed although another one has taken its place"
    await desk.register.decide("approve", number, actor("qa"), meaning="assessed afterwards")
    assert codes(chosen(desk.folder)) == ["config-not-approved"]


@pytest.mark.urs("URS-CFG-02")
async def test_a_frozen_content_that_was_changed_is_not_run_but_the_same_content_in_the_folder_is(desk: Desk) -> None:
    await desk.in_force()
    place = desk.around.data / "changes" / "content" / config.load(desk.folder).sha256 / "line.toml"
    place.write_text(place.read_text().replace("rate_ms = 200", "rate_ms = 900"))
    assert (chosen(desk.folder).line.sha256, codes(chosen(desk.folder))) == (place.parent.name, ["config-store-damaged"])
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 250")
    with pytest.raises(config.ConfigError, match="was changed: it has not the digest that was signed"):
        chosen(desk.folder)


@pytest.mark.urs("URS-CFG-06")
async def test_each_file_that_is_not_as_it_was_approved_is_named_and_so_is_the_end_of_it(desk: Desk, monkeypatch) -> None:
    await desk.in_force()
    told: list[Any] = []
    watch = BaselineWatch(chosen(desk.folder), desk.folder, told.append)
    assert watch.found() == []
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 250")
    now = {**TAKEN, "files": {"gateway/x.py": "ab", "gateway/new.py": "cc"}, "units": {"/etc/systemd/system/ebr-gateway@.service": "dd"}}
    monkeypatch.setattr("gateway.runtime.baseline_watch.installed", lambda line: now)
    found = watch.found()
    assert found == [
        "line.toml of the line folder",
        "drivers/y.py is gone",
        "gateway/new.py was added",
        "gateway/x.py was changed",
        "/etc/systemd/system/ebr-gateway@.service was added",
    ]
    watch._tell(found)
    watch._tell(found)
    watch._tell([])
    assert [(event["code"], event["severity"]) for event in told] == [("baseline-differs", "alarm"), ("baseline-same", "info")]
    assert told[0]["evidence"]["files"] == found


@pytest.mark.urs("URS-CFG-06")
def test_what_is_installed_is_every_file_of_the_program_and_its_unit(tmp_path: Path) -> None:
    (tmp_path / "ebr-gateway@press.service.d").mkdir()
    for name in ("ebr-gateway@.service", "ebr-gateway@press.service.d/limits.conf"):
        (tmp_path / name).write_text(name)
    (tmp_path / "ebr-gateway@other.service.d").mkdir()
    (tmp_path / "ebr-gateway@other.service.d" / "limits.conf").write_text("of another line")
    taken = baseline.installed("press", (tmp_path,))
    assert {"gateway/changes/baseline.py", "config/loading.py", "gateway/alarms/codes.csv", "drivers/contract.py"} <= set(taken["files"])
    assert not any(name.endswith(".pyc") for name in taken["files"])
    assert sorted(taken["units"]) == [str(tmp_path / "ebr-gateway@.service"), str(tmp_path / "ebr-gateway@press.service.d" / "limits.conf")]
    assert "pydantic" in taken["libraries"]


@pytest.mark.urs("URS-CFG-05", "URS-OPS-01")
async def test_a_restored_line_runs_the_version_that_was_in_force_when_the_backup_was_made(desk: Desk, tmp_path: Path) -> None:
    await desk.in_force()
    journal = opened(desk.around.data, desk.around.gateway)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event)], urgent=True).result()
    journal.close()
    backup(desk.around.data, tmp_path / "copy")
    held = chosen(desk.folder)
    shutil.rmtree(desk.around.data)
    with pytest.raises(config.ConfigError, match="no version of this line was approved yet"):
        chosen(desk.folder)
    restore(tmp_path / "copy", desk.around.data)
    found = chosen(desk.folder)
    assert (found.line.sha256, found.registered, codes(found)) == (held.line.sha256, held.registered, [])
    assert {path.stat().st_mode & 0o077 for path in (desk.around.data / "changes").rglob("*")} == {0}
