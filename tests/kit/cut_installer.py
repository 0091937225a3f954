"""A command of the installer, recorded once on a disk of its own, and what becomes of each state in which the power may leave that disk."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.disk_states import Disk, Node, State, Tree
from kit.in_charge import Releases, lay_tiny
from kit.installer_stage import UNIT, Stage, differing, needed
from kit.journals import numbered, open_journal
from kit.machine import mounted
from kit.repository import ROOT

INSTALLER = ROOT / "installer" / "install.sh"
STORED = ("/etc/ebr-gateway/", "/var/lib/ebr-gateway/")
DONE_BEFORE = ("is in use already", "is installed already", "is not installed")
"""How the same command says that nothing is left to do. What lies there must then be all that it would have made."""


@dataclass
class Recorded:
    """What a command did. before, done: the disk before it and behind it. fails: the version on which no line comes up."""

    stage: Stage
    releases: Releases
    command: str
    before: Tree
    done: Tree
    disk: Disk
    said: str
    fails: str = ""

    @classmethod
    def of(cls, stage: Stage, releases: Releases, command: str, *, fails: str = "") -> "Recorded":
        """Run it on a layer of its own, while a line runs, and write down what it does. What was stored before it never touches."""
        before, at = stage.tree(), stage.copy("recorded")
        _line_runs(at, fails)
        trace = at.told / "trace"
        run = at.run(command, traced=trace)
        disk = at.follow(trace, before)
        done = at.tree()
        assert _stored(done) == _stored(before)
        assert not [step for step in disk.steps if any(each in step.says for each in STORED)]
        shutil.rmtree(at.top)
        return cls(stage, releases, command, before, done, disk, f"{run.stdout}{run.stderr}rc={run.returncode}", fails)

    def judged(self, states: Iterable[State]) -> Iterator[State]:
        """Look at each state: one release is in charge and is whole, or none is installed yet, or any more; what was stored is the same."""
        allowed = {self.releases.in_charge(self.before), self.releases.in_charge(self.done), *self.command.split()[-1:]}
        for state in states:
            try:
                version = self.releases.in_charge(state.tree)
                assert version in allowed, f"in charge is {version or 'none'}"
                assert _stored(state.tree) == _stored(self.before)
            except (AssertionError, KeyError) as wrong:
                raise AssertionError(f"{self.command}: {state.says}: {wrong!r}") from wrong
            yield state

    def is_completed(self, state: State, command: str = "", done: Tree | None = None) -> str:
        """Boot what the power left, and give the same command, or another one: all is as if no power had been cut. What it said."""
        at = self.stage.copy("cut")
        try:
            at.lay(self.before, state.tree)
            _line_runs(at, self.fails, running=False)
            version = self.releases.in_charge(state.tree)
            booted = f"systemctl start {UNIT}; " if version else ""
            run = at.run(f"{booted}{command or self.command}")
            told, asked = run.stdout + run.stderr, (at.told / "asked").read_text()
            assert not version or asked.startswith(f"start {UNIT} ebr-gateway {version} "), asked
            assert run.returncode == 0 or self.said.endswith(f"rc={run.returncode}") or any(each in told for each in DONE_BEFORE), told
            left = differing(at.tree(), self.done if done is None else done)
            assert left == [], f"{told}\n" + "\n".join(left[:10])
            return told
        except AssertionError as wrong:
            raise AssertionError(f"{command or self.command}: {state.says}: {wrong}") from wrong
        finally:
            shutil.rmtree(at.top)


def _line_runs(at: Stage, fails: str, *, running: bool = True) -> None:
    (at.told / "fails").write_text(f"ebr-gateway {fails}\n" if fails else "")
    (at.told / "running").write_text(f"{UNIT}\n" if running else "")


def _stored(tree: Tree) -> Tree:
    return {path: node for path, node in tree.items() if path.startswith(STORED)}


@contextmanager
def staged(folder: Path, *versions: str, by_hand: str = "", installer: str = "") -> Iterator[tuple[Stage, Releases, str]]:
    """Make a disk with releases on it, a line and its journal; and the command that calls the installer. installer: another text of it."""
    needed("strace", "unshare", "mount", "systemd-sysusers", "flock")
    with mounted(["-t", "tmpfs", "none"], folder):
        stage = Stage.empty(folder / "stage")
        releases = lay_tiny(stage, *versions, by_hand=by_hand)
        stage.lay({}, _a_line(folder / "journal"))
        text = installer or INSTALLER.read_text()
        (stage.folder / "install.sh").write_text(text)
        yield stage, releases, f"sh {stage.folder}/install.sh"


def _a_line(folder: Path) -> Tree:
    """A line folder, and the journal of it with entries in it, as files."""
    with closing(open_journal(folder)) as opened:
        opened.append([numbered(number) for number in range(20)], urgent=True).result()
    at = f"{STORED[1]}mixer-1"
    files = {f"{at}/{path.relative_to(folder)}": path for path in folder.rglob("*")}
    journal = {name: Node("folder") if path.is_dir() else Node("file", 0o644, path.read_bytes()) for name, path in sorted(files.items())}
    line = {f"{STORED[0]}mixer-1": Node("folder"), f"{STORED[0]}mixer-1/line.toml": Node("file", 0o644, b'[line]\nname = "mixer-1"\n')}
    return {**line, at: Node("folder"), **journal}
