"""Plans which batch is in which equipment and step, and when: a pure function of the line, the seed and the speed.

Seconds are counted from the simulation's start. Batches of a route follow each other: an equipment takes the next one when it is free and
the equipment before has handed over, so two equipments hold different batches for a while.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from config import Equipment, FromRow, FromTag, Line, Step
from config.materials import Booking
from simulators.line.pattern import sample

Phase = Literal["idle", "ready", "running", "held", "complete", "cleaning"]
ROLES = ("batch", "order", "product", "recipe", "recipe_version")
FIRST_BATCH = 417
HOLD_CHANCE = 0.2
COMPLETE_S = 1.5
CLEANING_S = 2.5
WEIGHING_S = 3.0
"""A lot on the scale takes so long at least: a scale that is asked twice a second must be seen at rest."""
LOOKED_UP_S = 1.0
"""An order is there so much longer, beside two looks at its source, before the equipment tells a number that is looked up in it."""
AFTER_SKIP_S = 1.5
"""A step lasts so much longer than a parameter of it skips at its start: also where a batch is made very short."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a leaf step: `path` names it and its ancestors, outermost first."""

    path: tuple[str, ...]
    number: int
    start_s: float
    end_s: float
    hold: tuple[float, float] | None

    @property
    def step(self) -> str:
        """The leaf's name."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class Stay:
    """One batch in one equipment.

    Its order is written at ordered_s; it starts with the first run; the equipment is free again at free_s and ready for another batch at
    next_s. cleaning: the run that cleaned the equipment before.
    """

    equipment: str
    number: int
    identity: Mapping[str, str]
    ordered_s: float
    runs: tuple[Run, ...]
    free_s: float
    next_s: float
    cleaning: Run | None = None

    @property
    def began_s(self) -> float:
        """Start of everything done for this batch: of the cleaning before, or of the order."""
        return self.ordered_s if self.cleaning is None else self.cleaning.start_s

    @property
    def start_s(self) -> float:
        """Start of the first step."""
        return self.runs[0].start_s

    @property
    def end_s(self) -> float:
        """End of the last step; the batch is handed over."""
        return self.runs[-1].end_s


@dataclass(frozen=True, slots=True)
class Situation:
    """The state of an equipment at one instant."""

    phase: Phase
    stay: Stay | None = None
    run: Run | None = None
    between: tuple[str, ...] = ()  # between two runs of a step: the steps around it, which go on

    @property
    def active(self) -> frozenset[str]:
        """Names of the steps that are active."""
        return frozenset(self.run.path if self.run else self.between)


@dataclass(frozen=True, slots=True)
class Path:
    """The equipments that a batch of a recipe passes through."""

    recipe: str | None
    equipments: tuple[str, ...]


def lanes(line: Line) -> list[list[Path]]:
    """Group the routes that share equipment into lanes, in which they take turns; an equipment of no route has a lane of its own."""
    result: list[list[Path]] = []
    for route in line.routes:
        path = Path(route.recipe, route.equipments)
        shared = [lane for lane in result if any(set(path.equipments) & set(other.equipments) for other in lane)]
        result = [lane for lane in result if lane not in shared] + [[*(member for lane in shared for member in lane), path]]
    routed = {name for lane in result for path in lane for name in path.equipments}
    return result + [
        [Path(_recipe(line, equipment.name), (equipment.name,))] for equipment in line.equipment if equipment.name not in routed
    ]


class Plan:
    """The timetable of a line."""

    def __init__(self, line: Line, seed: int, batch_s: float = 60.0, first: int = FIRST_BATCH) -> None:
        """first: number of the first batch."""
        self._line = line
        self._seed = seed
        self._batch_s = batch_s
        self._first = first
        self._equipment = {equipment.name: equipment for equipment in line.equipment}
        self._tags = {tag.tag for tag in line.tags}
        self._stays: dict[str, list[Stay]] = {equipment.name: [] for equipment in line.equipment}
        self._lanes = lanes(line)
        self._batches = [self._plan(index) for index in range(len(self._lanes))]
        self._planned = [[-1.0] * len(lane) for lane in self._lanes]

    def at(self, equipment: str, at_s: float) -> Situation:
        """Find the situation of an equipment at this instant."""
        self._extend(at_s)
        for stay in reversed(self._stays[equipment]):
            if stay.cleaning is not None and stay.cleaning.start_s <= at_s < stay.cleaning.end_s:
                return Situation("cleaning", None, stay.cleaning)
            if stay.ordered_s <= at_s < stay.next_s:
                return _situation(stay, at_s)
        return Situation("idle")

    def stays(self, after_s: float, until_s: float) -> list[Stay]:
        """List stays that overlap (after_s, until_s], in the order of time."""
        self._extend(until_s)
        overlapping = [stay for stays in self._stays.values() for stay in stays if stay.began_s <= until_s and stay.next_s > after_s]
        return sorted(overlapping, key=lambda stay: (stay.began_s, stay.equipment))

    def _extend(self, until_s: float) -> None:
        """Plan until every path of every lane has a batch that lies wholly ahead."""
        for lane, batches in enumerate(self._batches):
            while min(self._planned[lane]) <= until_s:
                ordered_s = next(batches, float("inf"))
                self._planned[lane] = [*self._planned[lane][1:], ordered_s]

    def _plan(self, lane: int) -> Iterator[float]:
        """Put one batch of the lane into the timetable for each `next`, and yield the time of its first order."""
        paths, free_s = self._lanes[lane], dict.fromkeys(self._equipment, 0.0)
        if not any(self._leaves(name, path.recipe) for path in paths for name in path.equipments):
            return
        for turn in range(1_000_000_000):
            path, handed_s, ordered = paths[turn % len(paths)], 0.0, []
            for name in path.equipments:
                stay = self._stay(name, path, self._first + turn * len(self._lanes) + lane, max(handed_s, free_s[name]))
                if stay is not None:
                    self._stays[name].append(stay)
                    free_s[name], handed_s = stay.next_s, stay.end_s
                    ordered.append(stay.began_s)
            yield min(ordered, default=handed_s)

    def _stay(self, name: str, path: Path, number: int, from_s: float) -> Stay | None:
        leaves = self._leaves(name, path.recipe)
        if not leaves:
            return None
        equipment = self._equipment[name]
        random = Random(f"{self._seed} {name} {number}")
        cleaning = self._cleaning(equipment, from_s + 0.5)
        ordered_s = from_s + 0.5 if cleaning is None else cleaning.end_s + pause_s(equipment)
        share_s = self._batch_s / max(1, sum(bool(self._leaves(equipment, path.recipe)) for equipment in path.equipments))
        least_s = {row.step: row.skip_first_s + AFTER_SKIP_S for row in self._line.parameters if row.equipment == name and row.skip_first_s}
        for row in self._line.materials:
            if row.equipment == name and row.step is not None and row.trigger in self._tags:
                least_s[row.step] = least_s.get(row.step, 0.0) + WEIGHING_S * weighed_times(row)
        runs = tuple(_runs(leaves, random, ordered_s + self._lead_s(equipment), share_s, pause_s(equipment), least_s))
        identity = _identity([self._equipment[equipment] for equipment in path.equipments], path.recipe, number, self._line)
        freed_s = runs[-1].end_s + COMPLETE_S
        return Stay(name, number, identity, ordered_s, runs, freed_s, freed_s + pause_s(equipment), cleaning)

    def _cleaning(self, equipment: Equipment, from_s: float) -> Run | None:
        """Find the first step that cleans this equipment, its children first: it runs outside of any batch."""
        steps = [step for step in self._line.steps if step.equipment == equipment.name and step.activity == "cleaning"]
        path = next((path for path, _ in leaves(steps)), None)
        return None if path is None else Run(path, 1, from_s, from_s + max(CLEANING_S, pause_s(equipment)), None)

    def _lead_s(self, equipment: Equipment) -> float:
        """Time for the order to be read and to settle before the first step starts; first of all, where the number is looked up in it."""
        hows = [getattr(equipment, role) for role in ROLES]
        rows = [how.row if isinstance(how, FromRow) else how.known_in or "" for how in hows if how is not None]
        rates = [source.rate_ms for row in rows for source in self._line.sources if source.name == row.split(".")[0]]
        looked_up_s = LOOKED_UP_S if is_looked_up(equipment) else 0.0
        return 2 * max(rates, default=0) / 1000 + looked_up_s + pause_s(equipment)

    def _leaves(self, name: str, recipe: str | None) -> list[tuple[tuple[str, ...], Step]]:
        return leaves([step for step in steps_of(self._line, name, recipe) if step.activity != "cleaning"])


def steps_of(line: Line, equipment: str, recipe: str | None) -> list[Step]:
    """List the equipment's steps that apply to the recipe; one that names it before one that does not."""
    rows = [step for step in line.steps if step.equipment == equipment and step.recipe in (None, recipe)]
    chosen: dict[str, Step] = {}
    for step in sorted(rows, key=lambda row: (row.recipe is not None, row.recipe_version is not None)):
        chosen[step.step] = step
    place = {id(step): index for index, step in enumerate(rows)}
    return sorted(chosen.values(), key=lambda row: (row.order if row.order is not None else 1_000_000, place[id(row)]))


