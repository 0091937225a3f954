"""Puts the days of an observation period beside each other: each judged anew from the journal, beside what its report said. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Text
from config.sections import Observation
from gateway.alarms.observation import SUMMARY, days_of, limits_sha256
from gateway.documents import draft
from gateway.observation.document import NONE, about, ranges_of, shown, table
from gateway.observation.gathering import Gathered
from gateway.observation.judging import EXCEEDED, NOT_JUDGED, NOT_KNOWN, SAYS, UNITS, Judged, Row, judged, reasons, seconds

NO_REPORT = "no report"


def summary_draft(gateway: str, told: Observation, made: Gathered, uplinks: Sequence[str]) -> dict[str, Any]:
    """Make the draft of a summary of what has passed of a period."""
    facts = summary(told, made, uplinks)
    title = f"Observation of {gateway} after go-live: {told.begin} until {told.until}"
    return draft(SUMMARY, title, _blocks(told, facts), facts, result=facts["result"], journal=ranges_of(made))


def summary(told: Observation, made: Gathered, uplinks: Sequence[str]) -> dict[str, Any]:
    """Say of each day what it comes to, and of each limit how it was kept; of a period that is not over, of the days so far."""
    begun = [day for day in made.days if day.span.begin <= made.read_to]
    days = [judged(made, day, told.limits, uplinks) for day in begun if day.span.end <= made.read_to]
    rows = [_day(one, made.kept.days.get(str(one.day.day)), limits_sha256(told)) for one in days]
    is_over = made.read_to >= made.period.end
    results = Counter(row["result"] for row in rows)
    result = "finding" if results["finding"] else "passed" if is_over and results == {"passed": len(days_of(told))} else "not-complete"
    return {
        "observation": about(told, None),
        "result": result,
        "is_over": is_over,
        "days": rows,
        "days_to_come": [str(day.day) for day in made.days if day.span.end > made.read_to],
        "days_without_report": [row["day"] for row in rows if row["report"] is None],
        "limits": [_limit(name, days) for name in SAYS],
        "batches": _batches(days, made),
        "sources": _sources(days),
        "findings": _findings(days),
    }


def _day(one: Judged, report: Mapping[str, Any] | None, limits: str) -> dict[str, Any]:
    """Say what a day comes to: what its report found exceeded stays so, and what nobody reported is not complete."""
    others = report is not None and report["limits_sha256"] != limits
    said = NO_REPORT if report is None else str(report["result"])
    is_good = one.result == "passed" and said in ("passed", "not-complete") and not others
    result = "finding" if "finding" in (one.result, said) else "passed" if is_good else "not-complete"
    return {
        "day": str(one.day.day),
        "report": None if report is None else {name: report[name] for name in ("id", "sha256", "result", "made")},
        "by_other_limits": others,
        "now": one.result,
        "exceeded": [_told(row) for row in one.rows if row.verdict == EXCEEDED],
        "not_known": reasons(one.rows),
        "batches": len(one.day.batches) + one.day.more_batches,
        "down_s": seconds(one.down_ticks),
        "result": result,
    }


def _told(row: Row) -> str:
    return f"{row.limit} {shown(row)}, {'at least' if row.limit == 'coverage' else 'at most'} {row.allowed}{UNITS.get(row.limit, '')}"


def _limit(name: str, days: Sequence[Judged]) -> dict[str, Any]:
    """Say how one limit was kept over the days. worst: of what is known."""
    rows = [(one.day.day, row) for one in days for row in one.rows if row.limit == name]
    known = [(Decimal(row.value), day, row) for day, row in rows if row.value is not None]
    worst = (min if name == "coverage" else max)(known, key=lambda each: each[0], default=None)
    verdicts = Counter(row.verdict for _, row in rows)
    return {
        "limit": name,
        "allowed": rows[0][1].allowed if rows else None,
        "worst": None if worst is None else worst[2].value,
        "worst_day": None if worst is None else str(worst[1]),
        "days": {verdict.replace(" ", "_"): count for verdict, count in sorted(verdicts.items())},
    }


def _batches(days: Sequence[Judged], made: Gathered) -> dict[str, int]:
    statuses = [status for one in days for status in one.day.batches.values()]
    compared = sum(batch in made.comparisons for one in days for batch in one.day.batches)
    return {
        "ended": len(statuses) + sum(one.day.more_batches for one in days),
        "incomplete": sum(status != "complete" for status in statuses),
        "compared": compared,
    }


def _sources(days: Sequence[Judged]) -> list[dict[str, Any]]:
    told: dict[str, list[Any]] = {}
    for one in days:
        for source in one.sources:
            told.setdefault(source.source, []).append(source)
    return [
        {
            "source": name,
            "gaps_by_day": sum(each.gaps for each in rows),
            "gap_s": seconds(sum(each.gap_ticks for each in rows)),
            "longest_s": seconds(max(each.longest_ticks for each in rows)),
            "days_not_known": sum(each.coverage is None or each.is_crowded for each in rows),
        }
        for name, rows in sorted(told.items())
    ]


def _findings(days: Sequence[Judged]) -> list[dict[str, Any]]:
    raised, over = Counter[tuple[str, str]](), Counter[str]()
    for one in days:
        raised.update(one.day.raised)
        over.update(one.day.over)
    return [{"code": code, "severity": severity, "raised": n, "closed": over[code]} for (code, severity), n in sorted(raised.items())]


def _blocks(told: Observation, facts: Mapping[str, Any]) -> Iterator[Block]:
    rows, count = facts["days"], len(days_of(told))
    yield Text(verdict(facts), marked=facts["result"] != "passed")
    without, batches = facts["days_without_report"], facts["batches"]
    yield NamedValues(
        [
            ("Period", f"{told.begin} until {told.until}, {count} days; {len(facts['days_to_come'])} of them are not over"),
            ("Limits", f"[observation] limits, SHA-256 {limits_sha256(told)}"),
            ("Days without a report", ", ".join(without) or "none"),
            ("Batches", f"{batches['ended']} whose record was made, {batches['incomplete']} incomplete, {batches['compared']} compared"),
        ]
    )
    yield Text(
        "Each day was judged anew from the journal, with what was told of it later. What its report found exceeded stays so; a day without"
        " a report, or judged by other limits than those in force, is not complete. The period goes on until somebody of role qa signs this"
        " summary: observation end."
    )
    yield Heading(1, "Limits over the period")
    limits = [
        (SAYS[one["limit"]], _allowed(one), _worst(one), *(_days(one, name) for name in (EXCEEDED, NOT_KNOWN))) for one in facts["limits"]
    ]
    marked = [bool(one["days"].get(EXCEEDED) or one["days"].get("not_known")) for one in facts["limits"]]
    yield from table(("What", "Limit", "Worst day", "Days exceeded", "Days not known"), (7, 3, 5, 2, 2), limits, marked)
    yield Heading(1, "Days")
    cells = [
        (row["day"], _report(row), row["now"], "; ".join([*row["exceeded"], *row["not_known"]]) or NONE, row["result"]) for row in rows
    ]
    titles = ("Day", "Its report", "By now", "Exceeded, or not known", "Comes to")
    yield from table(titles, (3, 4, 3, 10, 3), cells, [row["result"] != "passed" for row in rows])
    yield Heading(1, "Gaps, by source")
    gaps = [
        (one["source"], str(one["gaps_by_day"]), f"{one['gap_s']} s", f"{one['longest_s']} s", str(one["days_not_known"]))
        for one in facts["sources"]
    ]
    yield from table(("Source", "Gaps, day by day", "Time in gaps", "Longest of a day", "Days not known"), (4, 3, 3, 3, 3), gaps)
    yield Heading(1, "Findings")
    found = [(one["code"], one["severity"], str(one["raised"]), str(one["closed"])) for one in facts["findings"]]
    yield from table(
        ("Code", "Severity", "Raised", "Ends told"), (4, 2, 2, 2), found, [one["severity"] == "alarm" for one in facts["findings"]]
    )


def verdict(facts: Mapping[str, Any]) -> str:
    """Say what a period comes to, in one sentence."""
    told = Counter(row["result"] for row in facts["days"])
    to_come = f", {len(facts['days_to_come'])} to come" if facts["days_to_come"] else ""
    counts = f"{told['passed']} days within all limits, {told['finding']} beyond one, {told['not-complete']} not complete{to_come}"
    return f"{'The period is over' if facts['is_over'] else 'The period is not over'}: {counts}."


def _allowed(one: Mapping[str, Any]) -> str:
    sign = "at least" if one["limit"] == "coverage" else "at most"
    return NOT_JUDGED if one["allowed"] is None else f"{sign} {one['allowed']}{UNITS.get(one['limit'], '')}"


def _worst(one: Mapping[str, Any]) -> str:
    return NONE if one["worst"] is None else f"{one['worst']}{UNITS.get(one['limit'], '')} on {one['worst_day']}"


def _days(one: Mapping[str, Any], verdict: str) -> str:
    return NONE if one["allowed"] is None else str(one["days"].get(verdict.replace(" ", "_"), 0))


def _report(row: Mapping[str, Any]) -> str:
    if row["report"] is None:
        return NO_REPORT
    return f"{row['report']['result']}, {row['report']['id'][:8]}" + (", by other limits" if row["by_other_limits"] else "")


def text(facts: Mapping[str, Any]) -> str:
    """Write it for a terminal."""
    lines = []
    for row in facts["days"]:
        lines.append(f"{row['day']}  {row['result']:<12}  report: {_report(row)}")
        lines += [f"    exceeded: {'; '.join(row['exceeded'])}"] if row["exceeded"] else []
        lines += [f"    not known: {'; '.join(row['not_known'])}"] if row["not_known"] else []
    return "\n".join([*lines, verdict(facts)])


def day_text(one: Judged) -> str:
    """Write a day for a terminal."""
    lines = [f"{row.verdict:<11} {row.limit:<27} {shown(row)}" + _limit_text(row) for row in one.rows]
    return "\n".join([*lines, f"{one.day.day}: {one.result}"])


def _limit_text(row: Row) -> str:
    limit = (
        "" if row.allowed is None else f" ({'at least' if row.limit == 'coverage' else 'at most'} {row.allowed}{UNITS.get(row.limit, '')})"
    )
    return limit + (f": {row.why}" if row.why else "")


def last_day(made: Gathered) -> date | None:
    """Return the newest day that is over, by what was read."""
    return next((day.day for day in reversed(made.days) if day.span.end <= made.read_to), None)
