"""A source that still owes what it had is not known to have been observed, though later values of it are in the journal."""

import asyncio
import time
from pathlib import Path

import pytest
from kit.intake_line import Line, events_of, numeric

from config import examples
from drivers.contract import BEHIND
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

PLC = "granulator-plc"


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("behind_s", [None, 150])
async def test_the_gap_of_a_kill_begins_where_the_source_had_given_all_that_it_had(tmp_path: Path, behind_s: int | None) -> None:
    examples.copy("granulation-2", tmp_path / "line")
    line = Line(tmp_path / "line")
    port = line.port(PLC)
    now, tag = line.clock.stamp().ticks, numeric(port)[0]
    through = None if behind_s is None else now - behind_s * TICKS_PER_S
    await port([(tag, 1.5, 0, now, now)], received_ns=time.monotonic_ns(), observed_ticks=through, watermark={"slots": {}, BEHIND: through})
    await asyncio.to_thread(line.journal.close)

    again = Line(tmp_path / "line")
    await again.port(PLC).stopped("gateway-crashed", "")
    starts = [from_rfc3339(event["start"]) for event in events_of(await again.entries(), "gap")]
    await asyncio.to_thread(again.journal.close)
    assert starts
    if through is None:
        assert min(starts) > now - 10 * TICKS_PER_S
    else:
        assert through - 10 * TICKS_PER_S < max(starts) <= through
