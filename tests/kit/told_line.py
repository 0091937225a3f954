"""Events of a line that tell of alarms, one a second, gathered as the fold does it, and kept as a journal would have them."""

from typing import Any

from gateway.alarms import Change, Found, Gathering
from gateway.entries.findings import finding
from gateway.entries.ticks import TICKS_PER_S, rfc3339

OTTO = {"user": "otto", "name": "Otto Bediener", "role": "operator", "kind": "person", "auth": "password"}
START = {"type": "audit", "action": "start", "who": "system:lyon/1", "what": {}}


class ToldLine:
    """A line whose events are told by hand. now: ticks. entries: (event, ticks, seq)."""

    def __init__(self) -> None:
        self.found, self.now, self.seq = Found(), 1_000 * TICKS_PER_S, 0
        self.gathering = Gathering(self.found)
        self.changes: list[Change] = []
        self.entries: list[tuple[dict[str, Any], int, int]] = []
        self.gathering.changed = self.changes.append

    def happen(self, event: dict[str, Any], after_ticks: int = TICKS_PER_S) -> None:
        self.now += after_ticks
        self.seq += 1
        self.entries.append((event, self.now, self.seq))
        self.gathering.take(event, self.now, self.seq)

    def find(self, code: str, severity: Any = "alarm", **more: Any) -> None:
        evidence: dict[str, Any] = {
            name: more.pop(name) for name in ("query", "uplink", "gap", "part", "unit", "batch", "name") if name in more
        }
        self.happen(finding(code, severity, more.pop("text", f"{code} it is"), evidence, **more))

    def act(self, action: str, id_: str, comment: str = "seen, and told the sender", **what: Any) -> None:
        told = {"type": "audit", "action": action, "who": OTTO, "reason": comment, "what": {"id": id_, **what}}
        self.happen({**told, "where": None, "object": f"alarm {id_}", "old": None, "new": None})

    def shelve(self, id_: str, hours: float) -> None:
        self.act("alarm-shelved", id_, until=rfc3339(self.now + TICKS_PER_S + round(hours * 3_600 * TICKS_PER_S)))

    def states(self) -> dict[str, str]:
        """Code -> in which list it is, and whether it was acknowledged."""
        lists = {"standing": self.found.standing, "cleared": self.found.cleared, "recent": self.found.recent}
        return {held.code: f"{name}{'' if held.awaits else ', seen'}" for name, held_ in lists.items() for held in held_}

    def id_of(self, code: str) -> str:
        return next(held.id for held in self.found.all() if held.code == code)
