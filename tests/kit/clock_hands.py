"""Clocks whose hands a test moves, and a clock of the gateway that reads them."""

from typing import Any

from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence

NOW = 1_795_000_000 * 10**9
S = 10**9


class Hands:
    """Clocks whose hands a test moves."""

    def __init__(self) -> None:
        self.real, self.mono, self.sleep, self.raw = NOW, 1000 * S, 0, 900 * S

    def realtime_ns(self) -> int:
        return self.real

    def monotonic_ns(self) -> int:
        return self.mono

    def boottime_ns(self) -> int:
        return self.mono + self.sleep

    def raw_ns(self) -> int:
        return self.raw

    def run(self, seconds: float) -> None:
        for name in ("real", "mono", "raw"):
            setattr(self, name, getattr(self, name) + int(seconds * S))

    def tell(self, **more: Any) -> Evidence:
        given = {
            "reader": "chrony",
            "at_ns": self.mono,
            "synchronised": True,
            "bound_s": 0.001,
            "updated_ns": self.mono,
            "update": self.real / S,
        }
        return Evidence(**{**given, "interval_s": 16.0, "reference": "a", "rate": 0.0, **more})


def started(hands: Hands, **limits: Any) -> tuple[Clock, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    clock = Clock(Limits(**limits), times=hands, last_seq=lambda: 4711)
    clock._on_event = events.append
    clock.take(hands.tell())
    clock.look()
    return clock, events
