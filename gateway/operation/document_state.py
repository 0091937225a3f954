"""What the head of a document says of the line, from a running gateway's snapshot, and without one."""

from collections.abc import Mapping
from typing import Any

import config
from buffer.restore.backup import position_of
from config import Identity
from gateway.entries.ticks import from_rfc3339


def stated_running(now: Mapping[str, Any]) -> dict[str, Any]:
    """Take it from a snapshot (`gateway.operation.status`)."""
    return {
        "environment": now["environment"],
        "configuration": now["configuration"],
        "journal": [{"epoch": now["journal"]["epoch"], "first": 1, "last": now["journal"]["seq"]}],
        "clock": {"status": now["clock"]["status"], "bound_s": now["clock"]["bound_s"]},
        "ticks": from_rfc3339(now["time"]),
    }


def stated_offline(line: Identity, ticks: int) -> dict[str, Any]:
    """Take it from the folder and the journal. ticks: what this machine's clock says, of which nobody knows how far it can be trusted."""
    read, _ = config.read(line.folder)
    folder = None if read is None else {"version": None, "sha256": read.sha256, "state": None}
    epoch, seq = position_of(line.data)
    return {
        "environment": line.line.environment,
        "configuration": folder,
        "journal": [{"epoch": epoch, "first": 1, "last": seq}] if epoch else [],
        "clock": {"status": "unknown", "bound_s": None},
        "ticks": ticks,
    }
