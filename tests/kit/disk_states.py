"""Which states a power cut may leave of a run that was written down (kit.disk_trace), where nothing holds but what POSIX promises.

An operation is on the disk for sure when a later `fsync` covered it: of the file for its bytes and mode, of the folder for a name in it;
or when a later `sync` did. Of all others since then, any may be there and any may not, whatever came first. A name may be there and the
bytes behind it not, or their first half. One rename is one operation: it is there or it is not. A symbolic link that was never made durable
under its first name may be lost under the one that it was renamed to.
"""

import random
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from kit.disk_trace import Call, calls, opened

Kind = Literal["folder", "file", "link"]
How = Literal["none", "empty", "half", "all"]
UMASK = 0o022


class Node(NamedTuple):
    """What lies at a path. content: of a file, or where a link leads."""

    kind: Kind
    mode: int = 0o755
    content: bytes = b""


Tree = dict[str, Node]


@dataclass
class Inode:
    """A file, folder or link, whatever its names. made: by which operation; none if it was there before."""

    node: Node
    made: int | None = None


@dataclass(frozen=True)
class Operation:
    """What one call changed: names in folders, bytes (offset None: cut to that length) or mode of a file. says: the call, for a person."""

    says: str
    names: tuple[tuple[int, str, int | None], ...] = ()
    inode: int = -1
    offset: int | None = None
    data: bytes = b""
    length: int | None = None
    mode: int | None = None

    @property
    def covered_by(self) -> set[int]:
        """By a flush of which folders and files it is on the disk for sure."""
        return {folder for folder, _, _ in self.names} or {self.inode}


@dataclass(frozen=True)
class Flush:
    """What is on the disk from here on: all of one file or folder; of everything, where inode is none."""

    says: str
    inode: int | None = None


@dataclass(frozen=True)
class State:
    """What a power cut may leave. says: how it differs from what was done, and before what the power was cut."""

    says: str
    tree: Tree


