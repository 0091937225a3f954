"""What happened to the material of each batch, for its end record: every booking, every sample, every lot that leads nowhere."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from config.materials import Booking, Occasion
from gateway.context import event_bodies
from gateway.context.plan import Plan
from gateway.context.state import Batch, Ledger, PendingBooking, State

MOST_LISTED = 2_000
"""Bookings, and samples, that a batch's end lists; further ones are counted and stand in the journal."""
MOST_LEDGERS = 200
_BATCH = ""
"""The batch itself as a node of the graph."""


class Ledgers:
    """The material side of every batch that is open, or may still be revised."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self.wrong: set[tuple[str, str]] = set()
        """(wrong batch number, equipment): what is booked there is another batch's; only while an entry is decided"""

    # what was said

    def take(self, each: PendingBooking, event: Mapping[str, Any], digest: str) -> None:
        """A booking or a sample was said, or said anew."""
        name = event["batch"]
        if name is None:
            return
        ledger = self._state.ledgers.setdefault(name, Ledger())
        listed = ledger.bookings if each.table == "material" else ledger.samples
        if event["record"] not in listed and len(listed) >= MOST_LISTED:
            ledger.more += 1
        else:
            listed[event["record"]] = _line(event, digest)
        self._changed(name, event["reason"])
        for old in list(self._state.ledgers)[: max(len(self._state.ledgers) - MOST_LEDGERS, 0)]:
            if old not in self._state.batches:
                del self._state.ledgers[old]

    def drop(self, name: str | None, record: str) -> None:
        """A booking went over to another batch."""
        ledger = self._state.ledgers.get(name or "")
        if ledger is not None and name is not None:
            ledger.bookings.pop(record, None)
            ledger.samples.pop(record, None)
            self._changed(name, "re-bound")

    def _changed(self, name: str, reason: str | None) -> None:
        batch = self._state.batches.get(name)
        if batch is not None and batch.revision:
            batch.revise(self._state.now, reason)

    def times(self, name: str, each: PendingBooking) -> int:
        """How often this was said of a batch already."""
        ledger = self._state.ledgers.get(name) or Ledger()
        listed = ledger.bookings if each.table == "material" else ledger.samples
        return sum((line["equipment"], _name(line)) == (each.equipment, each.name) for line in listed.values())

    def awaited(self, name: str, batch: Batch) -> bool:
        """Whether something that belongs into this batch has not been said yet."""
        stays = [(m.equipment, m.start.ticks, m.end.ticks if m.end is not None else self._state.now) for m in batch.members]
        for each in self._state.occurred:
            named = each.row is not None and name in each.row.values()
            if named or any(each.equipment == unit and start <= each.at.ticks <= end for unit, start, end in stays):
                return True
        return any(b.dirty is not None and b.identity.batch == name for b in self._state.booked.values())

    # the end of a batch

    def asked(self, batch: Batch) -> list[tuple[str, Occasion]]:
        """What must happen in this batch: (material or sample, the row for its recipe)."""
        who = batch.identity
        if not batch.members:
            return []  # a wrong number: it was nowhere
        route = self._plan.route(who.recipe)
        passed = {m.equipment for m in batch.members} | set(route.equipments if route is not None else ())
        best: dict[tuple[str, str, str], Occasion] = {}
        for table, rows in self._plan.occasions:
            for row in sorted(rows, key=lambda r: (r.recipe is not None, r.recipe_version is not None)):
                if row.equipment in passed and row.recipe in {None, who.recipe} and row.recipe_version in {None, who.recipe_version}:
                    best[table, row.name, row.equipment] = row
        return [(table, row) for (table, _, _), row in best.items() if row.occurs in {"1", "1..n"}]

    def missing(self, name: str, batch: Batch) -> tuple[int, list[dict[str, Any]]]:
        """(how many items are required, those that are not present): bookings and samples that must be, lots that lead nowhere."""
        ledger = self._state.ledgers.get(name) or Ledger()
        required, missing = 0, []
        for table, row in self.asked(batch):
            listed = ledger.bookings if table == "material" else ledger.samples
            mine = [line for line in listed.values() if (line["equipment"], _name(line)) == (row.equipment, row.name)]
            required += max(len(mine), 1)
            head = {"equipment": row.equipment, "step": None, "run": None, "parameter": None, table: row.name}
            missing += [{**head, "record": line["record"], "status": line["status"]} for line in mine if line["status"] != "present"]
            if not mine:
                missing.append({**head, "status": "missing"})
        lost = self.orphans(name, batch)
        head = {"equipment": None, "step": None, "run": None, "parameter": None}
        return required + len(lost), missing + [{**head, "lot": o["lot"], "status": o["side"]} for o in lost]

    def orphans(self, name: str, batch: Batch) -> list[dict[str, Any]]:
        """Lots without a parent or a child where the recipe requires one: {"lot", "raw", "side"}."""
        ledger = self._state.ledgers.get(name) or Ledger()
        kinds = {row.kind for _, row in self.asked(batch) if isinstance(row, Booking)}
        return orphans(name, list(ledger.bookings.values()), consumes="consume" in kinds, produces="produce" in kinds)

    def account(self, name: str, batch: Batch) -> dict[str, Any]:
        """The members of the end record; says each lot that leads nowhere once."""
        ledger = self._state.ledgers.get(name) or Ledger()
        lost = self.orphans(name, batch)
        for orphan in lost:
            if f"{orphan['side']}/{orphan['lot']}" not in ledger.noted:
                ledger.noted.append(f"{orphan['side']}/{orphan['lot']}")
                what = "was used in nothing" if orphan["side"] == "no-child" else "was made of nothing"
                text = f"batch {name}: lot {orphan['lot']} {what} that is booked"
                self._emit(event_bodies.finding("lot-orphan", "warning", text, {"batch": name, **orphan}))
        members = {"materials": list(ledger.bookings.values()), "samples": list(ledger.samples.values()), "orphans": lost}
        return members if not ledger.more else {**members, "not_listed": ledger.more}


