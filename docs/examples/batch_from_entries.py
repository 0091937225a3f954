# ruff: noqa: INP001
"""The record of a batch, made of an EBR's stored entries by the published schemas alone. Python's standard library, nothing else.

    python batch_from_entries.py ENTRIES BATCH          ENTRIES: JSON Lines of entries in any order, or an SQLite file with entries(payload)

Prints the record as JSON. Written to be read by who builds a receiving side: each rule names the page of docs/schemas/ it comes from.
"""

import hashlib
import json
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NOTHING = "0" * 64

Item = dict[str, Any]
Name = tuple[str, str]


def main(entries: str, batch: str) -> int:
    """Print the record of one batch."""
    sys.stdout.write(json.dumps(record(payloads(Path(entries)), batch), indent=2) + "\n")
    return 0


def payloads(path: Path) -> list[bytes]:
    """The stored bytes of every entry."""
    if path.read_bytes()[:16] == b"SQLite format 3\0":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return [bytes(row[0]) for row in db.execute("SELECT payload FROM entries")]
    return path.read_bytes().splitlines()


def record(stored: Iterable[bytes], batch: str) -> Item:
    """Everything about one batch. stored: the bytes of entries, in any order, some of them twice."""
    entries = whole(stored)
    events = [told(entry, payload) for entry, payload in entries if "event" in entry]
    steps = steps_of(events, batch)
    batches = [event for event in parts_joined(events) if event["type"] == "batch" and event.get("batch") == batch]
    ends = closing(batches)
    first, last = time_of(steps, batches, [] if ends else named(entries, batch))
    return {
        "batch": batch,
        "status": status(ends, batches, steps),
        "identity": {
            name: sorted({one[name] for one in (*steps, *batches) if one.get(name)})
            for name in ("order", "product", "recipe", "recipe_version")
        },
        "steps": steps,
        "completeness": completeness(ends, steps),
        "materials": latest(events, "material", batch),
        "samples": latest(events, "sample", batch),
        "gaps": gaps(events, steps, ends, (first, last)),
        "proof": [proof(end, steps) for end in ends],
    }


# entry-event.json, entry-readings.json: the head. previous is the SHA-256 of the entry before, 64 zeros for seq 1 of an epoch.


def whole(stored: Iterable[bytes]) -> list[tuple[Item, bytes]]:
    """(entry, bytes) of every stream as far as it is whole, in order, each once."""
    held: dict[tuple[str, int, int], tuple[Item, bytes]] = {}
    for payload in stored:
        entry = json.loads(payload)
        held.setdefault((entry["gateway"], entry["epoch"], entry["seq"]), (entry, payload))
    found = []
    for gateway, epoch in sorted({name[:2] for name in held}):
        seq, previous = 1, NOTHING
        while (one := held.get((gateway, epoch, seq))) is not None and one[0]["previous"] == previous:
            found.append(one)
            seq, previous = seq + 1, hashlib.sha256(one[1]).hexdigest()
    return found


def told(entry: Item, payload: bytes) -> Item:
    """An event, with where it stands and the digest of its bytes: the member `event` is the last one of its entry."""
    content = payload[payload.index(b',"event":{') + len(b',"event":') : -1]
    return {**entry["event"], "gateway": entry["gateway"], "entered": entry["time"], "content": content}


def parts_joined(events: Iterable[Item]) -> Iterator[Item]:
    """event-step.json, event-batch.json: a long event comes in parts (part, of); the lists named in `sliced` go together in their order."""
    waiting: dict[tuple[Any, ...], dict[int, Item]] = defaultdict(dict)
    for event in events:
        if event.get("of", 1) == 1 or "sliced" not in event:
            yield event
            continue
        parts = waiting[event["gateway"], event["record"], event.get("transition"), event["revision"]]
        parts[event["part"]] = event
        if len(parts) == event["of"]:
            ordered = [parts[number] for number in range(1, event["of"] + 1)]
            lists = {name: [item for part in ordered for item in part[name]] for name in event["sliced"]}
            yield {**ordered[0], **lists, "content": b"".join(part["content"] for part in ordered)}


# event-step.json: an end is complete in itself; a correction is the whole again, with the next revision.
# event-rebind.json: an identity that came late; the record that it supersedes counts no longer, or, with `final`, counts as it stands
# under the new name.


