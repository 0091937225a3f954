"""A source's clock against ours, by what its lists and its driver tell."""

from typing import Any

import pytest

from config import Source, Tag
from gateway.entries.ticks import TICKS_PER_S
from gateway.intake.source_clock import ClockWatch, longest_delay_s, stamp_of

NOW = 17_953_300_000_000_000
TAGS = [Tag("speed", "plc", "a", "float64", rate_ms=500)]


def source(**more: Any) -> Source:
    return Source(name="plc", driver="opcua", endpoint="x", **{"time_authority": "device", "max_offset_s": 2.0, **more})


def stamps_of(watch: ClockWatch, offset_s: float, minutes: int) -> list[str]:
    """Severities that are told while lists come each second, stamped by a clock that is off by so much."""
    told: list[str] = []
    for second in range(minutes * 60):
        received = NOW + second * TICKS_PER_S
        finding = watch.changed([(0, 1.0, 0, received + round(offset_s * TICKS_PER_S), None)], received)
        told += [finding.severity] if finding is not None else []
    return told


@pytest.mark.urs("URS-TIME-12")
def test_a_clock_that_leaves_its_limit_is_told_once_and_again_when_it_is_back() -> None:
    watch = ClockWatch(source(), TAGS)

    told = [watch.asked(offset_s, 0.01, NOW + at) for at, offset_s in enumerate((0.1, 5.0, 5.0, 0.1, 0.1))]

    assert [finding and finding.severity for finding in told] == [None, "alarm", None, "info", None]


@pytest.mark.urs("URS-TIME-12")
def test_an_entry_says_how_far_the_clock_is_off_once_it_is_known() -> None:
    watch = ClockWatch(source(), TAGS)
    assert watch.member() == {"authority": "device"}

    watch.asked(0.25, 0.01, NOW)
    assert watch.member() == {"authority": "device", "offset_s": 0.25, "bound_s": 0.01}


@pytest.mark.urs("URS-TIME-12")
def test_stamps_of_a_device_that_is_far_ahead_are_an_alarm_and_those_of_another_authority_are_not_judged() -> None:
    assert stamps_of(ClockWatch(source(), TAGS), 30.0, 5) == ["alarm"]
    assert stamps_of(ClockWatch(source(), TAGS), 0.0, 5) == []
    assert stamps_of(ClockWatch(source(time_authority="server"), TAGS), 30.0, 5) == []


@pytest.mark.urs("URS-TIME-12")
def test_one_absurd_stamp_does_not_stand_for_its_list() -> None:
    readings: list[Any] = [(0, 1.0, 0, stamp, None) for stamp in (NOW + 2, 0, None, NOW + 1)]

    assert stamp_of(readings) == NOW + 1
    assert stamp_of([(0, 1.0, 0, None, NOW)]) is None


def test_a_fresh_change_is_under_way_no_longer_than_its_sampling_and_publishing() -> None:
    assert longest_delay_s(source(), TAGS) == 2.5
    assert longest_delay_s(source(options={"publish_ms": 250}), [*TAGS, Tag("slow", "plc", "b", "float64", rate_ms=4_000)]) == 5.25
    assert longest_delay_s(source(rate_ms=100), []) == 2.1
