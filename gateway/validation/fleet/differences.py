"""Finds what differs between the facts of lines, area by area, and which qualification evidence that keeps from being used again. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.changes.impact import OF_OTHERS, TESTS
from gateway.interfaces.contract import SECRET
from gateway.validation.fleet.classes import by_class
from gateway.validation.fleet.facts import Facts, Thing
from gateway.validation.fleet.triggers import EMERGENCY, RECEIVER, RELEASE, SOURCE, VERSION, triggers

STAGES = ("IQ", "OQ", "PQ")
UNKNOWN = "not known"
ABSENT, PRESENT, EMPTY = "is not there", "is there", "(empty)"
TOLD = {
    "meaning": ("description", "name"),
    "type": ("type", "statistic"),
    "unit": ("unit",),
    "precision": ("scaling.decimals", "decimals"),
    "allowed_values": ("codes",),
    "timestamp_rule": (),
    "lot_rule": (),
}
"""Column of the data dictionary that is compared -> leaves of its tag or parameter that say the same, and are not told twice."""
PLACES: Mapping[str, frozenset[str]] = {
    "line": frozenset({"site", "name", "environment"}),
    "buffer": frozenset({"directory"}),
    "web": frozenset({"listen", "hosts", "tls", "proxy"}),
    "push": frozenset({"listen", "tls", "owner", "contact", "client"}),
    "users": frozenset({"roles", "pam", "socket", "group"}),
    "backup": frozenset({"folder"}),
    "source": frozenset({"endpoint", "owner", "contact"}),
    "equipment": frozenset({"name", "kind", "unit_id"}),
    "uplink": frozenset({"endpoint", "topic", "client_id", "user", "password", "tls", "owner", "contact"}),
    "witness": frozenset({"endpoint", "tls", "owner", "contact"}),
    "notify": frozenset({"endpoint", "sender", "to", "topic", "user", "password", "tls"}),
    "field": frozenset({"owner"}),
}
"""Kind -> what of it says where, by whom or for whom, and not what: the line's own, at which its IQ looks. The environment has a row."""
CRITICAL = ("CPP", "CQA")


class Row(NamedTuple):
    """One difference. values: of each line, in order. trigger: None: it blocks nothing. tests, pq: what has to be shown again.

    stages: those that it can block.
    """

    area: str
    subject: str
    values: tuple[str, ...]
    trigger: str | None
    tests: tuple[str, ...] = ()
    pq: tuple[str, ...] = ()
    why: str = ""
    stages: tuple[str, ...] = STAGES

    @property
    def blocks(self) -> dict[str, str]:
        """Return the evidence that can not be used again: stage -> what has to be shown anew."""
        if self.trigger is None:
            return {}
        row = triggers()[self.trigger]
        asked = {"IQ": row.iq, "OQ": ", ".join(self.tests) or row.oq, "PQ": ", ".join(self.pq) if self.tests else row.pq}
        return {stage: text for stage, text in asked.items() if text and stage in self.stages}


def differs(values: Sequence[str]) -> bool:
    """Return whether lines differ in something; what is not known is equal to nothing, itself included."""
    return len(set(values)) > 1 or any(value.startswith(UNKNOWN) for value in values)


def differences(lines: Sequence[Facts]) -> Iterator[Row]:
    """Yield every difference of the lines, but for their qualification."""
    yield from _software(lines)
    yield from _named("schema", [one.schemas for one in lines], lambda _: RELEASE)
    yield from _named("interface", [one.interfaces for one in lines], _of_interface)
    yield from _folders(lines)
    yield from _configuration(lines)


def _software(lines: Sequence[Facts]) -> Iterator[Row]:
    values = tuple(_release(one) for one in lines)
    if differs(values):
        yield Row("software", "installed files", values, RELEASE)
    values = tuple(one.software.libraries or f"{UNKNOWN}: no lock file is installed there" for one in lines)
    if differs(values):
        yield Row("software", "libraries", values, RELEASE)


def _release(facts: Facts) -> str:
    made = facts.software
    if made.sha256 is None:
        return f"{UNKNOWN}: the line runs {made.version}, of which the files are not known where this was asked"
    return f"{made.version}, SHA-256 {made.sha256}, {'verified' if made.verified else 'not verified'}"


def _named(area: str, told: Sequence[Mapping[str, str]], trigger: Callable[[str], str]) -> Iterator[Row]:
    for name in sorted({name for one in told for name in one}):
        values = tuple(one.get(name, ABSENT) for one in told)
        if differs(values):
            yield Row(area, name, values, trigger(name))


def _of_interface(name: str) -> str:
    kind = name.partition(":")[0]
    return SOURCE if kind == "source" else RECEIVER if kind in ("uplink", "push") else VERSION


def _folders(lines: Sequence[Facts]) -> Iterator[Row]:
    """Yield what the folders say differently: the dictionary first, lot rules, the tag map, everything else that has a name."""
    classed = [by_class(one) for one in lines]
    things = [{(thing.kind, thing.name): thing for thing in each} for each, _ in classed]
    critical = [list(each) for each, _ in classed]
    fields = [_fields(one, renamed) for one, (_, renamed) in zip(lines, classed, strict=True)]
    told: set[tuple[str, str, str]] = set()
    for row, names, column in _dictionary(fields, critical):
        told |= {(kind, name, leaf) for kind, name in names for leaf in TOLD[column]}
        yield row
    keys = sorted({key for one in things for key in one}, key=lambda key: (_rank(key[0]), key))
    for kind, name in keys:
        yield from _thing(kind, name, [one.get((kind, name)) for one in things], told, critical)


Field = tuple[str, frozenset[tuple[str, str]], dict[str, str]]
"""A field of the data dictionary: kind, the tags or parameters that fill it, its cells."""


