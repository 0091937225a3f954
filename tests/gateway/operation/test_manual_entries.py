"""A file of what was written by hand: every bad row with its line, all of it or nothing, and each value once."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest

from gateway.entries.ticks import from_rfc3339
from gateway.operation.manual_entries import Entry, Known, NotTaken, entries_of, sifted

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
    with pytest.raises(NotTaken, match=r"hand\.csv:3: was imported before and said something else"):
        sifted("hand.csv", read(second, GOOD.replace("72.5", "73.5")), taken.get)


def test_a_fallback_that_ended_by_a_clock_set_back_takes_what_was_written_between_both_instants() -> None:
    turned = KNOWN._replace(fallbacks=[Interval("F-9", ticks("2026-10-25T10:00:00Z"), ticks("2026-10-25T09:00:00Z"))])
    (entry,) = entries_of("hand.csv", f"{HEAD}\n{GOOD}\n", turned)
    assert entry.told["fallback"] == "F-9"
