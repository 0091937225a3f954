"""Compares what is installed, and the line folder, with the baseline of the version in force: at the start and each day (URS-CFG-06)."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.changes import Baseline
from gateway.changes.baseline import differences, installed
from gateway.entries.findings import finding
from gateway.runtime import assembly
from gateway.runtime.choosing import Chosen

DAY_S = 86_400.0
MOST_NAMED = 10
MOST_IN_EVIDENCE = 200


class BaselineWatch:
    """Tells each time that what differs is something else than before, and once when nothing does any more."""

    def __init__(self, chosen: Chosen, folder: Path, event: Callable[[Mapping[str, Any]], object]) -> None:
        self._chosen, self._folder, self._event = chosen, folder, event
        self._told: list[str] = []

    async def run(self, done: Callable[[], object], every_s: float = DAY_S) -> None:
        """Compare, until cancelled. done: called after each comparison."""
        while True:
            self._tell(await asyncio.to_thread(self.found))
            done()
            await asyncio.sleep(every_s)

    def found(self) -> list[str]:
        """Name everything that differs from the baseline. For a thread."""
        before: Baseline | None = self._chosen.baseline
        if before is None:
            return []
        line, _ = assembly.check(self._folder)
        approved = self._chosen.line.files
        if line is None:
            changed = ["the line folder can not be read without errors"]
        else:
            names = sorted({*line.files, *approved})
            changed = [f"{name} of the line folder" for name in names if line.files.get(name) != approved.get(name)]
        return [*changed, *differences(before, installed(self._chosen.line.line.name))]

    def _tell(self, found: list[str]) -> None:
        if found == self._told:
            return
        self._told = found
        if not found:
            self._event(finding("baseline-same", "info", "everything is again as it was approved", {"name": "baseline"}))
            return
        more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        text = f"not as it was approved: {', '.join(found[:MOST_NAMED])}{more}"
        evidence = {"name": "baseline", "count": len(found), "files": found[:MOST_IN_EVIDENCE]}
        self._event(finding("baseline-differs", "alarm", text, evidence))
