"""The page of the clock: what the report shows, of the running gateway."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gateway.clock import Clock, Limits, SourceClock
from gateway.clock.daemon_reading import Evidence
from gateway.clock.report import STAMP_POINTS
from gateway.entries.ticks import rfc3339
from gateway.pages.clock import page, plotted
from gateway.pages.rendering import Frame, render

S = 10**9


RUNS = {
    "environment": "validation",
    "configuration": {"version": "4", "state": None, "interface_sha256": "ab" * 32},
    "software": "1.2.3",
    "local": "2026-11-22 08:00:00",
    "timezone": "Europe/Paris",
}


class Hands:
    """Clocks that a test sets."""

    real, mono = 1_795_000_000 * S, 1000 * S

    def realtime_ns(self) -> int:
        return self.real

    def monotonic_ns(self) -> int:
        return self.mono

    boottime_ns = raw_ns = monotonic_ns

    def run(self, seconds: int) -> None:
        self.real, self.mono = self.real + seconds * S, self.mono + seconds * S


def looked_at(clock: Clock, hands: Hands) -> dict[str, Any]:
    stamp = clock.stamp()
    off, silent = SourceClock(2.0, 2.0), SourceClock(2.0, 2.0)
    off.measured(5.1, 0.02, hands.real // 100)
    sources = [{"name": "plc<1>", "clock": off.describe("device")}, {"name": "scale", "clock": silent.describe("gateway")}]
    clocks = {"status": stamp.status, "bound_s": stamp.bound_s, **clock.describe()}
    return {"gateway": "site-1/line-1", "time": rfc3339(stamp.ticks), "clock": clocks, "sources": sources, **RUNS}


def walked() -> tuple[Clock, Hands]:
    """Ten minutes: synchronised, set by an hour, synchronised again; the reference has a hostile name."""
    hands = Hands()
    clock = Clock(Limits(), times=hands, last_seq=lambda: 41)
    for second in range(0, 600, 4):
        hands.run(4)
        if second == 300:
            hands.real += 3600 * S
        if second % 16 == 0 and second != 304:
            now = hands.mono
            given: dict[str, Any] = {
                "updated_ns": now,
                "update": hands.real / S,
                "interval_s": 16.0,
                "rate": 0.0,
                "detail": "<b>; 10.0.0.2 stratum 1 falseticker",
            }
            clock.take(Evidence("chrony", now, synchronised=True, bound_s=0.002, reference="<script>", stratum=2, **given))
        clock.look()
    return clock, hands


@pytest.mark.urs("URS-TIME-13")
def test_the_page_shows_state_chain_history_events_sources_and_points():
    clock, hands = walked()
    card = page(looked_at(clock, hands), Frame("site-1/line-1", "/clock"))
    for word in (
        "synchronised",
        "&lt;script&gt;, stratum 2",
        "10.0.0.2 stratum 1 falseticker",
        "+3600.000 s, last entry before it 41",
        "recovered",
        "plc&lt;1&gt;",
        "+5.100 s ± 0.020 s (limit 2 s, EXCEEDED; by question)",
        "its clock was not told",
        "none announced; handled as: unknown",
        *(how for _, how, _ in STAMP_POINTS),
    ):
        assert word in card
    assert "<script" not in card


def drawn(history: Sequence[Mapping[str, Any]], limit_s: float) -> str:
    return render("clock_plot.html", plot=plotted(history, limit_s))


def test_the_plot_is_drawn_by_the_clock_that_nobody_sets():
    clock, _ = walked()
    history = clock.describe()["history"]
    svg = ET.fromstring(drawn(history, 1.0))
    xs = [float(rect.attrib["x"]) for rect in svg.iter("rect")]
    assert xs == sorted(xs), "the wall clock was set forward and the strip goes on"
    assert [rect[0].text for rect in svg.iter("rect")] == ["unknown", "synchronised", "unsynchronised", "synchronised"][-len(xs) :]
    lines = [path.attrib["d"] for path in svg.iter("path") if path.attrib["class"] == "line"]
    assert len(lines) == 2, "nothing is drawn where no bound is known"
    assert plotted([], 1.0) is None
    assert "<svg" in drawn([{"ticks": 10**17, "monotonic_s": 1.0, "status": "unknown", "bound_s": None}], 1.0)
