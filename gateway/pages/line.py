"""The page of the line: what is wrong, sources and uplinks, equipment with its batches, alarms. A pure function of the snapshot."""

from collections.abc import Mapping
from typing import Any

from gateway.pages.banner import banner
from gateway.pages.rendering import Frame, render


def page(now: Mapping[str, Any], frame: Frame) -> str:
    """Return the page of a snapshot."""
    return render("line.html", frame=frame, now=now, banner=banner(now))
