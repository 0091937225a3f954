"""Differences in meaning between two line folders, with the steps, parameters and fields that they affect (URS-CFG-03).

Rows and tables are compared by their names, not by their place in the file: moving a row changes nothing. Comments and spelling of equal
numbers change nothing either.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel

from config.line import Line
from config.reports.coverage import name_of, tags_of
from config.units.scaling import Scaling

_RANK = ("none", "GMP", "CQA", "CPP")
_UNSEEN = frozenset({"place", "criticality_given", "folder", "row_columns"})


@dataclass(frozen=True, slots=True)
class Change:
    """One object that was added, removed or changed. fields: (name, old, new) as text.

    tags, steps, parameters, ebr_fields: everything that depends on it, in both folders. criticality: the highest of them.
    """

    what: str  # added, removed, changed
    kind: str  # line, source, equipment, route, uplink, tag, step, parameter, code, lots, ...
    name: str
    fields: tuple[tuple[str, str, str], ...] = ()
    tags: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    ebr_fields: tuple[str, ...] = ()
    criticality: str = "none"

    def __str__(self) -> str:
        changed = "".join(f"\n    {name}: {old or '(empty)'} -> {new or '(empty)'}" for name, old, new in self.fields)
        touched = [("tags", self.tags), ("steps", self.steps), ("parameters", self.parameters), ("EBR fields", self.ebr_fields)]
        listed = "".join(f"\n    {what}: {', '.join(names)}" for what, names in touched if names)
        return f"{self.what} {self.kind} {self.name} ({self.criticality}){changed}{listed}"


class Described(NamedTuple):
    """One object with a name, as text. fields: path -> text of each leaf."""

    kind: str
    name: str
    fields: dict[str, str]
    criticality: str


def described(line: Line) -> list[Described]:
    """Describe everything that has a name, in the order of kinds and names: what `changes` compares, for who has another line as text."""
    things = sorted(_things(line), key=lambda thing: thing[0])
    return [Described(*key, dict(_flat("", thing)), getattr(thing, "criticality", "none")) for key, thing in things]


def changes(old: Line, new: Line) -> list[Change]:
    """List every difference in meaning, in the order of kinds and names, with what it affects."""
    return [_touched(old, new, change) for change in differences(old, new)]


def differences(old: Line, new: Line) -> Iterator[Change]:
    """Yield every difference in meaning, in the order of kinds and names; criticality: of the object itself, in either folder."""
    before, after = dict(_things(old)), dict(_things(new))
    for key in sorted({*before, *after}):
        what, sides = _what(before.get(key), after.get(key)), (before.get(key), after.get(key))
        if what is not None:
            own = max((getattr(side, "criticality", "none") for side in sides), key=_RANK.index)
            yield Change(what, *key, _fields(*sides), criticality=own)


def _what(before: Any, after: Any) -> str | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    return "changed" if _fields(before, after) else None


def _things(line: Line) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield ((kind, name), object) of everything that has a name."""
    for section in ("line", "clock", "buffer", "web", "push", "backup", "periodic", "parallel_run", "transition", "observation", "users"):
        if getattr(line, section) is not None:
            yield (section, section), getattr(line, section)
    for kind, items in (
        ("source", line.sources),
        ("equipment", line.equipment),
        ("uplink", line.uplinks),
        ("witness", line.witnesses),
        ("notify", line.notify),
    ):
        yield from (((kind, item.name), item) for item in items)
    yield from ((("route", route.recipe), route) for route in line.routes)
    yield from ((("tag", tag.tag), tag) for tag in line.tags)
    yield from ((("step", f"{step.equipment}/{step.step}{_recipe(step)}"), step) for step in line.steps)
    yield from ((("parameter", name_of(row)), row) for row in line.parameters)
    yield from (
        (("code", f"{table.name}/{code.code}"), (table.version, code)) for table in line.codes.values() for code in table.codes.values()
    )
    yield from ((("booking", f"{row.equipment}/{row.name}{_recipe(row)}"), row) for row in line.materials)
    yield from ((("sampling", f"{row.equipment}/{row.name}{_recipe(row)}"), row) for row in line.samples)
    yield from ((("alarm", alarm.alarm), alarm) for alarm in line.alarms)
    yield from ((("field", row.ebr_field), row) for row in line.ebr_fields or ())
    yield from ((("disposition", row.gap), row) for row in line.dispositions)
    yield from ((("comparison", row.ebr_field), row) for row in line.comparisons)
    if line.lots.rules:
        yield ("lots", "version"), {"version": line.lots.version}
    yield from (
        (("lots", rule.name), {"pattern": rule.pattern.pattern, "canonical": rule.canonical, "sources": rule.sources})
        for rule in line.lots.rules
    )


