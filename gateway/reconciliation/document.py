"""Writes a comparison as a document: what was asked, each epoch with both counts and roots, each difference, a batch's records. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.reconciliation.compared import Compared
from gateway.reconciliation.scope import BatchScope, Position, Record

KINDS = {"all": "reconciliation", "batch": "reconciliation-of-batch", "day": "reconciliation-of-day"}
"""Type of the document by what was compared: only one of all says that all is equal."""
MOST_SHOWN = 200
"""Rows of a table on paper; the JSON has up to 1,000 of each kind."""
_NO_RECEIPT = (
    "Receipt not known: when a receipt came is told by an entry after the record's, up to a minute later; until then a file tells it, "
    "which a power cut can take. What the receiver has of a record is what it answered now, whatever is known of its receipt."
)
_KINDS = (
    ("missing", "missing there"),
    ("extra", "there and not here"),
    ("different", "another entry there"),
    ("not_compared", "not compared"),
)


class Asked(NamedTuple):
    """What was compared with whom. scope: in words; of: all, batch, day. confirmed: through which entry the receiver's receipts reach."""

    gateway: str
    uplink: str
    receiver: str
    scope: str
    batch: str | None
    confirmed: Position
    of: str = "all"


class Result(NamedTuple):
    """What was found. why: the first reason for which something was not answered. records: rows of a batch's records.

    has_ended: the journal holds the batch's end, which lists what belongs to it; True where no batch was asked for.
    unasked: messages that came beside the answers, and were ignored: twice the same, too late, of somebody else.
    """

    streams: Sequence[Compared]
    why: str | None = None
    records: Sequence[Mapping[str, Any]] = ()
    not_here: Sequence[str] = ()
    has_ended: bool = True
    unasked: int = 0


def outcome(found: Result) -> str:
    """Return the document's result: what differs is a finding; what was not compared, or is nothing at all, is never good."""
    verdicts = {one.verdict for one in found.streams}
    states = {one["state"] for one in found.records}
    if "differs" in verdicts or states & {"missing", "different"}:
        return "finding"
    whole = found.why is None and verdicts == {"equal"} and not states & {"not-compared"} and not found.not_here and found.has_ended
    return "passed" if whole else "not-complete"


