"""Serial instruments: balances and others that speak in lines."""

from drivers.serial.driver import SerialDriver

__all__ = ["SerialDriver"]
