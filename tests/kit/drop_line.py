"""The smallest line that takes something in: a LIMS that drops files in a folder. What a test does with it, it does as a user would."""

import json
from pathlib import Path
from typing import Any

from kit.commands import called

GATEWAY = "lyon/test-1"
LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
"""
LIMS = """
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
rate_ms = 200
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"
"""


def drop_line(folder: Path, more: str = "") -> Path:
    """Write the line folder; more: further sections of its line.toml."""
    (folder / "drop").mkdir(parents=True)
    (folder / "line.toml").write_text(LINE + LIMS + more)
    (folder / "tags.csv").write_text("tag,source,address,type\nlab.lod,lims,results.lod,decimal\n")
    return folder


def dropped(folder: Path, name: str, **lod: str) -> None:
    """Put a file of samples (`S1="1.25"`) into the drop folder as a careful LIMS does it: whole, under its name."""
    part = folder / "drop" / f".{name}.part"
    part.write_text("sample_id,lod\n" + "".join(f"{sample},{value}\n" for sample, value in lod.items()))
    part.rename(folder / "drop" / name)


def stored(folder: Path) -> list[dict[str, Any]]:
    """Read every entry of the line's journal by `ebr-gateway log`."""
    return [json.loads(line) for line in called("log", folder, "--format", "jsonl").stdout.splitlines()]


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Read the events of one type, in order."""
    return [entry["event"] for entry in stored(folder) if entry.get("event", {}).get("type") == kind]
