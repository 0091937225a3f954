"""Random combinations of faults on whole lines, one seed each.

Judges are the devices' own logs, the receiver's store and the verifier. EBR_SCENARIOS says how many seeds (100 if it is not set),
EBR_FIRST_SEED where they begin, EBR_AT_ONCE how many lines run at the same time. A seed draws which faults overlap, when and for how long.
"""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kit.broken_line import Story, Told
from kit.quick_rig import memory_folder, preload

SCENARIOS = int(os.environ.get("EBR_SCENARIOS", "100"))
FIRST = int(os.environ.get("EBR_FIRST_SEED", "1"))
AT_ONCE = int(os.environ.get("EBR_AT_ONCE", str(2 * (os.cpu_count() or 1))))


async def told(folder: Path, seed: int, turn: asyncio.Semaphore) -> Told:
    """Play a story when it is its turn; what went wrong is kept to be looked at."""
    async with turn:
        its = await Story(folder / str(seed), seed).told()
    if its.wrong:
        print(f"seed {seed} {its.done}: {its.wrong}\n  in {folder / str(seed)}", flush=True)  # noqa: T201 - a run takes an hour
    else:
        await asyncio.to_thread(shutil.rmtree, folder / str(seed), ignore_errors=True)
    return its


def middle(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@pytest.mark.bar("F43", "F45")  # each story is ended by SIGTERM while the plant goes on
@pytest.mark.urs("URS-DAQ-11", "URS-BUF-01", "URS-BUF-02", "URS-BUF-09")
@pytest.mark.timeout(1200 + 60 * SCENARIOS)
async def test_any_combination_of_faults_leaves_everything_in_the_record_or_in_a_gap(
    tmp_path: Path, figure: Callable[[str, object], None]
) -> None:
    preload()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8 * AT_ONCE))
    folder, turn = Path(tempfile.mkdtemp(prefix="many-faults-", dir=memory_folder(tmp_path))), asyncio.Semaphore(AT_ONCE)
    seeds = range(FIRST, FIRST + SCENARIOS)
    told_of = dict(zip(seeds, await asyncio.gather(*(told(folder, seed, turn) for seed in seeds)), strict=True))
    wrong = {seed: f"{its.done}: {its.wrong}" for seed, its in told_of.items() if its.wrong}
    verdicts = [its.verdict for its in told_of.values() if its.verdict is not None]
    waits = [its.caught_up_s for its in told_of.values()]
    figure("seeds, failures", f"{FIRST} to {FIRST + SCENARIOS - 1}, {len(wrong)}")
    figure("faults", dict(sorted(sum((Counter(its.done) for its in told_of.values()), Counter[str]()).items())))
    sums = [sum(getattr(verdict, name) for verdict in verdicts) for name in ("made", "in_gaps", "lost", "doubled", "invented")]
    figure("values made, of them in gaps, lost, doubled, invented", ", ".join(map(str, sums)))
    figure("s until caught up after the last fault: p50, p95, longest", ", ".join(f"{middle(waits, at):.1f}" for at in (0.5, 0.95, 1.0)))
    figure("MiB of the largest gateway", f"{max(its.memory for its in told_of.values()):.0f}")
    assert wrong == {}
    shutil.rmtree(folder, ignore_errors=True)
