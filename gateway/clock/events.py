"""Makes the events and findings of the clock, each with an anchor that ties this boot's monotonic clock to UTC."""

from typing import Any

from gateway.clock.daemon_reading import Evidence
from gateway.clock.judge import Verdict
from gateway.clock.leap import Announced, LeapMode
from gateway.clock.system_clocks import Anchor
from gateway.entries.findings import finding
from gateway.entries.ticks import rfc3339


def time_of(realtime_ns: int) -> str:
    """Return an instant in ns since 1970 as RFC 3339 text with 100-ns digits."""
    return rfc3339(realtime_ns // 100)


def clock_event(kind: str, verdict: Verdict, anchor: Anchor, boot: str, evidence: Evidence | None, **more: Any) -> dict[str, Any]:
    """Make a `clock` event of this kind.

    Its anchor lets a reader place every stamp of the same boot: UTC = anchor.time - (anchor.monotonic_s - monotonic_s).
    """
    return {
        "type": "clock",
        "kind": kind,
        "status": verdict.status,
        "bound_s": rounded(verdict.bound_s),
        "reason": verdict.reason,
        "reference": told(evidence),
        "anchor": told_anchor(anchor, boot),
        **more,
    }


def unverified(verdict: Verdict, since: Anchor, evidence: Evidence | None, unread: str) -> dict[str, Any]:
    """Make the finding (alarm) that stamps have been unverified since `since`. unread: why the daemon could not be read, or empty."""
    text = f"the clock is {verdict.status}: {verdict.reason}; time stamps are unverified since {time_of(since.realtime_ns)}"
    return finding("clock-unverified", "alarm", text, {"reference": told(evidence), "unread": unread})


def leap_mixed(found: str, mode: LeapMode) -> dict[str, Any]:
    """Make the finding that servers handle a leap second differently (alarm), or that this is over (`found` empty)."""
    text = found or "the NTP servers handle the leap second alike again, or it is past"
    return finding("clock-leap-mixed", "alarm" if found else "info", text, {"leap_mode": mode})


def told_leap(leap: Announced, mode: LeapMode) -> dict[str, Any]:
    """Describe a leap second as JSON: kind, instant, who announced it, and how the line's configuration says it is handled."""
    return {"leap": leap.kind, "instant": time_of(leap.instant_ns), "by": leap.by, "leap_mode": mode}


def told(evidence: Evidence | None) -> dict[str, Any] | None:
    """Describe the chain to UTC as last read, as JSON; None without evidence."""
    if evidence is None:
        return None
    return {
        "reader": evidence.reader,
        "name": evidence.reference,
        "stratum": evidence.stratum,
        "offset_s": rounded(evidence.offset_s),
        "bound_s": rounded(evidence.bound_s),
        "interval_s": evidence.interval_s,
        "leap": evidence.leap,
        "local": evidence.local,
        "detail": evidence.detail,
    }


def told_anchor(anchor: Anchor, boot: str) -> dict[str, Any]:
    """Describe an anchor as JSON; seconds have nine decimals, so that no nanosecond is lost."""
    return {
        "boot": boot,
        "time": time_of(anchor.realtime_ns),
        "monotonic_s": anchor.monotonic_ns / 1e9,
        "boottime_s": anchor.boottime_ns / 1e9,
        "raw_s": anchor.raw_ns / 1e9,
        "spread_s": anchor.spread_ns / 1e9,
    }


def rounded(seconds: float | None) -> float | None:
    """Round to nanoseconds, the resolution of the clock; None stays None."""
    return None if seconds is None else round(seconds, 9)
