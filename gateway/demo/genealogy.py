"""Compares the recorded material with the process's own log: each lot that went in or came out and each sample, once and with its quantity.

Entries are read by the format pages alone, as in `received`. A booking may have status `gap` if its scale was not read then; it may be
absent only if its trigger itself was not observed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulators.line.genealogy import FILE

Edge = tuple[str, str, str]
"""(kind, lot that went in, lot that came out); the batch is the lot where none is named."""


@dataclass
class Told:
    """Result of comparing the material of one batch. happened: items in the process's log; agreed: those recorded equally."""

    happened: int = 0
    agreed: int = 0
    in_gaps: int = 0
    problems: list[str] = field(default_factory=list)


def happened(folder: Path, batch: str) -> list[dict[str, Any]]:
    """Read the process's log of a batch, in its order. A last line that was cut off is left out."""
    path = folder / FILE
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    items = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [item for item in items if item["batch"] == batch]


def compare(
    truth: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    batch: str,
    unseen: Callable[[Mapping[str, Any]], bool] = lambda _: False,
) -> Told:
    """Compare the log of a batch with the `material` and `sample` events that name it, each in its latest revision.

    unseen: returns True if the tag that triggers this item was not observed then.
    """
    events, truth = list(events), list(truth)
    told, left = Told(), [event for event in events if event.get("batch") == batch]
    for item in truth:
        told.happened += 1
        event = next((event for event in left if _is_about(event, item)), None)
        if event is None and unseen(item):
            told.in_gaps += 1
            continue
        if event is None:
            told.problems.append(f"{item['kind']} of {_named(item)} is not in the record")
            continue
        left.remove(event)
        wrong = list(_differences(event, item))
        told.problems += [f"{event['record']}: {text}" for text in wrong]
        told.in_gaps += event["status"] == "gap"
        told.agreed += not wrong and event["status"] == "present"
    told.problems += [f"{event['record']}: never happened" for event in left]
    if not told.in_gaps and edges(events, batch) != true_edges(truth, batch):
        told.problems.append(f"the genealogy of {batch} differs: {sorted(edges(events, batch) ^ true_edges(truth, batch))}")
    return told


def edges(events: Iterable[Mapping[str, Any]], batch: str) -> set[Edge]:
    """Return the genealogy of a batch according to its records."""
    return {
        (event["kind"], _raw(event["lot"]) or batch, _raw(event["output_lot"]) or batch)
        for event in events
        if event["type"] == "material" and event.get("batch") == batch and event["kind"] != "move"
    }


def true_edges(truth: Iterable[Mapping[str, Any]], batch: str) -> set[Edge]:
    """Return the genealogy of a batch according to the process's log."""
    booked = (item for item in truth if item["kind"] in ("consume", "produce"))
    return {(item["kind"], item.get("lot") or batch, item.get("output_lot") or batch) for item in booked}


def _raw(lot: Mapping[str, Any] | None) -> str | None:
    return None if lot is None else lot["raw"]


def _named(item: Mapping[str, Any]) -> str:
    return str(item.get("lot") or item.get("output_lot") or item.get("sample"))


def _is_about(event: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    if item["kind"] == "sample":
        return bool(event["type"] == "sample" and event["sample"] == item["sample"])
    if event["type"] != "material" or event["kind"] != item["kind"]:
        return False
    lots = {_raw(event["lot"]), _raw(event["output_lot"])} - {None}
    return not lots or _named(item) in lots  # a lot that could not be read fits the first that is left


def _differences(event: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[str]:
    if event["equipment"] != item["equipment"]:
        yield f"in {event['equipment']}, it was {item['equipment']}"
    if event["status"] not in ("present", "gap"):
        yield f"{event['status']} ({', '.join(event['problems'])}), without a gap"
    if event["status"] == "present" and item["kind"] != "sample":
        if Decimal(event["quantity"]) != Decimal(item["quantity"]):
            yield f"{event['quantity']} {event['unit']}, it was {item['quantity']}"
        if event["material"] != item["material"]:
            yield f"{event['material']}, it was {item['material']}"
        if any(lot is not None and lot["canonical"] is None for lot in (event["lot"], event["output_lot"])):
            yield "a lot has no canonical number"
