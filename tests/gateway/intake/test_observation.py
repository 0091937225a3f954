"""Through when each tag was observed, and which losses are news."""

from typing import Any

import pytest

from config import Source, Tag
from drivers.contract import Loss
from gateway.context.gaps.gaps import Gap
from gateway.entries.ticks import TICKS_PER_MS, rfc3339
from gateway.intake.drafts import EventDraft
from gateway.intake.observation import MOST_GAPS_AT_ONCE, Observation, observed_through
from gateway.intake.readings import Instants

NOW = 17_953_300_000_000_000
STARTED = NOW - 1_000
DETECTED = NOW + 5_000
LINK_LOST = Loss("link-lost", detail="cable pulled")


def observation(count: int, proved: int | None = None, source: str = "plc", **more: Any) -> Observation:
    tags = [Tag(f"t{n}", source, f"a{n}", "float64") for n in range(count)]
    return Observation(Source(name=source, driver="opcua", endpoint="x", **more), tags, proved, STARTED)


def gap(tags: list[str] | str, start: int, source: str = "plc", **more: str) -> EventDraft:
    event = {"type": "gap", "transition": "open", "source": source, "tags": tags, "start": rfc3339(start), "detected": rfc3339(DETECTED)}
    return EventDraft({**event, "cause": "link-lost", "detail": "cable pulled", "due": "not-known", **more}, source)


@pytest.mark.urs("URS-DAQ-11")
def test_a_loss_opens_one_gap_for_the_source_at_its_last_observation() -> None:
    seen = observation(3)
    seen.saw([], [0, 1, 2], NOW)

    assert seen.through == NOW
    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap("all", NOW)]


@pytest.mark.urs("URS-DAQ-11")
def test_tags_with_another_last_observation_have_a_gap_of_their_own() -> None:
    seen = observation(3)
    seen.saw([(0, 1.0, 0, None, None)], [2], NOW)
    seen.saw([(1, 1.0, 0, None, None)], None, NOW + 9)

    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap(["t0", "t2"], NOW), gap(["t1"], NOW + 9)]
    assert seen.gaps(Loss("link-lost", (2, 1), detail="cable pulled"), [], DETECTED) == [gap(["t2"], NOW), gap(["t1"], NOW + 9)]


@pytest.mark.urs("URS-DAQ-11")
def test_a_loss_is_no_news_of_tags_that_stand_in_an_open_gap() -> None:
    seen = observation(3)
    seen.saw([], [0, 1, 2], NOW)

    assert seen.gaps(LINK_LOST, [Gap("plc/1", ["t1"], NOW, "link-lost")], DETECTED) == [gap(["t0", "t2"], NOW)]
    assert seen.gaps(LINK_LOST, [Gap("plc/1", ["t1"], NOW, "link-lost"), Gap("plc/2", ["t0", "t2"], NOW, "link-lost")], DETECTED) == []
    assert seen.gaps(LINK_LOST, [Gap("plc/1", "all", NOW, "link-lost")], DETECTED) == []


@pytest.mark.urs("URS-DAQ-11")
def test_too_many_different_beginnings_become_one_gap_from_the_earliest() -> None:
    seen = observation(MOST_GAPS_AT_ONCE + 1)
    for index in range(MOST_GAPS_AT_ONCE):
        seen.saw([(index, 1.0, 0, None, None)], None, NOW + index)
    assert len(seen.gaps(Loss("link-lost", tuple(range(MOST_GAPS_AT_ONCE))), [], DETECTED)) == MOST_GAPS_AT_ONCE

    seen.saw([(MOST_GAPS_AT_ONCE, 1.0, 0, None, None)], None, NOW - 1)

    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap("all", NOW - 1)]


@pytest.mark.urs("URS-DAQ-11")
def test_a_source_that_was_never_observed_has_its_gap_from_the_start_of_the_run() -> None:
    assert observation(2).gaps(LINK_LOST, [], DETECTED) == [gap("all", STARTED)]
    assert observation(0).gaps(LINK_LOST, [], DETECTED) == [gap("all", STARTED)]


