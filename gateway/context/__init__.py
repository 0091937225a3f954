"""Where each equipment is, what it does, and the records that follow: a pure fold over the journal's entries."""

from gateway.context.fold import Fold
from gateway.context.gaps import Gap
from gateway.context.recompute import Difference, recompute
from gateway.context.records import finding

__all__ = ["Difference", "Fold", "Gap", "finding", "recompute"]
