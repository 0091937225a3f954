"""Remembers which files were read, and how far: by content, committed together with their records, bounded.

Each file is a key of its own in the source's watermark, `PATTERN/ORIGIN`, and the marks of its records are keys beside it,
`PATTERN/ORIGIN/0` and so on: a commit writes what has changed, so a line that is appended costs the same in the morning and in the evening.
"""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from drivers.mes_file.content import Content, digest_of
from drivers.mes_file.folder import Seen

CHUNK = 128
"""Marks of records in one key of the watermark."""
GONE = ""
"""In place of a record's sum: the row was deleted."""
Mark = tuple[str, str]
"""(key of the record, sum of its row)"""


def row_sum(row: Mapping[str, Any]) -> str:
    """Return 72 bits of SHA-256 over a row as JSON: enough to see a change, short enough to keep many."""
    return b64encode(sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).digest()[:9]).decode("ascii")


@dataclass(slots=True)
class Read:
    """How far a file of lines is in the journal, in whole records. chars: of its body; digest: of those; records: in them.

    chars None: of a file that an earlier version read, by whose `size_bytes` it has to be found out.
    """

    chars: int | None = 0
    digest: str = ""
    records: int = 0


@dataclass(slots=True)
class Entry:
    """A file that was read, or of which a part was. origin: digest of the content with which it came first.

    digest: of the content read last. handed: how many changes of that content are in the journal while not all of them are; None: all.
    read: what is in the journal whole; begun: what `handed` counts from it on. base: number of marks that were kept before `begun`.
    is_compared: False if its records are too many for marks to be kept.
    """

    origin: str
    name: str
    digest: str
    inode: int = 0
    size_bytes: int = 0
    mtime_ns: int = 0
    handed: int | None = None
    base: int = 0
    is_compared: bool = True
    read: Read = field(default_factory=Read)
    begun: Read = field(default_factory=Read)

    @property
    def is_done(self) -> bool:
        """True if all of the content read last is in the journal."""
        return self.handed is None

    def stands_as(self, seen: Seen) -> bool:
        """Return True if the folder still shows just this file: no need to read it again."""
        return (self.name, self.inode, self.size_bytes, self.mtime_ns) == (seen.name, seen.inode, seen.size_bytes, seen.mtime_ns)

    def stands(self, seen: Seen) -> None:
        """Note as what it stands in the folder now."""
        self.name, self.inode, self.size_bytes, self.mtime_ns = seen.name, seen.inode, seen.size_bytes, seen.mtime_ns


def begins_with(content: Content, read: Read) -> bool:
    """Return True if a content goes on where what was read of it ends: its body begins with just that, and a record ends there."""
    if not read.chars or len(content.body) < read.chars or digest_of(content.body[: read.chars]) != read.digest:
        return False
    return content.body[read.chars - 1] in "\r\n" or content.body[read.chars : read.chars + 1] in ("", "\r", "\n")


