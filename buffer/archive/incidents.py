"""Lay out what happened beside the steps: gaps, alarms, findings, the clock."""

from collections.abc import Iterable, Iterator, Sequence

from buffer.archive.happenings import Happening, running
from buffer.archive.texts import clock_effect_text, clock_size_text, duration_text, local_text, tags_text, value_text
from buffer.pages.blocks import Block, Heading, Table, Text
from buffer.times import TICKS_PER_S, from_rfc3339


def incidents(batch: str, happened: Sequence[Happening], mine: set[str], zone: str | None) -> Iterator[Block]:
    """Yield everything of the whole line in these entries. mine: gaps that the batch's end lists."""
    yield from _gaps(happened, mine, zone)
    alarms = [happening for happening in happened if happening.event["type"] == "alarm" and happening.event.get("batch") in (batch, None)]
    alarms = [one._replace(event={**one.event, "stood": _stood(one.event.get("duration_s"))}) for one in alarms]
    names = ("alarm", "state", "severity", "equipment", "text", "stood")
    titles = ("Alarm", "State", "Severity", "Equipment", "Text", "Stood")
    yield from _listed("Alarms", alarms, names, titles, (2.5, 1.4, 1.2, 1.4, 4, 1), zone)
    gone = {happening.event["supersedes"] for happening in happened if happening.event["type"] == "rebind"}
    findings = [_placed(happening, gone) for happening in happened if happening.event["type"] == "finding"]
    grave = frozenset(n for n, happening in enumerate(findings) if happening.event.get("severity") == "alarm")
    finding = ("severity", "where", "code", "text")
    yield from _listed("Findings, on the whole line", findings, finding, ("Severity", "Where", "Code", "Text"), (1, 1.5, 2, 6), zone, grave)
    clocks = [happening for happening in happened if happening.event["type"] == "clock"]
    grave = frozenset(n for n, happening in enumerate(clocks) if happening.event.get("kind") in ("step", "suspend"))
    clocks = [_set(happening, running(batch, happened, happening)) for happening in clocks]
    clock = ("kind", "size", "status", "bound_s", "reason", "effect")
    titles = ("Kind", "By", "Status", "Bound s", "Reason", "Effect on times")
    yield from _listed("Clock", clocks, clock, titles, (1.5, 1.4, 1.6, 0.9, 3, 4), zone, grave)


def _set(happening: Happening, ran: Sequence[str]) -> Happening:
    """Add to a clock event its size, and what it does to times."""
    effect = clock_effect_text(happening.event, happening.seqs[0], ran)
    return happening._replace(event={**happening.event, "size": clock_size_text(happening.event), "effect": effect})


def _stood(seconds: float | None) -> str:
    return "" if seconds is None else duration_text(seconds)


def _placed(finding: Happening, gone: set[str]) -> Happening:
    """Add to a finding where it was made, and that its run turned out to be another batch's. gone: records whose name a rebind replaced."""
    told = finding.event.get("evidence") or {}
    finding = finding._replace(event={**finding.event, "where": told.get("equipment") or finding.event.get("source") or "line"})
    run = "/".join(str(told.get(name)) for name in ("batch", "equipment", "step", "run"))
    if not any(record.endswith(f"/{run}") for record in gone):
        return finding
    return finding._replace(event={**finding.event, "text": f"{finding.event['text']} (the run went over to another batch)"})


def _listed(
    title: str,
    happened: Sequence[Happening],
    names: Sequence[str],
    titles: Sequence[str],
    widths: Sequence[float],
    zone: str | None,
    marked: frozenset[int] = frozenset(),
) -> Iterator[Block]:
    if happened:
        rows = [[one.where, local_text(one.time, zone), *(value_text(one.event.get(name)) for name in names)] for one in happened]
        yield Heading(1, title)
        yield Table(("Entry", "Time", *titles), (1, 2.2, *widths), rows, marked)


class _Gap:
    """One gap, or the part of it that closed at one instant."""

    def __init__(self, happening: Happening, begun: Happening | None) -> None:
        event = happening.event
        self.where = happening.where if begun is None or begun is happening else f"{begun.where}, {happening.where}"
        self.name, self.source = str(event["gap"]), str(event.get("source") or "")
        self.tags, self.start, self.end = event.get("tags"), event.get("start"), event.get("end")
        self.outcome = str(event.get("outcome") or ("filled" if event["transition"] == "fill" else "open"))
        self.cause = value_text((begun or happening).event.get("cause") or event.get("cause"))


def _gaps(happened: Sequence[Happening], mine: set[str], zone: str | None) -> Iterator[Block]:
    """Show by source and cause how often and how long something was not observed, and below each time."""
    told = [happening for happening in happened if happening.event["type"] == "gap"]
    opened = {happening.event["gap"]: happening for happening in told if happening.event["transition"] == "open"}
    ends = [happening for happening in told if happening.event["transition"] != "open"]
    ended = {end.event["gap"] for end in ends}
    still_open = [happening for name, happening in opened.items() if name not in ended]
    gaps = [_Gap(happening, opened.get(happening.event["gap"])) for happening in (*ends, *still_open)]
    if not gaps:
        return
    yield Heading(1, "Gaps: what was not observed, on the whole line")
    yield Table(("Source", "Cause", "Outcome", "Times", "In all", "Longest"), (2, 2, 1.5, 1, 1.5, 1.5), list(_alike(gaps)))
    yield Heading(2, "Each of them")
    rows = [
        [
            *(gap.where, f"{gap.name}{' *' if gap.name in mine else ''}", tags_text(gap.tags)),
            *(local_text(gap.start, zone), local_text(gap.end, zone), gap.outcome, gap.cause),
        ]
        for gap in gaps
    ]
    marked = frozenset(n for n, gap in enumerate(gaps) if gap.outcome != "filled" and gap.name in mine)
    yield Table(("Entries", "Gap", "Tags", "From", "To", "Outcome", "Cause"), (1.2, 1.8, 3.6, 2.2, 2.2, 0.9, 1.5), rows, marked)
    if mine:
        yield Text("* of this batch: it hid something of an equipment while the batch was there, or a value of its record names it.")


def _alike(gaps: Iterable[_Gap]) -> Iterator[Sequence[str]]:
    groups: dict[tuple[str, str, str], list[_Gap]] = {}
    for gap in gaps:
        groups.setdefault((gap.source, gap.cause, gap.outcome), []).append(gap)
    for key, alike in sorted(groups.items()):
        total_s, longest_s = _extent((gap.start, gap.end) for gap in alike)
        yield [*key, str(len({gap.name for gap in alike})), duration_text(total_s), duration_text(longest_s)]


def _extent(intervals: Iterable[tuple[str | None, str | None]]) -> tuple[float | None, float | None]:
    """Measure intervals: all of them, what lies in two counted once, and the longest; one that is not closed has no length."""
    known = sorted((from_rfc3339(start), from_rfc3339(end)) for start, end in intervals if start and end)
    total, through = 0, known[0][0] if known else 0
    for start, end in known:
        total += max(0, end - max(start, through))
        through = max(through, end)
    longest = max((end - start for start, end in known), default=0)
    return (total / TICKS_PER_S, longest / TICKS_PER_S) if known else (None, None)
