"""Gaps are exact: links of a real OPC UA and a real Modbus device are cut at random; the gaps are judged against their logs."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.line_rig import Rig, _gaps, _stored, _truth, judged

from simulators.cable import Cable

INTERVAL_S = 0.1
DETECTION_S = 1.0
"""Allowed beside the sampling interval, on a machine that does other things too; the figure says what it was."""
RECONNECT_S = 8.0
CUTS = 10
TICKS = 10_000_000


class CutRig(Rig):
    """A rig whose gateway reaches its devices through cables."""

    def through(self, cables: dict[str, Cable]) -> None:
        """After the plant has started: what the gateway reads of the line names the cables."""
        path = self.folder / "line.toml"
        text = path.read_text().replace("outage_tolerance_s = 60", "outage_tolerance_s = 1")
        for name, cable in cables.items():
            text = text.replace(f"127.0.0.1:{self.ports[name]}", f"127.0.0.1:{cable.port}")
        path.write_text(text)


async def cut_at_random(cables: dict[str, Cable], seed: int) -> dict[str, list[tuple[int, int]]]:
    """Cut one link after the other; returns source -> when it was cut and mended, in ticks."""
    draw, cuts = random.Random(seed), dict[str, list[tuple[int, int]]](plc=[], meter=[])
    for number in range(CUTS):
        name = ("opcua", "modbus")[number % 2]
        cable = cables[name]
        await asyncio.sleep(draw.uniform(2.0, 4.0))
        begun = time.time_ns() // 100
        if draw.random() < 0.5:
            cable.cut()
            await asyncio.sleep(draw.uniform(0.5, 9.0))
        else:
            cable.blackhole()
            await asyncio.sleep(draw.uniform(4.0, 12.0))
            cable.cut()
        cable.mend()
        cuts["plc" if name == "opcua" else "meter"].append((begun, time.time_ns() // 100))
        await asyncio.sleep(RECONNECT_S)
    return cuts


@pytest.mark.bar("F07")
@pytest.mark.urs("URS-DAQ-11", "URS-CTX-08")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_gap_is_where_nobody_looked_and_nowhere_else(tmp_path: Path, figures: Callable[[str, str], None], seed: int) -> None:
    rig = CutRig(tmp_path, tmp_path / "data")
    try:
        await asyncio.to_thread(rig.start_plant)
        cables = {name: Cable("127.0.0.1", rig.ports[name]) for name in ("opcua", "modbus")}
        async with cables["opcua"], cables["modbus"]:
            rig.through(cables)
            await asyncio.to_thread(rig.start_ebr)
            await asyncio.to_thread(rig.start_gateway)
            cuts = await cut_at_random(cables, seed)
            caught_up = False
            for _ in range(120):
                caught_up = await asyncio.to_thread(rig.caught_up)
                if caught_up:
                    break
                await asyncio.sleep(0.5)
            assert caught_up, await asyncio.to_thread(rig.said)
            entries = await asyncio.to_thread(rig.entries)
    finally:
        await asyncio.to_thread(rig.stop)
    verdict = judged(entries, tmp_path / "truth")
    assert verdict.good(), str(verdict)
    stored, gaps = _stored(entries)[0], _gaps(entries, but="not-asked")  # a starved machine's own silence is no cut
    starts_s, ends_s, judged_gaps = [], [], 0
    for source, what in (("plc", "made"), ("meter", "served")):
        for tag, values in _truth(tmp_path / "truth" / f"{source}.jsonl", what).items():
            seen = [(t, v) for t, v in values if tag in stored and stored[tag][v]]
            for start, end in gaps.get(tag, []):
                told = f"{tag}: gap {start} to {end}"
                cut = next((c for c in cuts[source] if c[0] - TICKS < end and start < c[1] + RECONNECT_S * TICKS), None)
                if cut is None:  # a starved gateway lets the server's queue run over
                    lacks = any(start <= t <= end and not (tag in stored and stored[tag][v]) for t, v in values)
                    assert lacks, f"{told}: no link was cut, and nothing is missing"
                    continue
                assert start <= end < 1 << 62, f"{told}: never closed"
                before = max((t for t, _ in seen if t <= start + TICKS // 5), default=start)
                after = min((t for t, _ in seen if t >= end - TICKS // 5), default=end)
                starts_s.append(abs(start - before) / TICKS)
                ends_s.append(abs(after - end) / TICKS)
                judged_gaps += 1
    limit_s = INTERVAL_S + DETECTION_S
    assert max(starts_s) <= limit_s, sorted(starts_s)[-5:]
    assert max(ends_s) <= limit_s, sorted(ends_s)[-5:]
    ends = f"begins off by at most {max(starts_s):.2f} s, ends by {max(ends_s):.2f} s (interval {INTERVAL_S} s)"
    figures("GAPS", f"seed {seed}: {CUTS} cuts, {judged_gaps} tag gaps judged, each over a cut; {ends}; {verdict}")
