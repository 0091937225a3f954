"""The only retry loop."""

from collections.abc import Awaitable, Callable
from itertools import islice

import pytest

from drivers import DriverError, LinkLost
from gateway.runtime.supervise import backoff_s, supervise


def scripted(outcomes: list[BaseException]) -> Callable[[], Awaitable[None]]:
    left = iter(outcomes)

    async def attempt() -> None:
        raise next(left)

    return attempt


async def run(outcomes: list[BaseException]) -> tuple[list[str], list[float]]:
    gaps: list[str] = []
    waits: list[float] = []

    async def on_failure(why: str) -> None:
        gaps.append(why)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    try:
        await supervise("plc", scripted(outcomes), on_failure, retry_on=DriverError, sleep=sleep)
    except (ZeroDivisionError, ExceptionGroup):
        pass
    return gaps, waits


@pytest.mark.urs("URS-UPL-04", "URS-DAQ-11")
async def test_a_lost_link_is_retried_and_a_bug_is_not() -> None:
    gaps, waits = await run([LinkLost("no route"), LinkLost("no route"), ZeroDivisionError("bug")])

    assert gaps == ["no route", "no route"]
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0


@pytest.mark.parametrize(("achieved", "waits_anew"), [(lambda: 7, False), (object, True)])
async def test_an_attempt_that_only_waited_for_its_deadline_has_settled_nothing(achieved: Callable[[], object], waits_anew: bool) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    outcomes: list[BaseException] = [LinkLost("no answer in time")] * 4 + [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await supervise("ebr", scripted(outcomes), _none, retry_on=DriverError, settled_after_s=-1.0, achieved=achieved, sleep=sleep)

    assert (max(waits) <= 0.5) is waits_anew


async def test_a_group_of_lost_links_is_retried_as_one() -> None:
    gaps, _ = await run([ExceptionGroup("two", [LinkLost("a"), ExceptionGroup("one", [LinkLost("b")])]), ZeroDivisionError()])

    assert gaps == ["a; b"]


async def test_a_bug_beside_a_lost_link_goes_up() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await supervise("plc", scripted([ExceptionGroup("two", [LinkLost("a"), ZeroDivisionError()])]), _none, retry_on=DriverError)

    assert caught.value.subgroup(ZeroDivisionError)


async def _none(_: str) -> None:
    return


async def test_an_attempt_that_returns_is_a_bug() -> None:
    async def attempt() -> None:
        return

    with pytest.raises(RuntimeError, match="must run until cancelled"):
        await supervise("plc", attempt, _none, retry_on=DriverError)


def test_waits_double_up_to_the_longest_and_keep_a_random_half() -> None:
    waits = list(islice(backoff_s(1.0, 8.0), 6))

    assert all(low <= wait <= high for wait, (low, high) in zip(waits, [(0.5, 1), (1, 2), (2, 4), (4, 8), (4, 8), (4, 8)], strict=True))
