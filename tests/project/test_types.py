"""Every module of the tests is checked by mypy: a room that pyproject.toml does not name would be left out without a word."""

import tomllib

from kit.repository import ROOT


def test_every_room_of_the_tests_is_named() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    named = {name.removeprefix("tests.") for name in mypy["packages"]}
    assert rooms <= named
    assert {f"tests.{path.stem}" for path in (ROOT / "tests").glob("*.py")} == set(mypy["modules"])
