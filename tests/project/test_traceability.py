"""The traceability of this tree: nothing is wrong with it, and each test that a high-risk requirement stands on is needed."""

import json
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from kit.commands import called
from kit.repository import ROOT

from buffer import keys
from gateway.validation.traceability import results
from gateway.validation.traceability.problems import of_designs, problems
from gateway.validation.traceability.requirements import requirements
from gateway.validation.traceability.tree import Traceability, dumps, of_tree

HIGH = [row.id for row in requirements(ROOT) if row.risk == "high" and row.state != "planned"]


@cache
def told() -> Traceability:
    """What the tree says, gathered once; results are no part of it."""
    return of_tree(ROOT, [])


@pytest.mark.urs("URS-VAL-02")
def test_nothing_is_wrong_with_it() -> None:
    assert [str(problem) for problem in (*problems(told()), *of_designs(told(), ROOT))] == []


def test_the_requirements_are_all_there() -> None:
    rows = told().requirements
    assert len({row.id for row in rows}) == len(rows) == 110
    assert [sum(row.risk == risk for row in rows) for risk in ("high", "medium", "low")] == [71, 33, 6]
    assert len(HIGH) > 50


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize("identifier", HIGH)
def test_without_any_one_test_that_a_high_risk_requirement_stands_on_the_check_fails(identifier: str) -> None:
    """On what was gathered: the test taken out, and its mark alone taken off."""
    stands = [proof.case for proof in told().proofs if proof.urs == identifier]
    assert stands
    for case in stands:
        gone = told()._replace(cases=tuple(one for one in told().cases if one.id != case))
        assert any(f"{identifier} stands on {case}, and there is no such test" in str(one) for one in problems(gone))
        unmarked = told()._replace(
            cases=tuple(one._replace(urs=tuple(set(one.urs) - {identifier})) if one.id == case else one for one in told().cases)
        )
        assert any(f"{identifier} stands on {case}, which does not claim it" in str(one) for one in problems(unmarked))


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize("identifier", HIGH)
def test_a_high_risk_requirement_that_stands_on_nothing_fails_the_check(identifier: str) -> None:
    bare = told()._replace(proofs=tuple(proof for proof in told().proofs if proof.urs != identifier))
    assert [str(one).partition(": ")[2] for one in problems(bare)] == [
        f"{identifier} is high-risk, and docs/validation/proofs.csv names no test that proves it"
    ]


