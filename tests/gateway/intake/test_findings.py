"""Findings: as events, and each told once until it changes."""

import pytest

from config import Source, Tag
from drivers.contract import Finding
from gateway.clock import Offset
from gateway.intake.drafts import EventDraft
from gateway.intake.findings import Findings, clock_off

TAGS = [Tag("speed", "plc", "a", "float64"), Tag("step", "plc", "b", "int16")]


def test_a_finding_names_its_tags_as_the_map_does() -> None:
    finding = Finding("revised-rate", "revised to 500 ms", (1,), evidence={"rate_ms": 500})

    event = {"type": "finding", "source": "plc", "code": "revised-rate", "text": "revised to 500 ms", "tags": ["step"]}
    assert Findings("plc", TAGS).draft(finding) == EventDraft({**event, "severity": "warning", "evidence": {"rate_ms": 500}}, "plc")


def test_a_finding_is_news_until_it_is_noted_and_when_its_text_changes() -> None:
    findings = Findings("plc", TAGS)
    first, other_tag = Finding("revised-rate", "to 500 ms", (1,)), Finding("revised-rate", "to 500 ms", (0,))
    changed = Finding("revised-rate", "to 250 ms", (1,))

    assert findings.is_news(first)
    assert findings.is_news(first)
    findings.note(first)
    assert [findings.is_news(each) for each in (first, other_tag, changed)] == [False, True, True]
    findings.note(changed)
    assert findings.is_news(first)


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-10")
def test_a_misfit_is_told_once_per_tag_with_the_value_that_came_first() -> None:
    findings = Findings("plc", TAGS)

    drafts = findings.of_misfits([("type-differs", 1, "x" * 500), ("type-differs", 1, "y"), ("type-differs", 0, None)])

    texts = [draft.event["text"] for draft in drafts]
    assert texts == [
        "step: the source sent another type; stored as Bad (declared int16)",
        "speed: the source sent another type; stored as Bad (declared float64)",
    ]
    assert [len(draft.event["evidence"]["value"]) for draft in drafts] == [200, 4]
    assert findings.of_misfits([("type-differs", 1, "z")]) == []


@pytest.mark.urs("URS-TIME-12")
def test_a_clock_over_its_limit_is_an_alarm_and_back_within_it_an_information() -> None:
    source = Source(name="plc", driver="opcua", endpoint="x", max_offset_s=2.0)

    off = clock_off(source, Offset(3.5, 0.01, above=True))
    back = clock_off(source, Offset(0.1, 0.01, above=False, by="stamps"))

    assert (off.severity, off.text) == (
        "alarm",
        "plc: its clock, asked for its time, is +3.500 s (+-0.010 s) against ours, limit 2 s",
    )
    assert off.evidence == {"offset_s": 3.5, "bound_s": 0.01, "limit_s": 2.0, "by": "question"}
    assert (back.severity, back.evidence["by"]) == ("info", "stamps")
