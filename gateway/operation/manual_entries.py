"""Reads a file of what people wrote by hand during a fallback. Pure: all of it is good, or every bad row is told with its line.

A value stays as it was written: it is no reading, is never converted, and stands beside what was measured, never in its place.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import orjson

from config import did_you_mean
from drivers.local_time import candidates, ticks_of
from gateway.entries.fallback import span
from gateway.entries.printable import printable
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.entries.wall_clock import wall_clock

NEEDED = ("time", "batch", "equipment", "ebr_field", "value", "entered_by", "second_person")
MORE = ("step", "run", "unit", "transcribed_from", "remark")
"""The columns: those that must be there, and those that may."""
MOST_ROWS = 1_000
MOST_CELL = 500
MOST_TOLD = 20
_KEY = ("batch", "equipment", "step", "run", "ebr_field", "at")
"""What makes an entry the same one: a second value for it is another value of the same thing."""


RUN = "run:"
"""Before the key without a run, of an entry that has one or not: two that differ in nothing but that one names no run are told by it."""
_SAID_OTHERWISE = (
    "was imported before and said something else: what stands in the record is not changed; take this row out, and correct the value where "
    "it is used, in the EBR, with a reason"
)


class Interval(Protocol):
    """A fallback in which people may have written. end None: it lasts."""

    id: str
    equipments: list[str]
    begin: int
    end: int | None


def _nothing(_key: str) -> Any:
    return None


class Known(NamedTuple):
    """What rows are held against. steps: by equipment. fallbacks: in which people wrote. now: ticks. zone: of times without an offset.

    taken: content of what was imported before, by key. since: ticks back to which fallbacks are remembered; 0: all are.
    """

    steps: Mapping[str, Sequence[str]]
    fallbacks: Sequence[Interval]
    now: int
    zone: ZoneInfo
    taken: Callable[[str], Any] = _nothing
    since: int = 0


class Entry(NamedTuple):
    """One value that somebody wrote. key: what it is of; content: the digest of all that it says. place: its line.

    bare: the key that it would have without a run.
    """

    key: str
    bare: str
    content: str
    place: int
    told: dict[str, Any]


class NotTaken(Exception):
    """A file is not taken, and nothing of it; the text has a line for each reason, with file and line."""


def entries_of(name: str, text: str, known: Known) -> list[Entry]:
    """Read a file. Raises NotTaken with every row that is wrong."""
    problems: list[str] = []
    found: dict[str, Entry] = {}
    for place, cells, wrong in _rows(name, text):
        told, more = ({}, [wrong]) if wrong else _read(cells, known)
        entry = None if more else _entry(told, place)
        if entry is not None and (why := _doubled(entry, found)):
            more = [why]
        problems += [f"{name}:{place}: {one}" for one in more]
        if entry is not None and not more:
            found[entry.key] = entry
            found.setdefault(f"{RUN}{entry.bare}", entry)
    if not problems and not found:
        problems.append(f"{name}: has a header and no row")
    if problems:
        more_told = [f"and {len(problems) - MOST_TOLD} more"] if len(problems) > MOST_TOLD else []
        raise NotTaken("\n".join([*problems[:MOST_TOLD], *more_told, "nothing of it was imported"]))
    return [entry for key, entry in found.items() if not key.startswith(RUN)]


def _rows(name: str, text: str) -> Iterator[tuple[int, dict[str, str], str]]:
    """Yield (line, cells, what is wrong with it). Raises NotTaken where it is no such table at all."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    header: list[str] = []
    while True:
        begin = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise NotTaken(f"{name}:{begin}: not readable as CSV: {error}\nnothing of it was imported") from None
        if not header:
            header = _header(name, cells)
        elif any(cells):
            yield begin, dict(zip(header, cells, strict=False)), _shape(cells, header, begin)
    if not header:
        raise NotTaken(f"{name}: is empty; its first line is {','.join((*NEEDED, *MORE))}\nnothing of it was imported")


