"""Make a release of the commit that is checked out. `make release VERSION=x.y.z KEY=FILE` runs the steps, with the tests between them.

    release.py key FILE               make the key that signs releases, and FILE.pub for plants; once, outside of any repository
    release.py check VERSION FILE     refuse a version, a tree or a key that can not be released, in one line
    release.py make VERSION FILE      check, write dist/ebr-gateway-VERSION/, and tag the commit v<VERSION>

The folder holds the wheel (with its signed manifest), the locks, the SBOM (CycloneDX), licences.csv, and SHA256SUMS with a signed note. The
wheel is built twice, and refused if the two differ. All can be run again: the same commit and key give the same bytes, and an existing tag
is compared, never moved. Nothing is pushed.

Beside it dist/ebr-gateway-VERSION-tests/ is the evidence of the project's own test runs (`gateway.validation.test_runs`), under the same
key; made again it has the runs that were added since, and those that it had.
"""

import csv
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from buffer import keys
from buffer.times import now_ticks
from gateway.access.actor import account, myself
from gateway.changes.baseline import MANIFEST
from gateway.changes.baseline import sums as listed_sums
from gateway.changes.release import manifest_text
from gateway.documents import FORMS, head, unsigned, written
from gateway.validation import sbom, test_runs
from gateway.validation.bundle import Bundle, document_of
from gateway.validation.traceability.results import content

KEY_NAME = "ebr-gateway-release"


class Refused(Exception):
    """The version can not be released as things are; the text says why, in one line."""


def main() -> None:
    """Run one step. Exit 1 with one line where it is refused."""
    words = sys.argv[1:]
    try:
        if len(words) == 2 and words[0] == "key":
            make_key(Path(words[1]))
        elif len(words) == 3 and words[0] in ("check", "make"):
            changes, signer = check(words[1]), signer_of(words[2])
            if Path("docs/validation/urs.md").exists():
                check_traceability(Path.cwd(), [signer.public])
            if words[0] == "make":
                sums = build(words[1], signer)
                evidence(words[1], signer)
                tag(words[1], changes, sums)
        else:
            sys.exit("release: give `key FILE`, or a step, check or make, a version, and the file of the key that signs")
    except Refused as refused:
        print(f"release: {refused}", file=sys.stderr)
        sys.exit(1)


def make_key(path: Path) -> None:
    """Make the key that signs releases. Raises Refused inside a repository, or where there is a file."""
    path = path.resolve()
    if any((folder / ".git").exists() for folder in path.parents):
        raise Refused(f"{path} is inside of a repository: a key that signs releases lies elsewhere, best on a medium of its own")
    try:
        signer = keys.create(path, KEY_NAME)
    except OSError as error:
        raise Refused(str(error)) from error
    print(f"made {path}, and {path}.pub for plants:\n{signer.public}")


def signer_of(name: str) -> keys.Signer:
    """Read the key that signs. Raises Refused."""
    if not name:
        raise Refused("give KEY=FILE, the key that signs releases; `release.py key FILE` makes one")
    try:
        return keys.load(Path(name), KEY_NAME)
    except (OSError, keys.KeyUnusable) as error:
        raise Refused(str(error)) from error


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
    return section[1].strip()


def check_traceability(tree: Path, publics: Sequence[str] = ()) -> None:
    """Refuse a commit whose traceability is missing, of other files, or says that something failed, did not run, or has no justification.

    publics: keys whose signature under the justifications counts. Raises Refused.
    """
    from gateway.validation.traceability.justifications import unjustified
    from gateway.validation.traceability.matrix import rows_of
    from gateway.validation.traceability.problems import of_results, problems
    from gateway.validation.traceability.results import RELEASE_FILE, Results
    from gateway.validation.traceability.tree import NoTraceability, of_release, of_tree

    try:
        carried, now = of_release(tree / RELEASE_FILE), of_tree(tree, [])
    except NoTraceability as error:
        raise Refused(f"{error}: run `make test`, `make faults`, `make rtm`, and commit") from None
    if carried._replace(results=Results((), ())) != now._replace(problems=()):
        raise Refused(f"{RELEASE_FILE} is of other files than this commit's: run `make test`, `make faults`, `make rtm`, and commit")
    rows = rows_of(carried, publics)
    if found := [*problems(now), *of_results(rows), *unjustified(rows)]:
        raise Refused(f"the traceability has {len(found)} problems, the first is `{found[0]}`")


