"""The doors of packages that import a name when it is first used: every name is there, and asking for one loads no more than it needs."""

import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["buffer", "config"])
def test_every_name_of_the_door_is_there(package: str) -> None:
    door = importlib.import_module(package)
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = door.Nothing


@pytest.mark.parametrize(
    ("statement", "unloaded"),
    [
        ("from buffer.times import rfc3339", ("sqlite3", "cryptography", "buffer.journal")),
        ("from buffer import JournalError", ("sqlite3", "cryptography", "buffer.journal")),
        ("from config import ConfigError, data_directory", ("pydantic", "config.sections", "config.loading")),
    ],
)
def test_a_name_loads_no_more_than_it_needs(statement: str, unloaded: tuple[str, ...]) -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-c", f"{statement}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert [name for name in unloaded if name in shown.stdout.split()] == []
