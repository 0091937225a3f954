"""The reference EBR: stores each entry once, checks the chain, answers with receipts, and builds batch records from the stored entries.

Invariants. It shares no code with the gateway: it reads by the published schemas alone, so that an EBR maker can do the same. A receipt
goes out only after the entries are on disk, and only as far as the chain is whole. A stored entry is never replaced: another entry under
its number is kept aside as a suspect. The same entries, in any order, once or twice, make the same record.

Rooms: `receive` takes entries in, `record` builds a batch record of them, `pages` shows it.
"""

from simulators.ebr.builder import Builder
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.receive.mqtt_in import MqttIn
from simulators.ebr.receive.receiver import Receiver
from simulators.ebr.server import Ebr, main, serve
from simulators.ebr.store import Store

__all__ = ["Builder", "Ebr", "InjectedFaults", "MqttIn", "Receiver", "Store", "main", "serve"]