def build(version: str, signer: keys.Signer) -> str:
    """Write the release's folder from the commit alone, whatever else lies in the tree; return its sums. Raises Refused.

    The lock goes with the wheel because a plant installs both, and the sums bind them together.
    """
    folder = Path("dist") / f"ebr-gateway-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "locks").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        run("git", "archive", "--format=tar", f"--output={tree / 'commit.tar'}", "HEAD")
        run("tar", "-xf", "commit.tar", cwd=tree)
        manifest = tree / MANIFEST
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(signer.note(manifest_text(version, files_of(wheel(tree, "plain")))), "utf-8")
        made, again = wheel(tree, "first"), wheel(tree, "second")
        if made.read_bytes() != again.read_bytes():
            raise Refused("the wheel was built twice, and the two differ: something in its build depends on the moment or the machine")
        shutil.copyfile(made, folder / made.name)
        for lock in ("run.txt", "databases.txt"):
            shutil.copyfile(tree / "locks" / lock, folder / "locks" / lock)
        listed(tree, folder, version)
    return summed(folder, signer)


def evidence(version: str, signer: keys.Signer) -> None:
    """Put the recorded test runs into a folder of evidence, signed; a folder that is there keeps what it has. Raises Refused.

    A tree of requirements has to have a run of these very files; another one, without any record, has no evidence.
    """
    folder, of = Path("dist") / f"ebr-gateway-{version}-tests", content(Path.cwd())
    try:
        found = test_runs.records(test_runs.FOLDER)
        if not test_runs.last_of(found, of):
            if Path("docs/validation/urs.md").exists():
                raise Refused(f"{test_runs.FOLDER} has no run of these files: run `make test`, `make faults`, `make attacks`")
            return
        bundle = Bundle(folder) if not folder.exists() else grown(folder)
        test_runs.kept(found, test_runs.FOLDER, bundle)
    except test_runs.NotARecord as error:
        raise Refused(str(error)) from error
    (built,) = (Path("dist") / f"ebr-gateway-{version}").glob("*.whl")
    software = {"version": version, "sha256": hashlib.sha256(listed_sums(files_of(built)).encode()).hexdigest()}
    document = unsigned(headed(test_runs.drafted(found, of, version, bundle), signer.name, software))
    written(document, folder, FORMS, now_ticks(), "document")
    (folder / test_runs.NOTE).write_text(signer.note(test_runs.note_text(version, document["sha256"])), "utf-8")
    print(f"{folder}: {len(found)} test runs, {document['result']}, {document['facts']['counts']['deviations']} deviations, signed")


def grown(folder: Path) -> Bundle:
    """Open a folder of evidence that was signed before, to add to it; its document is made anew."""
    bundle = Bundle.again(folder, document_of(folder)["facts"]["evidence"], ())
    for name in (*(f"document.{form}" for form in FORMS), test_runs.NOTE):
        (folder / name).unlink(missing_ok=True)
    return bundle


def headed(drafted: Mapping[str, Any], key_name: str, software: Mapping[str, str]) -> dict[str, Any]:
    """Put the head on a draft of the release: it is of no line, and nobody vouches for this machine's clock."""
    place = {"line": "-", "gateway": key_name, "environment": None, "configuration": None, "journal": [], "zone": "UTC"}
    when = {"clock": {"status": "unknown"}, "ticks": now_ticks()}
    return head(drafted, software=software, who=account(myself()).who, station=platform.node(), **place, **when)


def wheel(tree: Path, name: str) -> Path:
    """Build the wheel of a tree into a folder of this name, with the commit's own time in it; return it."""
    folder = tree / "dist" / name
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=tree, SOURCE_DATE_EPOCH=commit_time())
    (built,) = folder.glob("*.whl")
    return built


def files_of(built: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a wheel installs into its packages, but for those that say what it is."""
    with zipfile.ZipFile(built) as file:
        names = [name for name in file.namelist() if not name.split("/")[0].endswith(".dist-info") and name != MANIFEST]
        return {name: hashlib.sha256(file.read(name)).hexdigest() for name in names}


def listed(tree: Path, folder: Path, version: str) -> None:
    """Write what the release consists of: the SBOM, and its licences as a table."""
    notice = (tree / "NOTICE").read_text("utf-8") if (tree / "NOTICE").exists() else ""
    found = sbom.packages((tree / "locks" / "run.txt").read_text("utf-8"), notice)
    at = f"{datetime.fromtimestamp(int(commit_time()), UTC):%Y-%m-%dT%H:%M:%SZ}"
    wheels = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}
    text = json.dumps(sbom.sbom(version, found, at, wheels), indent=1, ensure_ascii=False) + "\n"
    (folder / "sbom.cdx.json").write_text(text, "utf-8")
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("library", "version", "licence"), *sbom.licence_rows(found)])
    (folder / "licences.csv").write_text(table.getvalue(), "utf-8")


def summed(folder: Path, signer: keys.Signer) -> str:
    """Write SHA256SUMS and the signed note over them; return the sums."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text(sums, "utf-8")
    (folder / "SHA256SUMS.note").write_text(signer.note(sums), "utf-8")
    print(f"built {folder}, signed by {signer.public}:\n{sums}", end="")
    return sums


def commit_time() -> str:
    """Return the commit's own time in seconds: in the wheel, so that whoever builds it again gets the same bytes."""
    return run("git", "log", "-1", "--format=%ct")


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
