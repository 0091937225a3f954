"""One booking of material as an event: lot, quantity, target and what they rest on, in one piece (URS-CTX-07)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from config.grammars.terms import Term
from config.materials import Booking
from config.units import units
from gateway.context import event_bodies
from gateway.context.materials.booking_terms import Facts, performers, rounded

TEMPLATE = "materials.csv"
"""The rule of a lot number that the table itself makes of the batch: it is its own canonical form."""


def booking_event(facts: Facts, row: Booking, head: Mapping[str, Any], operator: str | None) -> dict[str, Any]:
    """The `material` event, without its name and revision. head: unit_id, identity and steps."""
    lot, output_lot = _lot(facts, "lot", row.lot), _lot(facts, "output_lot", row.output_lot)
    material, to = facts.word("material", row.material), facts.word("to", row.to)
    weighed = _weighed(facts, row)
    facts.at_rest(row.at_rest)
    plan = facts.plan
    return {
        "type": "material",
        "record": None,
        "revision": 1,
        "supersedes": None,
        "reason": None,
        "kind": row.kind,
        "booking": row.name,
        "ebr_field": row.ebr_field,
        "equipment": row.equipment,
        **head,
        "at": event_bodies.instant(facts.occurred.at, plan.zone),
        "to": to,
        "material": material,
        "lot": lot,
        "output_lot": output_lot,
        **weighed,
        **_origin(facts, row, weighed["quantity"]),
        "status": facts.status,
        "problems": list(facts.problems),
        **performers(facts, row.performed_by, operator, plan.line.gateway),
        "evidence": facts.evidence(),
    }


def _origin(facts: Facts, row: Booking, quantity: str | None) -> dict[str, str]:
    """Say how the quantity came to be, of what it is computed from; nothing where nobody declared it, or there is none."""
    terms = (row.gross, row.tare) if row.quantity is None else (row.quantity,)
    origin = None if quantity is None else facts.plan.origin_of_terms(facts.occurred.trigger, terms)
    return {} if origin is None else {"value_origin": origin}


def _lot(facts: Facts, column: str, term: Term | None) -> dict[str, str | None] | None:
    """Raw and canonical, by the rules of the source that wrote it."""
    raw = facts.word(column, term)
    if raw is None or term is None:
        return None
    if term.kind == "text":
        return {"raw": raw, "canonical": raw, "rule": TEMPLATE}
    source = facts.plan.places[term.text].source.name if term.kind == "tag" else facts.occurred.trigger.partition(".")[0]
    rules = facts.plan.line.lots
    lot = rules.canonical(raw, source)
    if lot.canonical is None and any(rule.is_for(source) for rule in rules.rules):
        facts.blame(column, "bad", "no-rule")
    return {"raw": lot.raw, "canonical": lot.canonical, "rule": lot.rule}


def _weighed(facts: Facts, row: Booking) -> dict[str, str | None]:
    """Net, gross, tare, target, the limits that the tolerance makes of it, and the judgement after rounding."""
    source_unit = _source_unit(facts, row)
    gross = facts.number("gross", row.gross, row.unit, source_unit)
    tare = facts.number("tare", row.tare, row.unit, source_unit)
    net = facts.number("quantity", row.quantity, row.unit, source_unit)
    if row.quantity is None and gross is not None and tare is not None:
        net = gross - tare
    target = facts.number("target", row.target, row.unit, source_unit)
    tolerance = _tolerance(facts, row, target, source_unit)
    low, high = (None, None) if target is None or tolerance is None else (target - tolerance, target + tolerance)
    names = ("quantity", "gross", "tare", "target", "low", "high")
    told = dict(zip(names, (rounded(n, row.decimals) for n in (net, gross, tare, target, low, high)), strict=True))
    return {**told, "unit": row.unit, "result": _judged(told["quantity"], told["low"], told["high"])}


def _tolerance(facts: Facts, row: Booking, target: Decimal | None, source_unit: str | None) -> Decimal | None:
    term = row.tolerance
    if term is not None and term.kind == "text" and term.text.endswith("%"):
        return None if target is None else abs(target) * Decimal(term.text[:-1]) / 100
    return facts.number("tolerance", term, row.unit, source_unit, is_difference=True)


def _judged(quantity: str | None, low: str | None, high: str | None) -> str:
    if quantity is None or low is None or high is None:
        return "not-judged"
    number = Decimal(quantity)
    return "below" if number < Decimal(low) else "above" if number > Decimal(high) else "within"


def _source_unit(facts: Facts, row: Booking) -> str | None:
    """The UCUM code of the numbers that a row holds."""
    if row.source_unit is None:
        return None
    written = facts.word("source_unit", row.source_unit)
    if written is None:
        return None
    try:
        return units.canonical(written)
    except units.UnitError:
        facts.blame("source_unit", "bad", "unknown")
        return None
