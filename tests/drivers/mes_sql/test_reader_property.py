"""Laws of reading a table in pieces: random tables with many equal values, random moves, crashes between any two commits."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply
from drivers.mes_sql import values
from drivers.mes_sql.reader import Found, Reader
from drivers.mes_sql.settings import Settings
from drivers.mes_sql.window import Window

QUERY = {
    "name": "q",
    "sql": "SELECT id, at, v FROM t WHERE at > :since ORDER BY at",
    "key": "id",
    "watermark": {"column": "at", "kind": "timestamp"},
}


def settled(coroutine: Coroutine[Any, Any, Found]) -> Found:
    """What a coroutine gives that waits for nothing."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    found = done.value.value
    assert isinstance(found, Found)
    return found


class Table:
    """A table of an MES. Rows of one value come in any order, another one each time. dice: what happens in it."""

    columns = ("id", "at", "v")

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.rows_by_key: dict[str, tuple[int, int]] = {}
        self.keys = 0

    async def rows(self, _sql: str, parameters: Mapping[str, Any], most: int) -> AsyncIterator[list[dict[str, Any]]]:
        """A statement: one state of the table."""
        since = parameters.get("since")
        above = [(at, self._dice.random(), key, v) for key, (at, v) in self.rows_by_key.items() if since is None or at > since]
        rows = [{"id": key, "at": at, "v": v} for at, _, key, v in sorted(above)[:most]]
        for first in range(0, len(rows), 3):
            yield rows[first : first + 3]

    def insert(self, at: int) -> None:
        self.keys += 1
        self.rows_by_key[str(self.keys)] = (at, 0)

    def update(self, at: int | None) -> None:
        """Change a row, and move it to a value, or leave it where it is."""
        if self.rows_by_key:
            key = self._dice.choice(list(self.rows_by_key))
            before, v = self.rows_by_key[key]
            self.rows_by_key[key] = (before if at is None else at, v + 1)

    def delete(self) -> None:
        if self.rows_by_key:
            del self.rows_by_key[self._dice.choice(list(self.rows_by_key))]


class Stage:
    """A reader that hands over to a journal which commits rows and watermark together, and may crash after any commit."""

    def __init__(self, dice: random.Random, table: Table, *, overlap_s: float, window_rows: int) -> None:
        self.dice, self.table = dice, table
        self.overlap_s = overlap_s
        self.settings = Settings.model_validate({"query": [QUERY], "window_rows": 100, "poll_rows": 10})
        self.settings = self.settings.model_copy(update={"window_rows": window_rows, "poll_rows": dice.choice([1, 3, 10])})
        self.watermark: dict[str, Any] = {}
        self.told: list[tuple[str, str, int]] = []
        self.now_s = 0.0
        self.restart()

    def restart(self) -> None:
        window = Window("q", self.watermark, overlap_s=self.overlap_s, rows=self.settings.window_rows)
        self.reader = Reader(self.settings.query[0], self.settings, "sqlite", window, clock=lambda: self.now_s)

    def commit(self, told: list[tuple[str, str, int]]) -> None:
        merged = {**self.watermark, **orjson.loads(orjson.dumps(self.reader.window.changes()))}
        self.watermark = {key: value for key, value in merged.items() if value is not None}
        self.told += told
        floor = self.reader.window.floor
        known = {key for key, _, _ in self.told}
        unread = {key: at for key, (at, _) in self.table.rows_by_key.items() if key not in known}
        assert floor is None or all(at > floor for at in unread.values()), "the floor never reaches the value of a row that was not read"

    def statement(self, *, crash: bool) -> bool:
        """Ask once; True when the look is over. crash: after a random commit, or before the first."""
        found = settled(self.reader.look(self.table, {}))  # type: ignore[arg-type]
        assert not set(found.gone) & self.table.rows_by_key.keys(), "what is there is not deleted"
        for piece, _ in self.reader.pieces(found, 4):
            if crash and self.dice.random() < 0.4:
                self.restart()
                return False
            self.commit([(row.key, row.change, row.plain["v"]) for row in piece])
        for key in found.gone:
            self.reader.window.forget(key)
        if found.gone:
            self.commit([(key, "deleted", -1) for key in found.gone])
        self.reader.handed_over(found)
        return found.complete

    def watch(self, seconds: float) -> None:
        self.now_s += seconds
        self.reader.window.age(seconds)


