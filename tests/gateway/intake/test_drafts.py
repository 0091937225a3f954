"""Drafts become entries and the fold's input by pure functions."""

import json

import pytest

from gateway.clock import Stamp, Status
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.intake.drafts import (
    EventDraft,
    ReadingsDraft,
    event_entry,
    event_input,
    numbered,
    readings_entry,
    readings_input,
)

STAMP = Stamp(17_953_300_000_000_000, "synchronised", 0.001, "boot", 12.5)
FIXED = {"config": {"version": 3, "sha256": "ab"}, "environment": "production"}
READINGS = ReadingsDraft(
    "plc", {"authority": "device", "offset_s": 0.2}, "0123456789abcdef", [(0, 1.5, 0, 7, "change")], b'"readings":[[0,1.5]]}'
)
OPENED = {"type": "gap", "transition": "open", "source": "plc", "tags": "all", "cause": "link-lost"}


def test_a_gap_that_opens_is_named_by_its_source_and_number_and_a_second_name_is_not_invented() -> None:
    draft = EventDraft(OPENED, "plc")

    assert numbered(draft, 4711) == EventDraft({"type": "gap", "transition": "open", "gap": "plc/4711", **OPENED}, "plc")
    assert list(numbered(draft, 4711).event)[:3] == ["type", "transition", "gap"]
    assert draft.event == OPENED


@pytest.mark.parametrize("event", [{"type": "gap", "transition": "fill", "source": "plc"}, {"type": "heartbeat", "observed": {}}])
def test_any_other_event_is_as_it_was_drafted(event: dict[str, str]) -> None:
    draft = EventDraft(event)

    assert numbered(draft, 4711) is draft


@pytest.mark.urs("URS-TIME-03", "URS-CTX-01", "URS-CFG-01", "URS-CFG-07")
def test_an_entry_of_readings_begins_with_its_head_and_ends_with_its_table() -> None:
    body = readings_entry(READINGS, STAMP, FIXED, {"granulator": {"batch": "B1"}})

    assert body.schema == "ebr-gateway/readings/1"
    assert list(json.loads(b"{" + body.body).items()) == [
        ("time", "2026-11-22T06:46:40.000000Z"),
        ("clock", {"status": "synchronised", "bound_s": 0.001, "boot": "boot", "monotonic_s": 12.5}),
        ("source", "plc"),
        ("source_clock", {"authority": "device", "offset_s": 0.2}),
        ("config", {"version": 3, "sha256": "ab"}),
        ("environment", "production"),
        ("contexts", {"granulator": {"batch": "B1"}}),
        ("tagset", "0123456789abcdef"),
        ("readings", [[0, 1.5]]),
    ]


@pytest.mark.urs("URS-TIME-03")
@pytest.mark.parametrize(
    ("draft", "members"),
    [
        (EventDraft({"type": "heartbeat"}), ["time", "clock", "config", "environment", "event"]),
        (EventDraft({"type": "finding"}, "plc"), ["time", "clock", "source", "config", "environment", "event"]),
        (
            EventDraft({"type": "message"}, "mes", {"authority": "server"}),
            ["time", "clock", "source", "source_clock", "config", "environment", "event"],
        ),
    ],
)
def test_the_head_of_an_event_names_its_source_if_it_has_one(draft: EventDraft, members: list[str]) -> None:
    body = event_entry(draft, STAMP, FIXED)

    entry = json.loads(b"{" + body.body)
    assert (body.schema, list(entry), entry["event"]) == ("ebr-gateway/event/1", members, draft.event)


@pytest.mark.urs("URS-TIME-06")
@pytest.mark.parametrize(
    ("status", "verified"), [("synchronised", True), ("holdover", True), ("unsynchronised", False), ("unknown", False)]
)
def test_the_fold_is_told_whether_the_time_of_an_entry_is_verified(status: Status, verified: bool) -> None:
    stamp = STAMP._replace(status=status)

    assert readings_input(READINGS, 9, stamp) == ReadingsInput(9, STAMP.ticks, "plc", READINGS.seen, verified)
    assert event_input(EventDraft(OPENED, "plc"), 9, stamp) == EventInput(9, STAMP.ticks, OPENED, verified)