def leaves(steps: Sequence[Step]) -> list[tuple[tuple[str, ...], Step]]:
    """List the steps without children, each with its path, in the order of the tree."""
    names = {step.step for step in steps}

    def below(parent: str | None, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Step]]:
        for step in steps:
            if (step.parent if step.parent in names else None) == parent and step.step not in path:
                children = list(below(step.step, (*path, step.step)))
                yield from children or [((*path, step.step), step)]

    return list(below(None, ()))


def _runs(
    leaves: Sequence[tuple[tuple[str, ...], Step]],
    random: Random,
    start_s: float,
    share_s: float,
    pause_s: float,
    least_s: Mapping[str | None, float],
) -> Iterator[Run]:
    """Yield the runs of one stay, one after the other; a step that may occur several times sometimes does."""
    counted = [(path, step, number) for path, step in leaves for number in range(1, _times(step, random) + 1)]
    if not counted:
        counted = [(*leaves[0], 1)]
    each_s = share_s / len(counted)
    for path, step, number in counted:
        if number > 1 and step.key is None:
            start_s += pause_s
        end_s = start_s + max(each_s * random.uniform(0.8, 1.2), pause_s, least_s.get(step.step, 0.0))
        hold = (start_s + (end_s - start_s) * 0.4, start_s + (end_s - start_s) * 0.6) if random.random() < HOLD_CHANCE else None
        yield Run(path, number, start_s, end_s, hold)
        start_s = end_s


