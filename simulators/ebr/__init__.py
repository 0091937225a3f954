"""The reference EBR: keeps each entry once, checks the chain, answers receipts, builds the batch record from what it received alone."""

from simulators.ebr.builder import Builder
from simulators.ebr.receive.injected_faults import Script
from simulators.ebr.receive.mqtt_in import MqttIn
from simulators.ebr.receive.receiver import Receiver
from simulators.ebr.server import Ebr, main, serve
from simulators.ebr.store import Store

__all__ = ["Builder", "Ebr", "MqttIn", "Receiver", "Script", "Store", "main", "serve"]
