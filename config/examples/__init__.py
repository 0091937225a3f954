"""Example lines: folders beside this file. `new` is the one that `ebr-gateway new` copies."""

import csv
import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
_NAME = re.compile(r'^name = "[^"]*"', re.MULTILINE)
"""The name of a line: it stands before those of its sources."""


def names() -> list[str]:
    """List the examples' names."""
    return sorted(path.name for path in HERE.iterdir() if (path / "line.toml").is_file())


def folder(name: str) -> Path:
    """Find the folder of an example, to be read only. Raises KeyError."""
    if name not in names():
        raise KeyError(name)
    return HERE / name


def copy(name: str, to: Path) -> list[Path]:
    """Copy an example's files into `to`, which must not hold a line yet; return them. Raises FileExistsError, KeyError."""
    source = folder(name)
    to.mkdir(parents=True, exist_ok=True)
    if any(to.iterdir()):
        raise FileExistsError(f"{to} is not empty")
    return [Path(shutil.copyfile(file, to / file.name)) for file in sorted(source.iterdir()) if file.is_file()]


def name_of(folder: Path) -> str:
    """Make a line's name of its folder's: small letters, digits and hyphens. Raises ValueError if nothing of it is left."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not name:
        raise ValueError(f"{folder}: a line is called as its folder, in small letters, digits and hyphens; this name has none")
    return name


def begin(to: Path, like: str = "new", separator: str = ",") -> None:
    """Make a line folder to start from, called as the folder is: two lines of one name would be one line to an EBR.

    like: the example that it begins as. separator: between the cells of its tables, as the spreadsheets of the plant have it. Raises
    FileExistsError, KeyError, ValueError.
    """
    name = name_of(to)
    files = copy(like, to)
    toml = to / "line.toml"
    toml.write_text(_NAME.sub(f'name = "{name}"', toml.read_text("utf-8"), count=1), "utf-8")
    for table in (file for file in files if file.suffix == ".csv" and separator != ","):
        with table.open(encoding="utf-8", newline="") as old:
            rows = [*csv.reader(old)]
        with table.open("w", encoding="utf-8", newline="") as new:
            csv.writer(new, delimiter=separator, lineterminator="\n").writerows(rows)
