"""Findings that stand, and the newest of those that only happened: gathered entry by entry, bounded. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.alarms.codes import ENDED_BY, REMEMBERED, code_of
from gateway.alarms.stream import Told
from gateway.entries.findings import Severity
from gateway.entries.ticks import TICKS_PER_S

MOST_STANDING = 200
MOST_RECENT = 20
RECENT_TICKS = 86_400 * TICKS_PER_S
"""How long is shown what only happened, and what stood before a start and was not said again."""


@dataclass(slots=True)
class Held:
    """A warning or an alarm. since, last: ticks at which it was said first and last. count: how often.

    asked_anew: ticks of the first start after which it was not said again; whether it still stands nobody knows. None: this run said it.
    of_many: it is about more tags than are kept.
    """

    code: str
    severity: Severity
    source: str
    subject: str
    tags: list[str]
    text: str
    of_many: bool
    since: int
    last: int
    count: int = 1
    asked_anew: int | None = None

    def is_same(self, told: Told) -> bool:
        """Return whether this is told once more."""
        mine = (self.code, self.source, self.subject, self.of_many, self.tags)
        return mine == (told.code, told.source, told.subject, told.of_many, told.tags)


@dataclass(slots=True)
class Found:
    """What has been found. began: ticks since which it is gathered; what was found before is not known here. 0: nothing was seen yet.

    unkept: warnings and alarms that stand, or stood, and for which there was no room.
    """

    began: int = 0
    standing: list[Held] = field(default_factory=list)
    recent: list[Held] = field(default_factory=list)
    unkept: int = 0


def started(found: Found, now: int) -> None:
    """Take a start of the gateway: what stood is asked anew by who found it, and until it is said again nobody knows."""
    for held in found.standing:
        if held.code not in REMEMBERED and held.asked_anew is None:
            held.asked_anew = now


def take(found: Found, told: Told, now: int) -> None:
    """Take what was told at `now` (ticks)."""
    _forget(found, now)
    if told.severity == "info":
        _end(found, told)
        return
    is_standing = code_of(told.code).is_standing
    kept = found.standing if is_standing else found.recent
    same = next((held for held in kept if held.is_same(told)), None)
    if same is None:
        kept.append(Held(*_lists_copied(told), since=now, last=now))
    else:
        same.severity, same.text, same.last, same.count, same.asked_anew = told.severity, told.text, now, same.count + 1, None
        kept.append(kept.pop(kept.index(same)))
    if len(kept) > (MOST_STANDING if is_standing else MOST_RECENT):
        found.unkept += is_standing
        del kept[_least(kept)]


def _lists_copied(told: Told) -> tuple[str, Severity, str, str, list[str], str, bool]:
    return told.code, told.severity, told.source, told.subject, list(told.tags), told.text, told.of_many


def _least(kept: list[Held]) -> int:
    """Choose what goes: the oldest warning, before any alarm."""
    return next((at for at, held in enumerate(kept) if held.severity == "warning"), 0)


def _forget(found: Found, now: int) -> None:
    """Let go what is too old to be shown. A time to come is not old: the clock was ahead then."""
    _keep(found.recent, lambda held: now - held.last <= RECENT_TICKS)
    _keep(found.standing, lambda held: held.asked_anew is None or now - held.asked_anew <= RECENT_TICKS)


def _keep(held: list[Held], wanted: Callable[[Held], bool]) -> None:
    if not all(map(wanted, held)):
        held[:] = filter(wanted, held)


def _end(found: Found, told: Told) -> None:
    ended = ENDED_BY.get(told.code, ())
    if ended:
        for kept in (found.standing, found.recent):
            kept[:] = [held for held in kept if not (held.code in ended and _is_over(held, told))]


def _is_over(held: Held, told: Told) -> bool:
    """Return whether what is told ends this. An end that names tags ends it for those; one without tags, for its subject."""
    if held.source != told.source or (held.of_many and told.tags):
        return False
    if held.tags and told.tags:
        over = set(told.tags)
        held.tags = [tag for tag in held.tags if tag not in over]
        return not held.tags
    return held.subject == told.subject or not told.subject
