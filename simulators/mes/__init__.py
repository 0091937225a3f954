"""A simulated MES: a SQLite database with the tables that a line's queries read, or a folder into which files are dropped."""

from simulators.mes.device import MesDevice
from simulators.mes.shape import NotServable

__all__ = ["MesDevice", "NotServable"]
