"""Cases of the operational qualification, each played against a gateway that does one thing wrong: the case must say so.

A gateway is spoiled at a seam, in its own process, before it begins; nothing of the case, the devices or the EBR knows of it.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

import config
from gateway.validation.oq.case import Case
from gateway.validation.oq.cases import CASES
from gateway.validation.oq.clock import library
from gateway.validation.oq.stage import Died, How, Stage, TooSlow
from gateway.validation.oq.storage import why_not
from gateway.validation.steps import Step, Told

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_500), pytest.mark.urs("URS-VAL-04")]
SITE = config.load(Path(config.__file__).parent / "examples" / "granulation-2")
BEGUN = "\nfrom gateway.cli import main\nmain()\n"


class Spoiled(NamedTuple):
    """A gateway that does one thing wrong. code: how it is made so. fails: what the step begins with that must fail."""

    case: str
    code: str
    fails: str


SPOILED = {
    "a torn value is taken as it comes": Spoiled(
        "OQ-27", "import drivers.modbus.unit as unit\nunit.doubtful = lambda *_: ()", "have dryer.air_total run on"
    ),
    "exchanged words are not told": Spoiled(
        "OQ-27", "import drivers.modbus.byte_orders as orders\norders.likelier_orders = lambda *_: []", "replace dryer-plc"
    ),
    "a second booking is not told": Spoiled(
        "OQ-28",
        "from gateway.context.materials.posting import Posting\nPosting._deviations = lambda *_: None",
        "read what was told of granules",
    ),
    "a leap second is a step like any other": Spoiled(
        "OQ-29", "import gateway.clock.clock as clock\nclock.is_leap_step = lambda *_: False", "repeat the last second"
    ),
    "a leap second widens no bound": Spoiled(
        "OQ-29", "import gateway.clock.clock as clock\nclock.leap_extra_s = lambda *_: 0.0", "read how sure the times"
    ),
    "no receipt is believed": Spoiled(
        "OQ-30",
        "from gateway.uplink.judge import Judge\nasync def never(self, receipt):\n    return False\nJudge._judge = never",
        "have the EBR get a share",
    ),
    "a value by hand comes in each time": Spoiled(
        "OQ-32",
        "import gateway.operation.manual_import as by_hand\nby_hand.sifted = lambda _, read, __: read",
        "import the same file once more",
    ),
    "one person is enough": Spoiled(
        "OQ-32", "import gateway.operation.manual_entries as entries\nentries._persons = lambda _: ''", "import values that one person"
    ),
}


async def to_its_end(case: Case, stage: Stage, told: Told) -> None:
    await case.play(stage, told, 15.0)


def played(case_id: str, folder: Path, code: str) -> list[Step]:
    case, told = next(one for one in CASES if one.id == case_id), Told(lambda step: print(*step[:4], sep=" | ", flush=True))  # noqa: T201
    stage = Stage(SITE, folder, 1, 20.0, How(case.timed))
    stage.gateway.command = [sys.executable, "-P", "-c", code + BEGUN, "run", str(stage.line.folder)]
    with suppress(TooSlow, Died):  # of a gateway that is wrong a case may come to no end
        asyncio.run(to_its_end(case, stage, told))
        return told.steps
    told.step("come to an end", "it does", "it does not", False)
    return told.steps


def can_be_played(case_id: str) -> None:
    if case_id == "OQ-29" and library() is None:
        pytest.skip("needs libfaketime")
    if case_id == "OQ-31" and why_not() is not None:
        pytest.skip("needs a kernel that hands calls over")


@pytest.mark.urs("URS-BUF-02")
@pytest.mark.parametrize("case_id", ["OQ-27", "OQ-28", "OQ-29", "OQ-30", "OQ-31", "OQ-32"])
def test_a_case_passes_on_a_gateway_that_does_everything_right(tmp_path: Path, case_id: str) -> None:
    """A step that a machine with other work gives nothing to look at is no failure."""
    can_be_played(case_id)
    steps = played(case_id, tmp_path / "stage", "")
    assert [step[:4] for step in steps if step.verdict == "failed"] == []
    assert "passed" in {step.verdict for step in steps}, [step[:4] for step in steps]


@pytest.mark.parametrize("name", SPOILED)
def test_a_case_fails_on_a_gateway_that_does_this_wrong(tmp_path: Path, name: str) -> None:
    one = SPOILED[name]
    can_be_played(one.case)
    steps = played(one.case, tmp_path / "stage", one.code)
    failed = [step.action for step in steps if step.verdict == "failed"]
    assert any(action.startswith(one.fails) for action in failed), [step[:4] for step in steps]


def test_a_gateway_that_says_nothing_of_what_a_disk_lost_fails(tmp_path: Path) -> None:
    code = "import gateway.uplink.judge as judge\njudge.CONTRADICTS = frozenset()"
    can_be_played("OQ-31")
    steps = played("OQ-31", tmp_path / "stage", code)
    assert "failed" in {step.verdict for step in steps}, [step[:4] for step in steps]
