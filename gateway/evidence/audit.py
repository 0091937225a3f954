"""Keeps the audit trail: who did what to the line, where and why, as entries of the journal."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from gateway.access import Actor, of_the_gateway, replaced, stated
from gateway.context import event_bodies


class Append(Protocol):
    """Appends an event to the journal."""

    def __call__(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> Awaitable[None]:
        """Append the event at the call; on disk when the awaitable completes. watermark: (name, changes), committed with the event."""


class AuditTrail:
    """Appends audit events of one gateway. Each is appended at the call, and on disk when the awaitable completes."""

    def __init__(self, gateway: str, append: Append, site_zone: str = "UTC", users: str | None = None) -> None:
        """Make the trail of this gateway, which stands as who did it where no person did. site_zone: the line's time zone.

        users: digest of the list of users as the record left it; None: it never told.
        """
        self.users = users
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
        watermark: tuple[str, Mapping[str, Any]] | None = None,
    ) -> Awaitable[None]:
        """Append that `by` (None: the gateway itself, for no reason that a person gave) did `action`.

        what: the facts of it, as JSON values. target, old, new: what was changed, and its value before and after; `object` in the event.
        watermark: (name, changes), committed with the event.
        """
        event = {"type": "audit", "action": action, **self._stated(by), "object": target, "old": old, "new": new, "what": dict(what)}
        name, changes = watermark or ("gateway", {})
        marks = {**changes, **self._list_of_users(event)}
        return self._append(event, watermark=(name, marks) if marks else None)

    async def document(self, told: Mapping[str, Any]) -> None:
        """Append a document of a person, in parts if it is long; on disk when it returns."""
        parts = event_bodies.parts({"type": "document", **told, "site_zone": self._zone})
        await asyncio.gather(*[self._append(part) for part in parts])  # all at the call: nothing comes between them

    async def made_document(self, told: Mapping[str, Any], *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> None:
        """Append the head of a document that lies elsewhere as a file, with its digest; on disk when it returns. watermark: as `record`."""
        await self._append({**told, "site_zone": self._zone}, watermark=watermark)

    def key_changed(self, event: Mapping[str, Any], public: str, by: Actor | None = None) -> Awaitable[None]:
        """Append a change of the signing key, and in the same transaction that `public` signs from now on."""
        what = event["what"]
        changed = {"object": "signing key", "old": what.get("old"), "new": public}
        return self._append({"type": "audit", **event, **self._stated(by), **changed}, watermark=("gateway", {"key": public}))

    def taken_over(self, event: Mapping[str, Any], digest: str) -> Awaitable[None]:
        """Append an event that was written down while no gateway ran, and in the same transaction that it was taken, by its digest."""
        marks = {"pending": digest, **self._list_of_users(event)}
        return self._append({**(self._stated(None) if event["type"] == "audit" else {}), **event}, watermark=("gateway", marks))

    def _list_of_users(self, event: Mapping[str, Any]) -> dict[str, str]:
        """Return what the journal remembers, in the same transaction, of a change of the list of users; {} of any other event.

        A change that was made from another list than the record left is an alarm: the list was set aside, or replaced, before it.
        """
        what = event.get("what") or {}
        after = what.get("list_sha256")
        if not isinstance(after, str):
            return {}
        if self.users is not None and what.get("list_before") != self.users:
            self._append(replaced(f"{event['action']} of {event.get('object')} was made from another list"))
        self.users = after
        return {"users": after}

    def _stated(self, by: Actor | None) -> dict[str, Any]:
        return stated(by or self._system, self._zone)
