"""Where each equipment is, what it does, and the records that follow: a pure fold over the journal's entries."""

from gateway.context.event_bodies import finding
from gateway.context.fold import Fold
from gateway.context.gaps.gaps import Gap

__all__ = ["Fold", "Gap", "finding"]
