"""What the terms of a booking or a sample say at its instant: a value, or why there is none; and the entries that it rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from config.grammars.terms import Term
from config.units import units
from config.units.scaling import decimal_of
from gateway.context import event_bodies
from gateway.context.plan import Plan
from gateway.context.state import PendingBooking, State
from gateway.context.texts import LONGEST_TEXT, text
from gateway.entries.fold_input import Json
from gateway.entries.ticks import rfc3339
from gateway.parameters import severed, usable

WORST = ("bad", "gap", "missing")
"""The status of a whole by its parts: the first of these that one of them has, else present."""
LARGEST = Decimal("1e30")
_WIDE = Context(prec=80, rounding=ROUND_HALF_UP)
_DIGITS = Context(prec=28, rounding=ROUND_HALF_UP)


@dataclass(slots=True)
class Facts:
    """The terms of one occasion. heard: column -> (ticks, value, status, seq), kept for a revision after the series was retired.

    former: tag that means something else by now -> its unit then; said: the problems of the revision before.
    """

    state: State
    plan: Plan
    occurred: PendingBooking
    who: Mapping[str, str | None]
    heard: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    whys: set[str] = field(default_factory=set)
    former: Mapping[str, str | None] = field(default_factory=dict)
    said: frozenset[str] = frozenset()

    @property
    def status(self) -> str:
        """Of the whole."""
        return next((why for why in WORST if why in self.whys), "present")

    def blame(self, column: str, why: str, word: str | None = None) -> None:
        """This part is not as it should be. word: what to call it, else the reason itself."""
        self.whys.add(why)
        self.problems.append(f"{column}-{word or why}")

    def value(self, column: str, term: Term | None) -> Json:
        """What a term says; None where it says nothing, which is then among the problems."""
        if term is None:
            return None
        if term.kind == "text":
            found = term.filled(self.who)
            if found is None:
                self.blame(column, "missing")
            return found
        if term.kind == "row":
            return self._of_row(column, term.text)
        return self._of_tag(column, term.text)

    def word(self, column: str, term: Term | None) -> str | None:
        """Likewise, as a text without blanks around it; an empty one is missing."""
        found = self.value(column, term)
        short = text(found)
        if found is not None and short is None:
            self.blame(column, "missing")
        return short

    def number(
        self, column: str, term: Term | None, unit: str | None, source_unit: str | None, *, is_difference: bool = False
    ) -> Decimal | None:
        """Likewise, as a number converted exactly into `unit`. source_unit: of what comes from a row.

        is_difference: of two quantities, as a tolerance is, so that only the slope applies.
        """
        found = self.value(column, term)
        if found is None or term is None:
            return None
        number = _decimal(found)
        if number is None:
            self.blame(column, "bad", "not-a-number")
            return None
        code = self._unit_of(term.text) if term.kind == "tag" else source_unit if term.kind == "row" else unit
        if unit is None or code is None or code == unit:
            return number
        try:
            slope, intercept = units.between(code, unit)
        except units.UnitError:
            self.blame(column, "bad", "unit")
            return None
        return decimal_of(Fraction(number) * slope + (0 if is_difference else intercept))

    def _unit_of(self, tag: str) -> str | None:
        return self.former[tag] if tag in self.former else self.plan.tags[tag].unit

    def _of_row(self, column: str, name: str) -> Json:
        row = self.occurred.row or {}
        if row.get(name) is None:
            self.blame(column, "missing")
            return None
        self._rests({"of": column, **self.told_by()})
        return row[name]

    def _of_tag(self, column: str, tag: str) -> Json:
        if tag == self.occurred.trigger:  # what it said is why this happened: no gap of others lies between
            self._rests({"of": column, "tag": tag, "seq": self.occurred.seq})
            return self.occurred.value
        point = self._point(column, tag)
        if point is None:
            self.blame(column, "missing")
            return None
        ticks, value, status, seq = point[0], _json(point[1]), point[2], point[3]
        self._rests({"of": column, "tag": tag, "seq": seq, "time": rfc3339(ticks)})
        if self._is_severed(column, tag, ticks):
            self.blame(column, "gap")
            return None
        if value is None or not usable(status):
            self.blame(column, "bad")
            return None
        return value

    def _is_severed(self, column: str, tag: str, ticks: int) -> bool:
        """Return whether a gap lay between a reading and this; of a tag whose series is gone, as it was said before."""
        if tag in self.former:
            return f"{column}-gap" in self.said
        return severed(self.state.tracks[tag].cuts, ticks, self.occurred.at.ticks)

    def _point(self, column: str, tag: str) -> list[Any] | None:
        if tag in self.former:
            return list(self.heard[column]) if column in self.heard else None
        track, instant = self.state.tracks[tag], self.occurred.at.ticks
        if instant < track.through and column in self.heard:
            return list(self.heard[column])
        found = track.at(instant)
        if found is None:
            return None
        self.heard[column] = [found[0], _short(found[1]), found[2], found[3]]
        return self.heard[column]

    def at_rest(self, tag: str | None) -> None:
        """A scale that moves weighs nothing."""
        if tag is not None and self._of_tag("at_rest", tag) is False:
            self.blame("at_rest", "bad", "no")

    def told_by(self) -> dict[str, Any]:
        """The row, as evidence."""
        source, _, name = self.occurred.trigger.partition(".")
        return {"source": source, "name": name, "key": self.occurred.key, "seq": self.occurred.seq}

    def _rests(self, item: dict[str, Any]) -> None:
        self.items.append(item)

    def evidence(self) -> dict[str, Any]:
        """Which entries gave what; the trigger first."""
        told = self.told_by() if self.occurred.row is not None else {"tag": self.occurred.trigger, "seq": self.occurred.seq}
        items = [{"of": "trigger", **told}, *self.items]
        seqs = [item["seq"] for item in items]
        return {"from_seq": min(seqs), "to_seq": max(seqs), "items": items}


def performers(facts: Facts, term: Term | None, operator: str | None, gateway: str) -> dict[str, Any]:
    """Whom the term names; else who was logged in at that instant; else as of a step (`event_bodies.performers`)."""
    asked = replace(facts, problems=[], items=[], whys=set())  # that nobody is named is no problem of the booking
    if term is None and operator is not None and operator in facts.state.tracks:
        term = Term("tag", operator)
    if term is None:
        return event_bodies.performers([], None, gateway, observed=False)
    origin = term.text if term.kind == "tag" else f"{facts.occurred.trigger}.{term.text}" if term.kind == "row" else "map"
    person = asked.word("performed_by", term)
    observed = term.kind != "tag" or (bool(asked.items) and not {"gap", "bad"} & asked.whys)
    return event_bodies.performers([] if person is None else [person], origin, gateway, observed=observed)


def rounded(number: Decimal | None, decimals: int | None) -> str | None:
    """Half up, as a plain decimal."""
    if number is None:
        return None
    shown = _DIGITS.plus(number) if decimals is None else number.quantize(Decimal(1).scaleb(-decimals), context=_WIDE)
    return f"{shown:f}"


def sources_of(plan: Plan, tags: Iterable[str]) -> set[str]:
    """Where these tags are read."""
    return {plan.places[tag].source.name for tag in tags if tag in plan.places}


def _decimal(value: Json) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and (number == 0 or Decimal("1e-30") < abs(number) < LARGEST) else None


def _json(value: Any) -> Json:
    found: Json = value
    return found


def _short(value: Json) -> Json:
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
