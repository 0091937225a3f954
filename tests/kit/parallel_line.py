"""A line whose record is compared with a legacy system's: its rules, the record of a batch, and the legacy system's table. As objects."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from kit.drop_line import drop_line

import config
from config import Line
from config.comparisons import Comparison
from config.sections import ParallelRun
from gateway.validation.parallel_run import Comparable, compared
from gateway.validation.parallel_run.legacy import LegacyRecord, of_file
from gateway.validation.parallel_run.record import Item, Record
from gateway.validation.parallel_run.values import OF_MANUAL

BATCH = "B2026-0417"
SECTION = ParallelRun(batch="batch_no", ignore=("id",), delimiter=";")


def base_line(folder: Path) -> Line:
    """A line that can be read, to which a test gives its rules."""
    return config.load(drop_line(folder / "line"))


def ruled(line: Line, rows: list[Comparison], **section: Any) -> Line:
    """The line with rows of compare.csv."""
    return replace(line, parallel_run=SECTION.model_copy(update=section), comparisons=tuple(rows))


def item(field: str, value: str | None, unit: str | None = "Cel", **more: Any) -> Item:
    """One value of the gateway's record: covered, of the first run of a step of a minute."""
    given = Item(field, f"name of {field}", "1", "mixer/MIX/1", value, unit, "present", 1.0, f"rec/{field}#1", 0, 600_000_000, "mean")
    return given._replace(**{"keyed": "run", **more})


def record(items: list[Item], batch: str = BATCH) -> Record:
    """The record of a batch that has ended."""
    edge = {"time": "2026-11-22T07:15:00Z", "local": "2026-11-22T08:15:00+01:00", "basis": "observed"}
    return Record(batch, "complete", edge, edge, None, items)


def legacy(folder: Path, text: str, section: ParallelRun = SECTION, encoding: str = "utf-8", batch: str = BATCH) -> LegacyRecord:
    """What is read of a legacy file with this text."""
    path = folder / "legacy.csv"
    path.write_bytes(text.encode(encoding))
    return of_file(path, section, batch)


def by_hand(folder: Path, text: str) -> LegacyRecord:
    """What is read of a file of manual entries."""
    path = folder / "manual.csv"
    path.write_text(text)
    return of_file(path, OF_MANUAL, BATCH)


def found(line: Line, items: list[Item], legacy_record: LegacyRecord | None, manual: LegacyRecord | None = None) -> dict[str, Any]:
    """Compare, with nothing explained."""
    return compared(line, Comparable(record(items), legacy_record, manual), {})


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    """Item -> verdict; a test says itself that no item stands twice."""
    rows = result["rows"]
    assert len({row["item"] for row in rows}) == len(rows), [row["item"] for row in rows]
    return {row["item"]: row["verdict"] for row in rows}


def share(text: str) -> Decimal:
    """A least share that the gateway must have observed."""
    return Decimal(text)
