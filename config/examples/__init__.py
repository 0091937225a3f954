"""Example lines: folders beside this file. `new` is the one that `ebr-gateway new` copies."""

import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent


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


def begin(to: Path) -> None:
    """Make a line folder to start from, called as the folder is: two lines of one name would be one line to an EBR.

    Raises FileExistsError, ValueError.
    """
    name = name_of(to)
    copy("new", to)
    toml = to / "line.toml"
    text = toml.read_text("utf-8")
    toml.write_text(text.replace('name = "my-line"\n', f'name = "{name}"\n', 1), "utf-8")
