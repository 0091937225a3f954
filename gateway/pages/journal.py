"""The page of the journal: its space, what is kept, its proofs and copies. A pure function of the snapshot."""

from collections.abc import Mapping
from typing import Any

from gateway.pages.rendering import Frame, render


def page(now: Mapping[str, Any], frame: Frame) -> str:
    """Return the page of a snapshot."""
    return render("journal.html", frame=frame, now=now)
