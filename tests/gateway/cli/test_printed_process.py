"""What persons answer for, as documents: audit trail, its review, alarms, access, versions; each recorded, and the PDF read back."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.audited_journal import STORY, audited_line
from kit.commands import called
from kit.drop_line import events
from kit.persons import options, people
from kit.processes import running, until

from gateway.documents import read
from gateway.operation import drafts

PDF = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
WHY = ("--reason", "pilot of the second shift")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    story = [event for event in STORY if event["type"] != "config" and event.get("action") != "release-hold"]
    folder = audited_line(tmp_path_factory.mktemp("printed") / "line", story, readings=False)
    people(folder / "data")
    with running(folder):
        yield folder


def made(line: Path, folder: Path, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Make a document by a command; it, and the text of its PDF."""
    told = called(*words[:2], line, *words[2:], "--into", folder, *options("qa", folder))
    assert told.returncode == code, told.stderr
    (file,) = folder.glob("*.json")
    return read(file), " ".join(
        subprocess.run(["pdftotext", "-layout", file.with_suffix(".pdf"), "-"], capture_output=True, check=True, text=True).stdout.split()
    )


def recorded(line: Path, document: dict[str, Any]) -> bool:
    return [event["who"]["user"] for event in events(line, "document") if event["sha256"] == document["sha256"]] == ["qa"]


@PDF
@pytest.mark.urs("URS-AUD-08", "URS-AUD-02")
@pytest.mark.parametrize("words", [("list", "--format", "pdf"), ("export",)], ids=["list", "export"])
def test_the_audit_trail_as_a_document_has_every_row_that_the_list_has(line: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    listed = json.loads(called("audit", "list", line, "--batch", "B1", "--format", "json").stdout)
    document, text = made(line, tmp_path, "audit", words[0], *words[1:], "--batch", "B1")
    assert [row[-1] for row in document["body"][1]["rows"]] == [f"{row['epoch']}/{row['seq']}" for row in listed]
    assert (document["batch"], document["facts"]["rows"], recorded(line, document)) == ("B1", len(listed), True)
    for part in ("Audit trail", "alarm-acknowledged", "Quentin Abel", "Made by", "Why"):
        assert part in text, part
    refused = called("audit", words[0], line, *words[1:])
    assert (refused.returncode, "--into DIR" in refused.stderr) == (2, True)


@PDF
@pytest.mark.urs("URS-OBS-03")
def test_the_history_of_alarms_as_a_document_marks_what_nobody_acknowledged(line: Path, tmp_path: Path) -> None:
    (line / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
    until(lambda: json.loads(called("alarms", "history", line, "--format", "json").stdout))
    document, text = made(line, tmp_path, "alarms", "history", "--format", "pdf")
    rows = json.loads(called("alarms", "history", line, "--format", "json").stdout)
    assert document["body"][1]["marked"] == [place for place, row in enumerate(rows) if not row["acknowledged"]]
    assert document["facts"]["alarms"] == len(document["body"][1]["rows"]) > 0
    assert "History of alarms" in text
    assert recorded(line, document)


@PDF
@pytest.mark.urs("URS-SEC-01")
def test_the_access_report_as_a_document_has_every_user_and_what_each_role_may_do(line: Path, tmp_path: Path) -> None:
    document, text = made(line, tmp_path, "users", "report", "--format", "pdf")
    assert [row[0] for row in document["body"][1]["rows"]] == [
        f"{one['name']} ({one['user']})" for one in json.loads(called("users", "report", line, "--format", "json").stdout)["users"]
    ]
    assert "release-hold" in text
    assert recorded(line, document)


@PDF
@pytest.mark.urs("URS-AUD-07")
def test_a_review_is_listed_with_its_signature_and_printed_and_one_that_was_changed_does_not_hold(line: Path, tmp_path: Path) -> None:
    none = called("audit", "reviews", line, "--batch", "B1")
    assert (none.returncode, none.stdout) == (1, "nobody has reviewed the audit trail of batch B1\n")
    unknown = called("audit", "reviews", line, "--batch", "B9")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (1, "", "the journal holds no batch B9\n")
    form = tmp_path / "review.form"
    called("audit", "review", line, "--batch", "B1", "--write", form)
    told = json.loads(form.read_text())
    for item in told["items"]:
        item |= {"verdict": "accepted"}
    form.write_text(json.dumps(told))
    assert called("audit", "review", line, "--read", form, *options("qa", tmp_path)).returncode == 0
    listed = called("audit", "reviews", line, "--batch", "B1")
    assert (listed.returncode, "audit trail reviewed: Quentin Abel (qa, qa); the signature holds" in listed.stdout) == (0, True)
    document, text = made(line, tmp_path, "audit", "reviews", "--batch", "B1")
    (event,) = [event for event in events(line, "document") if event["document"] == "audit-trail-review"]
    assert document["facts"] == {"review": event["id"], "sha256": event["sha256"], "deviations": [], "signature_holds": True}
    assert len(document["body"][1]["rows"]) == len(told["items"])
    assert "This is a print." in text
    changed = {**event, "items": [{**item, "comment": "seen later"} for item in event["items"]]}
    assert drafts.of_review(changed, "1/1", "is over something else")["result"] == "finding"


@PDF
@pytest.mark.urs("URS-CFG-03", "URS-CFG-02", "URS-MAP-03")
def test_an_impact_assessment_is_an_entry_with_its_document_and_a_version_shows_its_gaps_and_who_accepted_them(
    line: Path, tmp_path: Path
) -> None:
    proposed = called("config", "propose", line, "--change-no", "CC-7", *WHY, *options("engineer", tmp_path))
    assert proposed.returncode == 0, proposed.stderr
    version = proposed.stdout.split()[1].rstrip(":")
    (event,) = [event for event in events(line, "document") if event["document"] == "impact-assessment"]
    assert f"document {event['id']}, sha256 {event['sha256']}" in proposed.stdout
    assert event["who"]["user"] == "engineer"
    assert called("config", "impact", line, version, "--into", tmp_path / "a").returncode == 0
    document = read(next((tmp_path / "a").glob("*.json")))
    (act,) = [event for event in events(line, "audit") if event["action"] == "config-propose"]
    assert (document["sha256"], document["facts"]["impact"]) == (event["sha256"], act["what"]["impact"])
    assert called("config", "approve", line, version, "--meaning", "approved for the pilot", *options("qa", tmp_path)).returncode == 0
    shown, text = made(line, tmp_path, "config", "show", version)
    assert [row[0] for row in shown["body"][2]["rows"]] == ["propose", "approve"]
    assert "Quentin Abel" in text
    assert recorded(line, shown)
