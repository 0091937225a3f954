"""Read the rows of a damaged segment without SQLite, from every page that still is one; each row is proved by its own digest.

File format: sqlite.org/fileformat2.html, sections 1.6 (b-tree pages) and 2.1 (records). Nothing unproved comes out, so any page of any age
may be tried: those of the file, and every version in the write-ahead log. SQLite's own `.recover` does neither: it reads one version of
each page, and does not compare rows with digests.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from buffer import segment as segments
from buffer.repair import wal
from buffer.segment import Damaged, Fact, Row

PAGE = 4096
LEAF = 0x0D
"""Type byte of a b-tree leaf page of a table (1.6)."""
MAX_LOCAL = PAGE - 35
"""Bytes of a record that a leaf page holds itself; more goes to overflow pages, which then leave MIN_LOCAL or more here (1.6)."""
MIN_LOCAL = (PAGE - 12) * 32 // 255 - 23


Versions = dict[str, dict[tuple[int, int], Fact]]
"""Name -> what was proved of a fact, by the (epoch, seq) after which it held."""


@dataclass(slots=True)
class Proved:
    """What a segment's file and a log prove. entries: by seq; facts: every version of each.

    whole: no entry through this seq was committed by the log's last transaction, the one that a power cut can have torn.
    """

    entries: dict[int, Row] = field(default_factory=dict)
    facts: Versions = field(default_factory=dict)
    whole: int = 0

    def end(self, epoch: int) -> int:
        """Return the last entry of an epoch of which anything proved tells."""
        told = (seq for versions in self.facts.values() for its, seq in versions if its == epoch)
        return max(max(self.entries, default=0), max(told, default=0))


def rows(path: Path, log_path: Path, epoch: int) -> Proved:
    """Return every entry of this epoch and every version of a fact that a segment's file and a log can prove. Either may be missing."""
    data = _readable(path)
    log = wal.read(_readable(log_path))
    pages = {number + 1: data[at : at + PAGE] for number, at in enumerate(range(0, len(data) - PAGE + 1, PAGE))}
    proved = Proved()
    # Overflow pages are looked up in `pages`: for records of the file those of the file, for records of the log as they were when its
    # transaction ended, because an older version of a fact may be the one that counts; and last the newest of all.
    for page in list(pages.values()):
        _take(page, pages, epoch, proved)
    proved.whole = proved.end(epoch)
    transaction: list[wal.Frame] = []
    last = max((number for number, frame in enumerate(log.frames) if frame.commit), default=0)
    for number, frame in enumerate(log.frames):
        pages[frame.page] = frame.content
        transaction.append(frame)
        if frame.commit:
            proved.whole = proved.end(epoch) if number == last else proved.whole
            for one in transaction:
                _take(one.content, pages, epoch, proved)
            transaction = []
    for frame in log.frames:
        _take(frame.content, pages, epoch, proved)
    return proved


def _readable(path: Path) -> bytes:
    """Return a file's bytes, with zeros for sectors that the disk can not read any more."""
    if not path.exists():
        return b""
    pieces = []
    with path.open("rb", buffering=0) as file:
        for at in range(0, path.stat().st_size, PAGE):
            try:
                pieces.append(os.pread(file.fileno(), PAGE, at))
            except OSError:
                pieces.append(bytes(PAGE))
    return b"".join(pieces)


def _take(page: bytes, pages: dict[int, bytes], epoch: int, proved: Proved) -> None:
    """Add the entries and facts that one page proves."""
    unpack = zstandard.ZstdDecompressor()
    for seq, record in _records(page, pages):
        match record:
            case [None, bytes(digest), int(total), bytes(packed)] if seq not in proved.entries and len(digest) == 32:
                try:
                    payload = segments.unpacked(unpack, seq, digest, packed)
                except Damaged:
                    continue
                if f'"epoch":{epoch},"seq":{seq},'.encode() in payload[:400]:
                    proved.entries[seq] = seq, digest, total, packed
            case [str(name), int(fact_epoch), int(fact_seq), bytes(value)]:
                fact = segments.fact_from(fact_epoch, fact_seq, value)
                if fact is not None:
                    proved.facts.setdefault(name, {})[fact[:2]] = fact


def _records(page: bytes, pages: dict[int, bytes]) -> Iterator[tuple[int, list[object]]]:
    """Yield (rowid, columns) of a table leaf page; cells that can not be read are left out."""
    start = 100 if page[:6] == b"SQLite" else 0
    if len(page) != PAGE or page[start] != LEAF:
        return
    (count,) = struct.unpack(">H", page[start + 3 : start + 5])
    for index in range(min(count, PAGE // 4)):
        place = start + 8 + 2 * index
        (at,) = struct.unpack(">H", page[place : place + 2].rjust(2, b"\0"))
        try:
            size, at = _varint(page, at)
            rowid, at = _varint(page, at)
            yield rowid, _columns(_content(page, at, size, pages))
        except (IndexError, KeyError, ValueError, struct.error):
            continue


def _content(page: bytes, at: int, size: int, pages: dict[int, bytes]) -> bytes:
    """Return a cell's payload, its overflow pages included. Raises ValueError, KeyError, IndexError, struct.error."""
    if not 0 < size <= 1 << 20:
        raise ValueError("no record")
    if size <= MAX_LOCAL:
        return page[at : at + size]
    local = MIN_LOCAL + (size - MIN_LOCAL) % (PAGE - 4)
    local = local if local <= MAX_LOCAL else MIN_LOCAL
    content = page[at : at + local]
    (following,) = struct.unpack(">I", page[at + local : at + local + 4])
    while len(content) < size:
        overflow = pages[following]
        content += overflow[4 : 4 + size - len(content)]
        (following,) = struct.unpack(">I", overflow[:4])
    return content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable-length integer (1.6): (value, position after it)."""
    value = 0
    for offset in range(8):
        byte = data[at + offset]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + offset + 1
    return value << 8 | data[at + 8], at + 9


INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Serial type of an integer -> its bytes (2.1)."""


def _columns(record: bytes) -> list[object]:
    """Read the columns of a record (2.1)."""
    head, at = _varint(record, 0)
    kinds = []
    while at < head:
        kind, at = _varint(record, at)
        kinds.append(kind)
    columns: list[object] = []
    for kind in kinds:
        value, size = _value(record, at, kind)
        columns.append(value)
        at += size
    return columns


def _value(record: bytes, at: int, kind: int) -> tuple[object, int]:
    """Read one column of a serial type: (value, bytes it takes) (2.1)."""
    if kind in INTEGER_BYTES:
        size = INTEGER_BYTES[kind]
        return int.from_bytes(record[at : at + size], "big", signed=True), size
    if kind >= 12:
        size = (kind - 12) // 2
        raw = record[at : at + size]
        return (raw.decode() if kind % 2 else raw), size
    return {0: None, 8: 0, 9: 1}[kind], 0
