"""Alarms that a server tells as conditions (OPC UA Part 9): its events become raised, acknowledged, confirmed and cleared alarms.

What an event says is a state, not a change: the same said twice, after a transfer or by a refresh, is nothing new.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.context.plan import Plan
from gateway.context.state import Condition, Instant, State
from gateway.entries.ticks import from_rfc3339

CONDITIONS = "conditions"
"""The name of the messages that a driver hands conditions over in."""
MOST = 10_000
"""Conditions that are remembered at once; one more is an alarm without a history."""


class Conditions:
    """What stands on the servers, and what changes."""

    def __init__(self, state: State, plan: Plan, occurred: Callable[..., None]) -> None:
        self._state, self._plan, self._occurred = state, plan, occurred

    def take(self, event: Mapping[str, Any]) -> None:
        """The rows of one message, in their order. A row that was too long for an entry came in pieces and decides nothing."""
        for row in event["rows"]:
            told = row["row"]
            scope = f"{event['source']}/{told.get('notifier')}"
            now = self._state.now
            ticks = min(from_rfc3339(row["time"]), now) if row.get("time") else now
            if told.get("refresh") == "start":
                self._state.refreshing[scope] = []
            elif told.get("refresh") == "end":
                self._refreshed(scope)
            elif told.get("condition_id"):
                self._said(event["source"], scope, told, ticks)

    def _said(self, source: str, scope: str, told: Mapping[str, Any], ticks: int) -> None:
        key = f"{source}/{told['condition_id']}" + (f"#{told['branch']}" if told.get("branch") else "")
        refreshing = self._state.refreshing.get(scope)
        if refreshing is not None:
            refreshing.append(key)
        known = self._state.conditions.get(key)
        before = known or Condition(told["condition"], scope, ticks, [], {})
        if known is not None and ticks < known.at:
            return  # an event of before, said again by a refresh: what came later stands
        after = self._after(before, source, scope, told, ticks)
        found = refreshing is not None and known is None
        self._tell(key, before, after, told.get("user"), Instant(ticks, None if found else 0, "found-at-start" if found else "observed"))
        if after.active or not after.acked or not after.confirmed:
            if known is not None or len(self._state.conditions) < MOST:
                self._state.conditions[key] = after
        else:
            self._state.conditions.pop(key, None)

    def _after(self, before: Condition, source: str, scope: str, told: Mapping[str, Any], ticks: int) -> Condition:
        """What the condition is from now on. What a server does not tell stays; one without an active state stands while it is retained."""
        active = told.get("active")
        if active is None:
            active = bool(told.get("retain")) and not told.get("branch")
        if told.get("enabled") is False:
            active = False
        facts = {"source": source, "severity": told["weight"], "text": told.get("message"), "condition_id": told["condition_id"]}
        facts |= {"severity_number": told["severity"], "comment": told.get("comment")}
        return Condition(
            told["condition"],
            scope,
            ticks,
            self._units(told.get("equipment") or []),
            facts,
            bool(active),
            before.acked if told.get("acked") is None else bool(told["acked"]),
            before.confirmed if told.get("confirmed") is None else bool(told["confirmed"]),
        )

    def _units(self, named: list[str]) -> list[str]:
        return list(self._plan.units) if "line" in named else [name for name in named if name in self._plan.units]

    def _tell(self, key: str, before: Condition, after: Condition, user: str | None, at: Instant) -> None:
        """Raised comes before acknowledged, acknowledged before cleared, where one event says several."""
        told = {**after.told, "by": user}
        if after.active and not before.active:
            self._occurred(after.name, "raised", at, after.units, after.told, key=key)
        if after.acked and not before.acked:
            self._occurred(after.name, "acknowledged", at, after.units, told, key=key)
        if after.confirmed and not before.confirmed:
            self._occurred(after.name, "confirmed", at, after.units, told, key=key)
        if before.active and not after.active:
            self._occurred(after.name, "cleared", at, after.units, after.told, key=key)

    def _refreshed(self, scope: str) -> None:
        """A refresh is over: what stood before and was not in it has ended unseen, some time since its newest event."""
        seen = self._state.refreshing.pop(scope, None)
        if seen is None:
            return
        now, listed = self._state.now, set(seen)
        for key, condition in list(self._state.conditions.items()):
            if condition.scope == scope and key not in listed:
                if condition.active:
                    at = Instant(now, now - condition.at, "inferred-from-gap")
                    self._occurred(condition.name, "cleared", at, condition.units, condition.told, key=key)
                del self._state.conditions[key]