def _fields(facts: Facts, renamed: Callable[[str], str]) -> dict[str, Field]:
    """Return the fields of a line by their names in the EBR, or else in the map. One that several rows fill has all that they say."""
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in facts.dictionary:
        rows.setdefault(row["ebr_field"] or renamed(row["name"]), []).append(row)
    return {
        name: (
            each[0]["kind"],
            frozenset((row["kind"], renamed(row["name"])) for row in each),
            {column: _cells(column, each, renamed) for column in TOLD},
        )
        for name, each in rows.items()
    }


def _cells(column: str, rows: Sequence[Mapping[str, str]], renamed: Callable[[str], str]) -> str:
    told = sorted({row.get(column, "") if column == "unit" else renamed(row.get(column, "")) for row in rows})
    return "; ".join(told) or EMPTY


def _dictionary(
    lines: Sequence[Mapping[str, Field]], critical: Sequence[Sequence[Thing]]
) -> Iterator[tuple[Row, frozenset[tuple[str, str]], str]]:
    """Yield the same field with another meaning, unit or precision; a field of one line alone is the tag's or parameter's own row.

    Limits of a parameter are no meaning of a field, but its own rows.
    """
    for name in sorted({name for one in lines for name in one}):
        held = [one.get(name) for one in lines]
        there = [each for each in held if each is not None]
        names = frozenset().union(*(each[1] for each in there))
        kind = there[0][0]
        for column in TOLD if len(there) > 1 else ():
            if len({each[2][column] for each in there}) > 1 and (kind, column) != ("parameter", "allowed_values"):
                values = tuple(ABSENT if each is None else each[2][column] for each in held)
                pq = _loops(names, critical)
                yield Row("dictionary", f"{name}: {column}", values, VERSION, tests_of(kind), pq), names, column


def _thing(
    kind: str, name: str, held: Sequence[Thing | None], told: set[tuple[str, str, str]], critical: Sequence[Sequence[Thing]]
) -> Iterator[Row]:
    there = [thing for thing in held if thing is not None]
    pq = _loops({(kind, name)}, critical)
    plain = name.partition("[")[0]
    if len(there) < len(held):
        yield Row(_area(kind), f"{kind} {name}", tuple(ABSENT if one is None else PRESENT for one in held), VERSION, tests_of(kind), pq)
    leaves = sorted({path for thing in there for path in thing.fields if not _is_place(kind, path)})
    for path in leaves:
        values = [None if one is None else one.fields.get(path, EMPTY) for one in held]
        if len({value for value in values if value is not None}) > 1 and (kind, plain, path) not in told:
            shown = tuple(ABSENT if value is None else value for value in values)
            yield Row(_area(kind), f"{kind} {name}: {path}", shown, VERSION, tests_of(kind), pq)


def _is_place(kind: str, path: str) -> bool:
    parts = path.replace("[", ".").split(".")
    return parts[0] in PLACES.get(kind, ()) or (kind == "source" and parts[0] == "options" and bool(SECRET & set(parts)))


def _loops(objects: Iterable[tuple[str, str]], critical: Sequence[Sequence[Thing]]) -> tuple[str, ...]:
    tags = {tag for kind, name in objects for each in critical for tag in _critical(kind, name, each)}
    return tuple(f"loop check of {tag}" for tag in sorted(tags))


def _critical(kind: str, name: str, things: Sequence[Thing]) -> Iterator[str]:
    """Name the critical tags that a difference is about: whose loop is checked."""
    of = {"source": "source", "code": "codes"}
    for thing in (thing for thing in things if thing.criticality in CRITICAL):
        if (thing.kind, thing.name) == (kind, name):
            yield from [name] if kind == "tag" else [thing.fields["tag"]] if "tag" in thing.fields else []
        elif kind in of and thing.kind == "tag" and thing.fields.get(of[kind]) == name.partition("/")[0]:
            yield thing.name


def tests_of(kind: str) -> tuple[str, ...]:
    """Return what `config impact` asks for where an object of this kind changed."""
    return TESTS.get(kind, OF_OTHERS)


def _rank(kind: str) -> int:
    return {"lots": 0, "tag": 1}.get(kind, 2)


def _area(kind: str) -> str:
    return {"lots": "lot rules", "tag": "tag map"}.get(kind, "line folder")


def _configuration(lines: Sequence[Facts]) -> Iterator[Row]:
    values = tuple(one.configuration.environment for one in lines)
    if differs(values):
        yield Row("configuration", "environment", values, VERSION, tests_of("line"))
    told = [_version(one) for one in lines]
    wrong = [not one.configuration.approved_by or one.configuration.why is not None for one in lines]
    if any(wrong):
        why = "nobody answers for what was compared: " + ", ".join(one.gateway for one, bad in zip(lines, wrong, strict=True) if bad)
        trigger = EMERGENCY if any(one.configuration.emergency for one in lines) else VERSION
        asked = ("what `config impact` lists of the version that is approved",)
        yield Row("configuration", "approved version", tuple(told), trigger, asked, why=why, stages=("OQ",))
    else:
        yield Row("configuration", "approved version", tuple(told), None, why="each line's own")


def _version(facts: Facts) -> str:
    made = facts.configuration
    if made.version is None:
        return f"{made.environment} runs the folder ({made.sha256[:12]}): no approved version" + (f"; {made.why}" if made.why else "")
    by = f"approved by {made.approved_by}" if made.approved_by else "not approved"
    told = f"version {made.version} ({made.sha256[:12]}), {made.state}, {by}{', in an emergency' if made.emergency else ''}"
    return told + (f"; {made.why}" if made.why else "")
