"""Make a release of the commit that is checked out. `make release VERSION=x.y.z` runs both steps, with the tests between them.

    release.py check VERSION    refuse a version or a tree that can not be released, in one line
    release.py make VERSION     check, write dist/ebr-gateway-VERSION/ (wheel, lock, SHA256SUMS), and tag the commit v<VERSION>

Both can be run again: the same commit gives the same bytes, and an existing tag is compared, never moved. Nothing is pushed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path


class Refused(Exception):
    """The version can not be released as things are; the text says why, in one line."""


def main() -> None:
    """Run one step. Exit 1 with one line where it is refused."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "make"):
        sys.exit("release: give a step, check or make, and a version")
    step, version = sys.argv[1:]
    try:
        changes = check(version)
        if step == "make":
            tag(version, changes, build(version))
    except Refused as refused:
        print(f"release: {refused}", file=sys.stderr)
        sys.exit(1)


def check(version: str) -> str:
    """Return what CHANGELOG.md says of the version. Raises Refused."""
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):
        raise Refused(f"give VERSION=x.y.z, three numbers, not `{version}`")
    if changed := run("git", "status", "--porcelain").splitlines():
        raise Refused(f"the tree is not clean: `git status` lists {len(changed)}, the first is `{changed[0][3:]}`")
    stated = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["version"]
    if stated != version:
        raise Refused(f"pyproject.toml says version {stated}, not {version}")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}\n(.*?)(?=^## |\Z)",
        Path("CHANGELOG.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if section is None:
        raise Refused(f"CHANGELOG.md has no heading `## [{version}] - YYYY-MM-DD`")
    if not section[1].strip():
        raise Refused(f"CHANGELOG.md says nothing below the heading of {version}")
    if (tagged := tagged_commit(version)) not in ("", run("git", "rev-parse", "HEAD")):
        raise Refused(f"v{version} is the tag of another commit, {tagged[:12]}: a version is released once")
    if Path("docs/validation/urs.md").exists():
        check_traceability(Path.cwd())
    return section[1].strip()


def check_traceability(tree: Path) -> None:
    """Refuse a commit whose traceability is missing, of other files, or says that something failed or did not run. Raises Refused."""
    from gateway.validation.traceability.matrix import row_of
    from gateway.validation.traceability.problems import of_results, problems
    from gateway.validation.traceability.results import RELEASE_FILE, Results
    from gateway.validation.traceability.tree import NoTraceability, of_release, of_tree

    try:
        carried, now = of_release(tree / RELEASE_FILE), of_tree(tree, [])
    except NoTraceability as error:
        raise Refused(f"{error}: run `make test`, `make faults`, `make rtm`, and commit") from None
    if carried._replace(results=Results((), ())) != now._replace(problems=()):
        raise Refused(f"{RELEASE_FILE} is of other files than this commit's: run `make test`, `make faults`, `make rtm`, and commit")
    rows = [row_of(requirement, carried) for requirement in carried.requirements]
    if found := [*problems(now), *of_results(rows)]:
        raise Refused(f"the traceability has {len(found)} problems, the first is `{found[0]}`")


def build(version: str) -> str:
    """Write the release's folder from the commit alone, whatever else lies in the tree; return its sums.

    The lock goes with the wheel because a plant installs both, and the sums bind them together.
    """
    folder = Path("dist") / f"ebr-gateway-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        run("git", "archive", "--format=tar", f"--output={tree / 'commit.tar'}", "HEAD")
        run("tar", "-xf", "commit.tar", cwd=tree)
        # The commit's own time in the wheel, so that whoever builds it again gets the same bytes.
        run(
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "wheel",
            "-d",
            str(folder.resolve()),
            cwd=tree,
            SOURCE_DATE_EPOCH=run("git", "log", "-1", "--format=%ct"),
        )
        (folder / "locks").mkdir()
        for lock in ("run.txt", "databases.txt"):
            shutil.copyfile(tree / "locks" / lock, folder / "locks" / lock)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text(sums, "utf-8")
    print(f"built {folder}:\n{sums}", end="")
    return sums


def tag(version: str, changes: str, sums: str) -> None:
    """Tag the commit, with changes and sums in the message; an existing tag must name the same sums. Raises Refused."""
    if tagged_commit(version):
        if sums not in run("git", "tag", "--list", "--format=%(contents)", f"v{version}") + "\n":
            raise Refused(f"v{version} names other sums: it was built with other tools, see locks/dev.txt of that commit")
        print(f"v{version} was tagged before, with these sums")
        return
    message = f"ebr-gateway {version}\n\n{changes}\n\n{sums}"
    # Not git's usual clean-up of messages: it would take the changelog's headings for comments.
    run("git", "tag", "--annotate", "--cleanup=whitespace", "--message", message, f"v{version}")
    print(f"tagged v{version} here; to publish it: git push origin v{version}")


def tagged_commit(version: str) -> str:
    """Return the commit that the version's tag names, or "" if there is no such tag."""
    return run("git", "for-each-ref", "--format=%(*objectname)%(objectname)", f"refs/tags/v{version}")[:40]


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Run a command and return what it printed, without the last line end. Raises Refused with the last line of its errors."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment})
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise Refused(f"`{' '.join(command[:2])}` failed: {told[-1]}")
    return done.stdout.rstrip("\n")


if __name__ == "__main__":
    main()
