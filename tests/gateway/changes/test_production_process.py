"""A line in production as people run it: approved before its first start, edited, changed, damaged, and taken back; it always goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from kit.commands import called
from kit.drop_line import dropped
from kit.persons import five, options, password, says
from kit.processes import running, until
from kit.production_line import PLC, accepts, production_line

from buffer import read_journal
from buffer.entry import parse
from buffer.times import now_ticks
from gateway.access import passwords, users
from gateway.access.store import NAME, write
from gateway.operation.control import ask, tell

FIRST = "no version of this line was approved yet"
EDITS = {"rate": ("rate_ms = 200", "rate_ms = 250"), "back": ("rate_ms = 250", "rate_ms = 200")}


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "line.toml").read_text()
    assert old in text
    (folder / "line.toml").write_text(text.replace(old, new, 1))


def stored(folder: Path) -> list[dict[str, Any]]:
    """Every entry of the journal in the folder `data`, whatever line.toml says meanwhile."""
    return [json.loads(entry.payload) for entry in read_journal(folder / "data")]


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [entry["event"] for entry in stored(folder) if entry.get("event", {}).get("type") == kind]


def codes(folder: Path) -> list[str]:
    return [event["code"] for event in events(folder, "finding")]


def versions(folder: Path) -> list[tuple[int, str | None]]:
    return [(event["version"], event.get("state")) for event in events(folder, "config")]


def approved_while_it_stands(folder: Path, at: Path, number: str = "1") -> None:
    """Propose, approve and put into force what the folder holds, by the command line, while no gateway runs."""
    engineer, qa = options("engineer", at), options("qa", at)
    told = called("config", "propose", folder, "--change-no", "CC-1", "--reason", "first version of the line", *engineer)
    assert told.returncode == 0, told.stderr
    assert called("config", "approve", folder, number, "--meaning", "approved for production", *qa).returncode == 0
    assert called("config", "activate", folder, number, *engineer).returncode == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A production line with an old controller that QA accepts; two people of QA, whose passwords cost little."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    line = production_line(tmp_path / "line", PLC)
    accepts(line, "security:press-plc")
    (line / "data").mkdir(mode=0o700)
    now = now_ticks()
    everybody = users.added(five(now), "quality", "Paula Second", "qa", password("quality"), "os:root", now)
    everybody = everybody.put(everybody.named("quality").model_copy(update={"must_change": False}))
    write(line / "data" / NAME, everybody.model_dump_json().encode())
    return line


@pytest.mark.urs("URS-CFG-01", "URS-CFG-02", "URS-CFG-05", "URS-SEC-01", "URS-SEC-03")
def test_a_line_is_approved_runs_is_changed_by_two_people_and_goes_back(folder: Path, tmp_path: Path) -> None:
    refused = called("run", folder)
    assert refused.returncode == 2
    assert FIRST in refused.stderr
    assert "this is no version yet: `ebr-gateway config propose`" in called("check", folder).stdout
    approved_while_it_stands(folder, tmp_path)
    data = folder / "data"
    with running(folder) as gateway:
        (begun,) = [event for event in events(folder, "config") if event["version"] == 1]
        assert (begun["state"], begun["author"], begun["change_no"]) == ("active", "engineer", "CC-1")
        assert begun["approved_by"].startswith("Quentin Abel (qa, qa), ")
        assert len(begun["signatures"]) == 1
        assert {tuple(entry.get("exceptions", ())) for entry in stored(folder)} == {("security:press-plc",)}
        acts = [event for event in events(folder, "audit") if event["action"].startswith("config-")]
        assert [(act["action"], act["who"]["user"], act["what"]["gateway_ran"]) for act in acts] == [
            ("config-propose", "engineer", False),
            ("config-approve", "qa", False),
            ("config-activate", "engineer", False),
        ]
        assert acts[0]["what"]["impact"] == begun["impact_ref"]

        assert "this is version 1, active" in called("check", folder).stdout
        edit(folder, *EDITS["rate"])
        asked = {**says("engineer"), "change_no": "CC-2", "author": "qa"}
        assert tell(data, "config-propose", **asked)["version"] == 2
        own = tell(data, "config-approve", **says("qa"), version="2", meaning="it is mine")
        assert "somebody else decides" in own["error"]
        assert tell(data, "config-approve", **says("engineer"), version="2", meaning="mine as well")["refused"] == "role"
        assert "qa approves it first" in tell(data, "config-activate", **says("engineer", None), version="2")["error"]
        refusals = [event["what"] for event in events(folder, "audit") if event["action"] == "refused"]
        assert [(what["command"], what["cause"]) for what in refusals] == [("config-approve", "own-hand"), ("config-approve", "role")]
        assert tell(data, "config-approve", **says("quality"), version="2", meaning="approved for production")["state"] == "approved"
        assert tell(data, "config-activate", **says("engineer", None), version="2")["runs"] is True
        until(lambda: (2, "active") in versions(folder))
        assert gateway.poll() is None, "it goes over without leaving"
        until(lambda: _answers(data))
        dropped(folder, "a.csv", S1="1.25")
        until(lambda: [entry for entry in stored(folder) if "readings" in entry and entry["config"]["version"] == 2])

        assert tell(data, "config-rollback", **says("engineer"), version="1")["version"] == 3
        until(lambda: (3, "active") in versions(folder))
        until(lambda: _answers(data))
        (back,) = [event for event in events(folder, "config") if event["version"] == 3]
        assert (back["rollback_of"], back["sha256"]) == (1, begun["sha256"])
        assert back["approved_by"] == begun["approved_by"]
        assert until(lambda: "config-not-approved" in codes(folder)), "the folder still holds version 2"
        assert any("config-not-approved" in problem for problem in ask(data)["problems"])
    assert called("verify", folder).returncode == 0, called("verify", folder).stdout
    for held in read_journal(data):
        parse(held.payload)
    listed = json.loads(called("config", "history", folder, "--json").stdout)
    assert [(row["version"], row["state"]) for row in listed["versions"]] == [(1, "superseded"), (2, "superseded"), (3, "active")]


def _answers(data: Path) -> bool:
    try:
        return bool(ask(data))
    except Exception:  # noqa: BLE001 - it is going over
        return False


@pytest.mark.urs("URS-CFG-02", "URS-CFG-06", "URS-OPS-05")
def test_a_folder_with_errors_stops_nothing_and_a_list_that_was_cut_off_is_seen(folder: Path, tmp_path: Path) -> None:
    approved_while_it_stands(folder, tmp_path)
    with running(folder):
        until(lambda: _answers(folder / "data"))
    edit(folder, "rate_ms = 200", "rate_ms = fast")
    acts = folder / "data" / "changes" / "acts.jsonl"
    with running(folder):
        until(lambda: {"config-not-approved", "baseline-differs"} <= set(codes(folder)))
        (told,) = [event["text"] for event in events(folder, "finding") if event["code"] == "config-not-approved"]
        assert told.startswith("the folder has errors: line.toml:")
        assert {(entry["config"]["version"], entry["environment"]) for entry in stored(folder)} == {(1, "production")}
        edit(folder, "rate_ms = fast", "rate_ms = 300")
        whole = acts.read_bytes()
        acts.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
        refused = tell(folder / "data", "config-propose", **says("engineer"), change_no="CC-2")
        assert "acts on the versions of this line are missing" in refused["error"]
    listed = called("config", "history", folder)
    assert (listed.returncode, "acts on the versions of this line are missing" in listed.stdout) == (1, True), (
        "known without a gateway, too"
    )
    acts.write_bytes(whole)
    assert called("config", "history", folder).returncode == 0
    (folder / "data" / "journal.db").unlink()
    propose = ("config", "propose", folder, "--change-no", "CC-2", "--reason", "the journal is gone")
    assert called(*propose, *options("engineer", tmp_path)).returncode == 0
    assert called("config", "approve", folder, "2", "--meaning", "approved for production", *options("qa", tmp_path)).returncode == 0
    ended = called("config", "activate", folder, "2", *options("engineer", tmp_path))
    assert "which batches are open can not be known" in ended.stderr, "a journal that is gone proves no batch to be over"
