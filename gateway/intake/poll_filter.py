"""From readings to rows: values are normalised, unchanged polls left out, and the rows marked at which a context signal changes.

What is remembered per tag, the value stored last and a signal's last value, is changed by `rows`, by `by_column`, which
does for a whole list what `rows` does reading by reading, and by `forget`, and nowhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, repeat
from operator import ne
from typing import Any, NamedTuple

from config import CodeTable, Tag
from drivers.columns import Columns, OfTags, Tags, span_of
from drivers.contract import BAD, BAD_DECODING, UNFORESEEN, Kind, Reading
from gateway.entries.bodies import Row
from gateway.intake.by_column import Kinds, Stored, normalised, stands
from gateway.intake.normalise import OUTSIDE_RANGE, float64, normaliser

REPEAT_AFTER_S = 60.0
"""An unchanged value is stored again after so long, as a sign of life."""
_NEVER = object()


class Rows(NamedTuple):
    """What of a list is stored. turns: indexes of rows at which a context signal changes.

    misfits: (code of a finding, tag, value as decoded) of each value that its tag's declaration does not hold. outside: (tag, value) of
    each beyond its instrument's range; inside: tags that are back in it. unchanged: left out. watched: readings of watched tags, also
    those left out: (tag, value, raw, status, source ticks).
    """

    rows: list[Row]
    turns: list[int]
    misfits: list[tuple[str, int, Any]]
    outside: list[tuple[int, Any]]
    inside: list[int]
    unchanged: int
    watched: Sequence[tuple[int, Any, Any, int, int | None]] = ()


class PollFilter:
    """One source's memory of what was stored last, and what follows from it for the next list."""

    def __init__(
        self, tags: Sequence[Tag], signals: frozenset[int], codes: Mapping[str, CodeTable], watched: frozenset[int] = frozenset()
    ) -> None:
        """signals: tags at whose change a list is cut. watched: tags at which detectors look."""
        self._watched = watched
        self.listed: Stored | None = None
        """What `by_column` took last, all of it, as it is stored or would be."""
        self._signals = signals
        self._norms = [normaliser(tag, codes) for tag in tags]
        self._store_all = [tag.store == "all" for tag in tags]
        self._deadbands = [deadband_of(tag) for tag in tags]
        self._last: list[Any] = [None] * len(tags)
        self._status: list[int | None] = [None] * len(tags)  # None: nothing was stored, or it does not count
        self._raw: list[Any] = [None] * len(tags)
        self._stored_s = [0.0] * len(tags)
        self._signal_last: dict[int, Any] = {}
        self._beyond: set[int] = set()  # tags that are outside their instrument's range
        kinds = Kinds(tags, signals, codes)
        self._groups, self._signals_of = OfTags(kinds.groups), OfTags(kinds.signals)
        self._spans, self._compares_all = OfTags(span_of), OfTags(self._are_compared)

    def forget(self, tags: Iterable[int]) -> None:
        """Store the next polled value of these tags, changed or not: it is the first after a gap."""
        for index in tags:
            self._status[index] = None

    def again(self, tags: Iterable[int], now_s: float) -> list[Row]:
        """Give what was stored last of these tags, where anything was, as the first rows after a gap: a poll has found it unchanged."""
        rows: list[Row] = []
        for index in tags if self._last else ():
            status = self._status[index]
            if status is not None:
                rows.append((index, self._last[index], self._raw[index], status, "initial", None, None))
                self._stored_s[index] = now_s
        return rows

    def by_column(self, readings: Columns, kind: Kind, now_s: float) -> Stored | None:
        """Decide what of a list is stored, all at once; None in doubt: then `rows` decides. All of it is of `kind`; of polls, "change"."""
        if self._beyond:
            return None
        stored = normalised(self._groups(readings.tags), readings)
        if stored is None or not stands(self._signals_of(readings.tags), stored, self._signal_last):
            return None
        self.listed = stored
        return stored if kind != "poll" else self._changed(stored, now_s)

    def _changed(self, polled: Stored, now_s: float) -> Stored | None:
        """Leave out what a poll found unchanged; None in doubt, or where something is stored again though it has not changed."""
        span = self._spans(polled.tags)
        if span is None or not self._compares_all(polled.tags) or self._status[span].count(0) != len(polled.tags):
            return None
        differs = list(map(ne, polled.values, self._last[span]))
        if not all(differs):
            if any(not new and now_s - stored_s >= REPEAT_AFTER_S for new, stored_s in zip(differs, self._stored_s[span], strict=True)):
                return None
            return self._partly(polled, differs, now_s)
        self._last[span] = polled.values
        self._raw[span] = polled.raw or [None] * len(differs)
        self._stored_s[span] = [now_s] * len(differs)
        return polled

    def _partly(self, polled: Stored, differs: Sequence[bool], now_s: float) -> Stored:
        tags = tuple(compress(polled.tags, differs))
        values, raw, source, server = (
            None if column is None else list(compress(column, differs))
            for column in (polled.values, polled.raw, polled.source, polled.server)
        )
        bounds = (min(source), max(source)) if source else None
        changed = Stored(tags, values or [], raw, source, server, bounds)
        for index, value, raw in zip(changed.tags, changed.values, changed.raw or repeat(None), strict=False):
            self._last[index], self._raw[index], self._stored_s[index] = value, raw, now_s
        return changed

    def _are_compared(self, tags: Tags) -> bool:
        """Whether each of these tags is stored when its value is another one."""
        return not any(self._store_all[index] or self._deadbands[index] is not None for index in tags)

    def as_stored(self, reading: Reading) -> tuple[Any, Any, int]:
        """Give (value, raw, status) of a reading as `rows` would store it. Changes nothing."""
        index, value, status, _, _ = reading
        if status >= BAD:
            return None, None, status
        try:
            return (self._norms[index] or float64)(value, status)[:3]
        except UNFORESEEN:
            return None, None, BAD_DECODING

    def rows(self, readings: Sequence[Reading], kind: Kind, now_s: float) -> Rows:
        """Decide what of a list is stored. now_s: seconds that go on evenly."""
        norms, last, last_status, stored_s, signals = self._norms, self._last, self._status, self._stored_s, self._signals
        beyond, watched = self._beyond, self._watched
        seen: list[tuple[int, Any, Any, int, int | None]] = []
        store_all, deadbands, poll = self._store_all, self._deadbands, kind == "poll"
        stored_as: str = kind
        rows: list[Row] = []
        turns: list[int] = []
        misfits: list[tuple[str, int, Any]] = []
        outside: list[tuple[int, Any]] = []
        inside: list[int] = []
        for index, value, status, source, server in readings:
            raw: Any = None
            normal: Any = None
            if status < BAD:
                norm = norms[index]
                if norm is None and value.__class__ is float and value - value == 0.0:
                    normal = value  # a plain finite float: most of what a line has
                else:
                    try:
                        normal, raw, status, code = (norm or float64)(value, status)  # noqa: PLW2901 - the status of what is stored
                    except UNFORESEEN:  # this value's own: its source reads on
                        normal, raw, status, code = None, None, BAD_DECODING, "value-unusable"  # noqa: PLW2901
                    if code == OUTSIDE_RANGE:
                        outside.append((index, normal))
                        beyond.add(index)
                    elif code is not None:
                        misfits.append((code, index, value))
                    elif beyond and status < BAD and index in beyond:
                        inside.append(index)
                        beyond.discard(index)
            if watched and index in watched:
                seen.append((index, normal, raw, status, source))
            if poll:
                before = last_status[index]
                if status == before and normal == last[index] and not store_all[index] and now_s - stored_s[index] < REPEAT_AFTER_S:
                    continue  # decided by `kind_of_poll` too: most of what is polled, without a call
                was = None if before is None else (last[index], before)
                stored_as = "periodic" if store_all[index] else kind_of_poll(was, normal, status, deadbands[index], now_s - stored_s[index])
                if not stored_as:
                    continue
                last[index], last_status[index], self._raw[index] = normal, status, raw
                stored_s[index] = now_s
            if index in signals and self._turns(index, normal, status):
                turns.append(len(rows))
            rows.append((index, normal, raw, status, stored_as, source, server))
        return Rows(rows, turns, misfits, outside, [index for index in inside if index not in beyond], len(readings) - len(rows), seen)

    def _turns(self, index: int, value: Any, status: int) -> bool:
        state = (value, status >= BAD)
        changed: bool = self._signal_last.get(index, _NEVER) != state
        self._signal_last[index] = state
        return changed


def kind_of_poll(last: tuple[Any, int] | None, value: Any, status: int, deadband: float | None, age_s: float) -> str:
    """Give the kind under which a polled value is stored, "" if it need not be. last: (value, status) stored last, age_s ago."""
    if last is None:
        return "initial"
    if status == last[1] and (value == last[0] or is_within(deadband, value, last[0])):
        return "repeat" if age_s >= REPEAT_AFTER_S else ""
    return "change"


def is_within(deadband: float | None, value: Any, last: Any) -> bool:
    """True if two numbers differ by less than the deadband."""
    if deadband is None or not isinstance(value, int | float) or not isinstance(last, int | float):
        return False
    return abs(value - last) < deadband


def deadband_of(tag: Tag) -> float | None:
    """Give the deadband in the tag's unit: as it is, or in percent of the tag's range."""
    if tag.deadband is None:
        return None
    if not tag.deadband.endswith("%"):
        return float(tag.deadband)
    assert tag.eu_low is not None, "the map's check asks for a range"
    assert tag.eu_high is not None, "the map's check asks for a range"
    return float(tag.deadband[:-1]) / 100 * float(tag.eu_high - tag.eu_low)
