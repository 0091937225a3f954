"""The one banner: what a technician at the panel has to know within five seconds. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.operation import finding_wording
from gateway.operation.folder import note
from gateway.operation.status import problems
from gateway.pages.concern import Concern, room
from gateway.pages.concerns import concerns


class Banner(NamedTuple):
    """What the banner says. kind: bad, warn or good; concerns: the gravest first; problems: as `status` says it."""

    kind: str
    headline: str
    concerns: Sequence[Concern]
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def title(self) -> str:
        """Return the state in two or three words, for the title of the window."""
        return {"bad": "ACT NOW", "warn": "needs attention", "good": "in order"}[self.kind]


def banner(now: Mapping[str, Any]) -> Banner:
    """Make the banner of a snapshot."""
    found, told = concerns(now), problems(now)
    shelved = finding_wording.shelved(now)
    notes = [f"{shelved} alarm{'s' if shelved > 1 else ''} shelved"] if shelved else []
    notes += [edited] if (edited := note(now)) else []
    if found:
        return Banner(found[0].kind, found[0].what, found, told, notes)
    if told:  # a sentence that nobody has put into plain words yet: never green
        return Banner("warn", "Needs attention", found, told, notes)
    return Banner("good", _well(now), found, told, [*_receivers(now), f"There is {room(now)}", *notes])


def _well(now: Mapping[str, Any]) -> str:
    count = len(now["sources"])
    return (
        "In order: nothing is to be read"
        if not count
        else f"In order: {'the source is' if count == 1 else f'all {count} sources are'} recorded"
    )


def _receivers(now: Mapping[str, Any]) -> list[str]:
    """Write how far each receiver has confirmed what is recorded."""
    waits = {uplink["name"]: uplink["entries"] for uplink in now["uplinks"]}
    return [
        f"{name} {f'confirms; {count:,} entries are on their way' if count else 'has confirmed everything'}"
        for name, count in waits.items()
    ]
