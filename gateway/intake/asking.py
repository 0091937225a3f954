"""Whether each tag of a polled source was asked for in time. Where it was not, the poll that comes too late is preceded by a gap.

The storage filter has no part in it: a poll that found nothing new has observed its tags as well.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from config import Source, Tag
from drivers.columns import MOST_REMEMBERED, Columns, OfTags
from drivers.contract import Loss, Reading
from drivers.silence import PERIODS, Silence, observed_at, silence
from gateway.clock import Clock
from gateway.context.gaps.gaps import Gap
from gateway.entries.bodies import Row
from gateway.intake.drafts import EventDraft
from gateway.intake.observation import CAUSE_UNASKED as CAUSE
from gateway.intake.observation import Observation
from gateway.intake.poll_filter import PollFilter

SETTLED_NS = 1_000_000_000
"""Of a standstill that the clock reports: what was observed within a second of its end came after it, for the clock looks each second."""


PATIENCE_NS = 10_000_000_000
"""A tag that nobody asks for is said to be in a gap after so long and three of its periods. Before that it is late when it is asked."""
PATIENCE_PERIODS = 3
LOOKED_AWAY_NS = 3_000_000_000
"""Who looks each second and comes later than this stood still itself: what it finds then is no driver's silence."""
HUNG_NS = 60_000_000_000
MOST_HUNG_NS = 16 * HUNG_NS
"""A driver that leaves a tag in such a gap for HUNG_NS more is started again: after twice as long each time, up to this, until it asks for
all of them. One that takes minutes for a round would else never come to the tags at its end."""


class Poll(NamedTuple):
    """One poll: the tags that it observed, those of them that it lists readings of, and when it was asked and answered.

    Instants are monotonic ns plus the time that the machine was suspended before.
    """

    tags: frozenset[int]
    listed: frozenset[int]
    requested_ns: int
    received_ns: int

    @property
    def took_s(self) -> float:
        """How long its answer took."""
        return (self.received_ns - self.requested_ns) / 1e9


class Before(NamedTuple):
    """What precedes a poll that came too late: its gaps, and rows that are stored again, because a reading ends a gap."""

    drafts: list[EventDraft]
    rows: list[Row]


IN_TIME = Before([], [])


@dataclass(slots=True)
class LateCycles:
    """Polls of one source that came after a silence, since the start. ended: of the last one, in ticks; took_s: its own answer."""

    count: int = 0
    longest_s: float = 0.0
    last_s: float = 0.0
    ended: int | None = None
    took_s: float = 0.0

    def add(self, seconds: float, ended: int, took_s: float) -> None:
        """Count one."""
        self.count, self.took_s = self.count + 1, took_s
        self.longest_s, self.last_s, self.ended = max(self.longest_s, seconds), seconds, ended


@dataclass(slots=True)
class _Class:
    """Tags of one period that every poll so far has observed together, or not at all. observed_ns: when; None: never.

    stood: process or machine stood still since.
    """

    tags: list[int]
    period_ns: int
    observed_ns: int | None = None
    stood: bool = False


