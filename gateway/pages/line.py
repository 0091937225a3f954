"""The page of the line: what is wrong, sources and uplinks, equipment with its batches, alarms. A pure function of the snapshot."""

from collections.abc import Mapping
from typing import Any

from gateway.operation import finding_wording
from gateway.operation.status import problems
from gateway.pages.rendering import Frame, render


def page(now: Mapping[str, Any], frame: Frame) -> str:
    """Return the page of a snapshot."""
    wrong = problems(now)
    return render("line.html", frame=frame, now=now, problems=wrong, kind=_kind(now, wrong), shelved=finding_wording.shelved(now))


def _kind(now: Mapping[str, Any], wrong: list[str]) -> str:
    """Return `bad` if readings are held back, nothing proves any more what is written, or a receiver holds another history."""
    contradicted = any(witness["contradicts"] for witness in now["evidence"]["witnesses"])
    contradicted = contradicted or any(uplink["state"] == "two-histories" for uplink in now["uplinks"])
    if now["journal"]["pressure"] or now["evidence"]["refused"] or contradicted:
        return "bad"
    return "warn" if wrong else "good"
