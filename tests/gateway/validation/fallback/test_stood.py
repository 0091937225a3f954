"""Where the reading of a journal begins for an interval: nothing that was told of it after what stood may be left out."""

from pathlib import Path

import orjson
import pytest
from kit.journals import EVENT, entries, open_journal, short_segments

from buffer import Body, read_journal
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.validation.fallback.stood import begin_of

pytestmark = pytest.mark.urs("URS-OBS-07")
BEGIN, EACH_S, ENTRIES, STATE_AT = from_rfc3339("2096-11-22T08:00:00Z"), 10, 60, 31
"""Later than any clock of today, by which the journal makes its own first entry."""
PARTS: dict[str, object] = {"gaps": [], "runs": {}, "batches": {}}


def time_of(seq: int) -> int:
    return BEGIN + seq * EACH_S * TICKS_PER_S


def journal(folder: Path, monkeypatch: pytest.MonkeyPatch, state: bytes | None) -> Path:
    """A journal of segments of ten entries, one each ten seconds; the state is committed with one in the middle, and is the newest."""
    short_segments(monkeypatch, 10)
    made = open_journal(folder)
    seq = entries(made)[-1].seq if entries(made) else 0
    while seq < ENTRIES:
        body = Body(EVENT, f'"time":"{rfc3339(time_of(seq + 1))}","event":{{"type":"heartbeat","observed":{{}}}}}}'.encode())
        seq = made.append([body], state=state if seq + 1 == STATE_AT else None, urgent=True).result()
    made.close()
    return folder / "journal"


@pytest.mark.parametrize("state", [None, b"{}", b"no JSON", orjson.dumps({"now": 1, "seq": 1, **PARTS, "runs": {"1": {}}})])
def test_without_a_state_that_can_be_read_everything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: bytes | None) -> None:
    assert begin_of(journal(tmp_path, monkeypatch, state), time_of(55)) == ((0, 0), None)


@pytest.mark.parametrize(
    ("of", "least", "most"),
    [(55, 20, STATE_AT), (15, 0, 15), (0, 0, 0)],
)
@pytest.mark.parametrize("ahead_s", [0, 1_000_000])
def test_reading_begins_before_the_interval_and_before_what_stood_and_not_at_the_first_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: int, least: int, most: int, ahead_s: int
) -> None:
    """ahead_s: by how much the clock was ahead when the state was made, and was set back since."""
    state = orjson.dumps({"now": time_of(STATE_AT) + ahead_s * TICKS_PER_S, "seq": STATE_AT, **PARTS})
    folder = journal(tmp_path, monkeypatch, state)
    after, stood = begin_of(folder, time_of(of))
    assert stood is not None
    assert least <= after[1] <= most
    read = [entry.seq for entry in read_journal(folder, after)]
    assert (min(read) <= max(of, 1), max(read)) == (True, ENTRIES)