class Asked:
    """When each tag was last observed by a poll. A source without tags counts as one.

    Kept by classes: blocks of registers are asked as a whole, so what is noted of their tags is noted once. A poll of a part of a class
    divides it, for good.
    """

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        rates_ms = [source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in tags] or [source.rate_ms]
        by_rate = {rate_ms: _Class([], rate_ms * 1_000_000) for rate_ms in rates_ms}
        self._class_of = [by_rate[rate_ms] for rate_ms in rates_ms]
        for tag, its in enumerate(self._class_of):
            its.tags.append(tag)
        self._all = list(by_rate.values())
        self._known: dict[int, tuple[frozenset[int], list[_Class]]] = {}  # by identity of the set
        self.shortest_ns = min(each.period_ns for each in self._all)

    def silent(self, poll: Poll) -> dict[int, Silence]:
        """Return the tags of a poll that were silent before it, each with its silence.

        An answer that took longer than two periods does not say when it was given: its tags were silent until then.
        """
        found: dict[int, Silence] = {}
        for each in self._of(poll.tags):
            is_slow = silence(poll.requested_ns, poll.received_ns, each.period_ns) is not None
            asked_ns = poll.received_ns if is_slow else poll.requested_ns
            before = silence(each.observed_ns, asked_ns, 0 if each.stood else each.period_ns)
            if before is not None:
                found |= dict.fromkeys(each.tags, before)
        return dict(sorted(found.items()))

    def answered(self, poll: Poll) -> None:
        """Note what the answer to a poll proves of its tags."""
        for each in self._of(poll.tags):
            each.observed_ns = observed_at(poll.requested_ns, poll.received_ns, each.period_ns)
            each.stood = False

    def overdue(self, now_ns: int, since_ns: int) -> dict[int, Silence]:
        """Return the tags that nobody has asked for too long, each with its silence; before `since_ns` nobody looked.

        Only tags that were observed before: a driver may have reasons to leave one alone from the start, and says so.
        """
        found: dict[int, Silence] = {}
        for each in self._all:
            patience_ns = max(PATIENCE_NS, PATIENCE_PERIODS * each.period_ns)
            if each.observed_ns is not None and now_ns - max(each.observed_ns, since_ns) > patience_ns:
                found |= dict.fromkeys(each.tags, Silence(each.observed_ns, now_ns))
        return dict(sorted(found.items()))

    def stood_still(self, until_ns: int) -> None:
        """Note that process or machine stood still until then: the next poll of a tag not observed since is late, whatever its period."""
        for each in self._all:
            each.stood = each.stood or (each.observed_ns is not None and each.observed_ns < until_ns - SETTLED_NS)

    def _of(self, tags: frozenset[int]) -> list[_Class]:
        """Return the classes that make up a set of tags."""
        known = self._known.get(id(tags))
        if known is not None:
            return known[1]
        inside: dict[int, list[int]] = {}
        for tag in tags:
            inside.setdefault(id(self._class_of[tag]), []).append(tag)
        classes = [self._divided(self._class_of[some[0]], sorted(some)) for some in inside.values()]
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[id(tags)] = tags, classes  # held: no other set gets this identity
        return classes

    def _divided(self, whole: _Class, tags: list[int]) -> _Class:
        """Return the class of just these tags of a class."""
        if len(tags) == len(whole.tags):
            return whole
        part = _Class(tags, whole.period_ns, whole.observed_ns, whole.stood)
        whole.tags = sorted({*whole.tags}.difference(tags))
        for tag in tags:
            self._class_of[tag] = part
        self._all.append(part)
        self._known.clear()
        return part


