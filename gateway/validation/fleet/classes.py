"""Gives the equipment of a line the name of its class, so that granulator-2 of one line is compared with granulator-7 of another. Pure."""

import re
from collections.abc import Callable, Mapping

from gateway.validation.fleet.facts import Facts, Thing

Renamed = Callable[[str], str]
UNITS = frozenset({"unit", "source_unit"})
"""Leaves in which an equipment's name never stands; one could be spelled as a unit."""


def by_class(facts: Facts) -> tuple[list[Thing], Renamed]:
    """Return the objects of a line with the classes in place of the equipments' names, and the function that puts them there.

    Two equipments of one class are told apart by their order: `mixer#1`, `mixer#2`. No two objects become one.
    """
    renamed = _renaming(facts.classes)
    made: dict[tuple[str, str], Thing] = {}
    for thing in facts.things:
        name = renamed(thing.name)
        name = f"{name} ({thing.name})" if (thing.kind, name) in made else name
        fields = {path: text if path.rpartition(".")[2] in UNITS else renamed(text) for path, text in thing.fields.items()}
        made[thing.kind, name] = thing.model_copy(update={"name": name, "fields": fields})
    return list(made.values()), renamed


def _renaming(classes: Mapping[str, str]) -> Renamed:
    labels = {name: label for name, label in _labels(classes).items() if name != label}
    if not labels:
        return str
    longest_first = sorted(map(re.escape, labels), key=len, reverse=True)
    found = re.compile(rf"(?<![A-Za-z0-9_-])({'|'.join(longest_first)})(?![A-Za-z0-9_-])")
    return lambda text: found.sub(lambda match: labels[match[1]], text)


def _labels(classes: Mapping[str, str]) -> dict[str, str]:
    of_class: dict[str, list[str]] = {}
    for name, kind in classes.items():
        of_class.setdefault(kind, []).append(name)
    return {name: kind if len(names) == 1 else f"{kind}#{at}" for kind, names in of_class.items() for at, name in enumerate(names, 1)}