@dataclass
class Disk:
    """Follows a run, call by call. watched: what lies beneath one of these paths; what was changed elsewhere is in `elsewhere`."""

    before: Tree
    watched: tuple[str, ...]
    inodes: list[Inode] = field(default_factory=list)
    first: dict[int, dict[str, int]] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    steps: list[Operation | Flush] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)
    _contents: dict[tuple[int, tuple[int, ...]], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._new(Node("folder"))
        for path in sorted({*self.before, *(folder for each in self.watched for folder in _folders(each))}):
            folder, name = self._at(path)
            if name and folder is not None:
                self.names[folder][name] = self._new(self.before.get(path, Node("folder")))
        self.first = {folder: dict(names) for folder, names in self.names.items()}

    def follow(self, lines: Iterable[str], cwd: str) -> "Disk":
        """Take what strace wrote down of a run."""
        for call in calls(lines, cwd):
            CALLS[call.name](self, call)
        return self

    # What the calls of the system do

    def opens(self, call: Call) -> None:
        flags = next((word for word in call.words if word.startswith("O_")), "O_CREAT|O_TRUNC|O_WRONLY" if call.name == "creat" else "")
        path = opened(call.returned)
        if not path or "O_RDONLY" in flags or not self._is_watched(path):
            return
        assert "O_TMPFILE" not in flags, f"not understood: {call}"
        inode = self._inode(path)
        if inode is None:
            self._make(call.name, path, Node("file", _mode(call.words[-1]) & ~UMASK))
        elif "O_TRUNC" in flags:
            self._does(Operation(f"empty {path}", inode=inode, length=0))

    def writes(self, call: Call) -> None:
        path = call.opened(0)
        if not path or not self._is_watched(path):
            return
        inode = self._inode(path)
        assert inode is not None, f"{path} was written, and never made"
        offset = int(call.words[-1]) if call.name.startswith("pwrite") else None
        data = call.data()[: int(call.returned)]
        self._does(Operation(f"write {len(data)} bytes to {path}", inode=inode, offset=offset, data=data))

    def cuts(self, call: Call) -> None:
        path = call.opened(0) if call.name == "ftruncate" else call.path(0)
        if path and self._is_watched(path):
            self._does(Operation(f"cut {path}", inode=self._there(path), length=int(call.words[1])))

    def renames(self, call: Call) -> None:
        was, to = (call.path(0), call.path(1)) if call.name == "rename" else (call.path(1, 0), call.path(3, 2))
        if not (self._is_watched(was) or self._is_watched(to)):
            return
        source, target = self._slot(was), self._slot(to)
        inode, other = self._there(was, follow=False), None
        if "RENAME_EXCHANGE" in call.words[-1]:
            other = self._there(to, follow=False)
        elif self.names[target[0]].get(target[1]) == inode:
            return
        self._does(Operation(f"rename {was} to {to}", names=((*target, inode), (*source, other))))

    def links(self, call: Call) -> None:
        was, to = (call.path(0), call.path(1)) if call.name == "link" else (call.path(1, 0), call.path(3, 2))
        if self._is_watched(to):
            self._does(Operation(f"link {to}", names=((*self._slot(to), self._there(was, follow=False)),)))

    def symlinks(self, call: Call) -> None:
        path = call.path(1) if call.name == "symlink" else call.path(2, 1)
        self._make("link", path, Node("link", 0o777, call.text(0).encode()))

    def unlinks(self, call: Call) -> None:
        path = call.path(0) if call.name in ("unlink", "rmdir") else call.path(1, 0)
        if self._is_watched(path):
            self._does(Operation(f"remove {path}", names=((*self._slot(path), None),)))

    def makes_folder(self, call: Call) -> None:
        path = call.path(0) if call.name == "mkdir" else call.path(1, 0)
        self._make("mkdir", path, Node("folder", _mode(call.words[-1]) & ~UMASK))

    def changes_mode(self, call: Call) -> None:
        path = {"chmod": lambda: call.path(0), "fchmod": lambda: call.opened(0), "fchmodat": lambda: call.path(1, 0)}[call.name]()
        mode = call.words[2] if call.name == "fchmodat" else call.words[1]
        if path and self._is_watched(path):
            self._does(Operation(f"mode of {path}", inode=self._there(path), mode=_mode(mode)))

    def flushes(self, call: Call) -> None:
        if call.name in ("sync", "syncfs"):  # of one file system: the tests have all in one
            self.steps.append(Flush("sync"))
        elif (path := call.opened(0)) and (inode := self._inode(path)) is not None:
            self.steps.append(Flush(f"fsync {path}", inode))

    def refuses(self, call: Call) -> None:
        path = call.opened(0)
        assert not (path and self._is_watched(path)), f"not understood: {call}"

    # What is there

    def now(self) -> Tree:
        """What lies on the disk if no power is cut: it must be what the run really left."""
        return self._tree(range(len(self.steps)), {})

    def _is_watched(self, path: str) -> bool:
        place = self._place(path)
        if place is None or not any(f"{place}/".startswith(f"{each}/") for each in self.watched):
            self.elsewhere.add(path)
            return False
        return True

    def _place(self, path: str) -> str | None:
        """Where a path leads, when the links of its folders are followed; none where a folder of it is not known."""
        at: list[str] = []
        left = [each for each in path.split("/") if each not in ("", ".")]
        for _ in range(200):
            if not left:
                return "/" + "/".join(at)
            name = left.pop(0)
            if name == "..":
                at = at[:-1]
                continue
            folder = self._walk(at)
            if folder is None:
                return None
            found = self.names[folder].get(name)
            if found is not None and left and (node := self.inodes[found].node).kind == "link":
                target = node.content.decode()
                at = [] if target.startswith("/") else at
                left = [*[each for each in target.split("/") if each not in ("", ".")], *left]
                continue
            at = [*at, name]
        return None

    def _walk(self, names: Iterable[str]) -> int | None:
        at: int | None = 0
        for name in names:
            at = self.names.get(at, {}).get(name) if at is not None else None
        return at if at in self.names else None

    def _at(self, path: str) -> tuple[int | None, str]:
        place = self._place(path)
        if place is None:
            return None, ""
        *folders, name = place.split("/")[1:] or [""]
        return self._walk(folders), name

    def _slot(self, path: str) -> tuple[int, str]:
        folder, name = self._at(path)
        assert folder is not None, f"no folder is known for {path}"
        return folder, name

    def _inode(self, path: str, *, follow: bool = True) -> int | None:
        folder, name = self._at(path)
        found = None if folder is None else 0 if not name else self.names[folder].get(name)
        if follow and found is not None and (node := self.inodes[found].node).kind == "link":
            target = node.content.decode()
            return self._inode(target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}")
        return found

    def _there(self, path: str, *, follow: bool = True) -> int:
        inode = self._inode(path, follow=follow)
        assert inode is not None, f"{path} was never made"
        return inode

    def _new(self, node: Node, made: int | None = None) -> int:
        self.inodes.append(Inode(node, made))
        if node.kind == "folder":
            self.names[len(self.inodes) - 1] = {}
        return len(self.inodes) - 1

    def _make(self, says: str, path: str, node: Node) -> None:
        if self._is_watched(path):
            inode = self._new(node, len(self.steps))
            self._does(Operation(f"{says} {path}", names=((*self._slot(path), inode),)))

    def _does(self, operation: Operation) -> None:
        self.steps.append(operation)
        for folder, name, inode in operation.names:
            if inode is None:
                self.names[folder].pop(name, None)
            else:
                self.names[folder][name] = inode

    # What may be there

    def states(self, seed: int, drawn: int, *, one_by_one_below: int = 1_000) -> Iterator[State]:
        """Give what a cut before each flush, and at the end, may leave, each state once.

        Each file's bytes are missing or half, each operation is missing alone and is there alone, all by themselves where fewer than
        one_by_one_below are not flushed yet; and `drawn` more by seed.
        """
        chance = random.Random(seed)
        sure: set[int] = set()
        seen: set[int] = set()
        for at, step in enumerate([*self.steps, Flush("the end")]):
            if isinstance(step, Operation):
                continue
            pending = [each for each in range(at) if each not in sure and isinstance(self.steps[each], Operation)]
            for says, kept, data in self._selections(pending, chance, drawn, one_by_one=len(pending) < one_by_one_below):
                tree = self._tree(sure | kept, data, sure)
                if (known := hash(frozenset(tree.items()))) not in seen:
                    seen.add(known)
                    yield State(f"power cut before step {at} ({step.says}): {says}", tree)
            sure |= {each for each in pending if step.inode is None or step.inode in self._operation(each).covered_by}

    def _operation(self, at: int) -> Operation:
        found = self.steps[at]
        assert isinstance(found, Operation)
        return found

    def _selections(
        self, pending: list[int], chance: random.Random, drawn: int, *, one_by_one: bool
    ) -> Iterator[tuple[str, set[int], dict[int, How]]]:
        everything = set(pending)
        files = sorted({step.inode for each in pending if (step := self._operation(each)).inode >= 0 and step.mode is None})
        yield "all is there", everything, {}
        yield "nothing is there", set(), {}
        for inode in files if one_by_one else []:
            for how in ("none", "empty", "half"):
                yield f"bytes of {self._name(inode)}: {how}", everything, {inode: how}
        for each in pending if one_by_one else []:
            yield f"all but: {self._operation(each).says}", everything - {each}, {}
            yield f"nothing but: {self._operation(each).says}", {each}, {}
        for number in range(drawn if len(pending) > 1 else 0):
            share = chance.random()
            kept = {each for each in pending if chance.random() < share}
            data: dict[int, How] = {inode: chance.choice(("none", "empty", "half", "all")) for inode in files}
            missing = "; ".join(self._operation(each).says for each in sorted(everything - kept)[:8])
            yield f"drawn, number {number}: all but {missing}", kept, data

    def _name(self, inode: int) -> str:
        return next(step.says for step in self.steps if isinstance(step, Operation) and step.inode == inode).rpartition(" ")[2]

    def _tree(self, kept: Iterable[int], data: dict[int, How], sure: set[int] | None = None) -> Tree:
        names = {folder: dict(found) for folder, found in self.first.items()}
        written: dict[int, list[int]] = {}
        modes: dict[int, int] = {}
        there = set(kept)
        for at in sorted(there):
            if not isinstance(step := self.steps[at], Operation):
                continue
            for folder, name, inode in step.names:
                names.setdefault(folder, {}).pop(name, None)
                if inode is not None and not self._is_lost(inode, there):
                    names[folder][name] = inode
            if step.mode is not None:
                modes[step.inode] = step.mode
            elif step.inode >= 0:
                written.setdefault(step.inode, []).append(at)
        held = {inode: self._held(inode, steps, sure or set(), data.get(inode, "all")) for inode, steps in written.items()}
        return dict(self._below(0, "", names, held, modes))

    def _is_lost(self, inode: int, there: set[int]) -> bool:
        """A link has no bytes that could be flushed: without the making of it, nothing is there."""
        found = self.inodes[inode]
        return found.node.kind == "link" and found.made is not None and found.made not in there

    def _held(self, inode: int, steps: list[int], sure: set[int], how: How) -> bytes:
        everything = self._content(inode, tuple(steps))
        if how == "all":
            return everything
        flushed = self._content(inode, tuple(each for each in steps if each in sure))
        if how == "none":
            return flushed
        least = len(flushed) if everything.startswith(flushed) else 0
        return everything[: least + (len(everything) - least) // 2 if how == "half" else least]

    def _content(self, inode: int, steps: tuple[int, ...]) -> bytes:
        """What a file holds after these operations."""
        was = self.inodes[inode].node.content
        if not steps:
            return was
        if (inode, steps) not in self._contents:
            held = bytearray(was)
            for at in steps:
                _write(self._operation(at), held)
            self._contents[inode, steps] = bytes(held)
        return self._contents[inode, steps]

    def _below(
        self, at: int, path: str, names: dict[int, dict[str, int]], held: dict[int, bytes], modes: dict[int, int]
    ) -> Iterator[tuple[str, Node]]:
        for name, inode in names.get(at, {}).items():
            node, here = self.inodes[inode].node, f"{path}/{name}"
            yield here, Node(node.kind, modes.get(inode, node.mode), held.get(inode, node.content))
            if node.kind == "folder":
                yield from self._below(inode, here, names, held, modes)


def _write(step: Operation, held: bytearray) -> None:
    if step.length is not None:
        del held[step.length :]
        held.extend(bytes(step.length - len(held)))
        return
    offset = len(held) if step.offset is None else step.offset
    held.extend(bytes(max(0, offset - len(held))))
    held[offset : offset + len(step.data)] = step.data


def _folders(path: str) -> Iterator[str]:
    names = path.split("/")[1:]
    return ("/" + "/".join(names[: length + 1]) for length in range(len(names)))


def _mode(word: str) -> int:
    return stat.S_IMODE(int(word, 8))


CALLS: dict[str, Callable[[Disk, Call], None]] = {
    **dict.fromkeys(("open", "openat", "openat2", "creat"), Disk.opens),
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2"), Disk.writes),
    **dict.fromkeys(("truncate", "ftruncate"), Disk.cuts),
    **dict.fromkeys(("rename", "renameat", "renameat2"), Disk.renames),
    **dict.fromkeys(("link", "linkat"), Disk.links),
    **dict.fromkeys(("symlink", "symlinkat"), Disk.symlinks),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), Disk.unlinks),
    **dict.fromkeys(("mkdir", "mkdirat"), Disk.makes_folder),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat"), Disk.changes_mode),
    **dict.fromkeys(("fsync", "fdatasync", "sync", "syncfs"), Disk.flushes),
    **dict.fromkeys(("fallocate", "sendfile", "copy_file_range", "splice", "sync_file_range", "mknod", "mknodat"), Disk.refuses),
}
