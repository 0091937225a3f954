"""The way in: what a driver or a pusher hands over becomes entries of the journal, in one order, with one clock.

Invariants: a list is taken whole or not at all; every entry has its place (`seq`) before the fold sees it, and the fold sees it
before it is written; a source's watermark is committed with the entries that it stands for; what is not taken is said to the source,
never dropped.
"""

from gateway.intake.intake import Intake
from gateway.intake.port import Port
from gateway.intake.preamble import software_version
from gateway.intake.push import PushServer

__all__ = ["Intake", "Port", "PushServer", "software_version"]
