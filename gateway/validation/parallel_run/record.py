"""Gathers what the gateway has of a batch, field by field, from the journal: the latest record of each step, the batch's end."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import Entry, event_type, read_journal
from buffer.archive.happenings import Happening, happenings, latest, names_gone, steps_of
from buffer.times import from_rfc3339
from config import Line

Json = dict[str, Any]
_KINDS = frozenset({"step", "batch", "material", "sample", "rebind"})


class NoBatch(Exception):
    """The journal does not hold what is to be compared; the text says what."""


class Item(NamedTuple):
    """One value of the gateway's record.

    field: of the EBR, or start:/end: of a step. key: tells several of one field apart: the run of a step, a lot, a sample. place: for
    people. instant: of start: and end: alone, as the record states it. begin, end: ticks of the step. keyed: what the key is: run, lot,
    sample; "": it has none. equipment, step: "" where it is of none.
    """

    field: str
    name: str
    key: str
    place: str
    value: str | None
    unit: str | None
    status: str
    covered: float | None
    record: str
    begin: int | None = None
    end: int | None = None
    statistic: str | None = None
    instant: Json | None = None
    keyed: str = ""
    equipment: str = ""
    step: str = ""


class Record(NamedTuple):
    """What the journal holds of a batch. ended: when; started_under: digest of the configuration under which it began; None: not known."""

    batch: str
    status: str
    started: Json | None
    ended: Json | None
    started_under: str | None
    items: list[Item]


def record_of(data: Path, line: Line, batch: str) -> Record:
    """Read the record of a batch. Raises NoBatch; StorageError on damage, FileNotFoundError without a journal."""
    entries = _entries(data, batch)
    happened = happenings(entries)
    mine = [one for one in happened if one.event.get("batch") == batch]
    ends = latest(one for one in mine if one.event["type"] == "batch" and one.event["transition"] == "end")
    if not mine:
        raise NoBatch(f"the journal holds no batch {batch}; ebr-gateway log LINE --type batch lists what it holds")
    if not ends:
        raise NoBatch(f"batch {batch} has not ended at the gateway: compare it when it has, for its record may change until then")
    end = ends[-1].event
    if end.get("cause") == "corrected" and end.get("superseded_by"):
        raise NoBatch(f"batch number {batch} was wrong: all of it is that of batch {end['superseded_by']}")
    items = [*_steps(line, steps_of(happened, batch)), *_of_batch(end), *_booked(mine, names_gone(happened))]
    return Record(batch, str(end.get("status")), end.get("start"), end.get("end"), _started_under(entries, batch), items)


def _entries(data: Path, batch: str) -> list[Entry]:
    """Return the entries that may tell of a batch, those of names under which its records were made first included."""
    wanted = {orjson.dumps(batch)}
    while True:
        found = [one for one in read_journal(data) if event_type(one.payload) in _KINDS and any(name in one.payload for name in wanted)]
        more = wanted | {orjson.dumps(name) for name in _former(found)}
        if more == wanted:
            return found
        wanted = more


def _former(found: Iterable[Entry]) -> Iterator[str]:
    """Yield the batches from which records went over as they stood."""
    for entry in found:
        if event_type(entry.payload) == "rebind":
            event = orjson.loads(entry.payload)["event"]
            name = (event.get("from") or {}).get("batch")
            if event.get("final") and name:
                yield name


def _started_under(entries: Iterable[Entry], batch: str) -> str | None:
    for entry in entries:
        told = orjson.loads(entry.payload)
        if told["event"].get("batch") == batch:
            sha256 = (told.get("config") or {}).get("sha256")
            return None if sha256 is None else str(sha256)
    return None


def _steps(line: Line, steps: Iterable[Happening]) -> Iterator[Item]:
    edges = {row.ebr_field for row in line.comparisons if row.edge is not None}
    for one in steps:
        event = one.event
        run, record = str(event["run"]), f"{event['record']}#{event['revision']}"
        equipment, step = str(event["equipment"]), str(event["step"])
        place = f"{equipment}/{step}/{run}"
        begin, end = (None if event.get(name) is None else from_rfc3339(event[name]["time"]) for name in ("start", "end"))
        for parameter in event["parameters"]:
            if parameter.get("ebr_field"):
                yield _parameter(parameter, run, place, record)._replace(begin=begin, end=end, keyed="run", equipment=equipment, step=step)
        for name in ("start", "end"):
            field, instant = f"{name}:{event['equipment']}/{event['step']}", event.get(name)
            if field in edges:
                value, status = (None, "missing") if instant is None else (instant["time"], "present")
                edge = Item(field, f"{name} of {event['step']}", run, place, value, None, status, None, record, begin, end)
                yield edge._replace(instant=instant, keyed="run", equipment=equipment, step=step)


def _parameter(told: Mapping[str, Any], key: str, place: str, record: str) -> Item:
    return Item(
        field=told["ebr_field"],
        name=told.get("name") or told["parameter"],
        key=key,
        place=place,
        value=_text(told.get("value")),
        unit=told.get("unit"),
        status=told["status"],
        covered=told.get("covered"),
        record=record,
        statistic=told.get("statistic"),
    )


def _of_batch(end: Mapping[str, Any]) -> Iterator[Item]:
    """Yield the parameters of the whole batch, which stand in its end, by equipment."""
    record = f"{end.get('record')}#{end.get('revision')}"
    for stay in end.get("equipments", ()):
        begin, until = (None if stay.get(name) is None else from_rfc3339(stay[name]["time"]) for name in ("start", "end"))
        for told in stay.get("parameters") or ():
            if told.get("ebr_field"):
                equipment = str(stay.get("equipment"))
                yield _parameter(told, "", equipment, record)._replace(begin=begin, end=until, equipment=equipment)


def _booked(mine: Iterable[Happening], gone: set[str]) -> Iterator[Item]:
    """Yield what was booked and sampled: a quantity by its lot, a sample by its number."""
    told = [one for one in mine if one.event["type"] in ("material", "sample") and one.event.get("record") not in gone]
    for one in latest(told):
        event = one.event
        if not event.get("ebr_field"):
            continue
        of_sample = event["type"] == "sample"
        at = event.get("taken" if of_sample else "at")
        ticks = None if at is None else from_rfc3339(at["time"])
        lot = event.get("lot") or {}
        key = event.get("sample") if of_sample else lot.get("canonical") or lot.get("raw")
        value = event.get("sample") if of_sample else event.get("quantity")
        name = event.get("sampling") if of_sample else event.get("booking")
        place = f"{event.get('equipment')}/{name}"
        record = f"{event.get('record')}#{event.get('revision')}"
        made = Item(
            str(event["ebr_field"]),
            str(name),
            str(key or ""),
            place,
            _text(value),
            event.get("unit"),
            str(event.get("status")),
            None,
            record,
        )
        yield made._replace(begin=ticks, end=ticks, keyed="sample" if of_sample else "lot", equipment=str(event.get("equipment") or ""))


def _text(value: Any) -> str | None:
    """Write a value of the record as it stands; a curve, or anything else that is no single value, has none."""
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
