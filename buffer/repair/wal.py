"""Read SQLite's write-ahead log without SQLite (file format: sqlite.org/walformat.html).

SQLite drops everything after the first frame whose checksum is wrong, silently. Right after a power cut that is what should happen; after
a flipped bit it loses promised entries. The journal must tell the two apart before SQLite opens the file, because an identity must never
be used twice.
"""

import struct
from typing import NamedTuple

HEADER = 32
FRAME_HEADER = 24
PAGE = 4096
FRAME = FRAME_HEADER + PAGE
LITTLE, BIG = 0x377F0682, 0x377F0683
VERSION = 3_007_000


class Frame(NamedTuple):
    """One version of one page. commit: a transaction ends with it. good: SQLite will read it. whole: the file does not end within it."""

    page: int
    commit: bool
    good: bool
    whole: bool
    content: bytes


class Log(NamedTuple):
    """Frames of the log's present generation, in order. header_good: SQLite will read the file at all."""

    header_good: bool
    frames: list[Frame]

    @property
    def doubtful(self) -> bool:
        """True if a transaction of this generation ends where SQLite will not read: cut by power loss before it was promised, or damaged.

        A process that was killed leaves no such thing: what was promised has its last frame, whole.
        """
        return any(frame.commit and frame.whole and not frame.good for frame in self.frames)


def read(data: bytes) -> Log:
    """Read the frames of a log. Those of an older generation, left behind by a reset, do not count."""
    if len(data) <= HEADER + FRAME_HEADER:
        return Log(header_good=True, frames=[])
    magic, _, _, _, salts, stated = struct.unpack(">IIII8s8s", data[:HEADER])
    order = "<" if magic != BIG else ">"
    good = magic in (LITTLE, BIG) and struct.pack(">II", *_sums(data[:24], (0, 0), order)) == stated
    if not good:
        # The header is damaged, but what it has for salts may still tell the frames of this generation.
        salts = data[HEADER + 8 : HEADER + 16]
    header_good = good
    sums = struct.unpack(">II", stated)
    frames: list[Frame] = []
    for at in range(HEADER, len(data) - FRAME_HEADER + 1, FRAME):
        head, content = data[at : at + FRAME_HEADER], data[at + FRAME_HEADER : at + FRAME]
        if head[8:12] != salts[:4] and head[12:16] != salts[4:]:
            good = False  # a lost sector, or remains of an older generation: SQLite stops here, promised frames may still follow
            continue
        if good:
            sums = _sums(head[:8] + content, sums, order) if len(content) == PAGE else (0, 0)
            good = head[8:16] == salts and struct.pack(">II", *sums) == head[16:24] and len(content) == PAGE
        page, size = struct.unpack(">II", head[:8])
        frames.append(Frame(page, size != 0, good, len(content) == PAGE, content.ljust(PAGE, b"\0")))
    return Log(header_good, frames)


def _sums(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Continue the log's checksum over `data`: the pair (s0, s1) of SQLite's format, over 32-bit words."""
    s0, s1 = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for word in words:
        s0 = (s0 + word + s1) & 0xFFFFFFFF
        s1 = (s1 + next(words) + s0) & 0xFFFFFFFF
    return s0, s1
