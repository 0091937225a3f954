"""Take the events out of an archive's entries."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from buffer.segment import Entry
from buffer.times import TICKS_PER_S, from_rfc3339


class Happening(NamedTuple):
    """One event of an entry. seqs: of its entries, several if it was cut into parts. environment: where it was made.

    exceptions: what the line did that production refuses, because QA had accepted it. simulated: a source of it was a simulator.
    """

    epoch: int
    seqs: tuple[int, ...]
    time: str
    event: dict[str, Any]
    environment: str | None = None
    exceptions: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def where(self) -> str:
        """Its entries, for people."""
        return f"{self.seqs[0]}" if len(self.seqs) == 1 else f"{self.seqs[0]}-{self.seqs[-1]}"


def is_event(entry: Entry) -> bool:
    """Return True if an entry holds an event, not readings: in a text a quotation mark would be escaped."""
    return b'"event":{' in entry.payload


def happenings(entries: Iterable[Entry]) -> list[Happening]:
    """Return every event, in order; an event that was cut into parts is joined again."""
    joined_events: list[Happening] = []
    open_parts: dict[tuple[Any, ...], Happening] = {}
    for entry in entries:
        if not is_event(entry):
            continue
        item = json.loads(entry.payload)
        event = item["event"]
        where = (item.get("environment"), tuple(item.get("exceptions", ())), bool(item.get("simulated")))
        now = Happening(entry.epoch, (entry.seq,), item["time"], event, *where)
        if "sliced" not in event:
            joined_events.append(now)
            continue
        key = entry.epoch, event["type"], event.get("record") or event.get("id"), event.get("revision"), event.get("transition")
        before = open_parts.pop(key, None)
        if before is not None:
            joined = {name: [*before.event[name], *event[name]] for name in event["sliced"]}
            now = before._replace(seqs=(*before.seqs, entry.seq), event={**event, **joined})
        if event["part"] == event["of"]:
            joined_events.append(now)
        else:
            open_parts[key] = now
    return joined_events + list(open_parts.values())


def latest(happened: Iterable[Happening]) -> list[Happening]:
    """Return the latest revision of each record, in the order of their first ones."""
    by_record: dict[Any, Happening] = {}
    for happening in happened:
        by_record[happening.event.get("record") or happening.seqs] = happening
    return list(by_record.values())


def names_gone(happened: Iterable[Happening]) -> set[str]:
    """Return the names of the records that went over to another batch: a rebind, or a booking of another name, superseded them."""
    gone = set()
    for happening in happened:
        old = str(happening.event.get("supersedes") or "")
        is_booking = happening.event["type"] in {"material", "sample"}
        name = old.rpartition("#")[0] if is_booking else old if happening.event["type"] == "rebind" else ""
        gone |= {name} - {"", happening.event.get("record")}
    return gone


def corrected(mine: Iterable[Happening], steps: Iterable[Happening], gone: set[str]) -> list[Happening]:
    """Return every end of a batch, and what corrects one of its other records; gone: names of records that are another batch's now.

    steps: the latest of each; among them are those that went over to this batch as they stand. A result of the laboratory that comes
    completes its sample, and corrects nothing.
    """
    over = [step for step in steps if "made_as" in step.event]
    told = [*(one for one in mine if one.event.get("record") not in gone), *over]
    return sorted(filter(_corrects, told), key=lambda one: (one.epoch, one.seqs))


def _corrects(happening: Happening) -> bool:
    event = happening.event
    if event["type"] == "batch" and event["transition"] == "end":
        return True
    return (event.get("revision") or 1) > 1 and not (event["type"] == "sample" and event.get("reason") == "result")


def steps_of(happened: Iterable[Happening], batch: str) -> list[Happening]:
    """Return the latest step records of a batch. One that went over to it as it stands bears the new name, and `made_as` its former one."""
    rebinds = [happening.event for happening in happened if happening.event["type"] == "rebind" and happening.event.get("supersedes")]
    gone, final = {event["supersedes"] for event in rebinds}, {event["supersedes"]: event for event in rebinds if event.get("final")}
    found = []
    for happening in happened:
        event = happening.event
        if event["type"] != "step" or event["transition"] != "end":
            continue
        for _ in final:
            over = final.get(event["record"])
            if over is None:
                break
            event = {**event, **over["to"], "record": over["record"], "run": over["run"], "made_as": happening.event["record"]}
        if event.get("batch") == batch and event["record"] not in gone:
            found.append(happening._replace(event=event))
    return latest(found)


def running(batch: str, happened: Iterable[Happening], at: Happening) -> list[str]:
    """Name the steps of a batch that had begun and not ended in the entries before `at`, which set the clock: times do not tell it.

    The start of one may be told after it was seen to stand, and that of one that went over to this batch stands under another name: it
    has begun too if its time is over by either clock.
    """
    now = from_rfc3339(at.time)
    by_either = min(now, now - round((at.event.get("step_s") or 0.0) * TICKS_PER_S))
    begun: dict[str, bool] = {}
    names: dict[str, str] = {}
    ended: set[str] = set()
    for one in happened:
        event = one.event
        if event["type"] == "step" and event.get("batch") == batch:
            is_before = (one.epoch, one.seqs) < (at.epoch, at.seqs)
            names.setdefault(event["record"], f"{event['equipment']}: {event['step']}/{event['run']}")
            is_told = is_before and event["transition"] == "start"
            begun[event["record"]] = begun.get(event["record"], False) or is_told or from_rfc3339(event["start"]["time"]) <= by_either
            ended |= {event["record"]} if event["transition"] == "end" and is_before else set()
    return [name for record, name in names.items() if begun[record] and record not in ended]
