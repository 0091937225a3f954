"""Alarms that a server tells as conditions (OPC UA Part 9): its events become raised, acknowledged, confirmed and cleared alarms.

What an event says is a state, not a change: the same said twice, after a transfer or by a refresh, is nothing new. One occurrence is one
alarm: raised when the present state becomes active, cleared when it ends, acknowledged when somebody did so, be it the present state or the
branch that holds the occurrence by then.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway.context.plan import Plan
from gateway.context.state import Condition, Instant, Raised, State
from gateway.entries.ticks import from_rfc3339

CONDITIONS = "conditions"
"""The name of the messages that a driver hands conditions over in."""
MOST = 10_000
"""Conditions that are remembered at once; one more is an alarm without a history."""
MOST_UNCLAIMED = 20
"""Unacknowledged occurrences of one condition that wait for their branch; the oldest is forgotten, and stays unacknowledged."""


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
        trunk_key = f"{source}/{told['condition_id']}"
        key = f"{trunk_key}#{told['branch']}" if told.get("branch") else trunk_key
        refreshing = self._state.refreshing.get(scope)
        if refreshing is not None:
            refreshing.append(key)
        known = self._state.conditions.get(key)
        if known is not None and ticks < known.at:
            return  # an event of before, said again by a refresh: what came later stands
        found = refreshing is not None and known is None
        at = Instant(ticks, None if found else 0, "found-at-start" if found else "observed")
        if key == trunk_key:
            after = self._present(key, known, source, scope, told, at)
        else:
            after = self._previous(trunk_key, known, source, scope, told, at)
        if after is not None and (known is not None or len(self._state.conditions) < MOST):
            self._state.conditions[key] = after
        else:
            self._state.conditions.pop(key, None)

    def _present(
        self, key: str, known: Condition | None, source: str, scope: str, told: Mapping[str, Any], at: Instant
    ) -> Condition | None:
        """Take an event of a condition's present state (BranchId null); return what is to be remembered.

        Somebody's acknowledgement is an event of its own (Part 9, 5.7.3). Where the condition ends or is disabled in the same event that
        calls it acknowledged, the present state began anew, while a branch may wait for the acknowledgement (Part 9, B.1.3).
        """
        before = known or Condition(told["condition"], scope, at.ticks, [], {})
        after = self._after(before, source, scope, told, at.ticks, self._is_active(key, told))
        if after.active and not before.active:
            if before.occurrence is not None and not before.acked and not before.branched:
                after.unclaimed = [*after.unclaimed, before.occurrence][-MOST_UNCLAIMED:]
            self._occurred(after.name, "raised", at, after.units, after.told, key=key)
            raised = self._state.alarms[key]
            after.occurrence, after.branched = Raised(raised.at, raised.seq, number=raised.number), False
        elif before.active and not after.active:
            if after.acked and not before.acked and after.occurrence is not None and not after.branched:
                after.unclaimed, after.occurrence = [*after.unclaimed, after.occurrence][-MOST_UNCLAIMED:], None
            self._occurred(after.name, "cleared", at, after.units, after.told, key=key)
        elif told.get("enabled") is not False:
            self._answered(key, before, after, told, at)
        if not after.retained:
            after.unclaimed = []  # a condition with branches is retained (Part 9, 5.5.2)
        return after if after.active or not after.acked or not after.confirmed or after.unclaimed else None

    def _previous(
        self, trunk_key: str, known: Condition | None, source: str, scope: str, told: Mapping[str, Any], at: Instant
    ) -> Condition | None:
        """Take an event of a previous state (BranchId not null), which waits for an operator; it is no new alarm, and never active."""
        if known is None:
            known = Condition(told["condition"], scope, at.ticks, [], {}, occurrence=self._claimed(trunk_key))
            known.acked, known.confirmed = told.get("acked") is not False, told.get("confirmed") is not False
        after = self._after(known, source, scope, told, at.ticks, active=False)
        self._answered(trunk_key, known, after, told, at)
        return after if after.retained and not (after.acked and after.confirmed) else None

    def _claimed(self, trunk_key: str) -> Raised | None:
        """Return the occurrence that a new branch is of: the oldest that the present state left behind, else its newest one."""
        trunk = self._state.conditions.get(trunk_key)
        if trunk is None:
            return None
        if trunk.unclaimed:
            return trunk.unclaimed.pop(0)
        trunk.branched = True
        return None if trunk.occurrence is None else replace(trunk.occurrence)

    def _answered(self, key: str, before: Condition, after: Condition, told: Mapping[str, Any], at: Instant) -> None:
        """Tell what somebody did to an occurrence. An event with the time of the one before says by its coming only when that was."""
        if after.at <= before.at:
            at = Instant(self._state.now, self._state.now - before.at, at.basis)
        by = {**after.told, "by": told.get("user") or None}
        if after.acked and not before.acked:
            self._occurred(after.name, "acknowledged", at, after.units, by, key=key, of=after.occurrence)
        if after.confirmed and not before.confirmed:
            self._occurred(after.name, "confirmed", at, after.units, by, key=key, of=after.occurrence)

    def _is_active(self, key: str, told: Mapping[str, Any]) -> bool:
        """Whether the present state stands. One without an active state stands while it is retained, and not for its branches alone."""
        if told.get("enabled") is False:
            return False
        if told.get("active") is not None:
            return bool(told["active"])
        if not told.get("retain"):
            return False
        return told.get("acked") is False or not any(one.startswith(f"{key}#") for one in self._state.conditions)

    def _after(self, before: Condition, source: str, scope: str, told: Mapping[str, Any], ticks: int, active: bool) -> Condition:  # noqa: FBT001
        """What the condition is from now on. What a server does not tell stays."""
        facts = {"source": source, "severity": told["weight"], "text": told.get("message"), "condition_id": told["condition_id"]}
        facts |= {"severity_number": told["severity"], "comment": told.get("comment")}
        return Condition(
            told["condition"],
            scope,
            ticks,
            self._units(told.get("equipment") or []),
            facts,
            active,
            before.acked if told.get("acked") is None else bool(told["acked"]),
            before.confirmed if told.get("confirmed") is None else bool(told["confirmed"]),
            told.get("retain") is not False,
            before.occurrence,
            list(before.unclaimed),
            before.branched,
        )

    def _units(self, named: list[str]) -> list[str]:
        return list(self._plan.units) if "line" in named else [name for name in named if name in self._plan.units]

    def _refreshed(self, scope: str) -> None:
        """A refresh is over: what stood before and was not in it has ended unseen, some time since its newest event."""
        seen = self._state.refreshing.pop(scope, None)
        if seen is None:
            return
        now, listed = self._state.now, set(seen)
        for key, condition in list(self._state.conditions.items()):
            if condition.scope == scope and key not in listed:
                if condition.active and not condition.retained:
                    continue  # a refresh lists what is retained (Part 9, 5.5.7): of the others it says nothing
                if condition.active:
                    at = Instant(now, now - condition.at, "inferred-from-gap")
                    self._occurred(condition.name, "cleared", at, condition.units, condition.told, key=key)
                del self._state.conditions[key]