def _recipe(step: Any) -> str:
    return f"[{step.recipe}{'@' + step.recipe_version if step.recipe_version else ''}]" if step.recipe else ""


def _fields(before: Any, after: Any) -> tuple[tuple[str, str, str], ...]:
    """List (field, old, new) of the fields that differ; for an object of one side alone, every field with a value."""
    old_leaves, new_leaves = dict(_flat("", before)), dict(_flat("", after))
    if before is None or after is None:
        return ()
    return tuple(
        (name, old_leaves.get(name, ""), new_leaves.get(name, ""))
        for name in sorted({*old_leaves, *new_leaves})
        if old_leaves.get(name, "") != new_leaves.get(name, "")
    )


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of the leaves of an object."""
    if isinstance(value, BaseModel):
        yield from _flat(path, {name: getattr(value, name) for name in type(value).model_fields if name not in _UNSEEN})
    elif isinstance(value, Scaling):
        yield from _flat(path, value.text())
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _flat(path, {item.name: getattr(value, item.name) for item in fields(value) if item.name not in _UNSEEN})
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    elif value is not None:
        yield path or "value", _plain(value) if isinstance(value, Decimal) else str(value)


def _plain(value: Decimal) -> str:
    """Write a number without trailing zeros: 0.10 and 0.1 are one number."""
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


# ---- whom it touches ---------------------------------------------------------------------------------------------------------------


def _touched(old: Line, new: Line, change: Change) -> Change:
    kind, name = change.kind, change.name
    tags = {tag for line in (old, new) for tag in _tags(line, kind, name)}
    steps = {step for line in (old, new) for step in _steps(line, kind, name, tags)}
    rows = [(name_of(row), row) for line in (old, new) for row in line.parameters if _concerns(row, kind, name, tags, steps)]
    criticalities = [row.criticality for _, row in rows] + [tag.criticality for line in (old, new) for tag in line.tags if tag.tag in tags]
    return Change(
        change.what,
        kind,
        name,
        change.fields,
        tuple(sorted(tags - {name})),
        tuple(sorted(steps - {name})),
        tuple(sorted({row_name for row_name, _ in rows} - {name})),
        tuple(sorted({row.ebr_field for _, row in rows if row.ebr_field})),
        max(criticalities, key=_RANK.index, default="none"),
    )


def _tags(line: Line, kind: str, name: str) -> Iterator[str]:
    if kind == "tag":
        yield name
    elif kind == "source":
        yield from (tag.tag for tag in line.tags if tag.source == name)
    elif kind == "code":
        yield from (tag.tag for tag in line.tags if tag.codes == name.partition("/")[0])


def _steps(line: Line, kind: str, name: str, tags: set[str]) -> Iterator[str]:
    for step in line.steps:
        full = f"{step.equipment}/{step.step}{_recipe(step)}"
        if (kind == "step" and full == name) or (kind == "equipment" and step.equipment == name) or {step.signal, step.key} & tags:
            yield full


def _concerns(row: Any, kind: str, name: str, tags: set[str], steps: set[str]) -> bool:
    """True if a change affects a parameter: its own row, its tags, or the tags that decide when its step runs."""
    if kind in ("parameter", "field"):
        return name in (name_of(row), row.ebr_field)
    in_step = any(step.partition("[")[0] == f"{row.equipment}/{row.step}" for step in steps)
    return in_step or (kind == "equipment" and row.equipment == name) or bool(tags & set(tags_of(row)))
