"""A deviation is disposed of by a person who did not make the run, as a document of its own; the run stays byte for byte as it was."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import REASON, options, people
from kit.processes import running

from gateway.documents.deviations import deviations_of, standing

IMPACT = "no record rests on it: the copies lie elsewhere"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line that ran and was stopped: its persons act without a gateway, and the next start takes in what they did."""
    folder = drop_line(tmp_path_factory.mktemp("disposed") / "line")
    people(folder / "data")
    with running(folder):
        pass
    return folder


def run(line: Path, to: Path, *more: str) -> Path:
    """A verification with two deviations: there is no backup, and no store of the EBR where it was looked for."""
    told = called("verification", "run", line, "--to", to, "--ebr", to.parent / "nowhere", *more)
    assert told.returncode == 1, told.stderr
    return to


@pytest.fixture
def made(line: Path, tmp_path: Path) -> Path:
    return run(line, tmp_path / "v", "--plan", "VP-7", *options("engineer", tmp_path))


def dispose(line: Path, folder: Path, user: str, no: int, disposition: str = "accept", **more: str) -> Any:
    given = {"impact": IMPACT, "reason": REASON, **more}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return called("qualify", "dispose", line, folder, "--no", str(no), "--disposition", disposition, *words, *options(user, folder.parent))


def sums(folder: Path) -> dict[str, str]:
    kept = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "dispositions"]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in kept}


def verified(line: Path, folder: Path) -> Any:
    return called("qualify", "verify", folder, "--key", line / "data" / "checkpoint-key.pub")


@pytest.mark.urs("URS-VAL-07")
def test_a_run_whose_deviations_are_all_accepted_by_another_person_passes_with_dispositions_and_never_plainly(
    line: Path, tmp_path: Path
) -> None:
    folder = run(line, tmp_path / "v", "--plan", "VP-7", "--witness", "operator", *options("engineer", tmp_path))
    page = (folder / "document.html").read_text()
    for said in ("VP-7", "PROVISIONAL: 2 deviations", "operator, who signs it as witnessed"):
        assert said in page, said
    before = sums(folder)
    for user in ("engineer", "operator", "admin"):
        assert dispose(line, folder, user, 1).returncode == 2, user
    assert not (folder / "dispositions").exists()
    first = dispose(line, folder, "qa", 1)
    assert (first.returncode, "PROVISIONAL: 1 of 2 deviations are open: 2" in first.stdout) == (0, True), first.stdout + first.stderr
    shown = called("qualify", "show", folder)
    assert (shown.returncode, "result: not-complete" in shown.stdout) == (1, True), shown.stdout
    last = dispose(line, folder, "qa", 2)
    assert "result: passed with dispositions: 2 deviations, each accepted" in last.stdout
    shown = called("qualify", "show", folder, "--json")
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["result"], told["own_result"]) == (0, "passed-with-dispositions", "not-complete")
    assert [one["by"]["user"] for one in told["dispositions"]] == ["qa", "qa"]
    assert sums(folder) == before
    refused = verified(line, folder)
    assert (refused.returncode, "its witness operator has not signed it" in refused.stdout) == (1, True)
    for user, meaning, says in (
        ("engineer", "witnessed", "engineer executed it"),
        ("qa", "witnessed", "operator was named as its witness"),
        ("engineer", "approved", "engineer executed it"),
        ("admin", "Executed", "engineer executed it"),
    ):
        told_ = called("qualify", "sign", line, folder, "--meaning", meaning, *options(user, tmp_path))
        assert (told_.returncode, says in told_.stderr) == (2, True), told_.stderr
    for user, meaning in (("engineer", "executed"), ("operator", "witnessed"), ("qa", "approved")):
        assert called("qualify", "sign", line, folder, "--meaning", meaning, *options(user, tmp_path)).returncode == 0
    assert verified(line, folder).returncode == 0, verified(line, folder).stdout


@pytest.mark.urs("URS-VAL-07", "URS-AUD-02")
def test_each_disposition_is_in_the_journal_with_who_why_and_of_what(line: Path, made: Path) -> None:
    """By the running gateway, and by the next start of what was done without one."""
    assert dispose(line, made, "qa", 1, "reject").returncode == 0
    document = json.loads((made / "document.json").read_text())
    with running(line):
        assert dispose(line, made, "qa", 2, "retest", reason="the share was away during the run").returncode == 0
    told = [event for event in events(line, "document") if event.get("disposes", {}).get("sha256") == document["sha256"]]
    assert told.pop(0)["disposes"]["disposition"] == "reject"
    assert [(event["document"], event["result"], event["reason"]) for event in told] == [
        ("verification-disposition", "finding", "the share was away during the run")
    ]
    assert told[0]["disposes"] == {
        **{name: document[name] for name in ("document", "id", "sha256")},
        "made_at": document["made_at"]["time"],
        "result": "not-complete",
        "no": 2,
        "disposition": "retest",
        "open": 0,
    }
    assert (told[0]["who"]["user"], told[0]["signatures"][0]["meaning"]) == ("qa", "deviation 2: retest")


