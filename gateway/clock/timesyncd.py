"""systemd-timesyncd, read by `timedatectl show-timesync --all`: an SNTP client of one server, without any check against others."""

import re
from datetime import UTC, datetime
from typing import Any

from gateway.clock.command import ask
from gateway.clock.evidence import Evidence, Leap, Unreadable
from gateway.clock.times import SystemTimes, Times

LEAPS: dict[str, Leap] = {"0": "none", "1": "insert", "2": "delete"}
COMMAND = ["timedatectl", "show-timesync", "--all"]
SPAN = re.compile(r"([0-9.]+)(us|ms|min|h|s)?")
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def parse(text: str, at_ns: int, realtime_ns: int) -> Evidence:
    """Evidence from the answer.

    The message's four time stamps give theta = ((T2-T1)+(T3-T4))/2 and delta = (T4-T1)-(T3-T2). Bound: |theta| in full, because
    timesyncd slews it away slowly, + delta/2 + root delay/2 + root dispersion + jitter. Printed times have whole microseconds at best;
    where systemd prints whole seconds only, that second is in the bound. Raises Unreadable.
    """
    told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    message = _message(told.get("NTPMessage", ""))
    if not message:
        raise Unreadable("timesyncd: no answer of a server yet")
    try:
        t1, t2, t3, t4 = (_time_s(message[f"{name}Timestamp"]) for name in ("Originate", "Receive", "Transmit", "Destination"))
        delay_s, dispersion_s = span_s(message["RootDelay"]), span_s(message["RootDispersion"])
    except (KeyError, ValueError) as error:
        raise Unreadable(f"timesyncd: {error}") from None
    rounding_s = 0.0 if any("." in message[f"{name}Timestamp"] for name in ("Receive", "Transmit")) else 1.0
    offset_s, trip_s = ((t2 - t1) + (t3 - t4)) / 2, max(0.0, (t4 - t1) - (t3 - t2))
    leap = LEAPS.get(message.get("Leap", ""), "unsynchronised")
    return Evidence(
        reader="timesyncd",
        at_ns=at_ns,
        synchronised=leap != "unsynchronised" and message.get("Ignored", "no") == "no",
        bound_s=abs(offset_s) + trip_s / 2 + delay_s / 2 + dispersion_s + span_s(message.get("Jitter", "0")) + rounding_s,
        offset_s=offset_s,
        updated_ns=at_ns - (realtime_ns - int(t4 * 1e9)),
        update=t4,
        interval_s=span_s(told.get("PollIntervalUSec", "64s")),
        reference=told.get("ServerName") or told.get("ServerAddress", ""),
        stratum=int(message.get("Stratum", "0")),
        leap=leap,
        detail="single source: nothing tells a wrong server from a right one",
    )


def span_s(text: str) -> float:
    """Systemd's time spans: `34min 8s`, `1.234ms`, `0`. Raises ValueError."""
    parts = SPAN.findall(text)
    if not parts:
        raise ValueError(f"{text!r} is no time span")
    return sum(float(number) * UNITS_S[unit or "s"] for number, unit in parts)


def _message(text: str) -> dict[str, str]:
    """`{ Leap=0, Version=4, ... }` as a mapping."""
    return dict(part.strip().split("=", 1) for part in text.strip("{} ").split(", ") if "=" in part)


def _time_s(text: str) -> float:
    """`Sun 2026-11-22 16:00:00.123456 UTC` -> Unix seconds; other zones are asked away by the C locale and TZ=UTC. Raises ValueError."""
    words: list[Any] = text.split()
    if len(words) != 4 or words[3] not in ("UTC", "GMT"):
        raise ValueError(f"{text!r} is no UTC time")
    return datetime.fromisoformat(f"{words[1]} {words[2]}").replace(tzinfo=UTC).timestamp()


class TimesyncdReader:
    """A running systemd-timesyncd."""

    name = "timesyncd"

    def __init__(self, times: Times | None = None) -> None:
        self._times = times or SystemTimes()

    async def read(self) -> Evidence:
        """Ask timesyncd once. Raises Unreadable."""
        realtime_ns, at_ns = self._times.realtime_ns(), self._times.monotonic_ns()
        return parse(await ask(COMMAND), at_ns, realtime_ns)
