"""Lists what was corrected in a batch: each revision of its records after the first, with what stood before and what stands now."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulators.ebr.record.readings import ticks_of
from simulators.ebr.record.statement import counted

Event = Mapping[str, Any]
_RECORDS = ("records", "materials", "samples")


def corrections(batch: str, steps: Sequence[Event], ends: Sequence[Event], bookings: Sequence[Event]) -> list[dict[str, Any]]:
    """List gateway, record, revision, entered, reason and changed of each; changed without evidence: a revision may have nothing else.

    A result of the laboratory that comes completes its sample, and corrects nothing.
    """
    made = [_correction(item, revision) for item in (*steps, *bookings) for revision in item["revisions"] if _corrects(item, revision)]
    return sorted((*made, *_of_ends(batch, ends)), key=lambda one: (ticks_of(one["entered"]), one["record"], one["revision"]))


def _corrects(item: Event, revision: Event) -> bool:
    return (revision.get("revision") or 1) > 1 and not (item["type"] == "sample" and revision.get("reason") == "result")


def _correction(item: Event, revision: Event) -> dict[str, Any]:
    told = {name: revision.get(name) for name in ("revision", "entered", "reason")}
    changed = [change for change in revision.get("changed") or [] if not change["path"].endswith("evidence")]
    return {"gateway": item["gateway"], "record": item["record"], **told, "changed": changed}


def _of_ends(batch: str, ends: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Yield what each revision of a batch's end says otherwise. ends: every one that was received."""
    former: dict[str, Event] = {}
    for end in sorted(ends, key=lambda event: (event.get("revision") or 1, event["epoch"], event["seq"])):
        before, former[end["gateway"]] = former.get(end["gateway"]), end
        if (end.get("revision") or 1) > 1:
            changed = [] if before is None else list(_between(before, end, f"{end['gateway']}/{batch}/"))
            yield _correction({**end, "record": end.get("record") or f"{end['gateway']}/{batch}"}, {**end, "changed": changed})


def _between(former: Event, end: Event, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield what differs between two ends: the status, the count, the revisions of the records that they list."""
    told = [(each.get("status"), counted(each["completeness"])) for each in (former, end)]
    for path, old, new in zip(("status", "completeness"), *told, strict=True):
        if old != new:
            yield {"path": path, "old": old, "new": new}
    before, after = (_listed(each) for each in (former, end))
    for record in sorted(before.keys() | after.keys()):
        if before.get(record) != after.get(record):
            yield {"path": f"record {record.removeprefix(prefix)}", "old": before.get(record), "new": after.get(record)}


def _listed(end: Event) -> dict[str, str]:
    return {item["record"]: f"revision {item['revision']}" for name in _RECORDS for item in end.get(name) or []}