def steps_of(events: Sequence[Item], batch: str) -> list[Item]:
    """Every run of every step of the batch, in its latest revision; a run that has not ended stands with its start."""
    runs: dict[str, Item] = {}
    rebinds = [event for event in events if event["type"] == "rebind" and event.get("supersedes")]
    gone, final = {event["supersedes"] for event in rebinds}, {event["supersedes"]: event for event in rebinds if event.get("final")}
    for event in (going_over(event, final) for event in parts_joined(events) if event["type"] == "step"):
        if event.get("batch") != batch or event["record"] in gone:
            continue
        known = runs.get(event["record"])
        if known is None or rank(event) > rank(known):
            runs[event["record"]] = event
    return [
        {name: value for name, value in step.items() if name not in ("content", "type")}
        | {"sha256": hashlib.sha256(step["content"]).hexdigest()}
        for step in sorted(runs.values(), key=lambda step: (ticks(step["start"]["time"]), step["record"]))
    ]


def going_over(step: Item, final: Mapping[str, Item]) -> Item:
    """A record that was final when its batch was corrected, under the name and batch that it has now."""
    for _ in final:
        over = final.get(step["record"]) if step["transition"] == "end" else None
        if over is None:
            break
        step = {**step, **over["to"], "record": over["record"], "run": over["run"]}
    return step


def rank(step: Item) -> tuple[bool, int]:
    """An end stands above a start, a later revision above an earlier one."""
    return step["transition"] == "end", step["revision"]


def latest(events: Sequence[Item], kind: str, batch: str) -> list[Item]:
    """event-material.json, event-sample.json: `record` is the name, the latest revision counts; one that another supersedes is gone."""
    booked = [event for event in events if event["type"] == kind]
    moved = {event["supersedes"].rpartition("#")[0]: event["record"] for event in booked if event.get("supersedes")}
    found: dict[str | None, Item] = {}
    for event in booked:
        name = event.get("record")
        if event.get("batch") != batch or moved.get(name, name) != name:
            continue
        known = found.get(name)
        if known is None or (event.get("revision") or 1) >= (known.get("revision") or 1):
            found[name] = event
    return [{name: value for name, value in one.items() if name not in ("content", "type")} for one in found.values()]


# event-batch.json: the end of a batch lists every record and states what is complete.


def closing(batches: Iterable[Item]) -> list[Item]:
    """The latest end of each line that the batch passed."""
    ends: dict[str, Item] = {}
    for event in batches:
        if event["transition"] == "end" and (event["gateway"] not in ends or event["revision"] >= ends[event["gateway"]]["revision"]):
            ends[event["gateway"]] = event
    return [ends[gateway] for gateway in sorted(ends)]


def status(ends: Sequence[Item], batches: Sequence[Item], steps: Sequence[Item]) -> str:
    """Open while a line has not closed the batch; else what the ends say."""
    lines = {event["gateway"] for event in (*batches, *steps)}
    if lines != {end["gateway"] for end in ends} or not ends:
        return "open"
    return "complete" if all(end["status"] == "complete" for end in ends) else "incomplete"


def completeness(ends: Sequence[Item], steps: Sequence[Item]) -> Item:
    """As the ends state it; before there is one, the sum of the steps', each item with its place."""
    stated = [one["completeness"] for one in (ends or steps) if one.get("completeness")]
    missing = [item for end in ends for item in end["completeness"]["missing"]]
    if not ends:
        places = ("equipment", "step", "run")
        known = [step for step in steps if step.get("completeness")]
        missing = [{name: step[name] for name in places} | item for step in known for item in step["completeness"]["missing"]]
    sums = {name: sum(one[name] for one in stated) for name in ("required", "present")}
    return {**sums, "missing": missing}


def proof(end: Item, steps: Sequence[Item]) -> Item:
    """Are just the records held that the end lists? By digests; merkle_root is the root of RFC 6962, 2.1, over them in the order listed."""
    listed = {one["record"]: one["content_sha256"] for one in end["records"]}
    held = {step["record"]: step["sha256"] for step in steps if step["gateway"] == end["gateway"] and step["transition"] == "end"}
    return {
        "gateway": end["gateway"],
        "records": len(listed),
        "same": listed == held,
        "root": tree(list(listed.values())) == end["merkle_root"],
    }


def tree(digests: Sequence[str]) -> str:
    """Merkle tree hash over hex digests as leaves."""
    if len(digests) < 2:
        return hashlib.sha256(b"\x00" + bytes.fromhex(digests[0]) if digests else b"").hexdigest()
    half = 1
    while half * 2 < len(digests):
        half *= 2
    return hashlib.sha256(b"\x01" + bytes.fromhex(tree(digests[:half])) + bytes.fromhex(tree(digests[half:]))).hexdigest()


