"""Simulated devices, a simulated line, and the reference EBR: real servers, for tests, demos and commissioning.

Invariants. A simulated device shares no code with the driver that reads it: a bug made twice would prove itself right. It logs the ground
truth before a client can read the value. A simulated line serves on this machine only.
"""
