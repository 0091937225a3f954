"""Findings: what the program has to say to a person, as events, and when it is said.

The journal is kept for years and every entry of it is sent, so a finding stands in it when it is news: once while a thing lasts, and once
when it is over. What others can repeat at will, as forged receipts or refused orders, is said at most once a minute, with a count.

The fold makes its findings by `finding` too, but remembers in its state what it has said: it has no clock but its entries.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from gateway.entries.printable import printable

QUIET_S = 60.0

Severity = Literal["info", "warning", "alarm"]
Report = Callable[[dict[str, Any]], object]
"""Where findings go, as whole events. Called in the event loop's thread; must not block."""
Make = Callable[[str, Severity, str, Mapping[str, Any]], dict[str, Any]]
"""(code, severity, text, evidence) -> event."""


def finding(
    code: str,
    severity: Severity,
    text: str,
    evidence: Mapping[str, Any] | None = None,
    *,
    source: str | None = None,
    tags: Iterable[str] = (),
) -> dict[str, Any]:
    """Make the event of a finding. evidence: what proves it; None leaves the member out."""
    told = {"type": "finding", "code": code, "severity": severity, "source": source, "tags": list(tags), "text": printable(text)}
    return told if evidence is None else {**told, "evidence": dict(evidence)}


class Announcer:
    """Decides which of somebody's findings are news, and reports those."""

    def __init__(self, report: Report, make: Make = finding, clock: Callable[[], float] = time.monotonic) -> None:
        """make: the event of what is handed to `say` and `over`. clock: monotonic seconds."""
        self._report, self._make, self._clock = report, make, clock
        self._said: dict[str, tuple[float, int]] = {}  # code -> when it was said last, how often it was kept back since
        self._states: dict[str, object] = {}

    def say(self, code: str, severity: Severity, text: str, **evidence: Any) -> None:
        """Report, unless the same code was reported less than a minute ago: then it is counted into the next report."""
        count = self.due(code)
        if count:
            kept_back = {"kept_back": count - 1} if count > 1 else {}
            self._report(self._make(code, severity, text, {**evidence, **kept_back}))

    def say_anew(self, code: str, severity: Severity, text: str, **evidence: Any) -> None:
        """Report in any case: it is something else than what was reported of this code before."""
        self._said.pop(code, None)
        self.say(code, severity, text, **evidence)

    def over(self, code: str, text: str) -> None:
        """Report that a thing has ended, if it was reported that it began."""
        if self._said.pop(code, None) is not None:
            self._report(self._make(f"{code}-over", "info", text, {}))

    def due(self, code: str) -> int:
        """Count one more of this code. Returns how many of them a report made now has to tell of; 0 while it is too early for one."""
        now_s = self._clock()
        said_s, kept_back = self._said.get(code, (-QUIET_S, 0))
        early = now_s - said_s < QUIET_S
        self._said[code] = (said_s, kept_back + 1) if early else (now_s, 0)
        return 0 if early else kept_back + 1

    def once_until_changed(self, what: str, event: dict[str, Any], *, state: object) -> None:
        """Report the event if `what` is in another state than when this was called last. At first all is well: its state is a false one."""
        before = self._states.get(what)
        self._states[what] = state
        if (state or None) != (before or None):
            self._report(event)
