"""Keeps how far a line is retired: `retirement.json` beside the journal, written whole or not at all.

From the moment it is there nothing is started on the line, and nothing of it is changed but by `retire`. It holds no secret: of each that
is erased it has the place, never the content or a digest of it, by which a short password could be guessed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from buffer import durable
from buffer.times import now_ticks, rfc3339
from gateway.access import Actor
from gateway.access.store import write

NAME = "retirement.json"
FORM = "ebr-gateway/retirement/1"
ENDED = "ended"
"""The last step."""
DAMAGED: dict[str, Any] = {"form": "damaged", "begun": None, "to": None, "accepted": [], "secrets": None, "done": {}}


class Retirement:
    """What was decided and done so far. One process at a time changes it: the others are kept out by the journal's lock."""

    def __init__(self, data: Path, told: Mapping[str, Any]) -> None:
        self._path = data / NAME
        self.told = dict(told)

    @property
    def done(self) -> Mapping[str, Mapping[str, Any]]:
        """The facts of each step that was completed, in order."""
        found: Mapping[str, Mapping[str, Any]] = self.told["done"]
        return found

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """What stood in the way, and by whom and why it was accepted."""
        return list(self.told["accepted"])

    def completed(self, step: str, facts: Mapping[str, Any]) -> None:
        """Note that a step is done, durably. Raises OSError."""
        self._write({**self.told, "done": {**self.told["done"], step: {"at": _now(), **facts}}})

    @property
    def is_erasing(self) -> bool:
        """Whether a file may have been erased already: from here on there is no way back."""
        return self.told.get("erasing", self.told["secrets"]) is not None

    def will_erase(self, secrets: Sequence[Mapping[str, Any]]) -> None:
        """Note which files are erased from now on, before the first one is: who comes after a kill must know what was there."""
        self._write({**self.told, "secrets": list(secrets), "erasing": _now()})

    def erased(self, path: str, facts: Mapping[str, Any]) -> None:
        """Note of one of them what was done."""
        told = [{**one, **facts, "at": _now()} if one["path"] == path else one for one in self.told["secrets"]]
        self._write({**self.told, "secrets": told})

    def stays(self, path: str, why: str) -> None:
        """Note of one of them that it can not be erased, and that a person has accepted it."""
        told = [
            {**one, "erase": False, "how": f"not erased: {why}", "at": _now()} if one["path"] == path else one
            for one in self.told["secrets"]
        ]
        self._write({**self.told, "secrets": told})

    @property
    def stopped(self) -> list[dict[str, Any]]:
        """What the last run stopped for: `what`, `found`, `acceptable`. Nothing else can be accepted in going on."""
        return list(self.told.get("stopped") or ())

    def stops_for(self, obstacles: Sequence[Mapping[str, Any]]) -> None:
        """Note what a run stops for, so that a person can accept just that."""
        self._write({**self.told, "stopped": list(obstacles)})

    def _write(self, told: Mapping[str, Any]) -> None:
        write(self._path, json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n")
        self.told = dict(told)


def begin(
    data: Path,
    gateway: str,
    to: str,
    accepted: Sequence[Mapping[str, str]],
    by: Actor,
    options: Mapping[str, Any] | None = None,
    secrets: Sequence[Mapping[str, Any]] | None = None,
) -> Retirement:
    """Note that a person retires the line, or goes on with it; from here on it can not be started. Raises OSError.

    options: what else was typed, for whoever goes on. secrets: what the plan wants erased, fixed from here on.
    """
    before = read(data)
    who = {"at": _now(), "who": by.who, "where": by.where, "reason": by.reason}
    told: dict[str, Any] = {"form": FORM, "gateway": gateway, "begun": who, "to": to, "accepted": [], "done": {}}
    told |= {"secrets": None if secrets is None else list(secrets), "erasing": None}
    if before is not None:
        told = before.told
    new = [{**one, "at": who["at"], "by": by.who} for one in accepted]
    named = {one["what"] for one in new}
    kept = [one for one in told["accepted"] if one["what"] not in named]
    its = Retirement(data, {**told, "accepted": [*kept, *new], "stopped": [], "continued": who, "options": dict(options or {})})
    its.completed("begun", {}) if before is None else its.completed("continued", {"who": by.who})
    return its


def read(data: Path) -> Retirement | None:
    """Read it; None if nobody has begun. One that can not be read is one all the same: a start must not be what a damaged file allows."""
    try:
        told = json.loads((data / NAME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        return Retirement(data, DAMAGED)
    whole = isinstance(told, dict) and told.get("form") == FORM and DAMAGED.keys() <= told.keys()
    return Retirement(data, told if whole else DAMAGED)


def in_the_way(data: Path, folder: Path | None = None) -> str | None:
    """Say in one line why nothing may be started or changed; None of a line that nobody retires. folder: as it is typed."""
    if (its := read(data)) is None:
        return None
    if its.told["form"] == "damaged":
        return f"{data / NAME} can not be read: this line is being retired or was; nothing is started or changed: restore that file"
    who, at = its.told["begun"]["who"], its.told["begun"]["at"]
    person = f"{who['name'] or who['user']} ({who['user']})"
    if (ended := its.done.get(ENDED)) is not None:
        records = "`log`, `verify`, `trace`, `archive` go on reading its records"
        return (
            f"{its.told['gateway']} was retired on {ended['at'][:10]} by {person}: it runs no more, and nothing of it is changed; {records}"
        )
    line = folder if folder is not None else "LINE"
    again = f"complete it: ebr-gateway retire {line} --to {its.told['to']}"
    return f"{its.told['gateway']} is half retired, begun {at} by {person}: it runs no more; {again}"


def _now() -> str:
    return rfc3339(now_ticks() // 10 * 10)


def abandon(data: Path) -> None:
    """Take the line back into service: nothing says any more that it is being retired. Raises OSError."""
    (data / NAME).unlink()
    durable.sync(data)
