"""Reads ntpd and NTPsec with `ntpq -c "rv 0 ..." -c peers` (NTP control messages, mode 6); all times in milliseconds."""

import re

from gateway.clock.command import ask
from gateway.clock.daemon_reading import Evidence, Leap, Unreadable
from gateway.clock.system_clocks import SystemTimes, Times

NTP_EPOCH_S = 2_208_988_800
LEAPS: dict[str, Leap] = {"0": "none", "00": "none", "1": "insert", "01": "insert", "2": "delete", "10": "delete"}
LOCAL_CLOCKS = ("LOCL", "LOCAL", "ORPH", "127.127.1.")
"""Reference names of an undisciplined local clock (with -n the address of its driver, type 1) and of orphan mode."""
VARIABLE = re.compile(r"([a-z_]+)=(\"[^\"]*\"|[^,\s]+)")
COMMAND = ["ntpq", "-n", "-c", "rv 0 leap,stratum,rootdelay,rootdisp,offset,refid,reftime,sys_jitter,tc", "-c", "peers"]
TALLIES = {"*": "selected", "o": "selected (PPS)", "+": "combined", "-": "not combined", "#": "not combined", "x": "falseticker"}


def parse(text: str, at_ns: int, realtime_ns: int) -> Evidence:
    """Make evidence from ntpq's answer. at_ns, realtime_ns: monotonic and wall clock just before the question.

    Bound: (|offset| + rootdisp + rootdelay / 2 + sys_jitter) ms. Leap 3 (11) is an unsynchronised clock. ntpd's offset has the sign of
    Evidence.offset_s: it is to be added to the system clock. tc: log2 of the poll interval in s. Raises Unreadable.
    """
    variables, _, peers = text.partition("remote ")
    told = dict(VARIABLE.findall(variables))
    try:
        offset_ms, dispersion_ms, delay_ms = float(told["offset"]), float(told["rootdisp"]), float(told["rootdelay"])
        stratum, interval_s = int(told["stratum"]), 2.0 ** min(int(told.get("tc", "6")), 17)
        reference_s = _ntp_time_s(told.get("reftime", ""))
    except (KeyError, ValueError) as error:
        raise Unreadable(f"ntpq: {text.strip()[:120]!r} is not what ntpd says: {error}") from None
    leap = LEAPS.get(told.get("leap", ""), "unsynchronised")
    reference = told.get("refid", "")
    return Evidence(
        reader="ntpd",
        at_ns=at_ns,
        synchronised=leap != "unsynchronised" and stratum < 16 and reference_s is not None,
        bound_s=(abs(offset_ms) + dispersion_ms + delay_ms / 2 + float(told.get("sys_jitter", "0"))) / 1000,
        offset_s=offset_ms / 1000,
        updated_ns=None if reference_s is None else at_ns - (realtime_ns - int(reference_s * 1e9)),
        update=reference_s,
        interval_s=interval_s,
        reference=reference,
        stratum=stratum,
        leap=leap,
        local=reference.strip(".").upper().startswith(LOCAL_CLOCKS),
        detail=_told(peers),
    )


def _told(peers: str) -> str:
    """Describe the servers in the table of `peers`: `10.0.0.1 stratum 1 selected; 10.0.0.2 stratum 1 falseticker`."""
    _, _, table = peers.partition("=\n")
    rows = [(line[:1], line[1:].split()) for line in table.splitlines()]
    return "; ".join(f"{words[0]} stratum {words[2]} {TALLIES.get(tally, 'unusable')}" for tally, words in rows if len(words) > 2)


def _ntp_time_s(text: str) -> float | None:
    """Convert `ed3b5a2f.1c8f2a11` to Unix seconds; None for zero, which means never. Era 0 until 2036, then era 1 (RFC 5905, 6)."""
    if not text:
        return None
    whole, _, part = text.partition(".")
    seconds = int(whole, 16)
    if seconds == 0:
        return None
    era_s = 0 if seconds >= 1 << 31 else 1 << 32
    return seconds + era_s - NTP_EPOCH_S + int(part or "0", 16) / 2**32


class NtpdReader:
    """Reads a running ntpd on this machine."""

    name = "ntpd"

    def __init__(self, times: Times | None = None) -> None:
        self._times = times or SystemTimes()

    async def read(self) -> Evidence:
        """Ask ntpd once. Raises Unreadable."""
        realtime_ns, at_ns = self._times.realtime_ns(), self._times.monotonic_ns()
        return parse(await ask(COMMAND), at_ns, realtime_ns)
