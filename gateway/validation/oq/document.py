"""Operational qualification: what the installed program does, on a copy of the site's own line, unattended, as a document (URS-VAL-04)."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from config import Line
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.validation.bundle import Bundle
from gateway.validation.cases import Case, NotPlayed, Outcome, Played, broken, chapter, now, plain
from gateway.validation.check import RESULT, listed
from gateway.validation.oq.cases import CASES
from gateway.validation.oq.fault_list import FAULTS, Fault
from gateway.validation.oq.stage import How, Stage
from gateway.validation.run import Run, evidence_blocks, sign_off
from gateway.validation.steps import Told
from simulators.line.drive import unserved

KIND = "operational-qualification"
CASE_WITHIN_S = 1_500.0
GOOD = ("passed", "not applicable")
RECORD_ENTRY = (
    "Records of steps and batches in the EBR, field by field",
    ("URS-MAP-03",),
    "what the site's EBR makes of a record a person reads there, beside the record of the parallel run",
)


class Asked(NamedTuple):
    """What a person asked for. wanted: ids of cases; none: all. ebr: the settings of the site's own EBR; None: not given. run: who asks."""

    wanted: Sequence[str]
    seconds: float
    ebr: Mapping[str, Any] | None = None
    run: Run = Run()


def qualified(site: Line, bundle: Bundle, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the cases one after the other and return the draft of the document. say: takes a line of progress."""
    begun, work = now(), bundle.folder / "work"
    cases = [case for case in CASES if not asked.wanted or case.id in asked.wanted]
    played = []
    for number, case in enumerate(cases, 1):
        say(f"{case.id} {case.title} ({number} of {len(cases)}, begun {now()})")
        one = asyncio.run(_play(case, site, work / case.id, asked, say))
        say(f"{case.id} {one.verdict} ({one.took}){'' if one.why is None else f': {one.why}'}")
        for name, content in one.files.items():
            bundle.keep(f"{case.id}/{name}", content)
        played.append(one)
        shutil.rmtree(work / case.id, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    return _draft(site, bundle, played, {"begun": begun, "ended": now()}, asked)


async def _play(case: Case, site: Line, folder: Path, asked: Asked, say: Callable[[str], None]) -> Played:
    told, begun, why, logs = Told(lambda step: say(f"   {step.verdict}: {step.action}")), now(), None, {}
    outcome: Literal["not executed", "not applicable"] | None = None
    try:
        stage = Stage(site, folder, 1, max(asked.seconds / 2, 20.0), How(case.timed, asked.ebr if case.outside else None))
        try:
            async with asyncio.timeout(CASE_WITHIN_S):
                await case.play(stage, told, asked.seconds)
        finally:
            logs = stage.logs()
    except NotPlayed as reason:
        why, outcome = str(reason), "not executed" if reason.applies else "not applicable"
    except TimeoutError:
        why = f"it did not end within {CASE_WITHIN_S:.0f} s"
    except Exception as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from error  # somebody ends the run, and ending something on the way has failed
        why = broken(error)
    if "failed" in {step.verdict for step in told.steps}:
        outcome = None
    return Played(case, told.steps, {**told.files, **logs}, why, begun, now(), not_played=outcome)


class Missing(NamedTuple):
    """What was not played, and why: a case, or a fault of the list."""

    id: str
    title: str
    urs: tuple[str, ...]
    why: str
    applies: bool = True


def missing_of(played: Sequence[Played]) -> list[Missing]:
    """List the cases that were not played, and the faults that no case plays."""
    done = {one.case.id: one for one in played}
    left = [
        *(Missing(case.id, case.title, case.urs, "was not asked for in this run") for case in CASES if case.id not in done),
        *(
            Missing(one.case.id, one.case.title, one.case.urs, str(one.why), one.not_played == "not executed")
            for one in played
            if one.not_played
        ),
    ]
    faults = [Missing(fault.id, f"{fault.where}: {fault.title}", ("URS-VAL-04",), fault.why) for fault in FAULTS if fault.why]
    return [*sorted(left), *faults, Missing("record-entry", *RECORD_ENTRY)]


def by_fault(played: Sequence[Played]) -> list[tuple[Fault, str, Outcome]]:
    """Say of each fault of the list which cases played it, and what came of them: the worst of them."""
    rows = list[tuple[Fault, str, Outcome]]()
    for fault in FAULTS:
        cases = [case for case in CASES if fault.id in case.faults]
        outcomes = {one.case.id: one.verdict for one in played}
        rows.append((fault, ", ".join(case.id for case in cases) or "-", worst([outcomes.get(case.id, "not executed") for case in cases])))
    return rows


def by_requirement(played: Sequence[Played]) -> list[tuple[str, str, Outcome]]:
    """Say of each requirement which cases look at it, and what came of them."""
    outcomes = {one.case.id: one.verdict for one in played}
    ids = sorted({urs for case in CASES for urs in case.urs})
    of = {urs: [case.id for case in CASES if urs in case.urs] for urs in ids}
    return [(urs, ", ".join(of[urs]), worst([outcomes.get(case, "not executed") for case in of[urs]])) for urs in ids]


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the worst of several outcomes; none is not executed."""
    order: tuple[Outcome, ...] = ("failed", "not checked", "not executed", "passed", "not applicable")
    return next((one for one in order if one in outcomes), "not executed")


def _draft(site: Line, bundle: Bundle, played: Sequence[Played], times: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    missing, unplayed = missing_of(played), unserved(site)
    open_ = [one for one in missing if one.applies]
    verdicts = [one.verdict for one in played]
    counts = {
        "passed": verdicts.count("passed"),
        "failed": verdicts.count("failed"),
        "not checked": verdicts.count("not checked"),
        "not executed": len(open_),
        "not applicable": len(missing) - len(open_),
        "steps passed": sum(step.verdict == "passed" for one in played for step in one.steps),
    }
    checks = _checks(played, open_, unplayed)
    deviations = deviations_of(checks)
    facts = {
        "cases": [plain(one) for one in played],
        "not_executed": [{"id": one.id, "title": one.title, "urs": list(one.urs), "reason": one.why} for one in open_],
        "not_applicable": [
            {"id": one.id, "title": one.title, "urs": list(one.urs), "reason": one.why} for one in missing if not one.applies
        ],
        "faults": [
            {"id": fault.id, "title": fault.title, "cases": cases, "verdict": verdict} for fault, cases, verdict in by_fault(played)
        ],
        "requirements": [{"id": urs, "cases": cases, "verdict": verdict} for urs, cases, verdict in by_requirement(played)],
        "sources_without_a_device": unplayed,
        "counts": counts,
        "checks": checks,
        "deviations": deviations,
        **times,
        **asked.run.facts(),
    }
    bundle.keep("cases.json", json.dumps(facts, indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    whole = set(verdicts) <= {"passed", "not applicable"} and "passed" in verdicts and not open_ and not unplayed
    result = RESULT["failed" if "failed" in verdicts else "passed" if whole else "not checked"]
    blocks = [
        *asked.run.blocks(),
        *_summary(site, counts, unplayed, times, asked.seconds),
        *blocks_of_deviations(deviations),
        *_overview(played),
        *(block for one in played if one.not_played is None for block in chapter(one)),
        *_missing(missing),
        *_faults(played),
        *evidence_blocks(sums),
        *sign_off(),
    ]
    title = f"Operational qualification of {site.gateway}"
    return draft(KIND, title, blocks, {**facts, "evidence": sums}, result=result, journal=[])


def _checks(played: Sequence[Played], missing: Sequence[Missing], unplayed: Mapping[str, str]) -> list[dict[str, str]]:
    """Write every step, what was not executed, and each source without a device in the form in which checks are shown."""
    rows = [
        {"id": f"{one.case.id}.{number}", "expected": step.expected, "found": step.actual, "verdict": step.verdict}
        for one in played
        for number, step in enumerate(one.steps, 1)
    ]
    ends = [
        {"id": one.case.id, "expected": "it comes to its end", "found": one.why, "verdict": "failed"}
        for one in played
        if one.why and one.not_played is None
    ]
    left = [{"id": one.id, "expected": one.title, "found": one.why, "verdict": "not executed"} for one in missing]
    left += [{"id": f"source {name}", "expected": "a device", "found": why, "verdict": "not executed"} for name, why in unplayed.items()]
    return [*rows, *ends, *left]


def _summary(
    site: Line, counts: Mapping[str, int], unplayed: Mapping[str, str], times: Mapping[str, str], seconds: float
) -> Iterator[Block]:
    yield Text(
        "Played by the installed program on this machine, with a copy of the line whose sources are simulated devices that answer at the"
        " addresses of its tag map, and with the reference EBR. Each case has a copy, a journal and a key of its own."
        " The plant was not touched."
    )
    about = [
        ("Line", f"{site.gateway}: {len(site.sources)} sources, {len(site.tags)} tags"),
        ("Program", f"ebr-gateway {version('ebr-gateway')}"),
    ]
    about += [("Each case runs for", f"{seconds:g} s and its own waits"), ("Begun", times["begun"]), ("Ended", times["ended"])]
    yield NamedValues([*about, *((name, str(count)) for name, count in counts.items())])
    if unplayed:
        yield Text(f"Without a simulated device, so not covered: {listed([*unplayed.values()])}", marked=True)


def _overview(played: Sequence[Played]) -> Iterator[Block]:
    yield Heading(1, "Cases and requirements")
    rows = [[one.case.id, one.case.title, one.case.objective, one.case.risk, one.took, one.verdict] for one in played]
    marked = frozenset(number for number, one in enumerate(played) if one.verdict not in GOOD)
    yield Table(("Case", "Title", "Objective", "Risk", "Took", "Verdict"), (2, 5, 8, 2, 3, 3), rows, marked)
    found = by_requirement(played)
    marked = frozenset(number for number, (_, _, verdict) in enumerate(found) if verdict not in GOOD)
    yield Table(("Requirement", "Cases", "Verdict"), (4, 9, 4), [list(row) for row in found], marked)


def _missing(missing: Sequence[Missing]) -> Iterator[Block]:
    for title, applies in (("Not executed", True), ("Not applicable", False)):
        rows = [[one.id, one.title, ", ".join(one.urs), one.why] for one in missing if one.applies is applies]
        if rows:
            yield Heading(1, title)
            yield Table(
                ("Id", "Case or fault", "Requirement", "Why not"),
                (3, 5, 3, 8),
                rows,
                frozenset(range(len(rows))) if applies else frozenset(),
            )


def _faults(played: Sequence[Played]) -> Iterator[Block]:
    yield Heading(1, "Faults")
    found = by_fault(played)
    rows = [[fault.where, fault.title, cases, verdict] for fault, cases, verdict in found]
    marked = frozenset(number for number, (_, _, verdict) in enumerate(found) if verdict not in GOOD)
    yield Table(("Where", "Fault", "Cases", "Verdict"), (2, 9, 4, 3), rows, marked)
