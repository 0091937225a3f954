"""Compares lines: which qualification evidence of the first one can not be used again for the others, and why. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gateway.validation.fleet.differences import STAGES, UNKNOWN, Row, differences
from gateway.validation.fleet.facts import Facts, Run, sha256_of
from gateway.validation.fleet.taken import QUALIFICATIONS
from gateway.validation.fleet.triggers import SECOND_LINE, triggers
from gateway.validation.review.requalification import Now, of_stage

FORM = "ebr-gateway/fleet-comparison/1"


class Given(NamedTuple):
    """A line as it was named. facts: None where it can not be read, and why."""

    named: str
    facts: Facts | None
    why: str = ""


class Compared(NamedTuple):
    """What came of it. values of rows: in the order of `lines`, those that could be read."""

    lines: tuple[Given, ...]
    rows: tuple[Row, ...]

    @property
    def blocking(self) -> list[Row]:
        """The rows that keep evidence from being used again."""
        return [row for row in self.rows if row.blocks]

    @property
    def read(self) -> list[Given]:
        """The lines that could be read."""
        return [one for one in self.lines if one.facts is not None]

    @property
    def first_is_read(self) -> bool:
        """Whether there is somebody whose evidence could be used again."""
        return self.lines[0].facts is not None

    @property
    def result(self) -> str:
        """The document's result: what blocks is a finding; a line that nobody could look at makes it not complete."""
        if len(self.read) < len(self.lines):
            return "not-complete"
        return "finding" if self.blocking else "passed"


def compared(lines: Sequence[Given]) -> Compared:
    """Compare. The first line is the one whose evidence is to be used again: where it can not be read no other takes its place."""
    facts = [one.facts for one in lines if one.facts is not None]
    rows = [_unread(one) for one in lines if one.facts is None]
    if len(facts) > 1 and lines[0].facts is not None:
        rows += [*differences(facts), *_qualification(facts)]
    return Compared(tuple(lines), tuple(rows))


def named_twice(lines: Sequence[Given]) -> str | None:
    """Say which line was named twice, by the same words or by two folders or files of one gateway; None: each has a name of its own."""
    known: dict[str, Given] = {}
    for one in lines:
        name = one.named if one.facts is None else one.facts.gateway
        other = known.setdefault(name, one)
        if other is not one:
            if one.named == other.named:
                return f"{one.named}: is named twice: name each line once"
            return f"{other.named} and {one.named}: both are {name}: name one of them (`config diff` compares two folders of one gateway)"
    return None


def _unread(one: Given) -> Row:
    return Row("line", one.named, (f"can not be read: {one.why}",), SECOND_LINE, why="nothing is known of it, so nothing is the same")


def _qualification(lines: Sequence[Facts]) -> Iterator[Row]:
    """Yield the state of each stage, with its date: the first line's OQ is what is used again, and has to be one of what it is now."""
    for kind, stage in QUALIFICATIONS.items():
        values = tuple(_stage(one, kind, stage) for one in lines)
        wrong = list(_reasons(lines[0], kind, stage)) if stage == "OQ" else []
        why = f"there is no evidence of {lines[0].gateway} that could be used again: {'; '.join(wrong)}" if wrong else "each line's own"
        yield Row("qualification", stage, values, SECOND_LINE if wrong else None, ("all of it",), why=why, stages=("OQ",))


def _stage(facts: Facts, kind: str, stage: str) -> str:
    run = facts.qualification.get(kind)
    if run is None:
        since = f", and nothing is remembered from before {facts.known_since}" if facts.known_since else ""
        unread = f"; {'; '.join(facts.unread)}" if facts.unread else ""
        return f"{UNKNOWN}: none is recorded, and no evidence was named{since}{unread}"
    signed = f"signed by {', '.join(run.signed)}" if run.signed else "not signed"
    stale = "; ".join(_reasons(facts, kind, stage))
    return f"{run.standing}, {run.made[:10]}, {signed} ({run.origin}, {run.id[:8]})" + (f"; {stale}" if stale else ", of what it is now")


def _reasons(facts: Facts, kind: str, stage: str) -> Iterator[str]:
    """Yield why a stage does not show that the line as it is now is qualified: by the rules of the periodic review."""
    run = facts.qualification.get(kind)
    now = Now(facts.software.version, facts.software.sha256 or UNKNOWN, facts.configuration.sha256)
    yield from of_stage(stage, None if run is None else _as_kept(run), facts.known_since, now)


def _as_kept(run: Run) -> dict[str, Any]:
    return run.model_dump()


def as_json(made: Compared) -> dict[str, Any]:
    """Write it for programs."""
    names = [one.facts.gateway for one in made.read if one.facts is not None]
    return {
        "schema": FORM,
        "lines": [_line(one) for one in made.lines],
        "rows": [_row(row, names) for row in made.rows],
        "blocks": {stage: sum(stage in row.blocks for row in made.rows) for stage in STAGES},
        "always": always(),
        "result": made.result,
    }


def always() -> dict[str, str]:
    """Return what each line shows for itself, whatever is the same."""
    row = triggers()[SECOND_LINE]
    return {"IQ": row.iq, "PQ": row.pq}


def _line(one: Given) -> dict[str, Any]:
    if one.facts is None:
        return {"named": one.named, "gateway": None, "why": one.why}
    facts = one.facts
    return {
        "named": one.named,
        "gateway": facts.gateway,
        "taken_at": facts.taken_at,
        "station": facts.station,
        "facts_sha256": sha256_of(facts),
        "unread": facts.unread,
    }


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    of_all = row.area != "line"
    return {
        "area": row.area,
        "subject": row.subject,
        "values": [{"line": name, "value": value} for name, value in zip(names, row.values, strict=True)] if of_all else list(row.values),
        "blocks": row.blocks,
        "trigger": row.trigger,
        "why": why_of(row),
    }


def why_of(row: Row) -> str:
    """Say why it blocks: what the difference is in the table of triggers, and what else is to be said."""
    return "; ".join(filter(None, [row.why, f"as `{row.trigger}` ({triggers()[row.trigger].first})" if row.trigger else ""]))
