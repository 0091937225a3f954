"""What persons do about alarms: acknowledged before and after the end, raised anew, shelved, bounded; and the history of it all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.told_line import START, ToldLine

from gateway.alarms.acknowledging import ACKNOWLEDGED, LONGEST_SHELF_TICKS, MOST_SHELVES, SHELVED, UNKEPT, UNSHELVED
from gateway.alarms.findings import MOST_AWAITING, MOST_STANDING, RECENT_TICKS
from gateway.alarms.history import raises
from gateway.entries.ticks import TICKS_PER_S

HOUR = 3_600 * TICKS_PER_S
QUERY: dict[str, Any] = {"source": "mes", "query": "orders"}


@pytest.fixture
def line() -> ToldLine:
    return ToldLine()


def over(line: ToldLine) -> None:
    line.find("query-failed-over", "info", **QUERY)


@pytest.mark.urs("URS-OBS-03")
def test_acknowledged_and_then_over_it_is_gone(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    line.act(ACKNOWLEDGED, line.id_of("query-failed"))
    assert line.states() == {"query-failed": "standing, seen"}
    over(line)
    assert line.states() == {}


@pytest.mark.urs("URS-OBS-03")
def test_over_and_then_acknowledged_it_is_gone_and_not_before(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    over(line)
    line.happen({"type": "heartbeat", "observed": {}}, 40 * RECENT_TICKS)
    line.find("late-data", "warning")
    assert line.states()["query-failed"] == "cleared", "however long nobody came"
    line.act(ACKNOWLEDGED, line.id_of("query-failed"))
    assert "query-failed" not in line.states()


@pytest.mark.urs("URS-OBS-03")
def test_what_comes_again_after_its_end_is_raised_anew_whoever_acknowledged_the_last_one(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    first = line.id_of("query-failed")
    line.act(ACKNOWLEDGED, first)
    over(line)
    line.find("query-failed", **QUERY)
    assert line.states() == {"query-failed": "standing"}
    assert line.id_of("query-failed") != first
    line.act(ACKNOWLEDGED, first)
    assert line.states() == {"query-failed": "standing"}, "that was the former one"


@pytest.mark.urs("URS-OBS-03")
def test_what_comes_again_before_anybody_saw_it_stays_one_alarm(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    id_ = line.id_of("query-failed")
    over(line)
    line.find("query-failed", **QUERY)
    (held,) = line.found.standing
    assert (held.id, held.count, held.cleared, line.found.cleared) == (id_, 2, None, [])


@pytest.mark.urs("URS-OBS-03")
def test_what_only_happened_waits_for_a_person_and_happens_anew_after_that(line: ToldLine) -> None:
    line.find("file-refused", source="mes")
    line.find("file-refused", source="mes")
    first = line.id_of("file-refused")
    assert [held.count for held in line.found.recent] == [2]
    line.act(ACKNOWLEDGED, first)
    assert line.states() == {"file-refused": "recent, seen"}
    line.find("file-refused", source="mes")
    assert line.states() == {"file-refused": "recent"}
    assert line.id_of("file-refused") != first


@pytest.mark.urs("URS-OBS-03")
def test_a_warning_that_becomes_an_alarm_is_not_acknowledged_by_what_was_said_of_the_warning(line: ToldLine) -> None:
    line.find("outside-range", "warning", source="plc", tags=["a"])
    line.act(ACKNOWLEDGED, line.id_of("outside-range"))
    line.find("outside-range", "alarm", source="plc", tags=["a"])
    assert line.states() == {"outside-range": "standing"}


@pytest.mark.urs("URS-OBS-03")
def test_an_alarm_that_nobody_has_seen_is_not_lowered_to_a_warning_and_one_that_rises_again_is_told_again(line: ToldLine) -> None:
    line.find("not-subscribed", source="plc")
    (held,) = line.found.standing
    line.find("not-subscribed", "warning", source="plc")
    assert (held.severity, held.awaits) == ("alarm", True)
    held.told.append("shift")
    line.act(ACKNOWLEDGED, held.id)
    line.find("not-subscribed", "warning", source="plc")
    assert held.severity == "warning"
    line.find("not-subscribed", source="plc")
    assert (held.awaits, held.told) == (True, [])


def test_a_flood_of_one_source_drives_out_its_own_alarms_and_nobody_elses(line: ToldLine) -> None:
    line.find("file-refused", source="lims", name="mine.csv")
    for number in range(1_000):
        line.find("file-refused", source="mes", name=f"{number}.csv")
    assert [held.subject for held in line.found.recent if held.source == "lims"] == ["mine.csv"]
    assert (len(line.found.recent), line.found.unacknowledged) == (MOST_AWAITING, 1_001 - MOST_AWAITING)


def test_over_a_start_what_nobody_acknowledged_waits_and_what_was_acknowledged_stays_so(line: ToldLine) -> None:
    line.find("unit-differs", source="scale")
    line.find("byte-order", source="plc")
    line.act(ACKNOWLEDGED, line.id_of("byte-order"))
    line.happen(START)
    line.happen({"type": "heartbeat", "observed": {}}, 2 * RECENT_TICKS)
    line.find("late-data", "warning")
    assert line.states() == {"unit-differs": "standing", "late-data": "recent, seen"}
    line.act(ACKNOWLEDGED, line.id_of("unit-differs"))
    line.find("late-data", "warning", source="x")
    assert "unit-differs" not in line.states(), "nobody knows whether it stands, somebody has seen it, and a day is over"


@pytest.mark.urs("URS-OBS-03")
def test_a_shelf_has_an_end_holds_over_a_recurrence_and_is_bounded_whatever_the_entry_says(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    line.shelve(line.id_of("query-failed"), 1)
    over(line)
    line.find("query-failed", **QUERY)
    (held,) = line.found.standing
    assert line.found.shelf(held, line.now) is not None
    assert line.found.shelf(held, line.now + HOUR) is None, "it comes back by itself"
    line.shelve(held.id, 100_000)
    assert line.found.shelf(held, line.now + LONGEST_SHELF_TICKS - 1) is not None
    assert line.found.shelf(held, line.now + LONGEST_SHELF_TICKS) is None
    assert len(line.found.shelves) == 1
    line.act(UNSHELVED, held.id)
    assert line.found.shelves == []


def test_the_shelves_are_few(line: ToldLine) -> None:
    for number in range(MOST_SHELVES + 3):
        line.find("outside-range", source="plc", tags=[f"t{number}"])
        line.shelve(line.found.standing[-1].id, 1)
    assert len(line.found.shelves) == MOST_SHELVES


@pytest.mark.urs("URS-OBS-03")
def test_alarms_for_which_there_is_no_room_are_counted_until_somebody_acknowledges_that(line: ToldLine) -> None:
    for number in range(MOST_AWAITING + 3):
        line.find("file-refused", source="mes", query=str(number))
        line.find("query-failed", source="mes", query=str(number))
        line.find("query-failed-over", "info", source="mes", query=str(number))
    for number in range(MOST_STANDING + 2):
        line.find("query-failed", source="lims", query=str(number))
    assert (len(line.found.recent), len(line.found.cleared)) == (MOST_AWAITING, MOST_AWAITING)
    assert (len(line.found.standing), line.found.unacknowledged) == (MOST_STANDING, 8)
    line.act(ACKNOWLEDGED, UNKEPT)
    assert line.found.unacknowledged == 0
    assert len(list(raises(line.entries))) == 2 * MOST_AWAITING + MOST_STANDING + 8, "all are in the history"


@pytest.mark.parametrize("what", [{}, None, "x", {"id": 7}, {"id": "ffffffff", "until": "soon"}, {"until": "2026-11-22T08:00:00Z"}])
@pytest.mark.parametrize("action", [ACKNOWLEDGED, SHELVED, UNSHELVED])
def test_an_entry_that_somebody_wrote_by_hand_ends_nothing(line: ToldLine, action: str, what: Any) -> None:
    line.find("query-failed", **QUERY)
    line.happen({"type": "audit", "action": action, "who": "os:root", "what": what})
    line.happen({"type": "audit", "action": action, "who": "os:root", "what": {"id": line.id_of("query-failed"), "until": "soon"}})
    assert line.states() == {"query-failed": "standing"}
    assert line.found.shelves == []


@pytest.mark.urs("URS-OBS-03")
def test_an_alarm_says_in_which_batches_it_came(line: ToldLine) -> None:
    def stay(transition: str, equipment: str, batch: str) -> None:
        line.happen({"type": "batch", "transition": transition, "equipment": equipment, "batch": batch})

    stay("start", "mixer", "B1")
    stay("start", "dryer", "B2")
    line.find("query-failed", **QUERY)
    line.find("hold-time-exceeded", batch="B9")
    stay("leave", "mixer", "B1")
    line.find("file-refused", source="mes")
    assert {held.code: held.batches for held in line.found.all()} == {
        "query-failed": ["B1", "B2"],
        "hold-time-exceeded": ["B9"],
        "file-refused": ["B2"],
    }


@pytest.mark.urs("URS-OBS-03")
def test_the_history_tells_each_raise_with_its_end_and_who_acknowledged_it(line: ToldLine) -> None:
    line.find("query-failed", **QUERY)
    first = line.now
    over(line)
    line.find("query-failed", **QUERY)
    line.act(ACKNOWLEDGED, line.id_of("query-failed"), "the MES was restarted")
    over(line)
    line.find("file-refused", source="mes")
    line.act(ACKNOWLEDGED, line.id_of("file-refused"), "dropped again by hand")
    line.find("query-failed", **QUERY)
    told = sorted(raises(line.entries), key=lambda one: one.raised)
    assert [(one.code, one.raised - first, one.cleared and one.cleared - first) for one in told] == [
        ("query-failed", 0, TICKS_PER_S),
        ("query-failed", 2 * TICKS_PER_S, 4 * TICKS_PER_S),
        ("file-refused", 5 * TICKS_PER_S, None),
        ("query-failed", 7 * TICKS_PER_S, None),
    ]
    comments = [one.acknowledged and (one.acknowledged.name, one.acknowledged.comment) for one in told]
    otto = "Otto Bediener"
    assert comments == [(otto, "the MES was restarted"), (otto, "the MES was restarted"), (otto, "dropped again by hand"), None]


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["raise", "raise-again", "end", "ack", "start", "happen", "shelve", "wait"]), st.integers(0, 2)), max_size=40
)


@given(ACTIONS)
def test_no_alarm_is_gone_before_it_was_acknowledged_and_the_history_agrees_with_the_lists(actions: list[tuple[str, int]]) -> None:
    line, unseen = ToldLine(), set()
    for action, which in actions:
        told = {"source": "mes", "query": str(which)}
        ids = [held.id for held in line.found.all()]
        match action:
            case "raise" | "raise-again":
                line.find("query-failed", **told)
                unseen.add(f"query-failed {which}")
                if any(held.subject == str(which) and held.acknowledged for held in line.found.standing):
                    unseen.discard(f"query-failed {which}")  # said once more of what stands, and somebody has seen
            case "happen":
                line.find("file-refused", **told)
                unseen.add(f"file-refused {which}")
            case "end":
                line.find("query-failed-over", "info", **told)
            case "ack" if ids:
                held = line.found.named(ids[which % len(ids)])
                assert held is not None
                unseen.discard(f"{held.code} {held.subject}")
                line.act(ACKNOWLEDGED, held.id)
            case "shelve" if ids:
                line.shelve(ids[which % len(ids)], 1)
            case "start":
                line.happen(START)
            case "wait":
                line.happen({"type": "heartbeat", "observed": {}}, RECENT_TICKS)
        assert {f"{held.code} {held.subject}" for held in line.found.all() if held.awaits} == unseen
    open_ = {one.id for one in raises(line.entries) if one.acknowledged is None}
    assert open_ == {held.id for held in line.found.all() if held.awaits}
