"""Rows of a MES become events: together where they fit, in pieces where one does not."""

import json
from typing import Any

import orjson
import pytest

from drivers.contract import Message
from gateway.entries.bodies import LARGEST_BODY_BYTES
from gateway.intake.drafts import EventDraft
from gateway.intake.row_events import LARGEST_ROW_BYTES, row_drafts

NOW = 17_953_300_000_000_000


def stored(key: str, row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "change": "new", "time": None, "text": None, "row": row, **more}


@pytest.mark.urs("URS-MAP-04")
def test_rows_of_one_name_stand_together_in_the_order_they_came() -> None:
    messages = [Message("orders", "1", {"n": 1}), Message("lots", "7", {"lot": "a/b"}), Message("orders", "2", {"n": 2}, change="late")]

    assert list(row_drafts(messages, "mes", None)) == [
        EventDraft(
            {"type": "message", "source": "mes", "name": "orders", "rows": [stored("1", {"n": 1}), stored("2", {"n": 2}, change="late")]},
            "mes",
        ),
        EventDraft({"type": "message", "source": "mes", "name": "lots", "rows": [stored("7", {"lot": "a/b"})]}, "mes"),
    ]


@pytest.mark.urs("URS-TIME-11", "URS-TIME-12")
def test_a_row_keeps_its_own_time_with_the_text_it_had_and_says_how_far_its_clock_was_off() -> None:
    clock = {"authority": "server", "offset_s": 0.5, "bound_s": 0.1}

    (draft,) = row_drafts([Message("orders", "1", {}, NOW, "2026-11-22 07:46")], "mes", clock)

    assert draft.source_clock == clock
    assert draft.event["rows"] == [stored("1", {}, time="2026-11-22T06:46:40.000000Z", text="2026-11-22 07:46")]


@pytest.mark.urs("URS-MAP-04")
def test_more_rows_than_an_entry_holds_go_on_in_the_next() -> None:
    messages = [Message("orders", str(n), {"note": "x" * 10_000}) for n in range(12)]

    drafts = list(row_drafts(messages, "mes", None))

    assert [row["key"] for draft in drafts for row in draft.event["rows"]] == [str(n) for n in range(12)]
    assert len(drafts) == 3
    assert all(len(orjson.dumps(draft.event)) < LARGEST_BODY_BYTES for draft in drafts)


@pytest.mark.urs("URS-MAP-04")
def test_a_row_longer_than_an_entry_is_cut_into_numbered_pieces_and_found() -> None:
    row = {"id": 18, "note": "\x01ä" * LARGEST_ROW_BYTES}
    message = Message("orders", "18", row)

    *pieces, finding, after = row_drafts([message, Message("orders", "19", {})], "mes", None)

    parts = [draft.event["rows"][0] for draft in pieces]
    assert [(part["part"], part["of"], part["row"]) for part in parts] == [(n, len(parts), {}) for n in range(1, len(parts) + 1)]
    assert json.loads("".join(part["piece"] for part in parts)) == row
    assert all(len(orjson.dumps(draft.event)) < LARGEST_BODY_BYTES for draft in pieces)
    assert (finding.event["code"], finding.event["severity"], finding.event["tags"]) == ("row-too-long", "warning", [])
    assert after.event["rows"] == [stored("19", {})]
    assert message.row == row
