"""The whole line on bad storage, by `ebr-gateway run`: a disk that is slow, full, read-only; a foreign lock; a journal that is full."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit import crash_points
from kit.line_rig import Rig, ended
from kit.processes import DEADLINE_S, until
from kit.rig_watch import alarms, events, held_back, page, says, watched

pytestmark = pytest.mark.timeout(900)
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
QUICK = [sys.executable, str(Path(crash_points.__file__)), "gateway"]
"""The real gateway; retention and signatures come each 2 s instead of each minute and five. With GW_ENTRIES segments are shorter."""

SLOW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
static void wait_as_told(void) {
    char text[16] = {0};
    int fd = open(getenv("SLOW_MS"), O_RDONLY);
    if (fd < 0) return;
    if (read(fd, text, 15) > 0) usleep(1000 * atoi(text));
    close(fd);
}
int fsync(int fd) { wait_as_told(); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { wait_as_told(); return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""
HEARTBEATS = 20
"""More entries than this in 3 s are readings: heartbeats, alarms and the clock still go in while sources are held back."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs = []

    def make(**options: Any) -> Rig:
        rig = Rig(tmp_path, options.pop("data", tmp_path / "data"), **options)
        rigs.append(rig)
        rig.start_plant()
        rig.start_ebr()
        return rig

    yield make
    for rig in rigs:
        rig.stop()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB of its own, which turns read-only on an error."""
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=False)


@pytest.mark.bar("F08")
@pytest.mark.urs("URS-BUF-02")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_disk_that_takes_3_s_per_fsync_loses_nothing_and_is_no_reason_for_the_watchdog(
    made: Callable[..., Rig], tmp_path: Path, figures: Callable[[str, str], None]
) -> None:
    (tmp_path / "slow.c").write_text(SLOW)
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", tmp_path / "slow.so", tmp_path / "slow.c", "-ldl"], check=True)
    rig = made()
    told: dict[str, Any] = {"LD_PRELOAD": str(tmp_path / "slow.so"), "SLOW_MS": str(tmp_path / "slow-ms"), "WATCHDOG_USEC": "15000000"}
    rig.start_gateway(**told)
    until(rig.caught_up)
    rig.watchdog_s.clear()
    begun_s = time.monotonic()
    (tmp_path / "slow-ms").write_text("3000")
    waits = sorted(watched(rig, 45.0))  # the fault itself: three times the watchdog's patience, in which nothing may end
    (tmp_path / "slow-ms").unlink()
    until(rig.caught_up)
    beats = [begun_s, *rig.watchdog_s, time.monotonic()]
    longest_s = max(later - earlier for earlier, later in pairwise(beats))
    assert rig.gateway is not None
    assert rig.gateway.poll() is None
    ended(rig.gateway)
    verdict = rig.judged()
    commit = f"oldest list waited p50 {waits[len(waits) // 2]:.1f} s, p99 {waits[int(len(waits) * 0.99)]:.1f} s"
    causes = held_back(rig)
    figures(
        "slow disk",
        f"3 s per fsync for 45 s: {commit}; watchdog told at least each {longest_s:.1f} s of 15; gaps by cause {causes}; {verdict}",
    )
    assert set(causes) <= {"journal-slow"}
    assert waits[-1] > 2.5, "the disk was not slow"
    assert longest_s < 15.0
    assert waits[-1] < 30.0
    assert verdict.good()


def is_locked(rig: Rig) -> bool:
    """Return True while the page says that another program has the journal; what is over and waits to be acknowledged is not."""
    return any("another program" in problem and ", over, " not in problem for problem in page(rig).get("problems", []))


def locked(path: Path, rig: Rig, seconds: float) -> tuple[list[float], float]:
    """The sqlite3 command line, or another program like it, locks a file of the journal: (waits, how long until the page says so)."""
    if cli := shutil.which("sqlite3"):
        foreign = subprocess.Popen([cli, str(path)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    else:
        code = f"import sqlite3,sys\ndb=sqlite3.connect({str(path)!r},isolation_level=None)\nfor line in sys.stdin: db.execute(line)"
        foreign = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
    assert foreign.stdin is not None
    begun_s = time.monotonic()
    foreign.stdin.write(".timeout 5000\nBEGIN IMMEDIATE;\n" if cli else "BEGIN IMMEDIATE\n")
    foreign.stdin.flush()
    until(lambda: is_locked(rig))
    told_s = time.monotonic() - begun_s
    waits = watched(rig, seconds - told_s)
    foreign.stdin.close()
    foreign.wait(10)
    until(lambda: page(rig) and not is_locked(rig))  # what waited is committed: a next lock is not taken for this one
    return waits, told_s


@pytest.mark.bar("F13")
@pytest.mark.urs("URS-BUF-02")
def test_a_foreign_program_that_locks_the_journal_for_30_s_is_told_and_loses_nothing(
    made: Callable[..., Rig], figures: Callable[[str, str], None]
) -> None:
    rig = made()
    rig.start_gateway()
    until(rig.caught_up)
    (active,) = (path for path in (rig.data / "segments").glob("*.db") if path.stat().st_mode & 0o200)
    waits, told_s = locked(active, rig, 30.0)
    until(rig.caught_up)
    catalogue_waits, catalogue_told_s = locked(rig.data / "journal.db", rig, 12.0)
    until(rig.caught_up)
    ended(rig.gateway)
    verdict = rig.judged()
    stall = f"stall {max(waits):.1f} s, on the page after {told_s:.1f} s"
    other = f"journal.db 12 s: stall {max(catalogue_waits):.1f} s, told after {catalogue_told_s:.1f} s"
    causes = held_back(rig)
    figures("lock", f"active segment locked 30 s: {stall}; {other}; gaps by cause {causes}; {verdict}")
    assert causes
    assert set(causes) == {"journal-locked"}
    for code, severity in (("journal-locked", "alarm"), ("journal-unlocked", "info")):
        assert events(rig, "finding", code=code, severity=severity)
    assert not events(rig, "finding", code="journal-full")
    assert max(catalogue_waits) < 5.0, "readings need not wait for journal.db"
    assert events(rig, "finding", code="journal-hindered", severity="alarm")
    assert verdict.good()


@pytest.mark.bar("F09")
@ROOT
@pytest.mark.urs("URS-BUF-02")
def test_a_disk_that_turns_read_only_ends_the_gateway_at_once_and_it_goes_on_when_mended(
    made: Callable[..., Rig], small: Path, figures: Callable[[str, str], None]
) -> None:
    rig = made(data=small / "data", buffer="max_bytes = 20_000_000")
    rig.start_gateway()
    until(rig.caught_up)
    begun_s = time.monotonic()
    subprocess.run(["mount", "-o", "remount,abort", str(small)], check=False)
    assert rig.gateway is not None
    status = rig.gateway.wait(DEADLINE_S)
    detected_s = time.monotonic() - begun_s
    read_only = subprocess.run(["touch", str(small / "x")], capture_output=True, text=True, check=False).stderr
    assert "Read-only" in read_only
    rig.start_gateway(ready=False)
    again = rig.gateway.wait(DEADLINE_S)
    said = rig.said().splitlines()[-1]
    subprocess.run(["umount", "-l", str(small)], check=True)
    # A copy: while any name space has the old mount, the image itself comes back as it is, read-only.
    mended = shutil.copyfile(small.parent / "image", small.parent / "mended")
    subprocess.run(["mount", "-o", "loop", str(mended), str(small)], check=True)
    rig.start_gateway()
    until(rig.caught_up)
    ended(rig.gateway)
    verdict = rig.judged()
    figures(
        "read-only disk",
        f"ext4 turned read-only: exit {status} after {detected_s:.2f} s, next start exit {again} ({said[:90]}); mended: {verdict}",
    )
    assert status not in (0, 2, None)
    assert again not in (0, 2)
    assert "Traceback" not in rig.said()
    assert detected_s < 10.0
    assert verdict.good()


@pytest.mark.bar("F06")
@ROOT
@pytest.mark.urs("URS-BUF-03", "URS-BUF-05")
def test_a_really_full_disk_holds_the_sources_back_tells_it_and_goes_on_by_itself(
    made: Callable[..., Rig], small: Path, figures: Callable[[str, str], None]
) -> None:
    rig = made(data=small / "data", buffer="max_bytes = 20_000_000")
    rig.start_gateway(command=QUICK)
    until(rig.caught_up)
    ended(rig.ebr)
    told, other = [], small / "somebody-else"
    for fraction, word in ((0.72, "alarm at 70 %"), (0.87, "alarm at 85 %")):
        until(lambda goal=fraction, file=other: filled(rig, file, goal), 120, 0.5)
        begun_s = time.monotonic()
        until(lambda goal=fraction: page(rig).get("journal", {}).get("used", 0.0) >= goal - 0.03 and says(rig, "above the alarm at"), 30)
        until(lambda goal=fraction: max(alarms(rig), default=0) >= goal * 100 - 2, 60)
        told.append(f"{word} on the page after {time.monotonic() - begun_s:.1f} s")
    fill_up(other)
    begun_s = time.monotonic()
    until(lambda: says(rig, "sources are held back"))
    told.append(f"held back {time.monotonic() - begun_s:.1f} s after the last byte was taken")
    until(lambda: not (rig.data / "ballast").exists())
    fill_up(other)
    time.sleep(8.0)  # without its ballast too, the gateway must not end by itself; nothing tells that nothing happened
    assert rig.gateway is not None
    assert rig.gateway.poll() is None, rig.said()
    begun_s = time.monotonic()
    other.unlink()
    until(lambda: page(rig).get("journal", {}).get("pressure", "?") is None)
    resumed_s = time.monotonic() - begun_s
    until((rig.data / "ballast").exists, 30)
    rig.start_ebr()
    until(rig.caught_up, 120)
    ended(rig.gateway)
    verdict = rig.judged()
    texts = [event["text"] for event in events(rig, "finding", code="journal-space")]
    causes = held_back(rig)
    resumed = f"resumed {resumed_s:.1f} s after space was there"
    figures("full disk", f"disk really full under the line: {'; '.join(told)}; {resumed}; gaps by cause {causes}; {verdict}")
    assert causes
    assert set(causes) == {"disk-full"}
    assert sum(int(text.split()[3].rstrip("%")) >= 70 for text in texts) >= 2, texts
    assert all("days to full" in text for text in texts)
    assert events(rig, "finding", code="disk-full", severity="alarm")
    assert events(rig, "finding", code="journal-has-room")
    assert verdict.good()


def filled(rig: Rig, other: Path, fraction: float) -> bool:
    """Have another file leave so much free that the journal uses this fraction of what there is. False: the journal is too small yet."""
    used = page(rig)["journal"]["bytes"]
    if used < 5_000_000:
        return False
    stat = os.statvfs(other.parent)
    take = stat.f_bavail * stat.f_frsize - int(used * (1 / fraction - 1))
    with other.open("ab") as file:
        file.write(os.urandom(max(take, 0)))
        file.flush()
        os.fsync(file.fileno())
    return True


def fill_up(other: Path) -> None:
    with other.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.bar("F07")
@pytest.mark.urs("URS-BUF-05", "URS-BUF-06")
def test_a_journal_at_its_limit_while_the_ebr_is_away_holds_back_keeps_order_and_prunes_when_it_may(
    made: Callable[..., Rig], figures: Callable[[str, str], None]
) -> None:
    """Three days without the EBR, scaled: the limit is 10 MB."""
    rig = made(buffer="max_bytes = 10_000_000\nretain_days = 90", tags=150)
    rig.start_gateway(command=QUICK, GW_ENTRIES="256")
    until(rig.caught_up)
    ended(rig.ebr)
    until(lambda: says(rig, "sources are held back"), 300, 0.5)
    full = page(rig)["journal"]
    seen = [0]
    # Held back is a state that shows in a rate only: over 3 s, no more than heartbeats are written.

    def stands_still() -> bool:
        seen.append(page(rig)["journal"]["seq"])
        return seen[-1] - seen[-2] < HEARTBEATS

    until(stands_still, 60, 3.0)
    oldest = page(rig)["uplinks"][0]["entries"]
    rig.start_ebr()
    begun_s = time.monotonic()
    until(lambda: page(rig).get("journal", {}).get("pressure", "?") is None)
    resumed_s = time.monotonic() - begun_s
    until(rig.caught_up, 120)
    room = len(events(rig, "finding", code="journal-has-room"))
    until(lambda: len(events(rig, "audit", action="prune")) > 3, 300, 1.0)  # at its limit from now on, and the EBR confirms
    ended(rig.gateway)
    verdict = rig.judged()
    entries, causes = rig.entries(), held_back(rig)
    prunes = [event["what"] for event in events(rig, "audit", action="prune")]
    assert len(events(rig, "finding", code="journal-full")) == room, "held back again, although there was something that could go"
    figures(
        "no room",
        f"limit of 10 MB reached, EBR away: {full['used']:.0%} used, {oldest} entries kept for it, resumed {resumed_s:.1f} s after it "
        f"was back, {len(prunes)} prunes audited with range, count and root; gaps by cause {causes}; {verdict}",
    )
    assert causes
    assert set(causes) == {"journal-full"}
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert verdict.good()
    assert prunes
    assert all(one["entries"] == one["last"] - one["first"] + 1 and len(one["root"]) == 64 for one in prunes)
    assert prunes[0]["cause"] == "max_bytes or the end of the disk came before retain_days"


@pytest.mark.urs("URS-BUF-06")
def test_a_held_batch_is_kept_until_qa_lets_it_go_by_the_command(made: Callable[..., Rig], figures: Callable[[str, str], None]) -> None:
    rig = made(buffer="retain_days = 0\nhold_batches = true")
    rig.say_batch("B2026-0417")
    rig.start_gateway(command=QUICK, GW_ENTRIES="64")
    until(rig.caught_up)
    until(lambda: events(rig, "batch", transition="start"))
    until(lambda: page(rig).get("journal", {}).get("seq", 0) > 400)
    rig.say_batch("")
    until(lambda: events(rig, "batch", transition="end"))
    segments = rig.data / "segments"
    held = {path.name for path in segments.glob("*.db")}
    start = events(rig, "batch", transition="start")[0]
    until(lambda: events(rig, "audit", action="prune"))
    after = [event["what"] for event in events(rig, "audit", action="prune")]
    assert after[0]["first"] > max(int(name.partition("-")[2][:-3]) for name in held), "what came after the batch may go, and nothing else"
    assert held <= {path.name for path in segments.glob("*.db")}, "a held batch was pruned"
    assert rig.command("release-hold", "--batch", "B2026-9999", "--reason", "x").returncode == 2
    done = rig.command("release-hold", "--batch", "B2026-0417", "--without-review", "--reason", "record approved by QA on paper")
    assert (done.returncode, done.stdout.strip()) == (0, "B2026-0417: released"), done.stderr
    until(lambda: not held & {path.name for path in segments.glob("*.db")})
    ended(rig.gateway)
    (released,) = events(rig, "audit", action="release-hold")
    figures(
        "hold",
        f"batch held {len(held)} segments until release-hold by {released['who']}, while {len(after)} prunes of later ones from "
        f"{after[0]['first']} on; {rig.judged()}",
    )
    assert start["batch"] == "B2026-0417"
    assert (released["what"], released["reason"]) == ({"batch": "B2026-0417", "audit_trail_review": None}, "record approved by QA on paper")
    assert rig.judged().good()


def test_wear_of_the_whole_line(made: Callable[..., Rig], figures: Callable[[str, str], None]) -> None:
    """Bytes that the gateway's process had the block layer write (/proc/PID/io), over half a minute of a line with 400 tags."""
    rig = made(tags=200)
    rig.start_gateway()
    until(rig.caught_up)
    assert rig.gateway is not None
    before, first, begun_s = written(rig.gateway.pid), page(rig), time.monotonic()
    time.sleep(30.0)  # a rate is measured: no state ends it
    after, last, lasted_s = written(rig.gateway.pid), page(rig), time.monotonic() - begun_s
    readings = sum(source["readings"] for source in last["sources"]) - sum(source["readings"] for source in first["sources"])
    entries = last["journal"]["seq"] - first["journal"]["seq"]
    ended(rig.gateway)
    per_million = (after - before) / readings
    figures(
        "wear",
        f"{readings / lasted_s:,.0f} readings/s in {entries / lasted_s:.0f} entries/s: "
        f"{per_million:.0f} MB written to disk per million readings",
    )
    assert 0 < per_million < 2_000
    assert rig.judged().good()


def written(pid: int) -> int:
    lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["write_bytes"])
