"""Makes lot numbers as each source writes them, by the examples of lots.toml."""

import tomllib
from collections.abc import Mapping
from typing import Any

from config import Line
from simulators.line.pattern import counted, sample


class Lots:
    """The lot notations of a line."""

    def __init__(self, line: Line) -> None:
        self._rules: list[dict[str, Any]] = (
            list(tomllib.loads(line.files["lots.toml"].decode()).get("rule", [])) if "lots.toml" in line.files else []
        )

    def text(self, source: str, number: int) -> str:
        """Make the lot number with this count, as the source writes it."""
        return next((_text(rule, number) for rule in self._rules if source in rule.get("sources", [source])), f"L2026-{number:04d}")


def _text(rule: Mapping[str, Any], number: int) -> str:
    """Make a lot number of a rule: its example, counted on."""
    example = next(iter(rule.get("examples", {})), "")
    return counted(example, rule["pattern"], number) or sample(rule["pattern"], number)
