"""Ports that others may reach: so much of the process, and no more, for each of them and for all.

Descriptors and the event loop are shared with the journal and the sources. A neighbour who needs no right to connect must not be able to
use them up: connections are bounded per port and per peer, requests have a pace and a deadline, and what is too much is refused or waits.
"""

from gateway.listening.answering import answered
from gateway.listening.bounds import Bounds, Pace
from gateway.listening.port import Serving, served

__all__ = ["Bounds", "Pace", "Serving", "answered", "served"]
