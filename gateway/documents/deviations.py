"""Deviations of a run, and what persons dispose of them: numbers, who may, what it comes to. Pure.

A run's document names its deviations and is never changed. Each disposition is a document of its own, bound to the first by its digest; it
holds every disposition so far and the digest of the one before it, so that the newest one tells all, and one that was taken out is missed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.access.roles import reason_problem
from gateway.documents.content import draft

DISPOSITIONS = ("accept", "retest", "reject")
SUFFIX = "-disposition"
WITH_DISPOSITIONS = "passed-with-dispositions"
EXECUTED, WITNESSED, APPROVED = "executed", "witnessed", "approved"
"""Meanings of signatures of which it matters whose they are."""
MOST_TEXT = 2_000
MOST_SHOWN = 400


class NotDisposed(Exception):
    """A disposition can not be taken; the text says why."""


class Disposal(NamedTuple):
    """What a person disposes of a deviation. who: as in an audit event."""

    no: int
    impact: str
    disposition: str
    reason: str
    who: Mapping[str, Any]
    at: str


def deviations_of(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Number what did not pass, as a run's document names it. checks: id, expected, found, verdict, and title where there is one."""
    left = [one for one in checks if one["verdict"] != "passed"]
    return [
        {"no": no, "case": one["id"], "verdict": one["verdict"], "expected": one["expected"], "description": one["found"]}
        for no, one in enumerate(left, 1)
    ]


def blocks_of_deviations(deviations: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Yield what a run's document says of its deviations, with room for what is written by hand."""
    if not deviations:
        return
    yield Text(f"PROVISIONAL: {len(deviations)} deviations are to be disposed of. What was not checked is not passed.", marked=True)
    yield Heading(1, "Deviations")
    titles = ("No.", "Check", "Verdict", "Found", "Impact, disposition, by whom and when")
    rows = [[str(one["no"]), one["case"], one["verdict"], _short(one["description"]), ""] for one in deviations]
    yield Table(titles, (1, 4, 2, 9, 8), rows, frozenset(range(len(rows))))


def testers(document: Mapping[str, Any]) -> set[str]:
    """Return the users who made a run: named, or signed that they executed it; of a list that grew, all who made a part of it."""
    facts, made = document["facts"], document["made_by"]
    named = {*facts.get("testers", ()), *filter(None, [facts.get("tester")])}
    signed = {one["user"] for one in document["signatures"] if one["meaning"].casefold() == EXECUTED}
    return {*signed, *named, *([made["user"]] if made["kind"] == "person" else [])}


def signing_problem(document: Mapping[str, Any], user: str, meaning: str) -> str | None:
    """Say why a person can not sign a run with this meaning: who executed it neither witnesses nor approves it. None: he can."""
    facts, meant = document["facts"], meaning.casefold()
    if "deviations" not in facts or meant not in (EXECUTED, WITNESSED, APPROVED):
        return None
    known = testers(document)
    if meant == EXECUTED:
        seen = {one["user"] for one in document["signatures"] if one["meaning"].casefold() in (WITNESSED, APPROVED)}
        other = known and user not in known
        return f"{', '.join(sorted(known))} executed it" if other else f"{user} has witnessed or approved it" if user in seen else None
    if not known:
        return "nobody has executed it yet: --meaning executed comes first"
    if user in known:
        return f"{user} executed it: somebody else has to say that it was {meant}"
    witness = facts.get("witness")
    return f"{witness} was named as its witness" if meant == WITNESSED and witness not in (None, user) else None


def witnessed_by(document: Mapping[str, Any]) -> list[str]:
    """Return the users who signed a run as its witness."""
    return [one["user"] for one in document["signatures"] if one["meaning"].casefold() == WITNESSED]


def standing(document: Mapping[str, Any], newest: Mapping[str, Any] | None) -> tuple[str, list[int]]:
    """Return what a run comes to with its dispositions, and the numbers of deviations that are open. newest: disposition; None: none."""
    taken = {one["no"]: one["disposition"] for one in (newest["facts"]["dispositions"] if newest else ())}
    numbers = [one["no"] for one in document["facts"].get("deviations", ())]
    open_ = [no for no in numbers if no not in taken]
    if open_ or not numbers:
        return str(document["result"]), open_
    given = set(taken.values())
    return "finding" if "reject" in given else "not-complete" if "retest" in given else WITH_DISPOSITIONS, []


def disposed(document: Mapping[str, Any], newest: Mapping[str, Any] | None, given: Disposal) -> dict[str, Any]:
    """Return the draft of a disposition. newest: the disposition before it. Raises NotDisposed."""
    found = _found(document, newest, given)
    kept = newest["facts"]["dispositions"] if newest else []
    who = {name: given.who[name] for name in ("user", "name", "role")}
    one = {"no": given.no, "case": found["case"], "impact": given.impact, "disposition": given.disposition, "reason": given.reason}
    dispositions = sorted([*(each for each in kept if each["no"] != given.no), {**one, "by": who, "at": given.at}], key=_number)
    of = {"document": document["document"], "id": document["id"], "sha256": document["sha256"], "made_at": document["made_at"]["time"]}
    facts = {"dispositions": dispositions, "previous": newest["sha256"] if newest else None}
    result, open_ = standing(document, {"facts": facts})
    act = {**of, "result": document["result"], "no": given.no, "disposition": given.disposition, "open": len(open_)}
    blocks = _blocks(document, found, act, dispositions, result)
    title = f"Disposition of deviation {given.no} of: {document['title']}"
    kind = f"{document['document']}{SUFFIX}"
    return draft(kind, title, blocks, {**facts, "disposes": act}, result=result, batch=document["batch"], journal=[])


def _found(document: Mapping[str, Any], newest: Mapping[str, Any] | None, given: Disposal) -> Mapping[str, Any]:
    """Return the deviation that is disposed of. Raises NotDisposed where it may not be, or not by him."""
    deviations = document["facts"].get("deviations")
    if not isinstance(deviations, list):
        raise NotDisposed("this document numbers no deviations: it is no run, or was made by a release before; run it again")
    found: Mapping[str, Any] | None = next((one for one in deviations if one["no"] == given.no), None)
    if found is None:
        raise NotDisposed(f"there is no deviation {given.no}; there are {len(deviations)}")
    if newest is not None and (wrong := binding_problem(document, newest)):
        raise NotDisposed(wrong)
    known = testers(document)
    if not known:
        raise NotDisposed("nobody is known to have executed it: `qualify sign --meaning executed` comes first")
    if given.who["user"] in known:
        raise NotDisposed(f"{given.who['user']} executed it: somebody else has to dispose of its deviations")
    if given.disposition not in DISPOSITIONS:
        raise NotDisposed(f"the disposition is one of {', '.join(DISPOSITIONS)}")
    if wrong := reason_problem(given.impact):
        raise NotDisposed(f"the impact: {wrong}")
    return found


def _number(one: Mapping[str, Any]) -> int:
    return int(one["no"])


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} ... (the document has all of it)"


