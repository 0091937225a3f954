"""What materials.csv and samples.csv declare, arranged by what is asked of it: by trigger, by query, by booking and equipment."""

from collections.abc import Iterator
from typing import Literal

from config.grammars.step_condition import parse
from config.materials import Occasion, Sampling, tags_of
from gateway.context.plan import Plan, compared
from gateway.context.state import Identity, PendingBooking
from gateway.context.texts import text
from gateway.entries.fold_input import Json

Table = Literal["material", "sample"]
Key = tuple[Table, str, str]
"""One booking or sampling in one equipment: (table, name, equipment). It has a row for each recipe."""


class Declared:
    """The rows of both tables. Never changes."""

    def __init__(self, plan: Plan) -> None:
        self.rows: dict[Key, list[Occasion]] = {}
        for table, rows in plan.occasions:
            for row in rows:
                self.rows.setdefault((table, row.name, row.equipment), []).append(row)
        every = [row for rows in self.rows.values() for row in rows]
        self.triggers = {tag: list(self._triggered(tag)) for tag in plan.trigger_tags}
        self.queries = {row.trigger for row in every if row.trigger not in plan.places}
        self.samplings: dict[str, Sampling] = {row.results: row for row in plan.line.samples if row.results is not None}
        self._tags = {key: frozenset(tag for row in rows for _, tag in tags_of(row)) for key, rows in self.rows.items()}
        self._actives = {row.active: parse(row.active) for row in every if row.active is not None}
        self._codes = {tag: plan.codes(tag) for tag in plan.trigger_tags}
        self._types = {tag: plan.tags[tag].type for tag in plan.trigger_tags}

    def _triggered(self, tag: str) -> Iterator[tuple[Key, str | None]]:
        for key, rows in self.rows.items():
            yield from ((key, active) for active in dict.fromkeys(row.active for row in rows if row.trigger == tag))

    def of(self, pending: PendingBooking) -> list[Occasion]:
        """List the rows of a booking, one for each recipe; none of one that is no longer declared."""
        return self.rows.get((pending.table, pending.name, pending.equipment), [])

    def tags(self, pending: PendingBooking) -> frozenset[str]:
        """Name the tags that a booking's values come from."""
        return self._tags.get((pending.table, pending.name, pending.equipment), frozenset())

    def row_for(self, pending: PendingBooking, who: Identity) -> Occasion | None:
        """Choose the row for a recipe, the most specific one; where the recipe is not known, the one that triggered."""
        rows = self.of(pending)
        if who.recipe is not None:
            rows = [r for r in rows if r.recipe in {None, who.recipe} and r.recipe_version in {None, who.recipe_version}]
        rows = sorted(rows, key=lambda r: (r.recipe is not None, r.recipe_version is not None), reverse=who.recipe is not None)
        best = rows[:1] if who.recipe is not None else rows
        return next((r for r in best if r.trigger == pending.trigger and (pending.row is not None or r.active == pending.active)), None)

    def means(self, tag: str, active: str | None, value: Json) -> bool:
        """Return whether a value of a tag is what triggers; without a condition any value that is not empty does."""
        if active is None:
            return text(value) is not None
        return self._actives[active].matches(compared(value, self._types[tag]), self._codes[tag])
