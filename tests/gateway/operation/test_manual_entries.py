"""A file of what was written by hand: every bad row with its line, all of it or nothing, and each value once."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest

from gateway.entries.ticks import from_rfc3339
from gateway.operation.manual_entries import Entry, Known, NotTaken, entries_of, sifted
from gateway.operation.manual_import import _marks

pytestmark = pytest.mark.urs("URS-OBS-07")
HEAD = "time,batch,equipment,step,run,ebr_field,value,unit,entered_by,second_person"
GOOD = "2026-10-25T10:15,B1,mixer,MIX,1,PM-1,72.5,Cel,Otto Bediener,Edda Bauer"


@dataclass
class Interval:
    id: str
    begin: int
    end: int | None
    equipments: list[str] = field(default_factory=list)


def ticks(text: str) -> int:
    return from_rfc3339(text)


KNOWN = Known(
    {"mixer": ["MIX", "WET"], "dryer": ["DRY"]},
    [
        Interval("F-1", ticks("2026-10-24T06:00:00Z"), ticks("2026-10-25T12:00:00Z")),
        Interval("F-2", ticks("2026-10-26T06:00:00Z"), None, ["dryer"]),
    ],
    ticks("2026-10-27T00:00:00Z"),
    ZoneInfo("Europe/Paris"),
)


def read(*rows: str, head: str = HEAD) -> list[Entry]:
    return entries_of("hand.csv", "\n".join([head, *rows]) + "\n", KNOWN)


def refused(*rows: str, head: str = HEAD) -> list[str]:
    with pytest.raises(NotTaken) as told:
        read(*rows, head=head)
    *lines, last = str(told.value).splitlines()
    assert last == "nothing of it was imported"
    return lines


def test_a_good_row_keeps_what_was_written_and_says_who_when_and_in_which_fallback() -> None:
    (entry,) = read(GOOD)
    assert entry.place == 2
    assert {name: entry.told[name] for name in ("batch", "value", "unit", "entered_by", "second_person", "origin", "fallback", "at")} == {
        "batch": "B1",
        "value": "72.5",
        "unit": "Cel",
        "entered_by": "Otto Bediener",
        "second_person": "Edda Bauer",
        "origin": "manual",
        "fallback": "F-1",
        "at": "2026-10-25T09:15:00.000000Z",
    }
    (copied,) = read(f"{GOOD},page 7 of the log", head=f"{HEAD},transcribed_from")
    assert copied.told["origin"] == "transcribed"


@pytest.mark.parametrize(
    ("time", "is_in"),
    [
        ("2026-10-24T08:00", True),
        ("2026-10-24T07:59", False),
        ("2026-10-24T07:59:59", False),
        ("2026-10-25T13:00", True),
        ("2026-10-25T13:01", False),
        ("2026-10-25T12:00:00.0000001Z", False),
        ("2026-10-24T05:59:59.9999999Z", False),
    ],
)
def test_a_time_stands_for_as_long_as_it_was_written(time: str, is_in: bool) -> None:
    row = GOOD.replace("2026-10-25T10:15", time)
    if is_in:
        assert len(read(row)) == 1
    else:
        assert "no fallback was then" in refused(row)[0]


def test_a_fallback_that_began_within_the_minute_that_was_written_is_the_one() -> None:
    begun = KNOWN._replace(fallbacks=[Interval("F-9", ticks("2026-10-25T09:15:12Z"), None)])
    (entry,) = entries_of("hand.csv", f"{HEAD}\n{GOOD}\n", begun)
    assert entry.told["fallback"] == "F-9"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (GOOD.replace("72.5", ""), "column `value` is empty"),
        (GOOD.replace("Edda Bauer", ""), "column `second_person` is empty"),
        (GOOD.replace("Edda Bauer", " otto   BEDIENER"), "entered_by and second_person are one person"),
        (GOOD.replace("2026-10-25T10:15", "half past ten"), "time half past ten is none"),
        (GOOD.replace("2026-10-25T10:15", "2026-10-25T02:30"), "time 2026-10-25T02:30 happened twice in Europe/Paris"),
        (GOOD.replace("2026-10-25T10:15", "2026-03-29T02:30"), "time 2026-03-29T02:30 never happened in Europe/Paris"),
        (GOOD.replace("2026-10-25T10:15", "2027-01-01T00:00"), "is still to come"),
        (GOOD.replace("2026-10-25T10:15", "2026-10-25T14:00"), "were led here: no fallback was then"),
        (GOOD.replace("2026-10-25T10:15", "2026-10-26T10:15"), "were led here: no fallback was then"),
        (GOOD.replace("mixer", "mixr"), "the line has no equipment mixr"),
        (GOOD.replace("MIX,", "MIXX,"), "mixer has no step MIXX"),
        (GOOD.replace(",1,", ",first,"), "run first is no number of a run"),
        (GOOD.replace("72.5", "72,5"), "11 cells, but the header has 10"),
        (GOOD.replace("72.5", "x" * 501), "a cell has more than 500 characters"),
        (GOOD.replace("72.5", "72\x1b[2J"), "characters that can not be printed"),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_nothing_of_the_file_is_taken(row: str, why: str) -> None:
    (told,) = refused(GOOD.replace("PM-1", "PM-0"), row)
    assert told.startswith("hand.csv:3: ")
    assert why in told


def test_every_bad_row_is_told_and_a_value_that_stands_twice_names_both_lines() -> None:
    told = refused(GOOD, GOOD.replace("mixer", "mixr"), GOOD.replace("72.5", "73"), GOOD.replace("Edda Bauer", ""))
    assert [line.split(": ")[0] for line in told] == ["hand.csv:3", "hand.csv:4", "hand.csv:5"]
    assert "says the same thing as line 2" in told[1]
    many = refused(*[GOOD.replace("mixer", f"m{number}") for number in range(30)])
    assert many[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "hand.csv: is empty"),
        (HEAD, "hand.csv: has a header and no row"),
        (HEAD.replace("batch", "lot"), "hand.csv:1: no column `batch`; unknown column `lot`"),
        (f"{HEAD},value", "column `value` stands twice"),
        (f'{HEAD}\n"2026', "hand.csv:2: not readable as CSV"),
    ],
)
def test_what_is_no_such_table_is_told_in_one_line(text: str, why: str) -> None:
    with pytest.raises(NotTaken) as told:
        entries_of("hand.csv", text, KNOWN)
    first, *_ = str(told.value).splitlines()
    assert why in first


def test_what_was_imported_is_passed_over_and_another_value_for_it_is_refused_with_its_line() -> None:
    (first,), second = read(GOOD), GOOD.replace("PM-1", "PM-2")
    taken = {first.key: first.content}
    assert [one.told["ebr_field"] for one in sifted("hand.csv", read(GOOD, second), taken.get)] == ["PM-2"]
    with pytest.raises(NotTaken, match=r"hand\.csv:3: was imported before and said something else.*take this row out, and correct"):
        sifted("hand.csv", read(second, GOOD.replace("72.5", "73.5")), taken.get)


def test_a_fallback_that_ended_by_a_clock_set_back_takes_what_was_written_between_both_instants() -> None:
    turned = KNOWN._replace(fallbacks=[Interval("F-9", ticks("2026-10-25T10:00:00Z"), ticks("2026-10-25T09:00:00Z"))])
    (entry,) = entries_of("hand.csv", f"{HEAD}\n{GOOD}\n", turned)
    assert entry.told["fallback"] == "F-9"


NO_RUN = GOOD.replace(",1,", ",,")


def test_the_run_of_a_value_is_a_number_and_one_written_without_it_is_not_a_third_value() -> None:
    (told,) = refused(GOOD, GOOD.replace(",1,", ",01,"))
    assert "says the same thing as line 2: one value" in told
    for rows in ((GOOD, NO_RUN), (NO_RUN, GOOD)):
        (told,) = refused(*rows)
        assert told.startswith("hand.csv:3: says the same thing as line 2, but one of them names no run: name it in both")
    assert [one.told["run"] for one in read(GOOD, GOOD.replace(",1,", ",02,"))] == ["1", "2"], "two runs within a minute are two"


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (GOOD, NO_RUN, "hand.csv:2: was imported before, with run 1: name the run"),
        (NO_RUN, GOOD, "hand.csv:2: was imported before without a run: take this row out"),
    ],
)
def test_a_value_that_was_imported_with_or_without_its_run_does_not_come_in_again_by_the_other(before: str, now: str, why: str) -> None:
    marks = _marks(read(before))
    taken = {key.removeprefix("manual:"): value for key, value in marks.items()}
    assert sifted("hand.csv", read(before), taken.get) == []
    with pytest.raises(NotTaken) as told:
        sifted("hand.csv", read(now), taken.get)
    assert str(told.value).startswith(why)


def test_a_file_that_was_imported_is_known_after_its_fallback_is_not_remembered_and_another_is_told_so() -> None:
    (first,) = read(GOOD)
    later = [Interval(f"F-{day}", ticks(f"2026-10-26T{day:02}:00:00Z"), ticks(f"2026-10-26T{day:02}:30:00Z")) for day in range(3)]
    known = KNOWN._replace(fallbacks=later, since=later[0].begin, taken={first.key: first.content}.get)
    text = f"{HEAD}\n{GOOD}\n"
    again = entries_of("hand.csv", text, known)
    assert sifted("hand.csv", again, known.taken) == []
    with pytest.raises(NotTaken) as told:
        entries_of("hand.csv", text.replace("PM-1", "PM-9"), known)
    assert "nobody knows any more who led the records of mixer: the newest 3 fallbacks are remembered, back to 2026-10-26 01:00:00" in str(
        told.value
    )
    assert "no fallback was then" not in str(told.value)