class Ledger:
    """Remembers the files of one pattern, in the order of delivery."""

    def __init__(self, watermark: Mapping[str, Any], pattern: str, most_files: int, most_rows: int) -> None:
        self._pattern, self._most, self._most_rows = pattern, most_files, most_rows
        self._entries: dict[str, Entry] = {}  # by origin
        self._marks: dict[str, list[Mark]] = {}
        self._by_name: dict[str, str] = {}
        self._by_digest: dict[str, str] = {}
        self._by_inode: dict[int, str] = {}
        self._listed: dict[str, tuple[str, int]] = {}  # origin -> as what it stands in the two above
        self._rows = 0  # marks that are kept
        self._standing: dict[str, Seen] = {}
        self._changed: dict[str, Any] = {}
        self._load(watermark)

    def _load(self, watermark: Mapping[str, Any]) -> None:
        chunks: dict[str, dict[int, list[Mark]]] = {}
        for key, value in watermark.items():
            pattern, _, rest = key.partition("/")
            origin, _, chunk = rest.partition("/")
            if pattern != self._pattern or value is None:
                continue
            if not rest:
                self._load_former(value)
            elif chunk:
                chunks.setdefault(origin, {})[int(chunk)] = [(key, total) for key, total in value]
            else:
                self._put(Entry(**{**value, "read": Read(**value["read"]), "begun": Read(**value["begun"])}))
        for entry in sorted(self._entries.values(), key=lambda entry: entry.mtime_ns):
            self._entries[entry.origin] = self._entries.pop(entry.origin)
            self._marks[entry.origin] = [mark for _, part in sorted(chunks.get(entry.origin, {}).items()) for mark in part]
        self._rows = sum(map(len, self._marks.values()))

    def _load_former(self, stored: Mapping[str, Any]) -> None:
        """Take over what an earlier version wrote, all files in one key: digest -> [name, rows or -1 for all, inode, size, time]."""
        for digest, (name, rows, inode, size_bytes, mtime_ns) in stored.items():
            handed = None if rows < 0 else rows
            self._put(Entry(digest, name, digest, inode, size_bytes, mtime_ns, handed, read=Read(None if handed is None else 0)))
            self._write(self._entries[digest])
        self._changed[self._pattern] = None

    def changes(self) -> dict[str, Any]:
        """Return what has changed of the watermark since the last call; None: the key is no more."""
        changed, self._changed = self._changed, {}
        return changed

    def __len__(self) -> int:
        return len(self._entries)

    def knows(self, seen: Seen) -> bool:
        """Return True if this very file (name, inode, size, time) was read to its end."""
        if self._standing.get(seen.name) == seen:
            return True
        entry = self.named(seen.name)
        return entry is not None and entry.is_done and entry.stands_as(seen)

    def of(self, digest: str, name: str) -> Entry | None:
        """Return the file of which this is the content: that now, or for another name also that with which it came first."""
        origin = self._by_digest.get(digest, digest)
        entry = self._entries.get(origin)
        return None if entry is None or (entry.digest != digest and entry.name == name) else entry

    def named(self, name: str) -> Entry | None:
        """Return the file that was read under this name last."""
        return self._entries.get(self._by_name.get(name, ""))

    def before(self, seen: Seen, content: Content, present: Mapping[str, Seen]) -> Entry | None:
        """Return what this file was before, if it is remembered: what stood under its name, or the file that was renamed and has grown."""
        renamed = self._entries.get(self._by_inode.get(seen.inode, ""))
        if renamed is None or renamed.name == seen.name or not begins_with(content, renamed.read):
            return self.named(seen.name)
        stands = present.get(renamed.name)
        return self.named(seen.name) if stands is not None and stands.inode == seen.inode else renamed

    def marks(self, entry: Entry) -> list[Mark]:
        """List the marks of an entry's records, in the order in which they were handed over: the last of a key counts."""
        return self._marks.get(entry.origin, [])

    def put(self, entry: Entry, seen: Seen, marks: list[Mark]) -> None:
        """Note how far an entry's file is in the journal now, and the marks of what was added."""
        kept = self._marks.setdefault(entry.origin, [])
        if kept and not entry.is_compared:
            self._set_marks(entry, [])
            entry.base = 0
        elif marks:
            first = len(kept) // CHUNK
            kept.extend(marks)
            self._rows += len(marks)
            self._write_marks(entry.origin, first)
        _rename(self._by_name, entry, seen)
        self._put(entry)
        self._write(entry)
        if entry.is_done:
            self._standing[seen.name] = seen
            self._compact(entry)

    def again(self, entry: Entry, seen: Seen) -> None:
        """Note that a content that is remembered stands under this name, too."""
        if entry.name == seen.name:
            _rename(self._by_name, entry, seen)
            self._write(entry)
        self._standing[seen.name] = seen

    def pass_over(self, seen: Seen) -> None:
        """Note that this file was refused as it stands: it is read again when it has changed."""
        self._standing[seen.name] = seen

    def unfinished(self) -> list[Entry]:
        """List the files of which only a part is in the journal."""
        return [entry for entry in self._entries.values() if not entry.is_done]

    def close(self, entry: Entry) -> None:
        """Note that no more of this file will come."""
        entry.handed = None
        self._write(entry)

    def stay(self, present: Collection[str]) -> None:
        """Forget as what those files stood in the folder that are no more in it."""
        self._standing = {name: seen for name, seen in self._standing.items() if name in present}

    def make_room(self, present: Collection[str]) -> None:
        """Make room for one more: the longest delivered leave first, but none that still stands in the folder (it would be read again)."""
        excess = len(self._entries) - self._most + 1
        if excess > 0:
            stay = {self._by_name[name] for name in present if name in self._by_name}
            gone = [origin for origin, entry in self._entries.items() if entry.is_done and origin not in stay]
            for origin in gone[:excess]:
                self.drop(origin)
        if self._rows > self._most_rows:
            self._bound_rows()

    def _bound_rows(self) -> None:
        """Keep marks of at most so many records: those of the longest delivered leave first."""
        for origin, entry in self._entries.items():
            if self._rows > self._most_rows and self._marks.get(origin) and entry.is_done:
                self._set_marks(entry, [])
                entry.base, entry.is_compared = 0, False
                self._write(entry)

    def _compact(self, entry: Entry) -> None:
        """Write the marks anew when most of them are former ones of the same records."""
        marks = self._marks[entry.origin]
        last = dict(marks)
        if len(marks) > 2 * len(last) + CHUNK:
            self._set_marks(entry, [mark for mark in last.items() if mark[1] != GONE])
            entry.base = len(self._marks[entry.origin])
            self._write(entry)

    def _set_marks(self, entry: Entry, marks: list[Mark]) -> None:
        before, now = _chunks(self._marks.get(entry.origin, ())), _chunks(marks)
        self._rows += len(marks) - len(self._marks[entry.origin])
        self._marks[entry.origin] = marks
        self._changed |= {f"{self._pattern}/{entry.origin}/{chunk}": None for chunk in range(now, before)}
        self._write_marks(entry.origin, 0)

    def _write_marks(self, origin: str, first: int) -> None:
        marks = self._marks[origin]
        for chunk in range(first, _chunks(marks)):
            self._changed[f"{self._pattern}/{origin}/{chunk}"] = marks[chunk * CHUNK : (chunk + 1) * CHUNK]

    def _write(self, entry: Entry) -> None:
        self._changed[f"{self._pattern}/{entry.origin}"] = asdict(entry)

    def _put(self, entry: Entry) -> None:
        former = self._entries.pop(entry.origin, None)
        if former is not None:
            self._unlist(former.origin)
        self._entries[entry.origin] = entry
        self._by_name[entry.name] = entry.origin
        self._by_digest[entry.digest] = self._by_inode[entry.inode] = entry.origin
        self._listed[entry.origin] = entry.digest, entry.inode

    def _unlist(self, origin: str) -> None:
        """Take a file out of the lists by digest and by inode, where it still stands in them."""
        digest, inode = self._listed.pop(origin)
        if self._by_digest.get(digest) == origin:
            del self._by_digest[digest]
        if self._by_inode.get(inode) == origin:
            del self._by_inode[inode]

    def drop(self, origin: str) -> None:
        """Forget a file: another one stands in its place, or it has to make room."""
        entry = self._entries.pop(origin)
        self._changed |= {f"{self._pattern}/{origin}/{chunk}": None for chunk in range(_chunks(self._marks.get(origin, ())))}
        self._changed[f"{self._pattern}/{origin}"] = None
        self._rows -= len(self._marks.pop(origin, ()))
        self._unlist(origin)
        if self._by_name.get(entry.name) == origin:
            del self._by_name[entry.name]


def _chunks(marks: Sequence[object]) -> int:
    """Return in how many watermark keys so many marks are stored."""
    return -(-len(marks) // CHUNK)


def _rename(by_name: dict[str, str], entry: Entry, seen: Seen) -> None:
    """Note under which name a file stands now."""
    if by_name.get(entry.name) == entry.origin:
        del by_name[entry.name]
    entry.stands(seen)
    by_name[entry.name] = entry.origin
