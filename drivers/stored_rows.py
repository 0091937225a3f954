"""Stores many remembered rows in a watermark, in pieces: what one row costs does not grow with the number of rows.

A watermark is committed by key (see `drivers.contract.Emit`). Each list of rows that is handed over becomes a piece, a key of its own.
Small pieces are put together as they come, so each row is written anew a few times, about the logarithm of their number; pieces of which
little is left are dissolved. A key that stands in several pieces holds what the newest of them says (log-structured merge tree, 1996).

A power cut may tear the last commit, so that some of its keys are of before. So the head says which pieces held before it, and no number is
given twice: where a piece is missing, those of before are read. Where they are not all there either, it is not sure what any row holds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

PIECE_ROWS = 1_000
"""Pieces of more rows are not put together any more."""
LEAST_LIVE = 4
"""A piece is dissolved when less than one row in so many of it is still what it says."""

Stored = dict[str, Any]
"""A piece as JSON: {"rows": {key: content}, "gone": [key, ..]}."""


class StoredRows:
    """The keys of one query or pattern and in which piece each stands. What a row holds is its owner's: `changes` asks for it."""

    def __init__(self, name: str, watermark: Mapping[str, Any]) -> None:
        """Read the pieces that were committed. name: of the query or pattern; watermark: that of the source."""
        self._name = name
        self._pieces: dict[int, dict[str, None]] = {}
        self._home: dict[str, int] = {}
        self._gone: set[str] = set()
        self._live: dict[int, int] = {}
        self._pending: dict[str, None] = {}
        self._removed: list[int] = []
        self.rows: dict[str, Any] = {}
        self.unsure: set[str] = set()
        """Keys of rows that may hold something else than what is read of them."""
        head, there = watermark.get(name, {}), _numbers(watermark, name)
        held, is_sure = _held(head, there)
        self._unsure_through = head.get("unsure", 0) if is_sure else max(there, default=0)
        for number in held:
            self._read(number, watermark[f"{name}/{number}"])
        self._removed += [number for number in there if number not in self._pieces]
        self._next = max([head.get("next", 1) - 1, *there, *head.get("pieces", ())]) + 1

    def put(self, key: str) -> None:
        """Note that this row is new or holds something else."""
        self._gone.discard(key)
        self._pending[key] = None

    def drop(self, key: str) -> None:
        """Note that this row is no more."""
        self._gone.add(key)
        self._pending[key] = None

    def forget(self, key: str) -> None:
        """Note that the owner needs this row no more, and will know that by what the row holds when it is read again."""
        if sum(key in keys for keys in self._pieces.values()) > 1:
            self.drop(key)  # else an older piece would tell of it when the one that it stands in now is taken out
            return
        self._pending.pop(key, None)
        if (number := self._home.pop(key, None)) is not None:
            self._live[number] -= 1

    def changes(self, content: Callable[[str], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what of the head says which pieces hold, and the changes of the watermark: pieces added, and None for those removed.

        content: what a row holds now, as JSON. All that was noted since the last call is in the changes, so they have to be committed.
        """
        before = sorted(self._pieces)
        self._dissolve()
        changed: dict[str, Any] = {}
        if self._pending:
            merged = self._merged(self._pending)
            needed = {key: None for key in merged if key not in self._gone or self._is_stored(key)}
            self._gone -= merged.keys() - needed.keys()
            for key in merged.keys() - needed.keys():
                self._home.pop(key, None)
            self._pending = {}
            if needed:
                number, self._next = self._next, self._next + 1
                self._place(number, needed)
                changed[f"{self._name}/{number}"] = {
                    "rows": {key: content(key) for key in needed if key not in self._gone},
                    "gone": [key for key in needed if key in self._gone],
                }
        changed |= {f"{self._name}/{number}": None for number in self._removed}
        self._removed = []
        head = {"pieces": sorted(self._pieces), "before": before, "next": self._next}
        return head | ({"unsure": self._unsure_through} if self._unsure_through else {}), changed

    def _read(self, number: int, piece: Stored) -> None:
        for key, content in piece["rows"].items():
            self.rows.pop(key, None)  # the order is that in which rows were noted last
            self.rows[key] = content
            self._gone.discard(key)
            (self.unsure.add if number <= self._unsure_through else self.unsure.discard)(key)
        for key in piece["gone"]:
            self.rows.pop(key, None)
            self._gone.add(key)
        self._place(number, dict.fromkeys([*piece["rows"], *piece["gone"]]))

    def _place(self, number: int, keys: dict[str, None]) -> None:
        self._pieces[number], self._live[number] = keys, len(keys)
        for key in keys:
            if key in self._home:
                self._live[self._home[key]] -= 1
            self._home[key] = number

    def _merged(self, keys: dict[str, None]) -> dict[str, None]:
        """Put newest pieces together with these keys while they are no larger: sizes halve from piece to piece, so there are few."""
        while self._pieces:
            newest = max(self._pieces)
            size = len(self._pieces[newest])
            if size > 2 * len(keys) or size + len(keys) > PIECE_ROWS:
                break
            keys = {**self._take_out(newest), **keys}
        return keys

    def _dissolve(self) -> None:
        """Take out pieces of which little is left; what is left goes into the next one."""
        for number in [n for n, keys in self._pieces.items() if self._live[n] * LEAST_LIVE < len(keys)]:
            self._pending = {**self._take_out(number), **self._pending}

    def _take_out(self, number: int) -> dict[str, None]:
        keys = {key: None for key in self._pieces.pop(number) if self._home.get(key) == number}
        del self._live[number]
        for key in keys:
            del self._home[key]
        self._removed.append(number)
        return keys

    def _is_stored(self, key: str) -> bool:
        return any(key in keys for keys in self._pieces.values())

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._home if key not in self._gone)


def _numbers(watermark: Mapping[str, Any], name: str) -> list[int]:
    """List the pieces that are there, those that nothing names any more among them."""
    numbers = (key.removeprefix(f"{name}/") for key in watermark if key.startswith(f"{name}/"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def _held(head: Mapping[str, Any], there: Sequence[int]) -> tuple[list[int], bool]:
    """Return the pieces to be read, the oldest first, and whether they say for sure what each row holds."""
    for named in (head.get("pieces", ()), head.get("before", head.get("pieces", ()))):
        if set(named) <= set(there):
            return sorted(named), True
    return [number for number in there if number <= max(head["pieces"])], False
