"""What a version touches: each change with criticality, steps, parameters, EBR fields, interfaces, equipment, and the tests it asks for.

Pure. From the two contents alone; which batches are open is asked when somebody looks, and when a version is put into force.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from config import Line
from config.reports.diff import Change, changes
from gateway.interfaces import Digests, digests

FORM = "ebr-gateway/impact/1"
EVERYWHERE = "*"
"""In place of an equipment: the change may touch every one."""
NOWHERE = frozenset(
    {"web", "users", "backup", "periodic", "transition", "observation", "parallel_run", "witness", "uplink", "disposition", "comparison"}
)
"""Kinds that touch no equipment's record: who looks, who is told, where copies go."""
MOST_CHANGES = 2_000
RANK = ("none", "GMP", "CQA", "CPP")

TESTS: dict[str, tuple[str, ...]] = {
    "line": ("start", "one batch from beginning to end"),
    "clock": ("clock report (`time`)",),
    "buffer": ("start", "restore from a backup"),
    "web": ("page from another machine, login",),
    "users": ("five roles: one command that each may give and one that it may not",),
    "push": ("push of one order, and of one with a wrong token",),
    "backup": ("backup and restore",),
    "transition": ("phase and sunset in `status`, `alarms history` and the record of one batch, looked at",),
    "observation": ("each day of the period reported again, against these limits (`observation summary`)",),
    "source": ("`probe` of the source", "link cut and restored: gap told", "loop check of its tags"),
    "equipment": ("one batch from beginning to end on the equipment",),
    "route": ("one batch along the route",),
    "uplink": ("delivery and receipt", "link cut and restored: nothing lost, nothing twice"),
    "witness": ("`verify --checkpoint` against the witness",),
    "tag": ("`probe` of the tag", "loop check: value at the instrument against the record"),
    "step": ("the step run once: start, end, key against what the operator did",),
    "parameter": ("the step run once: value and result against a calculation by hand",),
    "code": ("each text that changed, set at the device once",),
    "booking": ("one booking against the material that was moved",),
    "sampling": ("one sample from taking to result",),
    "alarm": ("the alarm raised and cleared once",),
    "field": ("the field filled once in the EBR",),
    "disposition": ("what was accepted, looked at by who accepted it",),
    "parallel_run": ("every batch of the parallel run compared again, under these rules",),
    "comparison": ("every batch of the parallel run compared again, under these rules",),
    "lots": ("each example lot of the plant through the rules",),
}
"""Kind of a changed object -> what has to be shown again."""
OF_OTHERS = ("one batch from beginning to end",)


class OpenBatch(NamedTuple):
    """A batch that has not ended. equipments: where it is, was or may still come to; empty: not known."""

    batch: str
    equipments: frozenset[str]


def impact(old: Line | None, new: Line, software: Sequence[str] = (), promised: Digests | None = None) -> dict[str, Any]:
    """Assess what `new` changes against `old`, None for a first version. software: files and libraries that are not as they were.

    promised: the digests of the interfaces of the version in force as they were when it was proposed, perhaps by another release; None: not
    known, then they are what this release makes of `old`.
    """
    found = changes(old, new) if old is not None else []
    rows = [_row(change, old, new) for change in found[:MOST_CHANGES] if old is not None]
    touched = {name for row in rows for name in row["equipment"]} if old is not None else {EVERYWHERE}
    return {
        "form": FORM,
        "old": None if old is None else old.sha256,
        "new": new.sha256,
        "changes": len(found),
        "rows": rows,
        "software": list(software),
        "equipment": sorted(touched | ({EVERYWHERE} if software else set())),
        "interfaces": sorted({name for row in rows for name in row["interfaces"]}),
        "contracts": _contracts(promised or ({} if old is None else digests(old)), digests(new)),
        "tests": sorted({test for row in rows for test in row["tests"]} | ({"qualification of the release"} if software else set())),
        "criticality": max(_criticalities(rows, new, whole=old is None or bool(software)), key=RANK.index, default="none"),
    }


def _contracts(before: Digests, after: Digests) -> dict[str, Any]:
    """Say at which interfaces the other side must look again: what it relies on is not what it was. digests: of the new version."""
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return {"digests": after, "changed": [{"interface": name, "old": before.get(name), "new": after.get(name)} for name in changed]}


