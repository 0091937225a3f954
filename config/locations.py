"""Finds the places that a line folder names: of its journal, of its control socket for people.

Read by commands that ask a running gateway: this needs line.toml as text alone, no model of what else stands in the folder.
"""

from pathlib import Path
from typing import Any

from config.files import DATA_DIRECTORY, file_bytes, place_named, unreadable
from config.problem import ConfigError, Problem
from config.toml.text import parse


def data_directory(folder: Path) -> Path:
    """Find the journal's directory of a line folder ([buffer] directory), even if the folder has other errors.

    Raises ConfigError if line.toml can not be read.
    """
    return place_named(folder, str(_key(folder, "buffer", "directory", DATA_DIRECTORY)))


def people_socket(folder: Path) -> Path | None:
    """Find the control socket for people of a line folder ([users] socket), even if the folder has other errors.

    Raises ConfigError if line.toml can not be read.
    """
    path = _key(folder, "users", "socket", None)
    return None if path is None else place_named(folder, str(path))


def _key(folder: Path, section: str, key: str, default: Any) -> Any:
    document = parse("line.toml", _line_toml(folder))
    if document.problems and not document.data:
        raise ConfigError(document.problems)
    table = document.data.get(section, {})
    return table.get(key, default) if isinstance(table, dict) else default


def _line_toml(folder: Path) -> bytes:
    try:
        return file_bytes(folder, "line.toml")
    except FileNotFoundError:
        raise ConfigError([Problem("line.toml", None, f"is missing: {folder} is no line folder")]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([unreadable("line.toml", error)]) from None
