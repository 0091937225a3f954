"""Defines the command by which a person explains a difference between the gateway's record of a batch and the legacy system's.

What is explained is named by the digest of its row (`gateway.validation.parallel_run`): the two values and the verdict. Where one of them
is another later, the explanation is of something else, and does not count.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.access import Actor
from gateway.access.gate import Record
from gateway.operation.command import Command, Declined, needed

ACTION = "compare-explain"
_TOLD = ("verdict", "gateway", "legacy", "difference")


def explaining(record: Record) -> dict[str, Command]:
    """Return the command by its name. record: appends to the audit trail."""

    async def explain(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        batch, item, digest = (needed(arguments, name) for name in ("batch", "item", "row_sha256"))
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise Declined("row_sha256 is the SHA-256 of a row of a comparison")
        told = {name: str(arguments.get(name) or "")[:300] or None for name in _TOLD}
        what = {"batch": batch[:200], "item": item[:200], "row_sha256": digest, **told}
        await record(ACTION, what, by, target=f"batch {batch[:200]}, {item[:200]}", old=told["verdict"], new="explained")
        return {"batch": batch, "item": item, "row_sha256": digest}

    return {ACTION: explain}
