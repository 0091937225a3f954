"""A whole line, simulated: a device for every source, moved by a process that follows steps.csv."""

from simulators.line.drive import Progress, UnknownDriver, serve
from simulators.line.place import simulate

__all__ = ["Progress", "UnknownDriver", "serve", "simulate"]
