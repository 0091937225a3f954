"""What a row of the matrix says, and what it never says: nothing that did not run has passed."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called

from gateway.validation.traceability import results, tree
from gateway.validation.traceability.matrix import COLUMNS, matrix
from gateway.validation.traceability.problems import of_results, problems
from gateway.validation.traceability.results import NotResults
from gateway.validation.traceability.tree import Traceability

from .conftest import case, requirement, run

Small = Callable[..., Traceability]
FIRST: tuple[Any, ...] = ("first", "URS-DAQ-01", 1, 0, {})
SECOND: tuple[Any, ...] = ("second", "URS-DAQ-01", 1, 0, {})


def row(told: Traceability) -> dict[str, Any]:
    (one,) = matrix(told)["rows"]
    return one


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize(
    ("rows", "result"),
    [
        ((), "not run"),
        ((FIRST, SECOND), "passed"),
        ((FIRST,), "passed"),
        ((SECOND,), "not run"),
        ((("first", "URS-DAQ-01", 0, 0, {"needs strace": 1}), SECOND), "not run"),
        ((("first", "URS-DAQ-01", 3, 0, {"needs strace": 1}),), "passed"),
        ((FIRST, ("second", "URS-DAQ-01", 5, 1, {})), "failed"),
        ((("first", "URS-DAQ-01", 0, 1, {}),), "failed"),
        ((("first", "URS-DAQ-02", 1, 0, {}),), "not run"),
    ],
)
def test_a_requirement_has_passed_if_what_it_stands_on_passed_and_nothing_failed(small: Small, rows: tuple[Any, ...], result: str) -> None:
    assert row(small(*rows))["result"] == result


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize(("state", "result"), [("built", "passed"), ("in part", "passed, in part"), ("planned", "planned")])
def test_what_is_open_is_never_passed(small: Small, state: str, result: str) -> None:
    told = small(FIRST, requirements=(requirement("URS-DAQ-01", state=state, remark="the rest"),))
    assert row(told)["result"] == result


def test_where_it_stands_on_none_in_particular_one_of_its_tests_has_to_have_passed(small: Small) -> None:
    told = small(SECOND, proofs=(), requirements=(requirement("URS-DAQ-01", risk="medium"),))
    assert row(told)["result"] == "passed"
    assert row(small(proofs=(), cases=(), requirements=told.requirements))["result"] == "no test"


@pytest.mark.urs("URS-VAL-02")
def test_a_row_says_stage_tests_date_evidence_and_why_something_was_skipped(small: Small) -> None:
    one = row(small(FIRST, ("second", "URS-DAQ-01", 0, 0, {"needs strace": 2})))
    assert tuple(one) == COLUMNS
    assert (one["area"], one["stage"], one["passed"], one["failed"], one["not_run"]) == ("DAQ", ["OQ", "PQ"], 1, 0, 1)
    assert (one["date"], one["software"], one["evidence"]) == ("2026-11-30T09:00:00Z", "1.0.0", ["test.json"])
    assert [(told["case"], told["shows"], told["verdict"]) for told in one["proofs"]] == [(case("first").id, "all of it", "passed")]
    assert [(told["verdict"], told["why"]) for told in one["cases"]] == [("skipped", ["needs strace"])]


@pytest.mark.urs("URS-VAL-02")
def test_nothing_is_dated_that_did_not_run(small: Small) -> None:
    one = row(small())
    assert (one["date"], one["software"], one["evidence"]) == ("", "", [])


def test_the_last_run_in_which_a_test_did_something_counts() -> None:
    early = run("2026-11-30T08:00:00Z", ("first", "URS-DAQ-01", 0, 1, {}), SECOND)
    late = run("2026-11-30T08:30:00Z", FIRST, ("second", "URS-DAQ-01", 0, 0, {"needs strace": 1}))
    told = results.last([("early", early), ("late", late)])
    assert [(one.case.rpartition("_")[2], one.verdict, told.runs[one.run].file) for one in told.outcomes] == [
        ("first", "passed", "late"),
        ("second", "passed", "early"),
    ]


@pytest.mark.urs("URS-VAL-02")
def test_runs_over_other_files_and_those_that_were_broken_off_are_named_and_not_counted(tmp_path: Path) -> None:
    for name, more in (("good", {}), ("other", {"content": "cd" * 32}), ("half", {"whole": False})):
        (tmp_path / f"{name}.json").write_text(json.dumps(run("2026-11-30T08:00:00Z", FIRST, **more)))
    counted, left = results.of_content(tmp_path.glob("*.json"), "ab" * 32)
    assert [one.file for one in counted.runs] == ["good.json"]
    assert [text.partition(",")[0] for text in left] == ["half.json: a run that was broken off", "other.json: a run over other files"]


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"schema": results.FORM}), '{"schema": "ebr-gateway/receipt/1"}'])
def test_a_file_that_no_run_wrote_is_one_readable_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(NotResults, match=r"it\.json: "):
        results.read([tmp_path / "it.json"])


@pytest.mark.urs("URS-VAL-02")
def test_a_release_carries_what_the_tree_said(small: Small, tmp_path: Path) -> None:
    told = small(FIRST, SECOND)
    assert tree.loads(tree.dumps(told)) == told
    with pytest.raises(tree.NoTraceability, match="is not there"):
        tree.of_release(tmp_path / "release.json")
    with pytest.raises(tree.NoTraceability, match="can not be read"):
        tree.loads('{"schema": "ebr-gateway/traceability/1"}')


@pytest.mark.urs("URS-VAL-02")
def test_a_release_is_refused_for_what_failed_or_did_not_run(small: Small) -> None:
    def said(*rows: tuple[Any, ...]) -> list[str]:
        return [str(problem) for problem in of_results(matrix(small(*rows))["rows"])]

    assert said(FIRST) == []
    assert said(SECOND) == [f"{case('first').id}: not run, and URS-DAQ-01 stands on it"]
    assert said(("first", "URS-DAQ-01", 0, 0, {"needs strace": 1})) == [
        f"{case('first').id}: skipped (needs strace), and URS-DAQ-01 stands on it"
    ]
    medium = small(requirements=(requirement("URS-DAQ-01", risk="medium"),), proofs=())
    assert [one.text for one in of_results(matrix(medium)["rows"])] == ["of the tests that claim URS-DAQ-01 none has passed"]
    assert said(FIRST, ("second", "URS-DAQ-01", 0, 1, {})) == [f"{case('second').id}: failed, and URS-DAQ-01 claims to be proved by it"]


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"risk": "serious"}, "risk is one of"),
        ({"state": "done"}, "state is one of"),
        ({"state": "in part"}, "nothing says what is open"),
        ({"verification": "by looking"}, "names neither IQ, OQ nor PQ"),
        ({"state": "planned", "remark": "later"}, "a test claims to prove it"),
    ],
)
def test_a_requirement_that_is_told_wrongly_is_found(small: Small, change: dict[str, Any], told: str) -> None:
    assert problems(small()) == []
    wrong = small(requirements=(requirement("URS-DAQ-01")._replace(**change),))
    assert any(told in str(problem) for problem in problems(wrong))


@pytest.mark.urs("URS-VAL-02")
def test_unknown_ids_and_requirements_that_nothing_proves_are_found(small: Small) -> None:
    told = small(cases=(*small().cases, case("third", "URS-DAQ-99")))
    assert [str(one) for one in problems(told)] == ["tests/x/test_y.py:3: URS-DAQ-99 is not in docs/validation/urs.md"]
    bare = small(requirements=(*small().requirements, requirement("URS-MAP-05", risk="medium")))
    assert [one.text for one in problems(bare)] == ["URS-MAP-05 is built, no test proves it, and nothing says why"]
    twice = small(requirements=small().requirements * 2)
    assert [one.text for one in problems(twice)] == ["URS-DAQ-01 stands 2 times"] * 2


@pytest.mark.urs("URS-VAL-02")
def test_the_matrix_is_exported_for_spreadsheets_and_programs(small: Small, tmp_path: Path) -> None:
    more = (requirement("URS-DAQ-01"), requirement("URS-UPL-05", state="planned", remark="=not built"))
    (tmp_path / "release.json").write_text(tree.dumps(small(FIRST, SECOND, requirements=more)), "utf-8")
    words = ("rtm", "export", "--release", tmp_path / "release.json")
    done = called(*words, "--risk", "high", "--result", "planned", "--format", "json", "--to", tmp_path / "it.json")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'it.json'}: 1 requirements of 2\n")
    document = json.loads((tmp_path / "it.json").read_text())
    assert (document["software"], document["counts"]["by_result"]) == ("1.0.0", {"passed": 1, "planned": 1})
    assert [(one["urs"], one["result"]) for one in document["rows"]] == [("URS-UPL-05", "planned")]
    first, second = csv.DictReader(io.StringIO(called(*words, "--format", "csv").stdout))
    assert (first["urs"], first["stage"], first["date"]) == ("URS-DAQ-01", "OQ; PQ", "2026-11-30T09:00:00Z")
    assert (first["proofs"], first["cases"]) == (f"{case('first').id}: passed", f"{case('second').id}: passed")
    assert second["remark"] == "'=not built", "a spreadsheet runs nothing of it"
    text = called(*words, "--urs", "URS-DAQ-01").stdout
    assert "URS-DAQ-01 (high, OQ+PQ): passed" in text
    assert "URS-UPL-05 (" not in text
    assert called(*words, "--urs", "URS-DAQ-77").returncode == 2
    assert called("rtm", "check", "--release", tmp_path / "none.json").stderr == f"{tmp_path / 'none.json'} is not there\n"
