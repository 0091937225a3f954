"""A whole simulated line: a device for every source, moved by a process that follows steps.csv.

Invariants. Every value is a pure function of the line folder, the seed and the time: the same three give the same line. The plan, the
signals and the rows do no I/O; `drive` does it all. The genealogy log is written when material moves, not derived from readings. Sources
and uplinks of a copy lie on this machine alone.
"""

from simulators.line.drive import Progress, UnknownDriver, serve
from simulators.line.place import simulate

__all__ = ["Progress", "UnknownDriver", "serve", "simulate"]
