"""Looks what stands in the way of a retirement, without changing anything. Each obstacle has a name, by which a person accepts it."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from buffer import Pieces, StorageError, event_type, read_cursors, read_journal, read_quarantine, verify
from buffer.verify import KEY_BESIDE
from config import Line
from gateway.evidence.keyring import key_place
from gateway.retirement import secrets
from gateway.retirement.archives import Shown
from gateway.retirement.compared import Compared
from gateway.retirement.lines import Others

MOST_NAMED = 5
NO_OTHERS = Others()


class Obstacle(NamedTuple):
    """Something that stands in the way. what: its name, as `undelivered:ebr`. acceptable: whether a person may go on in spite of it."""

    what: str
    found: str
    acceptable: bool = True


class Batches(NamedTuple):
    """The batches that a journal names: all, in order; those without an end."""

    names: Sequence[str]
    open_: Sequence[str]


class Looked(NamedTuple):
    """What was looked at for the plan. ranges: entries held and known of each epoch."""

    obstacles: list[Obstacle]
    batches: Batches
    ranges: list[dict[str, int]]
    compared: list[Compared]
    shown: list[Shown]
    secrets: list[secrets.Secret]
    missing: list[secrets.Missing]


def looked(
    line: Line,
    compared: Sequence[Compared],
    shown: Sequence[Shown],
    named: tuple[Path, ...],
    read_later: tuple[tuple[str, Path], ...] = (),
    others: Others = NO_OTHERS,
) -> Looked:
    """Look at everything. compared: with each receiver. shown: archives that are there. others: of `lines.others`.

    named, read_later: as of `secrets.found`.
    """
    batches, found, missing = batches_of(line.data), *secrets.found(line, named, read_later, others.lines)
    obstacles = [
        *_journal(line.data),
        *(Obstacle(f"open-batch:{name}", "the journal holds no end of it: start the gateway, and let it end") for name in batches.open_),
        *_delivery(line),
        *(Obstacle(f"reconcile:{one.uplink}", one.why) for one in compared if one.why),
        *_pruned(line.data, shown),
        *(Obstacle(f"archive:{one.path.name}", one.why) for one in shown if one.why),
        *kept(found, missing),
        *(Obstacle(f"secrets-of:{what}", f"can not be read, so which secrets it names is not known: {why}") for what, why in others.unread),
    ]
    return Looked(obstacles, batches, ranges_of(line.data), list(compared), list(shown), found, missing)


def batches_of(data: Path) -> Batches:
    """Find every batch that the entries held begin or end. Raises StorageError."""
    ended: dict[str, bool] = {}
    for entry in read_journal(data):
        if event_type(entry.payload) == "batch":
            event = json.loads(entry.payload)["event"]
            if name := event.get("batch"):
                ended[name] = ended.get(name, False) or event["transition"] == "end"
    return Batches(list(ended), [name for name, has_ended in ended.items() if not has_ended])


def ranges_of(data: Path) -> list[dict[str, int]]:
    """Return the first and the last entry that is known of each epoch, and from which on they are held."""
    pieces = Pieces(data)
    known = [(epoch, first, last, pieces.held(epoch)) for epoch, (first, last) in pieces.epochs().items()]
    return [
        {"epoch": epoch, "first": first, "last": last, "held_from": held[0] if held else last + 1} for epoch, first, last, held in known
    ]


def keys_of(data: Path) -> str:
    """Return the public keys of a journal's folder, as a text; "" if there are none."""
    path = data / KEY_BESIDE
    return path.read_text("ascii") if path.exists() else ""


def _journal(data: Path) -> Iterator[Obstacle]:
    if not key_place(data).exists():
        told = f"{key_place(data)} is not there: nothing can be signed any more; where it is a credential of systemd, run this with it"
        yield Obstacle("signing-key", told, acceptable=False)
    elif not os.access(key_place(data), os.R_OK):
        yield Obstacle("signing-key", f"{key_place(data)} can not be read: run this as the account of the gateway", acceptable=False)
    try:
        report = verify.verify(data, keys_of(data) or None)
    except (ValueError, sqlite3.Error, StorageError) as error:
        yield Obstacle("journal", f"can not be verified: {error}")
        return
    if report.exit_code:
        yield Obstacle("journal", f"not wholly verified: {some([*report.problems, *report.missing])}")


def _delivery(line: Line) -> Iterator[Obstacle]:
    if not line.uplinks:
        yield Obstacle("no-uplink", "line.toml names no receiver: nothing was ever delivered, and nothing can be compared")
    cursors = read_cursors(line.data)
    last = max(((one["epoch"], one["last"]) for one in ranges_of(line.data)), default=(0, 0))
    for name in sorted({*cursors, *(one.name for one in line.uplinks)}):
        at = cursors[name].at if name in cursors else (0, 0)
        if at < last:
            known = "" if any(one.name == name for one in line.uplinks) else "; line.toml does not name it any more"
            yield Obstacle(f"undelivered:{name}", undelivered(at, last) + known)
        if held := [one for one in read_quarantine(line.data, name) if one.state == "held"]:
            codes = ", ".join(sorted({one.code for one in held}))
            yield Obstacle(f"quarantine:{name}", f"{len(held)} refused entries wait for a person ({codes}): ebr-gateway quarantine list")


def undelivered(at: tuple[int, int], last: tuple[int, int]) -> str:
    """Say what a receiver has not confirmed."""
    begins = f"entry {at[1] + 1} of epoch {at[0]}" if at[0] else "the first entry"
    return f"not confirmed: from {begins} on; the journal ends with entry {last[1]} of epoch {last[0]}"


def _pruned(data: Path, shown: Sequence[Shown]) -> Iterator[Obstacle]:
    for one in ranges_of(data):
        if one["held_from"] > one["first"]:
            archives = (
                f"{sum(not each.why for each in shown)} archives were shown and are good" if shown else "no archive was shown (--archives)"
            )
            gone = f"entries {one['first']} to {one['held_from'] - 1} of epoch {one['epoch']} are no longer here"
            yield Obstacle(f"pruned:{one['epoch']}", f"{gone}: whether each batch of them has its archive is not known here; {archives}")


def kept(found: Sequence[secrets.Secret], missing: Sequence[secrets.Missing]) -> Iterator[Obstacle]:
    """Say which secrets would stay: kept elsewhere, or not found."""
    for one in found:
        if one.kept_elsewhere:
            yield Obstacle(f"secret:{one.path}", f"{one.what}: {one.kept_elsewhere}")
    for lacking in missing:
        where = "no file of it is here: where systemd gives it (LoadCredential=), name its source with --secret-file"
        yield Obstacle(f"secret:{lacking.name}", f"{lacking.what}: {where}")


def unaccepted(obstacles: Sequence[Obstacle], accepted: Mapping[str, Any]) -> list[Obstacle]:
    """Return those that still stand in the way."""
    return [one for one in obstacles if not one.acceptable or one.what not in accepted]


def some(texts: Sequence[str]) -> str:
    """Name the first of many, and say how many more there are."""
    more = f"; and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return "; ".join(texts[:MOST_NAMED]) + more
