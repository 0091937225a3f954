"""Through when a source, and each of its tags, has been observed; and the gaps that open where it has not.

Whether a loss is news is decided here and nowhere else: only tags that stand in no open gap get one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from config import Source, Tag
from drivers.columns import Columns, OfTags, span_of
from drivers.contract import Loss, Reading
from drivers.silence import observed_at
from gateway.context.gaps.gaps import Gap
from gateway.entries.bodies import Row
from gateway.entries.fold_input import EARLIEST_TICKS, FUTURE_TICKS, event_ticks
from gateway.entries.set_back import SetBack
from gateway.entries.ticks import TICKS_PER_MS, rfc3339
from gateway.intake.by_column import Stored
from gateway.intake.drafts import EventDraft
from gateway.intake.due import Due
from gateway.intake.readings import Instants

CAUSE_UNASKED = "not-asked"
MOST_GAPS_AT_ONCE = 16
"""Opened by one loss. Tags with another last observation have a gap of their own."""


class Observation:
    """What has been observed of one source. Times are ticks."""

    def __init__(self, source: Source, tags: Sequence[Tag], proved: int | None, started: int, due: Due | None = None) -> None:
        """proved: through when the journal proves it, None if it never did. started: a gap begins no earlier if nothing is known.

        due: how often a sample of each tag is due.
        """
        self._source, self._tags, self._started = source, tags, started
        self._due = due or Due(source, tags, "")
        self.through: int | None = proved
        self._seen: list[int] = [proved or 0] * len(tags)
        self._spans = OfTags(span_of)

    def of(self, tag: int) -> int | None:
        """Return through when one tag has been observed; None if nothing proves that it ever was."""
        return self._seen[tag] or None

    def tags(self, listed: frozenset[int], alive: Sequence[int] | None) -> frozenset[int]:
        """Tags that an I/O has observed; 0 stands for a source without tags. listed: those with a reading."""
        if not self._tags:
            return frozenset([0])
        return listed.union(alive) if alive else listed

    def uncovered(self, tags: Iterable[int], open_gaps: Iterable[Gap]) -> list[int]:
        """Those of these tags that stand in no open gap."""
        covered = _covered(open_gaps)
        if "all" in covered:
            return []
        return [tag for tag in tags if not self._tags or self._tags[tag].tag not in covered]

    def saw(self, readings: Sequence[Reading], alive: Sequence[int] | None, through: int, owed: int | None = None) -> None:
        """Note that the tags of a list, and those that its I/O proved alive, have been observed; through `owed` at most, see Emit."""
        if owed is not None:
            through = min(through, owed)
            for tag in {*(reading[0] for reading in readings), *(alive or ())}:
                self._seen[tag] = max(self._seen[tag], through)
        elif alive is not None and len(alive) == len(self._seen):
            self._seen = [through] * len(self._seen)
        else:
            if not (isinstance(readings, Columns) and readings.tags is alive):
                self._saw(readings.tags if isinstance(readings, Columns) else [reading[0] for reading in readings], through)
            self._saw(alive or (), through)
        self.through = max(self.through or 0, through)

    def _saw(self, tags: Sequence[int], through: int) -> None:
        span = self._spans(tags) if isinstance(tags, tuple) else None
        if span is not None:
            self._seen[span] = [through] * len(tags)
            return
        seen = self._seen
        for tag in tags:
            seen[tag] = through

    def set_back(self, back: SetBack) -> None:
        """Go on with the same instants by a clock that was set back: none of them is to come."""
        self.through = None if self.through is None else back.moved(self.through)
        self._seen = [ticks and back.moved(ticks) for ticks in self._seen]
        self._started = back.placed(self._started)

    def stopped(self, proved: int) -> None:
        """Know no more than the journal proves: the gateway was not observing.

        It proves through when the source was observed, not each tag: a tag's own last poll, or the last notification of its subscription,
        is older by up to its rate and a late cycle. Rather a little too long than a change that is neither held nor in the gap.
        """
        for index, tag in enumerate(self._tags):
            rate_ms = self._rate_ms(tag)
            self._seen[index] = proved - TICKS_PER_MS * (200 + max(rate_ms, 200) * 3 // 2)
        self.through = proved

    def gaps(self, loss: Loss, open_gaps: Iterable[Gap], detected: int) -> list[EventDraft]:
        """Draft the gaps that a loss opens, none if it is no news. open_gaps: of this source."""
        starts = self._starts(loss, _covered(open_gaps))
        if len(starts) > MOST_GAPS_AT_ONCE:  # no common rhythm: one gap from the earliest, rather too long than too short
            starts = {min(starts): [index for part in starts.values() for index in part]}
        return [self._gap(loss, part, start or self._started, detected) for start, part in starts.items()]

    def closed(self, tags: Iterable[int], open_gaps: Iterable[Gap], end: int) -> list[EventDraft]:
        """Draft that open gaps of these tags are over, of which nothing is stored that could end them. A source of rows ends its own."""
        names = {self._tags[tag].tag for tag in tags} if self._tags else set()
        ends = [(gap, [name for name in sorted(names) if gap.tags == "all" or name in gap.tags]) for gap in open_gaps]
        return [self._close(gap, of_gap, max(end, gap.start_ticks)) for gap, of_gap in ends if of_gap]

    def _close(self, gap: Gap, tags: list[str], end: int) -> EventDraft:
        event = {"type": "gap", "transition": "close", "gap": gap.id, "source": self._source.name, "tags": tags}
        told: dict[str, Any] = {"start": rfc3339(gap.start_ticks), "end": rfc3339(end), "outcome": "lost", "cause": gap.cause}
        index = {tag.tag: at for at, tag in enumerate(self._tags)}
        return self._draft(event | told | self._due.counted({name: index[name] for name in tags}, gap.start_ticks, end))

    def _rate_ms(self, tag: Tag) -> int:
        return self._source.rate_ms if tag.rate_ms is None else tag.rate_ms

    def filled(self, tags: Sequence[int] | None, since: int, until: int, detail: str, received: int | None = None) -> EventDraft:
        """Draft that the source's history gave everything of an interval. received: so many readings."""
        event: dict[str, Any] = {
            "type": "gap",
            "transition": "fill",
            "source": self._source.name,
            "tags": "all" if tags is None else self._list(tags),
        }
        if received is not None:
            event["received"] = received
        return self._draft(event | {"start": rfc3339(since), "end": rfc3339(until), "detail": detail})

    def resumed(self, alive: Sequence[int] | None, observed: int) -> EventDraft:
        """Draft that the source went on without loss: the open gaps of these tags close as filled."""
        tags = "all" if alive is None else self._names(alive)
        event = {"type": "source", "source": self._source.name, "state": "resumed", "tags": tags, "observed": rfc3339(observed)}
        return self._draft(event)

    def _starts(self, loss: Loss, covered: set[str]) -> dict[int, list[int]]:
        """Tags of a loss that no open gap covers, by the start of their gap, 0 if unknown. A source of rows has one gap at a time."""
        if "all" in covered:
            return {}
        if not self._tags:
            return {loss.since_ticks or self.through or 0: []}
        starts: dict[int, list[int]] = {}
        for index in range(len(self._tags)) if loss.tags is None else loss.tags:
            if self._tags[index].tag not in covered:
                starts.setdefault(loss.since_ticks or self._seen[index], []).append(index)
        return starts

    def _gap(self, loss: Loss, tags: Sequence[int], start: int, detected: int) -> EventDraft:
        event: dict[str, Any] = {"type": "gap", "transition": "open", "source": self._source.name, "tags": self._names(tags)}
        event |= {"start": rfc3339(start), "detected": rfc3339(detected), "cause": loss.cause, "detail": loss.detail}
        event |= self._due.of(tags)
        if loss.until_ticks is not None:  # known to be over: closed at once
            event["end"] = rfc3339(max(loss.until_ticks, start))
        return self._draft(event)

    def _names(self, tags: Sequence[int]) -> list[str] | str:
        return "all" if len(tags) == len(self._tags) else self._list(tags)

    def _list(self, tags: Sequence[int]) -> list[str]:
        return [self._tags[index].tag for index in tags]

    def _draft(self, event: Mapping[str, Any]) -> EventDraft:
        return EventDraft(event, self._source.name)


