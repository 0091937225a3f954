"""Rows that stand in the journal behind the watermark of their source are known to it after a restart, as the journal told them last."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.intake_line import Line, events_of

from config import examples
from drivers.contract import BAD_DECODING, GOOD, Message, Reading
from drivers.restored_rows import MARK, UNSURE, RestoredRows, merged, row_mark
from gateway.intake.standing_rows import Tail, standing_rows

Row = dict[str, Any]


class Started:
    """A line whose MES had told rows behind the watermark, and that is started again."""

    def __init__(self, folder: Path) -> None:
        examples.copy("granulation-2", folder / "line")
        self.folder = folder / "line"
        self.line = Line(self.folder)
        self.lot, self.quantity = self.line.index("mes.lot_no"), self.line.index("mes.lot_quantity")

    def readings(self, rows: Sequence[Row]) -> list[Reading]:
        return [one for row in rows for one in ((self.lot, row["lot_no"], GOOD, None, None), (self.quantity, "1.5", GOOD, None, None))]

    async def tell(self, rows: Mapping[str, Row], readings: Sequence[Reading] | None = None, **how: Any) -> None:
        messages = [Message("lots", key, row, change="new", order=int(key)) for key, row in rows.items()]
        given = self.readings(list(rows.values())) if readings is None else readings
        await self.line.port("mes")(given, received_ns=time.monotonic_ns(), messages=messages, **how)

    async def again(self) -> Mapping[str, Any]:
        """Begin the next run; return what its watermark knows of lots at once."""
        await asyncio.to_thread(self.line.journal.close)
        self.line = Line(self.folder)
        known: Mapping[str, Any] = self.line.port("mes").watermark.get(MARK, {}).get("lots", {})
        return known

    async def said(self) -> list[str]:
        events = events_of(await self.line.entries(), "source")
        return [event["detail"] for event in events if "behind the watermark" in event.get("detail", "")]


def lot(name: str, **more: Any) -> Row:
    return {"lot_no": name, "quantity": "1.5", **more}


def sums(known: Mapping[str, Any]) -> dict[str, str]:
    return dict(known.get("rows", ()))


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    made = Started(tmp_path)
    yield made
    await asyncio.to_thread(made.line.journal.close)


@pytest.mark.urs("URS-DAQ-11", "URS-BUF-07")
async def test_rows_behind_the_watermark_are_known_as_they_were_told_last_and_that_is_said_once(started: Started) -> None:
    await started.tell({"1": lot("L1")}, watermark={"lots": {"pieces": []}})
    await started.tell({"2": lot("L2"), "3": lot("L3"), "4": lot("L4")})
    await started.tell({"2": lot("L2b"), "3": lot("L3")})
    await started.tell({"2": lot("L2")})
    gone = [Message("lots", "4", {}, change="deleted")]
    await started.line.port("mes")([], received_ns=time.monotonic_ns(), messages=gone)
    known = await started.again()

    assert sums(known) == dict([row_mark("3", lot("L3")), row_mark("2", lot("L2")), row_mark("4", None)]), "of row 1 the watermark tells"
    assert known["keys"] == [["3", 3], ["2", 2]]
    assert known["until_ns"] > 0
    assert await started.said() == [
        "3 rows that stood in the journal behind the watermark: not stored twice if the source gives them again"
    ]
    assert started.line.journal.watermark("mes")[MARK]["lots"] == known, "and it is committed"

    assert await started.again() == known
    assert len(await started.said()) == 1, "the watermark counts them now"


@pytest.mark.urs("URS-DAQ-11")
async def test_a_source_that_never_had_a_watermark_is_told_what_the_end_of_the_journal_has_of_it(started: Started) -> None:
    await started.tell({"1": lot("L1")})
    assert sums(await started.again()) == dict([row_mark("1", lot("L1"))])


@pytest.mark.urs("URS-DAQ-11")
async def test_a_row_of_which_a_reading_is_missing_is_told_again_whatever_it_is(started: Started) -> None:
    await started.tell({"1": lot("L1")}, watermark={"lots": {"pieces": []}})
    await started.tell({"2": lot("L2"), "3": lot("L3")}, started.readings([lot("L2"), lot("L3")])[:-1])
    known = await started.again()
    assert list(sums(known).values()) == [UNSURE, UNSURE]
    assert known["keys"] == [["2", 2], ["3", 3]]


@pytest.mark.urs("URS-DAQ-11")
async def test_values_that_were_refused_and_rows_without_a_column_of_a_tag_stand(started: Started) -> None:
    bad = [(started.lot, "L1", GOOD, None, None), (started.quantity, None, BAD_DECODING, None, None)]
    await started.tell({"1": lot("L1", quantity="much")}, bad)
    await started.tell({"2": {"lot_no": "L2"}}, [(started.lot, "L2", GOOD, None, None)])
    expected = dict([row_mark("1", lot("L1", quantity="much")), row_mark("2", {"lot_no": "L2"})])
    assert sums(await started.again()) == expected


@pytest.mark.urs("URS-DAQ-11")
async def test_rows_and_readings_that_were_split_over_entries_and_cut_in_pieces_stand_whole(started: Started) -> None:
    rows = {str(number): lot(f"L{number}", text="x" * 200) for number in range(700)}
    long = {"9000": lot("L9000", text="\0" * 60_000)}
    await started.tell(rows)
    await started.tell(long)
    known = sums(await started.again())
    assert known == dict([row_mark(key, row) for key, row in [*rows.items(), *long.items()]])
    entries = await started.line.entries()
    assert sum("readings" in entry for entry in entries) >= 3
    assert sum(row.get("of", 0) > 1 for event in events_of(entries, "message") for row in event["rows"]) > 1


@pytest.mark.urs("URS-DAQ-11")
async def test_only_rows_of_tables_are_taken_over_and_a_line_without_them_reads_nothing(started: Started) -> None:
    message = Message("results", "S1", {"sample_id": "S1"}, change="new")
    await started.line.port("lims-drop")([], received_ns=time.monotonic_ns(), messages=[message])
    await started.again()
    assert MARK not in started.line.port("lims-drop").watermark
    nothing: Any = None
    assert standing_rows(nothing, {}) == {}


def message(*keys: str, change: str = "new") -> dict[str, Any]:
    rows = [{"key": key, "change": change, "row": {} if change == "deleted" else {"v": 1}} for key in keys]
    return {"time": "2026-11-22T07:15:02.5Z", "event": {"type": "message", "source": "mes", "name": "q", "rows": rows}}


def values(count: int, *, tagset: str = "t", tag: int = 0) -> dict[str, Any]:
    constant = {"tag": tag, "status": 0, "value": 1}
    head = {"source": "mes", "tagset": tagset, "time_base": "2026-11-22T07:15:02.5Z"}
    return {**head, "columns": ["raw"], "constant": constant, "readings": [[None]] * count}


def said(*contents: dict[str, Any] | None) -> list[str]:
    """What is known of rows, in order, after these entries; None: one is missing."""
    tail = Tail("t", {"q": [(0, "v")]})
    for content in contents:
        tail.broken() if content is None else tail.take(content)
    tail.broken()
    return [{"": "gone", UNSURE: UNSURE}.get(row.row, "stands") for row in tail.told.get("q", {}).values()]


@pytest.mark.urs("URS-DAQ-11")
def test_a_query_that_told_more_rows_than_are_taken_over_is_not_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.intake.standing_rows.MOST_ROWS", 2)
    tail = Tail("t", {"q": []})
    tail.take(message("1", "2"))
    assert (list(tail.unsure), tail.rows) == ([], 2)
    tail.take(message("3"))
    assert [row.key for row in tail.told["q"].values()] == ["2", "3"]
    known = merged({}, tail.told, tail.until_ns, tail.unsure)
    recalled = RestoredRows({MARK: known})
    assert recalled.is_unsure("q")
    assert RestoredRows(merged_again(recalled)).is_unsure("q"), "until it is let go"
    recalled.forget("q")
    assert recalled.stored() == {MARK: {}}


def merged_again(recalled: RestoredRows) -> dict[str, Any]:
    """A start that takes over nothing of this query more."""
    return {MARK: merged(recalled.stored(), {"q": {}}, {})}


@pytest.mark.urs("URS-DAQ-11")
def test_what_is_not_proved_of_rows_is_not_taken_for_proved() -> None:
    assert said(message("1", "2"), values(2)) == ["stands", "stands"]
    assert said(message("1", "2"), values(1), values(1)) == ["stands", "stands"]
    assert said(message("1", "2"), values(1)) == [UNSURE, UNSURE]
    assert said(message("1", "2"), None, values(2)) == [UNSURE, UNSURE], "an entry between them is missing"
    assert said(message("1", "2"), values(1), message("3"), values(2)) == [UNSURE, UNSURE, UNSURE], (
        "readings of one list do not count for another"
    )
    assert said(message("1"), values(2)) == [UNSURE], "more than the row has"
    assert said(message("1"), values(1, tagset="other")) == [UNSURE], "tags of another table"
    assert said(message("1"), values(1, tag=3)) == [UNSURE]
    assert said(None, values(2), message("1"), values(1)) == ["stands"], "readings whose rows are gone"
    assert said(message("1"), None, message("1"), values(1)) == ["stands"]
    assert said(message("1"), values(1), message("1")) == [UNSURE], "what was told last counts"
    assert said(message("1", change="deleted"), None) == ["gone"]
    assert said(message("1"), message("2", change="deleted"), None) == [UNSURE, "gone"]
