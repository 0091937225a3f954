"""A LIMS that drops files, as a source of the file driver; and a file put there as a careful writer does it."""

from pathlib import Path
from typing import Any

from config import Source, Tag

NOON = 17953380000000000  # 2026-11-22T09:00:00Z in ticks
CSV = {"name": "results", "glob": "*.csv", "format": "csv", "encoding": "cp1252", "key": "sample_id"}
TAGS = [Tag(tag="lims.lod", source="lims", address="results.lod", type="float64")]


def source(folder: Path, *patterns: dict[str, Any], **more: Any) -> Source:
    options = {"pattern": [dict(pattern) for pattern in patterns or (CSV,)], **more}
    return Source(name="lims", driver="mes_file", endpoint="file://drop", rate_ms=20, folder=folder, options=options)


def put(folder: Path, name: str, data: bytes) -> None:
    """As a careful writer does it."""
    (folder / f".{name}.part").write_bytes(data)
    (folder / f".{name}.part").rename(folder / name)


def files_in(watermark: dict[str, Any]) -> int:
    """How many files the driver's watermark remembers: a key for each, and below it those of its records."""
    return sum(key.count("/") == 1 for key in watermark)
