"""What the journal's space and other programs do to it is said when it begins, when it gets worse, and when it is over."""

from typing import Any, cast

import pytest

from buffer import Usage
from gateway.operation.parts import Parts
from gateway.runtime.retention import Retention

NO_PARTS = cast("Parts", None)  # nothing of the line is asked for what is said here


def usage(percent: int) -> Usage:
    return Usage(percent, max_bytes=100, free_bytes=100 - percent, fraction=percent / 100, days_to_full=None, wal_bytes=0)


@pytest.mark.urs("URS-BUF-05")
def test_a_journal_that_fills_raises_the_alarm_once_at_each_limit_and_says_when_it_is_over() -> None:
    events: list[Any] = []
    retention = Retention(NO_PARTS, events.append)
    for percent in (10, 69, 70, 75, 85, 90, 80, 71, 10, 11):
        retention._report_space(usage(percent))
    assert [(e["code"], e["severity"], e["evidence"]["used_bytes"]) for e in events] == [
        ("journal-space", "alarm", 70),
        ("journal-space", "alarm", 85),
        ("journal-space", "alarm", 80),
        ("journal-space", "info", 10),
    ]
    assert events[0]["text"] == "the journal fills 70% of its space; days to full: unknown"


def test_another_program_that_hinders_the_journal_is_said_once_until_it_goes_away() -> None:
    events: list[Any] = []
    retention = Retention(NO_PARTS, events.append)
    for why in (None, "a lock", "another lock", None, None, "a lock"):
        retention._report_hindrance(why)
    assert [(e["code"], e["severity"], e["text"], e.get("evidence")) for e in events] == [
        ("journal-hindered", "alarm", "a lock", None),
        ("journal-hindered", "info", "no other program hinders the journal any more", None),
        ("journal-hindered", "alarm", "a lock", None),
    ]
