"""Chooses the values of a tag that means steps: exactly the steps that run are active by steps.csv."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config import Line, Tag
from config.grammars.step_condition import parse
from simulators.line.plan import steps_of

if TYPE_CHECKING:
    from simulators.line.signal import Moment


class StepSignal:
    """Gives, for a moment, a value of the tag by which the right steps of the equipment are active and no others."""

    def __init__(self, line: Line, tag: Tag, equipment: str, table_name: str | None, words: Mapping[str, tuple[str, ...]]) -> None:
        """Prepare the rules of the tag.

        words: phase -> names that its state may have, best first, for a tag that is the equipment's state too. table_name: its codes.
        """
        table = line.codes.get(table_name or tag.codes or "")
        self._names = {code.text: code.code for code in table.codes.values()} if table else {}
        self._line, self._tag, self._equipment = line, tag, equipment
        self._words = words
        self._chosen: dict[tuple[str | None, frozenset[str], str], Any] = {}
        rows = [step for step in line.steps if step.equipment == equipment and step.signal == tag.tag]
        self._candidates = _candidates(tag, [row.active for row in rows], self._names)
        if tag.type == "string":
            self._candidates += [text for text in self._names if text not in self._candidates]

    def __call__(self, now: "Moment") -> Any:
        """Choose the value at this moment."""
        situation = now.of(self._equipment)
        recipe = situation.stay.identity["recipe"] if situation.stay else None
        key = (recipe, situation.active, situation.phase)
        if key not in self._chosen:
            self._chosen[key] = self._choose(*key)
        return self._chosen[key]

    def _choose(self, recipe: str | None, active: frozenset[str], phase: str) -> Any:
        """Find the candidate with the fewest wrong steps; among equals the one that names the phase."""
        rows = [step for step in steps_of(self._line, self._equipment, recipe) if step.signal == self._tag.tag]
        rules = [(step.step in active, parse(step.active)) for step in rows]
        words = self._words.get(phase, ())

        def fit(value: Any) -> tuple[int, int]:
            wrong = sum(wanted != rule.matches(value, self._names) for wanted, rule in rules)
            called = {text.lower() for text, code in self._names.items() if code == value} | {str(value).lower()}
            return wrong, next((place for place, word in enumerate(words) if word in called), len(words))

        return min(self._candidates, key=fit)


def _candidates(tag: Tag, rules: list[str], names: dict[str, int]) -> list[Any]:
    """List values at which a rule may change its result, the usual idle value first."""
    if tag.type == "bool":
        return [False, True]
    parsed = [parse(rule) for rule in rules]
    if tag.type == "string":
        return ["", *(name for rule in parsed for name in rule.names)]
    ends = {end for rule in parsed for span in rule.ranges for end in span} | {sum(span) // 2 for rule in parsed for span in rule.ranges}
    numbers = {0, *names.values()} | {end + step for end in ends for step in (-1, 0, 1)}
    return sorted(numbers, key=lambda number: (number != 0, number < 0, number % 10 != 0, number))