def record_rows(batch: BatchScope, streams: Sequence[Compared], receipts: Mapping[Position, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say of each record of a batch whether the receiver holds its entries, and what its receipt said."""
    return [_record_row(one, streams, receipts) for one in batch.records]


def _record_row(record: Record, streams: Sequence[Compared], receipts: Mapping[Position, Mapping[str, Any]]) -> dict[str, Any]:
    states = [_state(streams, place) for place in record.entries]
    order = ("missing", "different", "refused", "not-compared", "held")
    told = [receipts[place] for place in record.entries if place in receipts]
    return {
        "record": record.name,
        "revision": record.revision,
        "type": record.kind,
        "listed": record.listed,
        "entries": [{"epoch": epoch, "seq": seq} for epoch, seq in record.entries],
        "state": min(states, key=order.index),
        "receipts": told,
    }


def _state(streams: Sequence[Compared], place: Position) -> str:
    """Say what the receiver has of one entry."""
    epoch, seq = place
    of = next((one for one in streams if one.epoch == epoch and one.first <= seq <= one.last), None)
    if of is None:
        return "not-compared"
    if of.rejected.holds(seq):
        return "refused"
    cut = of.missing.more or of.different.more or of.not_compared.more or of.rejected.more
    for name, ranges in (("missing", of.missing), ("different", of.different), ("not-compared", of.not_compared)):
        if ranges.holds(seq):
            return name
    return "not-compared" if cut else "held"


def of_end(facts: Mapping[str, Any]) -> str:
    """Say of a batch what its end lists, and how much of that the receiver holds; or that there is no end that lists anything."""
    if not facts["has_ended"]:
        if not facts["records"] and not facts["streams"]:
            return "the journal holds nothing of it that was confirmed: `ebr-gateway log LINE --type batch` lists the batches that it holds"
        return "the journal holds no end of it, so nobody can say whether these are all of its records"
    listed = [one for one in facts["records"] if one["listed"]]
    held = sum(one["state"] == "held" for one in listed)
    return f"its end lists {len(listed) + len(facts['not_here'])} records; the receiver holds {held} of them as they are here"


def drafted(asked: Asked, found: Result) -> dict[str, Any]:
    """Return the draft of the document."""
    facts = {
        **asked._asdict(),
        "confirmed": {"epoch": asked.confirmed[0], "through": asked.confirmed[1]},
        "not_answered": found.why,
        **({"unasked": found.unasked} if found.unasked else {}),
        "streams": [one.plain() for one in found.streams],
        **({"records": list(found.records), "not_here": list(found.not_here)} if asked.batch is not None else {}),
        **({"has_ended": found.has_ended} if asked.batch is not None else {}),
    }
    ranges = [{"epoch": one.epoch, "first": one.first, "last": one.last} for one in found.streams if one.ours]
    title = f"Reconciliation of {asked.gateway} with {asked.uplink}" + ("" if asked.of == "all" else f": {asked.scope}")
    return draft(KINDS[asked.of], title, [*_blocks(asked, found, facts)], facts, result=outcome(found), batch=asked.batch, journal=ranges)


def _blocks(asked: Asked, found: Result, facts: Mapping[str, Any]) -> Iterator[Block]:
    yield NamedValues(
        [
            ("Uplink", asked.uplink),
            ("Receiver", asked.receiver),
            ("Compared", asked.scope),
            ("Confirmed by receipts", f"epoch {asked.confirmed[0]}, through entry {asked.confirmed[1]}; what lies beyond is not compared"),
        ]
    )
    if found.why is not None:
        yield Text(f"Not all was answered: {found.why}. What was not answered is not compared, and not equal.", marked=True)
    if found.unasked:
        yield Text(unasked(found.unasked), marked=True)
    yield from _streams(found.streams)
    yield from _differences(found.streams)
    yield from _refused(found.streams)
    if asked.batch is not None:
        yield from _records(found, f"Of batch {asked.batch}, {of_end(facts)}.", marked=not found.has_ended)
    yield Text(
        "A root is that of RFC 6962 over the entries' bytes, in the order of their numbers; over several segments of 4,096 entries that "
        "over the roots of these, which is the same where the range begins with a segment. What was pruned here is compared by the root "
        "of its segment, which stays: it shows that something differs, and not which entry."
    )


def unasked(count: int) -> str:
    """Say that messages came which answer no question that was open: they count for nothing, and somebody should know of them."""
    return (
        f"{count} messages came that nobody had asked for, and were ignored: a second or a late answer, or somebody else publishes there "
        "(the broker's access list)."
    )


def _streams(streams: Sequence[Compared]) -> Iterator[Block]:
    yield Heading(1, "Epochs")
    if not streams:
        yield Text("There was nothing to compare: the receiver has confirmed no entry of it.", marked=True)
        return
    plain = [one.plain() for one in streams]
    rows = [
        [
            *(str(one["epoch"]), f"{one['first']} to {one['last']}"),
            *(f"{_known(one[side]['entries'])}; {one[side]['root'] or 'no root'}" for side in ("ours", "theirs")),
            *(str(one["counts"][name]["entries"]) for name, _ in _KINDS),
            one["verdict"],
        ]
        for one in plain
    ]
    marked = frozenset(at for at, one in enumerate(plain) if one["verdict"] != "equal")
    titles = ("Epoch", "Entries", "Here: count; root", "There: count; root", "Missing", "Extra", "Different", "Not compared", "Verdict")
    yield Table(titles, (2.5, 3, 7, 7, 1.5, 1.5, 1.5, 1.5, 2), rows, marked)


def _known(entries: int | None) -> str:
    return "not known" if entries is None else str(entries)


def _differences(streams: Sequence[Compared]) -> Iterator[Block]:
    yield Heading(1, "Differences, and what was not compared")
    rows = [
        [str(one.epoch), _place(named.first, named.last), says, named.note]
        for one in streams
        for name, says in _KINDS
        for named in getattr(one, name).found
    ]
    more = sum(getattr(one, name).more for one in streams for name, _ in _KINDS)
    if not rows:
        yield Text("None.")
        return
    yield Table(("Epoch", "Entries", "What", "Said of it"), (2, 3, 3, 10), rows[:MOST_SHOWN], frozenset(range(min(len(rows), MOST_SHOWN))))
    if len(rows) > MOST_SHOWN or more:
        yield Text(
            f"{max(len(rows) - MOST_SHOWN, 0)} more stand in the JSON of this document, {more} ranges are counted alone.", marked=True
        )


def _refused(streams: Sequence[Compared]) -> Iterator[Block]:
    refused = [(one.epoch, each) for one in streams for each in one.rejected.found]
    waiting = [(one.epoch, each) for one in streams for each in one.quarantine]
    if refused:
        yield Heading(1, "Refused by the receiver")
        shown = refused[:MOST_SHOWN]
        rows = [[str(epoch), _place(one.first, one.last), one.code, one.quarantine or "nobody here knows of it"] for epoch, one in shown]
        marked = frozenset(at for at, (_, one) in enumerate(shown) if one.quarantine is None)
        yield Table(("Epoch", "Entries", "Code", "In quarantine here"), (2, 2, 4, 4), rows, marked)
        not_named = sum(one.rejected.more for one in streams)
        yield from _more(len(refused), not_named, "entries more are counted alone, so nobody can look up which: they are not accounted for")
    if waiting:
        yield Heading(1, "In quarantine here")
        told = [[str(epoch), *(str(one[name]) for name in ("seq", "code", "state", "receiver"))] for epoch, one in waiting[:MOST_SHOWN]]
        yield Table(("Epoch", "Entry", "Code", "State", "The receiver"), (2, 2, 4, 3, 3), told)
        yield from _more(len(waiting), sum(one.more_quarantine for one in streams), "entries more lie there, and are counted alone")


def _place(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _more(rows: int, not_named: int, says: str) -> Iterator[Block]:
    """Say of a table what it does not show."""
    if rows > MOST_SHOWN:
        yield Text(f"{rows - MOST_SHOWN} rows more stand in the JSON of this document.", marked=True)
    if not_named:
        yield Text(f"{not_named} {says}.", marked=True)


def _records(found: Result, says: str, *, marked: bool) -> Iterator[Block]:
    yield Heading(1, "Records of the batch")
    yield Text(says, marked=marked)
    rows = [
        [
            f"{one['record']}#{one['revision']}",
            "yes" if one["listed"] else "",
            ", ".join(str(each["seq"]) for each in one["entries"]),
            one["state"],
            "; ".join(_receipt(each) for each in one["receipts"]) or "not known",
        ]
        for one in found.records
    ]
    odd = frozenset(at for at, one in enumerate(found.records) if one["state"] != "held")
    yield Table(("Record", "Listed", "Entries", "The receiver", "Receipt"), (7, 1.5, 2, 2.5, 6), rows, odd)
    if any(not one["receipts"] for one in found.records):
        yield Text(_NO_RECEIPT)
    for name in found.not_here:
        yield Text(f"{name}: listed, and held here no more: not compared.", marked=True)


def _receipt(told: Mapping[str, Any]) -> str:
    names = (("confirmed", "confirmed"), ("stored", "stored there"), ("reference", "there called"))
    return ", ".join(f"{says} {told[name]}" for name, says in names if told.get(name) is not None) or "not confirmed"
