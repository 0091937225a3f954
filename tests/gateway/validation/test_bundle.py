"""The folder of evidence: nothing of it can be changed, taken away or added without `qualify verify` saying so."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import running

from gateway.documents import NotADocument
from gateway.validation.bundle import Bundle, document_of, problems


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = drop_line(tmp_path_factory.mktemp("qualified") / "line")
    people(folder / "data")
    with running(folder):
        yield folder


@pytest.fixture(scope="module")
def qualified(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qualification of a line on a machine of a developer, signed by two: it does not pass, and says so."""
    base = tmp_path_factory.mktemp("evidence")
    told = called("qualify", "iq", line, "--to", base / "iq", *options("engineer", base))
    assert told.returncode == 1, told.stderr
    assert "failed: software-files" in told.stdout
    for user, meaning in (("engineer", "executed"), ("qa", "reviewed")):
        signed = called("qualify", "sign", line, base / "iq", "--meaning", meaning, *options(user, base))
        assert signed.returncode == 0, signed.stderr
    return base / "iq"


@pytest.mark.urs("URS-VAL-03", "URS-VAL-07")
def test_a_qualification_of_a_running_line_is_in_its_journal_signed_and_verifies(line: Path, qualified: Path) -> None:
    document = document_of(qualified)
    assert document["result"] == "finding"
    assert document["made_by"]["name"] == "Edda Bauer"
    told = [event for event in events(line, "document") if event["sha256"] == document["sha256"]]
    assert [len(event["signatures"]) for event in told] == [0, 1, 2]
    good = called("qualify", "verify", qualified, "--key", line / "data" / "checkpoint-key.pub")
    assert good.returncode == 0, good.stdout
    assert called("qualify", "verify", qualified).returncode == 1, "without the key nothing is proved"
    shown = called("qualify", "show", qualified)
    assert (shown.returncode, "result: finding" in shown.stdout) == (1, True)
    page = (qualified / "document.html").read_text()
    for said in ("PROVISIONAL", "Quentin Abel", "reviewed", "URS-SEC-07", "not checked"):
        assert said in page, said
    assert (qualified / "document.pdf").read_bytes().startswith(b"%PDF-1.7")


@pytest.mark.urs("URS-VAL-07")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "evidence" / "check.txt").write_text("clean\n\n"), "evidence/check.txt was changed"),
        (lambda folder: (folder / "evidence" / "host.json").unlink(), "evidence/host.json is gone"),
        (lambda folder: (folder / "evidence" / "more.txt").write_text("x"), "evidence/more.txt was added"),
        (lambda folder: (folder / "SHA256SUMS").write_text(""), "SHA256SUMS is not that of the document"),
    ],
)
def test_evidence_that_was_changed_is_named_and_nothing_more_is_signed(
    line: Path, qualified: Path, tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:

    copy = Path(shutil.copytree(qualified, tmp_path / "copy"))
    spoil(copy)
    told = called("qualify", "verify", copy, "--key", line / "data" / "checkpoint-key.pub")
    assert (told.returncode, says in told.stdout) == (1, True), told.stdout
    refused = called("qualify", "sign", line, copy, "--meaning", "approved", *options("qa", tmp_path))
    assert (refused.returncode, says in refused.stderr) == (1, True)


def test_a_verdict_that_was_changed_is_no_document_any_more(qualified: Path, tmp_path: Path) -> None:
    text = (qualified / "document.json").read_text()
    (tmp_path / "document.json").write_text(text.replace('"failed"', '"passed"'))
    told = called("qualify", "show", tmp_path)
    assert (told.returncode, "was changed" in told.stderr) == (1, True)


def test_a_folder_with_something_in_it_is_not_written_over(line: Path, qualified: Path) -> None:
    told = called("qualify", "iq", line, "--to", qualified)
    assert (told.returncode, "is not empty" in told.stderr) == (2, True)


def test_evidence_has_no_name_that_leads_out_of_its_folder_and_is_written_once(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "b")
    with pytest.raises(ValueError, match="no name"):
        bundle.keep("../document.json", b"x")
    bundle.keep("a/b.txt", b"x")
    with pytest.raises(FileExistsError):
        bundle.keep("a/b.txt", b"y")
    assert list(bundle.facts()) == ["evidence/a/b.txt"]
    with pytest.raises(NotADocument):
        problems(tmp_path / "b", {"facts": {}})
