"""Local times of legacy systems -> UTC, by the named IANA zone, never guessing (URS-TIME-11).

Twice a year a local time is no name of one instant. In autumn an hour happens twice: it is resolved only by a rule that the line folder
declares, else marked, with both candidates. In spring an hour does not exist: such a time is refused. Both are told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Rule = Literal["mark", "order", "earlier", "later"]
"""What to do with a time that happened twice. mark: nothing, it is told as ambiguous. order: the plant declares that the rows are numbered
in the order of this time; resolved where that proves one meaning, else marked. earlier, later: the plant knows what its system writes."""

Fold = Literal["", "earlier", "later", "ambiguous", "nonexistent"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A converted time. ticks: None where it can not be told. text: as the source wrote it. fold: what was special about it.

    candidates: the two instants (ticks) that an ambiguous time may mean.
    """

    ticks: int | None
    text: str
    fold: Fold = ""
    candidates: tuple[int, ...] = ()


def ticks_of(moment: datetime) -> int:
    """100-ns units since 1970 of an aware datetime, exact."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 10_000_000 + delta.microseconds * 10


def read(value: Any, form: str | None) -> datetime:
    """A datetime from what a database or a file gave: a datetime, ISO 8601 text, or text in `form` (strptime). Raises ValueError."""
    if isinstance(value, datetime):
        return value
    text = str(value).strip()
    return datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007 - the zone is applied by Zone


def candidates(local: datetime, zone: ZoneInfo) -> list[int]:
    """The instants that this naive local time names: none (spring), one, or two (autumn), in order, as ticks.

    A fold value names an instant if going to UTC and back gives the same local time (PEP 495).
    """
    instants = []
    for fold in (0, 1):
        instant = local.replace(fold=fold, tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(fold=0):
            instants.append(ticks_of(instant))
    return sorted(set(instants))


def folds_back(zone: ZoneInfo, year: int) -> timedelta:
    """How far the zone's local time goes back in a year: rows of a table that is read by local time may hide behind it."""
    offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() or timedelta(0) for month in range(1, 13)]
    return max(offsets) - min(offsets)


class Zone:
    """Converts the times of one query or pattern, row by row in the source's order."""

    def __init__(self, name: str, form: str | None = None, rule: Rule = "mark", disorder_s: float = 60.0) -> None:
        """form: strptime format of the text, None for ISO 8601. disorder_s: how far the order of rows and of times may differ."""
        self.zone = ZoneInfo(name)
        self._form, self._rule = form, rule
        self._disorder = timedelta(seconds=disorder_s)
        self._disorder_ticks = int(disorder_s * 10_000_000)
        self._last: int | None = None

    def moments(self, values: Sequence[Any], in_order: Sequence[bool] | None = None) -> list[Moment | None]:
        """One Moment per value, None where the source gave none. Raises ValueError for a text that is no time.

        in_order: False for a row that does not stand where it was made (changed afterwards, or come late): it proves nothing.
        """
        flags = [True] * len(values) if in_order is None else in_order
        locals_ = [None if value is None or value == "" else read(value, self._form) for value in values]
        moments: list[Moment | None] = []
        for position, (local, flag) in enumerate(zip(locals_, flags, strict=True)):
            if local is None:
                moments.append(None)
                continue
            later = (locals_[i] for i in range(position + 1, len(locals_)) if flags[i])  # lazily: only an ambiguous time looks at it
            moment = self._moment(local, _text(values[position]), later, flag=flag)
            if flag and moment.ticks is not None:
                self._last = moment.ticks if self._last is None else max(self._last, moment.ticks)
            moments.append(moment)
        return moments

    def problem(self, value: Any) -> str | None:
        """Why this value is no time that `moments` takes; None if it is one, or empty."""
        if value is None or value == "":
            return None
        try:
            local = read(value, self._form)
            ticks_of(local.astimezone(UTC)) if local.tzinfo is not None else candidates(local, self.zone)
        except (ValueError, OverflowError) as error:
            return str(error)
        return None

    def _moment(self, local: datetime, text: str, later: Iterable[datetime | None], *, flag: bool) -> Moment:
        if local.tzinfo is not None:
            return Moment(ticks_of(local.astimezone(UTC)), text)
        named = candidates(local, self.zone)
        if not named:
            return Moment(None, text, "nonexistent")
        if len(named) == 1:
            return Moment(named[0], text)
        return self._resolved(local, text, named, later, flag=flag)

    def _resolved(self, local: datetime, text: str, named: list[int], later: Iterable[datetime | None], *, flag: bool) -> Moment:
        """An autumn time, by the declared rule.

        Order proves the second meaning if a row before was made clearly after the first one; and the first meaning if a row after it, still
        in the doubled hour, has a clearly earlier local time: the turn lies between them.
        """
        both = tuple(named)
        if self._rule in ("earlier", "later"):
            return Moment(named[0] if self._rule == "earlier" else named[-1], text, self._rule, both)
        if self._rule == "order" and flag:
            if self._last is not None and self._last - self._disorder_ticks > named[0]:
                return Moment(named[-1], text, "later", both)
            if self._turns(local, later):
                return Moment(named[0], text, "earlier", both)
        return Moment(None, text, "ambiguous", both)

    def _turns(self, local: datetime, later: Iterable[datetime | None]) -> bool:
        """True if a later row of the same doubled hour has a clearly earlier local time."""
        for following in later:
            if following is None:
                continue
            if following.tzinfo is not None or len(candidates(following, self.zone)) != 2:
                return False
            if following < local - self._disorder:
                return True
        return False


def _text(value: Any) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
