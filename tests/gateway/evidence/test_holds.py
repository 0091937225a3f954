"""A hold that QA lets go: the audit trail first."""

from pathlib import Path
from typing import Any

import pytest

import config
from buffer import Journal
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.runtime.gateway import Gateway

LINE = '[line]\nsite = "lyon"\nname = "test-1"\ntimezone = "Europe/Paris"\n'


class Watching(Gateway):
    """Looks at the holds when the audit entry is asked for; may fail to write it."""

    fails = False

    async def _audit(self, action: str, what: Any, reason: str = "", who: str | None = None) -> None:
        self.seen = action, dict(what), reason, who, set(self.journal.holds())
        if self.fails:
            raise OSError("not written")


@pytest.mark.urs("URS-AUD-01", "URS-AUD-03")
async def test_a_hold_goes_only_when_its_audit_entry_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "tags.csv").write_text("tag,source,address,type\n")
    line = config.load(tmp_path)
    journal = Journal.open(line.data, line.gateway, retain_s=1e9, max_bytes=1 << 40)
    journal.hold("B1", 1)
    gateway = Watching(line, journal, system_clock(line.clock), Fold(line), [])
    assert await gateway.release("B2", "os:qa", "reviewed") is False
    gateway.fails = True
    with pytest.raises(OSError, match="not written"):
        await gateway.release("B1", "os:qa", "reviewed")
    assert set(journal.holds()) == {"B1"}
    gateway.fails = False
    assert await gateway.release("B1", "os:qa", "reviewed") is True
    assert gateway.seen == ("release-hold", {"batch": "B1"}, "reviewed", "os:qa", {"B1"})
    assert journal.holds() == {}
    journal.close()
