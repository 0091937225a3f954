"""Detectors find what plain definitions over the whole history of each tag find, and the same by column as reading by reading."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from operator import gt, ne
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Source, Tag
from config.detectors import Limits, UnitJump
from gateway.intake.by_column import Stored
from gateway.intake.detectors import Detectors, Taking
from gateway.intake.readings import Instants

S = 10_000_000
NOW = 17_953_300_000_000_000
TEN, FAHRENHEIT = UnitJump("10", Fraction(10)), UnitJump("[degF]", Fraction(9, 5), Fraction(32))
LIMITS = [
    Limits(flat_after_s=4.0),
    Limits(counter_after_s=3.0),
    Limits(zero_after_s=2.0),
    Limits(stamp_after_s=3.0),
    Limits(max_rate_per_s=5.0),
    Limits(unit_jumps=(TEN, FAHRENHEIT), unit_jump_min=8.0),
    Limits(late_after_s=1.5, max_late_share=0.2, max_duplicate_share=0.1, share_over_s=12.0),
    Limits(min_good_share=0.7, share_over_s=10.0),
    Limits(flat_after_s=6.0, zero_after_s=1.0, max_rate_per_s=20.0, stamp_after_s=5.0),
    None,
]
BAD, UNCERTAIN = 0x80000000, 0x40000000
VALUES = [0.0, 1.0, 2.0, 3.0, 10.0, 20.0, 33.8, 35.6, 100.0]


class One(NamedTuple):
    """What happened to one tag: a reading (value None: Bad), or a break. through: as observed before it."""

    kind: str
    value: float | None = None
    status: int = 0
    early: int = 0
    late: int = 0
    stamp: int | None = None
    received: int = 0
    width: int = 0
    through: int = 0


class Plain:
    """The definitions of one tag's detectors, each over all that happened since the last break, found anew each time."""

    def __init__(self, limits: Limits, rate_ms: int) -> None:
        self.limits, self.margin = limits, rate_ms * S // 1000
        self.happened: list[One] = []
        self.told: dict[str, Any] = {}
        self.window: dict[str, int] = {}

    def since_break(self, *, over_bad: bool = False, over_initial: bool = False) -> list[One]:
        """The readings that may be compared: none before a break, a Bad one, or a first value."""
        kept: list[One] = []
        for one in reversed(self.happened):
            if one.kind == "break" or (one.value is None and not over_bad):
                break
            kept.append(one)
            if one.kind == "initial" and not over_initial:
                break
        return kept[::-1]

    def reading(self, one: One) -> list[str]:
        self.happened.append(one)
        if one.value is None:
            if "fast" in self.told:
                self.told["fast"] = 0
            return []
        if one.kind == "initial" and "fast" in self.told:
            self.told["fast"] = 0
        run, found, limits = self.since_break(), list[str](), self.limits
        before = run[-2] if len(run) > 1 else None
        if "flat" in self.told and (one.value != self.told["flat"] or (before is not None and one.value != before.value)):
            del self.told["flat"]
            found.append("flat-line-over")
        if limits.counter_after_s and "counter" in self.told:
            rises = before is not None and before.value is not None and one.value > before.value
            if rises or one.value > self.told["counter"]:
                del self.told["counter"]
                found.append("counter-stuck-over")
        if limits.zero_after_s and "zero" in self.told and one.value != 0:
            del self.told["zero"]
            found.append("zero-fill-over")
        found += self.stamps(one, self.since_break(over_bad=True))
        found += self.steps(one, before)
        return found

    def stamps(self, one: One, run: list[One]) -> list[str]:
        run = [each for each in run if each.stamp is not None and each.value is not None]
        if not self.limits.stamp_after_s or one.stamp is None:
            return []
        latest, came, value = -1, 0, None
        for each in run[:-1]:
            assert each.stamp is not None
            if each.stamp > latest:
                latest, came, value = each.stamp, each.received, each.value
        if one.stamp > latest:
            return ["stamp-frozen-over"] if self.told.pop("stamp", None) else []
        if (one.kind == "poll" and one.value == value) or "stamp" in self.told:
            return []
        if one.received - came >= self.limits.stamp_after_s * S:
            self.told["stamp"] = True
            return ["stamp-frozen"]
        return []

    def steps(self, one: One, before: One | None) -> list[str]:
        found, limits = list[str](), self.limits
        assert one.value is not None
        if limits.max_rate_per_s and before is not None and before.value is not None:
            base = max(before.early, one.through - (one.width if one.kind == "poll" else self.margin))
            took, by = one.late - base, abs(one.value - before.value)
            if took > 0 and by > limits.max_rate_per_s / S * took:
                found += [] if "fast" in self.told else ["rate-exceeded"]
                self.told["fast"] = one.late
        if "fast" in self.told:
            if not self.told["fast"]:
                self.told["fast"] = one.late
            elif one.late - self.told["fast"] >= 60 * S:
                del self.told["fast"]
                found.append("rate-exceeded-over")
        if limits.unit_jumps and before is not None and before.value is not None:
            found += self.jump(before.value, one.value)
        return found

    def jump(self, last: float, value: float) -> list[str]:
        if abs(value - last) < (self.limits.unit_jump_min or 0):
            return []
        near = []
        for jump in self.limits.unit_jumps:
            there, back = last * float(jump.scale) + float(jump.offset), (last - float(jump.offset)) / float(jump.scale)
            for is_back, expected in ((False, there), (True, back)):
                if abs(value - expected) <= 0.05 * abs(expected - last):
                    near.append((abs(value - expected) / (abs(expected - last) or 1.0), jump.name, is_back))
        if not near:
            return []
        _, name, is_back = min(near, key=lambda each: (each[0], [jump.name for jump in self.limits.unit_jumps].index(each[1]), each[2]))
        if self.told.get("jump") == (name, not is_back):
            del self.told["jump"]
            return ["unit-jump-over"]
        self.told["jump"] = (name, is_back)
        return ["unit-jump"]

    def look(self, through: int) -> list[str]:
        found, limits, run = list[str](), self.limits, self.since_break()
        rules: list[tuple[str, str, float | None, Callable[[Any, Any], bool]]] = [
            ("flat-line", "flat", limits.flat_after_s, ne),
            ("counter-stuck", "counter", limits.counter_after_s, gt),
        ]
        for code, name, limit, breaks in rules:
            if limit and run and name not in self.told:
                since = run[0].received
                for was, now in pairwise(run):
                    since = now.received if breaks(now.value, was.value) else since
                if through - since >= limit * S:
                    self.told[name] = run[-1].value
                    found.append(code)
        if limits.zero_after_s and "zero" not in self.told and run and run[-1].value == 0:
            zeros = len(run) - next((place for place, one in enumerate(reversed(run)) if one.value != 0), len(run))
            if through - run[zeros].received >= limits.zero_after_s * S:
                self.told["zero"] = True
                found.append("zero-fill")
        if self.told.get("fast") and run and through - self.told["fast"] >= 60 * S:
            del self.told["fast"]
            found.append("rate-exceeded-over")
        return found + self.shares(through) + self.quality(through)

    def shares(self, through: int) -> list[str]:
        limits = self.limits
        run = [one for one in self.since_break(over_bad=True) if one.stamp is not None and one.value is not None and one.kind != "poll"]
        if not limits.max_late_share or not run:
            return []
        since = self.window.get("shares") or run[0].received
        since = max(since, run[0].received) if self.window.get("shares_of") != id(run[0]) else since
        self.window |= {"shares": since, "shares_of": id(run[0])}
        counted = self.window.setdefault(f"from{id(run[0])}", 0)
        if through - since < limits.share_over_s * S:
            return []
        mine = run[counted:]
        self.window |= {"shares": through, f"from{id(run[0])}": len(run)}
        if len(mine) < 10:
            return []
        late = sum(one.received - (one.stamp or 0) > (limits.late_after_s or 0) * S for one in mine)
        twice = sum(
            place > 0 and (one.stamp, one.value) == (run[place - 1].stamp, run[place - 1].value)
            for place, one in enumerate(run)
            if place >= counted
        )
        found: list[str] = []
        for code, many, most in (("late-share", late, limits.max_late_share), ("duplicate-share", twice, limits.max_duplicate_share)):
            if (many / len(mine) > (most or 1)) is not (code in self.told):
                found.append(f"{code}-over" if self.told.pop(code, None) else code)
                if not found[-1].endswith("-over"):
                    self.told[code] = True
        return found

    def quality(self, through: int) -> list[str]:
        limits = self.limits
        run = self.since_break(over_bad=True, over_initial=True)
        if not limits.min_good_share or not run:
            return []
        began = self.window["quality"] if self.window.get("quality_of") == id(run[0]) else run[0].received
        self.window |= {"quality": began, "quality_of": id(run[0])}
        ends = [*(one.received for one in run[1:]), max(through, run[-1].received)]
        bad = sum(max(0, end - max(one.received, began)) for one, end in zip(run, ends, strict=True) if one.status or one.value is None)
        over = round(limits.share_over_s * S)
        is_beyond, found = bad > round((1 - limits.min_good_share) * over), list[str]()
        if is_beyond and "quality" not in self.told:
            self.told["quality"] = True
            found.append("quality-share")
        elif not is_beyond and through - began >= over and self.told.pop("quality", None):
            found.append("quality-share-over")
        if through - began >= over:
            self.window["quality"] = through
        return found


