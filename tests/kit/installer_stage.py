"""The installer at work on a disk of its own: this machine's files with a layer over them. Nothing boots; systemd's part is played."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.disk_states import Disk, Node, Tree
from kit.disk_trace import wrapper
from kit.processes import DEADLINE_S

WATCHED = (
    *("/opt", "/etc/ebr-gateway", "/etc/systemd/system", "/etc/sysusers.d", "/etc/bash_completion.d"),
    *("/usr/local/bin", "/usr/local/share/man/man1", "/var/lib/ebr-gateway"),
)
LAYERED = ("/opt", "/etc", "/usr/local", "/var/lib")
ELSEWHERE = ("/tmp/", "/run/", "/dev/", "/proc/", "/root/.cache/", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.")
"""What is no part of a release: temporary files, and the account, which systemd-sysusers puts in place by its own rules."""
CLEAN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNIT = "ebr-gateway@mixer-1.service"

SYSTEMCTL = """#!/bin/sh
# Lines that run are named in $TOLD/running. A start does what the unit says, as far as the program tells its version.
unit=/etc/systemd/system/ebr-gateway@.service
for line in "$@"; do :; done
case "$1" in
list-units) sed 's/$/ loaded active running x/' "$TOLD/running" ;;
stop | disable) echo "stop $line" >>"$TOLD/asked"; : >"$TOLD/running" ;;
start)
    program=$(sed -n 's/^ExecStart=\\([^ ]*\\).*/\\1/p' "$unit")
    version=$(PYTHONDONTWRITEBYTECODE=1 "$program" --version) || exit 1 # as the service's account, which may not write there
    echo "start $line $version $(sha256sum <"$unit")" >>"$TOLD/asked"
    if [ -s "$TOLD/fails" ] && [ "$version" = "$(cat "$TOLD/fails")" ]; then exit 1; fi
    echo "$line" >"$TOLD/running" ;;
