"""A batch whose samples the laboratory reports at random: late, twice, replaced, withdrawn, as a text; and what is true of it then."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from typing import Any

from kit.plant import PARAMETERS, T0, Plant, begin, line_of

from config import Parameter, Source
from config.grammars.terms import term
from config.materials import Sampling
from gateway.context import Fold

S = 10_000_000
STATISTICS = ("sample", "first", "last", "min", "max", "mean")
SAMPLING = Sampling(
    "lod", "dryer", "mes.samples", sample=term("row.sample_id"), results="lims.results", results_key="sample_id", occurs="0..n"
)
BY_EBR = Parameter("dry_note", "dryer", "DRY", "sample", name="Visual check", origin="by-ebr")
HOURS_S = 3_600.0


@dataclass
class Told:
    """What the laboratory said of one sample. rows: key -> (order of its last word, value, None: withdrawn or empty)."""

    name: str
    rows: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    said: dict[str, list[str | None]] = field(default_factory=dict)  # key -> each thing that it said and that differs from the one before
    withdrawn: int = 0

    def take(self, order: int, key: str, value: str | None, *, deleted: bool) -> None:
        told = self.said.setdefault(key, [])
        now = None if deleted else value or ""
        if not told or told[-1] != now:
            told.append(now)
            self.withdrawn += deleted
        self.rows[key] = (order, value or None)

    @property
    def replaced(self) -> int:
        return sum(len(told) - 1 for told in self.said.values())

    @property
    def newest(self) -> str | None:
        said = [(order, value) for order, value in self.rows.values() if value is not None]
        return max(said)[1] if said else None


@dataclass
class Story:
    """What was played, and what is true at its end."""

    plant: Plant
    rows: list[Parameter]
    samples: list[Told]
    closed_first: bool = False  # something was replaced or withdrawn after the batch's end


def played(seed: int) -> Story:
    """Play one batch; its samples are taken in DRY."""
    rng = random.Random(f"laboratory {seed}")
    rows = [_row(rng, number) for number in range(rng.randint(1, 3))]
    line = line_of(samples=(SAMPLING,), parameters=(*PARAMETERS, BY_EBR, *rows), routes=())
    plant = Plant(replace(line, sources=(*line.sources, Source(name="lims", driver="mes_file", endpoint="x"))))
    samples = [Told(f"S-{number}") for number in range(rng.randint(0, 3))]
    story = Story(plant, rows, samples)
    moments: list[Any] = [(10.5 + number * 3, "sample", told, "", None) for number, told in enumerate(samples)]
    for told in samples:
        moments += _words(rng, told)
    begin(plant)
    plant.order(6, "FBD-202", "B1", row_s=6)
    plant.see(10, d_step=1, d_temp=40.0)
    stays: list[Any] = [(20.0, "end"), *((float(s), "alive") for s in (23, 40, 60, 90, 150, 400, 4_000, 200_000))]
    for order, (at, *what) in enumerate(sorted([*moments, *stays], key=lambda each: each[0])):
        _moment(rng, story, at, what, order)
        if rng.random() < 0.1:
            plant.fold = Fold.load(plant.line, plant.fold.dump())
    for at in (300_000, 300_100, 300_200):
        plant.alive(at)
    return story


def _row(rng: random.Random, number: int) -> Parameter:
    low = rng.choice([None, "2.00"])
    return Parameter(
        f"lod_{number}", "dryer", "DRY", rng.choice(STATISTICS), name="Loss on drying", unit="%", decimals=rng.randint(0, 2), low=low,
        high=rng.choice([None, "3.00"]) if low else "3.00", limit_source="map", origin="by-lims", given_by="lod.lod",
    )  # fmt: skip


def _words(rng: random.Random, told: Told) -> list[Any]:
    found = []
    for key in rng.sample([told.name, f"{told.name}/b"], rng.choice([0, 1, 1, 1, 2])):
        at = rng.choice([12.0, 22.0, 45.0, 200.0, HOURS_S, 40 * HOURS_S]) + rng.random() * 5
        for number in range(rng.choice([1, 1, 2, 3])):
            value = rng.choice([f"{rng.randint(100, 400) / 100:.2f}", "3.00", "2.00", "", "n.d."][: 3 if rng.random() < 0.8 else 5])
            what = "deleted" if number and rng.random() < 0.2 else value
            found.append((at, "word", told, key, what))
            at += rng.choice([0.5, 30.0, HOURS_S]) * (0.5 + rng.random())
    return found


def _moment(rng: random.Random, story: Story, at: float, what: Sequence[Any], order: int) -> None:
    plant = story.plant
    if what[0] == "alive":
        plant.alive(at)
    elif what[0] == "end":
        plant.see(at, d_step=0)
        for unit in ("FBD-202", "GRN-201"):
            plant.order(at + 1, unit, None, row_s=at + 1)
    elif what[0] == "sample":
        _told(plant, at, "mes.samples", what[1].name, {"sample_id": what[1].name})
    else:
        _, told, key, value = what
        deleted = value == "deleted"
        before = told.replaced
        told.take(order, key, None if deleted else value, deleted=deleted)
        story.closed_first |= told.replaced > before and any(e["transition"] == "end" for e in plant.of("batch"))
        change = "deleted" if deleted else rng.choice(["new", "changed"]) if len(told.said[key]) > 1 else "new"
        _told(plant, at, "lims.results", key, {} if deleted else {"sample_id": told.name, "lod": value}, change)


def _told(plant: Plant, at: float, query: str, key: str, row: dict[str, Any], change: str = "new") -> None:
    source, name = query.split(".")
    rows = [{"key": key, "change": change, "time": None, "text": None, "row": row}]
    plant.happen(at, type="message", source=source, name=name, rows=rows)


def truth(row: Parameter, samples: Sequence[Told]) -> tuple[str, str | None, str]:
    """Give status, value as shown and judgement of a value that the laboratory gives, by all that it has said."""
    chosen = samples if row.statistic in {"min", "max", "mean"} else samples[:1] if row.statistic == "first" else samples[-1:]
    said = [told.newest for told in chosen]
    if not said or None in said:
        return "missing", None, "not-judged"
    try:
        numbers = [Fraction(text) for text in said if text is not None]
    except ValueError:
        return "bad", None, "not-judged"
    value = {"min": min(numbers), "max": max(numbers), "mean": sum(numbers) / len(numbers)}.get(row.statistic, numbers[0])
    scale = 10 ** (row.decimals or 0)
    shown = Fraction(floor(value * scale + Fraction(1, 2)), scale)
    result = "below" if row.low and shown < Fraction(row.low) else "above" if row.high and shown > Fraction(row.high) else "within"
    return "present", f"{float(shown):.{row.decimals}f}", result


__all__ = ["BY_EBR", "T0", "Story", "played", "truth"]
