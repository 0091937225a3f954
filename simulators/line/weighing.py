"""The weighings of each batch, by materials.csv: each lot is scanned, loaded, at rest, confirmed and taken off, one after the other.

The same timetable moves the tags (scanner, scale, target, confirmation) and is the ground truth of the genealogy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from config import Line, Tag
from config.grammars.step_condition import parse
from config.materials import Booking
from config.units.units import UnitError, between
from simulators.line.lots import Lots
from simulators.line.plan import Plan, Stay, weighed_times
from simulators.line.ranges import range_of

if TYPE_CHECKING:
    from simulators.line.signal import Moment, Signal

MATERIALS = ("Lactose monohydrate", "Povidone K30", "Magnesium stearate")
SCANNED, LOADING, AT_REST, CONFIRMED, RELEASED, TAKEN_OFF = 0.03, 0.06, 0.3, 0.7, 0.85, 0.93
"""Shares of the time that one weighing takes."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """One lot on the scale. Numbers are in the booking's unit."""

    booking: Booking
    stay: Stay
    start_s: float
    end_s: float
    lot: str
    material: str
    target: float
    net: float

    def share(self, at_s: float) -> float:
        """Progress of the weighing: 0 at its start, 1 at its end."""
        return (at_s - self.start_s) / (self.end_s - self.start_s)

    @property
    def confirmed_s(self) -> float:
        """Time at which the person confirms it."""
        return self.start_s + CONFIRMED * (self.end_s - self.start_s)


class Weighings:
    """The weighings of a line, by the stay of a batch in an equipment."""

    def __init__(self, line: Line, seed: int) -> None:
        self._line, self._seed = line, seed
        self._tags = {tag.tag: tag for tag in line.tags}
        self._lots = Lots(line)
        self._rows = [row for row in line.materials if row.trigger in self._tags]
        self._made: dict[tuple[str, int], list[Weighing]] = {}

    def of(self, stay: Stay | None) -> list[Weighing]:
        """List the weighings of one stay, in their order."""
        if stay is None or not self._rows:
            return []
        key = (stay.equipment, stay.number)
        if key not in self._made:
            self._made[key] = list(self._plan(stay))
        return self._made[key]

    def done(self, plan: Plan, after_s: float, until_s: float) -> list[Weighing]:
        """List the weighings confirmed in (after_s, until_s]."""
        if not self._rows:
            return []
        return [
            weighing for stay in plan.stays(after_s, until_s) for weighing in self.of(stay) if after_s < weighing.confirmed_s <= until_s
        ]

    def _plan(self, stay: Stay) -> Iterator[Weighing]:
        rows = [row for row in self._rows if row.equipment == stay.equipment and row.recipe in (None, stay.identity["recipe"])]
        for step in dict.fromkeys(row.step for row in rows):
            run = next((run for run in stay.runs if step is None or step in run.path), None)
            here = [row for row in rows if row.step == step for _ in range(weighed_times(row))]
            each_s = 0.0 if run is None else (run.end_s - run.start_s) / len(here)
            for index, row in enumerate(here if run is not None else ()):
                start_s = (run.start_s if run is not None else 0.0) + index * each_s
                yield self._weighing(row, stay, index, start_s, start_s + each_s)

    def _weighing(self, row: Booking, stay: Stay, index: int, start_s: float, end_s: float) -> Weighing:
        random = Random(f"{self._seed} {row.name} {stay.equipment} {stay.number} {index}")
        tag = self._number_tag(row)
        span = range_of(tag) if tag is not None else None
        target = 1.0 if span is None else round((span.high - span.low) * (0.06 + 0.03 * index), 1)
        net = round(target * random.uniform(0.997, 1.003), 2)
        source = self._tags[row.lot.text].source if row.lot is not None and row.lot.kind == "tag" else ""
        return Weighing(row, stay, start_s, end_s, self._lots.text(source, 2 * stay.number + index), MATERIALS[index % 3], target, net)

    def _number_tag(self, row: Booking) -> Tag | None:
        terms = (row.quantity, row.gross)
        return next((self._tags[t.text] for t in terms if t is not None and t.kind == "tag" and t.text in self._tags), None)

    # what the tags show

    def signals(self) -> dict[str, "Signal"]:
        """Make the signals of every tag that a booking by tags names: tag -> its value over time."""
        signals: dict[str, Signal] = {}
        for row in self._rows:
            for column in ("lot", "material", "quantity", "gross", "tare", "target"):
                term = getattr(row, column)
                if term is not None and term.kind == "tag" and term.text in self._tags:
                    signals.setdefault(term.text, self._signal(row.equipment, column, self._tags[term.text]))
            if row.at_rest in self._tags and row.at_rest is not None:
                signals.setdefault(row.at_rest, self._signal(row.equipment, "at_rest", self._tags[row.at_rest]))
            if row.active is not None:
                signals.setdefault(row.trigger, self._signal(row.equipment, row.active, self._tags[row.trigger]))
        return signals

    def _signal(self, equipment: str, what: str, tag: Tag) -> "Signal":
        def value(now: "Moment") -> Any:
            weighing = next((candidate for candidate in self.of(now.of(equipment).stay) if 0 <= candidate.share(now.at_s) < 1), None)
            return self._shown(what, tag, weighing, 0.0 if weighing is None else weighing.share(now.at_s))

        return value

    def _shown(self, what: str, tag: Tag, weighing: Weighing | None, share: float) -> Any:
        loaded = 0.0 if weighing is None or not LOADING <= share < TAKEN_OFF else min(1.0, (share - LOADING) / (AT_REST - LOADING))
        match what:
            case "lot" | "material":
                return "" if weighing is None or share < SCANNED else weighing.lot if what == "lot" else weighing.material
            case "quantity":
                return 0.0 if weighing is None else self._in_unit(weighing, tag, weighing.net * loaded)
            case "tare":
                return 0.0 if weighing is None else self._in_unit(weighing, tag, 1.5)
            case "gross":
                return 0.0 if weighing is None else self._in_unit(weighing, tag, weighing.net * loaded + 1.5)
            case "target":
                return 0.0 if weighing is None else self._in_unit(weighing, tag, weighing.target)
            case "at_rest":
                return weighing is None or not (LOADING <= share < AT_REST or share >= TAKEN_OFF)
            case _:
                return _switched(what, tag, on=weighing is not None and CONFIRMED <= share < RELEASED)

    def _in_unit(self, weighing: Weighing, tag: Tag, number: float) -> float:
        unit = weighing.booking.unit
        if unit is None or tag.unit is None or unit == tag.unit:
            return round(number, 2)
        try:
            slope, intercept = between(unit, tag.unit)
        except UnitError:
            return round(number, 2)
        return float(number * float(slope) + float(intercept))


def _switched(active: str, tag: Tag, *, on: bool) -> Any:
    """Find a value at which the trigger is active, or one at which it is not."""
    rule = parse(active)
    candidates: list[Any] = [False, True] if tag.type == "bool" else ["", *rule.names] if tag.type == "string" else []
    candidates = candidates or [0, *(end + step for low, high in rule.ranges for end in (low, high) for step in (0, 1, -1))]
    return next((value for value in candidates if rule.matches(value, {}) == on), candidates[0])
