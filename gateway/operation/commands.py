"""Defines the commands that come over a control socket. Each that changes something is recorded in the audit trail.

Who gives one has been asked before: `gateway.access.RULES` says of each which role it needs.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from gateway.access import Actor
from gateway.context.records import led_elsewhere
from gateway.entries.fold_input import UNVERIFIED
from gateway.evidence.keyring import NotRotated
from gateway.operation.alarm_commands import alarm_commands
from gateway.operation.archive_sums import archive_sums
from gateway.operation.certificate_commands import certificate_commands
from gateway.operation.change_commands import change_commands
from gateway.operation.command import Command, Declined, needed
from gateway.operation.document_commands import document_commands, of_parts
from gateway.operation.explaining import explaining
from gateway.operation.fallback_commands import Surroundings, fallback_commands
from gateway.operation.manual_import import manual_import
from gateway.operation.observing import observation_commands
from gateway.operation.parts import Parts
from gateway.operation.quarantine import quarantine_commands
from gateway.operation.review_commands import review_commands
from gateway.operation.uplink_commands import uplink_commands
from gateway.operation.user_commands import user_commands


def commands_of(parts: Parts) -> dict[str, Command]:
    """Return the commands of a running line by name, as the control socket and `ebr-gateway` call them."""
    rotating = asyncio.Lock()

    async def release_hold(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        batch = needed(arguments, "batch")
        if batch not in parts.journal.holds.all():
            raise Declined(f"no batch {batch} is held")
        review = parts.fold.reviewed(batch)
        if review is None and arguments.get("without_review") is not True:
            raise Declined(
                f"the audit trail of batch {batch} was not reviewed: ebr-gateway audit review; or --without-review, for a reason"
            )
        await parts.holds.release(batch, by, review)
        return {"released": batch, "review": review}

    async def rotate_key(_arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        async with rotating:
            await parts.checkpoints.sign("key-rotation")  # the old key's last word, over all before
            old = parts.keyring.signer.public
            try:
                new = await parts.keyring.rotate(partial(parts.audit.key_changed, by=by))
            except NotRotated as error:
                raise Declined(str(error)) from error
            await parts.checkpoints.sign("key-rotation")
        return {"old": old, "public": new}

    async def sign_archive(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        text = str(arguments.get("text", ""))
        what = archive_sums(text, parts.line.gateway)
        note = parts.keyring.signer.note(text)
        await parts.audit.record("archive", what, by, target=f"batch {what['batch']}")
        return {"note": note}

    return {
        "release-hold": release_hold,
        "rotate-key": rotate_key,
        "sign-archive": sign_archive,
        **alarm_commands(parts),
        **review_commands(parts),
        **uplink_commands(parts),
        **user_commands(parts.access),
        **certificate_commands(parts.audit.record),
        **quarantine_commands(parts),
        **explaining(parts.audit.record),
        **fallback_commands(lambda: _of_fallbacks(parts)),
        **manual_import(parts),
        **document_commands(partial(of_parts, parts)),
        **observation_commands(partial(of_parts, parts), lambda: parts.line.observation, lambda: parts.line.data),
        **change_commands(parts.changes, parts.audit.record, partial(of_parts, parts)),
    }


def _of_fallbacks(parts: Parts) -> Surroundings:
    """Give what the commands of a fallback need while a gateway runs."""
    state = parts.fold.state
    return Surroundings(
        standing=lambda: led_elsewhere.standing(state),
        through=lambda: led_elsewhere.through(state),
        now=lambda: parts.clock.stamp().ticks,
        equipments=[unit.name for unit in parts.line.equipment],
        held=lambda: parts.journal.last,
        record=parts.audit.record,
        verified=parts.clock.stamp().status not in UNVERIFIED,
        zone=ZoneInfo(parts.line.line.timezone),
    )
