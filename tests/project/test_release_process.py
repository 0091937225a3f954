"""A release is made of one clean commit, can be made again, and is refused in one line; tried on a small repository with a real remote."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

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
packages = ["small"]
""",
    "small/__init__.py": "",
    "locks/run.txt": "",
    "locks/databases.txt": "",
    "CHANGELOG.md": "# Changes\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- All of it.\n\n## [0.1.0] - 2026-11-23\n",
    ".gitignore": "dist/\n*.local.py\n",
}


def _run(where: Path, *command: str) -> str:
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=True).stdout.strip()


def _release(where: Path, step: str, version: str = "0.2.0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "release.py"), step, version], cwd=where, capture_output=True, text=True, check=False
    )


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
    (tree / "small" / "secret.local.py").write_text("")  # ignored by git, so the tree counts as clean
    assert _release(tree, "make").returncode == 0
    (wheel,) = (tree / "dist").rglob("*.whl")
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("small/")] == ["small/__init__.py"]


def _edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        _commit(tree, **{name: FILES[name].replace(old, new)})

    return change


def _tag_then_commit(tree: Path) -> None:
    _run(tree, "git", "tag", "--annotate", "--message", "0.2.0", "v0.2.0")
    _commit(tree, **{"small/later.py": ""})


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
    _commit(tree, **{"pyproject.toml": FILES["pyproject.toml"].replace('packages = ["small"]', 'packages = "small"')})
    refused = _release(tree, "make")
    assert refused.returncode == 1
    assert re.fullmatch(r"release: `.*` failed: .+\n", refused.stderr)
    assert _run(tree, "git", "tag", "--list") == ""
