"""The review of an audit trail: every item judged, by nobody who did one of them, signed, and asked for at a release."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.audited_journal import STORY, audited_line
from kit.commands import called
from kit.drop_line import events
from kit.persons import options, password, people, says
from kit.processes import running

from buffer import Journal
from gateway.access.signatures import problem
from gateway.operation.control import tell

NO_CONTENT = {"type", "part", "of", "sliced", "sha256", "signatures", "who", "where", "site_zone"}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Path]:
    story = [event for event in STORY if event["type"] != "config" and event.get("action") != "release-hold"]
    folder = audited_line(tmp_path / "line", story, readings=False)
    people(folder / "data")
    journal = Journal.open(folder / "data", "lyon/test-1", retain_s=1e9, max_bytes=1 << 30)
    journal.holds.keep("B1", 1)
    journal.holds.keep("B2", 1)
    journal.close()
    with running(folder):
        yield folder


def form(line: Path, folder: Path, *scope: str) -> tuple[Path, dict[str, Any]]:
    file = folder / "review.json"
    told = called("audit", "review", line, *scope, "--write", file)
    assert told.returncode == 0, told.stderr
    return file, json.loads(file.read_text())


def signed(line: Path, file: Path, told: dict[str, Any], user: str, folder: Path) -> Any:
    file.write_text(json.dumps(told))
    return called("audit", "review", line, "--read", file, *options(user, folder))


@pytest.mark.urs("URS-AUD-07", "URS-AUD-01")
def test_a_batch_is_released_only_after_its_review_and_the_review_is_whole_signed_and_somebody_elses(line: Path, tmp_path: Path) -> None:
    release = {"batch": "B1", **says("qa")}
    assert "was not reviewed: ebr-gateway audit review" in tell(line / "data", "release-hold", **release)["error"]
    file, told = form(line, tmp_path, "--batch", "B1")
    assert [item["what"].split(":")[0] for item in told["items"]] == [
        *("alarm-acknowledged", "clock step", "quarantine-disposed", "step revised", "source-row-changed"),
    ]
    assert called("audit", "review", line, "--batch", "B1", "--write", file).returncode == 3, "a form that is filled in is not written over"
    answer = signed(line, file, told, "qa", tmp_path)
    assert (answer.returncode, "has no verdict" in answer.stderr) == (2, True)
    for item in told["items"]:
        item["verdict"] = "accepted"
    told["items"][-1]["verdict"] = "questioned"
    assert "say why, in at least 10" in signed(line, file, told, "qa", tmp_path).stderr
    told["items"][-1]["comment"] = "who changed the order? see CC-19"
    assert "audit review is for qa" in signed(line, file, told, "engineer", tmp_path).stderr
    left_out = {**told, "items": told["items"][1:]}
    assert "has no verdict" in signed(line, file, left_out, "qa", tmp_path).stderr
    added = {**told, "items": [*told["items"], {**told["items"][0], "seq": 99_999}]}
    assert "is not among what is to be reviewed" in signed(line, file, added, "qa", tmp_path).stderr
    named = {name: told[name] for name in ("batch", "through")}
    before_all: dict[str, Any]
    for before_all in (
        {**named, "through": [told["through"][0], 0]},
        {**named, "from": "2099-01-01T00:00:00Z"},
        {**named, "to": "1999-01-01T00:00:00Z"},
    ):
        answered = tell(line / "data", "audit-review", **before_all, verdicts=[], **says("qa", None))
        assert "has no verdict" in answered["error"] or "not both" in answered["error"], "a part of a batch's trail is not the batch's"
    twice = {**told, "items": [{**told["items"][-1], "verdict": "accepted"}, *told["items"]]}
    assert "each entry once" in signed(line, file, twice, "qa", tmp_path).stderr
    acting = {**told, "items": [{**item, "comment": "seen\x1b[2J\nand accepted"} for item in told["items"]]}
    assert "one line of printable" in signed(line, file, acting, "qa", tmp_path).stderr
    unnamed = tell(line / "data", "audit-review", **named, verdicts=[{"epoch": [1], "seq": {}}], **says("qa", None))
    assert "each verdict names one entry" in unnamed["error"]
    answer = signed(line, file, told, "qa", tmp_path)
    assert (answer.returncode, answer.stderr) == (1, ""), "1: something is questioned"
    assert "5 items, 1 questioned" in answer.stdout
    (document,) = events(line, "document")
    assert (document["batch"], document["scope"]["batch_had_ended"], len(document["deviations"])) == ("B1", True, 1)
    assert document["items"][-1]["comment"] == "who changed the order? see CC-19"
    assert document["not_reviewed"]["count"] == 1
    content = {name: value for name, value in document.items() if name not in NO_CONTENT}
    public = (line / "data" / "checkpoint-key.pub").read_text().split()[-1]
    (signature,) = document["signatures"]
    assert problem(signature, content, public) is None
    assert problem(signature, {**content, "deviations": []}, public) is not None
    assert (signature["name"], signature["meaning"], signature["over"]) == ("Quentin Abel", "audit trail reviewed", document["sha256"])
    assert "error" not in tell(line / "data", "release-hold", **release)
    (released,) = [event for event in events(line, "audit") if event["action"] == "release-hold"]
    assert released["what"]["audit_trail_review"] == document["id"]
    rows = json.loads(called("audit", "list", line, "--type", "document", "--format", "json").stdout)
    assert [(row["what"], row["name"], row["batches"]) for row in rows] == [("audit-trail-review", "Quentin Abel", ["B1"])]


@pytest.mark.urs("URS-AUD-07")
def test_who_did_one_of_the_items_does_not_review_them_also_not_past_the_command_line(line: Path, tmp_path: Path) -> None:
    assert "error" not in tell(
        line / "data", "users-add", user="qa2", name="Paula Zweite", role="qa", new_password=password("qa2"), **says("admin")
    )
    fresh: dict[str, Any] = {"as_user": "qa2", "password": password("qa2")}
    tell(line / "data", "users-password", new_password="copper lantern 12", **fresh)
    assert "error" not in tell(line / "data", "release-hold", batch="B2", without_review=True, **says("qa"))
    _, told = form(line, tmp_path, "--from", "2026-11-22T08:00")
    own = [item for item in told["items"] if item["user"] == "qa"]
    assert own, "the release"
    verdicts = [{"epoch": item["epoch"], "seq": item["seq"], "verdict": "accepted", "comment": ""} for item in told["items"]]
    asked = {"from": told["from"], "through": told["through"], "verdicts": verdicts}
    assert "qa's own doing" in tell(line / "data", "audit-review", **asked, **says("qa", None))["error"]
    fewer = {**asked, "verdicts": [one for one in verdicts if (one["epoch"], one["seq"]) != (own[0]["epoch"], own[0]["seq"])]}
    assert "qa's own doing" in tell(line / "data", "audit-review", **fewer, **says("qa", None))["error"]
    assert "password with this very command" not in str(
        tell(line / "data", "audit-review", **asked, as_user="qa2", password="copper lantern 12")
    )
    wrong: dict[str, Any]
    for wrong in ({**asked, "verdicts": "all"}, {**asked, "through": "x"}, {**asked, "from": "soon"}, {"verdicts": []}):
        assert "error" in tell(line / "data", "audit-review", **wrong, as_user="qa2", password="copper lantern 12")
    assert [event["who"]["user"] for event in events(line, "document")] == ["qa2"]


@pytest.mark.urs("URS-AUD-07")
def test_a_release_without_a_review_says_so_in_the_record(line: Path, tmp_path: Path) -> None:
    his = options("qa", tmp_path)
    assert "no batch B7 is held" in tell(line / "data", "release-hold", batch="B7", without_review=True, **says("qa"))["error"]
    assert called("release-hold", line, "--batch", "B2", "--reason", "rejected, see dev-31", *his).returncode == 2
    told = called("release-hold", line, "--batch", "B2", "--reason", "rejected, see dev-31", "--without-review", *his)
    assert (told.returncode, told.stdout) == (0, "B2: released\n"), told.stderr
    released = [event for event in events(line, "audit") if event["action"] == "release-hold"][-1]
    assert released["what"] == {"batch": "B2", "audit_trail_review": None}
