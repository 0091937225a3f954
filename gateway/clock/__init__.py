"""UTC plus how far to trust it: stamps, states, bounds, and every event of the clock."""

from config.line import ClockSection
from gateway.clock.chrony import ChronyReader
from gateway.clock.clock import Clock, OnEvent, Stamp
from gateway.clock.judge import Limits, Status
from gateway.clock.kernel import KernelReader


def system_clock(section: ClockSection) -> Clock:
    """The machine's clock, read from chrony where it runs, else from the kernel."""
    limits = Limits(max_error_s=section.max_error_s, drift_ppm=section.max_drift_ppm)
    return Clock(limits, [ChronyReader(), KernelReader()])


__all__ = ["Clock", "Limits", "OnEvent", "Stamp", "Status", "system_clock"]
