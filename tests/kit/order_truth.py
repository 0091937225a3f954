"""The truth about the orders of a random recipe: which equipment served which batch, when, and whether anybody could have known.

`wrong` is what records claim and was not so, or was not seen so; `modest` is what was seen in time and is called otherwise. Nothing here
comes from the fold: the table of orders is known as it was, and the looks at it by their instants.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from kit.order_looks import OrderLog
from kit.order_stories import Stay
from kit.random_recipes import S, Story
from kit.recipe_truth import Truth, Verdict, window

from gateway.entries.ticks import from_rfc3339

Event = dict[str, Any]


@dataclass
class Claim:
    """A stay of a batch in an equipment, as the events tell it. end None: it goes on."""

    unit: str
    batch: str
    start: Event
    end: Event | None = None
    cause: str | None = None


class OrderTruth:
    """Every order that an equipment served, and the looks that could show it."""

    def __init__(self, story: Story, log: OrderLog, watched_s: float, offset_s: float) -> None:
        """Take what happened. watched_s: how old a look may be that still watches; offset_s: how far the MES's clock may be off."""
        self.truth, self.log, self.stays = Truth(story, log), log, log.orders.stays
        self.watched, self.offset = round(watched_s * S), round(offset_s * S)
        self.near = S if log.orders.is_whole else 0  # a stamp in whole seconds tells no more
        self.told = [stay for stay in self.stays if self._is_told(stay)]
        """those that a look showed while they ran, under their right number; of all others no look could tell"""

    def verdict(self, events: list[Event]) -> Verdict:
        """Hold everything that was said at the end of a story against what happened."""
        result = Verdict()
        claims = claimed(events)
        for claim in claims:
            self._judge(claim, result)
        for stay in self.told:
            if self._began_seen(stay) and not any(self._is_of(claim, stay) for claim in claims):
                result.modest.append(("no batch", stay))
        self._ends(events, claims, result)
        for record in final_records(events):
            self._step(record, result)
            if record["step"] != "RUN":
                of_step = self.truth.verdict(record)
                if "told-by-row" in {record["start"]["basis"], record["end"]["basis"]}:
                    of_step.modest = []  # whether the row that cut the step was seen in time is judged with the batch
                result.add(of_step)
        return result

    # batches

    def _judge(self, claim: Claim, result: Verdict) -> None:
        stay = next((stay for stay in self.stays if self._is_of(claim, stay)), None)
        result.statuses[f"batch {claim.start['basis']}"] += 1
        if stay is None and any(self._is_renamed(claim, stay) for stay in self.stays if stay not in self.told):
            result.statuses["batch whose right number no look showed"] += 1
            return
        if stay is None:
            result.wrong.append(("no such batch", claim.unit, claim.batch, claim.start["time"], claim.start["basis"]))
            return
        self._edge(stay, claim.start, stay.since, self._began_seen(stay), result)
        if claim.end is None:
            return
        result.statuses[f"leave {claim.cause}"] += 1
        if stay.until is None:
            result.wrong.append(("it has not ended", stay, claim))
            return
        at, seen = self._end_seen(stay, claim.end)
        self._edge(stay, claim.end, at, seen, result)
        if claim.cause == "completed" and seen is False:
            result.wrong.append(("completed, and nobody saw its end", stay, claim))
        if claim.cause != "completed" and seen:
            result.modest.append(("its end was seen", stay, claim))

    def _edge(self, stay: Stay, told: Event, at: int, seen: bool | None, result: Verdict) -> None:
        is_so = self._is_near(told, at)
        if told["basis"] == "observed" and (seen is False or not is_so):
            result.wrong.append(("observed", stay, told, is_so, seen))
        elif not is_so:
            result.wrong.append(("another time", stay, told))
        elif told["basis"] != "observed" and seen:
            result.modest.append(("seen in time", stay, told))

    def _is_near(self, told: Event, at: int) -> bool:
        return abs(from_rfc3339(told["time"]) - at) <= round((told["window_s"] or 0) * S) + self.near

    def _ends(self, events: list[Event], claims: list[Claim], result: Verdict) -> None:
        last = {e["batch"]: e for e in events if e["type"] == "batch" and e["transition"] == "end"}
        going = {claim.batch for claim in claims if claim.end is None}
        for name, end in last.items():
            if name in going:
                continue  # it came back; its end will be said again
            mine = [(stay, claim.end) for claim in claims if claim.batch == name for stay in self.stays if self._is_of(claim, stay)]
            if end["cause"] == "completed" and any(self._end_seen(*one)[1] is False for one in mine):
                result.wrong.append(("completed", name, mine))
            if end["cause"] == "unknown" and mine and all(self._end_seen(*one)[1] for one in mine):
                result.modest.append(("a batch whose ends were seen", name, mine))

    def _is_told(self, stay: Stay) -> bool:
        """Return whether a look showed an order under its right number while it, or the look before, showed it running, none after it."""
        was_running = False
        for look in self.log.looks:
            shown = self.log.shown[look.asked]
            row, after = shown.get(stay.key), [shown[key] for key, _ in stay.later if key in shown]
            if (row is None and was_running) or any(other["status"] == "RUN" for other in after):
                return False
            if row is None:
                continue
            running = row["status"] == "RUN"
            if (running or was_running) and row["batch"] == stay.batch:
                return True
            was_running = running
        return False

    def _is_renamed(self, claim: Claim, stay: Stay) -> bool:
        return self._is_of(replace(claim, batch=stay.batch), stay)

    def _is_of(self, claim: Claim, stay: Stay) -> bool:
        near = abs(from_rfc3339(claim.start["time"]) - stay.since) <= max(self.near, S // 100)
        return (claim.unit, claim.batch) == (stay.unit, stay.batch) and near

    def _began_seen(self, stay: Stay) -> bool | None:
        return self._showed(stay.key, "RUN", stay.since)[1]

    def _end_seen(self, stay: Stay, told: Event | None = None) -> tuple[int, bool | None]:
        """Tell by what its end was known first, its own row or that of another order, and whether it was seen in time.

        told: what is claimed. It may be by a later row, if that one tells the truth.
        """
        ends = [] if stay.closed is None else [(*self._showed(stay.key, "CLOSED", stay.closed), stay.closed)]
        ends += [(*self._showed(key, "RUN", since), since) for key, since in stay.later]
        if not ends:
            return 0, False
        known = [min(ends, key=lambda end: (end[0], end[2])), *(end for end in ends if end[2] == stay.until)]
        _, seen, at = known[0] if told is None else min(known, key=lambda end: abs(end[2] - from_rfc3339(told["time"])))
        return at, seen

    def _showed(self, key: str, status: str, at: int) -> tuple[float, bool | None]:
        """Tell which look first showed a row so, and whether it was watching and came in time; None: it is too near the limit to say."""
        for look in self.log.looks:
            row = self.log.shown[look.asked].get(key)
            if row is None or row["status"] != status:
                continue
            if look.since is None or look.asked - look.since > self.watched:
                return look.asked, False
            late = look.asked - at - self.watched - self.offset
            return look.asked, None if abs(late) < S // 5 + self.near else late < 0
        return math.inf, False

    # steps

    def _step(self, record: Event, result: Verdict) -> None:
        """Hold the batch of a step against the order that its equipment served when it began."""
        began = window(record, "start")
        if began is None:
            return  # nobody knows when it began
        first, last = began
        served = {self._served(record["equipment"], ticks) for ticks in (first - self.near, last + self.near)}
        if len(served) > 1:
            return  # nobody saw when it began, and the order changed meanwhile
        stay = served.pop()
        if stay is not None and stay not in self.told:
            result.statuses["step of an order that no look showed"] += 1
            return
        batch = None if stay is None else stay.batch
        result.statuses["step with a batch" if record["batch"] else "step without"] += 1
        if record["batch"] is not None and record["batch"] != batch:
            result.wrong.append(("step of another batch", record["record"], record["start"], stay))
        if record["batch"] is None and stay is not None and self._began_seen(stay):
            result.modest.append(("step without its batch", record["record"], record["start"], stay))

    def _served(self, unit: str, ticks: int) -> Stay | None:
        mine = (stay for stay in self.stays if stay.unit == unit and stay.since <= ticks)
        return next((stay for stay in mine if stay.until is None or ticks < stay.until), None)


def claimed(events: list[Event]) -> list[Claim]:
    """List the stays of batches that events tell; those of a batch number that was corrected are none."""
    claims: list[Claim] = []
    for event in events:
        if event["type"] != "batch" or event["transition"] == "end":
            continue
        if event["transition"] == "start":
            claims.append(Claim(event["equipment"], event["batch"], event["start"]))
            continue
        mine = [c for c in reversed(claims) if (c.unit, c.batch) == (event["equipment"], event["batch"])]
        claim = next((c for c in mine if c.end is None), mine[0])  # a leave that is said again is the newer word
        claim.end, claim.cause = event["end"], event["cause"]
    return [claim for claim in claims if claim.cause != "corrected"]


def final_records(events: list[Event]) -> list[Event]:
    """List the step records that stand at the end, with the batch that each was bound to last."""
    records: dict[str, Event] = {}
    for event in events:
        if event["type"] == "step" and event["transition"] == "end":
            if event["supersedes"] is not None:
                records.pop(event["supersedes"].rpartition("#")[0], None)
            records[event["record"]] = event
        elif event["type"] == "rebind" and event["supersedes"] in records:
            was = records.pop(event["supersedes"])
            records[event["record"]] = {**was, "batch": event["to"]["batch"], "record": event["record"]}
    return list(records.values())


def counted(total: Counter[str]) -> str:
    """Write counts in a line."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(total.items()))