# event-gap.json: opened at the last observation, closed at the next, all tags at once or some by some.
# event-tagset.json: which tags a source has, and whose they are.


def gaps(events: Sequence[Item], steps: Sequence[Item], ends: Sequence[Item], window: tuple[int | None, int | None]) -> list[Item]:
    """event-batch.json: the gaps that the batch's end lists. Of a line without an end (or whose end counts none): see `near`."""
    counted = {end["gateway"]: set(end["gaps"]) for end in ends if end.get("gap_count") is not None}
    mine, known = tags_of(events, steps)
    told = [event for event in events if event["type"] == "gap"]
    found = []
    for gap in (event for event in told if event["transition"] == "open"):
        name = gap["gateway"], gap["gap"]
        closes = [event for event in told if event["transition"] == "close" and (event["gateway"], event["gap"]) == name]
        one = closed(gap, closes)
        if gap["gap"] in counted[gap["gateway"]] if gap["gateway"] in counted else touches_tags(gap, mine, known) and near(one, window):
            found.append(one)
    return found


def closed(gap: Item, closes: Sequence[Item]) -> Item:
    """A gap with its end and outcome, as far as it has ended; its start by the clock as it was when it closed."""
    ends = [event["end"] for event in closes] or ([gap["end"]] if gap.get("end") else [])
    outcome = None if not ends else "filled" if closes and all(event["outcome"] == "filled" for event in closes) else "lost"
    start = min([gap["start"]] if not closes else [event.get("start") or gap["start"] for event in closes], key=ticks)
    stated = {"gap": gap["gap"], "source": gap["source"], "tags": gap["tags"], "start": start}
    return {**stated, "end": max(ends, key=ticks, default=None), "outcome": outcome}


def near(gap: Item, window: tuple[int | None, int | None]) -> bool:
    """Whether a gap touches the time of the batch."""
    first, last = window
    return first is not None and last is not None and ticks(gap["start"]) <= last and (gap["end"] is None or ticks(gap["end"]) >= first)


def tags_of(events: Iterable[Item], steps: Sequence[Item]) -> tuple[dict[Name, set[str]], set[Name]]:
    """({(gateway, source): tags of the batch}, sources that have tags)."""
    units = {(step["gateway"], step["equipment"]) for step in steps}
    asked = {(step["gateway"], one.get("tag")) for step in steps for one in step.get("parameters") or []}
    mine: dict[Name, set[str]] = defaultdict(set)
    known: set[Name] = set()
    for event in events:
        if event["type"] != "tagset":
            continue
        known.add((event["gateway"], event["source"]))
        for tag in event["tags"]:
            whose = (tag.get("equipment") or "line").split(";")
            if "line" in whose or (event["gateway"], tag["tag"]) in asked or any((event["gateway"], unit) in units for unit in whose):
                mine[event["gateway"], event["source"]].add(tag["tag"])
    return mine, known


def touches_tags(gap: Item, mine: dict[Name, set[str]], known: set[Name]) -> bool:
    """Whether a gap is about the batch's tags."""
    source = gap["gateway"], gap["source"]
    if source not in known:
        return True
    return bool(mine[source]) if gap["tags"] == "all" else not mine[source].isdisjoint(gap["tags"])


def named(entries: Iterable[tuple[Item, bytes]], batch: str) -> list[int]:
    """When entries came that are of the batch: readings by their contexts, events by theirs. An open batch lasts as long as they come."""
    of = ((entry, [entry["event"]] if "event" in entry else (entry.get("contexts") or {}).values()) for entry, _ in entries)
    return [ticks(entry["time"]) for entry, contexts in of if any(context.get("batch") == batch for context in contexts)]


def time_of(steps: Sequence[Item], batches: Sequence[Item], seen: Sequence[int]) -> tuple[int | None, int | None]:
    """From the first start to the last end, to the entry that closed the batch, or to the last one that was seen of it; in ticks."""
    starts = [ticks(one["start"]["time"]) for one in (*steps, *batches) if one.get("start")]
    ends = [ticks(one["end"]["time"]) for one in (*steps, *batches) if one.get("end")] + [ticks(one["entered"]) for one in batches]
    return min(starts, default=None), max([*ends, *seen], default=None)


def ticks(text: str) -> int:
    """An RFC 3339 time in units of 100 ns."""
    whole_s, _, rest = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole_s).replace(tzinfo=UTC).timestamp()) * 10_000_000 + int((rest + "0000000")[:7])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
