"""A receiver whose address refuses the connection is told apart from one that is silent: it may be asked again soon."""

import asyncio

import orjson
import pytest
from kit.processes import DEADLINE_S
from kit.uplink_bench import Bench

from buffer import Body
from gateway.uplink.errors import NobodyListens

ALARM = {"type": "alarm", "alarm": "G-HIGH", "state": "raised", "equipment": None, "at": {"time": "2026-11-22T07:15:02.512345Z"}}
RECORD = Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": ALARM})[1:])


@pytest.mark.urs("URS-UPL-04")
@pytest.mark.parametrize("options", [{"kind": "mqtt"}, {"kind": "https"}, {"kind": "https", "profile": "records"}], ids=str)
async def test_an_uplink_says_that_nobody_listens_at_its_address(bench: Bench, options: dict[str, str]) -> None:
    bench.journal.append([RECORD], urgent=True).result()  # with the profile `records` nothing else makes it connect
    forward = bench.forward(bench.uplink(**options))
    with pytest.raises(NobodyListens):
        async with asyncio.timeout(DEADLINE_S):
            await forward.run()
    assert forward.status.state == "unreachable"
