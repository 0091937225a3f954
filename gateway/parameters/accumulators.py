"""Accumulates, while a step runs, the sums over tags that its parameters are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from config import Parameter, Scaling, Tag
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters.edges import Edge
from gateway.parameters.limits import exact, limit_in_unit, shown
from gateway.parameters.results import Limits
from gateway.parameters.series import Cut, Track, severed, usable, windows
from gateway.parameters.sums import Rule, Stops, Sums, number

_SPANS = {"uint8": 1 << 8, "uint16": 1 << 16, "uint32": 1 << 32, "uint64": 1 << 64, "bcd16": 10**4, "bcd32": 10**8}
_LIMITS = ("target", "low", "high", "alert_low", "alert_high")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line beyond which time is summed: a number, or `=TAG` for the value of another tag at the step's start, as in parameters.csv.

    `scaling` makes a number in the tag's unit of it, None: it is one.
    """

    text: str
    scaling: Scaling | None = None

    def __str__(self) -> str:
        return self.text if self.scaling is None else f"{self.text}*{self.scaling.slope}+{self.scaling.intercept}"


@dataclass(frozen=True, slots=True)
class Need:
    """The sums over one tag that a step must accumulate; parameters with equal needs share them.

    `skip_ticks` (100 ns) are left out at the step's start; `running`: only time in which the equipment runs counts. `above` and `below` are
    the thresholds whose excess is timed.
    """

    tag: Tag
    skip_ticks: int
    running: bool
    above: Threshold | None
    below: Threshold | None

    @property
    def key(self) -> str:
        """Text that identifies this need; equal needs have equal keys. Key of `Book.sums`."""
        return f"{self.values}|{self.above}|{self.below}"

    @property
    def values(self) -> str:
        """Text that identifies what is summed, whatever lines it is compared with: the beginning of `key`."""
        return f"{self.tag.tag}|{self.skip_ticks}|{self.running:d}"


def need_of(parameter: Parameter, tags: Mapping[str, Tag]) -> Need | None:
    """Return the sums that `parameter` is computed from; None if it has no tag in `tags` (by name)."""
    tag = None if parameter.tag is None else tags.get(parameter.tag)
    if tag is None:
        return None
    judged = parameter.limit_source != "none" and parameter.statistic in {"mean", "min", "max"}
    above = _threshold_of(parameter, "high") if judged or parameter.statistic in {"time_above", "time_outside"} else None
    below = _threshold_of(parameter, "low") if judged or parameter.statistic in {"time_below", "time_outside"} else None
    return Need(tag, round(parameter.skip_first_s * TICKS_PER_S), parameter.include == "running", above, below)


def _threshold_of(parameter: Parameter, column: str) -> Threshold | None:
    """Return the threshold that a limit is to the readings, which are in the tag's unit while a judged limit is in the parameter's."""
    text: str | None = getattr(parameter, column)
    if text is None:
        return None
    scaling = _conversions(parameter).get(column)
    if parameter.conversion is None or parameter.statistic not in {"mean", "min", "max"}:
        return Threshold(text, scaling)
    back = parameter.conversion.inverse()
    return Threshold(text, back if scaling is None else scaling.then(back.slope, back.intercept, is_integer=False))


def _conversions(parameter: Parameter) -> dict[str, Scaling]:
    return {conversion.column: conversion.scaling for conversion in parameter.limit_conversions}


def limit_tags(parameter: Parameter) -> set[str]:
    """Return the names of the tags that the parameter's target and limits are read from (`=TAG`)."""
    texts = (getattr(parameter, name) for name in _LIMITS)
    return {text[1:] for text in texts if text is not None and text.startswith("=")}


@dataclass(slots=True)
class Book:
    """The accumulators of one running step: sums over its tags, and the limits read at its start.

    `sums` holds one `Sums` per `Need.key`. `limits` maps each tag that a target or limit is read from (`=TAG`) to its value at the step's
    start, None if no usable value was known there. `left` (ticks): an instant at which the step may turn out to have ended, though it goes
    on; `until_left`: finished sums until then, by key, of those that have gone beyond it.
    """

    sums: dict[str, Sums] = field(default_factory=dict)
    limits: dict[str, Json] = field(default_factory=dict)
    left: int | None = None
    until_left: dict[str, Sums] = field(default_factory=dict)


