"""Handles leap seconds: their announcement by the daemon (RFC 5905, 7.3) or the system's table, and their effect on the bound.

No field of any protocol says how a machine and its servers handle the second; `[clock] leap_mode` states it:
  step     the kernel repeats or leaves out a second at the instant (chrony `leapsecmode system` or `step`, ntpd)
  slew     the daemon slews it away afterwards (chrony `leapsecmode slew`)
  smear    the servers spread it over hours; they announce nothing
  unknown  not stated
"""

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from gateway.clock.daemon_reading import Leap

LeapMode = Literal["unknown", "step", "slew", "smear"]

DAY_NS = 86_400 * 10**9
SECOND_NS = 10**9
STEP_NS = 100_000_000
"""A step above 100 ms is an event (URS-TIME-07); smaller ones widen the bound by their size until the next evidence."""
NTP_EPOCH_S = 2_208_988_800
TABLE = Path("/usr/share/zoneinfo/leap-seconds.list")
MIXED_WITHIN_NS = 12 * 3600 * SECOND_NS
"""Servers may begin to announce up to a month before; in the last hours all of them do, except those that smear."""


class Announced(NamedTuple):
    """A leap second to come, or just past. instant_ns: 00:00:00Z after it, in ns since 1970. by: who announced it."""

    kind: Leap
    instant_ns: int
    by: str = ""


NO_LEAP = Announced("none", 0)


def leap_instant_ns(realtime_ns: int) -> int:
    """Return 00:00:00Z of the first day of the next month, in ns since 1970: the instant after the leap second (ITU-R TF.460)."""
    now = datetime.fromtimestamp(realtime_ns / 1e9, UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND_NS


def leap_extra_s(leap: Announced, realtime_ns: int, mode: LeapMode = "unknown", update_s: float | None = None) -> float:
    """Return by how much the clock may be wrong beyond its bound: one second or nothing (URS-TIME-10).

    Smeared or of unknown handling: from 24 h before to 24 h after. Stepped or slewed: from two seconds before until the reference has
    updated the clock after the instant (update_s: its last update, Unix s), at most for 24 h.
    """
    since_ns = realtime_ns - leap.instant_ns
    if leap.kind not in ("insert", "delete") or abs(since_ns) > DAY_NS:
        return 0.0
    if mode in ("unknown", "smear"):
        return 1.0
    updated = update_s is not None and update_s * 1e9 > leap.instant_ns + 2 * SECOND_NS
    return 0.0 if since_ns < -2 * SECOND_NS or updated else 1.0


class LeapTable(NamedTuple):
    """The IERS list of leap seconds as in the system's time zone data. It says nothing about instants after expires_ns."""

    leaps: tuple[Announced, ...]
    expires_ns: int

    def near(self, realtime_ns: int) -> Announced:
        """Return the leap second of the coming or the last 24 h, NO_LEAP if there is none."""
        return next((leap for leap in self.leaps if abs(leap.instant_ns - realtime_ns) <= DAY_NS), NO_LEAP)


def leap_table(path: Path = TABLE) -> LeapTable | None:
    """Read `leap-seconds.list`: NTP seconds and TAI - UTC from then on; `#@` is the expiry. None if it can not be read."""
    try:
        text = path.read_text("ascii", "replace")
    except OSError:
        return None
    expiry = re.search(r"^#@\s+(\d+)", text, re.MULTILINE)
    rows = [(int(at), int(tai)) for at, tai in re.findall(r"^(\d+)\s+(\d+)", text, re.MULTILINE)]
    if expiry is None or not rows:
        return None
    leaps = [
        Announced("insert" if tai > before else "delete", (at - NTP_EPOCH_S) * SECOND_NS, f"table {path}")
        for (_, before), (at, tai) in pairwise(rows)
    ]
    return LeapTable(tuple(leaps), (int(expiry[1]) - NTP_EPOCH_S) * SECOND_NS)


def mixed(indicators: dict[str, Leap], realtime_ns: int, mode: LeapMode) -> str:
    """Return why the servers' leap indicators contradict each other in the last hours before a leap second; empty if they do not."""
    telling = sorted(server for server, leap in indicators.items() if leap in ("insert", "delete"))
    if not telling or leap_instant_ns(realtime_ns) - realtime_ns > MIXED_WITHIN_NS:
        return ""
    silent = sorted(server for server, leap in indicators.items() if leap == "none")
    if silent:
        return f"{', '.join(telling)} announce a leap second, {', '.join(silent)} do not: smeared and unsmeared servers are mixed"
    return f"{', '.join(telling)} announce a leap second, but [clock] leap_mode says that the servers smear it" if mode == "smear" else ""


def is_leap_step(announced: Announced, mode: LeapMode, stepped_ns: int, realtime_ns: int) -> bool:
    """True for a step of one second in the announced direction, within a minute of the announced instant, where steps are expected."""
    sign = 0 if mode in ("slew", "smear") else {"insert": -1, "delete": 1}.get(announced.kind, 0)
    return sign != 0 and abs(stepped_ns - sign * SECOND_NS) < STEP_NS and abs(realtime_ns - announced.instant_ns) < 60 * SECOND_NS
