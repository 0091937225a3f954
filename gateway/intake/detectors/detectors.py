"""All detectors of one source: which tags each looks at, what a list is to them, and what they have found in words."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from config import Source, Tag
from config.detectors import NUMERIC, Limits
from drivers.columns import MOST_REMEMBERED, OfTags, Tags
from drivers.contract import BAD, UNCERTAIN, Finding, Kind
from gateway.entries.fold_input import EARLIEST_TICKS, FUTURE_TICKS
from gateway.entries.ticks import TICKS_PER_MS, TICKS_PER_S
from gateway.intake.by_column import Stored
from gateway.intake.detectors import words
from gateway.intake.detectors.seen import Part, Seen, Through, Watched, Where, part_of, taken
from gateway.intake.detectors.shares import Delivery, Quality
from gateway.intake.detectors.shares import Rule as ShareRule
from gateway.intake.detectors.stamps import Stamps
from gateway.intake.detectors.standing import COUNTER, FLAT, Standing
from gateway.intake.detectors.steps import Rule, Steps
from gateway.intake.detectors.zeros import Zeros
from gateway.intake.poll_filter import deadband_of
from gateway.intake.readings import Instants

Place = Callable[[Tag], Mapping[str, Any]]
"""Tag -> what a finding says of where it is: its equipment, and the batch that is there."""


class Layout(NamedTuple):
    """What of the lists of one layout is watched: the tags, where they stand, and the part of each detector."""

    tags: tuple[int, ...]
    places: Where
    parts: tuple[Part | None, ...]
    by_device: bool
    as_text: bool


class Taking(NamedTuple):
    """How a list came. trusts: the stamps of tags whose time is the device's say when a value was made. offset: of its clock, ticks."""

    kind: Kind
    io: Instants
    trusts: bool
    offset: int
    through: Through