def opened(needs: Sequence[Need], limits: Sequence[str], tracks: Mapping[str, Track], start: int) -> Book:
    """Open the book of a step that starts at `start` (ticks), with the values valid then and the limits read there."""
    book = Book()
    extend(book, needs, limits, tracks, start)
    return book


def extend(book: Book, needs: Sequence[Need], limits: Sequence[str], tracks: Mapping[str, Track], start: int) -> None:
    """Add to `book` each need and limit tag that it lacks, as of the step's start (ticks), and drop sums that nobody needs.

    At the start these are all; later, those that a new configuration asks for in a running step. `tracks` (by tag) must hold every tag
    named. Sums that are dropped would not go on; whoever asks for them again begins with what is held then.
    """
    book.limits.update({name: _standing(tracks[name], start) for name in limits if name not in book.limits})
    for need in needs:
        if need.key in book.sums:
            continue
        track = tracks[need.tag.tag]
        above, below = (_threshold(threshold, book.limits) for threshold in (need.above, need.below))
        rule = Rule(start + need.skip_ticks, need.tag.between == "linear", _span(need.tag), above, below)
        alike = None if track.through <= start else _alike(book, need, rule)
        book.sums[need.key] = Sums.begin(rule, start, track.before(start), track.cuts) if alike is None else alike.against(rule)
    needed = {need.key for need in needs}
    book.sums = {key: sums for key, sums in book.sums.items() if key in needed}


def _alike(book: Book, need: Need, rule: Rule) -> Sums | None:
    """Find sums over the same readings, compared with other lines: what they were summed from is not held any more."""
    same = (sums for key, sums in book.sums.items() if key.startswith(f"{need.values}|"))
    return next((sums for sums in same if replace(sums.rule, above=rule.above, below=rule.below) == rule), None)


def advance(
    book: Book,
    needs: Sequence[Need],
    tracks: Mapping[str, Track],
    stops: Stops,
    until: Mapping[str, int],
    end: int | None,
    left: int | None = None,
) -> None:
    """Accumulate the readings of each tag with event time before `until[tag]`, and before the step's `end` if it is known (ticks).

    Tags absent from `until` are left as they are. `stops` are the intervals that do not count for needs with `running`. `left`: the instant
    at which the step may turn out to have ended; sums until then are kept, because sums can not be taken back.
    """
    if left != book.left:
        book.left, book.until_left = left, {}
    for need in needs:
        name = need.tag.tag
        if name not in until:
            continue
        sums, limit = book.sums[need.key], until[name] if end is None else min(until[name], end)
        if left is not None and sums.through <= left < limit:
            book.until_left[need.key] = _ended(sums, need, tracks, stops, left)
        if limit > sums.through:
            track, halts = tracks[name], stops if need.running else ()
            sums.advance(track.between(sums.through, limit), track.cuts, halts, limit, windows=track.windows)


def resume(book: Book, needs: Sequence[Need], tracks: Mapping[str, Track], stops: Stops) -> None:
    """Let the sums of a step go on that had ended, with all that is held or was taken before. What is neither is a gap."""
    for need in needs:
        track = tracks[need.tag.tag]
        newest = None if track.standing is None else track.standing[0]
        book.sums[need.key].resume(track.through, newest, track.cuts, stops if need.running else ())


def finished(book: Book, needs: Sequence[Need], tracks: Mapping[str, Track], stops: Stops, end: int) -> Book:
    """Return a copy of the book, accumulated up to the step's end (ticks).

    The given book stays unchanged, so that the end can be computed again when a late reading arrives.
    """
    kept = book.until_left if end == book.left else {}
    sums = {need.key: kept.get(need.key) or _ended(book.sums[need.key], need, tracks, stops, end) for need in needs}
    return Book({**book.sums, **sums}, book.limits)


