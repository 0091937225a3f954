"""A release is made of one clean commit, can be made again, and is refused in one line; tried on a small repository with a real remote."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from buffer import keys
from buffer.verify import Key
from gateway.changes.release import judged
from gateway.validation import sbom, test_runs
from gateway.validation.bundle import document_of, problems
from gateway.validation.traceability.results import content

ROOT = Path(__file__).parents[2]
FILES = {
    "pyproject.toml": """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "0.2.0"
requires-python = ">=3.11"
[tool.hatch.build.targets.wheel]
packages = ["gateway"]
""",
    "gateway/__init__.py": "",
    "locks/run.txt": "",
    "locks/databases.txt": "",
    "CHANGELOG.md": "# Changes\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- All of it.\n\n## [0.1.0] - 2026-11-23\n",
    ".gitignore": "dist/\n*.local.py\n",
}


def _run(where: Path, *command: str) -> str:
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=True).stdout.strip()


def _release(where: Path, step: str, version: str = "0.2.0", key: str | None = None) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(ROOT / "tools" / "release.py"), step, version]
    words.append(str(where.parent / "release.key") if key is None else key)
    return subprocess.run(words, cwd=where, capture_output=True, text=True, check=False)


def _commit(where: Path, **files: str) -> None:
    for name, text in files.items():
        (where / name).parent.mkdir(exist_ok=True)
        (where / name).write_text(text, "utf-8")
    _run(where, "git", "add", "--all")
    _run(where, "git", "commit", "--quiet", "--message", "A state of the tree")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit, and a remote that must stay without tags."""
    where = tmp_path / "tree"
    where.mkdir()
    _run(tmp_path, "git", "init", "--quiet", "--bare", "remote")
    _run(where, "git", "init", "--quiet", "--initial-branch", "main")
    for key, value in (
        ("user.name", "A tester"),
        ("user.email", "tester@example.com"),
        ("commit.gpgsign", "false"),
        ("tag.gpgsign", "false"),
    ):
        _run(where, "git", "config", key, value)
    _run(where, "git", "remote", "add", "origin", str(tmp_path / "remote"))
    _commit(where, **FILES)
    keys.create(tmp_path / "release.key", "ebr-gateway-release")
    _run(where, "git", "push", "--quiet", "origin", "main")
    return where


def test_a_release_is_a_folder_with_sums_and_a_tag_that_names_them(tree: Path) -> None:
    done = _release(tree, "make")
    assert done.returncode == 0, done.stderr

    folder = tree / "dist" / "ebr-gateway-0.2.0"
    assert "small-0.2.0-py3-none-any.whl: OK" in _run(folder, "sha256sum", "--check", "SHA256SUMS")
    assert "locks/run.txt: OK" in _run(folder, "sha256sum", "--check", "SHA256SUMS")
    assert _run(tree, "git", "cat-file", "-t", "v0.2.0") == "tag"
    assert _run(tree, "git", "rev-parse", "v0.2.0^{commit}") == _run(tree, "git", "rev-parse", "HEAD")
    message = _run(tree, "git", "tag", "--list", "--format=%(contents)", "v0.2.0")
    assert "### Added\n\n- All of it." in message
    assert (folder / "SHA256SUMS").read_text() in message + "\n"
    assert _run(tree, "git", "ls-remote", "--tags", "origin") == ""


@pytest.mark.urs("URS-SEC-07")
def test_a_release_is_signed_each_file_of_the_wheel_and_each_of_the_folder(tree: Path) -> None:
    assert _release(tree, "make").returncode == 0
    folder = tree / "dist" / "ebr-gateway-0.2.0"
    public = (tree.parent / "release.key.pub").read_text().strip()
    note = (folder / "SHA256SUMS.note").read_text()
    assert Key.parse(public).signed(note)
    assert note.startswith((folder / "SHA256SUMS").read_text() + "\n")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        manifest = file.read("gateway/install/MANIFEST.note").decode()
        found = {"gateway/__init__.py": hashlib.sha256(file.read("gateway/__init__.py")).hexdigest()}
    good = judged("0.2.0", found, manifest, [public], "keys")
    assert good.problems == ()
    assert good.manifest == good.sha256