def tag(number: int, limits: Limits | None) -> Tag:
    return Tag(tag=f"t{number}", source="plc", address="a", type="float64", unit="Cel", eu_low=Decimal(0), limits=limits)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Limits | None], str, list[Any]]:
    """Some tags, and what happens to them in a while: lists, gaps, looks."""
    limits = draw(st.lists(st.sampled_from(LIMITS), min_size=1, max_size=5))
    kind = draw(st.sampled_from(["poll", "change"]))
    story: list[Any] = []
    for _ in range(draw(st.integers(5, 40))):
        what = draw(st.sampled_from(["list"] * 6 + ["look"] * 4 + ["gap", "first"]))
        some = draw(st.lists(st.sampled_from(range(len(limits))), min_size=1, max_size=6, unique=what == "list" and draw(st.booleans())))
        readings = [
            (index, draw(st.sampled_from(VALUES)), draw(st.sampled_from([0] * 8 + [BAD, UNCERTAIN])), draw(st.integers(0, 30)))
            for index in some
        ]
        if draw(st.booleans()):
            readings = [(index, value, 0, lag) for index, value, _, lag in readings]
        story.append((what, readings, draw(st.sampled_from([1, 5, 10, 30, 70, 650])), draw(st.booleans())))
    return limits, kind, story


