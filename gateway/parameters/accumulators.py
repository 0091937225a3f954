"""What one step needs to know of its tags, gathered while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from config import Parameter, Tag
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters.limits import shown
from gateway.parameters.results import Limits
from gateway.parameters.series import Track, severed, usable, windows
from gateway.parameters.sums import Rule, Stops, Sums, number

_SPANS = {"uint8": 1 << 8, "uint16": 1 << 16, "uint32": 1 << 32, "uint64": 1 << 64, "bcd16": 10**4, "bcd32": 10**8}
_LIMITS = ("target", "low", "high", "alert_low", "alert_high")


@dataclass(frozen=True, slots=True)
class Need:
    """Sums over one tag that one or several parameters of a step share. above, below: thresholds as written (perhaps `=tag`)."""

    tag: Tag
    skip_ticks: int
    running: bool
    above: str | None
    below: str | None

    @property
    def key(self) -> str:
        """Its name in a book."""
        return f"{self.tag.tag}|{self.skip_ticks}|{self.running:d}|{self.above}|{self.below}"


def need_of(parameter: Parameter, tags: Mapping[str, Tag]) -> Need | None:
    """The sums that a parameter is read from; None if it has no tag."""
    tag = None if parameter.tag is None else tags.get(parameter.tag)
    if tag is None:
        return None
    judged = parameter.limit_source != "none" and parameter.conversion is None and parameter.statistic in {"mean", "min", "max"}
    above = parameter.high if judged or parameter.statistic in {"time_above", "time_outside"} else None
    below = parameter.low if judged or parameter.statistic in {"time_below", "time_outside"} else None
    return Need(tag, round(parameter.skip_first_s * TICKS_PER_S), parameter.include == "running", above, below)


def limit_tags(parameter: Parameter) -> set[str]:
    """Names of the tags that its target and limits are read from."""
    texts = (getattr(parameter, name) for name in _LIMITS)
    return {text[1:] for text in texts if text is not None and text.startswith("=")}


@dataclass(slots=True)
class Book:
    """sums by Need.key; limits: tag -> the value that stood at the step's start (None: nothing readable stood)."""

    sums: dict[str, Sums] = field(default_factory=dict)
    limits: dict[str, Json] = field(default_factory=dict)

    def copy(self) -> "Book":
        """A book that can be finished while this one goes on."""
        return Book({key: replace(sums, beyond=list(sums.beyond)) for key, sums in self.sums.items()}, self.limits)


def opened(needs: Sequence[Need], limits: Sequence[str], tracks: Mapping[str, Track], start: int) -> Book:
    """The book of a step at its start: standing values and the limits read there."""
    book = Book()
    extend(book, needs, limits, tracks, start)
    return book


def extend(book: Book, needs: Sequence[Need], limits: Sequence[str], tracks: Mapping[str, Track], start: int) -> None:
    """Add what the book has not: all of it at the start, or what a new configuration asks for in a step that runs already."""
    book.limits.update({name: _standing(tracks[name], start) for name in limits if name not in book.limits})
    for need in needs:
        if need.key in book.sums:
            continue
        track = tracks[need.tag.tag]
        above, below = (_threshold(text, book.limits) for text in (need.above, need.below))
        rule = Rule(start + need.skip_ticks, need.tag.between == "linear", _span(need.tag), above, below)
        book.sums[need.key] = Sums.begin(rule, start, track.before(start), track.cuts)


def advance(
    book: Book, needs: Sequence[Need], tracks: Mapping[str, Track], stops: Stops, until: Mapping[str, int], end: int | None
) -> None:
    """Take the readings of each tag before `until[tag]` (and before `end`)."""
    for need in needs:
        name = need.tag.tag
        if name not in until:
            continue
        sums, limit = book.sums[need.key], until[name] if end is None else min(until[name], end)
        if limit > sums.through:
            sums.advance(tracks[name].between(sums.through, limit), tracks[name].cuts, stops if need.running else (), limit)


def finished(book: Book, needs: Sequence[Need], tracks: Mapping[str, Track], stops: Stops, end: int) -> Book:
    """The book at the step's end; the one given stays as it is, for a reading that comes late."""
    book = book.copy()
    for need in needs:
        sums, track = book.sums[need.key], tracks[need.tag.tag]
        sums.advance(track.between(sums.through, end), track.cuts, stops if need.running else (), end, end=True)
    return book


def resolved(parameter: Parameter, book: Book) -> Limits:
    """Target and limits as texts; a value read from a tag keeps all its digits."""
    return Limits(*(_limit(getattr(parameter, name), book.limits) for name in _LIMITS))


def counted(start: int, end: int, skip_ticks: int, stops: Stops) -> int:
    """Ticks of a step that count: after the first `skip_ticks`, outside `stops`."""
    return sum(b - a for a, b in windows(start + skip_ticks, end, stops))


def _limit(text: str | None, limits: Mapping[str, Json]) -> str | None:
    if text is None or not text.startswith("="):
        return text
    return shown(limits.get(text[1:]), None)


def _threshold(text: str | None, limits: Mapping[str, Json]) -> float | None:
    if text is None:
        return None
    return number(limits.get(text[1:])) if text.startswith("=") else number(text)


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
