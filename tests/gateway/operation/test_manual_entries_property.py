"""Laws of the import: whatever a file holds, all of it is taken or nothing; what is taken is what was written; twice is once."""

import csv
import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.operation.manual_entries import MORE, NEEDED, Entry, Known, NotTaken, entries_of, sifted

pytestmark = pytest.mark.urs("URS-OBS-07")
BEGIN = from_rfc3339("2026-10-25T00:00:00Z")
LASTS_S = 7_200


class Interval:
    id, equipments, begin, end = "F-1", ["mixer"], BEGIN, BEGIN + LASTS_S * TICKS_PER_S


KNOWN = Known({"mixer": ["MIX"], "dryer": []}, [Interval()], Interval.end + TICKS_PER_S, ZoneInfo("Europe/Paris"))
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).map(str.strip).filter(bool)
COLUMNS = (*NEEDED, *MORE)


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, str]]:
    """Good rows, each of a field of its own; then one cell of some of them is spoilt."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        seconds = draw(st.integers(0, LASTS_S))
        persons = draw(st.lists(WORDS, min_size=2, max_size=2, unique_by=str.casefold))
        at, step, unit = rfc3339(BEGIN + seconds * TICKS_PER_S), draw(st.sampled_from(["", "MIX"])), draw(st.sampled_from(["", "Cel"]))
        row = {"time": at, "batch": draw(WORDS), "equipment": "mixer", "ebr_field": f"PM-{number}", "value": draw(WORDS)}
        row |= {"entered_by": persons[0], "second_person": persons[1], "step": step, "run": "", "unit": unit}
        found.append({**row, "transcribed_from": draw(st.sampled_from(["", "page 7"])), "remark": ""})
    return found


SPOILT = st.sampled_from(
    [
        *({name: ""} for name in NEEDED),
        {"equipment": "dryer"},
        {"equipment": "mill"},
        {"step": "DRY"},
        {"run": "0"},
        {"time": "2026-10-25T02:30"},
        {"time": rfc3339(Interval.end + 1)},
        {"time": rfc3339(BEGIN - 1)},
        {"value": "x\x07"},
    ]
)


def written(told: list[dict[str, str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(told)
    return text.getvalue()


def read(told: list[dict[str, str]], delimiter: str = ",") -> list[Entry]:
    return entries_of("f.csv", written(told, delimiter), KNOWN)


@given(rows(), st.sampled_from(",;\t"))
def test_what_is_taken_is_what_was_written_and_a_second_time_is_none(told: list[dict[str, str]], delimiter: str) -> None:
    entries = read(told, delimiter)
    assert [{name: one.told[name] or "" for name in COLUMNS if name != "time"} for one in entries] == [
        {name: row[name] for name in COLUMNS if name != "time"} for row in told
    ]
    assert [from_rfc3339(one.told["at"]) for one in entries] == [from_rfc3339(row["time"]) for row in told]
    taken = {one.key: one.content for one in entries}
    assert len(taken) == len(told)
    assert sifted("f.csv", read(told), taken.get) == []
    half = dict(list(taken.items())[: len(taken) // 2])
    assert [one.key for one in sifted("f.csv", entries, half.get)] == [one.key for one in entries if one.key not in half]


@given(rows(), st.data())
def test_one_spoilt_row_keeps_the_whole_file_out_and_is_the_one_that_is_named(told: list[dict[str, str]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(told) - 1))
    spoilt = [*told[:at], {**told[at], **data.draw(SPOILT)}, *told[at + 1 :]]
    with pytest.raises(NotTaken) as refused:
        read(spoilt)
    *lines, last = str(refused.value).splitlines()
    assert last == "nothing of it was imported"
    assert {line.split(": ")[0] for line in lines} == {f"f.csv:{at + 2}"}


@given(st.text(max_size=200))
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(text: str) -> None:
    with pytest.raises(NotTaken):
        entries_of("f.csv", text, KNOWN)
