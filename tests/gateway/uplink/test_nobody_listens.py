"""A receiver whose address refuses the connection is told apart from one that is silent: it may be asked again soon."""

import pytest
from kit.uplink_bench import Bench

from gateway.uplink.errors import NobodyListens


@pytest.mark.urs("URS-UPL-04")
@pytest.mark.parametrize("options", [{"kind": "mqtt"}, {"kind": "https"}, {"kind": "https", "profile": "records"}], ids=str)
async def test_an_uplink_says_that_nobody_listens_at_its_address(bench: Bench, options: dict[str, str]) -> None:
    bench.append(1)
    forward = bench.forward(bench.uplink(**options))
    with pytest.raises(NobodyListens):
        await forward.run()
    assert forward.status.state == "unreachable"
