"""What counts towards the end of a parallel run: batches in a row, compared, recorded, by rules of before, with nothing open, signed."""

from pathlib import Path
from typing import Any

import pytest
from kit.parallel_line import base_line, ruled

from config import Line
from config.comparisons import Comparison
from gateway.validation.parallel_run.trend import Found, Told, trend

pytestmark = pytest.mark.urs("URS-OBS-05")
SIGNED = [{"name": "Quentin Abel", "user": "qa", "role": "qa"}]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return ruled(base_line(tmp_path_factory.mktemp("trend")), [Comparison(ebr_field="PM-1", legacy="t")], consecutive_batches=2)


def row(difference: str, origin: str = "automatic") -> dict[str, Any]:
    sides = {"gateway": {"unit": "Cel"}, "legacy": {"origin": origin}}
    return {"field": "PM-1", "item": "PM-1/1", "name": "x", "verdict": "match", "difference": difference, "explanation": None, **sides}


def comparison(batch: str, sha256: str = "", problems: tuple[str, ...] = (), **more: Any) -> Found:
    """A comparison that counts, but for what is told otherwise. rules: None, as those of a line whose folder has no compare.csv on disk."""
    facts = {
        "counts": {"open": more.pop("open", 0), "rows": 1},
        "rows": more.pop("rows", [row("0.5")]),
        "rules": {"sha256": more.pop("rules", None), "declared_before": more.pop("declared", "yes")},
    }
    head = {"id": f"id-{batch}", "batch": batch, "sha256": sha256 or batch, "result": "passed", "signatures": SIGNED}
    made = {"made_at": {"time": more.pop("made", "2026-11-22T08:00:00Z")}}
    return Found(f"{batch}.json", {**head, **made, "facts": facts, **more}, problems)


def told(*batches: str, recorded: frozenset[str] | None = None, newest: dict[str, tuple[str, str]] | None = None) -> Told:
    return Told(frozenset(batches) if recorded is None else recorded, newest or {}, [(at, batch) for at, batch in enumerate(batches)])


def test_batches_in_a_row_up_to_the_newest_one_meet_the_criterion(line: Line) -> None:
    found = trend(line, told("A", "B", "C"), [comparison("A", open=1, result="finding"), comparison("B"), comparison("C")])
    assert (found["may_end"], found["last"], found["longest"]) == (True, 2, 2)
    assert [one["why_not"] for one in found["batches"]] == ["1 rows are open", None, None]


def test_a_batch_that_was_not_compared_breaks_the_row_and_one_before_the_first_comparison_does_not(line: Line) -> None:
    found = trend(line, told("OLD", "A", "B", "C"), [comparison("A"), comparison("C")])
    assert (found["may_end"], found["last"]) == (False, 1)
    assert [(one["batch"], one["why_not"]) for one in found["batches"]] == [("A", None), ("B", "was not compared"), ("C", None)]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"result": "finding", "open": 2}, "2 rows are open"),
        ({"rules": "ab" * 32}, "was made by other rules than those in force: compare it again"),
        ({"declared": "no"}, "its rules were not declared before the batch"),
        ({"declared": "not-known"}, "its rules were not declared before the batch"),
        ({"problems": ("it is another's",)}, "a signature does not hold: it is another's"),
        ({"signatures": []}, "is not signed by QA"),
        ({"signatures": [{"name": "E", "user": "e", "role": "engineer"}]}, "is not signed by QA"),
        ({"sha256": "unrecorded"}, "stands in no entry of the journal: `document record`"),
    ],
)
def test_a_comparison_that_does_not_count_says_why(line: Line, more: dict[str, Any], why: str) -> None:
    found = trend(line, told("A", "B"), [comparison("A"), comparison("B", **more)])
    assert (found["may_end"], found["batches"][1]["why_not"]) == (False, why)


def test_who_leaves_the_newer_comparison_out_of_the_folder_is_found_out(line: Line) -> None:
    newest = {"B": ("2026-11-23T08:00:00Z", "worse")}
    found = trend(line, told("A", "B", newest=newest), [comparison("A"), comparison("B")])
    assert "the journal holds a newer comparison of it" in found["batches"][1]["why_not"]


def test_the_newest_comparison_of_a_batch_is_taken(line: Line) -> None:
    two = [comparison("A", made="2026-11-23T08:00:00Z"), comparison("A", "older", open=3, result="finding")]
    assert trend(line, told("A", recorded=frozenset({"A", "older"})), two)["batches"][0]["why_not"] is None


def test_a_field_has_its_largest_and_mean_difference_and_entries_by_hand_figures_of_their_own(line: Line) -> None:
    first = comparison("A", rows=[row("0.5"), row("9", "manual")])
    found = trend(line, told("A", "B", "C"), [first, comparison("B", rows=[row("-1.5")]), comparison("C", rows=[row("0.25")])])
    assert [(one["field"], one["largest"], one["mean"], one["batches"], one["unit"]) for one in found["fields"]] == [
        ("PM-1", "-1.5", "-0.25", 3, "Cel"),
        ("PM-1 (manual)", "9", "9", 1, "Cel"),
    ]


def test_a_folder_of_other_files_is_read_around(line: Line, tmp_path: Path) -> None:
    from gateway.validation.parallel_run.trend import comparisons

    (tmp_path / "note.json").write_text("{}")
    (tmp_path / "broken.json").write_bytes(b"\xff\xfe{")
    found, wrong = comparisons(tmp_path, line.gateway, lambda _: ())
    assert (found, len(wrong)) == ([], 2)
