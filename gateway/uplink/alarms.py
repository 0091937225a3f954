"""What an uplink tells people: each thing once while it lasts, and again at most once a minute while it goes on."""

from collections.abc import Callable
from typing import Any, Literal

QUIET_S = 60.0

Severity = Literal["info", "warning", "alarm"]


Report = Callable[[dict[str, Any]], object]
"""Where findings go, as whole events. Called in the event loop's thread; must not block."""


class Said:
    """Keeps a flood of the same finding out of the journal: an attacker's forged receipts must not fill it."""

    def __init__(self, report: Report, uplink: str, clock: Callable[[], float]) -> None:
        self._report, self._uplink, self._clock = report, uplink, clock
        self._open: dict[str, tuple[float, int]] = {}  # code -> (when last said, how often kept back since)

    def say(self, code: str, severity: Severity, text: str, **evidence: Any) -> None:
        """Report, unless the same code was reported less than a minute ago: then it is counted into the next one."""
        now = self._clock()
        said_at, kept_back = self._open.get(code, (-QUIET_S, 0))
        if now - said_at < QUIET_S:
            self._open[code] = (said_at, kept_back + 1)
            return
        self._open[code] = (now, 0)
        more = {"kept_back": kept_back} if kept_back else {}
        self._event(code, severity, text, {**evidence, **more})

    def over(self, code: str, text: str) -> None:
        """The thing has ended; said only if it was said that it began."""
        if self._open.pop(code, None) is not None:
            self._event(f"{code}-over", "info", text, {})

    def _event(self, code: str, severity: Severity, text: str, evidence: dict[str, Any]) -> None:
        event: dict[str, Any] = {"type": "finding", "code": f"uplink-{code}", "severity": severity, "source": None, "tags": []}
        self._report({**event, "text": f"uplink {self._uplink}: {text}", "evidence": {"uplink": self._uplink, **evidence}})
