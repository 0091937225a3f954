"""A Linux kernel of a test's own (user-mode Linux, an ordinary process): its clock and its disks are nobody else's."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.repository import ROOT

KERNEL = shutil.which("linux.uml")
NEEDED = pytest.mark.skipif(KERNEL is None, reason="needs Debian's user-mode-linux")
DISK = "/run/disk"
"""Where the ext4 image is mounted in it."""
RUNS = "RUNS PROGRAMS"
"""What it says first of all."""


async def in_a_kernel_of_its_own(folder: Path, script: str, *, image: Path | None = None, memory_mb: int = 384) -> list[dict[str, Any]]:
    """Run a script as the only program of a kernel whose root is this machine's, read-only; /run is writable. What it told.

    It tells by lines "TOLD {json}". image: an ext4 file system that is its disk. The kernel is switched off when the script has ended,
    without any file system being told so. Skips the test where that kernel runs no program at all, as on processors with AMX: their
    registers are more than it can keep (arch/x86/um, FP_SIZE).
    """
    (folder / "script.py").write_text(script)
    mounts = ["mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run"]
    if image is not None:
        mounts.append(f"mknod /run/image b 98 0; mkdir {DISK}; mount -t ext4 /run/image {DISK}")
    start = folder / "init"
    start.write_text(
        f"#!/bin/sh\necho {RUNS}\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={ROOT}\n"
        + "\n".join(mounts)
        + "\nip link set lo up\n"
        f"{sys.executable} -B {folder}/script.py 2>&1\necho o > /proc/sysrq-trigger\nwhile :; do :; done\n"
    )
    start.chmod(0o755)
    assert KERNEL is not None
    arguments = [f"mem={memory_mb}M", "rootfstype=hostfs", "ro", f"init={start}", "con=null", "con0=fd:0,fd:1", "quiet"]
    arguments += [] if image is None else [f"ubd0={image}"]
    process = await asyncio.create_subprocess_exec(
        "setpriv",
        "--pdeathsig",
        "KILL",
        KERNEL,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if RUNS.encode() not in out:
        pytest.skip(f"user-mode Linux runs no program on this processor: {_panic(out)}")
    told = [orjson.loads(line[5:]) for line in out.splitlines() if line.startswith(b"TOLD ")]
    assert told, out.decode(errors="replace")[-3000:]
    return told


def _panic(out: bytes) -> str:
    """The kernel's own line of why it stands."""
    lines = out.decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if "panic" in line.lower()), "it says nothing")
