"""Twice the nominal rate for minutes, with a restarted receiver in between: memory, files and threads of the gateway do not grow.

EBR_SOAK_S says for how long (420 s if it is not set). Growth is the slope of a straight line through what was seen in the last quarter: in
the first minutes the caches of the journal's database fill, and what Python keeps of its allocations.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kit.line_rig import Rig, ended
from kit.processes import until

SOAK_S = float(os.environ.get("EBR_SOAK_S", "420"))
MIB = 1 << 20
MOST_MIB_PER_MIN = 0.5
"""However long it ran: pages that the allocator keeps, a larger log of the journal's catalogue; not a list that grows by each value."""
Seen = tuple[float, float, int, int]
"""(s, MiB of private memory, files, threads)"""


def seen(process: psutil.Process, began_s: float) -> Seen:
    memory = process.memory_full_info().uss / MIB
    return time.monotonic() - began_s, memory, process.num_fds(), process.num_threads()


def slope_per_s(points: list[tuple[float, float]]) -> float:
    """The least-squares slope."""
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


@pytest.mark.bar("F14")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(600 + int(2 * SOAK_S))
def test_hours_at_twice_the_rate_cost_no_memory_files_or_threads(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    rig = Rig(tmp_path, tmp_path / "data", tags=50, every_s=0.05)
    try:
        rig.start_plant()
        rig.start_ebr()
        rig.start_gateway()
        assert rig.gateway is not None
        gateway, began_s, looks = psutil.Process(rig.gateway.pid), time.monotonic(), list[Seen]()
        restarted = False
        while time.monotonic() - began_s < SOAK_S:
            looks.append(seen(gateway, began_s))
            if not restarted and time.monotonic() - began_s > SOAK_S / 4:
                ended(rig.ebr)
                rig.start_ebr()
                restarted = True
            time.sleep(1.0)
        until(rig.caught_up)
        assert ended(rig.gateway) == 0, rig.said()
        verdict = rig.judged()
    finally:
        rig.stop()
    counted = [look for look in looks if look[0] > 0.75 * SOAK_S]
    per_min = 60 * slope_per_s([(at, memory) for at, memory, *_ in counted])
    figure("s at twice the rate, values", f"{SOAK_S:.0f}, {verdict.made}")
    figure("MiB per minute in the last quarter, most MiB", f"{per_min:+.2f}, {max(look[1] for look in looks):.0f}")
    figure("MiB at each tenth", " ".join(f"{look[1]:.0f}" for look in looks[:: max(1, len(looks) // 10)]))
    figure("files first and last, threads first and last", f"{counted[0][2]} {counted[-1][2]}, {counted[0][3]} {counted[-1][3]}")
    figure("record", verdict)
    assert verdict.good(), str(verdict)
    assert per_min < MOST_MIB_PER_MIN, f"memory still rises by {per_min:.2f} MiB a minute"
    assert counted[-1][2] <= counted[0][2] + 3
    assert counted[-1][3] <= counted[0][3] + 2