class Asking:
    """The polls of one source, as its port takes them in."""

    def __init__(
        self,
        asked: Asked,
        observation: Observation,
        memory: PollFilter,
        clock: Clock,
        open_gaps: Callable[[], Sequence[Gap]],
        *,
        tells_rows: bool,
    ) -> None:
        """memory: of what was stored last. open_gaps: those of the source. tells_rows: a look that finds nothing new is an answer."""
        self._tells_rows = tells_rows
        self._hidden: set[int] = set()  # tags of a source of rows that a loss put into a gap, until a look finds them
        self._asked, self._observation, self._memory, self._clock, self._open_gaps = asked, observation, memory, clock, open_gaps
        self.late = LateCycles()
        self._sets: OfTags[frozenset[int]] = OfTags(frozenset)
        self._looked_ns = self._since_ns = self._now_ns()
        self._hung_ns = HUNG_NS
        self._unasked: dict[int, int] = {}  # tag in a gap that opened while nobody asked -> when it was said

    def poll(self, readings: Sequence[Reading], alive: Sequence[int] | None, requested_ns: int, received_ns: int) -> Poll:
        """Describe a poll that has been answered. The instants are CLOCK_MONOTONIC, ns."""
        suspended_ns = self._clock.suspended_ns()
        if isinstance(readings, Columns) and isinstance(alive, tuple):
            listed, tags = self._sets(readings.tags), self._sets(alive)
            if readings.tags is not alive and not listed <= tags:
                tags |= listed
        else:
            listed = frozenset(reading[0] for reading in readings)
            tags = self._sets(alive) if isinstance(alive, tuple) and alive and not listed else self._observation.tags(listed, alive)
        return Poll(tags, listed, requested_ns + suspended_ns, received_ns + suspended_ns)

    def lost(self, tags: Iterable[int]) -> None:
        """Note that these tags stand in a gap that a loss opened."""
        if self._tells_rows:
            self._hidden.update(tags)

    def before(self, poll: Poll, observed: int, now_s: float, kept: Collection[int] = (), *, resumed: bool = False) -> Before:
        """Draft what precedes a poll. observed: what it proves, in ticks. kept: tags of which the source keeps what nobody asks for.

        resumed: it says itself that the gaps of its tags close, and how.
        A tag that stands in an open gap was known not to be observed. A gap ends with the next reading: that of the poll, else what was
        stored last, where the poll found it unchanged. Of a tag of which nothing is stored it ends with the poll.
        """
        found = self._found(poll, observed, resumed=resumed)
        silent, back = self._asked.silent(poll), sorted(self._unasked.keys() & poll.tags)
        open_gaps = self._open_gaps() if silent or back else []
        late = self._observation.uncovered(silent, open_gaps)
        again = [*late, *back]
        if not again:
            return Before(found, []) if found else IN_TIME
        self._unasked = {tag: said_ns for tag, said_ns in self._unasked.items() if tag not in poll.tags}
        if not self._unasked:
            self._hung_ns = HUNG_NS
        self._memory.forget(poll.listed.intersection(again))
        rows = self._memory.again([tag for tag in again if tag not in poll.listed], now_s)
        ends_later = {*kept, *poll.listed, *(poll.tags if resumed else ()), *(row[0] for row in rows)}
        why = _detail([silent[tag] for tag in late], poll.took_s)
        drafts = self._late(late, why, ends_later, open_gaps, observed)
        drafts += self._observation.closed([tag for tag in back if tag not in ends_later], open_gaps, observed)
        if filled := [tag for tag in again if tag in kept]:
            drafts.append(self._observation.resumed(filled, observed))
        self.late.add(max((silent[tag].seconds for tag in again if tag in silent), default=0.0), observed, poll.took_s)
        return Before([*found, *drafts], rows)

    def _found(self, poll: Poll, observed: int, *, resumed: bool) -> list[EventDraft]:
        """Draft that the gaps of rows are over of which this look brings none: it looked, and there was nothing new.

        Else a gap would last until the next row comes, next week perhaps, though somebody looks each second.
        """
        if not self._hidden:
            return []
        found = self._hidden & poll.tags
        self._hidden -= found
        tags = found - poll.listed - self._unasked.keys()
        return self._observation.closed(tags, self._open_gaps(), observed) if tags and not resumed else []

    def _late(
        self, late: Sequence[int], detail: str, ends_later: Collection[int], open_gaps: Sequence[Gap], observed: int
    ) -> list[EventDraft]:
        """Draft the gaps of tags that stand in none. ends_later: those whose gap a reading ends, or the word that they were kept."""
        drafts: list[EventDraft] = []
        detected = self._clock.stamp().ticks
        for until in (None, observed):
            tags = tuple(tag for tag in late if (tag in ends_later) is (until is None))
            if tags:
                drafts += self._observation.gaps(Loss(CAUSE, tags, until_ticks=until, detail=detail), open_gaps, detected)
        return drafts

    def overdue(self) -> list[EventDraft]:
        """Draft the gaps of tags that nobody asks for, though the source is connected. Called each second.

        A tag that stands in an open gap is known not to be observed: a driver that waits, or gave up, has said so.
        """
        now_ns = self._now_ns()
        if now_ns - self._looked_ns > LOOKED_AWAY_NS:
            self._since_ns = now_ns
        self._looked_ns = now_ns
        if not (overdue := self._asked.overdue(now_ns, self._since_ns)):
            return []
        open_gaps = self._open_gaps()
        tags = self._observation.uncovered(overdue, open_gaps)
        if not tags:
            return []
        self._unasked |= dict.fromkeys(tags, now_ns)
        longest_s = max(overdue[tag].seconds for tag in tags)
        what = "answered" if self._tells_rows else "asked, answered"  # a database may have been asked, and not have answered yet
        detail = f"nothing was {what} or refused for {longest_s:.0f} s, though the source is connected"
        return self._observation.gaps(Loss(CAUSE, tuple(tags), detail=detail), open_gaps, self._clock.stamp().ticks)

    @property
    def unasked(self) -> list[int]:
        """Tags in a gap that opened because nobody asked for them, and that nobody has asked for since."""
        return sorted(self._unasked)

    def is_hung(self) -> bool:
        """Return whether some tag has been in such a gap for so long that its driver is not going to ask any more."""
        return any(self._looked_ns - said_ns > self._hung_ns for said_ns in self._unasked.values())

    def begins(self) -> None:
        """Note that the driver is made to begin anew."""
        if self._unasked:
            self._hung_ns = min(2 * self._hung_ns, MOST_HUNG_NS)
        self._unasked = dict.fromkeys(self._unasked, self._now_ns())

    def _now_ns(self) -> int:
        return round(self._clock.stamp().monotonic_s * 1e9) + self._clock.suspended_ns()

    def answered(self, poll: Poll) -> None:
        """Note what a poll has observed."""
        self._asked.answered(poll)

    def stood_still(self) -> None:
        """Note that process or machine stood still until now, as the clock has noticed."""
        self._asked.stood_still(self._now_ns())


def is_slow(silent_s: float, took_s: float) -> bool:
    """Return whether a silence was, for the most part, that of an answer which came slowly."""
    return took_s > silent_s / 2


def _detail(silences: Sequence[Silence], took_s: float) -> str:
    longest_s = max((each.seconds for each in silences), default=0.0)
    if is_slow(longest_s, took_s):
        return f"answered {took_s:.3f} s after it was asked, {longest_s:.3f} s after the last observation: more than {PERIODS} periods"
    return f"asked again {longest_s:.3f} s after the last observation: more than {PERIODS} periods, or this process stood still meanwhile"
