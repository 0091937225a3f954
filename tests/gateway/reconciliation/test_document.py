"""The document of a batch's comparison, as people read it."""

from typing import Any

import orjson
import pytest

from gateway.reconciliation.document import Asked, Result, drafted

RECEIPT = {"confirmed": "2026-11-22T07:15:02Z", "stored": None, "through": None, "reference": None}


def row(name: str, receipts: list[dict[str, Any]]) -> dict[str, Any]:
    held = {"record": name, "revision": 1, "type": "step", "listed": True, "entries": [{"epoch": 1, "seq": 2}], "state": "held"}
    return {**held, "receipts": receipts}


def body(*records: dict[str, Any]) -> str:
    asked = Asked("lyon/granulation-2", "ebr", "https://ebr.example", "batch B1", "B1", (1, 9), "batch")
    return orjson.dumps(drafted(asked, Result([], records=records))["body"]).decode()


@pytest.mark.urs("URS-UPL-05")
def test_of_a_record_that_is_held_without_a_known_receipt_the_document_says_why() -> None:
    assert "told by an entry after the record's, up to a minute later" in body(row("A", [RECEIPT]), row("B", []))
    assert "Receipt not known" not in body(row("A", [RECEIPT]))
