"""Writes the report of a day and the summary of a period: as blocks for people, and as facts for programs. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from config.sections import Observation
from gateway.alarms.observation import KIND, Observed, days_of, limits_sha256, missing
from gateway.documents import draft
from gateway.entries.ticks import rfc3339
from gateway.observation.gathering import Gathered
from gateway.observation.judging import EXCEEDED, NOT_KNOWN, SAYS, TOO_MANY, UNITS, Judged, Row, plain, seconds

MOST_SHOWN = 200
NONE = "-"


def day_draft(gateway: str, told: Observation, made: Gathered, one: Judged, kept: Observed) -> dict[str, Any]:
    """Make the draft of a day's report. kept: what was reported before; days without a report are named."""
    day = one.day.day
    left = [str(each) for each in missing(told, kept, day)]
    facts = {"observation": about(told, day), "days_without_report": left, **_facts(made, one)}
    number = f"day {(day - told.begin).days + 1} of {len(days_of(told))}"
    title = f"Observation of {gateway} after go-live: {day}"
    return draft(KIND, title, _day_blocks(told, made, one, number, left), facts, result=one.result, journal=ranges_of(made))


def about(told: Observation, day: date | None) -> dict[str, Any]:
    """Say which day of which period a document is of, and by which limits."""
    limits = limits_sha256(told)
    return {"from": str(told.begin), "until": str(told.until), "day": None if day is None else str(day), "limits_sha256": limits}


def ranges_of(made: Gathered) -> list[dict[str, int]]:
    """Name the entries that were read, of each epoch."""
    return [{"epoch": epoch, "first": first, "last": last} for epoch, first, last in made.ranges]


def _facts(made: Gathered, one: Judged) -> dict[str, Any]:
    day = one.day
    return {
        "day": {"from": rfc3339(day.span.begin), "to": rfc3339(day.span.end)},
        "whole": one.is_whole,
        "limits": [row._asdict() for row in one.rows],
        "batches": [{"batch": batch, "status": status, "comparison": _comparison(made, batch)} for batch, status in day.batches.items()],
        "sources": [
            {
                "source": each.source,
                "gaps": each.gaps,
                "filled": each.filled,
                "gap_s": seconds(each.gap_ticks),
                "is_gap_s_whole": not each.is_crowded,
                "longest_s": seconds(each.longest_ticks),
                "coverage": None if each.coverage is None else plain(each.coverage, up=False),
            }
            for each in one.sources
        ],
        "causes": [{"source": source, "cause": cause, "gaps": count} for (source, cause), count in sorted(day.causes.items())],
        "down_s": seconds(one.down_ticks),
        "late_cycles": day.late,
        "reconciliations": {"rows": day.reconciliations, "more": day.more_reconciliations},
        "clock": {
            "entries": day.entries,
            "verified": day.verified,
            "with_bound": day.bounded,
            "worst_bound_s": None if day.worst_bound_s is None else f"{day.worst_bound_s:.6f}",
        },
        "findings": {
            "raised": [{"code": code, "severity": severity, "count": n} for (code, severity), n in sorted(day.raised.items())],
            "closed": [{"code": code, "count": n} for code, n in sorted(day.over.items())],
        },
    }


def _comparison(made: Gathered, batch: str) -> str | None:
    return made.comparisons[batch][1] if batch in made.comparisons else None


