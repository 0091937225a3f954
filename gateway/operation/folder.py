"""Says that the line folder on disk is not what runs: what was found, since when, what to do. It is a note, never a problem."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.entries.ticks import rfc3339

if TYPE_CHECKING:  # who asks a gateway that runs reads no folder
    from config.edited import Look

OLD_S = 90.0
"""A look that is older tells nothing of now: the disk does not answer."""
MOST_LISTED = 20
MOST_NAMED = 5


@dataclass(slots=True)
class Folder:
    """What the newest look found. sums: of the files that run. since: name of a file -> ticks of the first look that found it edited.

    began: ticks of the first look of all: what that found was there before. next: what to do. looked_s: monotonic. restart: how the line
    begins anew; None where its versions are controlled, and a restart changes nothing.
    """

    path: Path
    sums: Mapping[str, str]
    restart: str | None
    look: "Look | None" = None
    since: dict[str, int] = field(default_factory=dict)
    began: int = 0
    looked_s: float = 0.0
    next: str = ""

    def found(self, look: "Look", now: int, next_: str) -> None:
        """Keep a look. now: ticks."""
        self.began = self.began or now
        self.since = {one.name: self.since.get(one.name, now) for one in look.edited}
        self.look, self.next, self.looked_s = look, next_, time.monotonic()

    def described(self) -> dict[str, Any]:
        """Describe it as JSON-able values. since null: it was so before this start."""
        told = {"path": str(self.path.resolve()), "files": [], "count": 0, "next": None, "why": None, "restart": self.restart}
        if self.look is None:
            return told | {"state": "not-checked", "why": "nobody has looked yet since this start"}
        if (age_s := time.monotonic() - self.looked_s) > OLD_S:
            return told | {"state": "not-checked", "why": f"the last look was {age_s:.0f} s ago: the disk does not answer"}
        listed = self.look.edited[:MOST_LISTED]
        told |= {"files": [{"name": one.name, "fate": one.fate, "since": self._since(one.name)} for one in listed]}
        told |= {"count": len(self.look.edited), "why": "; ".join(self.look.unread[:MOST_LISTED]) or None}
        if self.look.edited:
            return told | {"state": "differs", "next": self.next}
        return told | {"state": "not-checked" if self.look.unread else "same"}

    def _since(self, name: str) -> str | None:
        return rfc3339(self.since[name]) if self.since[name] > self.began else None


def note(now: Mapping[str, Any]) -> str:
    """Write what a person has to know of it; "" if there is nothing. now: a snapshot."""
    told = now.get("folder", {"state": None})  # an older release says nothing of it
    if told["state"] == "differs":
        names = named([(one["name"], one["fate"]) for one in told["files"]], told["count"])
        return f"The line folder is not what runs: {names} ({_since(told, now)}). So that it runs: {told['next']}"
    if told["state"] == "not-checked" and told["why"]:
        return f"Whether the line folder is what runs is not checked: {told['why']}"
    return ""


def named(edited: Iterable[tuple[str, str]], count: int) -> str:
    """Write (name, fate) of files, bounded: `tags.csv changed, codes.csv added`. count: how many there are, listed or not."""
    told = [f"{name} {fate}" for name, fate in edited][:MOST_NAMED]
    return ", ".join(told) + (f" and {count - len(told)} more" if count > len(told) else "")


def _since(told: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Write since when: of the file that was found first, or that nobody knows, for it was so at the start."""
    from zoneinfo import ZoneInfo  # who asks a line that is as it was needs no zones

    times = [one["since"] for one in told["files"]]
    if None in times:
        return "since before this start"
    local = f"{datetime.fromisoformat(min(times)).astimezone(ZoneInfo(now['timezone'])):%Y-%m-%d %H:%M:%S}"
    return f"since {local.removeprefix(now['local'][:11])}"
