"""The configurations under which a batch was recorded: as files, and as a table of its page."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from buffer.archive.texts import local_text, value_text
from buffer.pages.blocks import Block, Heading, Table
from buffer.segment import Entry, type_of

MOST_NAMED = 10
"""Changes that a page names; the `config` event has more, and the files of each version lie beside it."""


def files_of(held: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
    """Yield the line folder's files, a folder for each version that stands in the entries; for convenience, the proof is in the entries."""
    versions: dict[int, dict[str, str]] = {}
    for entry in held:
        if type_of(entry.payload) == "config":
            event = json.loads(entry.payload)["event"]
            if event.get("part", 1) == 1:
                versions[event["version"]] = {}
            pieces = versions.setdefault(event["version"], {})
            for name, text in _named(event["files"]):
                pieces[name] = pieces.get(name, "") + text
    for version, pieces in sorted(versions.items()):
        yield from ((f"configuration/{version}/{Path(name).name}", text.encode()) for name, text in pieces.items())


def _named(files: "Mapping[str, str] | list[dict[str, str]]") -> list[tuple[str, str]]:
    return [(file["name"], file["text"]) for file in files] if isinstance(files, list) else list(files.items())


def configuration_blocks(listed: Sequence[Mapping[str, Any]], zone: str | None) -> Iterator[Block]:
    """Show which configurations the batch's end lists; those that came into force in it are marked. zone: of the times."""
    if listed:
        rows = [_row(item, zone, first=place == 0) for place, item in enumerate(listed)]
        yield Heading(1, "Configurations")
        titles = ("Version", "From entry", "From", "Until", "Changed", "Approved by", "SHA-256")
        yield Table(titles, (0.8, 0.8, 2, 2, 4, 1.2, 2.4), rows, frozenset(range(1, len(rows))))


def _row(item: Mapping[str, Any], zone: str | None, *, first: bool) -> list[str]:
    told = [value_text(item.get("version")) or "not known", value_text(item.get("from_seq"))]
    told += [local_text(item.get(name), zone) for name in ("from", "until")]
    return [*told, _changed(item, first=first), value_text(item.get("approved_by")) or "nobody known", value_text(item.get("sha256"))]


def _changed(item: Mapping[str, Any], *, first: bool) -> str:
    if first:
        return "in force when the batch began"
    if item.get("changes") is None:
        return "what it changes is not known"
    told = [_change_text(change) for change in item.get("diff", [])[:MOST_NAMED]]
    more = [f"{item['changes'] - len(told)} more"] if item["changes"] > len(told) else []
    return "; ".join(told + more) or "nothing differs in meaning"


def _change_text(change: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{name} {old or '(empty)'} to {new or '(empty)'}" for name, old, new in change.get("fields", []))
    return f"{change['what']} {change['kind']} {change['name']}{': ' + fields if fields else ''}"


def versions_text(event: Mapping[str, Any]) -> str:
    """Name the versions of the configuration under which a step was recorded."""
    versions = ", ".join(value_text(version) or "not known" for version in event.get("config_versions", []))
    return f"; configuration {versions}" if versions else ""
