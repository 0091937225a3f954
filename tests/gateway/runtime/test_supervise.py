"""The only retry loop."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import islice

import pytest

from buffer import JournalError
from drivers import DriverError, LinkLost, NobodyListens
from gateway.runtime.isolate import Crashed, contained, telling
from gateway.runtime.supervise import Knocking, backoff_s, supervise


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


async def stopped(
    attempt: Callable[[], Awaitable[None]], begun: asyncio.Event, on_failure: Callable[[str], Awaitable[None]] = _none
) -> bool:
    """Run an attempt under supervision, cancel it once it has begun; True if that ended it, False if it went on."""
    kept_apart = contained("plc", attempt, expected=DriverError, fatal=JournalError)
    told = telling("plc", on_failure, fatal=JournalError)
    running = asyncio.create_task(supervise("plc", kept_apart, told, retry_on=(DriverError, Crashed), sleep=lambda _: asyncio.sleep(3600)))
    await begun.wait()
    running.cancel()
    await asyncio.wait([running], timeout=1.0)
    if running.done():
        return running.cancelled()
    running.cancel()
    await asyncio.wait([running])
    return False


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("raised", [LinkLost("the session could not be closed"), ZeroDivisionError("bug"), SystemExit("exit"), None])
async def test_what_clean_up_raises_does_not_outlive_the_stop(raised: BaseException | None) -> None:
    begun, failures = asyncio.Event(), list[str]()

    async def attempt() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if raised is not None:
                raise raised from None

    async def on_failure(why: str) -> None:
        failures.append(why)

    assert await stopped(attempt, begun, on_failure)
    assert failures == [], "a stop is no failure"


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("raised", [LinkLost("no route"), ZeroDivisionError("bug")])
async def test_a_link_that_is_lost_in_the_moment_of_the_stop_does_not_outlive_it(raised: Exception) -> None:
    closing, cancelled = asyncio.Event(), asyncio.Event()

    async def lost() -> None:
        raise raised

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closing.set()
            await cancelled.wait()

    async def attempt() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            group.create_task(lost())
            asyncio.get_running_loop().call_later(0.05, cancelled.set)

    assert await stopped(attempt, closing)


@pytest.mark.urs("URS-DAQ-11")
async def test_a_link_that_is_lost_in_a_group_of_tasks_is_tried_again_each_time() -> None:
    attempts, again = list[str](), asyncio.Event()

    async def link() -> None:
        await asyncio.sleep(0)
        raise LinkLost("no route")

    async def attempt() -> None:
        attempts.append("")
        if len(attempts) > 3:
            again.set()
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:  # what a driver does: it waits at the end of the group as one of its tasks fails
            group.create_task(asyncio.Event().wait())
            group.create_task(link())

    async def sleep(_: float) -> None:
        pass

    kept_apart = contained("plc", attempt, expected=DriverError, fatal=JournalError)
    told = telling("plc", _none, fatal=JournalError)
    running = asyncio.create_task(supervise("plc", kept_apart, told, retry_on=(DriverError, Crashed), sleep=sleep))
    waiting = asyncio.create_task(again.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), "it ended, as if it had been told to"
    running.cancel()
    await asyncio.wait([running, waiting])
    assert running.cancelled()


async def test_a_failure_that_can_not_be_told_for_the_stop_does_not_outlive_it() -> None:
    begun = asyncio.Event()

    async def attempt() -> None:
        raise LinkLost("no route")

    async def on_failure(_: str) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise OSError("disk")

    assert await stopped(attempt, begun, on_failure)


@pytest.mark.urs("URS-DAQ-11")
async def test_an_address_that_refuses_is_asked_again_within_half_a_second_however_long_it_does() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    outcomes: list[BaseException] = [NobodyListens("refused")] * 40 + [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await supervise("plc", scripted(outcomes), _none, retry_on=DriverError, quick=NobodyListens, sleep=sleep)

    assert len(waits) == 40
    assert all(0.2 <= wait <= 0.5 for wait in waits)
    assert len(set(waits)) > 30, "two that were refused together do not come back together"


async def test_what_is_no_refusal_is_asked_again_later_each_time_and_a_refusal_begins_that_anew() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    away: list[BaseException] = [LinkLost("no answer in time")] * 6
    both: list[BaseException] = [ExceptionGroup("two", [NobodyListens("refused"), LinkLost("no answer in time")])]
    outcomes: list[BaseException] = [*away, NobodyListens("refused"), *both, LinkLost("no answer in time"), ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await supervise("plc", scripted(outcomes), _none, retry_on=DriverError, quick=NobodyListens, sleep=sleep)

    assert 4.5 <= waits[5] <= 10
    assert waits[6] <= 0.5
    assert waits[7] <= 0.5, "the first of the others"
    assert 0.45 <= waits[8] <= 1


@pytest.mark.parametrize(("parts", "most_per_s"), [(1, 4), (10, 40), (100, 27), (400, 80)])
def test_hundreds_of_sources_at_one_dead_host_make_no_storm(parts: int, most_per_s: float) -> None:
    """On a clock of its own: each part knocks, is refused at once, and waits as it is told."""
    knocking, over_s = Knocking(), 100.0
    due = [(0.0, f"source {number}") for number in range(parts)]
    knocked = 0
    while due[0][0] < over_s:
        now_s, name = heapq.heappop(due)
        knocked += now_s > over_s / 2  # all of them are known to wait
        knocking.knocks(name)
        heapq.heappush(due, (now_s + knocking.wait_s(name), name))
    assert knocked / (over_s / 2) <= most_per_s
    for number in range(parts):
        knocking.knocks(f"source {number}")
    assert knocking.wait_s("the last") <= 0.5, "who got in is not counted among those that wait"


async def test_two_reasons_that_take_turns_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    """As of a program that starts again and again: refused, taken and closed, refused. A third reason is news at once."""
    turns: list[BaseException] = [NobodyListens("nothing listens there"), LinkLost("closed the connection")]
    with caplog.at_level("WARNING"):
        await run([*turns * 20, LinkLost("no route"), *turns, ZeroDivisionError()])
    told = [record.getMessage().split("; ")[0] for record in caplog.records if record.name == "gateway.runtime.supervise"]
    assert told == ["plc: nothing listens there", "plc: closed the connection", "plc: no route"]