def binding_problem(document: Mapping[str, Any], one: Mapping[str, Any]) -> str | None:
    """Say why a document is no disposition of this run; None if it is one."""
    if not isinstance(one["facts"].get("dispositions"), list) or not isinstance(one["facts"].get("disposes"), Mapping):
        return "this is no disposition"
    if one["facts"]["disposes"].get("sha256") != document["sha256"] or one["document"] != f"{document['document']}{SUFFIX}":
        return "this disposes of another document"
    return None


def series_problems(document: Mapping[str, Any], series: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Say what is wrong with the dispositions of a run, in their order: (name, document). Whether signatures hold is asked elsewhere."""
    told, previous = [], None
    known = testers(document)
    for name, one in series:
        if wrong := binding_problem(document, one):
            told.append(f"{name}: {wrong}")
            continue
        if one["facts"]["previous"] != previous:
            told.append(f"{name}: does not follow the one before it: one was taken out, or put in")
        previous = one["sha256"]
        signers = {signature["user"] for signature in one["signatures"]}
        if one["made_by"]["user"] not in signers:
            told.append(f"{name}: {one['made_by']['user']} has not signed it")
        if signers & known:
            told.append(f"{name}: is signed by who executed the run")
        if one["result"] != standing(document, one)[0]:
            told.append(f"{name}: says {one['result']}, and its dispositions come to {standing(document, one)[0]}")
    return told


def rows_of(document: Mapping[str, Any], dispositions: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Write each deviation with what was disposed of it: no., case, found, impact, disposition, why, by whom."""
    taken = {one["no"]: one for one in dispositions}
    rows: list[tuple[str, ...]] = []
    for each in document["facts"]["deviations"]:
        one, about = taken.get(each["no"]), (str(each["no"]), f"{each['case']} ({each['verdict']})", _short(each["description"]))
        if one is None:
            rows.append((*about, "", "open", "", ""))
        else:
            by = one["by"]
            who = f"{by['name']} ({by['user']}, {by['role']}), {one['at']}"
            rows.append((*about, one["impact"], one["disposition"], one["reason"], who))
    return rows


def _blocks(
    document: Mapping[str, Any], found: Mapping[str, Any], act: Mapping[str, Any], dispositions: Sequence[Mapping[str, Any]], result: str
) -> Iterator[Block]:
    yield NamedValues(
        [
            ("Of the document", f"{document['title']}, {document['made_at']['local']}"),
            ("Its type and id", f"{document['document']} {document['id']}"),
            ("Its SHA-256", document["sha256"]),
            ("Its own result", str(document["result"])),
            ("Deviation", f"{found['no']}: {found['case']}, {found['verdict']}"),
            ("Expected", found["expected"]),
            ("Found", found["description"]),
            ("Disposition", act["disposition"]),
        ]
    )
    if act["open"]:
        yield Text(f"PROVISIONAL: {act['open']} deviations are open.", marked=True)
    yield Heading(1, "All deviations, with what is disposed of them by now")
    rows = rows_of(document, dispositions)
    marked = frozenset(at for at, row in enumerate(rows) if row[4] != "accept")
    yield Table(("No.", "Check", "Found", "Impact", "Disposition", "Why", "By whom, when"), (1, 3, 7, 5, 2, 5, 4), rows, marked)
    yield Text(f"What the run comes to: {result}. The run's own document and its evidence stay as they were made.")