def observed_through(rows: Sequence[Row] | Stored, stated: int | None, io: Instants, source: Source, period_ns: int | None = None) -> int:
    """Through which instant an I/O proves observation: as stated, else what a poll proves, else the latest event time in the list.

    period_ns: of the tags that are polled most often, None for the source's.
    """
    if stated is not None:
        return stated
    if io.requested is not None:
        return observed_at(io.requested * 100, io.received * 100, source.rate_ms * 1_000_000 if period_ns is None else period_ns) // 100
    authority, received = source.time_authority, io.received
    if authority == "gateway":
        return received
    if isinstance(rows, Stored):
        if (
            authority == "device"
            and rows.bounds is not None
            and rows.bounds[0] >= EARLIEST_TICKS
            and rows.bounds[1] <= received + FUTURE_TICKS
        ):
            return rows.bounds[1]
        none = (None,) * len(rows.tags)
        times: Iterable[tuple[int | None, int | None]] = zip(rows.source or none, rows.server or none, strict=True)
    else:
        times = ((row[5], row[6]) for row in rows)
    return max((event_ticks(authority, its, server, None, received, trusted=True) for its, server in times), default=received)


def _covered(gaps: Iterable[Gap]) -> set[str]:
    """Names of the tags that stand in an open gap; "all" if one is open for all of the source."""
    covered: set[str] = set()
    for gap in gaps:
        covered |= {"all"} if gap.tags == "all" else set(gap.tags)
    return covered
