"""Keeps the audit trail: who did what to the line, where and why, as entries of the journal."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from gateway.access import Actor, of_the_gateway, stated
from gateway.context import event_bodies


class Append(Protocol):
    """Appends an event to the journal."""

    def __call__(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> Awaitable[None]:
        """Append the event at the call; on disk when the awaitable completes. watermark: (name, changes), committed with the event."""


class AuditTrail:
    """Appends audit events of one gateway. Each is appended at the call, and on disk when the awaitable completes."""

    def __init__(self, gateway: str, append: Append, site_zone: str = "UTC") -> None:
        """Make the trail of this gateway, which stands as who did it where no person did. site_zone: the line's time zone."""
        self._system, self._append, self._zone = of_the_gateway(gateway), append, site_zone

    def record(
        self,
        action: str,
        what: Mapping[str, Any],
        by: Actor | None = None,
        /,
        *,
        target: str | None = None,
        old: Any = None,
        new: Any = None,
    ) -> Awaitable[None]:
        """Append that `by` (None: the gateway itself, for no reason that a person gave) did `action`.

        what: the facts of it, as JSON values. target, old, new: what was changed, and its value before and after; `object` in the event.
        """
        return self._append(
            {"type": "audit", "action": action, **self._stated(by), "object": target, "old": old, "new": new, "what": dict(what)}
        )

    async def document(self, told: Mapping[str, Any]) -> None:
        """Append a document of a person, in parts if it is long; on disk when it returns."""
        parts = event_bodies.parts({"type": "document", **told, "site_zone": self._zone})
        await asyncio.gather(*[self._append(part) for part in parts])  # all at the call: nothing comes between them

    def key_changed(self, event: Mapping[str, Any], public: str, by: Actor | None = None) -> Awaitable[None]:
        """Append a change of the signing key, and in the same transaction that `public` signs from now on."""
        what = event["what"]
        changed = {"object": "signing key", "old": what.get("old"), "new": public}
        return self._append({"type": "audit", **event, **self._stated(by), **changed}, watermark=("gateway", {"key": public}))

    def taken_over(self, event: Mapping[str, Any], digest: str) -> Awaitable[None]:
        """Append an event that was written down while no gateway ran, and in the same transaction that it was taken, by its digest."""
        return self._append(
            {**(self._stated(None) if event["type"] == "audit" else {}), **event}, watermark=("gateway", {"pending": digest})
        )

    def _stated(self, by: Actor | None) -> dict[str, Any]:
        return stated(by or self._system, self._zone)