def _line(event: Mapping[str, Any], digest: str) -> dict[str, Any]:
    common = {k: event[k] for k in ("record", "revision", "equipment", "status")} | {"content_sha256": digest}
    if event["type"] == "sample":
        replaced = sum(result.get("replaced_count", 0) for result in event["results"])
        told = {"sampling": event["sampling"], "sample": event["sample"], "results": len(event["results"])}
        return {**common, **told, **({"replaced": replaced} if replaced else {})}
    names = ("kind", "material", "lot", "output_lot", "quantity", "unit", "result")
    gone = {"withdrawn": True} if "row-withdrawn" in event["problems"] else {}
    return {**common, "booking": event["booking"], **{k: event[k] for k in names}, **gone}


def _name(line: Mapping[str, Any]) -> str:
    """Of its row in the table."""
    name: str = line["booking"] if "booking" in line else line["sampling"]
    return name


def orphans(batch: str, lines: Sequence[Mapping[str, Any]], *, consumes: bool, produces: bool) -> list[dict[str, Any]]:
    """Of the genealogy of one batch. consumes, produces: whether its recipe requires it.

    An edge goes from what went in to what came out; where one of them is not named, the batch stands there. What was consumed must lead to
    something produced, what was produced must come from something consumed.
    """
    kept = [line for line in lines if line["kind"] != "move" and not line.get("withdrawn")]
    edges, raws = list[tuple[str, str]](), dict[str, str]()
    for line in kept:
        ends = [_node(line["lot"], raws), _node(line["output_lot"], raws)]
        inner = 1 if line["kind"] == "consume" else 0
        ends[inner] = _BATCH if ends[inner] == batch else ends[inner]
        whole = line["lot"] is not None if line["kind"] == "consume" else line["output_lot"] is not None
        if whole:
            edges.append((ends[0], ends[1]))
    made = {_node(line["output_lot"], raws) for line in kept if line["kind"] == "produce" and line["output_lot"] is not None}
    used = {_node(line["lot"], raws) for line in kept if line["kind"] == "consume" and line["lot"] is not None}
    nodes = {end for edge in edges for end in edge} - {_BATCH}
    forth, back = _reached(edges, used), _reached([(b, a) for a, b in edges], made)
    found = [(node, "no-child") for node in sorted(nodes - back - made) if produces]
    found += [(node, "no-parent") for node in sorted(made - forth) if consumes]
    return [{"lot": node, "raw": raws[node], "side": side} for node, side in found]


def _node(lot: Mapping[str, Any] | None, raws: dict[str, str]) -> str:
    if lot is None:
        return _BATCH
    name: str = lot["canonical"] or lot["raw"]
    raws.setdefault(name, lot["raw"])
    return name


def _reached(edges: Iterable[tuple[str, str]], start: Iterable[str]) -> set[str]:
    """Every node that a way of edges leads to from one of these; they themselves too."""
    onward: dict[str, list[str]] = {}
    for a, b in edges:
        onward.setdefault(a, []).append(b)
    found, ahead = set(start), list(start)
    while ahead:
        fresh = [node for node in onward.get(ahead.pop(), ()) if node not in found]
        found.update(fresh)
        ahead += fresh
    return found