@pytest.mark.urs("URS-DAQ-04")
@given(st.integers(0, 1 << 32), st.sampled_from([1, 5, 60]), st.booleans())
def test_each_version_of_a_row_is_told_once_and_none_is_lost(seed, grain_s, is_small):
    """grain_s: how long a value lasts. A small window overflows, so nothing may come late there."""
    dice = random.Random(seed)
    table = Table(dice)
    late_s = 0 if is_small else 20
    stage = Stage(dice, table, overlap_s=30, window_rows=6 if is_small else 10_000)
    seen = set()
    for _ in range(dice.randrange(5, 60)):
        for _ in range(dice.choice([0, 1, 2, 30])):
            now = int(stage.now_s)
            deed = dice.random()
            if deed < 0.6:
                table.insert((now - dice.randint(0, late_s)) // grain_s)
            elif deed < 0.9:
                table.update(now // grain_s)
            else:
                table.delete()
        stage.statement(crash=dice.random() < 0.2)
        seen |= {(key, v) for key, (_, v) in table.rows_by_key.items()}
        stage.watch(dice.choice([0, 0.5, 3, 40]))
    for _ in range(3):
        while not stage.statement(crash=False):
            pass
    versions = Counter((key, v) for key, change, v in stage.told if change != "deleted")
    assert max(versions.values(), default=1) == 1, "no version of a row is told twice"
    newest = {key: v for key, _, v in stage.told}
    assert {key: newest.get(key) for key in table.rows_by_key} == {key: v for key, (_, v) in table.rows_by_key.items()}
    still = {key for key, v in newest.items() if v != -1} - table.rows_by_key.keys()
    assert all(key not in stage.reader.window for key in still), "a row that went while it was in the window was told as gone"


ALIKE = (
    0,
    1,
    True,
    1.0,
    -0.0,
    0.0,
    "1",
    "",
    None,
    b"1",
    Decimal(1),
    Decimal("1.0"),
    float("nan"),
    datetime(2026, 1, 1, tzinfo=UTC),
    [1],
    {"a": 1},
)
"""Values of which many are equal to another one in Python, and are none the less another value."""


class Given:
    """A statement that gives these rows."""

    columns = ("id", "at", "v")

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    async def rows(self, *_: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """In two pieces."""
        for piece in (self._rows[:3], self._rows[3:]):
            yield [dict(row) for row in piece]


def looked(looks: Sequence[Sequence[Mapping[str, Any]]], kind: str) -> Iterator[Any]:
    """Read tables one after the other; yield what was told of each, or why it could not be read, and what is remembered."""
    query = QUERY | {"watermark": {"column": "at", "kind": "timestamp", "overlap_s": 3600} if kind == "timestamp" else {"kind": "snapshot"}}
    settings = Settings.model_validate({"query": [query | ({} if kind == "timestamp" else {"sql": "SELECT id, at, v FROM t"})]})
    reader = Reader(settings.query[0], settings, "sqlite", Window("q", {}, overlap_s=3600, rows=100), clock=lambda: 0.0)
    for rows in looks:
        try:
            found = settled(reader.look(Given(rows), {}))  # type: ignore[arg-type]
        except BadReply as error:
            reader.abandon()
            yield str(error)
            continue
        told = [(row.change, row.key, repr(row.value), row.digest, repr(row.plain)) for row in found.changed]
        list(reader.pieces(found, 4))
        for key in found.gone:
            reader.window.forget(key)
        reader.handed_over(found)
        reader.window.age(1)
        yield told, found.gone, found.refused, found.keyless, repr((found.last, found.whole)), found.rows, repr(reader.window.changes())


IDS, PLACES = st.sampled_from(["a", "b", "c", 1, True, 2, None, 1 << 60]), st.sampled_from([1, 1, 2, 2, 3, 3, 3.0, "3", None])
ROW = st.fixed_dictionaries({"id": IDS, "at": PLACES, "v": st.sampled_from(ALIKE)})
EDITS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.fixed_dictionaries({"v": st.sampled_from(ALIKE)}), st.fixed_dictionaries({"at": PLACES}), st.none(), st.just({})),
    ),
    max_size=2,
)


def edited(rows: Sequence[Mapping[str, Any]], edits: Sequence[tuple[int, Mapping[str, Any] | None]]) -> list[Mapping[str, Any]]:
    """The table after somebody gave rows other values, wrote them a second time (None), or the database gives them last ({})."""
    after = list(rows)
    for at, edit in edits:
        if at < len(after) and edit is None:
            after.insert(at, after[at])
        elif at < len(after) and not edit:
            after.append(after.pop(at))
        elif at < len(after):
            after[at] = {**after[at], **edit}
    return after


@pytest.mark.urs("URS-DAQ-04")
@given(st.lists(ROW, max_size=6, unique_by=lambda row: row["id"]), st.lists(EDITS, max_size=4), st.sampled_from(["timestamp", "snapshot"]))
def test_a_row_that_is_passed_over_as_it_stands_is_one_that_a_whole_look_finds_unchanged(rows, edits, kind):
    """Two readers of the same tables, of which one compares nothing before it has taken each row apart."""
    tables = [sorted(rows, key=lambda row: float(row["at"] or 9))]
    for edit in edits:
        tables += [tables[-1], edited(tables[-1], edit)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "mark", lambda _: b"")
        whole = list(looked(tables, kind))
    assert list(looked(tables, kind)) == whole


@given(st.integers(1, 400), st.integers(1, 30))
def test_a_window_holds_more_than_its_limit_rather_than_lose_rows_of_one_value(equals, limit):
    window = Window("q", {}, overlap_s=0, rows=limit)
    window.begin()
    for number in range(equals):
        window.take(str(number), 5, "x")
        window.bound(5)
    assert (window.floor, len(window)) == (None, equals)
    window.take("next", 6, "x")
    window.bound(6)
    assert window.floor == (5 if equals >= limit else None)


@pytest.mark.urs("URS-DAQ-04")
@given(st.integers(10, 40), st.integers(1, 60), st.integers(1, 30), st.integers(1, 5))
def test_the_base_rises_to_no_row_that_is_not_handed_over_and_never_falls(limit, late, a_list, of_one_value):
    """A clock was set back: rows come below many that are known, lowest first, in lists. A process may end between two of them."""
    window = Window("q", {}, overlap_s=0, rows=limit)
    window.begin()
    for number in range(1000, 1001 + limit):
        window.take(str(number), number, "x")
    window.age(1)
    window.rise(1)
    assert (window.base, window.floor, window.below) == (None, 999 + limit, limit)
    values = [number // of_one_value for number in range(late)]
    window.begin()
    for at in range(0, late, a_list):
        before = window.base
        for number in range(at, min(at + a_list, late)):
            window.take(f"late {number}", values[number], "x")
        unread = values[at + a_list] if at + a_list < late else None
        window.bound(unread)
        assert window.base is None or unread is None or window.base < unread, "a start would begin above rows that nobody read"
        assert before is None or window.base >= before, "rows above the base that are no longer known would be told again"
    assert window.below <= limit