class Detectors:
    """The detectors of one source."""

    def __init__(self, source: Source, tags: Sequence[Tag], place: Place = lambda _: {}) -> None:
        self._tags, self._place = tags, place
        limits = {index: tag.limits for index, tag in enumerate(tags) if tag.limits is not None and tag.limits.named}
        self.watched = frozenset(limits)
        """Tags that some detector looks at."""
        self._by_device = frozenset(i for i in limits if (tags[i].time_authority or source.time_authority) == "device")
        self._text = frozenset(i for i in limits if _is_text(tags[i]) and not NUMERIC.isdisjoint(limits[i].named))
        self._flat = Standing(FLAT, _ticks(limits, "flat_after_s"))
        self._counters = Standing(COUNTER, _ticks(limits, "counter_after_s"))
        self._zeros = Zeros(_ticks(limits, "zero_after_s"))
        self._stamps = Stamps(_ticks(limits, "stamp_after_s"))
        self._steps = Steps(_step_rules(source, tags, limits))
        self._delivery = Delivery({i: _share_rule(its) for i, its in limits.items() if its.max_late_share or its.max_duplicate_share})
        self._quality = Quality({i: _share_rule(its) for i, its in limits.items() if its.min_good_share})
        self._all = (self._flat, self._counters, self._zeros, self._stamps, self._steps, self._delivery, self._quality)
        self._layouts: OfTags[Layout | None] = OfTags(self._layout)
        self._by_rows: dict[tuple[int, ...], Layout | None] = {}

    # ---- a list

    def by_column(self, listed: Stored, taking: Taking) -> list[Finding]:
        """Take a list of Good values, all of those that came."""
        layout = self._layouts(listed.tags)
        if layout is None or taking.kind == "backfill":
            return []
        columns = (None if column is None else taken(column, layout.places) for column in (listed.values, listed.raw, listed.source))
        values, raw, stamps = columns
        return self._take(layout, values or (), raw, stamps, taking)

    def by_row(self, readings: Sequence[Watched], taking: Taking) -> list[Finding]:
        """Take the watched ones of a list, in its order, whatever their status."""
        if not readings or taking.kind == "backfill":
            return []
        return [finding for run in _runs(readings) for finding in self._run(run, taking)]

    def _run(self, run: Mapping[int, Watched], taking: Taking) -> list[Finding]:
        """Take readings of which each tag has one. Those with a stamp and those without are lists of their own."""
        if not_good := [one for one in run.values() if one[3] >= UNCERTAIN]:
            self._doubt(not_good, taking)
        found: list[Finding] = []
        for has_stamp in (True, False):
            some = [one for one in run.values() if one[3] < BAD and one[1] is not None and (one[4] is not None) is has_stamp]
            layout = self._of_rows(tuple(one[0] for one in some))
            if layout is None:
                continue
            _, values, raw, _, stamps = zip(*some, strict=True)
            raws = raw if raw.count(None) != len(raw) else None
            good = frozenset(one[0] for one in some if one[3] < UNCERTAIN)
            found += self._take(layout, values, raws, stamps if has_stamp else None, taking, good)
        return found

    def _doubt(self, readings: Sequence[Watched], taking: Taking) -> None:
        """Take what is not Good: a Bad reading has no value, and of how its tag goes on nothing is known."""
        slot_of = self._quality.slot_of
        slots = [slot_of[one[0]] for one in readings if one[0] in slot_of]
        self._quality.take(slots, taking.io.received, is_good=False)
        bad = [one[0] for one in readings if one[3] >= BAD or one[1] is None]
        for detector in (self._flat, self._counters, self._zeros, self._steps):
            detector.forget(bad)

    def _take(
        self,
        layout: Layout,
        values: Sequence[Any],
        raw: Sequence[Any] | None,
        stamps: Sequence[int] | None,
        taking: Taking,
        good: frozenset[int] | None = None,
    ) -> list[Finding]:
        """Show values to each detector. good: the tags that are Good; None: all are."""
        if taking.kind == "initial":  # it may be old: nothing before it is compared with it, nor is it older than when it came
            self._forget(layout.tags, self._all[:-1])
        if layout.as_text:
            values, raw = _numbers(values), None if raw is None else _numbers(raw)
        early, late = self._times(layout, stamps, taking)
        is_poll, offset = taking.kind == "poll", taking.offset
        seen = Seen(layout.tags, values, raw, stamps, early, late, taking.io, is_poll, offset, taking.through)
        return list(self._shown(layout, seen, good))

    def _shown(self, layout: Layout, seen: Seen, good: frozenset[int] | None) -> Iterator[Finding]:
        flat, counters, zeros, stamps, steps, delivery, quality = layout.parts
        for part, standing, say in ((flat, self._flat, words.flat), (counters, self._counters, words.counter)):
            if part is not None:
                yield from self._told(standing.tags, standing.take(part, seen), say)
        if zeros is not None:
            yield from self._told(self._zeros.tags, self._zeros.take(zeros, seen), words.zero)
        if stamps is not None:
            yield from self._told(self._stamps.tags, self._stamps.take(stamps, seen), words.stamp)
        if steps is not None:
            yield from self._told(self._steps.tags, self._steps.take(steps, seen), words.step)
        if delivery is not None:
            self._delivery.take(delivery, seen)
        if quality is not None and good is None:
            self._quality.good(quality, seen)
        elif quality is not None and good is not None:
            mine = [slot for slot in quality.which if self._quality.tags[slot] in good]
            self._quality.take(mine, seen.io.received, is_good=True)

    def _times(self, layout: Layout, stamps: Sequence[int] | None, taking: Taking) -> tuple[Sequence[int], Sequence[int]]:
        """Give the instants between which each value was made."""
        io, count = taking.io, len(layout.tags)
        begun = io.received if io.requested is None else io.requested
        early, late = [begun] * count, [io.received] * count
        if stamps is None or not taking.trusts or taking.kind == "initial":
            return early, late
        latest = io.received + FUTURE_TICKS
        if layout.by_device and min(stamps) >= EARLIEST_TICKS and max(stamps) <= latest:
            return stamps, stamps
        for place, (tag, stamp) in enumerate(zip(layout.tags, stamps, strict=True)):
            if tag in self._by_device and EARLIEST_TICKS <= stamp <= latest:
                early[place] = late[place] = stamp
        return early, late

    # ---- time

    def look(self, now: int, through: Through) -> list[Finding]:
        """Find what follows from time alone, as far as each tag has been observed. now: ticks; called each second."""
        found = [*self._told(self._flat.tags, self._flat.look(now, through), words.flat)]
        found += self._told(self._counters.tags, self._counters.look(now, through), words.counter)
        found += self._told(self._zeros.tags, self._zeros.look(through), words.zero)
        found += self._told(self._steps.tags, self._steps.look(through), words.step)
        found += self._told(self._delivery.tags, self._delivery.look(through), words.share)
        return [*found, *self._told(self._quality.tags, self._quality.look(through), words.share)]

    def forget(self, tags: Iterable[int] | None = None) -> None:
        """Know no more of these tags, None for all, than what was told: they were not observed, or the clock was set."""
        self._forget(self.watched if tags is None else self.watched.intersection(tags), self._all)

    @staticmethod
    def _forget(tags: Collection[int], detectors: Iterable[Any]) -> None:
        for detector in detectors:
            detector.forget(tags)

    # ---- inside

    def _layout(self, tags: Tags) -> Layout | None:
        part = part_of(dict.fromkeys(self.watched, 0), tags)
        if part is None:
            return None
        mine = tuple(tag for tag in tags if tag in self.watched)
        parts = tuple(part_of(detector.slot_of, mine) for detector in self._all)
        return Layout(mine, part.places, parts, self._by_device.issuperset(mine), not self._text.isdisjoint(mine))

    def _of_rows(self, tags: tuple[int, ...]) -> Layout | None:
        """Find the layout of a list that came reading by reading: its tuple is made anew for each list, so it is known by what it says."""
        try:
            return self._by_rows[tags]
        except KeyError:
            if len(self._by_rows) >= MOST_REMEMBERED:
                self._by_rows.clear()
            return self._by_rows.setdefault(tags, self._layout(tags))

    def _told(self, tags: Sequence[int], news: Iterable[Any], say: Callable[[Tag, Any], words.Said]) -> Iterator[Finding]:
        for one in news:
            index = tags[one.slot]
            tag = self._tags[index]
            said = say(tag, one)
            severity = "info" if said.is_over else "alarm" if tag.criticality in ("CPP", "CQA") else "warning"
            code = f"{said.code}-over" if said.is_over else said.code
            evidence = {**said.evidence, **self._place(tag)}
            yield Finding(code, f"{tag.tag}: {said.text}", (index,), severity, evidence)  # type: ignore[arg-type] # three words above


