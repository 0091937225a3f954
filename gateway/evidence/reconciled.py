"""What was found equal at each receiver that is to be compared with: the segments, and when. Retention waits for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SEGMENT = 4_096
Position = tuple[int, int]


@dataclass(slots=True)
class Known:
    """Of one uplink. done: ticks of the last comparison of all that is held, 0: never. through: ends of batches are compared to here.

    segments: (epoch, first entry) of those that were found equal there, as a whole.
    """

    done: int = 0
    through: Position = (0, 0)
    segments: set[Position] = field(default_factory=set)


class Reconciled:
    """The knowledge of a running line, by uplink; the journal keeps it as a watermark, so that a start goes on with it."""

    def __init__(self, uplinks: Iterable[str] = (), mark: Any = None) -> None:
        """uplinks: those that are to be compared with. mark: what `mark` gave before; anything else is as if nothing was compared."""
        kept = mark if isinstance(mark, Mapping) else {}
        self.of = {name: _read(kept.get(name)) for name in uplinks}

    @property
    def holds(self) -> Callable[[int, int], bool] | None:
        """Return whether a segment was found equal at every receiver; None: there is none to compare with."""
        return self._holds if self.of else None

    def _holds(self, epoch: int, first: int) -> bool:
        return all((epoch, first) in known.segments for known in self.of.values())

    def mark(self) -> dict[str, Any]:
        """Return what the journal keeps."""
        return {
            name: {"done": known.done, "through": list(known.through), "segments": list(_runs(sorted(known.segments)))}
            for name, known in self.of.items()
        }


def _read(told: Any) -> Known:
    try:
        segments = {(epoch, first) for epoch, low, high in told["segments"] for first in range(low, high + 1, SEGMENT)}
        return Known(int(told["done"]), (int(told["through"][0]), int(told["through"][1])), segments)
    except (TypeError, KeyError, ValueError, IndexError):
        return Known()


def _runs(segments: Sequence[Position]) -> Iterator[list[int]]:
    """Write consecutive segments as one: [epoch, first of the first, first of the last]."""
    begun: list[int] | None = None
    for epoch, first in segments:
        if begun is not None and [epoch, first - SEGMENT] == [begun[0], begun[2]]:
            begun[2] = first
        else:
            if begun is not None:
                yield begun
            begun = [epoch, first, first]
    if begun is not None:
        yield begun
