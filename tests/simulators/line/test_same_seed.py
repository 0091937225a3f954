"""One line and one seed give one ground-truth log, of every simulator: values, rows, faults, and what the EBR takes and refuses."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import config
from simulators.device import TICKS_PER_S
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.line.drive import TICK_S, Process, served
from simulators.line.endpoints import free_ports, moved
from simulators.line.genealogy import Genealogy
from simulators.line.orders import Script
from simulators.line.place import copied
from simulators.line.scripted import scripted

LINES = Path(config.__file__).parent / "examples"
STARTED = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
BASE = int(STARTED.timestamp()) * TICKS_PER_S
SECONDS = 75.0


async def log_of(name: str, seed: int, folder: Path, *, faults: bool = False) -> dict[str, list[object]]:
    """Play a bundled line as fast as it goes, by the plant's own clock. What its devices write when they start has this machine's time."""
    ports, site = free_ports(), config.load(LINES / name)
    line = copied(site, folder / "line", {source.name: moved(source, next(ports)) for source in site.sources})
    script: Script = scripted(line, seed, SECONDS) if faults else ()
    at = [BASE]
    async with served(line, folder / "truth", None) as devices:
        genealogy = Genealogy(line, folder / "truth")
        process = Process(line, devices, seed, 12.0, genealogy, script, now=lambda: at[0])
        before_s = -TICK_S
        for tick in range(int(SECONDS / TICK_S)):
            now = process.moment(tick * TICK_S, STARTED)
            at[0] = BASE + round(now.at_s * TICKS_PER_S)
            await process.tick(now, before_s)
            before_s = now.at_s
        genealogy.close()
    return {
        path.stem: [_in_plant_time(json.loads(line)) for line in path.read_text().splitlines()] for path in (folder / "truth").iterdir()
    }


def _in_plant_time(item: dict[str, object]) -> dict[str, object]:
    ticks = item.get("t")
    return item if not isinstance(ticks, int) or BASE <= ticks <= BASE + 2 * SECONDS * TICKS_PER_S else {**item, "t": None}


@pytest.mark.urs("URS-VAL-06")
@pytest.mark.parametrize("name", ["granulation-2", "bioreactor-3", "tablet-press-1"])
async def test_one_seed_gives_one_log_of_every_simulator_and_another_seed_another(name: str, tmp_path: Path) -> None:
    one, again, other = [await log_of(name, seed, tmp_path / folder) for seed, folder in ((1, "a"), (1, "b"), (2, "c"))]
    sources = {source.name for source in config.load(LINES / name).sources}
    assert sources <= one.keys()
    assert {source for source in sources if not one[source]} == set(), "each device did something"
    assert one == again
    assert {source for source in one if one[source] == other[source] and source in sources and len(one[source]) > 20} == set()


@pytest.mark.urs("URS-VAL-06")
async def test_faults_come_from_the_seed_too(tmp_path: Path) -> None:
    line = config.load(LINES / "granulation-2")
    kinds = {order["do"] for _, order in scripted(line, 3, 600.0)}
    assert {"fault", "status", "stop", "start", "again"} <= kinds
    assert scripted(line, 3, 600.0) == scripted(line, 3, 600.0) != scripted(line, 4, 600.0)
    with_faults, again = [await log_of("granulation-2", 3, tmp_path / folder, faults=True) for folder in ("a", "b")]
    without = await log_of("granulation-2", 3, tmp_path / "c")
    assert with_faults == again
    assert with_faults != without, "the faults are in the log"


@pytest.mark.urs("URS-VAL-06")
def test_what_the_ebr_loses_comes_from_its_seed() -> None:
    def lost(seed: int) -> list[object]:
        faults = InjectedFaults(lose=0.3, lose_entries=0.2, lose_receipts=0.4, seed=seed)
        return [(faults.drops(), faults.loses(seq), faults.drops_receipt()) for seq in range(200)]

    assert lost(1) == lost(1) != lost(2)
