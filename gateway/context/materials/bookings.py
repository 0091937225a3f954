"""When something is booked or sampled: triggers seen in tags and rows, decided once everything of that instant has come, revised later.

An occasion is never lost silently: what can not be said of it stands in its `problems`, and it is made all the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote

import orjson

from config.grammars.step_condition import parse
from config.materials import Booking, Occasion, Sampling, tags_of
from drivers.exact_json import exact_json
from gateway.context import event_bodies, waits
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.materials.booking import booking_event
from gateway.context.materials.booking_terms import Facts, sources_of
from gateway.context.materials.sample import sample_event
from gateway.context.plan import LATENESS_TICKS, LEVELS, Plan
from gateway.context.state import Identity, Instant, PendingBooking, PostedBooking, Run, State
from gateway.context.texts import LONGEST_TEXT, key_text, text
from gateway.context.throttle import say_once
from gateway.entries.findings import Severity
from gateway.entries.fold_input import EARLIEST_TICKS, Json
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.parameters import usable

Table = Literal["material", "sample"]

MOST_HELD = 512
"""Bookings and samples held for revisions."""
MOST_REMEMBERED = 5_000
"""Rows of which it is remembered that they were booked, and as what."""
MOST_WAITING = 1_000
MOST_UNLINKED = 200
"""Results kept for a sample that is told after them."""
BEFORE_START_TICKS = 86_400 * TICKS_PER_S
"""Rows older than this before the journal's beginning tell the plant's past, not what this gateway witnessed."""


class Bookings:
    """Everything that materials.csv and samples.csv ask for."""

    def __init__(self, state: State, plan: Plan, ledgers: Ledgers, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._ledgers, self._emit = state, plan, ledgers, emit
        self.gateway = plan.line.gateway
        self._rows: dict[tuple[Table, str, str], list[Occasion]] = {}
        for table, rows in plan.occasions:
            for row in rows:
                self._rows.setdefault((table, row.name, row.equipment), []).append(row)
        self.triggers = {tag: list(self._triggered(tag)) for tag in plan.trigger_tags}
        self._queries = {row.trigger for rows in self._rows.values() for row in rows if row.trigger not in plan.places}
        self._results = {row.results: row for row in plan.line.samples if row.results is not None}
        self._tags = {key: frozenset(tag for row in rows for _, tag in tags_of(row)) for key, rows in self._rows.items()}
        self._actives = {row.active: parse(row.active) for rows in self._rows.values() for row in rows if row.active is not None}
        self._codes = {tag: plan.codes(tag) for tag in plan.trigger_tags}

    def _triggered(self, tag: str) -> Iterator[tuple[tuple[Table, str, str], str | None]]:
        for key, rows in self._rows.items():
            yield from ((key, active) for active in dict.fromkeys(row.active for row in rows if row.trigger == tag))

    # what happens

    def seen(self, tag: str, point: tuple[int, Json, int, int], at: Instant) -> None:
        """A new usable reading of a tag that triggers."""
        before = self._before(tag, point[0])
        last = self._state.triggers.get(tag)
        if last is None or point[0] >= last[0]:
            self._state.triggers[tag] = (point[0], _short(point[1]))
        for key, active in self.triggers[tag]:
            if not self._means(tag, active, point[1]) or (before is not None and self._stood(tag, active, before[1], point[1])):
                continue
            if before is None:
                text_ = f"{key[1]}: {tag} stood so when it was first seen; nobody saw it happen, nothing is booked"
                self._note(f"first/{tag}", "booking-found-at-start", "info", text_, {"equipment": key[2]}, [tag])
                continue
            one = PendingBooking(*key, tag, active, at, point[3], self._state.now, _short(point[1]))
            if not self._told_again(one):
                self._wait(one)

    def _told_again(self, one: PendingBooking) -> bool:
        """Whether this very change is known: seen first after a gap, it is told once more by the history, which knows when it was."""
        for booked in self._state.booked.values():
            if _same(booked.occurred, one):
                if booked.occurred.at.basis != "observed":
                    booked.occurred = one
                    booked.dirty, booked.reason = self._state.now, "late-data"
                return True
        waiting = next((n for n, each in enumerate(self._state.occurred) if _same(each, one)), None)
        if waiting is not None and self._state.occurred[waiting].at.basis != "observed":
            self._state.occurred[waiting] = one
        return waiting is not None

    def _before(self, tag: str, ticks: int) -> tuple[int, Json] | None:
        """The usable reading before an instant."""
        track = self._state.tracks[tag]
        point = track.before(ticks)
        while point is not None and (point[1] is None or not usable(point[2])):
            point = track.before(point[0])
        if point is not None:
            return point[0], point[1]
        known = self._state.triggers.get(tag)
        return known if known is not None and known[0] < ticks else None

    def _means(self, tag: str, active: str | None, value: Json) -> bool:
        if active is None:
            return text(value) is not None
        number = int(value) if isinstance(value, str) and self._plan.tags[tag].type in {"int64", "uint64"} else value
        return self._actives[active].matches(number, self._codes[tag])

    def _stood(self, tag: str, active: str | None, before: Json, value: Json) -> bool:
        """Whether it is nothing new: the tag had this value, or another that means the same."""
        return _short(before) == _short(value) if active is None else self._means(tag, active, before)

    def rows(self, event: Mapping[str, Any]) -> None:
        """Take a `message` event: rows that trigger, and results of samples."""
        query = f"{event['source']}.{event['name']}"
        if query in self._queries:
            for told in event["rows"]:
                self._row(query, told)
        if query in self._results:
            for told in event["rows"]:
                self._result(self._results[query], event, told)

    def _row(self, query: str, told: Mapping[str, Any]) -> None:
        now, row = self._state.now, {column: text(value) for column, value in told["row"].items()}
        ticks = now if told.get("time") is None else from_rfc3339(told["time"])
        ticks = ticks if EARLIEST_TICKS <= ticks <= now else now
        for key, rows in self._rows.items():
            for where in dict.fromkeys(each.where for each in rows if each.trigger == query):
                if any(row.get(column) != value for column, value in where):
                    continue
                if ticks < self._state.began - BEFORE_START_TICKS:
                    self._note(f"old/{query}", "booking-before-start", "info", f"{query}: rows from before this journal are not booked", {})
                    continue
                window = TICKS_PER_S if ticks % TICKS_PER_S == 0 else 0
                at = Instant(ticks, window)
                gone = told["change"] == "deleted"
                self._wait(PendingBooking(*key, query, None, at, self._state.seq, now, None, row, key_text(str(told["key"])), gone))

    def _wait(self, occurred: PendingBooking) -> None:
        waiting = self._state.occurred
        if len(waiting) >= MOST_WAITING:
            self._settle(waiting.pop(0))
        waiting.append(occurred)

    # what is decided

    def settle(self) -> None:
        """Say what can be said now, in the order of time; make the revisions that are due."""
        if self._state.occurred:
            ready = [each for each in self._state.occurred if self._ready(each)]
            for each in sorted(ready, key=lambda one: (one.at.ticks, one.seq)):
                self._state.occurred.remove(each)
                self._settle(each)
            if self._state.unlinked and any(each.table == "sample" for each in ready):
                self._link()
        for booked in [b for b in self._state.booked.values() if b.dirty is not None]:
            self._revise_if_due(booked)

    def waiting(self) -> bool:
        """Whether something is said as soon as time passes."""
        return bool(self._state.occurred) or any(b.dirty is not None for b in self._state.booked.values())

    def _ready(self, each: PendingBooking) -> bool:
        """All of that instant has come: the tags' sources, and the equipment's steps."""
        unit = self._plan.units[each.equipment]
        moving = any(change.left.ticks <= each.at.ticks for change in self._state.where[unit.name].pending.values())
        read = sources_of(self._plan, self._tags[each.table, each.name, each.equipment])
        return waits.ready(self._state, waits.of_booking(unit, each, read, moving=moving))

    def _settle(self, each: PendingBooking) -> None:
        known = self._state.told_by.get(_row_key(each)) if each.key is not None else None
        if known is not None and known[0] in self._state.booked:
            booked = self._state.booked[known[0]]
            booked.occurred, booked.dirty, booked.reason = each, self._state.now, "source-corrected"
            self._revise(booked)
            return
        who = replace(self._who(each))
        row = self._row_for(each, who)
        if row is None:
            self._unmapped(each, who)
        elif known is not None or not each.withdrawn:
            self._first(each, row, who, known)

    def _row_for(self, each: PendingBooking, who: Identity) -> Occasion | None:
        """The row of the table for this recipe, the most specific one; where the recipe is not known, the one that told it."""
        rows = self._rows[each.table, each.name, each.equipment]
        if who.recipe is not None:
            rows = [r for r in rows if r.recipe in {None, who.recipe} and r.recipe_version in {None, who.recipe_version}]
        rows = sorted(rows, key=lambda r: (r.recipe is not None, r.recipe_version is not None), reverse=who.recipe is not None)
        best = rows[:1] if who.recipe is not None else rows
        return next((r for r in best if r.trigger == each.trigger and (each.row is not None or r.active == each.active)), None)

    def _unmapped(self, each: PendingBooking, who: Identity) -> None:
        message = f"{each.name}: happened in {each.equipment}, but is not declared for recipe {who.recipe}"
        evidence = {"equipment": each.equipment, "batch": who.batch, "time": rfc3339(each.at.ticks), "seq": each.seq}
        self._note(f"unmapped/{each.name}/{each.equipment}", f"{each.table}-unmapped", "warning", message, evidence)

    def _first(self, each: PendingBooking, row: Occasion, who: Identity, known: tuple[str, int] | None) -> None:
        booked = PostedBooking(each, who, {}, self._state.now)
        event = self._event(booked, row, self._steps(each))
        record = known[0] if known is not None else self._record(each, who, event)
        revision = known[1] + 1 if known is not None else 1
        supersedes = f"{record}#{known[1]}" if known is not None else None
        event |= {"record": record, "revision": revision, "supersedes": supersedes, "reason": "source-corrected" if known else None}
        self._deviations(each, row, event)
        self._say(booked, event)
        self._state.booked[record] = booked
        self._forget()

    def _deviations(self, each: PendingBooking, row: Occasion, event: Mapping[str, Any]) -> None:
        """Where it was not expected, or once more than declared: said, never suppressed."""
        evidence = {"equipment": each.equipment, "batch": event["batch"], each.table: each.name, "record": event["record"]}
        if row.step is not None and row.step not in {step for _, step, _ in event["steps"]}:
            message = f"{each.name}: happened outside of step {row.step}"
            self._emit(event_bodies.finding("booking-outside-step", "warning", message, {**evidence, "step": row.step}))
        if row.occurs in {"1", "0..1"} and event["batch"] is not None and self._ledgers.times(event["batch"], each) > 0:
            self._emit(event_bodies.finding("booking-repeated", "warning", f"{each.name} happened again, declared {row.occurs}", evidence))

    def _event(self, booked: PostedBooking, row: Occasion, steps: list[list[str | int]]) -> dict[str, Any]:
        each, unit = booked.occurred, self._plan.units[booked.occurred.equipment]
        facts = Facts(self._state, self._plan, each, event_bodies.identity(booked.identity), booked.heard)
        if each.withdrawn:
            facts.blame("row", "missing", "withdrawn")
        if each.at.basis == "inferred-from-gap":
            facts.blame("trigger", "gap")
        head = {"unit_id": unit.equipment.unit_id, **event_bodies.identity(booked.identity), "steps": steps}
        if isinstance(row, Booking):
            return booking_event(facts, row, head, unit.equipment.operator)
        assert isinstance(row, Sampling)
        return sample_event(facts, row, head, unit.equipment.operator, booked.event.get("results", []))

    def _say(self, booked: PostedBooking, event: dict[str, Any]) -> None:
        digest = self._emit(dict(event))
        booked.event, booked.made, booked.dirty, booked.reason = event, self._state.now, None, None
        each = booked.occurred
        if each.key is not None:
            self._state.told_by.pop(_row_key(each), None)
            self._state.told_by[_row_key(each)] = (event["record"], event["revision"])
        self._ledgers.take(each, event, digest)

    def _record(self, each: PendingBooking, who: Identity, event: Mapping[str, Any]) -> str:
        """site/line/batch/equipment/material/booking/n, the row's key or the sample's id in place of n; outside any batch the time."""
        place = f"{self.gateway}/{who.batch or '-'}/{each.equipment}/{each.table}"
        if each.table == "sample" and event.get("sample") is not None:
            return self._unused(f"{place}/{quote(event['sample'], safe='')}")
        if each.key is not None:
            return self._unused(f"{place}/{each.name}/{quote(each.key, safe='')}")
        if who.batch is None:
            return self._unused(f"{place}/{each.name}/{rfc3339(each.at.ticks)}")
        counts, key = self._state.counts.setdefault(who.batch, {}), f"{each.equipment}/{each.table}/{each.name}"
        counts[key] = counts.get(key, 0) + 1
        return f"{place}/{each.name}/{counts[key]}"

    def _unused(self, record: str) -> str:
        number = 2
        name = record
        while name in self._state.booked or any(record_ == name for record_, _ in self._state.told_by.values()):
            name, number = f"{record}/{number}", number + 1
        return name

    # who, and in which steps

    def _who(self, each: PendingBooking) -> Identity:
        """The batch that the row itself names; else that of the step in which it falls; else whom the equipment worked for then."""
        term = next((row.batch for row in self._rows[each.table, each.name, each.equipment] if row.batch is not None), None)
        named = None
        if term is not None:
            named = Facts(self._state, self._plan, each, {}).word("batch", term)
        inside = self._inside(each)
        history = self._state.where[each.equipment].history
        here = inside[-1].identity if inside else next((who for t, who in reversed(history) if t <= each.at.ticks), Identity())
        if named is None or named == here.batch:
            return here
        batch = self._state.batches.get(named)
        return batch.identity if batch is not None else Identity(named)

    def _inside(self, each: PendingBooking) -> list[Run]:
        ticks = each.at.ticks
        mine = (r for r in self._state.runs.values() if r.equipment == each.equipment and r.kind == "step" and r.start.ticks <= ticks)
        return sorted((r for r in mine if r.end is None or ticks < r.end.ticks), key=lambda r: LEVELS.index(r.level))

    def _steps(self, each: PendingBooking) -> list[list[str | int]]:
        return [[run.level, run.step, run.run] for run in self._inside(each)]

    # what comes late

    def touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Something about these tags in [start, end) was learned: say again what rests on them."""
        held = [b for b in self._state.booked.values() if self._fresh(b)]
        names = set(tags) if held else set()
        for booked in held:
            each = booked.occurred
            late = start <= each.at.ticks and (end is None or each.at.ticks <= end)
            if late and names & self._tags[each.table, each.name, each.equipment]:
                booked.dirty = self._state.now if booked.dirty is None else booked.dirty
                booked.reason = booked.reason or reason

    def _fresh(self, booked: PostedBooking) -> bool:
        return self._state.now - booked.occurred.at.ticks < 2 * LATENESS_TICKS

    def rebind(self) -> None:
        """Identities have become known: what was booked for nobody, or for another, goes over to them."""
        for booked in list(self._state.booked.values()):
            if booked.event["batch"] is None or self._fresh(booked):
                who = self._who(booked.occurred)
                if who.batch is not None and who != booked.identity:
                    self._go_over(booked, who)

    def _go_over(self, booked: PostedBooking, who: Identity) -> None:
        old, before = booked.event["record"], booked.identity
        booked.identity = replace(who)
        named = {**event_bodies.identity(who), "steps": self._steps(booked.occurred) or booked.event["steps"]}
        event = {**booked.event, **named}
        event.pop("batch_raw", None)
        if who.batch == before.batch:
            self._publish(booked, event, "re-bound")
            return
        self._ledgers.drop(before.batch, old)
        del self._state.booked[old]
        if booked.occurred.key is not None:
            self._state.told_by.pop(_row_key(booked.occurred), None)
        event["record"] = self._record(booked.occurred, who, event)
        self._state.booked[event["record"]] = booked
        self._publish(booked, event, "re-bound")

    def _revise_if_due(self, booked: PostedBooking) -> None:
        assert booked.dirty is not None
        unit = self._plan.units[booked.occurred.equipment]
        if waits.ready(self._state, waits.of_revision(unit, booked.dirty)):
            self._revise(booked)

    def _revise(self, booked: PostedBooking) -> None:
        each = booked.occurred
        row = self._row_for(each, booked.identity)
        if row is None:
            booked.dirty = None
            return
        steps = self._steps(each) or booked.event["steps"]
        event = {**self._event(booked, row, steps), "record": booked.event["record"]}
        self._publish(booked, event, booked.reason or "late-data")

    def _publish(self, booked: PostedBooking, event: dict[str, Any], reason: str) -> None:
        was = booked.event
        head = {k: was[k] for k in ("revision", "supersedes", "reason")}
        changed = event_bodies.changes({**was, **head}, {**event, **head})
        booked.dirty = booked.reason = None
        if not changed:
            return
        event |= {"revision": was["revision"] + 1, "supersedes": f"{was['record']}#{was['revision']}", "reason": reason, "changed": changed}
        self._say(booked, event)

    def _result(self, row: Sampling, message: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """A row of the laboratory: the sample that it is about gets a new revision."""
        sample = text(told["row"].get(row.results_key or ""))
        if sample is None:
            return
        result = {
            "source": message["source"],
            "name": message["name"],
            "key": told["key"],
            "change": told["change"],
            "time": told.get("time"),
            "seq": self._state.seq,
            "values": {column: _short(value) for column, value in told["row"].items()},
        }
        if not self._linked(sample, row.results or "", result):
            self._state.unlinked = [*self._state.unlinked, {"sample": sample, "query": row.results, "result": result}][-MOST_UNLINKED:]
            if not any(each.table == "sample" for each in self._state.occurred):
                self._unknown(self._state.unlinked[-1])

    def _linked(self, sample: str, query: str, result: dict[str, Any]) -> bool:
        """Make a new revision of the sample that this result is about; False if it is not known."""
        mine = {row.name for row in self._plan.line.samples if row.results == query}
        known = [b for b in self._state.booked.values() if b.event["type"] == "sample" and b.event["sample"] == sample]
        booked = next((b for b in reversed(known) if b.event["sampling"] in mine), None)
        if booked is None:
            return False
        others = [r for r in booked.event["results"] if any(r[k] != result[k] for k in ("source", "name", "key"))]
        evidence = booked.event["evidence"]
        item = {"of": "result", **{k: result[k] for k in ("source", "name", "key", "seq")}}
        rests = {**evidence, "to_seq": max(evidence["to_seq"], result["seq"]), "items": [*evidence["items"], item]}
        self._publish(booked, {**booked.event, "results": [*others, result], "evidence": rests}, "result")
        return True

    def _link(self) -> None:
        """Results that came before their sample was said; where none is awaited any more, they are of nobody's sample."""
        waiting = any(each.table == "sample" for each in self._state.occurred)
        for each in list(self._state.unlinked):
            if self._linked(each["sample"], each["query"], each["result"]):
                self._state.unlinked.remove(each)
            elif not waiting and "told" not in each:
                self._unknown(each)

    def _unknown(self, each: dict[str, Any]) -> None:
        each["told"], result, sample = True, each["result"], each["sample"]
        evidence = {"sample": sample, **{k: result[k] for k in ("source", "name", "key", "seq")}}
        self._emit(event_bodies.finding("sample-unknown", "warning", f"a result for sample {sample}, which nobody took here", evidence))

    # memory

    def _forget(self) -> None:
        """Keep what can still be revised: samples without a result longest."""
        booked, told = self._state.booked, self._state.told_by
        first = sorted(booked, key=lambda record: booked[record].event["type"] == "sample")
        for record in first[: max(len(booked) - MOST_HELD, 0)]:
            if not self._fresh(booked[record]):
                del booked[record]
        for record in list(booked)[: max(len(booked) - 2 * MOST_HELD, 0)]:
            del booked[record]
        for key in list(told)[: max(len(told) - MOST_REMEMBERED, 0)]:
            del told[key]

    def _note(self, what: str, code: str, severity: Severity, message: str, evidence: Mapping[str, Any], tags: Iterable[str] = ()) -> None:
        if say_once(self._state.late, what, self._state.now):
            self._emit(event_bodies.finding(code, severity, message, evidence, tags=tags))


def _same(one: PendingBooking, other: PendingBooking) -> bool:
    names = ("table", "name", "equipment", "trigger", "value")
    return one.row is None and one.at.ticks == other.at.ticks and all(getattr(one, n) == getattr(other, n) for n in names)


def _row_key(each: PendingBooking) -> str:
    return f"{each.table}/{each.name}/{each.equipment}/{each.trigger}/{each.key}"


def _short(value: Json) -> Json:
    if isinstance(value, list | dict):
        return _short_part(value)
    exact = exact_json(value)  # a column NUMERIC of a MES holds more than JSON's readers do
    return exact[:LONGEST_TEXT] if isinstance(exact, str) else exact


def _short_part(value: Any) -> Any:
    """A column that holds JSON itself: every part of it short; all of it as a text cut short where it is long."""
    parts = [_short(part) for part in value] if isinstance(value, list) else {name: _short(part) for name, part in value.items()}
    told = orjson.dumps(parts)
    return parts if len(told) <= LONGEST_TEXT else told.decode()[:LONGEST_TEXT]
