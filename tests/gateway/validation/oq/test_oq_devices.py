"""Of the operational qualification's judges: what devices answer wrongly must be marked or a gap; each must be able to fail."""

from dataclasses import replace
from typing import Any

import pytest
from kit.judged import T0, S, verdicts

from config import Line, Source
from gateway.demo.received import Gap, Got, Received
from gateway.validation.oq import devices, mes
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


def got(line: Line, status: int, value: Any, code: str | None = None) -> tuple[Received, Any]:
    tag = line.tags_of("granulator-plc")[0]
    reading = Got(value, status, "change", T0, None, T0, 1, 1)
    findings = [] if code is None else [{"code": code}]
    return Received(readings={"granulator-plc": {tag.tag: [reading]}}, findings=findings), tag


def test_what_is_wrong_must_be_marked_and_hold_no_value(line: Line) -> None:
    assert devices.bad(*got(line, 0x8000_0000, None))
    assert not devices.bad(*got(line, 0x8000_0000, 4.5)), "a value beside Bad"
    assert not devices.bad(*got(line, 0, 4.5))
    assert devices.uncertain(*got(line, 0x4000_0000, 99, "code-unlisted"))
    assert not devices.uncertain(*got(line, 0x4000_0000, 99))
    assert not devices.uncertain(*got(line, 0, 99, "code-unlisted"))
    assert not devices.gone(*got(line, 0, 4.5))
    received, tag = got(line, 0, 4.5)
    received.gaps[1, "g"] = Gap(tag.source, frozenset({tag.tag}), T0, "node-unusable")
    assert devices.gone(received, tag)
    assert devices.later(*got(line, 0x8000_0000, None), 1).readings[tag.source][tag.tag] == [], "what was there before proves nothing"


@pytest.mark.parametrize(
    ("ends", "verdict"), [([T0 + S, T0 + S], "passed"), ([T0 + S], "failed"), ([T0 + S, None], "failed"), ([], "failed")]
)
def test_a_link_that_was_away_twice_must_leave_two_gaps_that_ended(ends: list[int | None], verdict: str) -> None:
    told = Told()
    gaps = {(1, str(number)): replace(Gap("plc", "all", T0, "link-lost"), end=end) for number, end in enumerate(ends)}
    devices.judge_gaps(told, Received(gaps=gaps), {"plc": 2})
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(("ends", "verdict"), [({"a": T0 + S}, "failed"), ({"a": T0 + S, "b": T0 + 3 * S}, "passed")])
def test_a_gap_of_which_one_tag_was_observed_again_has_not_ended(ends: dict[str, int], verdict: str) -> None:
    told = Told()
    gaps = {(1, str(number)): replace(Gap("plc", "all", T0, "link-lost"), ends=ends) for number in range(2)}
    devices.judge_gaps(told, Received(gaps=gaps), {"plc": 2})
    assert verdicts(told) == [verdict]


def test_a_line_without_a_mes_or_a_laboratory_is_no_lack() -> None:
    assert (
        mes.Query(Source(name="m", driver="mes_sql", endpoint="x"), {"name": "q", "key": ["a", "b"], "watermark": {}}).key(
            {"a": 1, "b": "x/y"}
        )
        == "1/x%2Fy"
    )
