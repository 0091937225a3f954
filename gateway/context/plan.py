"""The line folder, arranged for the fold: which tags matter, to whom, and as what. Made once, never changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from config import Equipment, Line, Parameter, Source, Step, Tag, origin_of
from config.grammars.row_condition import RowCondition, hold
from config.grammars.row_condition import parse as conditions
from config.grammars.step_condition import Active, parse
from config.grammars.terms import Term
from config.materials import Occasion, tags_of
from config.sections import FromRow, FromTag, Pushed, Route, ValueOrigin
from config.sections import Identity as ReadFrom
from drivers import byte_orders
from gateway.context.state import END, IDENTITY, Identity, Kind
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_MS, TICKS_PER_S
from gateway.parameters import Need, limit_tags, need_of

LEVELS = ("unit_procedure", "operation", "phase")
FIELDS = ("batch", "order", "product", "recipe", "recipe_version")
LATENESS_TICKS = 60 * TICKS_PER_S
"""Readings this late still change a record (as a revision); later ones are stored and reported ("allowed lateness" of Beam and Flink)."""


def compared(value: Json, type_name: str | None) -> Any:
    """Give a value as conditions (`active`) compare it: a number also where an entry holds its digits as text, by the tag's type."""
    if not isinstance(value, str):
        return value
    return int(value) if type_name in {"int64", "uint64"} else Decimal(value) if type_name == "decimal" else value


class Place(NamedTuple):
    """Where a tag is read, and how far apart two looks at it are."""

    tag: Tag
    source: Source
    position: int

    @property
    def window_ticks(self) -> int:
        """A change may have happened so long before it was seen: the sampling interval."""
        rate_ms = self.source.rate_ms if self.tag.rate_ms is None else self.tag.rate_ms
        return rate_ms * TICKS_PER_MS

    @property
    def authority(self) -> str:
        """Whose clock stamps its readings."""
        return self.tag.time_authority or self.source.time_authority


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One row of steps.csv with its signal's table."""

    row: Step
    active: Active
    names: Mapping[str, int]
    type: str | None  # of the signal

    def runs(self, value: Json) -> bool:
        """Whether this value of the signal means that the step runs."""
        return self.active.matches(compared(value, self.type), self.names)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its signal, and its key if it has one."""
        return (self.row.signal,) if self.row.key is None else (self.row.signal, self.row.key)

    def applies(self, who: Identity) -> bool:
        """Whether the row counts for a recipe; an empty column is every recipe."""
        return self.row.recipe in {None, who.recipe} and self.row.recipe_version in {None, who.recipe_version}


@dataclass(frozen=True, slots=True)
class Gathered:
    """What must be gathered for a step: sums and the tags of its limits."""

    parameters: tuple[Parameter, ...]
    needs: tuple[Need, ...]
    limits: tuple[str, ...]
    tags: frozenset[str]
    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class Telling:
    """Which rows of a query tell for an equipment: `key` holds its unit_id, `where` holds, and the highest by `order_by` is in force."""

    unit_id: str | None
    key: str
    where: tuple[RowCondition, ...]
    order_by: str | None
    are_orders: bool  # a row is one order, whose number may be corrected; else it is the unit's, and each change of it the next batch

    def counts(self, row: Mapping[str, str | None]) -> bool:
        """Return whether a row tells for the equipment."""
        return row.get(self.key) == self.unit_id and hold(self.where, row)


def _row_keys(source: Source) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each query or pattern of a source with the columns that identify its rows."""
    rows = (source.options.get(name) for name in ("query", "pattern"))
    for table in (table for tables in rows if isinstance(tables, list | tuple) for table in tables):  # a serial pattern is a text
        key = table.get("key") or ()
        yield f"{source.name}.{table.get('name')}", frozenset((key,) if isinstance(key, str) else key)


def _byte_orders(source: Source, tags: Sequence[Tag]) -> Iterator[tuple[str, str]]:
    """Yield in which order the bytes of each tag come, its own or that of its source, where there is one."""
    return ((tag.tag, order) for tag, order in zip(tags, byte_orders(source, tags), strict=True) if order is not None)


