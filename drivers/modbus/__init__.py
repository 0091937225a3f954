"""Modbus over TCP: block reads on an absolute schedule, answers matched in every field."""

from drivers.modbus.driver import ModbusDriver

__all__ = ["ModbusDriver"]
