"""Asks the kernel how many received bytes a serial port could not keep: the chip's buffer, or the driver's, was full."""

import fcntl
import struct

_TIOCGICOUNT = 0x545D
# linux/serial.h, struct serial_icounter_struct: cts dsr rng dcd, rx tx, frame overrun parity brk, buf_overrun, 9 more
_COUNTERS = struct.Struct("@20i")
_OVERRUN, _BUFFER_OVERRUN = 7, 10


def overruns_of(fd: int) -> int | None:
    """Return the count since the port's driver began; None if this port counts none, as pseudo-terminals and some adapters do."""
    counters = bytearray(_COUNTERS.size)
    try:
        fcntl.ioctl(fd, _TIOCGICOUNT, counters)
    except OSError:
        return None
    fields = _COUNTERS.unpack(counters)
    return int(fields[_OVERRUN] + fields[_BUFFER_OVERRUN])
