"""Writes a comparison down: for a terminal, and as the draft of a document. Pure."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.validation.fleet.compared import Compared, Given, always, as_json, why_of
from gateway.validation.fleet.differences import STAGES, Row
from gateway.validation.fleet.triggers import triggers
from gateway.validation.run import sign_off

KIND = "fleet-comparison"
LEFT_OUT = "Left out: where something is reached, accounts, owners, names of line and site; IQ looks at them on each line."


def text(made: Compared) -> str:
    """Write it for a terminal: a paragraph for each difference, then what it comes to."""
    told = [*(f"{_whose(at)}{_line(one)}" for at, one in enumerate(made.lines)), ""]
    for area, rows in groupby(made.rows, key=lambda row: row.area):
        told += [f"{area}", *(line for row in rows for line in _paragraph(row, made))]
    return "\n".join([*told, "", *_sums(made)])


def _whose(at: int) -> str:
    return "evidence of    " if at == 0 else "compared with  "


def _line(one: Given) -> str:
    if one.facts is None:
        return f"{one.named}: can not be read: {one.why}"
    return f"{one.facts.gateway} ({one.named}), as it was on {one.facts.taken_at[:19]}Z at {one.facts.station}"


def _paragraph(row: Row, made: Compared) -> Iterator[str]:
    yield f"  {row.subject}"
    names = [one.facts.gateway for one in made.read if one.facts is not None] if row.area != "line" else [row.subject]
    width = max(map(len, names))
    yield from (f"    {name:<{width}}  {value}" for name, value in zip(names, row.values, strict=True))
    yield from (f"    blocks {stage}: {asked}" for stage, asked in row.blocks.items())
    if row.blocks:
        yield f"    why: {'; '.join(filter(None, [row.why, f'as `{row.trigger}`']))}"


def _sums(made: Compared) -> Iterator[str]:
    if not made.first_is_read:
        yield f"nothing is compared: the first line, {made.lines[0].named}, whose evidence is to be used again, could not be read"
    elif len(made.read) < 2:
        yield "nothing is compared: fewer than two lines could be read"
    blocking = made.blocking
    counts = ", ".join(f"{stage} {sum(stage in row.blocks for row in blocking)}" for stage in STAGES)
    yield f"{len(made.rows)} rows, {len(blocking)} of them block: {counts}" if blocking else f"{len(made.rows)} rows, none blocks"
    yield from (f"to look at first, `{name}`: {triggers()[name].first}" for name in dict.fromkeys(row.trigger for row in blocking) if name)
    yield f"on each line, whatever is the same: {'; '.join(f'{stage}: {asked}' for stage, asked in always().items() if asked)}"
    yield LEFT_OUT


def drafted(made: Compared) -> dict[str, Any]:
    """Make the draft of a document."""
    return draft(KIND, "Comparison of lines", _blocks(made), json.loads(json.dumps(as_json(made))), result=made.result, journal=[])


def _blocks(made: Compared) -> Iterator[Block]:
    yield NamedValues([("Evidence of" if at == 0 else "Compared with", _line(one)) for at, one in enumerate(made.lines)])
    yield from (Text(line, marked=bool(made.blocking)) for line in _sums(made))
    names = tuple(one.facts.gateway for one in made.read if one.facts is not None)
    for area, rows in groupby(made.rows, key=lambda row: row.area):
        listed = list(rows)
        titles = names if area != "line" else ("What is wrong",)
        yield Heading(1, area[0].upper() + area[1:])
        cells = [(row.subject, *row.values, _blocked(row), why_of(row)) for row in listed]
        marked = frozenset(at for at, row in enumerate(listed) if row.blocks)
        yield Table(("What", *titles, "Blocks", "Why"), (3, *(4 for _ in titles), 4, 4), cells, marked)
    yield from sign_off(("Made", "Approved"))


def _blocked(row: Row) -> str:
    return "; ".join(f"{stage}: {asked}" for stage, asked in row.blocks.items()) or "nothing"
