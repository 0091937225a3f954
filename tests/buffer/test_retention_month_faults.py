"""A month of a line in a minute: what the receiver has confirmed goes after its time, and the disk stays as full as retain_days say."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from buffer import Body, Journal, retention, store
from buffer.times import TICKS_PER_S, now_ticks
from buffer.verify import verify

DAY = 86_400 * TICKS_PER_S
PER_DAY = 8192
RETAIN_DAYS = 7


@pytest.mark.urs("URS-BUF-06")
def test_the_disk_stays_bounded_over_a_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: Callable[[str, str], None]) -> None:
    days = 0
    for module in (retention, store):
        monkeypatch.setattr(module, "now_ticks", lambda: now_ticks() + days * DAY)
    journal = Journal.open(tmp_path / "journal", "lyon/granulation-2", retain_s=RETAIN_DAYS * 86_400, max_bytes=1 << 40)
    journal.uplink("ebr", True)
    sizes, audited = [], []
    body = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')
    for days in range(30):  # noqa: B007 - the clock above reads it
        for _ in range(PER_DAY // 1024):
            journal.append([body] * 1024, urgent=True).result()
        (entry,) = journal.read((journal.opened.epoch, journal.last[1] - 1), max_bytes=1)
        journal.acknowledge("ebr", entry.epoch, entry.seq, entry.digest)
        while (pruned := journal.prune(None)) is not None:
            audited.append((pruned.first, pruned.last))
            audit = json.dumps({"type": "audit", "action": "prune", "what": pruned.audit()})
            told = f'"time":"2026-11-22T07:15:02.5Z","event":{audit}}}'.encode()
            journal.append([Body("ebr-gateway/event/1", told)], urgent=True).result()
        sizes.append(sum(path.stat().st_size for path in (tmp_path / "journal" / "segments").iterdir()))
    journal.close()
    assert max(sizes[10:]) < max(sizes[:10]) * 1.3
    assert audited[0][0] == 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(audited))
    assert verify(tmp_path / "journal").exit_code == 0
    mb = [round(size / 1e6, 1) for size in sizes]
    figures(
        "no room",
        f"30 days, retain {RETAIN_DAYS}: {mb[9]} MB after 10 days, {mb[19]} after 20, {mb[29]} after 30; {len(audited)} prunes audited",
    )
