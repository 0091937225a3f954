"""Rows that stand in the journal although the watermark may not know them.

A journal was restored with what its EBR had beyond the backup, or a power cut tore the watermark that was committed with rows. They are in
the watermark under MARK until the source has shown them again, or can not any more: name -> {"until_ns": time of the newest, "rows":
[[key's sum, row's sum or "" if it was deleted], ..] in the journal's order, "keys": [[key, its place in the order or null], ..] where it is
known which rows those are, "unsure": true where there were more than are kept, so that it says of other rows something as well}.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from drivers.row_key import forms

MARK = ":recalled"
"""No query or pattern has such a name."""
UNSURE = "?"
"""In place of a row's sum: the journal says something of the row, and not all of it is proved. No row has this sum."""


def row_mark(key: str, row: Mapping[str, Any] | None) -> list[str]:
    """[sum of the key, sum of the row as JSON]: 96 bits each. row None: it was deleted."""
    text = "" if row is None else _sum(json.dumps(row, sort_keys=True, separators=(",", ":")))
    return [_sum(key), text]


def row_marks(key: str, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the marks under which a row may stand in the journal: one for each form of its key."""
    return [(known, content) for known, content in (row_mark(form, row) for form in forms(key))]


class Told(NamedTuple):
    """What the journal said of a row last. row: its sum; "" if it was deleted, UNSURE if not all of it is proved. order: see `Message`."""

    key: str
    row: str
    order: Any = None


def merged(
    watermark: Mapping[str, Any], told: Mapping[str, Mapping[str, Told]], until_ns: Mapping[str, int], unsure: Collection[str] = ()
) -> dict[str, Any]:
    """Return what stands under MARK in a watermark with what was told by name and key's sum: of each row the last.

    unsure: names of which more was told.
    """
    names = dict(watermark.get(MARK, {}))
    for name in dict.fromkeys([*told, *unsure]):
        rows = told.get(name, {})
        before = {"until_ns": 0, "rows": [], "keys": [], **names.get(name, {})}
        others = [[key, row] for key, row in before["rows"] if key not in rows]
        keys = [[key, order] for key, order in before["keys"] if _sum(key) not in rows]
        is_unsure = name in unsure or before.get("unsure", False)
        names[name] = {
            "until_ns": max(before["until_ns"], until_ns.get(name, 0)),
            "rows": [*others, *([key, its.row] for key, its in rows.items())],
            "keys": [*keys, *([its.key, its.order] for its in rows.values() if its.row)],
            **({"unsure": True} if is_unsure else {}),
        }
    return names


def _sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]


class RestoredRows:
    """Those of one source. Whoever uses them commits `stored()` together with what it did with them."""

    def __init__(self, watermark: Mapping[str, Any]) -> None:
        self._names: dict[str, tuple[int, list[tuple[str, str]]]] = {
            name: (known["until_ns"], [(key, row) for key, row in known["rows"]]) for name, known in watermark.get(MARK, {}).items()
        }
        self._keys: dict[str, list[list[Any]]] = {name: known.get("keys", []) for name, known in watermark.get(MARK, {}).items()}
        self._unsure = {name for name, known in watermark.get(MARK, {}).items() if known.get("unsure")}
        self.was = bool(self._names)  # there were some: what is left is committed, also that nothing is

    def stored(self) -> dict[str, Any]:
        """As JSON, for the watermark; {MARK: {}} when there are none any more."""
        names: dict[str, dict[str, Any]] = {name: {"until_ns": until, "rows": rows} for name, (until, rows) in self._names.items()}
        for name, its in names.items():
            names[name] = (
                its | ({"keys": self._keys[name]} if self._keys.get(name) else {}) | ({"unsure": True} if name in self._unsure else {})
            )
        return {MARK: names}

    def until_ns(self, name: str) -> int | None:
        """When the newest row of this query or pattern was read, None if there are none."""
        return self._names[name][0] if name in self._names else None

    def is_unsure(self, name: str) -> bool:
        """Whether the journal has more rows of it than are known here: it may say of any row something else."""
        return name in self._unsure

    def leading(self, name: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """How many of these rows, from the first on, stand in the journal; each that is there counts for one."""
        left = Counter(self._names[name][1]) if name in self._names else Counter()
        count = 0
        for key, row in rows:
            mark = next((mark for mark in row_marks(key, row) if left[mark] > 0), None)
            if mark is None:
                break
            left[mark] -= 1
            count += 1
        return count

    def use(self, name: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """These have been shown again."""
        if name not in self._names:
            return
        until_ns, known = self._names[name]
        stands, shown = Counter(known), Counter[tuple[str, str]]()
        for key, row in rows:
            shown.update([mark for mark in row_marks(key, row) if shown[mark] < stands[mark]][:1])
        left = []
        for mark in known:
            shown[mark] -= 1
            if shown[mark] < 0:
                left.append(mark)
        self._names[name] = until_ns, left

    def settle(self, name: str, keys: Iterable[str]) -> None:
        """These rows are handed over as they are now: what was known of them is over."""
        if name in self._names:
            until_ns, known = self._names[name]
            over = {_sum(form) for key in keys for form in forms(key)}
            self._names[name] = until_ns, [mark for mark in known if mark[0] not in over]

    def standing(self, name: str) -> list[tuple[str, Any]]:
        """List (key, place in the order) of the rows that stand in the journal and were not deleted, where their keys are known."""
        last = self.last(name)
        return [(key, order) for key, order in self._keys.get(name, ()) if last.get(_sum(key))]

    def last(self, name: str) -> dict[str, str]:
        """Sum of each key -> sum of its row as it was read last, "" if it was deleted."""
        return dict(self._names[name][1]) if name in self._names else {}

    def has(self, name: str, key: str) -> bool:
        """Whether anything is known of this row."""
        last = self.last(name)
        return any(_sum(form) in last for form in forms(key))

    def forget(self, name: str) -> None:
        """Nothing more of it can be shown."""
        self._names.pop(name, None)
        self._keys.pop(name, None)
        self._unsure.discard(name)
