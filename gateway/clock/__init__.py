"""Stamps instants with UTC and with how far that can be trusted: status and bound; reports every event of the clock (docs/time.md)."""

import time
from collections.abc import Callable

from config.sections import ClockSection
from gateway.clock.chrony import ChronyReader
from gateway.clock.clock import Clock, OnEvent, Stamp
from gateway.clock.daemon_reading import Reader, Unreadable
from gateway.clock.judge import Limits, Status
from gateway.clock.kernel import KernelReader, evidence_from, kernel_clock
from gateway.clock.leap import leap_table
from gateway.clock.ntpd import NtpdReader
from gateway.clock.offsets import Offset, SourceClock
from gateway.clock.sntp import CrossCheck
from gateway.clock.timesyncd import TimesyncdReader


def system_clock(section: ClockSection, last_seq: Callable[[], int | None] = lambda: None) -> Clock:
    """Make the machine's clock, read from the first of chrony, ntpd and timesyncd that answers, else from the kernel.

    With three or more `servers` in the section, the gateway asks these itself as an independent check. `last_seq` returns the journal's
    last sequence number, for the clock's events.
    """
    limits = Limits(max_error_s=section.max_error_s, drift_ppm=section.max_drift_ppm, leap_mode=section.leap_mode)
    cross = CrossCheck(section.servers, section.max_drift_ppm) if section.servers else None
    readers: list[Reader] = [ChronyReader(), NtpdReader(), TimesyncdReader(), KernelReader()]
    clock = Clock(limits, readers, cross=cross, leaps=leap_table(), last_seq=last_seq)
    try:
        # At once, so that the first entries of a start are not of an unknown clock; the daemons take seconds to answer.
        clock.take(evidence_from(kernel_clock(), time.monotonic_ns(), 0.0))
        clock.look()
    except Unreadable:
        pass
    return clock


__all__ = ["Clock", "Limits", "Offset", "OnEvent", "SourceClock", "Stamp", "Status", "system_clock"]
