"""Looks whether a file can be erased, before anything is; and what a name is that leads to no file. Changes nothing."""

import array
import fcntl
import os
import stat
from pathlib import Path

GET_FLAGS = 0x8008_6601
"""FS_IOC_GETFLAGS of linux/fs.h."""
FIXED = 0x10 | 0x20
"""FS_IMMUTABLE_FL and FS_APPEND_FL: `chattr +i`, `chattr +a`."""


def is_bare_link(path: Path) -> bool:
    """Say whether a name is a link that leads to no file: into nothing, or to a folder. It alone goes, it holds no secret."""
    return path.is_symlink() and (path.is_dir() or not path.exists())


def obstacle(path: Path) -> str:
    """Say why a file can not be erased as it is now, and what to do; "" if nothing is seen. Its folder is looked at, too."""
    if is_bare_link(path):
        return _folder(path)
    real = path.resolve()
    try:
        told = real.stat()
    except OSError as error:
        return f"can not be looked at: {error.strerror}: give the command as the account that owns it, or as root"
    if not stat.S_ISREG(told.st_mode):
        return "is no regular file"
    return several_names(told, real) or _content(told, real) or _folder(real) or ("" if real == path else _folder(path))


def several_names(told: os.stat_result, real: Path) -> str:
    """Say of a file with hard links why it is not overwritten: whoever has it by another name would lose it."""
    if told.st_nlink < 2:
        return ""
    find = f"find / -xdev -inum {told.st_ino}"
    others = f"whoever uses another one would lose it: unlink the others ({find}), or put a copy in the place of {real.name}"
    return f"has {told.st_nlink} names (hard links), and {others}"


def _content(told: os.stat_result, real: Path) -> str:
    if os.statvfs(real).f_flag & os.ST_RDONLY:
        return "lies on a file system that is read-only: mount it for writing, or erase it where it can be"
    if _is_mounted(real):
        return "is mounted by itself: erase it where it comes from"
    if _is_fixed(real):
        return "is immutable or can only be appended to: chattr -i -a"
    if os.access(real, os.W_OK) or told.st_uid == os.geteuid():
        return ""
    return "can not be written: give the command as the account that owns it, or as root"


def _folder(path: Path) -> str:
    """Say why a name can not be taken out of its folder."""
    folder = path.parent
    told = folder.stat()
    if _is_fixed(folder):
        return f"lies in {folder}, which is immutable or only grows: chattr -i -a"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"lies in {folder}, of which this account can remove nothing: give the command as the account that owns it, or as root"
    if told.st_mode & stat.S_ISVTX and os.geteuid() not in (0, told.st_uid, path.lstat().st_uid):
        return f"lies in {folder}, of which only its owner can remove it: give the command as that account, or as root"
    return ""


def _is_fixed(path: Path) -> bool:
    """Say whether a file or folder is immutable or append-only; what its file system does not tell is taken as no."""
    flags = array.array("i", [0, 0])
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.ioctl(handle, GET_FLAGS, flags)
    except OSError:
        return False
    finally:
        os.close(handle)
    return bool(flags[0] & FIXED)


def _is_mounted(path: Path) -> bool:
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(len(words := line.split(" ")) > 1 and words[1].replace("\\040", " ") == str(path) for line in lines)
