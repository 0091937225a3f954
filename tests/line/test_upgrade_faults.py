"""A release that can not read the state that the last one stored: the whole line goes on, once slowly; and how slowly."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.line_rig import Rig, ended
from kit.processes import until
from kit.repository import BENCHMARKS

from gateway.context.state import FORMAT

pytestmark = pytest.mark.timeout(900)

EARLIER = """
import gateway.context
from gateway.context.fold import FORMAT
was = gateway.context.Fold.dump
def dump(fold):
    told = was(fold)
    assert told.count(b'"format":%d' % FORMAT) == 1
    return told.replace(b'"format":%d' % FORMAT, b'"format":0')
gateway.context.Fold.dump = dump
from gateway.cli import main
main()
"""
"""The gateway of an earlier release, as far as the journal can tell."""

FOLDED = """
import resource, runpy, sys
import gateway.context.fold
gateway.context.fold.FORMAT = 0
sys.argv[:] = ["three_weeks.py", "start", sys.argv[1]]
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_utime
begun = used()
runpy.run_path({script!r}, run_name="__main__")
print(f"took {{used() - begun:.2f}} s of a core")
"""


@pytest.mark.urs("URS-BUF-02", "URS-OPS-04")
def test_the_line_goes_on_after_an_upgrade_that_can_not_read_the_state(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    rig = Rig(tmp_path, tmp_path / "data")
    try:
        rig.say_batch("B2026-0417")
        rig.start_plant()
        rig.start_ebr()
        rig.start_gateway(command=[sys.executable, "-P", "-c", EARLIER])
        until(lambda: rig.caught_up() and rig.status()["journal"]["seq"] > 150)
        before = rig.status()
        ended(rig.gateway)
        rig.start_gateway()
        until(rig.caught_up, 120)
        after = rig.status()
        ended(rig.gateway)
        said = (tmp_path / "gateway.log").read_text()
        rig.start_gateway()
        until(rig.caught_up, 120)
        ended(rig.gateway)
        assert (tmp_path / "gateway.log").read_text().count("folded again") == 1, "the next start reads the state"
        verdict = rig.judged()
    finally:
        rig.stop()
    folded = re.search(r"folded ([\d,]+) entries in ([\d.]+) s", said)
    assert folded is not None, said
    figures("upgrade", f"state of another format: {folded.group()}, once; {verdict}")
    assert f"not of this version (a state of format 0, this is {FORMAT}): all" in said
    assert before["equipment"]["mixer"]["batch"] == after["equipment"]["mixer"]["batch"] == "B2026-0417"
    assert (verdict.lost, verdict.doubled, verdict.invented) == (0, 0, 0)
    assert verdict.made > 0


@pytest.mark.urs("URS-OPS-05")
def test_what_folding_all_that_is_held_costs(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    script = BENCHMARKS / "three_weeks.py"
    made = subprocess.run([sys.executable, script, "make", tmp_path, "3"], capture_output=True, text=True, check=False, timeout=600)
    readings, entries = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:readings|entries)", made.stdout)[:2])
    code = FOLDED.format(script=str(script))
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    (core_s,) = (float(found) for found in re.findall(r"took ([\d.]+) s of a core", done.stdout))
    assert f"all {entries:,} entries held are folded again" in done.stderr
    size_mb = sum(path.stat().st_size for path in (tmp_path / "data" / "segments").iterdir()) / 1e6
    figures(
        "upgrade",
        f"{entries:,} entries, {readings:,} readings, {size_mb:.0f} MB folded in {core_s:.1f} s of a core: "
        f"{entries / core_s:,.0f} entries/s, {readings / core_s:,.0f} readings/s; "
        f"in 30 s {30 / core_s * readings / 1e6:.1f} million readings, {30 / core_s * size_mb:.0f} MB",
    )
    assert readings / core_s > 20_000