@pytest.mark.urs("URS-OBS-01")
@given(stories(), st.booleans(), st.booleans())
def test_by_column_and_by_row_they_find_what_the_plain_definitions_find(
    story: tuple[list[Limits | None], str, list[Any]], has_stamps: bool, trusted: bool
) -> None:
    limits, kind, happened = story
    source = Source(name="plc", driver="opcua", endpoint="opc.tcp://x", rate_ms=100, time_authority="device")
    tags = [tag(number, its) for number, its in enumerate(limits)]
    quick, slow = Detectors(source, tags), Detectors(source, tags)
    plain = {index: Plain(its, 100) for index, its in enumerate(limits) if its is not None}
    through, now = [0] * len(tags), NOW
    layouts: dict[tuple[int, ...], tuple[int, ...]] = {}
    for what, listed, steps, observed in happened:
        readings = list({one[0]: one for one in listed}.values()) if what == "first" else listed
        now += steps * S // 10
        io = Instants(now - S // 50 if kind == "poll" else None, now)
        if what == "look":
            if observed:
                through[:] = [max(through[index], now) for index in range(len(tags))]
            expected = Counter((code, f"t{index}") for index, each in plain.items() for code in each.look(through[index]))
            told = [each.look(now + S, lambda index: through[index]) for each in (quick, slow)]
            assert told[0] == told[1]
        elif what == "gap":
            gone = {index for index, *_ in readings}
            expected = Counter()
            for index in gone & plain.keys():
                plain[index].happened.append(One("break"))
                if "fast" in plain[index].told:
                    plain[index].told["fast"] = 0
            quick.forget(gone)
            slow.forget(gone)
            told = [[], []]
        else:
            its_kind: Any = "initial" if what == "first" else kind
            taking = Taking(its_kind, io, trusted, 0, lambda index: through[index])
            rows = [
                (index, None if status >= BAD else value, None, status, now - lag * S // 10 if has_stamps else None)
                for index, value, status, lag in readings
            ]
            told = [[], slow.by_row([row for row in rows if row[0] in slow.watched], taking)]
            by_column = not any(row[3] for row in rows) and len({row[0] for row in rows}) == len(rows)
            if by_column:
                indexes = layouts.setdefault(tuple(row[0] for row in rows), tuple(row[0] for row in rows))
                stamps = [row[4] for row in rows] if has_stamps else None
                told[0] = quick.by_column(Stored(indexes, [row[1] for row in rows], None, stamps, None), taking)
            else:
                told[0] = quick.by_row([row for row in rows if row[0] in quick.watched], taking)
            expected = Counter()
            for index, value, _, status, stamp in rows:
                if index in plain:
                    early, late = io.requested or now, now
                    if stamp is not None and trusted and what != "first":
                        early = late = stamp
                    one = One(its_kind, value, status, early, late, stamp, now, now - (io.requested or now), through[index])
                    expected.update((code, f"t{index}") for code in plain[index].reading(one))
            for index, *_ in readings:
                through[index] = max(through[index], now)
            assert Counter((one.code, one.text) for one in told[0]) == Counter((one.code, one.text) for one in told[1])
        found = Counter((one.code, tags[one.tags[0]].tag) for one in told[0])
        assert found == expected, (what, now, readings)