def _runs(readings: Iterable[Watched]) -> Iterator[dict[int, Watched]]:
    """Cut a list where a tag comes again."""
    run: dict[int, Watched] = {}
    for reading in readings:
        if reading[0] in run:
            yield run
            run = {}
        run[reading[0]] = reading
    if run:
        yield run


def _is_text(tag: Tag) -> bool:
    """Return whether a tag's values stand in entries as their digits."""
    return tag.type in ("int64", "uint64", "decimal")


def _numbers(column: Sequence[Any]) -> list[Any]:
    return [float(value) if value.__class__ is str and _is_number(value) else value for value in column]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _ticks(limits: Mapping[int, Limits], name: str) -> dict[int, int]:
    return {index: round(limit * TICKS_PER_S) for index, its in limits.items() if (limit := getattr(its, name)) is not None}


def _share_rule(limits: Limits) -> ShareRule:
    late_after = None if limits.late_after_s is None else round(limits.late_after_s * TICKS_PER_S)
    return ShareRule(
        round(limits.share_over_s * TICKS_PER_S), late_after, limits.max_late_share, limits.max_duplicate_share, limits.min_good_share
    )


def _step_rules(source: Source, tags: Sequence[Tag], limits: Mapping[int, Limits]) -> dict[int, Rule]:
    return {
        index: Rule(
            its.max_rate_per_s,
            its.unit_jumps,
            its.unit_jump_min or 0.0,
            deadband_of(tags[index]) or 0.0,
            (source.rate_ms if (rate_ms := tags[index].rate_ms) is None else rate_ms) * TICKS_PER_MS,
        )
        for index, its in limits.items()
        if its.max_rate_per_s is not None or its.unit_jumps
    }
