"""Finds the places that a line folder names: of its journal, of its control socket for people.

Read by commands that ask a running gateway: this needs line.toml as text alone, no model of what else stands in the folder.
"""

import shutil
from collections.abc import Mapping, Sequence
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


def tag_files(folder: Path) -> list[str]:
    """List the files of a line folder that make its tag map (`tags = [...]`), even if the folder has other errors.

    Raises ConfigError if line.toml can not be read.
    """
    document = parse("line.toml", _line_toml(folder))
    if document.problems and not document.data:
        raise ConfigError(document.problems)
    named = document.data.get("tags")
    return [str(name) for name in named] if isinstance(named, list) and named else ["tags.csv"]


def append_tags(folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[str, list[str]]:
    """Add rows to the first file of the tag map, in its own columns; (its name, the columns that it has not).

    Raises ConfigError where the file is not there, can not be read, can not hold the rows or can not be written.
    """
    from config.csv.appending import appended  # who asks where the journal is reads no table

    name = tag_files(folder)[0]
    try:
        table, missing = appended(file_bytes(folder, name), rows)
        path = (folder / name).resolve()
        aside = path.with_name(f".{path.name}.new")
        shutil.copy2(path, aside)
        aside.write_bytes(table)
        aside.replace(path)
    except FileNotFoundError:
        raise ConfigError([Problem(name, None, "is missing: rows are added to a table that is there")]) from None
    except ValueError as error:
        raise ConfigError([Problem(name, None, str(error))]) from None
    except OSError as error:
        raise ConfigError([unreadable(name, error)]) from None
    return name, missing


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
