"""Reads systemd-timesyncd over D-Bus with `busctl`: an SNTP client of one server, which it checks against no other.

`timedatectl show-timesync` prints its time stamps in whole seconds; the D-Bus property has microseconds (org.freedesktop.timesync1(5)).
"""

import shlex

from gateway.clock.command import ask
from gateway.clock.daemon_reading import Evidence, Leap, Unreadable
from gateway.clock.system_clocks import SystemTimes, Times

LEAPS: dict[int, Leap] = {0: "none", 1: "insert", 2: "delete"}
OBJECT = ["org.freedesktop.timesync1", "/org/freedesktop/timesync1", "org.freedesktop.timesync1.Manager"]
COMMAND = ["busctl", "--no-pager", "get-property", *OBJECT, "NTPMessage", "ServerName", "PollIntervalUSec"]
SIGNATURE = "(uuuuittayttttbtt)"


def parse(text: str, at_ns: int, realtime_ns: int) -> Evidence:
    """Make evidence from busctl's answer, one property per line, each after its type. at_ns, realtime_ns: clocks before the question.

    NTPMessage: leap, version, mode, stratum, precision, root delay, root dispersion (us), reference (count and bytes), originate, receive,
    transmit, destination (us since 1970), ignored, packet count, jitter (us). theta = ((T2-T1)+(T3-T4))/2 and delta = (T4-T1)-(T3-T2).
    Bound: |theta| in full, because timesyncd slews it away slowly, + delta/2 + root delay/2 + root dispersion + jitter. Raises Unreadable.
    """
    lines = [shlex.split(line) for line in text.splitlines() if line.strip()]
    if len(lines) != 3 or lines[0][0] != SIGNATURE:
        raise Unreadable(f"timesyncd: {text.strip()[:120]!r} is not what it says")
    try:
        words = lines[0][1:]
        count = int(words[7])
        leap_number, stratum, delay_us, dispersion_us = int(words[0]), int(words[3]), int(words[5]), int(words[6])
        t1, t2, t3, t4 = (int(word) for word in words[8 + count : 12 + count])
        ignored, jitter_us = words[12 + count] == "true", int(words[14 + count])
        server, interval_us = lines[1][1], int(lines[2][1])
    except (ValueError, IndexError) as error:
        raise Unreadable(f"timesyncd: {error}") from None
    if t4 == 0:
        raise Unreadable("timesyncd: no answer of a server yet")
    offset_us, trip_us = ((t2 - t1) + (t3 - t4)) / 2, max(0, (t4 - t1) - (t3 - t2))
    leap = LEAPS.get(leap_number, "unsynchronised")
    return Evidence(
        reader="timesyncd",
        at_ns=at_ns,
        synchronised=leap != "unsynchronised" and not ignored and 0 < stratum < 16,
        bound_s=(abs(offset_us) + trip_us / 2 + delay_us / 2 + dispersion_us + jitter_us) / 1e6,
        offset_s=offset_us / 1e6,
        updated_ns=at_ns - (realtime_ns - t4 * 1000),
        update=t4 / 1e6,
        interval_s=interval_us / 1e6,
        reference=server,
        stratum=stratum,
        leap=leap,
        detail="single source: nothing tells a wrong server from a right one",
    )


class TimesyncdReader:
    """Reads a running systemd-timesyncd."""

    name = "timesyncd"

    def __init__(self, times: Times | None = None) -> None:
        self._times = times or SystemTimes()

    async def read(self) -> Evidence:
        """Ask timesyncd once. Raises Unreadable."""
        realtime_ns, at_ns = self._times.realtime_ns(), self._times.monotonic_ns()
        return parse(await ask(COMMAND), at_ns, realtime_ns)
