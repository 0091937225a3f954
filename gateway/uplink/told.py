"""Remembers which alarms of an uplink stand, so that each one is said to be over."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.entries.findings import Announcer, Severity, finding
from gateway.uplink.tls import Remark


class Told:
    """What was said and is not over: alarms, which the next progress ends, and remarks, which the next look without them ends."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._alarms: set[str] = set()
        self._remarks: dict[str, str] = {}

    def alarm(self, code: str, text: str, **evidence: Any) -> None:
        """Say that something stands in the way of the next receipt."""
        self._alarms.add(code)
        self._announcer.say(code, "alarm", text, **evidence)

    def stands(self, code: str) -> bool:
        """Return True if this alarm was said and is not over."""
        return code in self._alarms

    def progress(self) -> None:
        """Say that all alarms are over."""
        for code in sorted(self._alarms - self._remarks.keys()):
            self._announcer.over(code, "receipts come again")
        self._alarms.clear()

    def remark(self, remarks: Iterable[Remark]) -> None:
        """Say what is to be said of a connection now and was not said before, and what was said the last time and holds no more.

        Another text is news also within the minute: it is of files of this machine, which nobody outside can change at will.
        """
        texts: dict[str, tuple[Severity, list[str]]] = {}
        for code, severity, text in remarks:
            texts.setdefault(code, (severity, []))[1].append(text)
        for code in sorted(self._remarks.keys() - texts.keys() - self._alarms):
            self._announcer.over(code, "it is no longer so")
        said, self._remarks = self._remarks, {code: "; ".join(found) for code, (_, found) in texts.items()}
        for code, (severity, _) in texts.items():
            if self._remarks[code] != said.get(code):
                self._announcer.say_anew(code, severity, self._remarks[code])


def finding_of(uplink: str, code: str, severity: Severity, text: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Make a finding of an uplink; code: without the `uplink-` before it."""
    return finding(f"uplink-{code}", severity, f"uplink {uplink}: {text}", {"uplink": uplink, **evidence})
