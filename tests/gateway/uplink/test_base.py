"""A receiver that begins in the middle proves its base with what the entry behind it says of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from kit.journals import short_segments
from kit.processes import until
from kit.receipt_rig import GATEWAY, ReceiptRig, bodies
from kit.repository import SCHEMAS

from buffer import End, Entry
from buffer.committed import _without
from gateway.entries.findings import Announcer, finding
from gateway.uplink import held
from gateway.uplink.held import NotHeld, missing
from gateway.uplink.mqtt import announcement

ENTRIES = 256


@pytest.fixture(autouse=True)
def segments_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ReceiptRig]:
    """A journal whose first segment are pruned, and an uplink that has confirmed nothing."""
    with ReceiptRig.open(tmp_path, ENTRIES) as rig:
        rig.take(rig.receipt(ENTRIES))
        until(lambda: _pruned(rig))
        rig.journal.receipts.retire("ebr")
    with ReceiptRig.open(tmp_path) as rig:
        assert rig.journal.cursor("ebr") == (0, 0)
        yield rig


def _pruned(rig: ReceiptRig) -> bool:
    rig.journal.prune(None)
    rig.journal.append(bodies(1), urgent=True).result()
    return rig.journal.read((0, 0), max_bytes=1)[0].seq > ENTRIES


def previous(rig: ReceiptRig, seq: int) -> str:
    return str(orjson.loads(rig.journal.read((rig.journal.last[0], seq - 1), max_bytes=1)[0].payload)["previous"])


@pytest.mark.urs("URS-UPL-03")
def test_the_base_is_proved_by_the_entry_after_it(rig: ReceiptRig) -> None:
    rig.take(rig.receipt(ENTRIES, digest=previous(rig, ENTRIES + 1)))
    assert rig.journal.cursor("ebr") == (rig.journal.last[0], ENTRIES)
    assert rig.status.receipts_refused == 0
    rig.take(rig.receipt(ENTRIES + 1))
    assert rig.journal.cursor("ebr")[1] == ENTRIES + 1


def test_what_the_gateway_says_of_itself_fits_its_schema(rig: ReceiptRig) -> None:
    epoch, last = rig.journal.last
    told = orjson.loads(announcement(GATEWAY, held.online(rig.journal, (0, 0)), up=True))
    assert told["held"] == [[epoch, ENTRIES + 1, last]]
    assert (told["first"], told["last"]) == (ENTRIES + 1, last)
    jsonschema.validate(told, orjson.loads((SCHEMAS / "uplink-online.json").read_bytes()))


@pytest.mark.parametrize("digest", ["0" * 64, "ab" * 32])
def test_a_base_with_another_digest_is_another_history(rig: ReceiptRig, digest: str) -> None:
    rig.take(rig.receipt(ENTRIES, digest=digest))
    assert rig.journal.cursor("ebr") == (0, 0)
    assert rig.codes() == ["receipt-digest-mismatch"]
    assert rig.judge.contradiction is not None


@pytest.mark.parametrize("through", [1, ENTRIES - 96, ENTRIES - 1])
def test_a_place_that_no_entry_speaks_of_proves_nothing(rig: ReceiptRig, through: int) -> None:
    rig.take(rig.receipt(through, digest="ab" * 32))
    assert rig.journal.cursor("ebr") == (0, 0)
    assert rig.codes() == []


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        ([], [(10, 20)]),
        ([(1, 9), (21, 30)], [(10, 20)]),
        ([(1, 12), (12, 13), (15, 15), (20, 25)], [(14, 14), (16, 19)]),
        ([(12, 18), (13, 14)], [(10, 11), (19, 20)]),
        ([(1, 99)], []),
    ],
)
def test_a_run_without_what_was_lost_of_it(lost: list[tuple[int, int]], left: list[tuple[int, int]]) -> None:
    assert list(_without(10, 20, lost)) == left


ENDS = {3: End(40, 40, is_certain=True), 5: End(9, 12, is_certain=False), 6: End(0, 0, is_certain=True)}


@pytest.mark.parametrize(
    ("after", "place", "gone"),
    [
        ((7, 9), (7, 10), []),
        ((7, 9), (7, 20), [(7, 10, 19)]),
        ((5, 9), (7, 1), [(5, 10, 12)]),
        ((5, 12), (7, 1), []),
        ((5, 30), (7, 1), []),
        ((5, 7), (7, 3), [(5, 8, 12), (7, 1, 2)]),
        ((3, 40), (7, 1), [(5, 1, 12)]),
        ((0, 0), (7, 4_097), [(3, 1, 40), (5, 1, 12), (7, 1, 4_096)]),
        ((0, 0), (3, 1), []),
    ],
)
def test_what_is_missing_between_two_entries(after: tuple[int, int], place: tuple[int, int], gone: list[tuple[int, int, int]]) -> None:
    """The end of an epoch and whole epochs were passed without a word."""
    assert missing(after, Entry(*place, "", b""), ENDS) == gone


def test_each_stretch_is_told_once_and_those_of_a_minute_together() -> None:
    findings: list[dict[str, Any]] = []
    now_s = 0.0
    not_held = NotHeld(Announcer(findings.append, finding, lambda: now_s), lambda: now_s)
    not_held.note([(5, 1, 9), (6, 1, 3)])
    not_held.note([(5, 1, 9), (7, 1, 2)])
    not_held.tell()
    assert [one["evidence"]["runs"] for one in findings] == [[[5, 1, 9], [6, 1, 3]]]
    assert findings[0]["text"].startswith("entries 1 to 9 of epoch 5, 1 to 3 of epoch 6 are not held here")
    now_s = 61.0
    not_held.tell()
    now_s = 200.0
    not_held.tell()
    assert [one["evidence"]["runs"] for one in findings[1:]] == [[[7, 1, 2]]]


@pytest.mark.parametrize("kept", [range(1, 6), range(4, 6), (1, 2, 4, 5)])
def test_the_receiver_that_is_printed_does_what_the_page_says(rig: ReceiptRig, kept: Sequence[int]) -> None:
    """Its base is the entry before the run; with less than the gateway holds it stands."""
    page = (Path(__file__).parents[3] / "docs/uplink.md").read_text()
    names: dict[str, Any] = {}
    exec(page.rpartition("```python\n")[2].partition("```")[0], names)
    rig.journal.append(bodies(5), urgent=True).result()
    rig = ReceiptRig(rig.journal)  # now all of it has been sent
    epoch = rig.journal.last[0]
    entries = rig.journal.read((epoch, ENTRIES), max_bytes=1 << 20)[:5]
    receipt = {}
    for place in kept:
        receipt = names["take"](entries[place - 1].payload, [list(run) for run in rig.journal.ranges()])
    through = ENTRIES + 5 if kept == range(1, 6) else ENTRIES + 2 if 1 in kept else 0
    assert receipt["through"] == through
    rig.take(receipt)
    assert rig.journal.cursor("ebr")[1] == through
    assert rig.status.receipts_refused == 0
