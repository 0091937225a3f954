"""Which configuration was in force, and for whom: a change in mid batch leaves its trace in the records (URS-CFG-01, URS-CFG-04)."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.context.state import Configuration, State
from gateway.entries.ticks import rfc3339

MOST_REMEMBERED = 64
"""Configurations, the newest; of an older one a record has the version alone."""
MOST_DIFF_BYTES = 8_192
"""Of what a configuration changes, as the end of a batch lists it; `changes` counts all, and its `config` event lists more."""
UNKNOWN = 0
"""In place of a version that nobody has said."""


def take(state: State, event: Mapping[str, Any]) -> bool:
    """Take a part of a `config` event. Returns whether another configuration is in force from here on."""
    before, state.config = state.config, event["sha256"]
    version, known = event.get("version", UNKNOWN), state.configurations.get(event.get("version", UNKNOWN))
    if known is None or known.sha256 != event["sha256"]:
        _begin(state, version, event)
    elif event.get("part", 1) == known.part + 1:
        _go_on(known, event)
    return before not in {"", event["sha256"]}


def _begin(state: State, version: int, event: Mapping[str, Any]) -> None:
    former = state.configurations.get(state.version)
    if former is not None:
        former.until, former.until_seq = state.now, state.seq - 1 if state.seq > former.seq else None
    follows = (event.get("follows") or {}).get("version")
    begun = Configuration(event["sha256"], state.seq, state.now, follows, event.get("changes"), event.get("approved_by"))
    state.configurations.pop(version, None)
    state.configurations[version], state.version = begun, version
    _go_on(begun, event)
    for old in list(state.configurations)[: max(len(state.configurations) - MOST_REMEMBERED, 0)]:
        del state.configurations[old]
    for run in state.runs.values():
        if not run.revision:
            note(run.configs, state)
    for batch in state.batches.values():
        if not batch.revision or batch.ended is None:
            note(batch.configs, state)


def _go_on(known: Configuration, event: Mapping[str, Any]) -> None:
    known.part = event.get("part", 1)
    for change in event.get("diff") or ():
        if len(orjson.dumps([*known.diff, change])) > MOST_DIFF_BYTES:
            return
        known.diff.append(change)


def since(state: State, seq: int) -> list[int]:
    """List the versions in force from an entry until now: a start is decided later than it was read."""
    of_epoch = (v for v, known in state.configurations.items() if known.until is None or (known.until_seq or 0) >= seq)
    return list(of_epoch) or [state.version]


def note(configs: list[int], state: State) -> None:
    """Note that the present configuration bears on a record, too. An empty list is one that was begun without a note."""
    if not configs:
        configs.append(UNKNOWN)
    if configs[-1] != state.version:
        configs.append(state.version)


def versions(configs: Sequence[int]) -> list[int | None]:
    """Give versions as a record lists them; null: not known."""
    return [version or None for version in configs]


def listed(state: State, configs: Sequence[int]) -> list[dict[str, Any]]:
    """Give the configurations of a batch as its end lists them. from_seq null: in force since before the batch."""
    return [_listed(version, state.configurations.get(version), first=place == 0) for place, version in enumerate(configs)]


def _listed(version: int, known: Configuration | None, *, first: bool) -> dict[str, Any]:
    if known is None:
        return {"version": version or None, "sha256": None}
    return {
        "version": version,
        "sha256": known.sha256,
        "from_seq": None if first else known.seq,
        "until_seq": known.until_seq,
        "from": rfc3339(known.at),
        "until": None if known.until is None else rfc3339(known.until),
        **({} if first else {"follows": known.follows, "changes": known.changes, "diff": known.diff}),
        "approved_by": known.approved_by,
    }