def _day_blocks(told: Observation, made: Gathered, one: Judged, number: str, left: Sequence[str]) -> Iterator[Block]:
    day = one.day
    yield NamedValues(
        [
            ("Day", f"{day.day}, {number}; {rfc3339(day.span.begin)} to {rfc3339(day.span.end)}, whose end does not belong to it"),
            ("Period", f"{told.begin} until {told.until}, and until somebody of role qa ends it"),
            ("Limits", f"[observation] limits, SHA-256 {limits_sha256(told)}"),
            ("Entries of the day", f"{day.entries:,}" + ("" if one.is_whole else "; some are missing, or it was not read to its end")),
            ("The gateway did not run for", f"{seconds(one.down_ticks)} s"),
            ("Days before it without a report", ", ".join(left[:60]) or "none"),
        ]
    )
    yield from _limits(one.rows)
    yield Heading(1, "Batches whose record was made on this day")
    rows = [(batch, status, _comparison(made, batch) or "not compared") for batch, status in list(day.batches.items())[:MOST_SHOWN]]
    yield from table(("Batch", "Record", "Comparison with the legacy record"), (4, 3, 4), rows, [r[1] != "complete" for r in rows])
    yield from _more(len(day.batches) + day.more_batches - len(rows))
    yield Heading(1, "Gaps, by source")
    yield Text("Coverage: the share of the day in which no gap of any tag was open. Filled: what the source's history gave afterwards.")
    gaps = [_source_row(each) for each in one.sources]
    titles = ("Source", "Gaps", "Filled", "Time in gaps", "Longest", "Coverage")
    yield from table(titles, (4, 2, 2, 3, 3, 3), gaps, [each.coverage is None or each.is_crowded for each in one.sources])
    causes = [(source, cause, f"{count:,}") for (source, cause), count in sorted(day.causes.items())]
    yield from table(("Source", "Cause", "Gaps told on this day"), (4, 4, 3), causes)
    yield Heading(1, "Reconciliation with the receiver")
    compared = [(each["time"][:19] + "Z", str(each["title"]), str(each["result"]), str(each["id"])) for each in day.reconciliations]
    yield from table(("When", "What", "Result", "Document"), (3, 6, 2, 5), compared, [row[2] != "passed" for row in compared])
    yield from _more(day.more_reconciliations)
    yield Heading(1, "Clock")
    bound = "none was told" if day.worst_bound_s is None else f"{day.worst_bound_s:.6f} s"
    values = [("Widest bound", bound), ("Entries without a bound", f"{day.entries - day.bounded:,}")]
    yield NamedValues([*values, ("Entries by a clock that was not verified", f"{day.entries - day.verified:,}")])
    yield Heading(1, "Findings")
    yield Text("Raised and closed on this day; what was told about the observation itself is not among them.")
    raised = [(code, severity, f"{n:,}", f"{day.over.get(code, 0):,}") for (code, severity), n in sorted(day.raised.items())]
    yield from table(("Code", "Severity", "Raised", "Ends told"), (4, 2, 2, 2), raised, [row[1] == "alarm" for row in raised])


def _source_row(each: Any) -> tuple[str, ...]:
    lost = f"at least {seconds(each.gap_ticks)} s, {TOO_MANY}" if each.is_crowded else f"{seconds(each.gap_ticks)} s"
    at_most = "at most " if each.is_crowded else ""
    coverage = "not known" if each.coverage is None else f"{at_most}{plain(each.coverage, up=False)}"
    return (each.source, str(each.gaps), str(each.filled), lost, f"{seconds(each.longest_ticks)} s", coverage)


def _limits(rows: Sequence[Row]) -> Iterator[Block]:
    yield Heading(1, "Limits")
    yield Text("What is not known is a verdict of its own, and never within a limit.")
    told = [
        (
            SAYS[row.limit],
            shown(row),
            NONE if row.allowed is None else f"{_sign(row)} {row.allowed}{UNITS.get(row.limit, '')}",
            verdict(row),
        )
        for row in rows
    ]
    yield from table(("What", "Value", "Limit", "Verdict"), (7, 3, 3, 6), told, [row.verdict in (EXCEEDED, NOT_KNOWN) for row in rows])


def _sign(row: Row) -> str:
    return "at least" if row.limit == "coverage" else "at most"


def shown(row: Row) -> str:
    """Write a value with its unit."""
    return (
        "not known"
        if row.value is None and row.verdict == NOT_KNOWN
        else NONE
        if row.value is None
        else f"{row.value}{UNITS.get(row.limit, '')}"
    )


def verdict(row: Row) -> str:
    """Write a verdict, with the reason where there is one."""
    return f"{row.verdict}: {row.why}" if row.why else row.verdict


def table(titles: Sequence[str], widths: Sequence[float], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> Iterator[Block]:
    """Yield a table; where it has no rows, that there are none. marked: of which rows a person should look at."""
    yield Table(titles, widths, rows, frozenset(at for at, one in enumerate(marked) if one)) if rows else Text("None.")


def _more(count: int) -> Iterator[Block]:
    if count > 0:
        yield Text(f"And {count:,} more.", marked=True)
