"""A disk that is turned read-only under open files, for all programs at once: emergency remount (SysRq u), in a kernel of its own.

An ordinary `mount -o remount,ro` is refused while files are open for writing; this one is not. On ext4 a write and an fsync after it
still answer "done", and nothing reaches the disk.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.own_kernel import DISK, NEEDED, in_a_kernel_of_its_own
from kit.processes import DEADLINE_S
from kit.repository import ROOT

pytestmark = [pytest.mark.timeout(400), NEEDED]

COMMON = f"""
import json, os, subprocess, sys, time
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
DISK = Path({DISK!r})
DEADLINE_S = {DEADLINE_S!r}

def say(what, **more):
    print("TOLD " + json.dumps({{"what": what, **more}}), flush=True)

def turn_read_only():
    "Emergency remount: when it is done the mount says so."
    Path("/proc/sysrq-trigger").write_text("u")
    deadline = time.monotonic() + 20
    while not os.statvfs(DISK).f_flag & os.ST_RDONLY:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return time.monotonic()
"""

JOURNAL = """
from buffer import Body, Journal, JournalError, read_journal
from buffer.verify import verify

def opened():
    return Journal.open(DISK / "journal", "lyon/granulation-2", commit_interval_s=0.002, retain_s=0, max_bytes=1 << 40)

def promised(journal, count, first=0):
    text = b'"time":"2026-11-22T07:15:02.5Z","n":%d}'
    for number in range(first, first + count):
        journal.append([Body("ebr-gateway/readings/1", text % number)], urgent=True).result()
    return first + count

def numbers():
    return [json.loads(entry.payload)["n"] for entry in read_journal(DISK / "journal")]
"""

CUT_OFF = """
import threading
journal = opened()
count, stopped = promised(journal, 300), []

def go_on():
    global count
    try:
        while count < 3000:
            count = promised(journal, 1, count)
    except JournalError as error:
        stopped.append((time.monotonic(), str(error)))

writing = threading.Thread(target=go_on)
writing.start()
at = turn_read_only()
before = count
writing.join()
for told_s, error in stopped:
    say("stopped", error=error, after_s=told_s - at)
say("cut", before=before, promised=count)
"""

AFTERWARDS = """
journal = opened()
held = numbers()
promised(journal, 1, len(held))
journal.close()
found = verify(DISK / "journal")
say("held", numbers=held, epoch=journal.opened.epoch, verified=found.exit_code, findings=journal.opened.findings)
"""

LINE = """
from kit import line_rig
from kit.line_rig import Rig, ended
from kit.processes import until

rig = Rig(Path("/run/rig"), DISK / "data", tags=4, every_s=0.2, buffer="max_bytes = 20_000_000")
try:
    rig.start_plant()
    rig.start_ebr()
    rig.start_gateway()
    until(rig.caught_up, 120)
    at = turn_read_only()
    status = rig.gateway.wait(DEADLINE_S)
    say("stopped", status=status, after_s=time.monotonic() - at, said=rig.said().splitlines()[-1:])
    rig.start_gateway(ready=False)
    status = rig.gateway.wait(DEADLINE_S)
    say("again", status=status, said=rig.said().splitlines()[-1:])
    subprocess.run(["mount", "-o", "remount,rw", str(DISK)], check=True)
    rig.start_gateway()
    until(rig.caught_up, 120)
    known = len(rig.entries())
    until(lambda: len(rig.entries()) > known + 10 and rig.caught_up())
    say("ended", status=ended(rig.gateway), said=rig.said().splitlines()[-1:])
    verify = rig.command("verify")
    verdict = rig.judged()
    entries = rig.entries()
    findings = [e["event"] for e in entries if e.get("event", {}).get("type") in ("finding", "epoch")]
    epochs = sorted({e["epoch"] for e in entries})
    verified = [verify.returncode, verify.stdout[-600:]]
    # how long a starved guest left the source unasked is not what is looked at here
    good = verdict.made > 0 and (verdict.lost, verdict.doubled, verdict.invented) == (0, 0, 0)
    say("judged", good=good, verdict=str(verdict), epochs=epochs, findings=findings, verify=verified)
except AssertionError:
    print(rig.said())
    raise
finally:
    rig.stop()
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An ext4 file system of 64 MB."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(path)], check=True)
    return path


async def told(folder: Path, script: str, image: Path, memory_mb: int = 384) -> dict[str, Any]:
    """What a script told, by name."""
    found = await in_a_kernel_of_its_own(folder, COMMON + script, image=image, memory_mb=memory_mb)
    return {one["what"]: one for one in found}


@pytest.mark.urs("URS-BUF-02")
async def test_what_was_promised_before_or_after_a_forced_remount_is_on_the_disk_when_the_power_goes(
    tmp_path: Path, image: Path, figures: Callable[[str, str], None]
) -> None:
    """The machine is switched off while the disk is read-only: what was only in its memory is gone."""
    cut = await told(tmp_path, JOURNAL + CUT_OFF, image)
    after = (await told(tmp_path, JOURNAL + AFTERWARDS, image))["held"]
    promised, held = cut["cut"]["promised"], len(after["numbers"])
    assert after["numbers"] == list(range(held))
    assert held >= promised
    assert "read-only" in cut["stopped"]["error"]
    assert after["verified"] == 0, after
    found = f"found after {max(cut['stopped']['after_s'], 0.0) * 1000:.0f} ms"
    figures(
        "read-only disk",
        f"read-only by force while it writes ({found}), then power off: {promised} promised, {held} held, epoch {after['epoch']}",
    )


@pytest.mark.bar("F09")
@pytest.mark.urs("URS-BUF-02")
async def test_a_forced_remount_ends_the_gateway_and_it_goes_on_when_the_disk_may_be_written_again(
    tmp_path: Path, image: Path, figures: Callable[[str, str], None]
) -> None:
    """The whole line, by `ebr-gateway run`."""
    line = await told(tmp_path, LINE, image, memory_mb=1024)
    stopped, again, judged = line["stopped"], line["again"], line["judged"]
    (began,) = [event for event in judged["findings"] if event["type"] == "epoch"]
    figures(
        "read-only disk",
        f"read-only by force under the line: exit {stopped['status']} after {stopped['after_s']:.1f} s ({stopped['said'][0][-69:]}), "
        f"next start exit {again['status']} ({again['said'][0][:60]}); writable again: {judged['verdict']}; epochs {len(judged['epochs'])}",
    )
    assert (stopped["status"], again["status"], line["ended"]["status"]) == (3, 3, 0)
    assert stopped["after_s"] < 30.0, "ten on a quiet machine: this kernel has one CPU, and shares it"
    assert "the journal failed, nothing more is taken: " in stopped["said"][0]
    assert "the file system is mounted read-only" in stopped["said"][0]
    assert again["said"][0].startswith(f"{DISK}/data: ")
    assert "Read-only" in again["said"][0]
    assert judged["good"], judged["verdict"]
    assert len(judged["epochs"]) == 1, "nothing that was promised is in doubt"
    assert began["reason"] == "created"
    assert judged["verify"][0] == 0, judged["verify"]
