"""Follows one tag from a running gateway's journal to the receipts of its uplinks, while a person forces its signal."""

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import event_type, read_cursors, read_journal, segment_of
from config import Line
from gateway.entries.ticks import from_rfc3339
from gateway.validation.loop import Loop, is_near, settled, value_of
from gateway.validation.tracing.origin import readings_of

LOOKS_EVERY_S = 0.25


class Receipt(NamedTuple):
    """What an uplink can prove of an entry. holds: None where no receipt can prove it; found: in words."""

    uplink: str
    holds: bool | None
    found: str


class Seen(NamedTuple):
    """What came. readings: of the tag, after the command began. reading: the one that is judged, None: no value stood still."""

    begun: str
    readings: list[dict[str, Any]]
    reading: Mapping[str, Any] | None


class Tail:
    """Yields the readings of one tag that are committed after a place of a journal."""

    def __init__(self, data: Path, line: Line, tag: str, after: tuple[int, int]) -> None:
        """Read the tag tables of the segment that is growing. Raises StorageError."""
        self._data, self._line, self._tag = data, line, tag
        self._tables: dict[tuple[int, str], dict[int, dict[str, Any]]] = {}
        self._at = (after[0], segment_of(after[1] + 1) - 1)
        self._from = after

    def new(self) -> list[dict[str, Any]]:
        """Return the readings that were committed since the last call, each with its epoch."""
        found = []
        for held in read_journal(self._data, self._at):
            self._at = (held.epoch, held.seq)
            if event_type(held.payload) == "tagset":
                event = orjson.loads(held.payload)["event"]
                self._tables.setdefault((held.epoch, event["tagset"]), {}).update(enumerate(event["tags"], event["first"]))
            elif self._at > self._from and held.payload.startswith(b'{"schema":"ebr-gateway/readings/'):
                entry = orjson.loads(held.payload)
                table = self._tables[held.epoch, entry["tagset"]]
                told = readings_of(entry, held, table, self._line, (self._tag,))
                found += [{"epoch": held.epoch, **reading, "clock": entry["clock"]["status"]} for _, reading in told]
        return found


def watched(
    loop: Loop,
    tail: Tail,
    ask: Callable[[], Mapping[str, Any]],
    begun: str,
    before: Fraction | None,
    stable_s: float,
    within_s: float,
    say: Callable[[str], None],
) -> Seen:
    """Wait until the tag's value stands still where it is expected, or for as long as was told; then what stands still counts.

    Only readings count that the gateway received after `begun`, from the first change on: the value that stood there `before`, seen once
    more after a gap, shows nothing of a signal that was forced. Raises NotRunning when the gateway ends.
    """
    readings: list[dict[str, Any]] = []
    deadline, shown, since = time.monotonic() + within_s, "", from_rfc3339(begun)
    while True:
        fresh = [one for one in tail.new() if from_rfc3339(one["received_time"]) > since]
        readings += fresh if readings else dropwhile(lambda one: one["kind"] != "change" and before in (None, value_of(one)), fresh)
        observed = next((one["observed"] for one in ask()["sources"] if one["name"] == loop.tag.source), None)
        found = settled(readings, None if observed is None else from_rfc3339(observed), stable_s, loop.tolerance or 0)  # type: ignore[arg-type]
        if readings and (text := f"{readings[-1]['value']} {loop.tag.unit or ''}") != shown:
            shown = text
            say(f"{readings[-1]['received_time']}  {text}{'' if found is None else '  stands still'}")
        if (found is not None and (is_near(loop, found) or loop.tolerance is None)) or time.monotonic() >= deadline:
            return Seen(begun, readings, found)
        time.sleep(LOOKS_EVERY_S)


def receipts(line: Line, data: Path, place: tuple[int, int], refused: Callable[[str], bool], within_s: float) -> list[Receipt]:
    """Wait for the receipts through an entry, and say of each uplink what is proved. refused: whether the entry waits in quarantine."""
    deadline = time.monotonic() + within_s
    able = [uplink.name for uplink in line.uplinks if uplink.profile == "entries" and uplink.receipts]
    while True:
        cursors = read_cursors(data)
        through = {name: cursors[name].at for name in able if name in cursors}
        if all(through.get(name, (0, 0)) >= place for name in able) or time.monotonic() >= deadline:
            break
        time.sleep(LOOKS_EVERY_S)
    found = []
    for uplink in line.uplinks:
        at = through.get(uplink.name, (0, 0))
        if uplink.name not in able:
            found.append(Receipt(uplink.name, None, "gives no receipts of entries (profile records, or receipts = false)"))
        elif refused(uplink.name):
            found.append(Receipt(uplink.name, holds=False, found=f"refused entry {place[1]}: it waits in quarantine"))
        elif at >= place:
            found.append(Receipt(uplink.name, holds=True, found=f"receipted through {at[0]}/{at[1]}, proved by digest"))
        else:
            found.append(Receipt(uplink.name, None, f"no receipt of it within {within_s:g} s: through {at[0]}/{at[1]}"))
    return found
