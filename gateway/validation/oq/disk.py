"""A disk that is full: a small file system of the gateway's own, filled to its last byte by somebody else."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.demo.processes import Child, ending
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, end_of, proved
from gateway.validation.oq.stage import Stage

SIZE_MB = 192
"""Room for the journal, and for what it keeps in reserve to say that there is none."""
FULL_WITHIN_S, FREE_WITHIN_S = 90.0, 120.0
PIECE_BYTES = 65_536
NEEDED = ("unshare", "nsenter", "mount", "sleep")
OWN_NAMESPACE, INTO_IT = ("--user", "--map-current-user", "--keep-caps"), ("--user", "--preserve-credentials")
"""Options of unshare and nsenter by which an ordinary account may mount in a namespace of its own, and run there as who it is."""
FULL, OVER = ("disk-full",), ("journal-has-room", "journal-unlocked")


def why_not() -> str | None:
    """Say what is missing to give the gateway a small disk of its own; None if nothing is."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed (util-linux)"
    tried = subprocess.run([*_unshared(), "true"], capture_output=True, text=True, check=False)  # noqa: S603 - util-linux's
    if tried.returncode == 0:
        return None
    said = end_of(tried.stderr)
    return f"this account may not mount a small disk of the gateway's own ({said}): play it as root, sudo ebr-gateway qualify oq ... --case"


def _unshared() -> list[str]:
    """Return the words that begin a program in a mount namespace of its own; an ordinary account needs a user namespace for it."""
    return ["unshare", *(() if os.geteuid() == 0 else OWN_NAMESPACE), "--mount", "--propagation", "private"]


async def disk_full(stage: Stage, told: Told, seconds: float) -> None:
    """Run the gateway with its journal on a small disk in a mount namespace of its own, fill it, and make room again."""
    if (reason := why_not()) is not None:
        raise NotPlayed(reason)
    disk = stage.line.data.parent
    disk.mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={SIZE_MB}m,mode=700 none "$0" && echo mounted && exec sleep infinity'
    holder = Child(
        "the small disk",
        [*_unshared(), "sh", "-c", script, str(disk)],
        stage.folder / "logs" / "disk.log",
    )
    async with ending([holder]):
        await holder.start()
        if not await stage.seen(lambda: _mounted(holder), FULL_WITHIN_S):
            raise NotPlayed(
                f"nothing can be mounted here: {holder.log.read_text(errors='replace').strip()[-200:] or 'no reason was given'}"
            )
        _move_in(stage, holder)
        async with stage.running():
            stood = await _play(stage, told, seconds, Path(f"/proc/{holder.pid}/root{disk}/somebody-else"))
            await stage.at_rest()
        judge_stood(told, stood, readings_between(entries_of(stage), stood.before, stood.after))
        judge(told, stage.received().findings, entries_of(stage))
        compared(stage, told)
        await proved(stage, told)


def _mounted(holder: Child) -> bool:
    return holder.pid is not None and "mounted" in holder.log.read_text(errors="replace")


def _move_in(stage: Stage, holder: Child) -> None:
    """Run what belongs to the gateway where the small disk is; this process looks in from outside."""
    inside = ["nsenter", *(() if os.geteuid() == 0 else INTO_IT), "--target", str(holder.pid), "--mount", "--"]
    stage.inside, stage.gateway.command = inside, [*inside, *stage.gateway.command]
    stage.data = Path(f"/proc/{holder.pid}/root{stage.line.data}")


class Stood(NamedTuple):
    """How it was while the disk was full. before, after: the journal's last entry; held, reached: the EBR's; alive: the process."""

    before: tuple[int, int]
    after: tuple[int, int]
    held: tuple[int, int]
    reached: tuple[int, int]
    alive: bool


async def _play(stage: Stage, told: Told, seconds: float, ballast: Path) -> Stood:
    await stage.passes(seconds / 3)
    filled = fill(ballast)
    full = await stage.seen(lambda: _pressure(stage), FULL_WITHIN_S)
    told.step(
        f"fill its disk of {SIZE_MB} MB to the last byte ({filled >> 20} MB)",
        "the gateway says so",
        str(full or "nothing"),
        full is not None,
    )
    held, before = stage.store.last(), stage.last()
    await stage.passes(max(seconds / 3, 10.0))
    after = stage.last()
    stood = Stood(before, after, held, stage.store.last(), alive=stage.gateway.pid is not None)
    ballast.unlink()  # noqa: ASYNC240 - in memory
    free = await stage.seen(lambda: _pressure(stage) is None and stage.last() > after, FREE_WITHIN_S)
    told.step("make room again", "it goes on by itself", f"entry {stage.last()[1]}", bool(free))
    await stage.passes(seconds / 3)
    return stood


def judge_stood(told: Told, stood: Stood, stored: int) -> None:
    """Say whether nothing was stored or acknowledged while the disk was full. stored: entries of readings of that time."""
    text = f"entry {stood.before[1]}, then {stood.after[1]}: {stored} of readings"
    told.step("let the line run on", "no reading is stored, so none is acknowledged", text, stored == 0 if stood.after != (0, 0) else None)
    told.step("look at the process", "it runs", "it runs" if stood.alive else "it has ended", stood.alive)
    text = f"entry {stood.held[1]}, then {stood.reached[1]}; journal {stood.after[1]}"
    told.step("read what the EBR holds", "nothing that the journal has not", text, stood.reached <= stood.after)


def fill(path: Path) -> int:
    """Write until there is no room for one byte more; return how many bytes the file has."""
    with path.open("ab", buffering=0) as file:
        for piece in (PIECE_BYTES, 4096, 1):
            try:
                while file.write(b"\0" * piece):
                    pass
            except OSError:  # no room for a piece of this size
                continue
    return path.stat().st_size


def _pressure(stage: Stage) -> str | None:
    """Return why the gateway holds its sources back, as it says itself; None where it does not, or gives no answer."""
    now = stage.now()
    found = None if now is None else now["journal"].get("pressure")
    return None if not found else str(found)


def entries_of(stage: Stage) -> list[dict[str, Any]]:
    """Return the entries that the EBR holds."""
    return [orjson.loads(payload) for payload in stage.store.entries()]


def readings_between(entries: Sequence[Mapping[str, Any]], after: tuple[int, int], through: tuple[int, int]) -> int:
    """Count the entries of readings between two entries."""
    return sum("readings" in entry for entry in entries if after < (entry["epoch"], entry["seq"]) <= through)


def judge(told: Told, findings: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> None:
    """Say whether the record tells of the full disk, of its end, and of the time in which nothing was read."""
    codes = [str(one["code"]) for one in findings]
    full, over = [code for code in codes if code in FULL], [code for code in codes if code in OVER]
    told.step("read the findings", "disk-full, then journal-has-room", ", ".join([*full, *over]) or "none", bool(full and over))
    gaps = [one["event"] for one in entries if one.get("event", {}).get("type") == "gap" and one["event"]["transition"] == "open"]
    causes = [f"{gap['source']}: {gap['cause']}" for gap in gaps if gap["cause"] not in ("gateway-stopped", "start")]
    told.step(
        "read the gaps",
        "the time is told, as a gap of each source that could not wait",
        listed(sorted(set(causes))) or "none",
        bool(causes),
    )
