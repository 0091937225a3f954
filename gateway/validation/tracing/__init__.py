"""Where a value of a step's record comes from: readings, rule, limits, revisions, entries, checkpoint, receipts (URS-AUD-05, URS-DAQ-09).

It reads the journal alone, beside a running gateway or without one. It decides nothing: what was recorded stands beside what it rests on.
"""

from gateway.validation.tracing.origin import NotThere, traced
from gateway.validation.tracing.pages import drafted

__all__ = ["NotThere", "drafted", "traced"]
