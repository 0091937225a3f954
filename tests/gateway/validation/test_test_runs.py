"""The project's own test runs as evidence: each is added to a chain, none is replaced, and a release signs them all with its key."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kit import results
from kit.commands import called

from buffer import keys
from gateway.documents import head, unsigned, written
from gateway.validation import test_runs as runs
from gateway.validation.bundle import Bundle
from gateway.validation.test_runs import NotARecord

pytestmark = pytest.mark.urs("URS-VAL-07")
OURS, OTHERS = "a" * 64, "b" * 64


def run(content: str = OURS, *, failed: int = 0, skipped: dict[str, int] | None = None, whole: bool = True) -> dict[str, Any]:
    """What a suite writes of one test."""
    case = {"case": "tests/test_a.py::test_a", "urs": ["URS-VAL-07"], "passed": 1 - failed, "failed": failed, "skipped": skipped or {}}
    told = {
        "content": content, "commit": "c" * 40, "dirty": False, "begun": "2026-11-30T10:00:00Z", "ended": "2026-11-30T10:10:00Z",
        "tester": {"account": "builder", "host": "here", "name": "A tester"}, "python": "3.11.7", "platform": "Linux",
        "configuration": {"sha256": "d" * 64}, "whole": whole, "cases": [case],
    }  # fmt: skip
    broken = [{"case": case["case"], "description": "assert 1 == 2", "verdict": "failed"}] * failed
    return told | {"deviations": [*results.deviations(told), *broken]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for suite, content in (("test", OTHERS), ("test", OURS), ("faults", OURS), ("attacks", OURS)):
        runs.append(tmp_path / "runs", suite, run(content))
    return tmp_path / "runs"


def test_each_run_names_the_one_before_it_and_has_a_file_of_its_own(folder: Path) -> None:
    found = runs.records(folder)
    assert [(one.number, one.suite) for one in found] == [(1, "test"), (2, "test"), (3, "faults"), (4, "attacks")]
    assert [one.previous for one in found] == [None, *(one.sha256 for one in found[:-1])]


def _change(folder: Path) -> None:
    (folder / "0002.json").write_text((folder / "0002.json").read_text().replace('"failed": 0', '"failed": 1'))


def _swap(folder: Path) -> None:
    shutil.copy(folder / "0001.json", folder / "0002.json")


def _again(folder: Path) -> None:
    told = json.loads((folder / "0002.json").read_text()) | {"run": run(OURS, skipped={"better": 1})}
    (folder / "0002.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_change, "run 3 does not follow the run before it"),
        (_again, "run 3 does not follow the run before it"),
        (_swap, "is no record of a test run"),
        (lambda folder: (folder / "0002.json").unlink(), "run 2 is gone: 3 follows"),
        (lambda folder: (folder / "0001.json").unlink(), "run 1 is gone: 2 follows"),
        (lambda folder: (folder / "0002.json").write_text("{"), "is no record of a test run"),
    ],
)
def test_a_run_that_was_changed_replaced_or_taken_out_is_named_and_nothing_is_added(
    folder: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(folder)
    with pytest.raises(NotARecord, match=says):
        runs.records(folder)
    with pytest.raises(NotARecord):
        runs.append(folder, "test", run())


def test_suites_that_end_at_once_take_their_turns(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: runs.append(tmp_path, "test", run()), range(24)))
    assert len(runs.records(tmp_path)) == 24


def test_what_failed_was_skipped_or_makes_a_run_doubtful_is_a_deviation_of_it() -> None:
    told = run(skipped={"needs chromium": 2}, whole=False, failed=1)
    assert [(one["verdict"], one["description"].split(":")[0]) for one in told["deviations"]] == [
        ("not checked", "it was broken off"),
        ("not executed", "skipped 2 times"),
        ("failed", "assert 1 == 2"),
    ]


# ---- the folder of a release


def released(source: Path, to: Path, signer: keys.Signer, version: str = "1.2.3") -> dict[str, Any]:
    """Make the folder of evidence as a release does."""
    found, bundle = runs.records(source), Bundle(to)
    runs.kept(found, source, bundle)
    who = {"user": "os:builder", "name": None, "role": None, "kind": "system"}
    about = {"line": "-", "gateway": signer.name, "environment": None, "configuration": None, "journal": [], "zone": "UTC", "who": who}
    drafted = runs.drafted(found, OURS, version, bundle)
    software = {"version": version, "sha256": "e" * 64}
    document = unsigned(head(drafted, software=software, station="here", clock={"status": "unknown"}, ticks=17 * 10**15, **about))  # type: ignore[arg-type]
    written(document, to, ("json", "html"), 17 * 10**15, "document")
    (to / runs.NOTE).write_text(signer.note(runs.note_text(version, document["sha256"])))
    return document


@pytest.fixture
def signer(tmp_path: Path) -> keys.Signer:
    return keys.create(tmp_path / "release.key", "ebr-gateway-release")


@pytest.mark.parametrize(
    ("last", "result"),
    [
        (run(), "passed"),
        (run(skipped={"needs chromium": 1}), "not-complete"),
        (run(whole=False), "not-complete"),
        (run(failed=1), "finding"),
        (run(OTHERS, failed=1), "passed"),
    ],
)
def test_the_newest_run_of_each_suite_over_these_files_is_judged(
    folder: Path, tmp_path: Path, signer: keys.Signer, last: dict[str, Any], result: str
) -> None:
    runs.append(folder, "test", last)
    document = released(folder, tmp_path / "evidence", signer)
    assert document["result"] == result
    assert len(document["facts"]["runs"]) == 5, "a run over other files is told, and judged nothing"
    assert document["facts"]["counts"]["runs of these files"] == sum(one["counts"] for one in document["facts"]["runs"])


def test_without_a_run_over_these_files_nothing_has_passed(tmp_path: Path, signer: keys.Signer) -> None:
    runs.append(tmp_path / "runs", "test", run(OTHERS))
    document = released(tmp_path / "runs", tmp_path / "evidence", signer)
    assert document["result"] == "not-complete"
    assert [one["case"] for one in document["facts"]["deviations"]] == ["make test", "make faults", "make attacks"]


def test_it_is_verified_without_a_network_by_the_release_key(folder: Path, tmp_path: Path, signer: keys.Signer) -> None:
    released(folder, tmp_path / "evidence", signer)
    good = called("qualify", "verify", tmp_path / "evidence", "--key", tmp_path / "release.key.pub")
    assert (good.returncode, "signed by the release key ebr-gateway-release" in good.stdout) == (0, True), good.stdout
    shown = called("qualify", "show", tmp_path / "evidence")
    assert (shown.returncode, "Test runs of ebr-gateway 1.2.3" in shown.stdout, "result: passed" in shown.stdout) == (0, True, True)
    unknown = called("qualify", "verify", tmp_path / "evidence")
    assert (unknown.returncode, "no release key is known" in unknown.stdout) == (1, True)
    keys.create(tmp_path / "other.key", "ebr-gateway-release")
    other = called("qualify", "verify", tmp_path / "evidence", "--key", tmp_path / "other.key.pub")
    assert (other.returncode, "signed by none of the release keys" in other.stdout) == (1, True)


def test_about_says_whether_the_test_runs_of_this_version_are_chained_and_signed(folder: Path, tmp_path: Path, signer: keys.Signer) -> None:
    key = tmp_path / "release.key.pub"
    assert "test runs        not looked at: --tests DIR" in called("about", "--key", key).stdout
    document = released(folder, tmp_path / "evidence", signer)
    version = document["software"]["version"]
    good = runs.looked_at(tmp_path / "evidence", version, [signer.public])
    assert (good.runs, good.result, good.signed_by, good.problems) == (4, "passed", "ebr-gateway-release", ())
    other = runs.looked_at(tmp_path / "evidence", "9.9.9", [signer.public])
    assert other.problems == (f"these are the test runs of version {version}, and 9.9.9 is installed",)
    assert other.signed_by is None
    (unsigned_,) = runs.looked_at(tmp_path / "evidence", version, []).problems
    assert "no release key is known" in unsigned_
    told = json.loads(called("about", "--key", key, "--tests", tmp_path / "evidence", "--json").stdout)["tests"]
    assert (told["runs"], told["result"]) == (4, "passed")
    _change(tmp_path / "evidence" / "evidence" / "runs")
    spoilt = called("about", "--key", key, "--tests", tmp_path / "evidence")
    assert (spoilt.returncode, "test runs        NOT as they were signed" in spoilt.stdout) == (1, True)
    assert "evidence/runs/0002.json was changed" in spoilt.stdout
    nothing = called("about", "--key", key, "--tests", tmp_path / "runs")
    assert (nothing.returncode, "test runs        not there" in nothing.stdout) == (1, True), "what is not there was not changed either"
    assert f"{tmp_path / 'runs'}: has no document.json: name the folder ebr-gateway-" in nothing.stdout


@pytest.mark.urs("URS-VAL-07")
def test_about_of_a_folder_that_is_not_there_says_so_and_judges_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("nix", "file"):
        ran = called("about", "--tests", tmp_path / name)
        assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
        assert ran.stderr.startswith(f"--tests {tmp_path / name}: no such folder: name the folder ebr-gateway-")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: _change(folder / "evidence" / "runs"), "evidence/runs/0002.json was changed"),
        (lambda folder: (folder / "evidence" / "runs" / "0003.json").unlink(), "evidence/runs/0003.json is gone"),
        (lambda folder: runs.append(folder / "evidence" / "runs", "test", run()), "the runs are not those that the document names"),
        (lambda folder: (folder / runs.NOTE).unlink(), "document.note is not of this document"),
    ],
)
def test_evidence_of_the_runs_that_is_not_as_it_was_signed_is_named(
    folder: Path, tmp_path: Path, signer: keys.Signer, spoil: Callable[[Path], object], says: str
) -> None:
    released(folder, tmp_path / "evidence", signer)
    spoil(tmp_path / "evidence")
    told = called("qualify", "verify", tmp_path / "evidence", "--key", tmp_path / "release.key.pub")
    assert (told.returncode, says in told.stdout) == (1, True), told.stdout


def test_a_note_of_another_version_is_not_of_this_document(folder: Path, tmp_path: Path, signer: keys.Signer) -> None:
    first = released(folder, tmp_path / "first", signer)
    (tmp_path / "first" / runs.NOTE).write_text(signer.note(runs.note_text("9.9.9", first["sha256"])))
    assert runs.problems(tmp_path / "first", first, [signer.public]) == ["document.note is not of this document"]


def test_runs_that_were_signed_before_are_added_to_and_never_replaced(folder: Path, tmp_path: Path, signer: keys.Signer) -> None:
    document = released(folder, tmp_path / "evidence", signer)
    runs.append(folder, "attacks", run())
    grown = Bundle.again(tmp_path / "evidence", document["facts"]["evidence"], ())
    runs.kept(runs.records(folder), folder, grown)
    assert len(grown.sums) == 5
    shutil.rmtree(folder)
    runs.append(folder, "test", run())
    with pytest.raises(NotARecord, match="was signed before, and is not in this record"):
        runs.kept(runs.records(folder), folder, Bundle.again(tmp_path / "evidence", document["facts"]["evidence"], ()))


# ---- what a suite writes

SMALL = """
import pytest
pytest_plugins = ["kit.bar", "kit.resumed", "kit.results"]
"""
TESTS = """
import pytest

