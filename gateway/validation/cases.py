"""Cases of a qualification: steps with what was expected and what came, how each is played on a stage, and the document of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.validation.bundle import Bundle
from gateway.validation.check import RESULT, Verdict
from gateway.validation.run import Run, evidence_blocks, sign_off
from gateway.validation.steps import Step, Told

Outcome = Verdict | Literal["not executed", "not applicable"]
NotExecuted = tuple[str, str, tuple[str, ...], str]
"""Id, title, requirements, and why it was not executed."""


class NotPlayed(Exception):
    """A case can not be played here; the text says why, and what would be needed. applies: False where the line has nothing of the kind."""

    def __init__(self, text: str, *, applies: bool = True) -> None:
        super().__init__(text)
        self.applies = applies


class Case(NamedTuple):
    """A case. play: takes the copy that it is played on, what takes the steps, and how many seconds the line runs.

    Of operational qualification alone: faults, of its list (`gateway.validation.oq.fault_list`), that it plays. timed: times are judged in
    it, so that the site's own rule on a clock that is not verified holds in the copy. outside: the copy sends to the site's own EBR.
    """

    id: str
    title: str
    urs: tuple[str, ...]
    risk: str
    objective: str
    play: Callable[[Any, Told, float], Awaitable[None]]
    faults: tuple[str, ...] = ()
    timed: bool = False
    outside: bool = False


class Played(NamedTuple):
    """A case that was played, or could not be.

    steps: with the verdict of each. why: it came to no end, and how; or why it was not played; None: it came to its end. not_played: it was
    not. interrupted: a person ended it: nothing that was left is good, and nothing of it is the program's failure.
    """

    case: Case
    steps: Sequence[Step]
    files: Mapping[str, bytes]
    why: str | None
    begun: str
    ended: str
    interrupted: bool = False
    not_played: Literal["not executed", "not applicable"] | None = None

    @property
    def took(self) -> str:
        """How long it took, in minutes and seconds."""
        begun, ended = (datetime.fromisoformat(text) for text in (self.begun, self.ended))
        minutes, seconds = divmod(round((ended - begun).total_seconds()), 60)
        return f"{minutes} min {seconds:02} s"

    @property
    def verdict(self) -> Outcome:
        """Passed only if every step passed, there is one, and the case came to its end."""
        if self.not_played is not None:
            return self.not_played
        verdicts = {step.verdict for step in self.steps}
        if "failed" in verdicts or (self.why is not None and not self.interrupted):
            return "failed"
        return "passed" if verdicts == {"passed"} and self.why is None else "not checked"


class Subject(NamedTuple):
    """What a document is made of. head, blocks: what stands before the deviations, and after them before the cases.

    open_: checks beside those of the cases, none of which passed. of_journal: it is about the line's own journal, and says through which
    entry.
    """

    kind: str
    title: str
    head: Sequence[Block]
    blocks: Sequence[Block]
    facts: Mapping[str, Any]
    open_: Sequence[Mapping[str, str]]
    of_journal: bool = False


def play(case: Case, stage_of: Callable[[], Any], seconds: float, within_s: float) -> Played:
    """Play a case on a stage of its own. One that breaks, or does not end in time, is a finding of its own, and never raises.

    A KeyboardInterrupt (Ctrl-C, SIGTERM) ends what was started, in order; the case is then `interrupted`.
    """
    told, begun, why, interrupted = Told(), now(), None, False
    logs: dict[str, bytes] = {}

    async def played() -> None:
        stage = stage_of()
        try:
            async with asyncio.timeout(within_s):
                await case.play(stage, told, seconds)
        finally:
            logs.update(stage.logs())

    try:
        asyncio.run(played())
    except KeyboardInterrupt:
        why, interrupted = f"it was interrupted at {now()}, begun at {begun}", True
    except TimeoutError:
        why = f"it did not end within {within_s:.0f} s"
    except Exception as error:  # noqa: BLE001 - a case that breaks is a finding of its own, and the next one is played
        why = broken(error)
    return Played(case, told.steps, {**told.files, **logs}, why, begun, now(), interrupted)


def broken(error: Exception) -> str:
    """Say how a case came to no end."""
    return f"it came to no end: {type(error).__name__}: {' '.join(str(error).split())[:400]}"


def now() -> str:
    """Return the time, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def left_out(cases: Sequence[Case], played: Sequence[Played], why: str) -> list[NotExecuted]:
    """List the cases that were not played."""
    done = {one.case.id for one in played}
    return [(case.id, case.title, case.urs, why) for case in cases if case.id not in done]