@pytest.mark.urs("URS-VAL-02")
def test_the_command_says_the_same_of_what_a_release_carries_and_counts(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(dumps(told()), "utf-8")
    done = called("rtm", "check", "--release", tmp_path / "good")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("110 requirements (")
    unclaimed = told()._replace(cases=(*told().cases[:-1], told().cases[-1]._replace(urs=("URS-DAQ-99",))))
    (tmp_path / "unknown").write_text(dumps(unclaimed), "utf-8")
    done = called("rtm", "check", "--release", tmp_path / "unknown")
    assert (done.returncode, "URS-DAQ-99 is not in docs/validation/urs.md" in done.stdout) == (1, True)


SUITE = """
import pytest
@pytest.mark.urs("URS-DAQ-01")
def test_good(): pass
@pytest.mark.parametrize("one", [1, pytest.param(2, marks=pytest.mark.urs("URS-DAQ-02"))])
@pytest.mark.urs("URS-DAQ-01")
def test_parameters(one): assert one == 1
@pytest.mark.urs("URS-DAQ-01")
def test_elsewhere(): pytest.skip("needs strace")
class TestClass:
    def test_of_no_requirement(self): pass
"""


@pytest.mark.parametrize(
    ("options", "whole"), [(("-n", "1"), True), (("-n", "0", "--maxfail", "1"), False)], ids=["over workers", "broken off"]
)
def test_a_run_writes_what_each_test_did_for_each_set_of_requirements(tmp_path: Path, options: tuple[str, ...], *, whole: bool) -> None:
    (tmp_path / "test_rows.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n urs\n bar\naddopts = -p kit.results -p no:cacheprovider\n")
    command = [sys.executable, "-m", "pytest", "-q", "--results", "out/it.json", *options]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    found = results.read([tmp_path / "out" / "it.json"])
    (run,) = found.runs
    assert (run.whole, run.content, run.command[:2]) == (whole, results.content(ROOT), ("-q", "--results"))
    assert run.begun <= run.ended
    if whole:
        told = [(one.case, one.urs, one.verdict, one.passed, one.failed, one.why) for one in found.outcomes]
        assert told == [
            ("test_rows.py::TestClass::test_of_no_requirement", (), "passed", 1, 0, ()),
            ("test_rows.py::test_elsewhere", ("URS-DAQ-01",), "skipped", 0, 0, ("needs strace",)),
            ("test_rows.py::test_good", ("URS-DAQ-01",), "passed", 1, 0, ()),
            ("test_rows.py::test_parameters", ("URS-DAQ-01",), "passed", 1, 0, ()),
            ("test_rows.py::test_parameters", ("URS-DAQ-01", "URS-DAQ-02"), "failed", 0, 1, ()),
        ]


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A tree of a release with one requirement, one test, and what the last run said of it."""
    tree = tmp_path / "tree"
    for name, text in TREE.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    row = {"case": "tests/test_one.py::test_one", "urs": ["URS-DAQ-01"], "passed": 1, "failed": 0, "skipped": {}}
    run = dict.fromkeys(results.Run._fields[:-1], "") | {"schema": results.FORM, "content": results.content(tree), "whole": True}
    (tree / "build" / "results").mkdir(parents=True)
    (tree / "build" / "results" / "test.json").write_text(json.dumps(run | {"command": [], "cases": [row]}))
    return tree


TREE = {
    "pyproject.toml": '[project]\nversion = "1.0.0"\n',
    "docs/validation/urs.md": "| URS-DAQ-01 | It shall read. | Part 11 | high | OQ U | docs/design.md: Reading | built | |\n",
    "docs/validation/proofs.csv": "urs,case,shows\nURS-DAQ-01,tests/test_one.py::test_one,all of it\n",
    "docs/validation/tests-of-details.csv": "file,why\n",
    "docs/design.md": "# Reading\n",
    "gateway/validation/traceability/__init__.py": "",
    "tests/test_one.py": 'import pytest\n@pytest.mark.urs("URS-DAQ-01")\ndef test_one(): ...\n',
}


def tool(tree: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"import runpy, sys; sys.path[:0] = [{str(ROOT)!r}]; runpy.run_path({str(ROOT / 'tools' / name)!r}, run_name='__main__')"
    command = [sys.executable, "-c", f"import sys; sys.argv[1:] = {list(words)!r}; {code}"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def judged(tree: Path, *publics: str) -> str | None:
    """What `make release` says of the traceability of a tree, with the key of the release."""
    release = runpy.run_path(str(ROOT / "tools" / "release.py"))
    try:
        release["check_traceability"](tree, publics)
    except release["Refused"] as refused:
        return str(refused)
    return None


@pytest.mark.urs("URS-VAL-02")
def test_a_release_carries_the_results_of_its_own_files_and_is_refused_without_them(released: Path) -> None:
    assert "is not there: run `make test`" in str(judged(released))
    made = tool(released, "rtm.py")
    assert (made.returncode, made.stdout) == (0, f"{results.RELEASE_FILE}: {{'passed': 1}}\n"), made.stderr
    assert judged(released) is None
    (released / "tests" / "test_one.py").write_text(TREE["tests/test_one.py"] + "# another text\n")
    assert "is of other files than this commit's" in str(judged(released))


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("build/results/test.json", '"passed": 1', '"passed": 0', "not run, and URS-DAQ-01 stands on it"),
        ("build/results/test.json", '"failed": 0', '"failed": 1', "failed, and URS-DAQ-01 claims to be proved by it"),
        ("build/results/test.json", '"whole": true', '"whole": false', "a run that was broken off"),
        ("tests/test_one.py", "def test_one(): ...", "def test_two(): ...", "there is no such test"),
        ("docs/validation/proofs.csv", "URS-DAQ-01", "URS-DAQ-02", "URS-DAQ-02 is not in docs/validation/urs.md"),
        ("docs/design.md", "# Reading", "# Writing", "has no heading `Reading`"),
    ],
)
def test_what_failed_did_not_run_or_is_wrong_makes_no_file_for_a_release(released: Path, file: str, old: str, new: str, told: str) -> None:
    (released / file).write_text((released / file).read_text().replace(old, new), "utf-8")
    done = tool(released, "rtm.py")
    assert done.returncode == 1
    assert told in done.stderr
    assert not (released / results.RELEASE_FILE).exists()


OPEN = {
    "URS-DAQ-02": "| URS-DAQ-02 | It shall fly. | Part 11 | high | OQ U | | planned | wings are not built |\n",
    "URS-DAQ-03": "| URS-DAQ-03 | It shall count. | Part 11 | medium | OQ U | docs/design.md: Reading | in part | up to nine |\n",
    "URS-DAQ-04": "| URS-DAQ-04 | It shall be read. | Part 11 | low | OQ U | docs/design.md: Reading | built | by the eye |\n",
}


def exported(tree: Path, *words: str) -> dict[str, tuple[str, str]]:
    """Result and justification of each requirement, as a user exports them."""
    release = ("--release", tree / results.RELEASE_FILE)
    rows = json.loads(called("rtm", "export", "--format", "json", *release, *words).stdout)["rows"]
    return {row["urs"]: (row["result"], row["justified"]) for row in rows}


@pytest.mark.urs("URS-VAL-02")
def test_what_has_not_passed_is_released_only_if_a_person_answers_for_it_as_it_stands_and_is_never_shown_as_passed(
    released: Path, tmp_path: Path
) -> None:
    urs = released / "docs" / "validation" / "urs.md"
    urs.write_text(urs.read_text("utf-8") + "".join(OPEN.values()), "utf-8")
    test = released / "tests" / "test_one.py"
    test.write_text(test.read_text("utf-8").replace('("URS-DAQ-01")', '("URS-DAQ-01", "URS-DAQ-03")'), "utf-8")
    run = released / "build" / "results" / "test.json"
    told = json.loads(run.read_text("utf-8")) | {"content": results.content(released)}
    told["cases"][0]["urs"] = ["URS-DAQ-01", "URS-DAQ-03"]
    run.write_text(json.dumps(told), "utf-8")
    signer = keys.create(tmp_path / "release.key", "ebr-gateway-release")
    other = keys.create(tmp_path / "other.key", "ebr-gateway-release")
    assert tool(released, "rtm.py").returncode == 0
    assert "URS-DAQ-02 is `planned`, and no signed justification is of it as it stands" in str(judged(released, signer.public))

    assert tool(released, "rtm.py", "justify", str(tmp_path / "release.key"), "nobody").returncode == 1
    made = tool(released, "rtm.py", "justify", str(tmp_path / "release.key"), "Eva Bauer, head of validation")
    assert (made.returncode, made.stdout.count("URS-DAQ-0")) == (0, 3), made.stderr
    assert "is of other files" in str(judged(released, signer.public)), "the release carries what was signed"
    assert tool(released, "rtm.py").returncode == 0
    assert judged(released, signer.public) is None
    assert "has 3 problems" in str(judged(released, other.public)), "a key that is not the release's justifies nothing"

    public = tmp_path / "keys"
    public.write_text(f"{signer.public}\n")
    shown = exported(released, "--keys", str(public))
    assert {urs: result for urs, (result, _) in shown.items()} == {
        "URS-DAQ-01": "passed",
        "URS-DAQ-02": "planned",
        "URS-DAQ-03": "passed, in part",
        "URS-DAQ-04": "no test",
    }
    assert [urs for urs, (_, by) in shown.items() if by.startswith("Eva Bauer, head of validation, 20")] == list(OPEN)
    assert {by for _, by in exported(released).values()} == {""}, "a signature that nobody can verify here justifies nothing"
    checked = called("rtm", "check", "--ran", "--release", released / results.RELEASE_FILE, "--keys", public)
    assert checked.returncode == 0, checked.stdout
    assert called("rtm", "check", "--ran", "--release", released / results.RELEASE_FILE).stdout.count("no signed justification") == 3

    urs.write_text(urs.read_text("utf-8").replace("up to nine", "up to eight"), "utf-8")
    assert tool(released, "rtm.py").returncode == 0
    assert "URS-DAQ-03 is `passed, in part`, and no signed" in str(judged(released, signer.public)), "what is open has changed"


def test_each_test_that_a_page_of_validation_names_is_there() -> None:
    known = {case.id for case in told().cases}
    pages = (ROOT / "docs" / "validation").glob("*.md")
    named = {(page.name, name) for page in pages for name in re.findall(r"tests/[\w/]+\.py::\w+", page.read_text("utf-8"))}
    assert len(named) > 45
    assert sorted(one for one in named if one[1] not in known) == []


def test_the_risk_assessment_has_each_stop_of_the_way_and_each_row_a_test_that_claims_its_requirement() -> None:
    text = (ROOT / "docs" / "validation" / "risk-assessment.md").read_text("utf-8")
    stops = re.findall(r"(?m)^\| (\d) (\w+) \|", (ROOT / "docs" / "house.md").read_text("utf-8"))
    assert re.findall(r"(?m)^## Stop (\d) (\w+)$", text) == [*stops]
    claims = {case.id: case.urs for case in told().cases}
    rows = re.findall(r"(?m)\| (URS-[A-Z]+-\d\d) \| `([^`]+)` \|", text)
    assert len(rows) > 45
    assert [row for row in rows if row[0] not in claims[row[1]]] == []


def test_the_inspectors_page_has_twenty_questions_and_calls_open_what_is_open() -> None:
    text = (ROOT / "docs" / "inspector.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| .* \| (.*) \|$", text)
    assert [int(number) for number, _ in rows] == list(range(1, 21))
    states = {row.id: row.state for row in told().requirements}
    open_ = {urs for _, answer in rows for urs in re.findall(r"URS-[A-Z]+-\d\d", answer.partition("open")[2])}
    assert [urs for urs in sorted(open_) if states[urs] == "built"] == []
    assert set(re.findall(r"--urs (URS-[A-Z]+-\d\d)", text)) <= states.keys()