@pytest.mark.urs("URS-VAL-07")
def test_a_later_disposition_takes_the_place_of_the_former_and_both_are_kept(line: Path, made: Path) -> None:
    says = [dispose(line, made, "qa", no, what).stdout for no, what in ((1, "accept"), (2, "retest"), (2, "accept"), (1, "reject"))]
    results = [text.strip().splitlines()[-1] for text in says]
    assert results == [
        "result: not-complete",
        "result: not-complete",
        "result: passed with dispositions: 2 deviations, each accepted",
        "result: finding",
    ]
    assert sorted(path.name for path in (made / "dispositions").glob("*.json")) == ["001.json", "002.json", "003.json", "004.json"]
    assert called("qualify", "show", made).returncode == 1


@pytest.mark.urs("URS-VAL-07")
def test_a_disposition_that_was_changed_taken_out_or_brought_from_another_run_is_found(line: Path, made: Path, tmp_path: Path) -> None:
    called("qualify", "sign", line, made, "--meaning", "executed", *options("engineer", tmp_path))
    for no in (1, 2, 1):
        assert dispose(line, made, "qa", no).returncode == 0
    assert verified(line, made).returncode == 0
    other = run(line, tmp_path / "other", *options("engineer", tmp_path))
    shutil.copytree(made / "dispositions", other / "dispositions")
    assert "disposes of another document" in verified(line, other).stdout
    assert "disposes of another document" in dispose(line, other, "qa", 1).stderr
    gone = Path(shutil.copytree(made, tmp_path / "gone"))
    (gone / "dispositions" / "002.json").unlink()
    assert "003.json: does not follow the one before it" in verified(line, gone).stdout
    changed = Path(shutil.copytree(made, tmp_path / "changed"))
    file = changed / "dispositions" / "003.json"
    file.write_text(file.read_text().replace(IMPACT, IMPACT.upper()))
    told = verified(line, changed)
    assert (told.returncode, "was changed" in told.stderr) == (1, True), told.stdout


@pytest.mark.urs("URS-VAL-07")
def test_nothing_is_disposed_of_before_somebody_has_said_that_he_made_the_run(line: Path, tmp_path: Path) -> None:
    folder = run(line, tmp_path / "v")
    assert "nobody is known to have executed it" in dispose(line, folder, "qa", 1).stderr
    signed = called("qualify", "sign", line, folder, "--meaning", "witnessed", *options("qa", tmp_path))
    assert "nobody has executed it yet" in signed.stderr
    assert called("qualify", "sign", line, folder, "--meaning", "executed", *options("qa", tmp_path)).returncode == 0
    assert "qa executed it" in dispose(line, folder, "qa", 1).stderr
    assert "no deviation 9; there are 2" in dispose(line, run(line, tmp_path / "w", *options("engineer", tmp_path)), "qa", 9).stderr


@pytest.mark.urs("URS-VAL-07")
def test_who_runs_it_can_not_be_named_as_its_witness_and_an_impact_is_words(line: Path, made: Path, tmp_path: Path) -> None:
    told = called("verification", "run", line, "--to", tmp_path / "x", "--witness", "qa", *options("qa", tmp_path))
    assert (told.returncode, (tmp_path / "x").exists()) == (2, False)
    assert "the impact:" in dispose(line, made, "qa", 1, impact="..........").stderr


@pytest.mark.parametrize(
    ("given", "comes_to"),
    [
        ({}, ("not-complete", [1, 2])),
        ({1: "accept"}, ("not-complete", [2])),
        ({1: "accept", 2: "accept"}, ("passed-with-dispositions", [])),
        ({1: "accept", 2: "retest"}, ("not-complete", [])),
        ({1: "reject", 2: "retest"}, ("finding", [])),
    ],
)
@pytest.mark.urs("URS-VAL-07")
def test_what_a_run_comes_to(given: dict[int, str], comes_to: tuple[str, list[int]]) -> None:
    checks = [{"id": str(no), "expected": "x", "found": "y", "verdict": "not checked"} for no in range(2)]
    good = [{"id": "good", "expected": "x", "found": "x", "verdict": "passed"}]
    document = {"result": "not-complete", "facts": {"deviations": deviations_of([checks[0], *good, checks[1]])}}
    newest = {"facts": {"dispositions": [{"no": no, "disposition": what} for no, what in given.items()]}}
    assert standing(document, newest if given else None) == comes_to
    assert standing({"result": "passed", "facts": {"deviations": []}}, None) == ("passed", [])
