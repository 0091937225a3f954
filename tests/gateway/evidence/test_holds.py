"""A hold that QA lets go: the audit trail first."""

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import pytest

import config
from buffer import Journal
from gateway.context import Fold
from gateway.evidence.audit import AuditTrail
from gateway.evidence.holds import Holds

LINE = '[line]\nsite = "lyon"\nname = "test-1"\ntimezone = "Europe/Paris"\n'


class Disk:
    """Looks at the holds when the audit entry is asked for; may fail to write it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.fails = False
        self.seen: list[tuple[Mapping[str, Any], set[str]]] = []

    def append(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> Awaitable[None]:
        assert watermark is None
        return self._write(event)

    async def _write(self, event: Mapping[str, Any]) -> None:
        self.seen.append((event, set(self._journal.holds.all())))
        if self.fails:
            raise OSError("not written")


@pytest.mark.urs("URS-AUD-01", "URS-AUD-03")
async def test_a_hold_goes_only_when_its_audit_entry_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "tags.csv").write_text("tag,source,address,type\n")
    line = config.load(tmp_path)
    journal = Journal.open(line.data, line.gateway, retain_s=1e9, max_bytes=1 << 40)
    journal.holds.keep("B1", 1)
    disk = Disk(journal)
    holds = Holds(journal, Fold(line), AuditTrail(line.gateway, disk.append), every_batch=False)
    assert await holds.release("B2", "os:qa", "reviewed") is False
    disk.fails = True
    with pytest.raises(OSError, match="not written"):
        await holds.release("B1", "os:qa", "reviewed")
    assert set(journal.holds.all()) == {"B1"}
    disk.fails = False
    assert await holds.release("B1", "os:qa", "reviewed") is True
    said = {"type": "audit", "action": "release-hold", "who": "os:qa", "what": {"batch": "B1"}, "reason": "reviewed"}
    assert disk.seen == [(said, {"B1"}), (said, {"B1"})]
    assert journal.holds.all() == {}
    journal.close()