@pytest.mark.urs("URS-SEC-07")
def test_a_release_lists_every_library_of_its_lock_with_licence_and_hashes(tree: Path) -> None:
    lock = (
        "click==8.5.1 \\\n    --hash=sha256:"
        + "a" * 64
        + " \\\n    --hash=sha256:"
        + "b" * 64
        + "\norjson==3.13.0 \\\n    --hash=sha256:"
        + "c" * 64
        + "\n"
    )
    _commit(tree, **{"locks/run.txt": lock, "NOTICE": "click               BSD-3-Clause\n"})
    assert _release(tree, "make").returncode == 0
    folder = tree / "dist" / "ebr-gateway-0.2.0"
    told = json.loads((folder / "sbom.cdx.json").read_text())
    libraries = {one["name"]: one for one in told["components"] if one["type"] == "library"}
    assert {name: one["version"] for name, one in libraries.items()} == {"click": "8.5.1", "orjson": "3.13.0"}
    assert libraries["click"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert [one["value"] for one in libraries["click"]["properties"]] == ["a" * 64, "b" * 64]
    assert "licenses" not in libraries["orjson"], "what nobody named is not made up"
    assert (folder / "licences.csv").read_text().splitlines()[1:] == ["click,8.5.1,BSD-3-Clause", "orjson,3.13.0,not named"]


def test_the_sbom_of_the_product_has_the_lock_and_a_licence_for_each() -> None:
    lock, notice = (ROOT / "locks" / "run.txt").read_text("utf-8"), (ROOT / "NOTICE").read_text("utf-8")
    found = sbom.packages(lock, notice)
    assert len(found) == lock.count("==") > 40
    assert [one.name for one in found if one.licence is None or not one.hashes] == []


def _ran(tree: Path, suite: str = "test") -> None:
    """Record a run of the tree's tests, as a suite does when it ends."""
    case = {"case": "tests/test_a.py::test_a", "urs": [], "passed": 1, "failed": 0, "skipped": {}}
    told = {
        "content": content(tree), "commit": "", "dirty": False, "begun": "2026-11-30T10:00:00Z", "ended": "2026-11-30T10:10:00Z",
        "tester": {"account": "builder", "host": "here", "name": "A tester"}, "python": "3.11.7", "platform": "Linux",
        "configuration": {"sha256": "d" * 64}, "whole": True, "cases": [case], "deviations": [],
    }  # fmt: skip
    test_runs.append(tree / test_runs.FOLDER, suite, told)


@pytest.mark.urs("URS-VAL-07")
def test_a_release_has_its_test_runs_beside_it_under_its_key_and_adds_those_that_come(tree: Path) -> None:
    _commit(tree, **{".gitignore": FILES[".gitignore"] + "build/\n"})
    for suite in test_runs.SUITES:
        _ran(tree, suite)
    assert _release(tree, "make").returncode == 0
    folder, publics = tree / "dist" / "ebr-gateway-0.2.0-tests", [(tree.parent / "release.key.pub").read_text().strip()]
    document = document_of(folder)
    assert [*problems(folder, document), *test_runs.problems(folder, document, publics)] == []
    assert (document["result"], len(document["facts"]["runs"])) == ("passed", 3)
    (wheel,) = (tree / "dist" / "ebr-gateway-0.2.0").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        released = {"gateway/__init__.py": hashlib.sha256(file.read("gateway/__init__.py")).hexdigest()}
    assert document["software"]["sha256"] == judged("0.2.0", released, None, publics, "keys").sha256, "what `about` says of it installed"
    first = (folder / "evidence" / "runs" / "0001.json").read_bytes()

    _ran(tree)
    again = _release(tree, "make")

    assert again.returncode == 0, again.stderr
    assert len(document_of(folder)["facts"]["runs"]) == 4
    assert (folder / "evidence" / "runs" / "0001.json").read_bytes() == first


@pytest.mark.urs("URS-VAL-07")
def test_a_record_from_which_a_signed_run_was_taken_is_refused(tree: Path) -> None:
    _commit(tree, **{".gitignore": FILES[".gitignore"] + "build/\n"})
    _ran(tree)
    assert _release(tree, "make").returncode == 0
    shutil.rmtree(tree / "build")
    _ran(tree, "faults")
    refused = _release(tree, "make")
    assert (refused.returncode, "runs are added, never replaced" in refused.stderr) == (1, True), refused.stderr


def test_a_build_that_is_not_the_same_twice_is_refused(tree: Path) -> None:
    hook = """import pathlib, time
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        pathlib.Path("gateway/moment.py").write_text(str(time.time_ns()))
"""
    _commit(tree, **{"hatch_build.py": hook, "pyproject.toml": FILES["pyproject.toml"] + "[tool.hatch.build.hooks.custom]\n"})
    refused = _release(tree, "make")
    assert refused.returncode == 1
    assert "built twice, and the two differ" in refused.stderr
    assert _run(tree, "git", "tag", "--list") == ""


def test_a_key_is_made_outside_of_any_repository_and_only_once(tree: Path) -> None:
    def made(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "tools" / "release.py"), "key", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    inside = made(tree / "new.key")
    assert (inside.returncode, (tree / "new.key").exists()) == (1, False)
    assert "is inside of a repository" in inside.stderr
    assert made(tree.parent / "new.key").returncode == 0
    assert (tree.parent / "new.key").stat().st_mode & 0o777 == 0o600
    again = made(tree.parent / "new.key")
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


def test_a_release_can_be_made_again_and_gives_the_same_bytes(tree: Path) -> None:
    _release(tree, "make")
    tagged = _run(tree, "git", "rev-parse", "v0.2.0")
    sums = (tree / "dist" / "ebr-gateway-0.2.0" / "SHA256SUMS").read_text()

    again = _release(tree, "make")

    assert again.returncode == 0, again.stderr
    assert "was tagged before" in again.stdout
    assert (tree / "dist" / "ebr-gateway-0.2.0" / "SHA256SUMS").read_text() == sums
    assert _run(tree, "git", "rev-parse", "v0.2.0") == tagged


def test_the_wheel_holds_the_commit_and_not_what_else_lies_in_the_tree(tree: Path) -> None:
    (tree / "gateway" / "secret.local.py").write_text("")  # ignored by git, so the tree counts as clean
    assert _release(tree, "make").returncode == 0
    (wheel,) = (tree / "dist").rglob("*.whl")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("gateway/")]
    assert sorted(names) == ["gateway/__init__.py", "gateway/install/MANIFEST.note"]


