"""Tells callgrind, under which this process may run, what to count: the requests of valgrind/callgrind.h, ten instructions on x86-64.

Outside of valgrind they do nothing.
"""

import ctypes
import mmap
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mov rax,rdi; xor edx,edx; four rotations of rdi, by 128 bits in all; xchg rbx,rbx: valgrind takes the request in rax; mov rax,rdx; ret
_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
_TOOL = ord("C") << 24 | ord("T") << 16
_ZERO, _DUMP_AT, _START, _STOP = 1, 3, 4, 5


def is_possible() -> bool:
    """Whether this machine has the instructions."""
    return platform.machine() == "x86_64" and platform.system() == "Linux"


class Callgrind:
    """The requests."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._memory.write(_CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(address)

    def _request(self, number: int, argument: int = 0) -> None:
        words = (ctypes.c_uint64 * 6)(_TOOL + number, argument)
        self._call(ctypes.addressof(words))

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count what the block does, and write it down under a name."""
        text = ctypes.create_string_buffer(name.encode())
        self._request(_START)
        self._request(_ZERO)
        try:
            yield
        finally:
            self._request(_DUMP_AT, ctypes.addressof(text))
            self._request(_STOP)
