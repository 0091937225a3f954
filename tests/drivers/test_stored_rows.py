"""Remembered rows in pieces of a watermark: what is read of them after a commit of which parts are missing."""

import random
from itertools import chain, combinations
from typing import Any

import pytest

from drivers.stored_rows import StoredRows

Watermark = dict[str, Any]


class Owner:
    """Keeps rows by key, and commits as a query does: its head, and what changed of the pieces."""

    def __init__(self, watermark: Watermark) -> None:
        self.stored = StoredRows("q", watermark)
        self.rows = dict(self.stored.rows)

    def put(self, key: str, content: int) -> None:
        self.rows[key] = content
        self.stored.put(key)

    def drop(self, key: str) -> None:
        if self.rows.pop(key, None) is not None:
            self.stored.drop(key)

    def commit(self) -> Watermark:
        head, changed = self.stored.changes(self.rows.__getitem__)
        return {"q": head, **changed}


def committed(watermark: Watermark, changes: Watermark) -> Watermark:
    return {key: value for key, value in {**watermark, **changes}.items() if value is not None}


@pytest.mark.urs("URS-DAQ-11", "URS-BUF-07")
@pytest.mark.parametrize("seed", range(8))
def test_of_a_torn_commit_the_rows_of_it_or_of_the_one_before_are_read_and_never_a_mixture(seed: int) -> None:
    """Any of its keys is as it was before, its removed pieces are there again, and pieces of long ago as well."""
    dice = random.Random(seed)
    watermark: Watermark = {}
    ever: Watermark = {}
    owner = Owner(watermark)
    was: dict[str, int] = {}
    for _ in range(60):
        for _ in range(dice.choice([1, 3, 40])):
            key = str(dice.randrange(120))
            owner.drop(key) if dice.random() < 0.3 else owner.put(key, dice.randrange(1000))
        changes = owner.commit()
        torn_of = [key for key, value in changes.items() if value is not None and value != watermark.get(key)]
        for torn in chain.from_iterable(combinations(torn_of, count) for count in range(len(torn_of) + 1)):
            back = {key: value for key, value in ever.items() if key not in watermark and key not in changes and dice.random() < 0.3}
            after = {**back, **watermark, **{key: value for key, value in changes.items() if value is not None and key not in torn}}
            again = StoredRows("q", after)
            assert again.rows in (was, owner.rows)
            assert again.unsure == set()
        watermark = committed(watermark, changes)
        ever |= watermark
        if dice.random() < 0.2:
            owner = Owner(watermark)
        was = dict(owner.rows)


@pytest.mark.urs("URS-DAQ-11")
def test_no_number_is_given_twice_and_what_nothing_names_is_removed() -> None:
    watermark: Watermark = {}
    owner = Owner(watermark)
    numbers: list[int] = []
    for turn in range(5):
        owner.put("a", turn)
        changes = owner.commit()
        numbers += [int(key[2:]) for key, value in changes.items() if key != "q" and value is not None]
        watermark = committed(watermark, changes)
        owner.drop("a")
        watermark = committed(watermark, owner.commit())
        assert StoredRows("q", watermark).rows == {}
        owner = Owner(watermark)
    assert sorted(set(numbers)) == numbers
    found_again = {**watermark, "q/3": {"rows": {"a": 9}, "gone": []}}
    owner = Owner(found_again)
    assert owner.rows == {}
    assert owner.commit()["q/3"] is None


@pytest.mark.urs("URS-DAQ-11")
def test_where_pieces_are_gone_no_row_is_sure_until_it_is_put_again_also_after_a_start() -> None:
    owner = Owner({})
    for key in "abcdef":
        owner.put(key, 1)
    watermark = committed({}, owner.commit())
    owner.put("a", 2)
    watermark = committed(watermark, owner.commit())
    assert watermark["q"]["pieces"] == [1, 2]
    owner.put("b", 2)
    watermark = committed(watermark, owner.commit())
    assert watermark["q"]["pieces"] == [1, 3]
    del watermark["q/3"]  # and of what was before it nothing came back

    owner = Owner(watermark)
    assert owner.stored.unsure == set("abcdef")
    owner.put("c", 7)
    owner = Owner(committed(watermark, owner.commit()))
    assert owner.rows == {**dict.fromkeys("abdef", 1), "c": 7}
    assert owner.stored.unsure == set("abdef")


def test_a_watermark_of_before_names_no_earlier_pieces_and_is_read_as_it_is() -> None:
    piece = {"rows": {"a": 1}, "gone": []}
    assert StoredRows("q", {"q": {"pieces": [4]}, "q/4": piece}).rows == {"a": 1}
    assert StoredRows("q", {"q": {"pieces": [4]}, "q/4": piece}).unsure == set()
    assert StoredRows("q", {"q": {"pieces": [4, 5]}, "q/4": piece}).unsure == {"a"}
    assert StoredRows("q", {"q/4": piece}).rows == {}
