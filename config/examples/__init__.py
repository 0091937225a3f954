"""Example lines: folders beside this file. `new` is the one that `ebr-gateway new` copies."""

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