@pytest.mark.urs("URS-DAQ-11")
def test_a_source_of_rows_alone_has_one_gap_at_a_time() -> None:
    seen = observation(0, proved=NOW - 50, source="mes")
    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap("all", NOW - 50, "mes")]

    seen.saw([], None, NOW)
    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap("all", NOW, "mes")]
    assert seen.gaps(LINK_LOST, [Gap("mes/1", "all", NOW, "link-lost")], DETECTED) == []


@pytest.mark.urs("URS-DAQ-11")
def test_a_loss_with_bounds_of_its_own_opens_there_and_never_ends_before_it_began() -> None:
    seen = observation(2)
    seen.saw([], [0, 1], NOW)

    def lost(until: int) -> list[EventDraft]:
        return seen.gaps(Loss("link-lost", (1,), NOW - 30, until, "cable pulled"), [], DETECTED)

    assert lost(NOW - 10) == [gap(["t1"], NOW - 30, end=rfc3339(NOW - 10))]
    assert lost(NOW - 40) == [gap(["t1"], NOW - 30, end=rfc3339(NOW - 30))]


@pytest.mark.urs("URS-DAQ-11", "URS-BUF-02")
def test_after_a_stop_a_tag_was_last_seen_up_to_its_rate_before_what_the_journal_proves() -> None:
    tags = [Tag("slow", "plc", "a", "float64", rate_ms=2_000), Tag("quick", "plc", "b", "float64", rate_ms=50)]
    seen = Observation(Source(name="plc", driver="opcua", endpoint="x"), tags, None, STARTED)

    seen.stopped(NOW)

    assert seen.through == NOW
    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap(["slow"], NOW - 3_200 * TICKS_PER_MS), gap(["quick"], NOW - 500 * TICKS_PER_MS)]


def test_an_older_observation_moves_a_tag_and_not_the_source() -> None:
    seen = observation(2)
    seen.saw([], [0, 1], NOW)
    seen.saw([(1, 1.0, 0, None, None)], None, NOW - 9)

    assert seen.through == NOW
    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap(["t0"], NOW), gap(["t1"], NOW - 9)]


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("alive", "tags"), [(None, "all"), ([1, 0], "all"), ([1], ["t1"])])
def test_a_source_that_goes_on_without_loss_says_for_which_tags(alive: list[int] | None, tags: list[str] | str) -> None:
    event = {"type": "source", "source": "plc", "state": "resumed", "tags": tags, "observed": rfc3339(NOW)}
    assert observation(2).resumed(alive, NOW) == EventDraft(event, "plc")


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("given", "tags"), [(None, "all"), ([0], ["t0"]), ([0, 1], ["t0", "t1"])])
def test_history_fills_an_interval_of_the_tags_that_it_gave(given: list[int] | None, tags: list[str] | str) -> None:
    event = {
        "type": "gap",
        "transition": "fill",
        "source": "plc",
        "tags": tags,
        "start": rfc3339(NOW),
        "end": rfc3339(NOW + 9),
        "detail": "read",
    }
    assert observation(2).filled(given, NOW, NOW + 9, "read") == EventDraft(event, "plc")


@pytest.mark.urs("URS-TIME-02")
def test_an_answer_proves_its_midpoint_and_a_notification_its_latest_event() -> None:
    device = Source(name="plc", driver="opcua", endpoint="x", time_authority="device")
    rows: Any = [(0, 1.0, None, 0, "change", NOW - 5, None), (0, 2.0, None, 0, "change", NOW - 2, None)]

    assert observed_through(rows, None, Instants(NOW - 10, NOW), device) == NOW - 5
    assert observed_through(rows, None, Instants(None, NOW), device) == NOW - 2
    assert observed_through(rows, NOW - 1, Instants(None, NOW), device) == NOW - 1
    assert observed_through([], None, Instants(None, NOW), device) == NOW


@pytest.mark.urs("URS-DAQ-11")
def test_what_is_owed_is_not_observed_and_what_was_observed_before_stays_so() -> None:
    """Of three tags two stand in a list whose source owes more; one of them was observed through later than that already."""
    seen = observation(3, NOW - 900)
    seen.saw([], [1], NOW - 100)
    seen.saw([(0, 1.0, 0, NOW, None)], [0, 1], NOW, NOW - 500)

    assert seen.gaps(LINK_LOST, [], DETECTED) == [gap(["t0"], NOW - 500), gap(["t1"], NOW - 100), gap(["t2"], NOW - 900)]
    assert seen.through == NOW - 100
