"""The history of alarms: each time that one was raised, who acknowledged it, when it ended. Gathered again from the events. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.alarms.codes import code_of
from gateway.alarms.findings import Change
from gateway.alarms.gathering import Gathering
from gateway.alarms.held import Acknowledgement, Found, Held

TYPES = frozenset({"finding", "audit", "batch", "clock", "gap"})
"""Of events that tell of an alarm: its raise, its end, what persons did, in which batch it was."""


@dataclass(slots=True)
class Raise:
    """An alarm from one raise to its end. Times are ticks. momentary: it only happened, and has no end.

    acknowledged: of this raise or, if it came again before anybody had seen it, of all raises until then.
    """

    id: str
    code: str
    severity: str
    source: str
    subject: str
    tags: list[str]
    text: str
    batches: list[str]
    seq: int
    raised: int
    momentary: bool
    cleared: int | None = None
    acknowledged: Acknowledgement | None = None
    shelved: list[int] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Nothing can happen to it any more."""
        return self.acknowledged is not None and (self.momentary or self.cleared is not None)


def raises(events: Iterable[tuple[Mapping[str, Any], int, int]]) -> Iterator[Raise]:
    """Yield each raise of an alarm when nothing more can happen to it, and at the end those that are still open.

    events: (event, ticks of its entry, seq of its entry), in the journal's order. Held in memory is what is open, which is bounded.
    """
    changes: list[Change] = []
    open_: dict[str, list[Raise]] = {}
    gathering = Gathering(Found())
    gathering.changed = changes.append
    for event, ticks, seq in events:
        if event["type"] not in TYPES or (event["type"] == "batch" and event["transition"] == "end"):
            continue  # how complete a batch is, is no alarm
        gathering.take(event, ticks, int(event.get("caused_by") or seq))
        for change in changes:
            _follow(open_, change)
            yield from _over(open_, change.held.id)
        if changes and event["type"] != "audit":
            yield from _dropped(open_, gathering.found)
        changes.clear()
    yield from (one for of_id in open_.values() for one in of_id)


def _follow(open_: dict[str, list[Raise]], change: Change) -> None:
    held, of_id = change.held, open_.setdefault(change.held.id, [])
    match change.what:
        case "raised" if held.severity == "alarm":
            of_id.append(_raise(held, change.at))
        case "cleared":
            for one in of_id:
                one.cleared = one.cleared or change.at
        case "acknowledged":
            for one in of_id:
                one.acknowledged = one.acknowledged or held.acknowledged
        case "shelved":
            for one in of_id[-1:]:
                one.shelved.append(change.at)


def _raise(held: Held, at: int) -> Raise:
    about = (held.id, held.code, held.severity, held.source, held.subject, list(held.tags), held.text, list(held.batches), held.seq)
    return Raise(*about, raised=at, momentary=not code_of(held.code).is_standing)


def _over(open_: dict[str, list[Raise]], id_: str) -> Iterator[Raise]:
    """Give what is over, and keep the rest."""
    yield from (one for one in open_.get(id_, ()) if one.over)
    open_[id_] = [one for one in open_.get(id_, ()) if not one.over]
    if not open_[id_]:
        del open_[id_]


def _dropped(open_: dict[str, list[Raise]], found: Found) -> Iterator[Raise]:
    """Give what the lists no longer hold: nothing can be told of it any more."""
    held = {one.id for one in found.all()}
    for id_ in [id_ for id_ in open_ if id_ not in held]:
        yield from open_.pop(id_)