@pytest.mark.urs("URS-VAL-07")
def test_good(): pass

def test_bad(): assert 1 == 2, "of course"

def test_not_here(): pytest.skip("needs a printer")
"""


def test_a_run_of_tests_records_who_what_when_where_and_its_deviations(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(SMALL)
    (tmp_path / "test_small.py").write_text(TESTS)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={tmp_path}", "test_small.py"]
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HYPOTHESIS_PROFILE": "quick"}
    for _ in range(2):
        subprocess.run([sys.executable, *words, "--results=out/test.json"], cwd=tmp_path, env=variables, capture_output=True, check=False)
    first, second = runs.records(tmp_path / "out" / "runs")
    assert (second.suite, second.previous) == ("test", first.sha256)
    told = second.run
    assert told["tester"]["account"]
    assert told["begun"] <= told["ended"]
    assert len(told["content"]) == len(told["configuration"]["sha256"]) == len(told["environment"]["libraries_sha256"]) == 64
    assert told["configuration"]["variables"]["HYPOTHESIS_PROFILE"] == "quick"
    of_tests = [(one["verdict"], one["description"]) for one in told["deviations"] if one["case"] != "the run"]
    assert of_tests[0] == ("not executed", "skipped 1 times: needs a printer")
    assert of_tests[1][0] == "failed"
    assert "of course" in of_tests[1][1]
    assert json.loads((tmp_path / "out" / "test.json").read_text())["cases"] == told["cases"], "the matrix reads the same"


def test_another_setting_is_another_configuration(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("x")
    one = results.configuration(tmp_path, ["a"], {"HOME": "/x"})["sha256"]
    assert results.configuration(tmp_path, ["a"], {"HOME": "/y"})["sha256"] == one
    assert results.configuration(tmp_path, ["b"], {})["sha256"] != one
    assert results.configuration(tmp_path, ["a"], {"KILLS": "2"})["sha256"] != one
    (tmp_path / "Makefile").write_text("y")
    assert results.configuration(tmp_path, ["a"], {})["sha256"] != one
