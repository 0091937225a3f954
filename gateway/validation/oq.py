"""Operational qualification: what the installed program does, on a copy of the site's own line, unattended, as a document (URS-VAL-04)."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from config import Line
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.validation.bundle import Bundle
from gateway.validation.check import RESULT, Verdict, listed
from gateway.validation.oq_cases import CASES, Case, Step, Told
from gateway.validation.oq_stage import Stage
from gateway.validation.run import Run, evidence_blocks, sign_off
from simulators.line.drive import unserved

KIND = "operational-qualification"
CASE_WITHIN_S = 900.0
NOT_EXECUTED = (
    ("limits", "Each parameter against its limits", ("URS-CTX-11",), "needs devices that leave their limits on order"),
    ("clock-step", "A clock that is set", ("URS-TIME-07",), "the clock of the plant's PC is not set for a test"),
    ("disk-full", "A disk that is full", ("URS-BUF-05",), "the disk of the plant's PC is not filled for a test"),
    ("mes-edit", "A row of the MES that is edited", ("URS-DAQ-04",), "needs rows of the site's own MES that are edited on order"),
    ("result-replaced", "A result that the laboratory replaces", ("URS-AUD-08",), "needs results of the site's own laboratory"),
    ("record-entry", "Records of steps and batches in the EBR, field by field", ("URS-MAP-03",), "needs the site's own EBR (parallel run)"),
)
"""What an operational qualification is asked for, and this one does not play: listed in the document, never as passed."""


class Played(NamedTuple):
    """A case that was played. steps: with the verdict of each. why: it came to no end, and how; None: it did."""

    case: Case
    steps: Sequence[Step]
    files: Mapping[str, bytes]
    why: str | None
    begun: str
    ended: str

    @property
    def verdict(self) -> Verdict:
        """Passed only if every step passed, there is one, and the case came to its end."""
        verdicts = {step.verdict for step in self.steps}
        if self.why is not None or "failed" in verdicts:
            return "failed"
        return "passed" if verdicts == {"passed"} else "not checked"


def qualified(site: Line, bundle: Bundle, wanted: Sequence[str], seconds: float, say: Callable[[str], None], run: Run) -> dict[str, Any]:
    """Play the cases one after the other and return the draft of the document. wanted: ids; none: all. say: takes a line of progress."""
    begun, work = _now(), bundle.folder / "work"
    played = []
    for case in CASES:
        if wanted and case.id not in wanted:
            continue
        say(f"{case.id} {case.title}")
        one = asyncio.run(_play(case, site, work / case.id, seconds))
        say(f"{case.id} {one.verdict}{'' if one.why is None else f': {one.why}'}")
        for name, content in one.files.items():
            bundle.keep(f"{case.id}/{name}", content)
        played.append(one)
    shutil.rmtree(work, ignore_errors=True)
    return _draft(site, bundle, played, {"begun": begun, "ended": _now()}, seconds, run)


async def _play(case: Case, site: Line, folder: Path, seconds: float) -> Played:
    told, begun, why, logs = Told(), _now(), None, {}
    try:
        stage = Stage(site, folder, 1, max(seconds / 2, 20.0))
        try:
            async with asyncio.timeout(CASE_WITHIN_S):
                await case.play(stage, told, seconds)
        finally:
            logs = stage.logs()
    except TimeoutError:
        why = f"it did not end within {CASE_WITHIN_S:.0f} s"
    except Exception as error:  # noqa: BLE001 - a case that breaks is a finding of its own, and the next one is played
        text = " ".join(str(error).split())[:400]
        why = f"it came to no end: {type(error).__name__}: {text}"
    return Played(case, told.steps, {**told.files, **logs}, why, begun, _now())


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _not_played(played: Sequence[Played]) -> list[tuple[str, str, tuple[str, ...], str]]:
    left = [
        (case.id, case.title, case.urs, "was not asked for in this run") for case in CASES if case.id not in {one.case.id for one in played}
    ]
    return [*left, *NOT_EXECUTED]


def _draft(site: Line, bundle: Bundle, played: Sequence[Played], times: Mapping[str, str], seconds: float, run: Run) -> dict[str, Any]:
    missing, unplayed = _not_played(played), unserved(site)
    verdicts = [one.verdict for one in played]
    counts = {
        "passed": verdicts.count("passed"),
        "failed": verdicts.count("failed"),
        "not checked": verdicts.count("not checked"),
        "not executed": len(missing),
        "steps passed": sum(step.verdict == "passed" for one in played for step in one.steps),
    }
    checks = _checks(played, missing, unplayed)
    deviations = deviations_of(checks)
    facts = {
        "cases": [_plain(one) for one in played],
        "not_executed": [{"id": name, "title": title, "urs": list(urs), "reason": why} for name, title, urs, why in missing],
        "sources_without_a_device": unplayed,
        "counts": counts,
        "checks": checks,
        "deviations": deviations,
        **times,
        **run.facts(),
    }
    bundle.keep("cases.json", json.dumps(facts, indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    whole = set(verdicts) == {"passed"} and not missing and not unplayed
    result = RESULT["failed" if "failed" in verdicts else "passed" if whole else "not checked"]
    blocks = [
        *run.blocks(),
        *_summary(site, counts, unplayed, times, seconds),
        *blocks_of_deviations(deviations),
        *_chapters(played),
        *_missing(missing),
        *evidence_blocks(sums),
        *sign_off(),
    ]
    title = f"Operational qualification of {site.gateway}"
    return draft(KIND, title, blocks, {**facts, "evidence": sums}, result=result, journal=[])


def _plain(one: Played) -> dict[str, Any]:
    case = one.case
    told = {"id": case.id, "title": case.title, "urs": list(case.urs), "risk": case.risk, "objective": case.objective}
    return {
        **told,
        "begun": one.begun,
        "ended": one.ended,
        "verdict": one.verdict,
        "why": one.why,
        "steps": [step._asdict() for step in one.steps],
    }


def _checks(
    played: Sequence[Played], missing: Sequence[tuple[str, str, tuple[str, ...], str]], unplayed: Mapping[str, str]
) -> list[dict[str, str]]:
    """Write every step, what was not executed, and each source without a device in the form in which checks are shown."""
    rows = [
        {"id": f"{one.case.id}.{number}", "expected": step.expected, "found": step.actual, "verdict": step.verdict}
        for one in played
        for number, step in enumerate(one.steps, 1)
    ]
    ends = [{"id": one.case.id, "expected": "it comes to its end", "found": one.why, "verdict": "failed"} for one in played if one.why]
    left = [{"id": name, "expected": title, "found": why, "verdict": "not executed"} for name, title, _, why in missing]
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


def _chapters(played: Sequence[Played]) -> Iterator[Block]:
    for one in played:
        case = one.case
        yield Heading(1, f"{case.id} {case.title}: {one.verdict}")
        head = [
            ("Objective", case.objective),
            ("Requirements", ", ".join(case.urs)),
            ("Risk", case.risk),
            ("Begun, ended", f"{one.begun}, {one.ended}"),
        ]
        yield NamedValues(head)
        rows = [[str(number), *step[:4], step.evidence] for number, step in enumerate(one.steps, 1)]
        marked = frozenset(number for number, step in enumerate(one.steps) if step.verdict != "passed")
        yield Table(("No.", "Action", "Expected", "Actual", "Verdict", "Evidence"), (1, 6, 5, 9, 2, 4), rows, marked)
        if one.why is not None:
            yield Text(f"Deviation: {one.why}", marked=True)


def _missing(missing: Sequence[tuple[str, str, tuple[str, ...], str]]) -> Iterator[Block]:
    yield Heading(1, "Not executed")
    rows = [[name, title, ", ".join(urs), why] for name, title, urs, why in missing]
    yield Table(("Id", "Case", "Requirement", "Why not"), (2, 5, 3, 8), rows, frozenset(range(len(rows))))
