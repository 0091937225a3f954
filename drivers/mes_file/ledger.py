"""Remembers which files were read: by content, committed together with their records, bounded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.mes_file.folder import Seen

DONE = -1


@dataclass(slots=True)
class Delivered:
    """A content that was handed over. rows: how many of its records are in the journal, DONE for all (or for a file that was refused)."""

    name: str
    rows: int
    inode: int = 0
    size_bytes: int = 0
    mtime_ns: int = 0

    def stands_as(self, seen: Seen) -> bool:
        """Return True if the folder still shows just this file: no need to read it again."""
        return (self.name, self.inode, self.size_bytes, self.mtime_ns) == (seen.name, seen.inode, seen.size_bytes, seen.mtime_ns)


class Ledger:
    """Remembers the files of one pattern. Keys are the first 32 hex digits of the SHA-256 of a file's bytes, in the order of delivery."""

    def __init__(self, stored: Mapping[str, Any] | None, most: int) -> None:
        self._most = most
        self._by_content: dict[str, Delivered] = {digest: Delivered(*item) for digest, item in (stored or {}).items()}
        self._by_name: dict[str, str] = {item.name: digest for digest, item in self._by_content.items()}
        self._standing: dict[str, tuple[Seen, str]] = {}

    def stored(self) -> dict[str, Any]:
        """Return the ledger as JSON, for the watermark."""
        return {digest: [item.name, item.rows, item.inode, item.size_bytes, item.mtime_ns] for digest, item in self._by_content.items()}

    def __len__(self) -> int:
        return len(self._by_content)

    def knows(self, seen: Seen) -> bool:
        """Return True if this very file (name, inode, size, time) was read to its end."""
        standing = self._standing.get(seen.name)
        if standing is not None and standing[0] == seen:
            return True
        digest = self._by_name.get(seen.name)
        item = None if digest is None else self._by_content[digest]
        return item is not None and item.rows == DONE and item.stands_as(seen)

    def of(self, digest: str) -> Delivered | None:
        """Return what is remembered of this content; None if it was never handed over."""
        return self._by_content.get(digest)

    def was_named(self, name: str) -> bool:
        """Return True if a file of this name was delivered before, with whatever content."""
        return name in self._by_name

    def note(self, digest: str, seen: Seen, rows: int) -> None:
        """Note that this content stands under this name, and how many of its records are handed over."""
        before = self._by_content.get(digest)
        if before is not None and before.name != seen.name and self._by_name.get(before.name) == digest:
            del self._by_name[before.name]
        self._by_content[digest] = Delivered(seen.name, rows, seen.inode, seen.size_bytes, seen.mtime_ns)
        self._by_name[seen.name] = digest
        if rows == DONE:
            self._standing[seen.name] = (seen, digest)

    def again(self, digest: str, seen: Seen) -> None:
        """Note that a content that is remembered stands under this name, too."""
        if self._by_content[digest].name == seen.name:
            self.note(digest, seen, DONE)
        self._standing[seen.name] = (seen, digest)

    def unfinished(self) -> list[tuple[str, Delivered]]:
        """List the contents of which only a part is in the journal."""
        return [(digest, item) for digest, item in self._by_content.items() if item.rows != DONE]

    def close(self, digest: str) -> None:
        """Note that no more of this content will come."""
        self._by_content[digest].rows = DONE

    def forget(self, present: Collection[str]) -> None:
        """Make room for one more: the longest delivered leave first, but none that still stands in the folder (it would be read again)."""
        self._standing = {name: item for name, item in self._standing.items() if name in present}
        excess = len(self._by_content) - self._most + 1
        if excess <= 0:
            return
        stay = {digest for _, digest in self._standing.values()} | {self._by_name[name] for name in present if name in self._by_name}
        gone = [digest for digest, item in self._by_content.items() if item.rows == DONE and digest not in stay]
        for digest in gone[:excess]:
            item = self._by_content.pop(digest)
            if self._by_name.get(item.name) == digest:
                del self._by_name[item.name]
