"""Local times of the legacy record as instants, by the declared zone; one that names none, or two, is told and not guessed. Pure."""

from typing import NamedTuple

from config import Line
from config.sections import ParallelRun
from drivers.local_time import Zone


class NoInstant(ValueError):
    """A text names no single instant; the text says why."""


class LocalTimes(NamedTuple):
    """How the local times of a record are read: zone, format, and the rule for a time that happened twice."""

    zone: str
    form: str | None = None
    rule: str = "mark"

    def ticks(self, text: str) -> int:
        """Return the instant that a local time names. Raises NoInstant."""
        zone = Zone(self.zone, self.form, "mark" if self.rule not in ("earlier", "later") else self.rule)  # type: ignore[arg-type]
        try:
            (moment,) = zone.moments([text])
        except (ValueError, OverflowError):
            form = "ISO 8601, as 2026-11-22 08:15:00" if self.form is None else self.form
            raise NoInstant(f"`{text[:40]}` is no time in the form {form} (time_format in [parallel_run])") from None
        if moment is None or moment.ticks is None:
            twice = moment is not None and moment.fold == "ambiguous"
            what = "happened twice" if twice else "does not exist"
            raise NoInstant(f"`{text[:40]}` {what} in {self.zone}: the clock was set that night" + ("; it is not guessed" if twice else ""))
        return moment.ticks


def of_section(line: Line, section: ParallelRun) -> LocalTimes:
    """Return how times of a file are read: as [parallel_run] says, in the line's zone unless it names another."""
    return LocalTimes(section.zone or line.line.timezone, section.time_format, section.ambiguous)


def of_query(line: Line, name: str, section: ParallelRun) -> LocalTimes:
    """Return how times of a query's rows are read: as its own `time` says, where it has one; a rule that needs their order is none here."""
    source_name, _, query = name.partition(".")
    for source in line.sources:
        tables = source.options.get("query", ()) if source.name == source_name else ()
        for table in tables:
            told = table.get("time")
            if table.get("name") == query and isinstance(told, dict):
                return LocalTimes(str(told.get("zone")), told.get("format"), str(told.get("ambiguous", "mark")))
    return of_section(line, section)