def _edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        _commit(tree, **{name: FILES[name].replace(old, new)})

    return change


def _tag_then_commit(tree: Path) -> None:
    _run(tree, "git", "tag", "--annotate", "--message", "0.2.0", "v0.2.0")
    _commit(tree, **{"gateway/later.py": ""})


@pytest.mark.parametrize(
    ("change", "version", "reason"),
    [
        (lambda _: None, "", "three numbers"),
        (lambda _: None, "0.2.0rc1", "three numbers"),
        (lambda tree: (tree / "new.txt").touch(), "0.2.0", "the tree is not clean: .* lists 1, the first is `new.txt`"),
        (lambda tree: (tree / "CHANGELOG.md").write_text(""), "0.2.0", "the tree is not clean: .* lists 1, the first is `CHANGELOG.md`"),
        (lambda _: None, "0.3.0", "pyproject.toml says version 0.2.0, not 0.3.0"),
        (_edit("CHANGELOG.md", "[0.2.0] - 2026-11-29", "[Unreleased]"), "0.2.0", r"no heading `## \[0.2.0\] - YYYY-MM-DD`"),
        (_edit("CHANGELOG.md", "### Added\n\n- All of it.\n", ""), "0.2.0", "says nothing below the heading of 0.2.0"),
        (_tag_then_commit, "0.2.0", "v0.2.0 is the tag of another commit, [0-9a-f]{12}"),
        (lambda tree: (tree.parent / "release.key").unlink(), "0.2.0", ".*No such file.*release.key.*"),
        (lambda tree: (tree.parent / "release.key").chmod(0o644), "0.2.0", ".*others may read the signing key.*"),
    ],
)
@pytest.mark.parametrize("step", ["check", "make"])
def test_what_can_not_be_released_is_refused_in_one_line(
    tree: Path, step: str, change: Callable[[Path], object], version: str, reason: str
) -> None:
    change(tree)
    tags = _run(tree, "git", "tag", "--list")

    refused = _release(tree, step, version)

    assert refused.returncode == 1
    assert re.fullmatch(rf"release: .*{reason}.*\n", refused.stderr), refused.stderr
    assert _run(tree, "git", "tag", "--list") == tags
    assert not (tree / "dist").exists()


def test_a_tag_with_other_sums_is_never_moved(tree: Path) -> None:
    _run(tree, "git", "tag", "--annotate", "--message", "ebr-gateway 0.2.0, by hand", "v0.2.0")
    refused = _release(tree, "make")
    assert refused.returncode == 1
    assert re.fullmatch(r"release: v0\.2\.0 names other sums.*\n", refused.stderr)


def test_a_build_that_fails_tags_nothing(tree: Path) -> None:
    _commit(tree, **{"pyproject.toml": FILES["pyproject.toml"].replace('packages = ["gateway"]', 'packages = "gateway"')})
    refused = _release(tree, "make")
    assert refused.returncode == 1
    assert re.fullmatch(r"release: `.*` failed: .+\n", refused.stderr)
    assert _run(tree, "git", "tag", "--list") == ""
