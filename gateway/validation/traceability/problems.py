"""Finds what is wrong with the traceability itself. Pure, but for the pages that a design reference names."""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.validation.traceability.requirements import DETAILS, IDENTIFIER, PROOFS, RISKS, STATES, URS, Problem, Requirement, sections
from gateway.validation.traceability.tree import Traceability


def problems(told: Traceability) -> list[Problem]:
    """Return everything that is wrong, in the order of the sources.

    Unknown ids; requirements that stand twice, or whose risk or state is none; those that are not built and do not say what is open; a
    high-risk requirement without a test that it stands on, and such a test that is gone or claims it no more; other requirements that are
    built and that nothing proves; files of tests that serve no requirement and are not listed.
    """
    return [*told.problems, *_of_requirements(told), *_of_proofs(told), *_unproved(told), *_of_marks(told), *_of_files(told)]


def _of_requirements(told: Traceability) -> Iterator[Problem]:
    counted = Counter(row.id for row in told.requirements)
    for row in told.requirements:
        for wrong in _wrong(row):
            yield Problem(str(URS), row.line, f"{row.id}: {wrong}")
        if counted[row.id] > 1:
            yield Problem(str(URS), row.line, f"{row.id} stands {counted[row.id]} times")


def _wrong(row: Requirement) -> Iterator[str]:
    if not IDENTIFIER.fullmatch(row.id):
        yield "this is no id of a requirement"
    if row.risk not in RISKS:
        yield f"risk is one of {', '.join(RISKS)}, not `{row.risk}`"
    if row.state not in STATES:
        yield f"state is one of {', '.join(STATES)}, not `{row.state}`"
    if row.state in ("in part", "planned") and not row.remark:
        yield f"{row.state}, and nothing says what is open"
    if not row.stages:
        yield "the verification names neither IQ, OQ nor PQ"
    if row.state != "planned" and not row.design:
        yield "no design is named"


def _of_proofs(told: Traceability) -> Iterator[Problem]:
    """What proofs.csv names exists, and claims what it is named for."""
    cases = {case.id: case for case in told.cases}
    states = {row.id: row.state for row in told.requirements}
    for proof in told.proofs:
        case = cases.get(proof.case)
        if proof.urs not in states:
            yield Problem(str(PROOFS), proof.line, f"{proof.urs} is not in {URS}")
        elif case is None:
            yield Problem(str(PROOFS), proof.line, f"{proof.urs} stands on {proof.case}, and there is no such test")
        elif proof.urs not in case.urs:
            yield Problem(str(PROOFS), proof.line, f"{proof.urs} stands on {proof.case}, which does not claim it")
        elif states[proof.urs] == "planned":
            yield Problem(str(PROOFS), proof.line, f"{proof.urs} is planned, and {proof.case} proves it: one of the two is wrong")
        if not proof.shows:
            yield Problem(str(PROOFS), proof.line, f"nothing says what of {proof.urs} this shows")


def _unproved(told: Traceability) -> Iterator[Problem]:
    stands = {proof.urs for proof in told.proofs}
    claimed = {one for case in told.cases for one in case.urs}
    for row in told.requirements:
        if row.state == "planned":
            if row.id in claimed:
                yield Problem(str(URS), row.line, f"{row.id} is planned, and a test claims to prove it")
        elif row.risk == "high" and row.id not in stands:
            yield Problem(str(URS), row.line, f"{row.id} is high-risk, and {PROOFS} names no test that proves it")
        elif row.state == "built" and row.id not in claimed and not row.remark:
            yield Problem(str(URS), row.line, f"{row.id} is built, no test proves it, and nothing says why")


def _of_marks(told: Traceability) -> Iterator[Problem]:
    known = {row.id for row in told.requirements}
    for case in told.cases:
        for unknown in sorted(set(case.urs) - known):
            yield Problem(case.file, case.line, f"{unknown} is not in {URS}")


def _of_files(told: Traceability) -> Iterator[Problem]:
    """A file in which no test serves a requirement is listed with what it is for; what is listed is there and serves none."""
    serves: dict[str, bool] = {}
    for case in told.cases:
        serves[case.file] = serves.get(case.file, False) or bool(case.urs)
    listed = {detail.file: detail for detail in told.details}
    covers = {pattern: fnmatch.filter(serves, pattern) for pattern in listed}
    named = {file for files in covers.values() for file in files}
    for file, useful in serves.items():
        if not useful and file not in named:
            yield Problem(file, 0, f"no test of it names a requirement: add the mark of what it proves, or a row in {DETAILS}")
    for pattern, detail in listed.items():
        if not covers[pattern]:
            yield Problem(str(DETAILS), detail.line, f"{pattern}: there is no such file")
        elif "*" not in pattern and serves[pattern]:
            yield Problem(str(DETAILS), detail.line, f"{pattern} serves a requirement: take the row out")
        if not detail.why:
            yield Problem(str(DETAILS), detail.line, f"{pattern}: nothing says what it is for")


def of_designs(told: Traceability, tree: Path) -> Iterator[Problem]:
    """Yield the designs that are named and are not there: each is `docs/file.md: heading`."""
    known: dict[str, set[str]] = {}
    for row in told.requirements:
        for design in filter(None, row.design.split("; ")):
            file, _, heading = design.partition(": ")
            if not (tree / file).is_file():
                yield Problem(str(URS), row.line, f"{row.id}: {file} is not there")
            elif heading not in known.setdefault(file, sections(tree / file)):
                yield Problem(str(URS), row.line, f"{row.id}: {file} has no heading `{heading}`")


def of_results(rows: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield what failed; of high-risk requirements what they stand on and did not run; others of which nothing ran. rows: of the matrix."""
    for row in rows:
        for one in (*row["proofs"], *row["cases"]):
            if one["verdict"] == "failed":
                yield Problem(one["case"], 0, f"failed, and {row['urs']} claims to be proved by it")
        if row["risk"] == "high" and row["state"] != "planned":
            for one in row["proofs"]:
                if one["verdict"] in ("not run", "skipped"):
                    why = f" ({'; '.join(one['why'])})" if one["why"] else ""
                    yield Problem(one["case"], 0, f"{one['verdict']}{why}, and {row['urs']} stands on it")
        elif row["result"] == "not run":
            yield Problem(str(URS), 0, f"of the tests that claim {row['urs']} none has passed")
