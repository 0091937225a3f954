"""Of the operational qualification's judges: a fallback must be exported whole and come in once, by two; each must be able to fail."""

import json
from collections import Counter
from typing import Any

import pytest
from kit.judged import verdicts

from config import Line
from gateway.validation.oq import fallback
from gateway.validation.oq.case import Told
from gateway.validation.oq.fallback import FIRST, SECOND, VALUES, Hand

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-OBS-07")


@pytest.mark.parametrize(
    ("held", "files", "verdict"),
    [
        ({"a": 3, "b": 2}, [{"a": 3}, {"a": 3, "b": 2}], "passed"),
        ({"a": 3, "b": 2}, [{"a": 2}, {"b": 2}], "failed"),
        ({"a": 3, "b": 2}, [{"a": 4}, {"b": 2}], "failed"),
        ({"a": 3, "b": 2}, [{"a": 3}], "failed"),
        ({"a": 3}, [{"a": 3, "c": 1}], "failed"),
        ({}, [], "not checked"),
    ],
)
def test_each_reading_must_be_exported_once(held: dict[str, int], files: list[dict[str, int]], verdict: str) -> None:
    told = Told()
    fallback.judge_exported(told, Counter(held), [Counter(one) for one in files])
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"imported": 2, "before": 0}, "passed"),
        ({"imported": 1, "before": 0}, "failed"),
        ({"imported": 2, "before": 1}, "failed"),
        ({"error": "oq.csv:2: x"}, "failed"),
    ],
)
def test_as_many_must_come_in_as_are_new(answer: dict[str, Any], verdict: str) -> None:
    told = Told()
    fallback.judge_import(told, "x", answer, (2, 0))
    assert verdicts(told) == [verdict]


def audit(action: str, **what: Any) -> dict[str, Any]:
    return {"action": action, "what": what}


def by_hand(value: str, second: str = SECOND, origin: str = "manual") -> dict[str, Any]:
    return audit("manual-entry", value=value, origin=origin, entered_by=FIRST, second_person=second)


SWITCHED = [audit("fallback-begun"), audit("fallback-ended")]
WRITTEN = [by_hand(value) for value in VALUES]


@pytest.mark.parametrize(
    ("audits", "verdict"),
    [
        ([*SWITCHED, *WRITTEN], ["passed", "passed"]),
        ([SWITCHED[0], *WRITTEN], ["failed", "passed"]),
        ([*SWITCHED, SWITCHED[0], *WRITTEN], ["failed", "passed"]),
        ([*SWITCHED, *WRITTEN, WRITTEN[0]], ["passed", "failed"]),
        ([*SWITCHED, WRITTEN[0]], ["passed", "failed"]),
        ([*SWITCHED, WRITTEN[0], by_hand(VALUES[1], FIRST)], ["passed", "failed"]),
        ([*SWITCHED, WRITTEN[0], by_hand(VALUES[1], origin="measured")], ["passed", "failed"]),
    ],
)
def test_the_record_must_have_the_switch_and_each_value_once(audits: list[dict[str, Any]], verdict: list[str]) -> None:
    told = Told()
    fallback.judge_record(told, audits)
    assert verdicts(told) == verdict


def test_readings_are_counted_by_when_their_entries_were_made() -> None:
    tags: dict[str, Any] = {"event": {"type": "tagset", "tagset": "t", "first": 0, "tags": [{"tag": "a"}, {"tag": "b"}]}}
    one: dict[str, Any] = {"tagset": "t", "columns": ["tag", "value"], "constant": {}, "readings": [[0, 1.0], [1, 2.0]]}
    other: dict[str, Any] = {"tagset": "t", "columns": ["value"], "constant": {"tag": 0}, "readings": [[3.0]]}
    entries = [
        tags,
        one | {"time": "2026-11-30T08:00:00Z"},
        other | {"time": "2026-11-30T08:00:01Z"},
        one | {"time": "2026-11-30T08:00:02Z"},
    ]
    payloads = [json.dumps({"epoch": 1, "seq": number, **entry}).encode() for number, entry in enumerate(entries, 1)]
    assert fallback.readings_of(payloads, ("2026-11-30T08:00:00Z", "2026-11-30T08:00:02Z")) == Counter(a=2, b=1)


def test_an_equipment_with_a_batch_and_a_field_is_written_of(line: Line) -> None:
    now = {"equipment": {"dryer": {"batch": "B2026-0417"}, "granulator": {"batch": None}}}
    hand = fallback.of_now(now, line.parameters)
    assert hand is not None
    assert (hand.equipment, hand.batch) == ("dryer", "B2026-0417")
    assert fallback.of_now({"equipment": {}}, line.parameters) is None
    assert fallback.of_now(None, line.parameters) is None
    lines = fallback.written(Hand("dryer", "B2026-0417", "PM-7"), "2026-11-30T08:00:00Z").splitlines()
    assert lines[1] == f'2026-11-30T08:00:00Z,B2026-0417,dryer,PM-7,"7.1",{FIRST},{SECOND},'
