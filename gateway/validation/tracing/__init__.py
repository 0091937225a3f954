"""Where a value of a step's record comes from: readings, rule, limits, revisions, entries, checkpoint, receipts (URS-AUD-05, URS-DAQ-09).

And when each event of a batch was stamped by MES, gateway and EBR (`three_clocks`, URS-AUD-09).

It reads the journal alone, beside a running gateway or without one. It decides nothing: what was recorded stands beside what it rests on.
"""

from gateway.validation.tracing.origin import NotThere, traced
from gateway.validation.tracing.pages import drafted
from gateway.validation.tracing.three_clocks import stamped

__all__ = ["NotThere", "drafted", "stamped", "traced"]
