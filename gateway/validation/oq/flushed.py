"""What a disk holds for sure while a program writes to it, and what it may hold after its power was cut.

What was flushed (fsync, fdatasync) is there. What was not is, sector by sector, there or not. A name that came, went or moved is so once
its folder was flushed; folders themselves are there. The model is told of each call before it takes effect, and reads the files of the
folder as they are then.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512


@dataclass
class File:
    """A file. flushed: what of it is on the disk for sure; now: what it held when its name went, None while it lies in the folder."""

    flushed: bytes = b""
    now: bytes | None = None


@dataclass(frozen=True)
class Naming:
    """A name that comes (old None), goes (new None) or moves, and is not on the disk for sure."""

    file: File
    old: str | None
    new: str | None

    @property
    def folders(self) -> set[str]:
        """Folders of which one must be flushed for it."""
        return {str(Path(name).parent) for name in (self.old, self.new) if name}

    def do(self, names: dict[str, File]) -> None:
        """Have it happened."""
        if self.old is not None:
            names.pop(self.old, None)
        if self.new is not None:
            names[self.new] = self.file


@dataclass
class Cut:
    """What a power cut took. files: whose content or name is another one now; bytes: that were written, and are not there."""

    files: int = 0
    bytes: int = 0


@dataclass
class Disk:
    """A folder and what is in it. Names are relative to it."""

    folder: Path
    files: dict[str, File] = field(default_factory=dict)
    named: dict[str, File] = field(default_factory=dict)
    waiting: list[Naming] = field(default_factory=list)

    def settle(self) -> None:
        """Take everything that lies in the folder as flushed: the program has not begun, or somebody else wrote it."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        self.files = {str(path.relative_to(self.folder)): File(path.read_bytes()) for path in found}
        self.named, self.waiting = dict(self.files), []

    def created(self, name: str) -> None:
        """A file is made, unless there is one."""
        if name not in self.files:
            self.files[name] = File()
            self.waiting.append(Naming(self.files[name], None, name))

    def removed(self, name: str) -> None:
        """A file's name goes; what it held may come back."""
        file = self.files.pop(name, None)
        if file is not None:
            file.now = self._content(name)
            self.waiting.append(Naming(file, name, None))

    def moved(self, old: str, new: str) -> None:
        """A file gets another name, in the place of a file that had it."""
        file = self.files.pop(old, None)
        if file is not None:
            self.removed(new)
            self.files[new] = file
            self.waiting.append(Naming(file, old, new))

    def flushed(self, name: str) -> None:
        """A file, or a folder with its names, reaches the disk."""
        if name in self.files:
            self.files[name].flushed = self._content(name)
            return
        for naming in [one for one in self.waiting if name in one.folders]:
            naming.do(self.named)
            self.waiting.remove(naming)

    def cut(self, chance: random.Random | None) -> Cut:
        """Make the folder what the disk may hold after a power cut. chance: None: of what was not flushed, nothing is there."""
        names, told = dict(self.named), Cut()
        for naming in self.waiting:
            if chance is not None and chance.random() < 0.5:
                naming.do(names)
        present = {id(file): self._content(name) for name, file in self.files.items()}
        left = {name: after_cut(file.flushed, present.get(id(file), file.now or b""), chance) for name, file in names.items()}
        for name in self.files.keys() | left.keys():
            content, was = left.get(name), self._content(name) if name in self.files else None
            if content != was:
                told.files, told.bytes = told.files + 1, told.bytes + _different(content or b"", was or b"")
            self._put(name, content)
        self.settle()
        return told

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _put(self, name: str, content: bytes | None) -> None:
        path = self.folder / name
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
            path.unlink(missing_ok=True)  # it may be closed for writing, as what is finished is
            path.write_bytes(content)
            path.chmod(mode)


def after_cut(flushed: bytes, now: bytes, chance: random.Random | None) -> bytes:
    """Return what may be there of a file: each sector as it was flushed or as it was written last, and the length of either."""
    if chance is None or flushed == now:
        return flushed
    content = bytearray(now if chance.random() < 0.5 else flushed)
    size = len(content)
    for at in range(0, size, SECTOR_BYTES):
        of = flushed if chance.random() < 0.5 else now
        piece = of[at : at + SECTOR_BYTES][: size - at]
        content[at : at + SECTOR_BYTES] = piece.ljust(min(SECTOR_BYTES, size - at), b"\0")
    return bytes(content)


def _different(one: bytes, other: bytes) -> int:
    """Count the bytes of the sectors in which two contents differ."""
    size = max(len(one), len(other))
    return sum(SECTOR_BYTES for at in range(0, size, SECTOR_BYTES) if one[at : at + SECTOR_BYTES] != other[at : at + SECTOR_BYTES])
