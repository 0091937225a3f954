"""Findings that stand, those that only happened, and alarms that wait for a person: gathered entry by entry, bounded. Pure.

An alarm is in one of the states of ISA-18.2 (5.2.3): raised, acknowledged while it stands, cleared and not acknowledged yet, and, when both
are done, gone. What recurs after its end, and what happens once more after it was acknowledged, is raised anew.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from gateway.alarms.codes import ENDED_BY, REMEMBERED, code_of
from gateway.alarms.held import Found, Held, id_of
from gateway.alarms.stream import Told
from gateway.entries.findings import Severity
from gateway.entries.ticks import TICKS_PER_S

MOST_STANDING = 200
MOST_RECENT = 20
MOST_AWAITING = 200
"""Alarms that happened, and alarms that are over, which are kept until somebody acknowledges them: of each so many."""
MOST_BATCHES = 20
RECENT_TICKS = 86_400 * TICKS_PER_S
"""How long is shown what only happened, and what stood before a start and was not said again."""


class Change(NamedTuple):
    """Something that happened to what is held: `raised`, `cleared`, `acknowledged`, `shelved` or `unshelved`, at a time in ticks."""

    what: str
    held: Held
    at: int


Heard = Callable[[Change], object]


def started(found: Found, now: int) -> None:
    """Take a start of the gateway: what stood is asked anew by who found it, and until it is said again nobody knows."""
    for held in found.standing:
        if held.code not in REMEMBERED and held.asked_anew is None:
            held.asked_anew = now


def take(found: Found, told: Told, now: int, *, seq: int = 0, batch: str | None = None, heard: Heard = lambda _: None) -> None:
    """Take what was told at `now` (ticks), in the entry `seq`. batch: that it names."""
    forget(found, now)
    if told.severity == "info":
        _end(found, told, now, heard)
        return
    is_standing = code_of(told.code).is_standing
    kept = found.standing if is_standing else found.recent
    same = _again(found, kept, told, is_standing=is_standing)
    if same is None:
        batches = [batch] if batch else sorted(set(found.batches.values()))[:MOST_BATCHES]
        same = Held(*_lists_copied(told), since=now, last=now, id=id_of(told, seq), seq=seq, batches=batches)
        kept.append(same)
        heard(Change("raised", same, now))
    else:
        _repeat(same, told, now, heard)
        kept.append(kept.pop(kept.index(same)))
    _bound(found, kept, is_standing=is_standing)


def _again(found: Found, kept: list[Held], told: Told, *, is_standing: bool) -> Held | None:
    """Find what is told once more. One that happens again after it was acknowledged is another: its acknowledgement was of the former."""
    over = next((held for held in found.cleared if held.is_same(told)), None)
    if over is not None:
        found.cleared.remove(over)
        kept.append(over)
        return over
    same = next((held for held in kept if held.is_same(told)), None)
    if same is not None and not is_standing and same.acknowledged is not None:
        kept.remove(same)
        return None
    return same


def _repeat(held: Held, told: Told, now: int, heard: Heard) -> None:
    is_news = held.cleared is not None or (held.severity == "warning" and told.severity == "alarm")
    severity = "alarm" if held.awaits else told.severity  # what nobody has seen yet becomes no lesser thing
    held.severity, held.text, held.last, held.count, held.asked_anew = severity, told.text, now, held.count + 1, None
    held.cleared = None
    if is_news:
        if held.acknowledged is not None:
            held.told.clear()  # whoever had a message of it believes that it is seen to
        held.acknowledged = None
        heard(Change("raised", held, now))


def _lists_copied(told: Told) -> tuple[str, Severity, str, str, list[str], str, bool]:
    return told.code, told.severity, told.source, told.subject, list(told.tags), told.text, told.of_many


def _bound(found: Found, kept: list[Held], *, is_standing: bool) -> None:
    """Keep the lists bounded: the oldest warning goes first, then the oldest alarm that somebody has acknowledged."""
    awaiting = sum(held.awaits for held in kept)
    too_many = len(kept) > MOST_STANDING if is_standing else len(kept) - awaiting > MOST_RECENT or awaiting > MOST_AWAITING
    if too_many:
        found.unkept += is_standing
        _drop(found, kept, least=is_standing or awaiting <= MOST_AWAITING)


def _drop(found: Found, kept: list[Held], *, least: bool) -> None:
    """Drop the least of a list, or the oldest that waits of those of which there are most: a flood drives out itself alone."""
    warning = next((at for at, held in enumerate(kept) if held.severity == "warning"), None)
    seen = next((at for at, held in enumerate(kept) if not held.awaits), None)
    many = Counter((held.code, held.source) for held in kept if held.awaits).most_common(1)
    oldest = next((at for at, held in enumerate(kept) if held.awaits and (held.code, held.source) == many[0][0]), 0)
    at = next((at for at in (warning, seen) if at is not None and least), oldest)
    found.unacknowledged += kept[at].awaits
    del kept[at]


def forget(found: Found, now: int) -> None:
    """Let go what is too old to be shown. A time to come is not old: the clock was ahead then. What waits for a person is never old."""
    _keep(found.recent, lambda held: held.awaits or now - held.last <= RECENT_TICKS)
    _keep(found.standing, lambda held: held.awaits or held.asked_anew is None or now - held.asked_anew <= RECENT_TICKS)
    if any(now >= shelf.until for shelf in found.shelves):
        found.shelves[:] = [shelf for shelf in found.shelves if now < shelf.until]


def _keep(held: list[Held], wanted: Callable[[Held], bool]) -> None:
    if not all(map(wanted, held)):
        held[:] = filter(wanted, held)


def _end(found: Found, told: Told, now: int, heard: Heard) -> None:
    ended = ENDED_BY.get(told.code, ())
    for kept in (found.standing, found.recent) if ended else ():
        over = [held for held in kept if held.code in ended and _is_over(held, told)]
        if not over:
            continue
        kept[:] = [held for held in kept if held not in over]
        for held in over:
            heard(Change("cleared", held, now))
            if held.awaits:
                held.cleared = now
                found.cleared.append(held)
                if len(found.cleared) > MOST_AWAITING:
                    _drop(found, found.cleared, least=False)


def _is_over(held: Held, told: Told) -> bool:
    """Return whether what is told ends this. An end that names tags ends it for those; one without tags, for its subject."""
    if held.source != told.source or (held.of_many and told.tags):
        return False
    if held.tags and told.tags:
        over = set(told.tags)
        left = [tag for tag in held.tags if tag not in over]
        held.tags = left or held.tags  # the tags of one that is over are what it was about
        return not left
    return held.subject == told.subject or not told.subject
