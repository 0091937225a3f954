"""The file of `fallback import` is compared as the other form of entries by hand is; what that would refuse is told with file and line."""

from pathlib import Path
from typing import Any

import pytest
from kit.mixing_line import mixing_line
from kit.parallel_line import BATCH, by_hand, found, item, ruled

import config
from config import Line
from config.comparisons import Comparison
from gateway.entries.ticks import from_rfc3339
from gateway.operation.manual_entries import MORE, NEEDED
from gateway.validation.parallel_run.values import manual_problem

HEAD = "time,batch,equipment,step,run,ebr_field,value,unit,entered_by,second_person,transcribed_from,remark\n"
RULE = Comparison(ebr_field="PM-1", legacy="t", unit="Cel")
BEGAN = from_rfc3339("2026-11-22T07:15:30Z")
MIX: dict[str, Any] = {"equipment": "mixer", "step": "MIX", "begin": BEGAN, "end": BEGAN + 600_000_000}

pytestmark = pytest.mark.urs("URS-OBS-05")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return ruled(config.load(mixing_line(tmp_path / "line", "")), [RULE])


def row(value: str = "70.5", at: str = "2026-11-22T08:15", where: str = "mixer,MIX,1", who: str = "O. Bediener,E. Bauer") -> str:
    return f"{at},{BATCH},{where},PM-1,{value},°C,{who},,\n"


def rows_of(line: Line, tmp_path: Path, text: str, *items: Any) -> list[tuple[str, str, str]]:
    manual = by_hand(tmp_path, HEAD + text)
    assert manual_problem(manual) is None
    made = found(line, list(items) or [item("PM-1", "70.5", **MIX)], None, manual)["rows"]
    return [(one["item"], one["verdict"], one["reason"]) for one in made]


def test_what_was_imported_is_compared_with_both_persons_and_its_origin(line: Line, tmp_path: Path) -> None:
    text = row() + row("9").replace(BATCH, "B-other")
    made = found(line, [item("PM-1", "70.5", **MIX)], None, by_hand(tmp_path, HEAD + text))
    (only,) = made["rows"]
    assert (only["item"], only["verdict"]) == ("PM-1/1 (manual)", "match"), only["reason"]
    assert (only["legacy"]["entered_by"], only["legacy"]["second_person"]) == ("O. Bediener", "E. Bauer")
    assert only["legacy"]["place"] == "manual.csv:2"
    assert rows_of(line, tmp_path, row("71.5"))[0][1] == "mismatch"
    assert rows_of(line, tmp_path, row().replace(",,\n", ",log book 7,\n"))[0][0] == "PM-1/1 (transcribed)"


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        ("2026-11-22T08:15", "match"),  # any instant of that minute: the step began at :30
        ("2026-11-22T08:15:30", "match"),
        ("2026-11-22T08:15:29", "mismatch"),
        ("2026-11-22T07:15Z", "match"),
        ("2026-11-22T08:16:30+01:00", "match"),
        ("2026-11-22T08:16:31", "mismatch"),
        ("2026-11-22T08:14", "mismatch"),
    ],
)
def test_a_time_is_the_lines_wall_clock_and_stands_for_as_long_as_it_was_written(line: Line, tmp_path: Path, at: str, verdict: str) -> None:
    assert rows_of(line, tmp_path, row(at=at))[0][1] == verdict


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (row(where="mixr,MIX,1"), "manual.csv:2: the line has no equipment mixr, did you mean `mixer`?"),
        (row(where="mixer,MIXX,1"), "manual.csv:2: mixer has no step MIXX, did you mean `MIX`?"),
        (row(where="mixer,MIX,one"), "manual.csv:2: run one is no number of a run"),
        (row(who="A. Berg,a.  berg"), "manual.csv:2: entered_by and second_person are one person, A. Berg"),
        (row(who="A. Berg,"), "manual.csv:2: column `second_person` is empty"),
        (row(at="yesterday"), "manual.csv:2: time yesterday is none: write 2026-11-22T08:15"),
        (row(at="2026-10-25T02:30"), "manual.csv:2: time 2026-10-25T02:30 happened twice in Europe/Paris: write it with its offset"),
        (row(at=""), "manual.csv:2: column `time` is empty"),
    ],
)
def test_a_bad_row_stops_itself_alone_and_is_told_with_file_and_line(line: Line, tmp_path: Path, bad: str, says: str) -> None:
    other = row().replace("PM-1", "PM-2")
    told = rows_of(
        ruled(line, [RULE, Comparison(ebr_field="PM-2", unit="Cel")]),
        tmp_path,
        bad + other,
        item("PM-1", "70.5", **MIX),
        item("PM-2", "70.5", **MIX),
    )
    named = {name: (verdict, reason) for name, verdict, reason in told if "PM-1" in name and "manual" in name}
    ((verdict, reason),) = named.values()
    assert verdict == ("only-legacy" if ",one," in bad else "not-comparable"), "there is no run `one` of which it could be"
    assert says in reason, reason
    assert ("PM-2/1 (manual)", "match", "") in told


def test_the_same_field_of_two_steps_is_told_apart_by_what_the_entry_says(line: Line, tmp_path: Path) -> None:
    other = {**MIX, "step": "HOLD", "place": "mixer/HOLD/1"}
    items = [item("PM-1", "70.5", **MIX), item("PM-1", "20", **other)]
    assert [verdict for _, verdict, _ in rows_of(line, tmp_path, row("70.5"), *items)] == ["match", "only-gateway"]
    assert rows_of(line, tmp_path, row("70.5", where="mixer,,1"), *items)[0][1] == "not-comparable", "it does not say which"


def test_an_entry_of_a_step_that_did_not_run_is_no_match_of_another(line: Line, tmp_path: Path) -> None:
    (told, left) = rows_of(line, tmp_path, row(), item("PM-1", "70.5", **{**MIX, "step": "HOLD", "place": "mixer/HOLD/1"}))
    assert told[1:] == ("not-comparable", "manual.csv:2: the gateway has this field of mixer/HOLD/1, and no value of mixer/MIX")
    assert left[1] == "only-gateway"


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (HEAD.replace("time,", ""), "manual.csv:1: no column `time`: a file of `fallback import` has time,batch,equipment,"),
        (HEAD.replace("remark", "sum"), "manual.csv:1: unknown column `sum`: a file of `fallback import` has"),
        (HEAD.replace("remark", "unit"), "manual.csv:1: column `unit` stands twice"),
    ],
)
def test_a_header_of_neither_form_is_refused_with_what_it_lacks(tmp_path: Path, head: str, says: str) -> None:
    assert (manual_problem(by_hand(tmp_path, head)) or "").startswith(says)


def test_every_column_of_the_import_is_taken(tmp_path: Path) -> None:
    assert manual_problem(by_hand(tmp_path, ",".join((*NEEDED, *MORE)) + "\n")) is None