def _header(name: str, cells: list[str]) -> list[str]:
    columns = (*NEEDED, *MORE)
    wrong = [f"no column `{column}`" for column in NEEDED if column not in cells]
    wrong += [f"unknown column `{cell[:60]}`{did_you_mean(cell, columns)}" for cell in cells if cell not in columns]
    wrong += [f"column `{cell}` stands twice" for cell in dict.fromkeys(cells) if cells.count(cell) > 1]
    if wrong:
        told = "; ".join(wrong[:MOST_TOLD])
        raise NotTaken(f"{name}:1: {told}; the columns are {','.join(columns)}\nnothing of it was imported")
    return cells


def _shape(cells: list[str], header: list[str], line: int) -> str:
    if len(cells) != len(header):
        return f"{len(cells)} cells, but the header has {len(header)}: is a delimiter in a number, or a quotation mark missing?"
    if line > MOST_ROWS * 10:
        return f"more than {MOST_ROWS * 10:,} lines: cut the file"
    if any(len(cell) > MOST_CELL for cell in cells):
        return f"a cell has more than {MOST_CELL} characters"
    if any(printable(cell) != cell for cell in cells):
        return "a cell has a line break, or characters that can not be printed"
    return ""


def _read(cells: Mapping[str, str], known: Known) -> tuple[dict[str, Any], list[str]]:
    """Return what a row tells, and what is wrong with it."""
    at, width, wrong = looked_at(cells, known)
    fallback = None if wrong or at is None else _fallback(cells["equipment"], at, width, known.fallbacks)
    told = {name: cells.get(name) or None for name in (*NEEDED, *MORE) if name != "time"}
    told["run"] = str(int(cells["run"])) if told["run"] and not wrong else told["run"]
    told["at"] = None if at is None else rfc3339(at)
    told["origin"] = "transcribed" if cells.get("transcribed_from") else "manual"
    if not wrong and fallback is None and known.taken(_key_of(told)) is None:
        wrong.append(_outside(cells, known) if at is None or at >= known.since else _forgotten(cells, known))
    return {**told, "fallback": None if fallback is None else fallback.id}, wrong


def looked_at(cells: Mapping[str, str], known: Known) -> tuple[int | None, int, list[str]]:
    """Return when the value of a row was taken, for how many ticks that stands, and what is wrong with the row, whenever it was."""
    wrong = [f"column `{name}` is empty" for name in NEEDED if not cells.get(name)]
    at, why = _time(cells.get("time", ""), known)
    wrong += [told for told in (why, _persons(cells), _place(cells, known), _run(cells)) if told]
    return at, 0 if at is None else _width(cells["time"]), wrong


def _time(text: str, known: Known) -> tuple[int | None, str]:
    """Return (ticks, what is wrong). A time without an offset is the line's wall clock, and must name one instant."""
    if not text:
        return None, ""
    try:
        moment = datetime.fromisoformat(text)
        found = candidates(moment, known.zone) if moment.tzinfo is None else [_exactly(text, moment)]
    except (ValueError, OverflowError):
        return None, f"time {text[:60]} is none: write 2026-11-22T08:15 or 2026-11-22T07:15:00Z"
    if len(found) != 1:
        told = "happened twice" if found else "never happened"
        return None, f"time {text} {told} in {known.zone.key}: write it with its offset"
    if found[0] > known.now:
        return None, f"time {text} is still to come"
    return found[0], ""


def _exactly(text: str, moment: datetime) -> int:
    """Read a time with an offset to 100 ns, as the record writes them; Python's own times end at a microsecond."""
    try:
        return from_rfc3339(text)
    except ValueError:
        return ticks_of(moment)


def _width(text: str) -> int:
    """Give for how long a time stands that was written so: 08:15 is any instant of that minute, 08:15:30 any of that second."""
    seconds = re.search(r"[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?", text)
    if seconds is None or seconds[1] is None:
        return 60 * TICKS_PER_S
    return TICKS_PER_S if seconds[2] is None else 1


def _persons(cells: Mapping[str, str]) -> str:
    first, second = (" ".join(cells.get(name, "").split()).casefold() for name in ("entered_by", "second_person"))
    if first and first == second:
        return f"entered_by and second_person are one person, {cells['entered_by']}: an entry by hand needs two"
    return ""