def weighed_times(row: Booking) -> int:
    """Count the lots that a booking weighs in one batch."""
    return 2 if row.occurs == "1..n" else 1


def _times(step: Step, random: Random) -> int:
    chance = random.random()
    return {"1": 1, "0..1": int(chance < 0.8), "1..n": 1 + (chance < 0.3), "0..n": int(chance < 0.8) + (chance < 0.3)}[step.occurs]


def is_looked_up(equipment: Equipment) -> bool:
    """Return whether the equipment itself tells its batch number, and the gateway looks for it among the orders."""
    return isinstance(equipment.batch, FromTag) and equipment.batch.known_in is not None


def pause_s(equipment: Equipment) -> float:
    """Time in which a change of this equipment settles for certain."""
    return 2 * equipment.settle_ms / 1000 + 0.5


def _situation(stay: Stay, at_s: float) -> Situation:
    if at_s < stay.start_s:
        return Situation("ready", stay)
    if at_s >= stay.end_s:
        return Situation("complete" if at_s < stay.free_s else "idle", stay)
    run = next((run for run in stay.runs if run.start_s <= at_s < run.end_s), None)
    if run is None:
        later = next(run for run in stay.runs if run.start_s > at_s)
        return Situation("running", stay, None, later.path[:-1])
    held = run.hold is not None and run.hold[0] <= at_s < run.hold[1]
    return Situation("held" if held else "running", stay, run)


def _recipe(line: Line, equipment: str) -> str | None:
    return next((row.recipe for row in line.steps if row.equipment == equipment and row.recipe), None)


def _identity(path: Sequence[Equipment], recipe: str | None, number: int, line: Line) -> dict[str, str]:
    """Make batch, order, product, recipe and its version: the same in every equipment of the path, in the line's own patterns."""
    versions = [row.recipe_version for row in line.steps if row.recipe_version and row.recipe in (None, recipe)]
    values = {
        "batch": f"B2026-{number:04d}",
        "order": f"45{number:08d}",
        "product": "P-1182",
        "recipe": recipe or "MBR-88",
        "recipe_version": versions[0] if versions else "7",
    }
    for role in ROLES:
        patterns = [
            origin.pattern for origin in (getattr(equipment, role) for equipment in path) if isinstance(origin, FromTag) and origin.pattern
        ]
        if patterns and not re.fullmatch(patterns[0], values[role]):
            values[role] = sample(patterns[0], number)
    return values
