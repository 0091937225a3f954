"""Makes the matrix: for each requirement what it stands on, what that did when it last ran, and what is open. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.validation.traceability.justifications import ASKS, said_of, signed_by
from gateway.validation.traceability.requirements import Requirement
from gateway.validation.traceability.results import Outcome
from gateway.validation.traceability.tree import Traceability

FORM = "ebr-gateway/traceability-matrix/1"
COLUMNS = (
    *("urs", "text", "source", "risk", "area", "stage", "verification", "design", "state", "remark", "justified"),
    *("result", "passed", "failed", "not_run", "date", "software", "evidence", "proofs", "cases"),
)
PASSED, IN_PART, FAILED, NOT_RUN, PLANNED, NO_TEST = "passed", "passed, in part", "failed", "not run", "planned", "no test"


class Judged(NamedTuple):
    """One case for one requirement. verdict: passed, failed, skipped or not run. date, evidence: of the run that said so, else empty."""

    case: str
    shows: str
    verdict: str
    date: str
    evidence: str
    why: tuple[str, ...]


def matrix(
    told: Traceability,
    *,
    ids: Sequence[str] = (),
    risks: Sequence[str] = (),
    results: Sequence[str] = (),
    publics: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the document: what it is of, runs, counts, and a row for each requirement.

    ids, risks, results: only rows with these. publics: the release keys that are known; a justification counts by the signature of one.
    """
    rows = rows_of(told, publics)
    wanted = (("urs", ids), ("risk", risks), ("result", results))
    chosen = [row for row in rows if all(not values or row[name] in values for name, values in wanted)]
    return {
        "schema": FORM,
        "software": told.software,
        "content": told.content,
        "runs": [run._asdict() | {"command": list(run.command)} for run in told.results.runs],
        "not_counted": list(told.left),
        "justifications": _justifications(told, publics),
        "counts": counts(told, rows),
        "rows": chosen,
    }


def counts(told: Traceability, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count requirements by risk, state and result, and tests."""
    rows = list(rows)
    high = [row for row in rows if row["risk"] == "high"]
    return {
        "requirements": len(rows),
        "by_risk": _counted(rows, "risk"),
        "by_state": _counted(rows, "state"),
        "by_result": _counted(rows, "result"),
        "high_by_state": _counted(high, "state"),
        "high_by_result": _counted(high, "result"),
        "justified": sum(1 for row in rows if row["justified"]),
        "not_justified": sum(1 for row in rows if row["result"] in ASKS and not row["justified"]),
        "cases": sum(1 for case in told.cases if case.urs),
        "tests_of_details": sum(1 for case in told.cases if not case.urs),
    }


def _counted(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    return dict(sorted(Counter(row[name] for row in rows).items()))


def rows_of(told: Traceability, publics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows. publics: as of `matrix`."""
    is_signed = signed_by(told.justified, publics) is not None
    return [row_of(requirement, told, is_signed=is_signed) for requirement in told.requirements]


def _justifications(told: Traceability, publics: Sequence[str]) -> dict[str, Any] | None:
    """Return who answers for what is open, and whose key signed that: None where no known key did, which then justifies nothing."""
    if not told.justified.note:
        return None
    return {"who": told.justified.who, "at": told.justified.at, "signed_by": signed_by(told.justified, publics)}


def row_of(requirement: Requirement, told: Traceability, *, is_signed: bool = False) -> dict[str, Any]:
    """Return one row. is_signed: the justifications are signed by a key that is known."""
    shows = {proof.case: proof.shows for proof in told.proofs if proof.urs == requirement.id}
    claims = [case.id for case in told.cases if requirement.id in case.urs]
    outcomes = [outcome for outcome in told.results.outcomes if requirement.id in outcome.urs]
    judged = [_judged(case, shows.get(case, ""), outcomes, told) for case in [*shows, *(case for case in claims if case not in shows)]]
    found = Counter(one.verdict for one in judged)
    result = result_of(requirement, judged)
    dates = [one.date for one in judged if one.date]
    return {
        "urs": requirement.id,
        "text": requirement.text,
        "source": requirement.source,
        "risk": requirement.risk,
        "area": requirement.area,
        "stage": list(requirement.stages),
        "verification": requirement.verification,
        "design": requirement.design,
        "state": requirement.state,
        "remark": requirement.remark,
        "justified": said_of(requirement, told.justified) if is_signed and result in ASKS else "",
        "result": result,
        "passed": found["passed"],
        "failed": found["failed"],
        "not_run": found["not run"] + found["skipped"],
        "date": max(dates, default=""),
        "software": told.software if dates else "",
        "evidence": sorted({one.evidence for one in judged if one.evidence}),
        "proofs": [one._asdict() | {"why": list(one.why)} for one in judged if one.case in shows],
        "cases": [one._asdict() | {"why": list(one.why)} for one in judged if one.case not in shows],
    }


def _judged(case: str, shows: str, outcomes: Iterable[Outcome], told: Traceability) -> Judged:
    """Say what a case did for one requirement; it may have been counted in several groups of parameters."""
    mine = [outcome for outcome in outcomes if outcome.case == case]
    verdicts = {outcome.verdict for outcome in mine}
    verdict = next((one for one in ("failed", "passed", "skipped") if one in verdicts), NOT_RUN)
    ran = [told.results.runs[outcome.run] for outcome in mine if outcome.verdict == verdict]
    newest = max(ran, key=lambda run: run.begun, default=None)
    why = tuple(sorted({text for outcome in mine if outcome.verdict == "skipped" for text in outcome.why}))
    return Judged(
        case,
        shows,
        verdict,
        newest.ended if newest and verdict != NOT_RUN else "",
        newest.file if newest and verdict != NOT_RUN else "",
        why,
    )


def result_of(requirement: Requirement, judged: Sequence[Judged]) -> str:
    """Say what is known of a requirement.

    It has passed if none of its tests failed, and each of those that it stands on passed; where it stands on none in particular, one of
    its tests has to have passed. What did not run, or was skipped, proves nothing.
    """
    if requirement.state == "planned":
        return PLANNED
    if any(one.verdict == "failed" for one in judged):
        return FAILED
    if not judged:
        return NO_TEST
    must = [one for one in judged if one.shows]
    passed = all(one.verdict == "passed" for one in must) if must else any(one.verdict == "passed" for one in judged)
    if not passed:
        return NOT_RUN
    return PASSED if requirement.state == "built" else IN_PART
