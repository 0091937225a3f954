"""What another release decided by other rules is told as that, and not as something that was changed."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from kit.collector import fail_on
from kit.commands import called

import config
from buffer import Journal
from config import Line, examples
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.evidence import recompute
from gateway.intake import Intake
from gateway.intake.preamble import software_version

pytestmark = pytest.mark.urs("URS-OPS-04")
PLC = "granulator-plc"


@pytest.fixture
def line(tmp_path: Path) -> Line:
    examples.copy("granulation-2", tmp_path / "line")
    return config.load(tmp_path / "line")


async def run(line: Line, software: str) -> None:
    """One run of a release: it says so, and steps begin and end."""
    journal = Journal.open(line.data, line.gateway, commit_interval_s=0.001, retain_s=0, max_bytes=100_000_000)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=fail_on)
    intake.begin()
    await intake.happened({"type": "audit", "action": "start", "what": {"software": software}})
    plc = intake.ports[PLC]
    step = next(index for index, tag in enumerate(plc.tags) if tag.tag == "granulator.step_no")
    for number in (10, 20, 30):
        ticks = time.time_ns() // 100
        await plc([(step, number, 0, ticks, ticks)], received_ns=time.monotonic_ns())
    await asyncio.to_thread(journal.close)


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    was = Fold.decide

    def decide(fold: Fold, item: Any, **words: Any) -> list[dict[str, Any]]:
        return [{**event, "cause": "by-other-rules"} for event in was(fold, item, **words)]

    monkeypatch.setattr(Fold, "decide", decide)
    return monkeypatch


async def test_what_another_release_decided_is_no_difference_of_this_one(line: Line, other_rules: pytest.MonkeyPatch) -> None:
    await run(line, "0.0.9")
    other_rules.undo()
    found = recompute.differences(line.data, None)
    assert found.differences
    assert {each.software for each in found.differences} == {"0.0.9"}
    assert "(by release 0.0.9)" in recompute.text_of(found.differences[0])
    assert found.by_others(software_version()) == ["0.0.9"]
    told = await asyncio.to_thread(called, "recompute", line.folder)
    assert told.returncode == 3
    assert f"all that differs was decided by release 0.0.9, and this is {software_version()}" in told.stderr


async def test_what_this_release_decided_otherwise_is_a_finding(line: Line, other_rules: pytest.MonkeyPatch) -> None:
    await run(line, software_version())
    other_rules.undo()
    assert recompute.differences(line.data, None).by_others(software_version()) == []
    told = await asyncio.to_thread(called, "recompute", line.folder)
    assert (told.returncode, "all that differs" in told.stderr) == (1, False)


async def test_what_nobody_says_who_decided_is_a_finding(line: Line, other_rules: pytest.MonkeyPatch) -> None:
    await run(line, "")
    other_rules.undo()
    found = recompute.differences(line.data, None)
    found.differences.append(found.differences[0]._replace(software=None))
    assert found.by_others(software_version()) == []
