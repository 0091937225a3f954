"""Results of a sample, where one replaces another: what stood before is kept with it. Pure.

A result that is quietly exchanged is the first thing that an inspector looks for; nothing that the laboratory once said leaves the record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

REPLACED, WITHDRAWN = "result-replaced", "result-withdrawn"
MOST_REPLACED = 10
MOST_REPLACED_BYTES = 16_384
"""Of what a result has replaced: the first is kept, and the newest for which there is room; `replaced_count` counts all."""
_ROW = ("source", "name", "key")
_FORMER = ("seq", "change", "time", "values")

Result = dict[str, Any]


def merged(results: Sequence[Result], result: Result) -> tuple[list[Result], str]:
    """Add a row of the laboratory to a sample's results. Returns them, and the reason of the revision.

    The same row with other values replaces what it said before; a deleted row withdraws it.
    """
    former = next((known for known in results if is_same_row(known, result)), None)
    others = [known for known in results if known is not former]
    if former is None:
        return [*others, result], "result"
    history: dict[str, Any] = {name: former[name] for name in ("replaced", "replaced_count") if name in former}
    if former["values"] == result["values"]:
        return [*others, {**result, **history}], "result"
    return [*others, {**result, **_with(history, former)}], WITHDRAWN if result["change"] == "deleted" else REPLACED


def is_same_row(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two results are of one row."""
    return all(one[name] == other[name] for name in _ROW)


def _with(history: Mapping[str, Any], former: Result) -> dict[str, Any]:
    replaced = [*history.get("replaced", ()), {name: former[name] for name in _FORMER}]
    count = history.get("replaced_count", len(replaced) - 1) + 1
    while len(replaced) > 1 and (len(replaced) > MOST_REPLACED or len(orjson.dumps(replaced)) > MOST_REPLACED_BYTES):
        del replaced[1]
    return {"replaced": replaced, "replaced_count": count}
