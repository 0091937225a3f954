"""A hostile server: memory and time of the gateway's process stay bounded, nothing wrong is Good, and each end has its reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.hostile_opcua import NOTIFICATIONS, STREAMS, borne

QUICK = ["250,000 records", "chunks without content"]
CASES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.faults) for name in (*NOTIFICATIONS, *STREAMS)]
MOST_BYTES = 300 << 20
LONGEST_STANDSTILL_S = 1.0


@pytest.mark.bar("S12")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_server_costs_neither_memory_nor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: Callable[[str, str], None], name: str
) -> None:
    told: dict[str, Any] = await borne(tmp_path, monkeypatch, name, 4.0 if name in QUICK else 10.0)
    ends = sorted(set(told["ended"]))
    mib, standstill_s = told["rss_bytes"] / (1 << 20), told["longest_s"]
    figures(
        "hostile", f"{name}: {mib:.0f} MiB, loop blocked {standstill_s:.2f} s at most, {len(told['ended'])} ends, {'; '.join(ends)[:160]}"
    )
    assert told["wrong"] == 0
    assert told["rss_bytes"] < MOST_BYTES
    assert all(ends)
    assert told["computed_s"] < LONGEST_STANDSTILL_S
