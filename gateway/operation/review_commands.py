"""Defines the command by which a reviewer signs the review of an audit trail."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from gateway.access import Actor, NotSigned
from gateway.access.signatures import digest, sign
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.evidence import review
from gateway.evidence.trail import NotPossible
from gateway.intake import software_version
from gateway.operation.command import Command, Declined
from gateway.operation.parts import Parts


def review_commands(parts: Parts) -> dict[str, Command]:
    """Return the commands by name."""

    async def sign_review(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        scope, zone = _scope(arguments), ZoneInfo(parts.line.line.timezone)
        try:
            found = await asyncio.to_thread(review.to_review, parts.line.data, zone, parts.line.gateway, scope)
            items = review.judged(found, _verdicts(arguments), str(by.user))
            now = parts.clock.stamp()
            head = {
                "id": str(uuid.uuid4()),
                "gateway": parts.line.gateway,
                "environment": parts.line.line.environment,
                "software": software_version(),
                "configuration": parts.line.sha256,
                "made_at": {"time": rfc3339(now.ticks), "clock": now.status, "bound_s": None if now.bound_s is None else str(now.bound_s)},
            }
            told = review.content(scope, found, items, by.who, head)
            signature = sign(told, by, review.MEANING, parts.keyring.signer, now=now.ticks, site_zone=zone.key)
        except (NotPossible, NotSigned) as error:
            raise Declined(str(error)) from error
        await parts.audit.document({**told, "sha256": digest(told), "signatures": [signature], **by_whom(by)})
        return {"id": told["id"], "sha256": digest(told), "items": len(items), "questioned": len(told["deviations"])}

    return {"audit-review": sign_review}


def by_whom(by: Actor) -> dict[str, Any]:
    """Return the members of a document's event that say who made it and where; they are no part of what is signed."""
    return {"who": by.who, "where": by.where}


def _scope(arguments: Mapping[str, Any]) -> review.Scope:
    """Read what is to be reviewed. Raises Declined."""
    through = arguments.get("through")
    try:
        begin, end = (None if arguments.get(name) is None else from_rfc3339(str(arguments[name])) for name in ("from", "to"))
        epoch, seq = through if isinstance(through, list) else (None, None)
        return review.Scope(str(arguments["batch"]) if arguments.get("batch") else None, begin, end, (int(str(epoch)), int(str(seq))))
    except (ValueError, TypeError) as error:
        raise Declined(f"what is to be reviewed is not understood: {error}") from error


def _verdicts(arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    verdicts = arguments.get("verdicts")
    if not isinstance(verdicts, list) or not all(isinstance(one, Mapping) for one in verdicts):
        raise Declined("verdicts is a list of objects with epoch, seq, verdict and comment")
    return verdicts
