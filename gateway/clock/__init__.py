"""UTC plus how far to trust it: stamps, states, bounds, and every event of the clock."""

import time

from config.sections import ClockSection
from gateway.clock.chrony import ChronyReader
from gateway.clock.clock import Clock, OnEvent, Stamp
from gateway.clock.daemon_reading import Unreadable
from gateway.clock.judge import Limits, Status
from gateway.clock.kernel import KernelReader, evidence_from, kernel_clock
from gateway.clock.leap import leap_table
from gateway.clock.ntpd import NtpdReader
from gateway.clock.offsets import Offset, SourceClock
from gateway.clock.sntp import CrossCheck
from gateway.clock.timesyncd import TimesyncdReader


def system_clock(section: ClockSection) -> Clock:
    """The machine's clock, read from the first of chrony, ntpd and timesyncd that answers, else from the kernel.

    Three or more `servers` are asked by the gateway itself, as an independent check.
    """
    limits = Limits(max_error_s=section.max_error_s, drift_ppm=section.max_drift_ppm, leap_mode=section.leap_mode)
    cross = CrossCheck(section.servers, section.max_drift_ppm) if section.servers else None
    clock = Clock(limits, [ChronyReader(), NtpdReader(), TimesyncdReader(), KernelReader()], cross=cross, leaps=leap_table())
    try:
        # At once, so that the first entries of a start are not of an unknown clock; the daemons take seconds to answer.
        clock.take(evidence_from(kernel_clock(), time.monotonic_ns(), 0.0))
        clock.look()
    except Unreadable:
        pass
    return clock


__all__ = ["Clock", "Limits", "Offset", "OnEvent", "SourceClock", "Stamp", "Status", "system_clock"]
