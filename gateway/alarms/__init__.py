"""Knows what each finding means, what to do about it and whom it is for, which findings stand, and who has seen them.

Invariants: pure, but for the log line of each warning and alarm. What stands, and what persons did about it, is gathered from the events
of the journal alone, so a replay gathers the same; who finds something keeps no second account of it here. All that is kept is bounded, and
what was not kept is counted. No alarm leaves the lists before a person has acknowledged it, but for want of room, which is counted.
"""

from gateway.alarms.codes import CODES, Code, code_of
from gateway.alarms.findings import Change
from gateway.alarms.gathering import Gathering
from gateway.alarms.held import Found, Held, Shelf
from gateway.alarms.stream import Told, without_batch
from gateway.alarms.tally import Tally

__all__ = ["CODES", "Change", "Code", "Found", "Gathering", "Held", "Shelf", "Tally", "Told", "code_of", "without_batch"]
