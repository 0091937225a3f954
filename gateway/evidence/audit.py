"""Keeps the audit trail: who did what to the line, and why, as entries of the journal."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol


class Append(Protocol):
    """Appends an event to the journal."""

    def __call__(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> Awaitable[None]:
        """Append the event at the call; on disk when the awaitable completes. watermark: (name, changes), committed with the event."""


class AuditTrail:
    """Appends audit events of one gateway. Each is appended at the call, and on disk when the awaitable completes."""

    def __init__(self, gateway: str, append: Append) -> None:
        """Make the trail of this gateway: its name stands as who did it where no person did."""
        self._system, self._append = f"system:{gateway}", append

    def record(self, action: str, what: Mapping[str, Any], reason: str = "", who: str | None = None) -> Awaitable[None]:
        """Append that `who` (None: the gateway itself) did `action`. what: the facts of it, as JSON values."""
        return self._append({"type": "audit", "action": action, "who": who or self._system, "what": dict(what), "reason": reason})

    def key_changed(self, event: Mapping[str, Any], public: str) -> Awaitable[None]:
        """Append a change of the signing key, and in the same transaction that `public` signs from now on."""
        return self._append({"type": "audit", **event}, watermark=("gateway", {"key": public}))
