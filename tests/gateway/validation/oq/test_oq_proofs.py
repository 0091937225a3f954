"""What the cases of the operational qualification compare in the end: all that a device had, but tags that it was ordered to spoil."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kit.judged import T0, S, verdicts

from config import Line
from gateway.demo.received import Got, Received
from gateway.validation.oq.case import Told
from gateway.validation.oq.proofs import compared
from gateway.validation.oq.stage import Stage

pytestmark = pytest.mark.urs("URS-VAL-04")


def stage(line: Line, folder: Path) -> Stage:
    """A polled device that answered two tags, of which one came."""
    (folder / "truth").mkdir()
    items = [{"what": what, "tag": tag, "t": T0, "value": 1} for tag in ("dryer.air_total", "dryer.step_no") for what in ("made", "served")]
    (folder / "truth" / "dryer-plc.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    reading = Got(1, 0, "change", None, T0 - S, T0 + S, 1, 1)
    got = Received(readings={"dryer-plc": {"dryer.step_no": [reading]}})
    made: Any = SimpleNamespace(line=line, folder=folder, served=frozenset({"dryer-plc"}), received=lambda: got)
    return cast("Stage", made)


@pytest.mark.parametrize(("without", "verdict"), [((), "failed"), (("dryer.air_total",), "passed"), (("dryer.step_no",), "failed")])
def test_a_tag_that_was_spoiled_is_left_out_of_what_a_polled_device_answered(
    line: Line, tmp_path: Path, without: tuple[str, ...], verdict: str
) -> None:
    told = Told()
    compared(stage(line, tmp_path), told, without=without)
    assert verdicts(told) == [verdict], told.steps