class Unit:
    """One equipment: its steps and the tags that say where it is."""

    def __init__(self, equipment: Equipment, plan: "Plan") -> None:
        self.equipment, self.name = equipment, equipment.name
        self.from_rows = equipment.steps_from == "mes"  # rows of the MES make its steps; the signals are compared
        self.settle_ticks = equipment.settle_ms * TICKS_PER_MS
        self.settle_s_ticks = round(equipment.settle_s * TICKS_PER_S)
        self.patience_ticks = max(self.settle_s_ticks, self.settle_ticks)  # waiting ends no sooner than a value can have stood still
        self.steps = sorted(
            (plan.step(step) for step in plan.line.steps if step.equipment == equipment.name), key=lambda s: LEVELS.index(s.row.level)
        )
        self.active_steps = [(s.row.step, s.row.activity) for s in self.steps if s.row.activity is not None]
        self.step_tags = {tag for s in self.steps for tag in (s.row.signal, s.row.key) if tag is not None and tag in plan.places}
        self.identity: dict[str, ReadFrom | None] = {name: getattr(equipment, name) for name in FIELDS}
        self.identity_tags = {i.tag for i in self.identity.values() if isinstance(i, FromTag)}
        self.queries = {i.row for i in self.identity.values() if isinstance(i, FromRow)}
        self.tellings = {query: self._telling(query, plan.row_keys.get(query, frozenset())) for query in self.queries}
        self.queries |= {i.known_in for i in self.identity.values() if isinstance(i, FromTag | Pushed) and i.known_in is not None}
        self.end_state = equipment.batch_ends.removeprefix("state:") if equipment.batch_ends.startswith("state:") else None
        self.end_tag = equipment.batch_ends if equipment.batch_ends in plan.places else None
        self.end_signal = self.end_tag or (equipment.state if self.end_state is not None else None)
        told = (equipment.state, equipment.mode, equipment.operator, equipment.activity, self.end_tag)
        watched = self.step_tags | ({equipment.state} if equipment.state in plan.places else set())
        self.sources = frozenset(plan.places[tag].source.name for tag in watched)
        self.watched = {source: frozenset(tag for tag in watched if plan.places[tag].source.name == source) for source in self.sources}
        self.bridged = {s.name: round(s.outage_tolerance_s * TICKS_PER_S) for s in plan.line.sources if s.name in self.sources}
        self.tags = self.step_tags | self.identity_tags | {tag for tag in told if tag is not None and tag in plan.places}

    def tags_of(self, key: str) -> frozenset[str]:
        """The tags whose readings make a pending change: those of the batch's id, of its end, or the signal of this name."""
        if key == IDENTITY:
            return frozenset(self.identity_tags)
        return frozenset({self.end_signal or ""} if key == END else {key})

    def _telling(self, query: str, row_key: frozenset[str]) -> Telling:
        """All fields that a query tells are read from one row: what one of them says of the rows counts for all."""
        hows = [i for i in self.identity.values() if isinstance(i, FromRow) and i.row == query]
        where = next((how.where for how in hows if how.where is not None), None)
        order_by = next((how.order_by for how in hows if how.order_by is not None), None)
        order = self.identity["order"]
        names_order = isinstance(order, FromRow) and order.row == query and order.column in row_key
        are_orders = bool(row_key) and (hows[0].key not in row_key or names_order)
        return Telling(self.equipment.unit_id, hows[0].key, conditions(where), order_by, are_orders)

    def row_of(self, step: str, who: Identity) -> StepPlan | None:
        """The row of a step for a recipe: the most specific one."""
        rows = [s for s in self.steps if s.row.step == step and s.applies(who)]
        return max(rows, key=lambda s: (s.row.recipe is not None, s.row.recipe_version is not None), default=None)

    def steps_of(self, who: Identity) -> list[StepPlan]:
        """The rows that count for a recipe, one for each step, from the outermost level inwards."""
        names = dict.fromkeys(s.row.step for s in self.steps)
        rows = [row for name in names if (row := self.row_of(name, who)) is not None]
        return sorted(rows, key=lambda s: LEVELS.index(s.row.level))


