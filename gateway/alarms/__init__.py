"""Knows what each finding means and what to do about it, and which findings stand.

Invariants: pure, but for the log line of each warning and alarm. What stands is gathered from the events of the journal alone, so a replay
gathers the same; who finds something keeps no second account of it here. All that is kept is bounded, and what was not kept is counted.
"""

from gateway.alarms.codes import CODES, Code, code_of
from gateway.alarms.findings import Found, Held
from gateway.alarms.gathering import Gathering
from gateway.alarms.stream import Told, without_batch
from gateway.alarms.tally import Tally

__all__ = ["CODES", "Code", "Found", "Gathering", "Held", "Tally", "Told", "code_of", "without_batch"]
