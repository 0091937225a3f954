"""lots.toml: how the lot numbers of the sources become the one number that genealogy uses. Both are kept.

    version = "1"
    [[rule]]
    name = "legacy"
    pattern = "(?P<year>[0-9]{2})/(?P<number>[1-9][0-9]{0,3})-(?P<part>[A-Z])"
    canonical = "L20{year}-{number:04}-{part}"
    sources = ["mes"]                           # absent: every source
    examples = { "26/417-A" = "L2026-0417-A" }  # test vectors, run by every check

A rule set in which two lots of one source would become one, or one lot matches two rules, is refused: `config.toml.lot_rules` decides it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_SUBJECT = 64
MAX_PATTERN = 200
MAX_RULES = 50

FIELD = re.compile(r"\{(?P<name>[a-z_][a-z0-9_]*)(?::0(?P<width>[1-9][0-9]?)|:(?P<case>upper))?\}")


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot number as the source writes it, and its canonical form by a rule; both None where no rule matches."""

    raw: str
    canonical: str | None
    rule: str | None


@dataclass(frozen=True, slots=True)
class LotRule:
    """One [[rule]]. template: literal texts and fields in turn. sources: empty for every source."""

    name: str
    pattern: re.Pattern[str]
    canonical: str
    sources: tuple[str, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)

    def of(self, raw: str) -> str | None:
        """Make the canonical number; None if the rule does not match the whole text."""
        match = self.pattern.fullmatch(raw)
        if match is None:
            return None
        return FIELD.sub(lambda part: _filled(match[part["name"]], part), self.canonical)

    def is_for(self, source: str | None) -> bool:
        """True if lots of this source come under the rule; None means any source."""
        return source is None or not self.sources or source in self.sources


@dataclass(frozen=True, slots=True)
class LotRules:
    """All rules of a line, one version. No rule: every lot keeps its raw number."""

    version: str = "0"
    rules: tuple[LotRule, ...] = ()

    def canonical(self, raw: str, source: str | None = None) -> Lot:
        """Find the lot by the rule that matches it.

        Blanks around the number are not part of it. A text longer than 64 characters matches no rule.
        """
        text = raw.strip()
        if len(text) <= MAX_SUBJECT:
            for rule in self.rules:
                if rule.is_for(source) and (number := rule.of(text)) is not None:
                    return Lot(raw, number, f"{rule.name}@{self.version}")
        return Lot(raw, None, None)


def _filled(text: str, part: re.Match[str]) -> str:
    if part["width"]:
        return text.zfill(int(part["width"]))
    return text.upper() if part["case"] else text