is-active) grep -qx "$line" "$TOLD/running" ;;
esac
"""
NOTHING = "#!/bin/sh\nexit 0\n"
SPACE = """
set -e
{mounts}
mount -t tmpfs none /run
mkdir -p /run/systemd/system
export TOLD={told}
{script}
"""


def needed(*programs: str, root: bool = True) -> None:
    """Skip the test where it can not be played, and say for want of what."""
    missing = [each for each in programs if shutil.which(each) is None]
    if root and os.geteuid() != 0:
        missing = ["root", *missing]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@dataclass
class Stage:
    """A disk. top: where all lies that is not this machine's."""

    folder: Path
    top: Path

    @classmethod
    def empty(cls, folder: Path) -> "Stage":
        """Begin with nothing installed."""
        folder.mkdir(parents=True)
        (folder / "none").mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("sync", NOTHING)):
            (folder / "shims" / name).parent.mkdir(exist_ok=True)
            (folder / "shims" / name).write_text(text)
            (folder / "shims" / name).chmod(0o755)
        stage = cls(folder, _made(folder / "first"))
        done = stage.run(f"mkdir -p {' '.join(WATCHED)}")
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        return stage

    def copy(self, name: str) -> "Stage":
        """Make another disk on which the same lies."""
        top = _made(self.folder / name)
        for place in LAYERED:
            subprocess.run(["cp", "-a", f"{self.top / _name(place)}/.", top / _name(place)], check=True)
        return Stage(self.folder, top)

    @property
    def told(self) -> Path:
        """Where the player of systemd notes what it was asked, and which lines run: none of the disk."""
        return self.top / "told"

    def run(self, script: str, *, traced: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run it as root on this disk. traced: where strace writes what it did; then `sync` is the real one, and noted alone."""
        shims = self.folder / ("traced" if traced else "shims")
        if traced and not shims.exists():
            shutil.copytree(self.folder / "shims", shims)
            (shims / "sync").unlink()
        words = ["sh", "-c", script]
        inner = " ".join(map(_quoted, [*(wrapper(str(traced)) if traced else []), *words]))
        text = SPACE.format(mounts="\n".join(self._mounts()), told=self.told, script=f"cd /; exec {inner}")
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", text],
            capture_output=True,
            text=True,
            env={"PATH": f"{shims}:{CLEAN}", "HOME": "/root", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": ""},
            timeout=10 * DEADLINE_S,
            check=False,
        )

    def _mounts(self) -> Iterable[str]:
        for place in LAYERED:
            lower = self.folder / "none" if place == "/opt" else place
            options = f"lowerdir={lower},upperdir={self.top / _name(place)},workdir={self.top / _name(place)}.work"
            yield f"mount -t overlay overlay -o {options},redirect_dir=off,metacopy=off {place}"

    def tree(self) -> Tree:
        """Read what lies on this disk where the installer works, and nothing of this machine."""
        found: Tree = {}
        for at, folders, files in (each for place in LAYERED for each in os.walk(self.top / _name(place))):
            for name in [*folders, *files]:
                node = _read(Path(at, name))
                path = self._path(Path(at, name))
                if node is not None and any(f"{path}/".startswith(f"{each}/") for each in WATCHED):
                    found[path] = node
        return found

    def follow(self, trace: Path, before: Tree) -> Disk:
        """Take what strace wrote down; it must explain all that is there now, and nothing of the disk was changed but what is looked at."""
        with trace.open(encoding="ascii", errors="replace") as lines:
            disk = Disk(before, WATCHED).follow(lines, "/")
        strange = sorted(each for each in disk.elsewhere if not each.startswith((*ELSEWHERE, str(self.folder))))
        assert strange == [], strange
        differ = differing(self.tree(), disk.now())
        assert differ == [], "the trace does not explain what is there"
        return disk

    def lay(self, before: Tree, tree: Tree) -> None:
        """Change a disk that holds `before` to what `tree` says."""
        changed = [path for path in {*before, *tree} if before.get(path) != tree.get(path) and not _is_frame(path)]
        for path in sorted(changed, reverse=True):
            if path in before and (path not in tree or tree[path].kind != before[path].kind):
                self._at(path).rmdir() if before[path].kind == "folder" else self._at(path).unlink()
        for path in sorted(changed):
            if path in tree:
                _put(self._at(path), tree[path])

    def _at(self, path: str) -> Path:
        place = next(each for each in LAYERED if path.startswith(f"{each}/"))
        return self.top / _name(place) / path[len(place) + 1 :]

    def _path(self, at: Path) -> str:
        name, *names = at.relative_to(self.top).parts
        return "/".join([next(each for each in LAYERED if _name(each) == name), *names])


def differing(one: Tree, other: Tree) -> list[str]:
    """Name what two disks differ in; folders that hold the others are no difference."""
    return sorted(
        f"{path}: {_short(one.get(path))}; {_short(other.get(path))}"
        for path in {*one, *other}
        if one.get(path) != other.get(path) and not _is_frame(path)
    )


def _short(node: Node | None) -> str:
    return "not there" if node is None else f"{node.kind} {node.mode:o} {str(node.content)[:80]}"


def _is_frame(path: str) -> bool:
    return any(f"{each}/".startswith(f"{path}/") for each in WATCHED)


def _name(place: str) -> str:
    return place.strip("/").replace("/", "-")


def _made(top: Path) -> Path:
    for place in LAYERED:
        (top / _name(place)).mkdir(parents=True)
        (top / f"{_name(place)}.work").mkdir()
    (top / "told").mkdir()
    (top / "told" / "running").touch()
    (top / "told" / "asked").touch()
    return top


def _put(path: Path, node: Node) -> None:
    content = node.content
    path.parent.mkdir(parents=True, exist_ok=True)
    if node.kind == "folder":
        path.mkdir(exist_ok=True)
        path.chmod(node.mode)
    elif node.kind == "link":
        path.unlink(missing_ok=True)
        path.symlink_to(content.decode())
    else:
        path.write_bytes(content)
        path.chmod(node.mode)


def _read(path: Path) -> Node | None:
    about = path.lstat()
    mode = stat.S_IMODE(about.st_mode)
    if stat.S_ISCHR(about.st_mode):  # so overlayfs notes that a name is gone
        return None
    if stat.S_ISDIR(about.st_mode):
        return Node("folder", mode)
    if stat.S_ISLNK(about.st_mode):
        return Node("link", 0o777, str(path.readlink()).encode())
    return Node("file", mode, path.read_bytes())


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
