"""Has the kernel hand each call by which a program writes to files to another program, which answers in its place or lets it go on.

By seccomp's user notification (Linux 5.5, seccomp_unotify(2)): it takes no right but that a program may give some of its own away, so an
ordinary account can put somebody between one program and its disk. Nothing else of the machine is touched.
"""

import ctypes
import errno
import fcntl
import os
import platform
import struct
from pathlib import Path
from typing import NamedTuple

NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "sendfile": 40, "copy_file_range": 326, "fsync": 74, "fdatasync": 75,
        "ftruncate": 77, "fallocate": 285, "openat": 257, "open": 2, "rename": 82, "renameat": 264, "renameat2": 316, "unlink": 87,
        "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "link": 86, "linkat": 265, "seccomp": 317,
    },
    "aarch64": {
        "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "sendfile": 71, "copy_file_range": 285, "fsync": 82, "fdatasync": 83,
        "ftruncate": 46, "fallocate": 47, "openat": 56, "renameat": 38, "renameat2": 276, "unlinkat": 35, "mkdirat": 34, "linkat": 37,
        "seccomp": 277,
    },
}  # fmt: skip
"""Of each machine the numbers of the calls that write, make a name or flush (asm/unistd.h); and of the call that asks for all this."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
OPENS = {"open": 1, "openat": 2}
"""Calls that write only with certain flags, and which argument has these."""
WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
STANDARD_ERROR = 2
_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x25, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_SET_FILTER, _NEW_LISTENER, _NO_NEW_PRIVILEGES, _SET_PTRACER, _ANYBODY = 1, 8, 38, 0x59616D61, -1
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
_NOTICE, _ANSWER = struct.Struct("<QIIiIQ6Q"), struct.Struct("<QqiI")


class NotPossible(Exception):
    """The kernel does not do it here; the text says why."""


class Notice(NamedTuple):
    """A call that waits for an answer. process: the thread that made it. arguments: as numbers; addresses are of its memory."""

    id: int
    process: int
    call: str
    arguments: tuple[int, ...]


def numbers() -> dict[str, int]:
    """Return the numbers of this machine. Raises NotPossible."""
    try:
        return NUMBERS[platform.machine()]
    except KeyError:
        raise NotPossible(f"the numbers of this machine's system calls are not known ({platform.machine()})") from None


def program() -> bytes:
    """Write the filter (BPF): calls of the list are handed over, those that open a file only where it is to be written.

    What goes to standard output and standard error goes on unasked: a log is no file of the disk that is meant.
    """
    told = {name: number for name, number in numbers().items() if name != "seccomp"}
    steps = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_JUMP_EQUAL, 1, 0, ARCHITECTURES[platform.machine()]), (_RETURN, 0, 0, _ALLOW)]
    for name, number in told.items():
        steps += [(_LOAD, 0, 0, _NUMBER_AT), (_JUMP_EQUAL, 0, 3 if name in OPENS or name == "write" else 1, number)]
        if name in OPENS:
            steps += [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * OPENS[name]), (_JUMP_SET, 0, 1, WRITING_FLAGS)]
        elif name == "write":
            steps += [(_LOAD, 0, 0, _ARGUMENTS_AT), (_JUMP_ABOVE, 0, 1, STANDARD_ERROR)]
        steps.append((_RETURN, 0, 0, _NOTIFY))
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def handed_over() -> int:
    """Hand the calls of this process, and of all that it becomes and begins, over; return what they are received by. Raises NotPossible."""
    libc, filter_ = ctypes.CDLL(None, use_errno=True), program()
    held = ctypes.create_string_buffer(filter_)
    asked = struct.pack("@HP", len(filter_) // 8, ctypes.addressof(held))
    # Where only a parent may look into a process (Yama), whoever answers would not see the names that a call is about.
    libc.prctl(_SET_PTRACER, ctypes.c_long(_ANYBODY), 0, 0, 0)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise NotPossible(f"rights can not be given away for good: {os.strerror(ctypes.get_errno())}")
    received_by = libc.syscall(numbers()["seccomp"], _SET_FILTER, _NEW_LISTENER, asked)
    if received_by < 0:
        raise NotPossible(f"the kernel does not hand system calls over: {os.strerror(ctypes.get_errno())}")
    return int(received_by)


def received(by: int) -> Notice | None:
    """Receive the next call; None if it was taken back, because its thread has ended. by: a descriptor that has one."""
    buffer = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(by, _RECEIVE, buffer)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    id_, process, _, number, _, _, *arguments = _NOTICE.unpack(buffer)
    name = next((name for name, of in numbers().items() if of == number), str(number))
    return Notice(id_, process, name, tuple(arguments))


def answered(by: int, notice: Notice, error: int = 0) -> None:
    """Let a call go on; error: have it fail with this number instead. A thread that has ended meanwhile needs no answer."""
    answer = _ANSWER.pack(notice.id, 0, -error, 0 if error else _GO_ON)
    try:
        fcntl.ioctl(by, _SEND, answer)
    except OSError as failed:
        if failed.errno != errno.ENOENT:
            raise


def text_at(process: int, address: int) -> str:
    """Read a name from the memory of a process that waits. Raises OSError."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return os.fsdecode(memory.read(4096).partition(b"\0")[0])
