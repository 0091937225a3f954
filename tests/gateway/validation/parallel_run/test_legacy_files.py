"""Files of the legacy system as they come: damaged, in other encodings, with the batch twice; one bad row stops itself alone."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from kit.parallel_line import BATCH, SECTION, base_line, by_hand, found, item, legacy, ruled, share, verdicts

from config import Line
from config.comparisons import Comparison
from config.grammars.row_condition import parse
from gateway.validation.parallel_run.legacy import MOST_OF_BATCH, NotRead, of_file
from gateway.validation.parallel_run.values import BY_MANUAL, OF_MANUAL, manual_problem

pytestmark = pytest.mark.urs("URS-OBS-05")
RULE = Comparison(ebr_field="PM-1", legacy="t", unit="°C", tolerance="0.1")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return base_line(tmp_path_factory.mktemp("files"))


def one(line: Line, tmp_path: Path, text: str, encoding: str = "utf-8", value: str = "70.5", **section: Any) -> dict[str, Any]:
    """The one row that comes of a file of columns t and batch_no."""
    site = ruled(line, [RULE], **section)
    assert site.parallel_run is not None
    result = found(site, [item("PM-1", value)], legacy(tmp_path, text, site.parallel_run, encoding))
    (row,) = result["rows"]
    return dict(row)


def test_the_batch_twice_is_no_match_even_if_both_say_the_same(line: Line, tmp_path: Path) -> None:
    row = one(line, tmp_path, f"t;batch_no\n70.5;{BATCH}\n1;B9\n70.5;{BATCH}\n")
    assert row["verdict"] == "not-comparable"
    assert row["reason"] == "the gateway has one value, the legacy record 2 values: legacy.csv:2 `70.5`, legacy.csv:4 `70.5`"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("<0.5", "legacy.csv:2: `<0.5` has the operator <: it is no single number that could be compared"),
        ("70,5", 'legacy.csv:2: `70,5`: decimal comma; declare decimal = "," in line.toml [parallel_run]'),
        ("conform", "legacy.csv:2: `conform` is no number"),
        ("1" * 70, f"legacy.csv:2: `{'1' * 40}` has more digits than a value has"),
    ],
)
def test_a_cell_that_is_no_number_is_not_comparable_with_its_reason(line: Line, tmp_path: Path, cell: str, why: str) -> None:
    row = one(line, tmp_path, f"t;batch_no\n{cell};{BATCH}\n")
    assert (row["verdict"], row["reason"], row["legacy"]["value"]) == ("not-comparable", why, cell)


@pytest.mark.parametrize(
    ("cell", "section"),
    [
        ("70,5", {"decimal": ","}),
        ("7.050,0E-2", {"decimal": ",", "thousands": "."}),
        ("+70.50", {}),
        (" 70.5 ", {}),
        ("7.05e1", {}),
    ],
)
def test_a_number_is_read_as_the_file_is_declared_to_write_it(line: Line, tmp_path: Path, cell: str, section: dict[str, Any]) -> None:
    assert one(line, tmp_path, f"t;batch_no\n{cell};{BATCH}\n", **section)["verdict"] == "match"


def test_a_column_that_is_away_makes_its_fields_not_comparable_and_names_the_nearest(line: Line, tmp_path: Path) -> None:
    rules = [RULE, Comparison(ebr_field="PM-2", legacy="speed", unit="rpm")]
    items = [item("PM-1", "70.5"), item("PM-2", "10", "/min")]
    result = found(ruled(line, rules, ignore=("sped",)), items, legacy(tmp_path, f"t;sped;batch_no\n70.5;10;{BATCH}\n"))
    assert verdicts(result) == {"PM-1/1": "match", "PM-2/1": "not-comparable"}
    assert result["rows"][1]["reason"] == "legacy.csv:1: no column `speed`, did you mean `sped`?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "t;batchno\n1;x\n",
            "legacy.csv:1: no column `batch_no`, which names the batch by line.toml [parallel_run], did you mean `batchno`?",
        ),
        ("t;batch_no;batch_no\n", "legacy.csv:1: column `batch_no` stands twice: which one names the batch?"),
        ("", "legacy.csv: is empty; not even a header stands in it"),
        ("\n", "legacy.csv:1: no column `batch_no`"),
        ("t|batch_no\n", "it has one column: declare `delimiter`"),
    ],
)
def test_a_file_in_which_no_batch_can_be_found_is_one_readable_message(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(NotRead) as raised:
        legacy(tmp_path, text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_rows_of_the_batch_that_can_not_be_read_are_kept_up_to_a_bound(tmp_path: Path) -> None:
    """A million of them would be a million rows of a signed document, and all of them in memory."""
    bad = f"70;5;{BATCH};more\n"
    assert len(legacy(tmp_path, "t;batch_no\n" + bad * MOST_OF_BATCH).unread) == MOST_OF_BATCH
    with pytest.raises(NotRead, match=rf"legacy.csv:{MOST_OF_BATCH + 2}: more than 10,000 rows .* can not be read; this one: 4 cells, but"):
        legacy(tmp_path, "t;batch_no\n" + bad * (MOST_OF_BATCH + 5))


def test_a_file_of_manual_entries_is_not_told_what_the_section_of_the_legacy_record_says(tmp_path: Path) -> None:
    (tmp_path / "manual.csv").write_text("BATCH;VALUE\n")
    with pytest.raises(NotRead) as raised:
        of_file(tmp_path / "manual.csv", OF_MANUAL, BATCH, BY_MANUAL)
    told = str(raised.value)
    assert (
        told.startswith("manual.csv:1: no column `batch`, which each manual entry has: batch,ebr_field,value,"),
        "line.toml" in told,
    ) == (
        True,
        False,
    )


def test_a_file_in_another_encoding_says_what_to_declare(line: Line, tmp_path: Path) -> None:
    text = f"t;note;batch_no\n70.5;säure;{BATCH}\n70.5;Säure;B9\n"
    site = ruled(line, [RULE], ignore=("note",))
    result = found(site, [item("PM-1", "70.5")], legacy(tmp_path, text, encoding="cp1252"))
    assert verdicts(result) == {"PM-1/1": "only-gateway", "row legacy.csv:2": "not-comparable"}
    assert result["rows"][1]["reason"] == "legacy.csv:2: column `note`: its bytes are no text in utf-8; declare `encoding`"
    assert [(one_["place"], one_["ours"]) for one_ in result["sources"][0]["unread"]] == [("legacy.csv:2", True), ("legacy.csv:3", False)]
    declared = ruled(line, [RULE], ignore=("note",), encoding="cp1252")
    assert declared.parallel_run is not None
    assert verdicts(found(declared, [item("PM-1", "70.5")], legacy(tmp_path, text, declared.parallel_run, "cp1252"))) == {"PM-1/1": "match"}
    with pytest.raises(NotRead, match=r'UTF-16, and line.toml .parallel_run. says utf-8: write encoding = "utf-16"'):
        legacy(tmp_path, text, encoding="utf-16")
    wide = SECTION.model_copy(update={"encoding": "utf-16", "ignore": ("note",)})
    assert [row.cells["t"] for row in legacy(tmp_path, text, wide, "utf-16").rows] == ["70.5"]


@pytest.mark.parametrize("bad", ['70.5;"x;B7\n71;"y";B8', '"70.5;x;B7\n71;y;B8', "70.5;x;more;B7"])
def test_a_bad_row_stops_itself_alone(line: Line, tmp_path: Path, bad: str) -> None:
    result = found(
        ruled(line, [RULE], ignore=("note",)), [item("PM-1", "70.5")], legacy(tmp_path, f"t;note;batch_no\n70.5;fine;{BATCH}\n{bad}\n")
    )
    told = verdicts(result)
    assert told.pop("PM-1/1") == "match"
    assert set(told.values()) <= {"not-comparable"}, "lines behind a quotation mark may be of this batch: nobody can know"
    assert result["sources"][0]["unread_count"] >= 1


def test_a_quotation_mark_that_hides_a_row_of_the_batch_hides_nothing(line: Line, tmp_path: Path) -> None:
    text = f't;note;batch_no\n1;"x;B7\n70.5;fine;{BATCH}\n2;y";B8\n'
    result = found(ruled(line, [RULE], ignore=("note",)), [item("PM-1", "70.5")], legacy(tmp_path, text))
    assert verdicts(result) == {"PM-1/1": "only-gateway", "row legacy.csv:2-4": "not-comparable"}


def test_a_long_record_has_a_row_for_each_value_and_what_no_rule_takes_is_told(line: Line, tmp_path: Path) -> None:
    rules = [
        Comparison(ebr_field="PM-1", legacy="value", where=parse("par=T_MAX"), unit="Cel", tolerance="1%"),
        Comparison(ebr_field="PM-2", legacy="value", where=parse("par=SPEED"), unit="rpm"),
    ]
    text = f"par;value;batch_no\nT_MAX;71;{BATCH}\nSPEED;250;{BATCH}\nPH;7.1;{BATCH}\nT_MAX;10;B9\n"
    items = [item("PM-1", "70.5"), item("PM-2", "250", "/min")]
    result = found(ruled(line, rules), items, legacy(tmp_path, text))
    assert verdicts(result) == {"PM-1/1": "match", "PM-2/1": "match", "column value (par=PH)": "only-legacy"}
    assert (result["rows"][0]["difference"], result["rows"][0]["tolerance"]) == ("-0.5", "1% (0.71)")
    assert result["rows"][2]["legacy"]["place"] == "legacy.csv:4"


def test_two_runs_are_told_apart_by_the_declared_column_or_by_the_time_and_never_by_their_order(line: Line, tmp_path: Path) -> None:
    minute = 600_000_000
    first, second = item("PM-1", "70.5"), item("PM-1", "80.5", key="2", place="mixer/MIX/2", begin=10 * minute, end=11 * minute)
    text = f"t;no;at;batch_no\n80.5;2;1970-01-01 01:10:30;{BATCH}\n70.5;1;1970-01-01 01:00:30;{BATCH}\n"
    by_run = found(ruled(line, [RULE], run="no", ignore=("at",)), [first, second], legacy(tmp_path, text, SECTION))
    assert verdicts(by_run) == {"PM-1/1": "match", "PM-1/2": "match"}
    timed = Comparison(ebr_field="PM-1", legacy="t", unit="°C", time="at", time_tolerance_s=share("5"))
    by_time = found(ruled(line, [timed], ignore=("no",)), [first, second], legacy(tmp_path, text, SECTION))
    assert verdicts(by_time) == {"PM-1/1": "match", "PM-1/2": "match"}
    untold = found(ruled(line, [RULE], ignore=("no", "at")), [first, second], legacy(tmp_path, text, SECTION))
    assert verdicts(untold) == {"PM-1/1": "not-comparable", "PM-1/2": "not-comparable"}
    assert "nothing says which is which; the column that tells them apart is `run`" in untold["rows"][0]["reason"]
    one_side = found(ruled(line, [RULE], run="no", ignore=("at",)), [first], legacy(tmp_path, text, SECTION))
    assert verdicts(one_side) == {"PM-1/1": "match", "PM-1/2": "only-legacy"}


@pytest.mark.parametrize(
    ("at", "verdict", "why"),
    [
        ("2026-11-22 08:15:30", "match", ""),
        ("2026-11-22 08:16:05", "match", ""),
        ("2026-11-22 08:16:06", "mismatch", "taken 6 s after it ended (tolerance 5 s)"),
        ("2026-11-22 08:14:54", "mismatch", "taken 6 s before it began (tolerance 5 s)"),
        ("2026-10-25 02:30:00", "not-comparable", "happened twice in Europe/Paris: the clock was set that night; it is not guessed"),
        ("2026-03-29 02:30:00", "not-comparable", "does not exist in Europe/Paris"),
        ("soon", "not-comparable", "is no time in the form ISO 8601"),
    ],
)
def test_a_legacy_value_belongs_to_the_time_of_its_step(line: Line, tmp_path: Path, at: str, verdict: str, why: str) -> None:
    timed = Comparison(ebr_field="PM-1", legacy="t", unit="°C", time="at", time_tolerance_s=share("5"))
    begin = 17953317000000000  # 2026-11-22T07:15:00Z
    ours = item("PM-1", "70.5", begin=begin, end=begin + 600_000_000)
    (row,) = found(ruled(line, [timed]), [ours], legacy(tmp_path, f"t;at;batch_no\n70.5;{at};{BATCH}\n"))["rows"]
    assert row["verdict"] == verdict
    assert why in row["reason"]


@pytest.mark.parametrize(
    ("basis", "window", "at", "verdict"),
    [
        ("observed", 0.1, "08:15:01", "match"),
        ("observed", 0.1, "08:15:09", "mismatch"),
        ("observed", 8.0, "08:15:01", "not-comparable"),
        ("observed", None, "08:15:01", "not-comparable"),
        ("told-by-row", 0.0, "08:15:00", "not-comparable"),
        ("inferred-from-gap", 0.0, "08:15:00", "not-comparable"),
    ],
)
def test_the_instant_of_a_step_is_compared_where_the_gateway_saw_it(
    line: Line, tmp_path: Path, basis: str, window: float | None, at: str, verdict: str
) -> None:
    edge = Comparison(ebr_field="start:mixer/MIX", legacy="begun", rule="time", time_tolerance_s=share("2"))
    instant = {"time": "2026-11-22T07:15:00Z", "basis": basis, "window_s": window}
    ours = item("start:mixer/MIX", "2026-11-22T07:15:00Z", None, covered=None, instant=instant, statistic=None)
    (row,) = found(ruled(line, [edge]), [ours], legacy(tmp_path, f"begun;batch_no\n2026-11-22 {at};{BATCH}\n"))["rows"]
    assert row["verdict"] == verdict, row["reason"]
    assert row["reason"] or verdict != "not-comparable"


def test_what_was_not_covered_is_judged_by_the_declared_share_and_shows_it(line: Line, tmp_path: Path) -> None:
    ours, file = item("PM-1", "70.5", covered=0.83, status="gap"), legacy(tmp_path, f"t;batch_no\n70.5;{BATCH}\n")
    (row,) = found(ruled(line, [RULE]), [ours], file)["rows"]
    assert (row["verdict"], row["gateway"]["covered"], row["difference"]) == ("not-comparable", "0.83", "0")
    assert "observed 0.83 of the step, less than min_covered 1" in row["reason"]
    enough = Comparison(ebr_field="PM-1", legacy="t", unit="°C", min_covered=share("0.8"))
    (row,) = found(ruled(line, [enough]), [ours], file)["rows"]
    assert (row["verdict"], row["gateway"]["covered"], row["gateway"]["status"]) == ("match", "0.83", "gap")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("batch,ebr_field,result\n", "manual.csv:1: no column `value`: manual entries have batch,ebr_field,value,"),
        ("batch,ebr_field,value,sum\n", "manual.csv:1: unknown column `sum`"),
    ],
)
def test_a_file_of_manual_entries_has_the_documented_columns(tmp_path: Path, head: str, why: str) -> None:
    assert (manual_problem(by_hand(tmp_path, head)) or "").startswith(why)


def test_a_file_of_a_hundred_thousand_rows_is_streamed(tmp_path: Path) -> None:
    def rows(count: int) -> str:
        return "t;note;batch_no\n" + "".join(f"{at};{'x' * 40};B{at}\n" for at in range(count)) + f"70.5;ours;{BATCH}\n"

    def peak(count: int) -> int:
        path = tmp_path / "legacy.csv"
        path.write_text(rows(count))
        tracemalloc.start()
        from gateway.validation.parallel_run.legacy import of_file

        record = of_file(path, SECTION, BATCH)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (record.read, len(record.rows)) == (count + 1, 1)
        return top

    peak(10)
    few, many = peak(1_000), peak(100_000)
    assert many < few + 500_000, "what it takes does not grow with the file"
