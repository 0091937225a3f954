"""A simulated PLC with an OPC UA server."""

from simulators.opcua_plc.plc import OpcUaPlc
from simulators.opcua_plc.switches import Switches

__all__ = ["OpcUaPlc", "Switches"]
