"""Reads the fallbacks of a line from its journal's folder, and from what waits there for the next start, beside a running gateway too."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.access import waiting
from gateway.entries.fallback import BEGUN, Edge, edge_of, end_of
from gateway.evidence.journal_events import events

Place = tuple[int, int]


@dataclass(slots=True)
class Fallback:
    """One fallback as the record tells it. begun_at, ended_at: (epoch, seq) of the entries that tell it; None: it waits for a start.

    begun_after, ended_after: the newest entry when it was told; None: nobody knew.
    """

    began: Edge
    begun_at: Place | None
    begun_after: Place | None
    ended: Edge | None = None
    ended_at: Place | None = None
    ended_after: Place | None = None

    @property
    def id(self) -> str:
        """Its name."""
        return self.began.id

    @property
    def led_by(self) -> str:
        """Who led the records."""
        return self.began.led_by

    @property
    def equipments(self) -> list[str]:
        """Of what; [] is all."""
        return list(self.began.equipments)

    @property
    def begin(self) -> int:
        """The instant from which on records were led elsewhere, in ticks."""
        return self.began.at

    @property
    def end(self) -> int | None:
        """The instant from which on they are led here again; None: it lasts."""
        return None if self.ended is None else end_of(self.began, self.ended)


def fallbacks(data: Path) -> list[Fallback]:
    """List all that are held, in the order in which they were told. Raises JournalError on damage."""
    found: dict[str, Fallback] = {}
    for event, place in _told(data):
        edge = edge_of(event)
        if edge is None:
            continue
        after = _place(event["what"].get("after"))
        if event["action"] == BEGUN:
            found.setdefault(edge.id, Fallback(edge, place, after))
        elif edge.id in found and found[edge.id].ended is None:
            known = found[edge.id]
            known.ended, known.ended_at, known.ended_after = edge, place, after
    return list(found.values())


def standing(told: list[Fallback]) -> Fallback | None:
    """Give the one that has not ended."""
    return next((one for one in reversed(told) if one.end is None), None)


def through(told: list[Fallback]) -> int:
    """Give the ticks at which the newest one that is over ended; 0: there was none."""
    return next((one.end for one in reversed(told) if one.end is not None), 0)


def _told(data: Path) -> Iterator[tuple[Mapping[str, Any], Place | None]]:
    with suppress(FileNotFoundError):  # before the first start
        for stored in events(data, {"audit"}):
            yield stored.event, (stored.epoch, stored.seq)
    for event in waiting(data):
        yield event, None


def _place(value: Any) -> Place | None:
    whole = isinstance(value, list) and len(value) == 2 and all(isinstance(one, int) for one in value)
    return (value[0], value[1]) if whole else None
