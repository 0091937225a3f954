"""What has to be done from time to time: which document of the journal shows that it was, when it is overdue; and the newest runs. Pure.

A document shows only what it is: a run in which something failed is none that was done, whoever accepts it; a report that nobody signed
is no review.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

DAY_TICKS = 86_400 * TICKS_PER_S
RUNS = ("verification", "restore-test")
"""Done when the run passed, or when all that it could not check was accepted; one in which something failed is none that was done."""
SIGNED = {"access-report": "access-review", "periodic-review": "periodic-review"}
"""Type of a document -> what it does once somebody of role qa has signed it."""
WATCHED = (*RUNS, "access-review", "audit-review", "periodic-review")
KEPT = (
    *(*RUNS, "installation-qualification", "operational-qualification", "performance-qualification", "periodic-review"),
    "reconciliation",
)
"""Types of documents of which the newest is remembered, however long ago it was made."""
CODE = {"verification": "verification-overdue", "restore-test": "restore-test-overdue"}
"""What is overdue -> the code of its finding; of a review `review-overdue`."""
WORDS = {
    "verification": "no verification that passed",
    "restore-test": "no test of a backup that passed",
    "access-review": "no access list that somebody of role qa has signed",
    "audit-review": "no review of the audit trail of a time",
    "periodic-review": "no periodic review that somebody of role qa has signed",
}
_GOOD = ("passed", "passed-with-dispositions")
_SUFFIX = "-disposition"


@dataclass(slots=True)
class Kept:
    """What the journal told so far. began: ticks since which it is gathered; what was done before is not known here. 0: nothing was seen.

    done: what -> ticks of when it was done last. newest: type of a document -> its head and `standing`, what it comes to by now.
    """

    began: int = 0
    done: dict[str, int] = field(default_factory=dict)
    newest: dict[str, dict[str, Any]] = field(default_factory=dict)


class Overdue(NamedTuple):
    """Something that was not done in time. what: of WATCHED. since: ticks of when it was done last, or since which nobody did it."""

    what: str
    since: int
    days: float
    ever: bool

    @property
    def text(self) -> str:
        """Say it in one sentence, the same each time that it is looked."""
        since = f"{datetime.fromtimestamp(self.since / TICKS_PER_S, UTC):%Y-%m-%d %H:%M} UTC"
        of = "the last is of" if self.ever else "none is recorded since"
        return f"{WORDS[self.what]} within {self.days:g} days: {of} {since}"


def take(kept: Kept, event: Mapping[str, Any], now: int) -> None:
    """Take an event `document` that was recorded at `now` (ticks). One that is not whole tells nothing: it may come from a file."""
    kind, made = str(event.get("document")), _made(event, now)
    if made is None:
        return
    if kind in SIGNED and any(isinstance(one, Mapping) and one.get("role") == "qa" for one in _list(event.get("signatures"))):
        _done(kept, SIGNED[kind], made)
    if kind == "audit-trail-review" and event.get("batch") is None:
        _done(kept, "audit-review", _through(event, made))
    if kind in RUNS and event.get("result") == "passed":
        _done(kept, kind, made)
    if kind in KEPT:
        _keep(kept, kind, event, made)
    if kind.endswith(_SUFFIX):
        _disposed(kept, kind.removesuffix(_SUFFIX), event, now)


def overdue(kept: Kept, days: Mapping[str, float], now: int) -> Iterator[Overdue]:
    """Yield what was not done within its interval. days: what -> interval; 0: nobody asks for it. Nothing is overdue before it can be."""
    for what, each in days.items():
        since = kept.done.get(what, kept.began)
        if each and since and now - since > each * DAY_TICKS:
            yield Overdue(what, since, each, what in kept.done)


def code(what: str) -> str:
    """Return the code of the finding that something is overdue."""
    return CODE.get(what, "review-overdue")


def _done(kept: Kept, what: str, at: int) -> None:
    kept.done[what] = max(at, kept.done.get(what, 0))


def _keep(kept: Kept, kind: str, event: Mapping[str, Any], made: int) -> None:
    """Remember the newest of a type. Each signature records it again; what was disposed of since stays."""
    held = kept.newest.get(kind)
    if held is not None and held["ticks"] > made:
        return
    told = {name: event.get(name) for name in ("id", "sha256", "software", "configuration", "result", "title")}
    signed = [f"{one.get('name')}: {one.get('meaning')}" for one in _list(event.get("signatures")) if isinstance(one, Mapping)]
    standing = held["standing"] if held is not None and held["id"] == told["id"] else told["result"]
    kept.newest[kind] = {**told, "ticks": made, "standing": standing, "signed": signed}


def _disposed(kept: Kept, kind: str, event: Mapping[str, Any], now: int) -> None:
    of = event.get("disposes")
    made = _instant(of.get("made_at"), now) if isinstance(of, Mapping) else None
    if made is None or not isinstance(of, Mapping):
        return
    held = kept.newest.get(kind)
    if held is not None and held["id"] == of.get("id"):
        held["standing"] = event.get("result")
    if kind in RUNS and event.get("result") in _GOOD and of.get("result") == "not-complete":
        _done(kept, kind, made)
    elif kind in RUNS and kept.done.get(kind) == made:
        del kept.done[kind]  # it counted by its dispositions, and does not any more


def _made(event: Mapping[str, Any], now: int) -> int | None:
    made = event.get("made_at")
    return _instant(made.get("time"), now) if isinstance(made, Mapping) else None


def _through(event: Mapping[str, Any], made: int) -> int:
    """Return through when an audit trail was reviewed: to its end, where that is before the review was made."""
    scope = event.get("scope")
    end = _instant(scope.get("to"), made) if isinstance(scope, Mapping) else None
    return made if end is None else end


def _instant(text: Any, latest: int) -> int | None:
    """Return the ticks of an instant, which is never later than what tells it; None for what is none."""
    try:
        return min(from_rfc3339(str(text)), latest)
    except ValueError:
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
