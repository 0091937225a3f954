"""A simulated Modbus PLC, or a gateway with units behind it."""

from simulators.modbus_plc.faults import Fault
from simulators.modbus_plc.server import ModbusPlc

__all__ = ["Fault", "ModbusPlc"]
