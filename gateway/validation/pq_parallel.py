"""Real batches of a parallel run as evidence of a performance qualification: their signed comparisons, by what they say. Pure.

Nothing is compared here. Whose file is no signed comparison of this line is told before anything is played; what the others say is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.validation.cases import Case, Played, now
from gateway.validation.parallel_run.document import DECLARED, KIND
from gateway.validation.steps import Told

NEEDED = 3
QUALITY = "qa"
REAL = "production"
ID = "parallel-run"
GOOD = ("passed", "passed-with-dispositions")
EXPECTED = "result passed, nothing open, rules declared before the batch, made in production"


class NoEvidence(Exception):
    """A file can not be evidence; the text says why, and what to do."""


class Comparison(NamedTuple):
    """A signed comparison. name: of its file; content: its bytes."""

    name: str
    content: bytes
    document: Mapping[str, Any]


def accepted(gateway: str, given: Sequence[Comparison], problems: Callable[[Mapping[str, Any]], Sequence[str]]) -> list[Comparison]:
    """Return the comparisons if all can be evidence of this line. problems: of the signatures of a document. Raises NoEvidence."""
    of_batch: dict[str, str] = {}
    for one in given:
        if (why := _objection(gateway, one.document, problems)) is not None:
            raise NoEvidence(f"{one.name}: {why}")
        batch = str(one.document["batch"])
        if batch in of_batch:
            raise NoEvidence(f"{one.name}: is of batch {batch}, and so is {of_batch[batch]}: give the one that counts")
        of_batch[batch] = one.name
    return list(given)


def _objection(gateway: str, document: Mapping[str, Any], problems: Callable[[Mapping[str, Any]], Sequence[str]]) -> str | None:
    if document["document"] != KIND:
        return f"is no comparison of a batch but a {document['document']}: `compare LINE --batch B --to DIR` makes one"
    if document["gateway"] != gateway:
        return f"is of {document['gateway']}, and this line is {gateway}"
    if wrong := problems(document):
        return f"a signature under it does not hold: {wrong[0]}"
    if not any(each["role"] == QUALITY for each in document["signatures"]):
        return (
            f'nobody of role {QUALITY} has signed it: ebr-gateway document sign LINE FILE --meaning "..." --user NAME, then give it again'
        )
    return None


def case(given: Sequence[Comparison], title: str, urs: tuple[str, ...]) -> Played:
    """Judge the comparisons: each by its own result, and whether they are of enough batches."""
    told, begun = Told(), now()
    for one in given:
        actual, good = _judged(one.document)
        told.step(f"read the comparison of batch {one.document['batch']} ({one.name})", EXPECTED, actual, good)
    batches = [str(one.document["batch"]) for one in given]
    told.step(
        "count the batches", f"{NEEDED} or more, each another one", f"{len(batches)}: {', '.join(batches)}", len(batches) >= NEEDED or None
    )
    files = {f"{number:02}-{one.name}": one.content for number, one in enumerate(given, 1)}
    aim = "what the gateway recorded of real batches is what the legacy system recorded"
    return Played(Case(ID, title, urs, "high", aim, _not_played), told.steps, files, None, begun, now())


async def _not_played(*_: Any) -> None:
    """Play nothing: the batches were."""


def _judged(document: Mapping[str, Any]) -> tuple[str, bool | None]:
    """Return what a comparison says, and whether it is good; None: it does not say."""
    facts = document["facts"]
    counts, declared = facts["counts"], str(facts["rules"]["declared_before"])
    environment = str(document["environment"] or "an environment that is not known")
    by = "; ".join(f"{one['name']} ({one['user']}, {one['role']}): {one['meaning']}" for one in document["signatures"])
    made = document["made_at"]["time"]
    text = (
        f"{document['result']}: {counts['rows']} rows, {counts['match']} match, {counts['explained']} explained, {counts['open']} open; "
        f"declared before the batch: {DECLARED.get(declared, declared)}; made {made} in {environment}; SHA-256 {document['sha256']}; {by}"
    )
    if document["result"] == "finding" or (document["result"] in GOOD and counts["open"]):
        return text, False
    is_told = document["result"] in GOOD and declared == "yes" and environment == REAL
    return text, True if is_told else None


def facts(given: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return what the document of the qualification says of them."""
    names = ("id", "sha256", "batch", "result", "environment")
    return [{"file": one.name, **{name: one.document[name] for name in names}} for one in given]