class Plan:
    """The line as the fold reads it."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.zone = ZoneInfo(line.line.timezone)
        self.unverified = line.clock.unverified or ("stated" if line.line.environment == "development" else "incomplete")
        self.tags = {tag.tag: tag for tag in line.tags}
        self.names = {source.name: [tag.tag for tag in line.tags_of(source.name)] for source in line.sources}
        sources = {source.name: source for source in line.sources}
        self.places = {name: Place(self.tags[name], sources[s], i) for s, names in self.names.items() for i, name in enumerate(names)}
        self.byte_orders = {name: order for source in line.sources for name, order in _byte_orders(source, line.tags_of(source.name))}
        self.row_keys = {query: key for source in line.sources for query, key in _row_keys(source)}
        self.ahead = {name: self._ahead(source) for name, source in sources.items()}
        self.units = {equipment.name: Unit(equipment, self) for equipment in line.equipment}
        self.offset_ticks = {source.name: round(source.max_offset_s * TICKS_PER_S) for source in line.sources}
        self.watched_ticks = {s.name: round(s.outage_tolerance_s * TICKS_PER_S) + 2 * s.rate_ms * TICKS_PER_MS for s in line.sources}
        self._gathered: dict[tuple[str, Kind, str], Gathered] = {}
        self.occasions: tuple[tuple[Literal["material", "sample"], tuple[Occasion, ...]], ...]
        self.occasions = (("material", line.materials), ("sample", line.samples))

    def _ahead(self, source: Source) -> int:
        """Give by how many ticks stamps of a source may be before our clock: none if they are ours."""
        authorities = {source.time_authority, *(self.places[name].authority for name in self.names[source.name])}
        return 0 if authorities == {"gateway"} else round(source.max_offset_s * TICKS_PER_S)

    def step(self, row: Step) -> StepPlan:
        """A row of steps.csv, ready to be asked."""
        tag = self.tags.get(row.signal)
        return StepPlan(
            row,
            parse(row.active) if row.active else Active((), (), ()),
            self.codes(row.signal),
            None if tag is None else tag.type,
        )

    def codes(self, name: str) -> Mapping[str, int]:
        """Text -> number of a tag's code table."""
        tag = self.tags.get(name)
        table = None if tag is None or tag.codes is None else self.line.codes.get(tag.codes)
        return {} if table is None else {code.text: number for number, code in table.codes.items()}

    def gathered(self, equipment: str, kind: Kind, name: str) -> Gathered:
        """Give what a step, a batch or an event gathers: for every recipe, because a recipe may become known late."""
        key = (equipment, kind, name)
        if key not in self._gathered:
            rows = [p for p in self.line.parameters if p.equipment == equipment and self._belongs(p, kind, name)]
            self._gathered[key] = self._gather(rows)
        return self._gathered[key]

    def origin_of(self, parameter: Parameter) -> ValueOrigin | None:
        """Say how what a parameter is made of came to be; None: nobody declared it, or not all of it came to be in one way.

        A row that says `entered-at-source` declares it where the tag map does not: it is about this very value.
        """
        place = self.places.get(parameter.tag or "")
        if place is not None and place.tag.value_origin is None and parameter.origin == "entered-at-source":
            return "manual"
        if place is not None:
            return origin_of(place.tag, place.source)
        if parameter.given_by is not None:
            return self.origin_of_results(parameter.given_by.rpartition(".")[0])
        return self._origin_of_edges(parameter) if parameter.statistic == "duration" else None

    def origin_of_terms(self, trigger: str, terms: Iterable[Term | None]) -> ValueOrigin | None:
        """Say how what a booking is read from came to be; None: nobody declared it, or not all in one way, or the table itself has it.

        trigger: the tag or query whose change is the occasion: columns are those of its row.
        """
        told = {self._origin_of_term(trigger, term) for term in terms if term is not None}
        return told.pop() if len(told) == 1 else None

    def _origin_of_term(self, trigger: str, term: Term) -> ValueOrigin | None:
        place = self.places.get(term.text) if term.kind == "tag" else None
        if place is not None:
            return origin_of(place.tag, place.source)
        return self._origin_of_query(trigger) if term.kind == "row" else None

    def origin_of_results(self, sampling: str) -> ValueOrigin | None:
        """Say how what the laboratory gives of samples came to be; None: nobody declared it, or it gives nothing."""
        row = next((row for row in self.line.samples if row.name == sampling), None)
        return None if row is None or row.results is None else self._origin_of_query(row.results)

    def _origin_of_query(self, query: str) -> ValueOrigin | None:
        source = next((source for source in self.line.sources if source.name == query.partition(".")[0]), None)
        return None if source is None else source.origin_of_rows

    def _origin_of_edges(self, parameter: Parameter) -> ValueOrigin | None:
        """A duration is as its step's start and end are: those of its signal, or of the rows that tell it."""
        unit = self.units.get(parameter.equipment)
        if unit is None or parameter.step is None:
            return None
        if unit.equipment.mes_steps is not None and unit.from_rows:
            return self._origin_of_query(unit.equipment.mes_steps.row)
        signals = (self.places.get(each.row.signal) for each in unit.steps if each.row.step == parameter.step)
        told = {None if place is None else origin_of(place.tag, place.source) for place in signals}
        return told.pop() if len(told) == 1 else None

    def _belongs(self, parameter: Parameter, kind: Kind, name: str) -> bool:
        match parameter.when:
            case "event":
                return kind == "event" and name == parameter.event
            case "batch":
                return kind == "batch"
            case "operation":
                return kind == "step" and name == (self._parent(parameter.equipment, parameter.step) or parameter.step)
        return kind == "step" and parameter.step in {None, name}

    def _parent(self, equipment: str, step: str | None) -> str | None:
        return next((s.parent for s in self.line.steps if s.equipment == equipment and s.step == step), None)

    def _gather(self, rows: list[Parameter]) -> Gathered:
        needs = {need.key: need for row in rows if (need := need_of(row, self.tags)) is not None}
        limits = sorted(name for name in set().union(*(limit_tags(row) for row in rows)) if name in self.places)
        tags = frozenset(need.tag.tag for need in needs.values()) | frozenset(limits)
        return Gathered(tuple(rows), tuple(needs.values()), tuple(limits), tags, frozenset(self.places[t].source.name for t in tags))

    @cached_property
    def events(self) -> frozenset[tuple[str, str]]:
        """(equipment, event) of each event at which parameters are taken."""
        return frozenset((p.equipment, p.event) for p in self.line.parameters if p.when == "event" and p.event is not None)

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Tags of which a series is kept."""
        return frozenset().union(*(self.gathered(*run).tags for run in self.gathering), self.occasion_tags)

    @cached_property
    def gathering(self) -> frozenset[tuple[str, Kind, str]]:
        """(equipment, kind, name) of every run that there can be."""
        steps: set[tuple[str, Kind, str]] = {(step.equipment, "step", step.step) for step in self.line.steps}
        batches: set[tuple[str, Kind, str]] = {(equipment, "batch", "") for equipment in self.units}
        return frozenset(steps | batches | {(equipment, "event", event) for equipment, event in self.events})

    @cached_property
    def occasion_tags(self) -> frozenset[str]:
        """Tags that bookings and samples are read from."""
        rows = [row for _, rows in self.occasions for row in rows]
        people = {self.units[row.equipment].equipment.operator or "" for row in rows if row.equipment in self.units}
        named = {tag for row in rows for _, tag in tags_of(row)} | people | self.trigger_tags
        return frozenset(named & self.places.keys())

    @cached_property
    def trigger_tags(self) -> frozenset[str]:
        """Tags whose change is an occasion."""
        return frozenset(row.trigger for _, rows in self.occasions for row in rows) & self.places.keys()

    def served(self, source: str, tags: Iterable[str]) -> frozenset[str]:
        """Name the equipments that tags of a source serve; rows, and what is nobody's own, serve all of the line."""
        if not self.names.get(source):
            return frozenset(self.units)
        return frozenset().union(*(self._serves.get(tag, ()) for tag in tags))

    @cached_property
    def _serves(self) -> dict[str, frozenset[str]]:
        """Tag -> the equipments that it belongs to, tells of, or has a value in a record of."""
        rows = [(row.equipment, tag) for row in self.line.parameters for tag in self._tags_of(row)]
        rows += [(row.equipment, tag) for _, occasions in self.occasions for row in occasions for _, tag in tags_of(row)]
        rows += [(unit.name, tag) for unit in self.units.values() for tag in unit.tags]
        rows += [(alarm.equipment, alarm.tag) for alarm in self.line.alarms if alarm.equipment is not None]
        found = {tag: {*tag_row.equipment} for tag, tag_row in self.tags.items()}
        everywhere = {tag for tag, owners in found.items() if not owners or "line" in owners}
        for equipment, tag in rows:
            found.setdefault(tag, set()).add(equipment)
        served = {tag: frozenset(self.units if tag in everywhere else owners & self.units.keys()) for tag, owners in found.items()}
        once = {units: units for units in served.values()}  # many tags serve the same
        return {tag: once[units] for tag, units in served.items()}

    def _tags_of(self, row: Parameter) -> set[str]:
        need = need_of(row, self.tags)
        return limit_tags(row) | (set() if need is None else {need.tag.tag})

    @cached_property
    def signals(self) -> dict[str, dict[int, list[Unit]]]:
        """Source -> index of a tag that says where an equipment is -> those equipments."""
        found: dict[str, dict[int, list[Unit]]] = {source: {} for source in self.names}
        for unit in self.units.values():
            for name in unit.tags:
                place = self.places[name]
                found[place.source.name].setdefault(place.position, []).append(unit)
        return found

    @cached_property
    def interest(self) -> dict[str, frozenset[int]]:
        """Source -> indexes of the tags that the fold looks at."""
        found = {source: set(indexes) for source, indexes in self.signals.items()}
        alarming = {alarm.tag for alarm in self.line.alarms if alarm.tag in self.places}
        for name in self.tracked | alarming | {tag.tag for tag in self.line.tags if tag.max_silence_s is not None}:
            found[self.places[name].source.name].add(self.places[name].position)
        return {source: frozenset(indexes) for source, indexes in found.items()}

    @cached_property
    def concerned(self) -> dict[str, list[Unit]]:
        """Source -> the equipments whose contexts its entries carry: those its tags belong to, else all."""
        return {source: self._concerned(source) for source in self.names}

    def _concerned(self, source: str) -> list[Unit]:
        owners = {name for tag in self.names[source] for name in self.tags[tag].equipment}
        owners |= {unit.name for units in self.signals[source].values() for unit in units}
        found = [unit for unit in self.units.values() if unit.name in owners]
        return list(self.units.values()) if "line" in owners or not found else found

    def route(self, recipe: str | None) -> Route | None:
        """The equipments that a batch of this recipe passes through."""
        return next((route for route in self.line.routes if route.recipe == recipe), None)

    def decoded(self, tag: str | None, table: str | None, value: Json, *, state: bool) -> str | None:
        """A code as a word: its ISA-88 state where the table gives one (`state`), else its text, else the value as it is."""
        if value is None or tag is None:
            return None
        name = table or (self.tags[tag].codes if tag in self.tags else None)
        codes = None if name is None else self.line.codes.get(name)
        code = None if codes is None or isinstance(value, str | float) else codes.codes.get(int(value))
        if code is None:
            return str(value).lower() if isinstance(value, bool) else str(value)[:256]
        return (code.state if state else None) or code.text

    def state_of(self, unit: Unit, value: Json) -> str | None:
        """The ISA-88 word of a state code of an equipment."""
        return self.decoded(unit.equipment.state, unit.equipment.states, value, state=True)

    def chosen(self, rows: tuple[Parameter, ...], recipe: str | None, version: str | None) -> list[Parameter]:
        """Of each parameter the row that counts for a recipe: empty is all, the most specific wins."""
        best: dict[str, tuple[Any, Parameter]] = {}
        for row in rows:
            if row.recipe in {None, recipe} and row.recipe_version in {None, version}:
                rank = (row.step is not None, row.recipe is not None, row.recipe_version is not None)
                if row.parameter not in best or rank > best[row.parameter][0]:
                    best[row.parameter] = (rank, row)
        return [row for _, row in best.values()]