def counted(played: Sequence[Played], missing: Sequence[NotExecuted]) -> dict[str, int]:
    """Count the cases by verdict, those that were not executed, and the steps that passed."""
    verdicts = [one.verdict for one in played]
    return {
        **{verdict: verdicts.count(verdict) for verdict in ("passed", "failed", "not checked")},
        "not executed": len(missing),
        "steps passed": sum(step.verdict == "passed" for one in played for step in one.steps),
    }


def drafted(found: Subject, bundle: Bundle, played: Sequence[Played], missing: Sequence[NotExecuted], run: Run) -> dict[str, Any]:
    """Make the draft of the document of cases, and write its evidence. It is passed only if every case was played and passed."""
    counts, checks = counted(played, missing), [*_checks(played, missing), *map(dict, found.open_)]
    deviations = deviations_of(checks)
    facts = {
        "cases": [plain(one) for one in played],
        "not_executed": [{"id": name, "title": title, "urs": list(urs), "reason": why} for name, title, urs, why in missing],
        "counts": counts,
        "checks": checks,
        "deviations": deviations,
        **found.facts,
        **run.facts(),
    }
    bundle.keep("cases.json", json.dumps(facts, indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    whole = counts["passed"] == len(played) > 0 and not missing and not found.open_
    result = RESULT["failed" if counts["failed"] else "passed" if whole else "not checked"]
    blocks = [
        *run.blocks(),
        *found.head,
        *blocks_of_deviations(deviations),
        *found.blocks,
        *(block for one in played for block in chapter(one)),
        *_missing(missing),
        *evidence_blocks(sums),
        *sign_off(),
    ]
    told = {**facts, "evidence": sums}
    return draft(found.kind, found.title, blocks, told, result=result, journal=None if found.of_journal else [])


def plain(one: Played) -> dict[str, Any]:
    """Write a case as the document's facts hold it."""
    case = one.case
    told = {"id": case.id, "title": case.title, "urs": list(case.urs), "risk": case.risk, "objective": case.objective}
    return {
        **told,
        "begun": one.begun,
        "ended": one.ended,
        "took": one.took,
        "verdict": one.verdict,
        "why": one.why,
        "steps": [step._asdict() for step in one.steps],
    }


def _checks(played: Sequence[Played], missing: Sequence[NotExecuted]) -> list[dict[str, str]]:
    """Write every step and what was not executed in the form in which checks are shown."""
    rows = [
        check_of(f"{one.case.id}.{number}", step.action, step.expected, step.actual, step.verdict)
        for one in played
        for number, step in enumerate(one.steps, 1)
    ]
    ends = [check_of(one.case.id, one.case.title, "it comes to its end", one.why, _of_end(one)) for one in played if one.why]
    return [*rows, *ends, *(check_of(name, title, title, why, "not executed") for name, title, _, why in missing)]


def check_of(name: str, title: str, expected: str, found: str, verdict: str) -> dict[str, str]:
    """Write a check in the form in which those of all cases are shown."""
    return {"id": name, "title": title, "expected": expected, "found": found, "verdict": verdict}


def _of_end(one: Played) -> Verdict:
    return "not checked" if one.interrupted else "failed"


def chapter(one: Played) -> Iterator[Block]:
    """Yield what people read of a case: what it is for, each step, and whether it came to its end."""
    case = one.case
    yield Heading(1, f"{case.id} {case.title}: {one.verdict}")
    head = [
        ("Objective", case.objective),
        ("Requirements", ", ".join(case.urs)),
        ("Risk", case.risk),
        ("Begun, ended", f"{one.begun}, {one.ended} ({one.took})"),
    ]
    yield NamedValues(head)
    rows = [[str(number), *step[:4], step.evidence] for number, step in enumerate(one.steps, 1)]
    marked = frozenset(number for number, step in enumerate(one.steps) if step.verdict != "passed")
    yield Table(("No.", "Action", "Expected", "Actual", "Verdict", "Evidence"), (1, 6, 5, 9, 2, 4), rows, marked)
    if one.why is not None:
        yield Text(f"Deviation: {one.why}", marked=True)


def _missing(missing: Sequence[NotExecuted]) -> Iterator[Block]:
    if not missing:
        return
    yield Heading(1, "Not executed")
    rows = [[name, title, ", ".join(urs), why] for name, title, urs, why in missing]
    yield Table(("Id", "Case", "Requirement", "Why not"), (2, 5, 3, 8), rows, frozenset(range(len(rows))))