def _place(cells: Mapping[str, str], known: Known) -> str:
    equipment, step = cells.get("equipment", ""), cells.get("step", "")
    if equipment and equipment not in known.steps:
        return f"the line has no equipment {equipment}{did_you_mean(equipment, list(known.steps))}"
    if equipment and step and step not in known.steps[equipment]:
        return f"{equipment} has no step {step}{did_you_mean(step, known.steps[equipment])}"
    return ""


def _run(cells: Mapping[str, str]) -> str:
    run = cells.get("run", "")
    return "" if not run or (run.isascii() and run.isdigit() and int(run) > 0) else f"run {run} is no number of a run"


def _fallback(equipment: str, at: int, width: int, fallbacks: Iterable[Interval]) -> Interval | None:
    """Return the fallback in which somebody wrote: of this equipment, at an instant of at to at + width."""
    mine = ((one, *span(one.begin, one.end)) for one in fallbacks if not one.equipments or equipment in one.equipments)
    return next((one for one, begin, end in mine if begin < at + width and (end is None or at <= end)), None)


def _outside(cells: Mapping[str, str], known: Known) -> str:
    held = [f"{_local(one.begin, known)} to {'now' if one.end is None else _local(one.end, known)}" for one in known.fallbacks[-3:]]
    told = f"; the newest were {', '.join(held)}" if held else "; there was none"
    return f"at {cells['time']} the records of {cells['equipment']} were led here: no fallback was then{told}"


def _forgotten(cells: Mapping[str, str], known: Known) -> str:
    held = f"the newest {len(known.fallbacks)} fallbacks are remembered, back to {_local(known.since, known)}"
    what = "keep the paper record, and name it in the review of the batch: ebr-gateway audit review"
    return f"at {cells['time']} nobody knows any more who led the records of {cells['equipment']}: {held}; {what}"


def _local(ticks: int, known: Known) -> str:
    return wall_clock(ticks, known.zone)


def _entry(told: dict[str, Any], place: int) -> Entry:
    """Make an entry. Which fallback it is of follows from its time, and may be forgotten: it is no content."""
    content = {name: value for name, value in told.items() if name != "fallback"}
    return Entry(_key_of(told), _key_of({**told, "run": None}), _digest(content), place, told)


def _key_of(told: Mapping[str, Any]) -> str:
    return _digest({name: told[name] for name in _KEY})


def _doubled(entry: Entry, found: Mapping[str, Entry]) -> str:
    """Say which row before says the same thing; "" where none does. One without a run may be of each."""
    if (same := found.get(entry.key)) is not None:
        return f"says the same thing as line {same.place}: one value for each batch, equipment, step, run, field and time"
    if (near := found.get(f"{RUN}{entry.bare}" if entry.key == entry.bare else entry.bare)) is not None:
        return f"says the same thing as line {near.place}, but one of them names no run: name it in both, or take one out"
    return ""


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def sifted(name: str, entries: Iterable[Entry], taken: Callable[[str], str | None]) -> list[Entry]:
    """Return the entries that were not imported before. taken: content of the one of a key. Raises NotTaken for one that says otherwise."""
    fresh, wrong = [], []
    for entry in entries:
        before = taken(entry.key)
        if before is None and (why := _near(entry, taken)):
            wrong.append(f"{name}:{entry.place}: {why}")
        elif before is None:
            fresh.append(entry)
        elif before != entry.content:
            wrong.append(f"{name}:{entry.place}: {_SAID_OTHERWISE}")
    if wrong:
        more = [f"and {len(wrong) - MOST_TOLD} more"] if len(wrong) > MOST_TOLD else []
        raise NotTaken("\n".join([*wrong[:MOST_TOLD], *more, "nothing of it was imported"]))
    return fresh


def _near(entry: Entry, taken: Callable[[str], Any]) -> str:
    """Say what was imported before that this may be the same as, but that one of them names no run; "" where nothing was."""
    if entry.key == entry.bare:
        before = taken(f"{RUN}{entry.bare}")
        return "" if before is None else f"was imported before, with run {before}: name the run, or take this row out"
    return "" if taken(entry.bare) is None else "was imported before without a run: take this row out"
