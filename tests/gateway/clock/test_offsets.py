"""How far a source's clock is off: by what it says when asked, and by the stamps of its values."""

import random

import pytest

from gateway.clock import SourceClock
from gateway.clock.offsets import TICKS_PER_S, DeviceStamps, OffsetEstimator

NOW = 17_950_000_000_000_000 - 17_950_000_000_000_000 % (60 * TICKS_PER_S)


@pytest.mark.urs("URS-TIME-12")
@pytest.mark.parametrize("true_s", [0.0, 5.0, -5.0, 0.3])
def test_a_sources_offset_is_within_its_bound(true_s):
    dice = random.Random(3)
    asked = OffsetEstimator(2.0)
    now = NOW
    for _ in range(2000):
        now += dice.randrange(1, 10_000_000)
        out, back = dice.randrange(10_000, 2_000_000), dice.randrange(10_000, 2_000_000)
        asked.answered(now + out + int(true_s * TICKS_PER_S), now, now + out + back)
    found = asked.estimate()
    assert found is not None
    assert abs(found.offset_s - true_s) <= found.bound_s + 1e-6
    assert found.above == (abs(true_s) > 2)
    assert found.bound_s < 0.01, "two thousand answers within 0.2 s leave the quickest"


def test_a_clock_that_is_set_voids_what_was_known():
    one = OffsetEstimator(2.0)
    assert one.estimate() is None
    for minute in range(5):
        at = NOW + minute * 60 * TICKS_PER_S
        one.answered(at, at - 1000, at + 1000)
    at = NOW + 5 * 60 * TICKS_PER_S
    one.answered(at + 3600 * TICKS_PER_S, at - 1000, at + 1000)
    found = one.estimate()
    assert found is not None
    assert found.offset_s == pytest.approx(3600, abs=0.001)


def stamped(clock: SourceClock | DeviceStamps, true_s: float, minutes: int, lists: int = 60, first: int = 0) -> None:
    """Lists of changes over some minutes, up to two seconds under way."""
    dice = random.Random(7)
    for number in range(minutes * lists):
        received = NOW + first * 60 * TICKS_PER_S + number * 60 * TICKS_PER_S // lists
        clock.stamped(received + int((true_s - dice.uniform(0.01, 2.0)) * TICKS_PER_S), received)


@pytest.mark.urs("URS-TIME-12")
@pytest.mark.parametrize("true_s", [0.0, 5.0, -5.0, 1.9, -1.9])
def test_the_stamps_of_changes_tell_a_devices_clock(true_s):
    one = DeviceStamps(2.0, 2.0)
    stamped(one, true_s, 4)
    found = one.estimate()
    assert found is not None
    assert abs(found.offset_s - true_s) <= found.bound_s + 1e-6
    assert found.above == (abs(true_s) == 5.0)


@pytest.mark.urs("URS-TIME-12")
def test_queued_values_and_quiet_lines_prove_nothing():
    burst, quiet, absurd, broken = (DeviceStamps(2.0, 2.0) for _ in range(4))
    stamped(burst, -600.0, 1)
    stamped(burst, 0.0, 4, first=1)
    found = burst.estimate()
    assert found is not None
    assert not found.above
    stamped(quiet, -600.0, 10, lists=4)
    assert quiet.estimate() is None
    stamped(absurd, -4e9, 10)
    assert absurd.estimate() is None
    stamped(broken, -600.0, 2)
    stamped(broken, -600.0, 2, first=30)
    assert broken.estimate() is None, "minutes that do not follow each other"


@pytest.mark.urs("URS-TIME-12")
def test_a_right_server_before_a_wrong_device():
    clock = SourceClock(2.0, 2.0)
    clock.measured(0.012, 0.004, NOW)
    assert clock.now is not None
    assert (clock.now.offset_s, clock.now.bound_s, clock.now.by) == (0.012, 0.004, "question")
    assert clock.turned() is None
    stamped(clock, 30.0, 4)
    found = clock.turned()
    assert found is not None
    assert (found.by, found.above) == ("stamps", True)
    assert abs(found.offset_s - 30) <= found.bound_s
    assert clock.turned() is None, "told once"
    stamped(clock, 0.0, 4, first=4)
    back = clock.turned()
    assert back is not None
    assert (back.by, back.above) == ("question", False)


def test_a_sample_is_enough():
    clock = SourceClock(2.0, 2.0)
    assert sum(clock.is_due(NOW + number * 10_000) for number in range(10_000)) == 50, "five a second of ten seconds"


@pytest.mark.urs("URS-TIME-12")
@pytest.mark.parametrize(("was_s", "is_s"), [(5.0, -3600.0), (5.0, 0.0), (-3600.0, 0.0)])
def test_stamps_of_before_a_device_was_set_say_nothing_of_its_clock_now(was_s: float, is_s: float) -> None:
    """The largest of three minutes was taken for what all three prove: a clock that was set back still counted as ahead."""
    one = DeviceStamps(2.0, 2.0)
    stamped(one, was_s, 2)
    stamped(one, is_s, 2, first=2)
    assert one.estimate() is None
    stamped(one, is_s, 3, first=4)
    found = one.estimate()
    assert found is not None
    assert found.above == (abs(is_s) > 2.0)


@pytest.mark.urs("URS-TIME-12")
def test_a_server_whose_clock_is_put_right_is_not_called_off_by_its_stamps_of_before() -> None:
    """Its last minute held stamps of before and of after: they called it off once more, after its own answer had said that it is right."""
    clock = SourceClock(2.0, 3.0)
    clock.measured(5.0, 0.01, NOW)
    stamped(clock, 5.0, 4)
    off = clock.turned()
    assert off is not None
    assert off.above
    clock.measured(0.0, 0.01, NOW + 4 * 60 * TICKS_PER_S)
    right = clock.turned()
    assert right is not None
    assert (right.by, right.above) == ("question", False)
    stamped(clock, 0.0, 5, first=4)
    assert clock.turned() is None
