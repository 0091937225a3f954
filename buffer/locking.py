"""Lock a journal's directory: one process per journal."""

import fcntl
import os
from pathlib import Path

from buffer.errors import JournalInUse


def lock(directory: Path) -> int:
    """Lock the directory for this process, and return the lock's descriptor. Raises JournalInUse if another process holds it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "segments").mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise JournalInUse(f"{directory}: another gateway (process {owner}) is running on this journal") from error
    # The process id is for the message of the next one that finds the journal locked; the lock itself is the kernel's.
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
