"""What the program has to say to a person stands in the journal when it is news, and not more often."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.findings import QUIET_S, Announcer, finding


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    return [(event["code"], event["severity"], event["evidence"].get("kept_back")) for event in events]


def test_a_finding_is_an_event_whose_members_stand_in_one_order() -> None:
    whole = finding("window-overflow", "warning", "too much", {"rows": 7}, source="mes", tags=("a", "b"))
    assert orjson.dumps(whole) == (
        b'{"type":"finding","code":"window-overflow","severity":"warning","source":"mes","tags":["a","b"],"text":"too much",'
        b'"evidence":{"rows":7}}'
    )
    assert orjson.dumps(finding("journal-recovered", "alarm", "x")) == (
        b'{"type":"finding","code":"journal-recovered","severity":"alarm","source":null,"tags":[],"text":"x"}'
    )


def test_a_flood_of_one_finding_is_said_once_a_minute_with_its_count() -> None:
    clock, events = Clock(), list[dict[str, Any]]()
    announcer = Announcer(events.append, clock=clock)
    for _ in range(500):
        announcer.say("digest-mismatch", "alarm", "no")
        announcer.say("unreadable", "warning", "what?", about="receipt")
    clock.now += QUIET_S
    announcer.say("digest-mismatch", "alarm", "no")
    announcer.over("digest-mismatch", "fine again")
    announcer.over("digest-mismatch", "fine again")
    announcer.say("digest-mismatch", "alarm", "no")
    assert told(events) == [
        ("digest-mismatch", "alarm", None),
        ("unreadable", "warning", None),
        ("digest-mismatch", "alarm", 499),
        ("digest-mismatch-over", "info", None),
        ("digest-mismatch", "alarm", None),
    ]
    assert events[1]["evidence"] == {"about": "receipt"}


@given(st.lists(st.integers(0, 100), max_size=60))
def test_every_one_of_a_flood_is_counted_once_and_two_reports_are_a_minute_apart(waits_s: list[int]) -> None:
    clock, announcer = Clock(), Announcer(print)
    announcer._clock = clock
    counted, reported = 0, list[float]()
    for wait_s in waits_s:
        clock.now += wait_s
        count = announcer.due("refused")
        counted += count
        reported += [clock.now] if count else []
    clock.now += QUIET_S
    assert counted + announcer.due("refused") == len(waits_s) + 1
    assert all(later - earlier >= QUIET_S for earlier, later in pairwise(reported))


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([False, True, True, False, False], [True, False]),
        ([0, 1, 1, 2, 1, 0], [1, 2, 1, 0]),
        (["", "locked", "full", "full", ""], ["locked", "full", ""]),
        ([True], [True]),
    ],
)
def test_what_lasts_is_said_once_until_it_changes(states: list[Any], said: list[Any]) -> None:
    events = list[dict[str, Any]]()
    announcer = Announcer(events.append)
    for state in states:
        announcer.once_until_changed("space", {"state": state}, state=state)
        announcer.once_until_changed("other", {"other": True}, state=bool(state))
    assert [event["state"] for event in events if "state" in event] == said
