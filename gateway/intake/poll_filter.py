"""From readings to rows: values are normalised, unchanged polls left out, and the rows marked at which a context signal changes.

What is remembered per tag, the value stored last and a signal's last value, is changed by `rows` and by `forget`, and nowhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from config import CodeTable, Tag
from drivers.contract import BAD, BAD_DECODING, UNFORESEEN, Kind, Reading
from gateway.entries.bodies import Row
from gateway.intake.normalise import OUTSIDE_RANGE, float64, normaliser

REPEAT_AFTER_S = 60.0
"""An unchanged value is stored again after so long, as a sign of life."""
_NEVER = object()


class Rows(NamedTuple):
    """What of a list is stored. turns: indexes of rows at which a context signal changes.

    misfits: (code of a finding, tag, value as decoded) of each value that its tag's declaration does not hold. outside: (tag, value) of
    each beyond its instrument's range; inside: tags that are back in it. unchanged: left out.
    """

    rows: list[Row]
    turns: list[int]
    misfits: list[tuple[str, int, Any]]
    outside: list[tuple[int, Any]]
    inside: list[int]
    unchanged: int


class PollFilter:
    """One source's memory of what was stored last, and what follows from it for the next list."""

    def __init__(self, tags: Sequence[Tag], signals: frozenset[int], codes: Mapping[str, CodeTable]) -> None:
        """signals: tags at whose change a list is cut."""
        self._signals = signals
        self._norms = [normaliser(tag, codes) for tag in tags]
        self._store_all = [tag.store == "all" for tag in tags]
        self._deadbands = [deadband_of(tag) for tag in tags]
        self._last: list[tuple[Any, int] | None] = [None] * len(tags)
        self._raw: list[Any] = [None] * len(tags)
        self._stored_s = [0.0] * len(tags)
        self._signal_last: dict[int, Any] = {}
        self._beyond: set[int] = set()  # tags that are outside their instrument's range

    def forget(self, tags: Iterable[int]) -> None:
        """Store the next polled value of these tags, changed or not: it is the first after a gap."""
        for index in tags:
            self._last[index] = None

    def again(self, tags: Iterable[int], now_s: float) -> list[Row]:
        """Give what was stored last of these tags, where anything was, as the first rows after a gap: a poll has found it unchanged."""
        rows: list[Row] = []
        for index in tags if self._last else ():
            last = self._last[index]
            if last is not None:
                rows.append((index, last[0], self._raw[index], last[1], "initial", None, None))
                self._stored_s[index] = now_s
        return rows

    def rows(self, readings: Sequence[Reading], kind: Kind, now_s: float) -> Rows:
        """Decide what of a list is stored. now_s: seconds that go on evenly."""
        norms, last, stored_s, signals = self._norms, self._last, self._stored_s, self._signals
        beyond = self._beyond
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
            if poll:
                before = last[index]
                if (
                    before is not None
                    and normal == before[0]
                    and status == before[1]
                    and not store_all[index]
                    and now_s - stored_s[index] < REPEAT_AFTER_S
                ):
                    continue  # decided by `kind_of_poll` too: most of what is polled, without a call
                stored_as = (
                    "periodic" if store_all[index] else kind_of_poll(before, normal, status, deadbands[index], now_s - stored_s[index])
                )
                if not stored_as:
                    continue
                last[index], self._raw[index] = (normal, status), raw
                stored_s[index] = now_s
            if index in signals and self._turns(index, normal, status):
                turns.append(len(rows))
            rows.append((index, normal, raw, status, stored_as, source, server))
        return Rows(rows, turns, misfits, outside, [index for index in inside if index not in beyond], len(readings) - len(rows))

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
