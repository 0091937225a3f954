"""What a program and its children did to the file system, as strace wrote it down: each call that succeeded, as they ended."""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHANGES = (
    *("open", "openat", "openat2", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "truncate", "ftruncate", "fallocate"),
    *("sendfile", "copy_file_range", "splice", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "chmod", "fchmod", "fchmodat"),
    *("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "chdir", "fchdir", "fork", "vfork", "clone", "clone3"),
)
NEW_DATA_ALONE = ("copy_file_range", "sendfile", "splice")
"""They move bytes that strace does not show: refused, so that the program falls back to `write`, as on a kernel without them."""
NOTED_ALONE = ("fsync", "fdatasync", "sync", "syncfs")
"""They are written down and not done: what they wait for is this machine's disk, and what they promise is what the states are made of."""

STARTED = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
ENDED = re.compile(r"^(.*)\) += (\S+)(.*)$")
UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One call. cwd: of its process. words: the arguments as strace prints them, `returned`: with the path of a file that was opened."""

    name: str
    words: tuple[str, ...]
    returned: str
    cwd: str

    def text(self, at: int) -> str:
        """Return an argument that is a path."""
        return unescaped(self.words[at].strip('"')).decode()

    def path(self, at: int, folder: int | None = None) -> str:
        """Return an argument that is a path, from the root on. folder: which argument is the folder that it begins at."""
        path = self.text(at)
        if path.startswith("/"):
            return path
        begins = self.cwd if folder is None else self.opened(folder)
        assert begins, f"nothing says where {path} is: {self.name}"
        return f"{begins}/{path}"

    def opened(self, at: int) -> str:
        """Return where the file lies that a descriptor stands for; empty where it is none any more, or no file."""
        return opened(self.words[at])

    def data(self) -> bytes:
        """Return what was written."""
        if self.name.endswith("write") or self.name == "pwrite64":
            return unescaped(self.words[1].strip('"'))
        return b"".join(unescaped(each) for each in re.findall(r'iov_base="([^"]*)"', ", ".join(self.words)))


def unescaped(text: str) -> bytes:
    """Undo `-xx`, in which each byte is four characters."""
    return bytes.fromhex(text.replace("\\x", ""))


def opened(word: str) -> str:
    """Return the path of a descriptor as `-y` prints it."""
    found = re.match(r"^(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})+)>(?!\(deleted\))", word)
    path = unescaped(found[1]).decode() if found else ""
    return path if path.startswith("/") else ""  # else a pipe or a socket


def wrapper(to: str) -> list[str]:
    """Return what stands before a command so that it is written down."""
    assert shutil.which("strace")
    refused = [f"--inject={','.join(NEW_DATA_ALONE)}:error=ENOSYS", f"--inject={','.join(NOTED_ALONE)}:retval=0"]
    return ["strace", "-f", "-y", "-z", "-xx", "-s", "100000000", "--seccomp-bpf", f"--trace={','.join(CHANGES)}", *refused, "-o", to]


def calls(lines: Iterable[str], cwd: str) -> Iterator[Call]:
    """Read what strace wrote. cwd: of the first process."""
    folders: dict[str, str] = {}  # a child may be seen before its parent's call has ended
    for pid, name, rest in _whole(lines):
        found = ENDED.match(rest)
        assert found, f"{name}: {rest[:200]}"
        returned = found[2] + found[3].removesuffix(" (INJECTED)")
        folders = folders or {pid: cwd}  # the first line is the first process's
        call = Call(name, tuple(found[1].split(", ")), returned, folders.get(pid, ""))
        if name in ("fork", "vfork", "clone", "clone3"):
            folders.setdefault(found[2], call.cwd)
        elif name == "chdir":
            folders[pid] = call.path(0)
        elif name == "fchdir":
            folders[pid] = call.opened(0)
        else:
            yield call


def _whole(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Join what another process's line cut in two."""
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        if found := STARTED.match(text):
            if found[3].endswith(UNFINISHED):
                begun[found[1]] = found[3].removesuffix(UNFINISHED)
                continue
            yield found[1], found[2], found[3]
        elif (found := RESUMED.match(text)) and found[1] in begun:
            yield found[1], found[2], begun.pop(found[1]) + found[3]
