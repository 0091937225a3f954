"""Reads chrony with `chronyc -c -n -m tracking sources`: monitoring commands, which need no privilege on loopback (chronyc(1))."""

import csv
from collections.abc import Sequence

from gateway.clock.command import ask
from gateway.clock.daemon_reading import Evidence, Leap, Unreadable
from gateway.clock.system_clocks import SystemTimes, Times

LEAPS: dict[str, Leap] = {"Normal": "none", "Insert second": "insert", "Delete second": "delete", "Not synchronised": "unsynchronised"}
LOCAL_REFERENCE = "7F7F0101"
"""Reference id of local mode: chronyd serves its own oscillator. Not traceable to UTC, whatever its leap status."""
TRACKING_FIELDS = 14


def parse(text: str, at_ns: int, realtime_ns: int) -> Evidence:
    """Make evidence from chronyc's answer. at_ns, realtime_ns: monotonic and wall clock just before the question.

    tracking, 14 fields (chrony's client.c): 1 reference id, 2 name, 3 stratum, 4 reference time (Unix s), 5 system offset (positive: the
    system clock is behind), 8 frequency (ppm; positive: the oscillator is fast and is held back by as much), 11 root delay, 12 root
    dispersion, 13 update interval, 14 leap. Bound: |5| + 12 + 11/2 (chronyc(1)). sources: mode, state, name, stratum, poll, ...; the
    selected one ("*") gives the poll interval, which after the initial burst is longer than the interval between the last two updates.
    Raises Unreadable.
    """
    rows = list(csv.reader(text.strip().splitlines()))
    if not rows or len(rows[0]) != TRACKING_FIELDS:
        raise Unreadable(f"chronyc: {text.strip()[:120]!r} is not a tracking report")
    tracking, sources = rows[0], [row for row in rows[1:] if len(row) >= 6]
    reference_id, name, leap_text = tracking[0], tracking[1], tracking[13]
    try:
        stratum, reference_time_s, offset_s = int(tracking[2]), float(tracking[3]), float(tracking[4])
        frequency_ppm = float(tracking[7])
        delay_s, dispersion_s, interval_s = float(tracking[10]), float(tracking[11]), float(tracking[12])
    except ValueError as error:
        raise Unreadable(f"chronyc: {error}") from None
    leap = LEAPS.get(leap_text, "unsynchronised")
    local = reference_id.upper() == LOCAL_REFERENCE
    return Evidence(
        reader="chrony",
        at_ns=at_ns,
        synchronised=leap != "unsynchronised" and not local and reference_time_s > 0,
        bound_s=abs(offset_s) + dispersion_s + delay_s / 2,
        offset_s=offset_s,
        updated_ns=at_ns - (realtime_ns - int(reference_time_s * 1e9)) if reference_time_s > 0 else None,
        update=reference_time_s,
        rate=-frequency_ppm * 1e-6,
        interval_s=max([interval_s, *_polls_s(sources)]),
        reference=name or reference_id,
        stratum=stratum,
        leap=leap,
        local=local,
        detail=_told(sources),
    )


def _polls_s(sources: Sequence[Sequence[str]]) -> list[float]:
    """Return the poll interval in s of the selected source: 2 to the power of its fifth field; empty if none is selected."""
    return [2.0 ** int(row[4]) for row in sources if row[1] == "*" and row[4].lstrip("-").isdigit() and abs(int(row[4])) < 32]


STATES = {"*": "selected", "+": "combined", "-": "not combined", "x": "falseticker", "~": "too variable", "?": "unusable"}


def _told(sources: Sequence[Sequence[str]]) -> str:
    """Describe the reference chain: `10.0.0.1 stratum 1 selected; 10.0.0.2 stratum 2 falseticker`."""
    return "; ".join(f"{row[2]} stratum {row[3]} {STATES.get(row[1], row[1])}" for row in sources)


class ChronyReader:
    """Reads a running chronyd. host, port: its command port, if not the default (chronyc -h, -p)."""

    name = "chrony"

    def __init__(self, times: Times | None = None, host: str | None = None, port: int | None = None) -> None:
        self._times = times or SystemTimes()
        where = ([] if host is None else ["-h", host]) + ([] if port is None else ["-p", str(port)])
        self._command = ["chronyc", *where, "-c", "-n", "-m", "tracking", "sources"]

    async def read(self) -> Evidence:
        """Ask chronyd once. Raises Unreadable."""
        realtime_ns, at_ns = self._times.realtime_ns(), self._times.monotonic_ns()
        return parse(await ask(self._command), at_ns, realtime_ns)
