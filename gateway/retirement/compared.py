"""The last comparison with each receiver: what was found, or why nothing was."""

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from buffer import StorageError, read_cursors
from config import Line, Uplink
from gateway.reconciliation.answer import NotAnswered
from gateway.reconciliation.asking import NobodyToAsk, receiver
from gateway.reconciliation.document import Asked, drafted
from gateway.reconciliation.reconcile import Scope, reconciled

_SAID = {"finding": "differs", "not-complete": "not all was compared"}


class Compared(NamedTuple):
    """What came of it. drafted: of the document; None where nothing was compared. why: what stands in the way; "" if all is equal."""

    uplink: str
    receiver: str
    drafted: Mapping[str, Any] | None
    why: str


async def compared(line: Line, asked: Mapping[str, str]) -> list[Compared]:
    """Compare with each receiver. asked: by the name of an uplink whom to ask instead: an address, or the store of its EBR."""
    return [await _with(line, uplink, asked.get(uplink.name, asked.get(""))) for uplink in line.uplinks]


async def _with(line: Line, uplink: Uplink, ebr: str | None) -> Compared:
    whom = ebr or uplink.endpoint
    cursor = read_cursors(line.data).get(uplink.name)
    if cursor is None:
        return Compared(uplink.name, whom, None, "not compared: nothing was ever confirmed")
    scope = Scope()
    question = Asked(line.gateway, uplink.name, whom, str(scope), None, cursor.at, scope.of, uplink.profile)
    try:
        async with receiver(uplink, line.gateway, line.folder, ebr) as ask:
            found = drafted(question, await reconciled(line.data, line.line.timezone, question, scope, ask))
    except (NobodyToAsk, NotAnswered, StorageError, sqlite3.Error) as error:
        return Compared(uplink.name, whom, None, f"not compared: {error}")
    return Compared(uplink.name, whom, found, _why(found))


def _why(found: Mapping[str, Any]) -> str:
    if found["result"] == "passed":
        return ""
    facts = found["facts"]
    counts = [(kind, one["counts"][kind]["entries"]) for one in facts["streams"] for kind in ("missing", "extra", "different")]
    told = ", ".join(f"{count} {kind}" for kind, count in counts if count)
    return ": ".join(filter(None, [_SAID[found["result"]], "; ".join(filter(None, [told, facts["not_answered"]]))]))


def names_of(asked: tuple[str, ...], line: Line) -> dict[str, str]:
    """Read --ebr [UPLINK=]URL|STORE. Raises ValueError for an uplink that is none."""
    known = {one.name for one in line.uplinks}
    found: dict[str, str] = {}
    for text in asked:
        name, is_named, whom = text.partition("=")
        if is_named and name in known and not urlsplit(name).scheme:
            found[name] = whom
        elif len(known) == 1:
            found[next(iter(known))] = text
        else:
            raise ValueError(
                f"--ebr {text}: of which uplink? write UPLINK=URL or UPLINK=STORE; there are {', '.join(sorted(known)) or 'none'}"
            )
    return found
