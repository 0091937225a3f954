"""Asks a MES database what can be known without reading on: does each query answer, and how far is its clock from ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config import Source


@dataclass
class Probed:
    """One query. state: "ok", or why its SELECT failed."""

    query: str
    state: str
    columns: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        head = f"query {self.query}  {self.state}{': columns ' + ', '.join(self.columns) if self.columns else ''}"
        return [head, *(f"    {problem}" for problem in self.problems)]


@dataclass
class Probe:
    """The database. tags: one per query. clock: (offset, bound) in seconds, positive when the database is ahead; None: not asked."""

    tags: list[Probed]
    time_authority: str
    clock: tuple[float, float] | None
    findings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        clock = (
            "not told ([[source]] clock names no SELECT)"
            if self.clock is None
            else f"{self.clock[0]:+.3f} s +- {self.clock[1]:.3f} s against ours"
        )
        told = [f"clock     {clock}", f"stamps    by the {self.time_authority} (time_authority)"]
        return [*told, *self.findings, *(line for tag in self.tags for line in tag.lines())]


def judged(source: Source, clock: tuple[float, float] | None, timed: Mapping[str, bool], tagged: Sequence[str]) -> list[str]:
    """What the declared time authority needs. timed: query -> its rows have a time. tagged: queries with columns that are tags."""
    found = []
    if clock is not None and abs(clock[0]) > source.max_offset_s:
        found.append(f"its clock is {clock[0]:+.3f} s against ours, more than max_offset_s = {source.max_offset_s:g}")
    if source.time_authority == "server":
        found.append("time_authority server: rows carry no time of the server beside their own; declare device or gateway")
    if source.time_authority != "device":
        return found
    if clock is None:
        found.append("time_authority device, but nothing tells how far its clock is off: name a SELECT of its time in `clock`")
    found += [
        f"time_authority device, but rows of query {name} have no `time`: the gateway's time counts" for name in tagged if not timed[name]
    ]
    return found
