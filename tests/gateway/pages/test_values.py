"""Live values in words and as they are drawn, and the names of their statuses."""

from typing import Any

import pytest
from asyncua.ua import status_codes
from kit.line_states import tags
from kit.snapshots import value

from gateway.entries.status_names import NAMES, severity, status_name
from gateway.operation.value_wording import age, fits, in_words, quality, shown
from gateway.operation.values import number_of
from gateway.pages.tags import PER_PAGE, course, pages_of, sparkline


def test_each_name_of_a_status_is_that_of_the_standard() -> None:
    known = {code: name for name, code in vars(status_codes.StatusCodes).items() if isinstance(code, int)} | {0x40000000: "Uncertain"}
    assert {code: known[code] for code in NAMES} == NAMES
    assert status_name(0x808C0000 | 0x0403) == "BadSensorFailure", "the lower half holds flags"
    assert (status_name(0x80FF0000), status_name(0x41230000)) == ("Bad (0x80FF0000)", "Uncertain (0x41230000)")
    assert [severity(status) for status in (0, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000)] == [
        "good",
        "good",
        "uncertain",
        "uncertain",
        "bad",
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (value("a", "s", 60.1234567), "60.1235"),
        (value("a", "s", 20, text="MIX"), "MIX (20)"),
        (value("a", "s", number=False), "false"),
        (value("a", "s", "1.250"), "1.250"),
        (value("a", "s", None), "–"),
        (value("a", "s", "x" * 100), "x" * 59 + "…"),
    ],
)
def test_a_value_is_written_as_people_read_it(row: dict[str, Any], told: str) -> None:
    assert shown(row) == told


def test_what_is_in_a_gap_is_not_observed_whatever_it_was() -> None:
    rows = {row["tag"]: row for row in tags()}
    assert quality(rows["lims.lod"]) == ("not observed now", "bad")
    assert age(rows["lims.lod"]) == "95 s ago"
    assert quality(rows["lims.new"]) == ("no value yet", "warn")
    assert age(rows["lims.new"]) == "–"
    assert quality(rows["dryer.moisture"]) == ("Bad: sensor failure", "bad")
    assert quality(rows["dryer.inlet_temp"])[1] == "warn"
    assert age(rows["granulator.step"]) == "now, the same for 11 min"
    assert [in_words(name) for name in ("Good", "Bad (0x80FF0000)", "BadNoData")] == ["Good", "Bad (0x80FF0000)", "Bad: no data"]


def test_a_filter_asks_for_each_of_its_words() -> None:
    found = [row["tag"] for row in tags() if fits(row, "GRANULATOR impeller")]
    assert found == ["granulator.impeller_speed"]
    assert [row["tag"] for row in tags() if fits(row, "sensor failure")] == ["dryer.moisture"]
    assert len([row for row in tags() if fits(row, "  ")]) == len(tags())


@pytest.mark.parametrize(("of", "number"), [(True, 1.0), ("1.25", 1.25), (None, None), ("MIX", None), (float("nan"), None), ([1], None)])
def test_only_numbers_are_drawn(of: Any, number: float | None) -> None:
    assert number_of(of) == number


def test_a_course_is_drawn_within_its_frame_and_not_over_what_is_bad() -> None:
    assert sparkline([1.0]) == ""
    assert sparkline([5.0, 5.0]) == "M2.0 14.0L118.0 14.0"
    assert sparkline([0.0, 10.0]) == "M2.0 25.0L118.0 3.0"
    trend = {"times": [0.0, 1.0, 2.0, 3.0], "values": [1.0, 2.0, None, 4.0], "between": "linear"}
    drawn = course(trend)
    assert drawn is not None
    assert (len(drawn.paths), drawn.low, drawn.high) == (2, 1.0, 4.0)
    held = course({**trend, "between": "hold"})
    assert held is not None
    assert ("L" in held.paths[0], "H" in held.paths[0]) == (False, True)
    assert course({**trend, "values": [None, None, None, 4.0]}) is None


def test_many_tags_take_several_pages() -> None:
    assert [pages_of(count) for count in (0, 1, PER_PAGE, PER_PAGE + 1)] == [1, 1, 1, 2]
