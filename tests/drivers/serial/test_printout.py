"""Printouts of several lines: one event from whole ones, and nothing from any other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Source, Tag
from drivers.serial import SerialDriver
from drivers.serial.answer import NotAnAnswer
from drivers.serial.lines import reader
from drivers.serial.printout import MOST_LINES, Incomplete, Printout

BEGIN, END = r"-+ *+Weighing.*+".replace("-+", "-++"), r"=++"
PATTERNS = (r"Batch: (?P<batch>[0-9A-Z]++)", r"Net *+(?P<net>[0-9]++\.[0-9]++) (?P<net_unit>g|kg)", r"Gross *+(?P<gross>[0-9.]++) g")
SAID = ["--- Weighing", "29.11.2026  10:15", "Batch: L17", "", "Gross   15.00 g", "Net     12.50 g", "Signature ......", "======"]


def printout() -> Printout:
    return Printout(BEGIN, END, [reader(pattern) for pattern in PATTERNS])


def take(place: Printout, lines: list[str]) -> list[dict[str, object]]:
    """Return the fields of each printout that is taken; one that is not whole gives the text of its error."""
    taken: list[dict[str, object]] = []
    for line in lines:
        try:
            answer = place.take(line.encode())
        except NotAnAnswer as error:
            taken.append({"error": str(error)})
        else:
            taken += [] if answer is None else [{name: value for name, (value, _) in answer.fields.items()}]
    return taken


WHOLE = {"batch": "L17", "net": "12.50", "net_unit": "g", "gross": "15.00"}


@pytest.mark.urs("URS-DAQ-05")
def test_the_fields_of_all_lines_come_with_the_last_one():
    assert take(printout(), SAID * 3) == [WHOLE] * 3


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize("at", range(len(SAID)))
def test_a_printout_that_lacks_a_line_with_a_value_or_its_ends_is_none(at):
    place = printout()
    taken = take(place, SAID[:at] + SAID[at + 1 :])
    assert (taken == [WHOLE]) == (SAID[at] in ("29.11.2026  10:15", "", "Signature ......"))
    assert take(place, SAID)[-1:] == [WHOLE]  # whatever was before it


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@given(st.integers(0, len(SAID) - 1), st.integers(0, 2), st.booleans())
def test_parts_of_two_printouts_are_never_one(first, second, spoiled):
    """One that broke off, and the next one, also if the line that begins it is not known for it."""
    other = [re.sub("[0-9]", "7", line) for line in SAID]
    lines = SAID[:first] + (["noise"] if spoiled else []) + other[second:]
    for fields in take(printout(), lines):
        assert "error" in fields or (fields["batch"], fields["net"], fields["gross"]) in (
            ("L17", "12.50", "15.00"),
            ("L77", "77.77", "77.77"),
        )


def test_a_pattern_that_meets_two_lines_is_told():
    (taken,) = take(printout(), [*SAID[:6], SAID[5], *SAID[6:]])
    assert taken == {"error": "not a whole printout: a pattern met two lines of it"}


def test_a_printout_without_end_is_given_up():
    place = printout()
    place.take(SAID[0].encode())
    for _ in range(MOST_LINES - 2):
        place.take(b"row")
    with pytest.raises(Incomplete, match="no end of the printout"):
        place.take(b"row")
    assert take(place, SAID) == [WHOLE]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"pattern": ["(?P<a>x)", "(?P<b>y)"]}, "needs begin and end"),
        ({"pattern": "(?P<a>x)", "begin": "x"}, "a printout needs begin and end"),
        ({"pattern": "(?P<a>x)", "pause_s": 5}, "needs begin and end"),
    ],
)
def test_what_makes_no_printout_is_refused(options, why):
    with pytest.raises(ValueError, match=why):
        SerialDriver.Settings.model_validate({"protocol": "line"} | options)


def problems(options, address="a") -> list[str]:
    source = Source(name="s", driver="serial", endpoint="serial:///dev/x", options={"protocol": "line"} | options)
    return [str(its) for its in SerialDriver.check(source, [Tag(tag="t", source="s", address=address, type="decimal", unit="1")])]


def test_check_knows_the_fields_of_all_patterns():
    options = {"begin": "B", "end": "E", "pattern": ["(?P<a>x)", "(?P<b>y)"]}
    assert problems(options) == problems(options, "b") == []
    assert "the instrument gives a, b" in problems(options, "c")[0]
    assert "named by two patterns" in problems(options | {"pattern": ["(?P<a>x)", "(?P<a>y)"]})[0]
    assert "must not give back" in problems(options | {"begin": "B.*"})[0]