def _criticalities(rows: Sequence[Mapping[str, Any]], new: Line, *, whole: bool) -> Iterator[str]:
    """Yield how critical what is touched is. whole: that is everything, for there is nothing before it, or another program reads it."""
    yield from (row["criticality"] for row in rows)
    if whole:
        yield from (tag.criticality for tag in new.tags)
        yield from (parameter.criticality for parameter in new.parameters)


def concerned(assessed: Mapping[str, Any], batches: Iterable[OpenBatch]) -> list[str]:
    """Name the open batches whose equipment a version touches. A batch of which nobody knows the equipment is one of them."""
    touched = set(assessed["equipment"])
    return sorted(b.batch for b in batches if touched and (EVERYWHERE in touched or not b.equipments or touched & b.equipments))


def _row(change: Change, old: Line, new: Line) -> dict[str, Any]:
    return {
        "path": f"{change.kind} {change.name}",
        "what": change.what,
        "fields": [list(field) for field in change.fields],
        "criticality": change.criticality,
        "tags": list(change.tags),
        "steps": list(change.steps),
        "parameters": list(change.parameters),
        "ebr_fields": list(change.ebr_fields),
        "equipment": sorted(_equipment(change, old, new)),
        "interfaces": sorted(set(_interfaces(change, old, new))),
        "tests": list(TESTS.get(change.kind, OF_OTHERS)),
    }


def _equipment(change: Change, old: Line, new: Line) -> set[str]:
    """Name the equipments whose records a change may touch; `*` where it can not be told which."""
    if change.kind in NOWHERE:
        return set()
    if change.kind == "equipment":
        return {change.name}
    if change.kind in ("step", "parameter", "booking", "sampling"):
        return {change.name.partition("/")[0]}
    tags = {change.name, *change.tags} if change.kind == "tag" else set(change.tags)
    named = [tag.equipment for line in (old, new) for tag in line.tags if tag.tag in tags]
    names = {name for names in named for name in names} | {step.partition("/")[0] for step in (*change.steps, *change.parameters)}
    return {EVERYWHERE} if not names or "line" in names or not all(named) else names


def _interfaces(change: Change, old: Line, new: Line) -> Iterator[str]:
    """Name the connections that a change touches: its own, those of its tags, and every receiver of a field that it changes."""
    if change.kind in ("source", "uplink", "witness", "push", "web", "backup"):
        yield change.name
    tags = {change.name, *change.tags} if change.kind == "tag" else set(change.tags)
    yield from (tag.source for line in (old, new) for tag in line.tags if tag.tag in tags)
    if change.ebr_fields or change.kind == "field":
        yield from (uplink.name for line in (old, new) for uplink in line.uplinks)


def text(assessed: Mapping[str, Any], batches: Sequence[str]) -> str:
    """Write it for people: one paragraph for each change, then what it comes to. batches: open ones that are concerned."""
    told = [_paragraph(row) for row in assessed["rows"]]
    if assessed["old"] is None:
        told.append("the first version: everything in it is new")
    elif not assessed["rows"]:
        told.append("nothing differs in meaning")
    if assessed["changes"] > len(assessed["rows"]):
        told.append(f"and {assessed['changes'] - len(assessed['rows'])} more changes")
    lists = (
        ("software", "software"),
        ("equipment touched", "equipment"),
        ("interfaces touched", "interfaces"),
        ("tests required", "tests"),
    )
    told += [f"{words}: {', '.join(assessed[name])}" for words, name in lists if assessed[name]]
    told += _looked_at(assessed["contracts"]["changed"]) if "contracts" in assessed else []
    told.append(f"highest criticality: {assessed['criticality']}")
    told.append(f"open batches concerned: {', '.join(batches) or 'none'}")
    return "\n".join(told)


def _looked_at(changed: Sequence[Mapping[str, Any]]) -> list[str]:
    if not changed:
        return ["contracts: no interface changes what its other side relies on"]
    rows = (f"    {row['interface']}: {(row['old'] or '(none)')[:16]} -> {(row['new'] or '(none)')[:16]}" for row in changed)
    return ["contracts that change; the other side must look again (ebr-gateway spec):", *rows]


def _paragraph(row: Mapping[str, Any]) -> str:
    fields = "".join(f"\n    {name}: {old or '(empty)'} -> {new or '(empty)'}" for name, old, new in row["fields"])
    members = ("equipment", "tags", "steps", "parameters", "ebr_fields", "interfaces", "tests")
    touched = "".join(f"\n    {name.replace('_', ' ')}: {', '.join(row[name])}" for name in members if row[name])
    return f"{row['what']} {row['path']} ({row['criticality']}){fields}{touched}"
