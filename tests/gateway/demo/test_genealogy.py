"""The comparison of the material with the process's own log finds what it must find."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.demo.genealogy import compare, edges, happened, true_edges
from simulators.line.genealogy import FILE


def truth() -> list[dict[str, Any]]:
    common = {"batch": "B1", "t": 17}
    return [
        {**common, "kind": "consume", "name": "weigh", "equipment": "g", "lot": "26/1-A", "material": "Lactose", "quantity": "36.00"},
        {**common, "kind": "consume", "name": "weigh", "equipment": "g", "lot": "26/2-A", "material": "Povidone", "quantity": "54.00"},
        {**common, "kind": "produce", "name": "out", "equipment": "d", "output_lot": "26/9-A", "material": "Granules", "quantity": "90"},
        {**common, "kind": "sample", "name": "lod", "equipment": "d", "sample": "S-1"},
    ]


def records() -> list[dict[str, Any]]:
    def lot(raw: str | None) -> dict[str, str] | None:
        return None if raw is None else {"raw": raw, "canonical": f"L{raw}", "rule": "r@1"}

    found = []
    for number, item in enumerate(truth()):
        common = {"batch": "B1", "equipment": item["equipment"], "status": "present", "problems": [], "record": f"r/{number}"}
        if item["kind"] == "sample":
            found.append({**common, "type": "sample", "sample": item["sample"], "results": []})
            continue
        ends = {"lot": lot(item.get("lot")), "output_lot": lot(item.get("output_lot"))}
        found.append(
            {
                **common,
                "type": "material",
                "kind": item["kind"],
                **ends,
                "material": item["material"],
                "quantity": item["quantity"],
                "unit": "kg",
            }
        )
    return found


@pytest.mark.urs("URS-CTX-07")
def test_the_same_genealogy_agrees() -> None:
    told = compare(truth(), records(), "B1")
    assert (told.happened, told.agreed, told.in_gaps, told.problems) == (4, 4, 0, [])
    assert edges(records(), "B1") == true_edges(truth(), "B1")
    assert edges(records(), "B1") == {("consume", "26/1-A", "B1"), ("consume", "26/2-A", "B1"), ("produce", "B1", "26/9-A")}


@pytest.mark.parametrize(
    ("number", "change", "problem"),
    [
        (0, {"quantity": "36.01"}, "36.01 kg, it was 36.00"),
        (0, {"material": "Talc"}, "Talc, it was Lactose"),
        (0, {"lot": {"raw": "26/7-A", "canonical": "L", "rule": "r@1"}}, "26/1-A is not in the record"),
        (0, {"lot": {"raw": "26/1-A", "canonical": None, "rule": None}}, "no canonical number"),
        (1, {"status": "bad", "problems": ["quantity-bad"]}, "without a gap"),
        (2, {"equipment": "g"}, "it was d"),
        (3, {"sample": "S-2"}, "S-1 is not in the record"),
    ],
)
def test_what_differs_is_told(number: int, change: dict[str, Any], problem: str) -> None:
    got = records()
    got[number] |= change
    assert any(problem in text for text in compare(truth(), got, "B1").problems)


def test_what_is_missing_or_made_up_is_told() -> None:
    assert len(compare(truth(), records()[1:], "B1").problems) == 2, "the lot, and the genealogy without it"
    assert any("never happened" in text for text in compare(truth()[1:], records(), "B1").problems)
    assert compare(truth(), records()[1:], "B1", lambda item: item.get("lot") == "26/1-A").problems == [], "its trigger lay in a gap"


def test_the_log_of_a_process_that_was_cut_off(tmp_path: Path) -> None:
    whole = b"".join(orjson.dumps(item) + b"\n" for item in truth())
    (tmp_path / FILE).write_bytes(whole[:-5])
    assert happened(tmp_path, "B1") == truth()[:3]
    assert happened(tmp_path, "B2") == []
