"""Where each equipment is, what it does, and the records that follow: a pure fold over the journal's entries.

Invariants. It reads no clock, no file and no setting but the plan of a configuration: the same entries in the same order give the same
events and the same state, live and replayed, byte for byte. Time is that of the entries. Whatever is decided waits until it is proved
(`waits`), and an instant that nobody saw says so for ever (`instants`, `standing`). What it holds is bounded. docs/house.md has the
floors.

Doors: this module, for the gateway; `gaps.gaps`, whose `Gap` the way in opens. `edges_of` reads a MES row that tells a step, for who
shows it beside the record.
"""

from gateway.context.event_bodies import finding
from gateway.context.fold import Fold
from gateway.context.gaps.gaps import Gap
from gateway.context.signals.steps_from_rows import edges_of

__all__ = ["Fold", "Gap", "edges_of", "finding"]