def _ended(sums: Sums, need: Need, tracks: Mapping[str, Track], stops: Stops, end: int) -> Sums:
    """Return a copy of sums that ends at `end` (ticks)."""
    sums, track = sums.copy(), tracks[need.tag.tag]
    sums.advance(track.between(sums.through, end), track.cuts, stops if need.running else (), end, end=True, windows=track.windows)
    return sums


def resolved(parameter: Parameter, book: Book, start: Edge) -> Limits:
    """Return the parameter's target and limits as texts, `=TAG` replaced by what that tag said at the step's start, in the limits' unit.

    If nobody saw the start, nobody saw what stood in the tag then.
    """
    stood = book.limits if start.accepted(parameter.max_window_s) else {}
    scalings = _conversions(parameter)
    limits = {name: _limit(name, getattr(parameter, name), scalings.get(name), stood) for name in _LIMITS}
    return Limits(**limits, read=_read(parameter, stood))


def counted(start: int, end: int, skip_ticks: int, stops: Stops) -> int:
    """Return how many ticks of the step [start, end) count: those after its first `skip_ticks` and outside `stops`."""
    return sum(b - a for a, b in windows(start + skip_ticks, end, stops))


def unsighted(parameter: Parameter, lost: Stops, cuts: Sequence[Cut], span: tuple[int, int], stops: Stops) -> int:
    """Return how many ticks of the span that count lie in `lost`, in which nobody saw whether the step still ran, and not in `cuts`."""
    hidden = sorted((cut.start, cut.end) for cut in cuts if cut.end is not None)
    parts = [part for a, b in _inside(parameter, lost, span) for part in windows(a, b, hidden)]
    return sum(y - x for a, b in parts for x, y in windows(a, b, stops if parameter.include == "running" else ()))


def presumed(parameter: Parameter, lost: Stops, span: tuple[int, int], stops: Stops) -> int:
    """Return how many ticks of the span lie in `lost` and are left out, because the equipment did not run when it was last seen."""
    if parameter.include != "running":
        return 0
    return sum(b - a - sum(y - x for x, y in windows(a, b, stops)) for a, b in _inside(parameter, lost, span))


def _inside(parameter: Parameter, lost: Stops, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Clip intervals to the part of the step that counts."""
    begin, end = span[0] + round(parameter.skip_first_s * TICKS_PER_S), span[1]
    clipped = [(max(a, begin), end if b is None else min(b, end)) for a, b in lost]
    return [(a, b) for a, b in clipped if a < b]


def _limit(name: str, text: str | None, scaling: Scaling | None, limits: Mapping[str, Json]) -> str | None:
    if text is None or not text.startswith("="):
        return text
    value = limits.get(text[1:])
    return shown(value, None) if scaling is None else limit_in_unit(value, scaling, is_upper=name not in {"low", "alert_low"})


def _read(parameter: Parameter, limits: Mapping[str, Json]) -> dict[str, dict[str, str | None]]:
    """Return what the tags of converted limits said themselves, by limit."""
    said = {}
    for conversion in parameter.limit_conversions:
        tag = getattr(parameter, conversion.column)[1:]
        said[conversion.column] = {"tag": tag, "value": shown(limits.get(tag), None), "unit": conversion.unit}
    return said


def _threshold(threshold: Threshold | None, limits: Mapping[str, Json]) -> float | None:
    if threshold is None:
        return None
    value = limits.get(threshold.text[1:]) if threshold.text.startswith("=") else threshold.text
    decimal = exact(value)
    if threshold.scaling is None or decimal is None:
        return number(value)
    return number(float(Fraction(decimal) * threshold.scaling.slope + threshold.scaling.intercept))


def _standing(track: Track, ticks: int) -> Json:
    point = track.at(ticks)
    if point is None or not usable(point[2]) or severed(track.cuts, point[0], ticks):
        return None
    return point[1]


def _span(tag: Tag) -> float | None:
    span = _SPANS.get(tag.type)
    if span is None or tag.scaling is None:
        return span
    return float(Decimal(span) * tag.scaling.scale)
