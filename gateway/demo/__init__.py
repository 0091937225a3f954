"""Runs the demo: a bundled line from its devices to the batch record, with faults in between, and the proof that nothing was lost."""

from gateway.demo.run import run_demo

__all__ = ["run_demo"]
