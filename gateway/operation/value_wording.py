"""Puts the present value of a tag into words, the same on page and terminal."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.operation.wording import span

LONGEST = 60
FRESH_S = 5.0
KINDS = {"good": "good", "uncertain": "warn", "bad": "bad"}


class Quality(NamedTuple):
    """The quality of a value in words, with its kind (good, warn, bad)."""

    word: str
    kind: str


def shown(row: Mapping[str, Any]) -> str:
    """Write a value as people read it: numbers with six figures, codes with their text, long texts cut."""
    value, text = row["value"], row["text"]
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = f"{text} ({plain})" if text else plain
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def quality(row: Mapping[str, Any]) -> Quality:
    """Say how far a value can be relied on: one in a gap is not observed now, whatever it was."""
    if row["in_gap"]:
        return Quality("not observed now", "bad")
    if row["severity"] is None:
        return Quality(row["quality"], "warn")
    return Quality(in_words(row["quality"]), KINDS[row["severity"]])


def in_words(name: str) -> str:
    """Write the name of a status in words: BadSensorFailure as `Bad: sensor failure`."""
    severity, *words = re.findall(r"[A-Z][a-z]*|\W.*", name) or [name]
    return f"{severity}: {' '.join(words).lower()}" if words and name.isalpha() else name


def age(row: Mapping[str, Any]) -> str:
    """Write how long ago a tag was observed, and since when it has this value if that is longer."""
    observed, stands = row["observed_s"], row["age_s"]
    if observed is None:
        return "–"
    told = "now" if observed < FRESH_S and not row["in_gap"] else f"{span(observed)} ago"
    return f"{told}, the same for {span(stands)}" if stands is not None and stands > observed + FRESH_S else told


def fits(row: Mapping[str, Any], words: str) -> bool:
    """Return whether each of these words stands in the name, source, equipment, description or quality of a tag."""
    parts = (row["tag"], row["source"], *row["equipment"], row["description"] or "", quality(row).word)
    text = " ".join(parts).casefold()
    return all(word in text for word in words.casefold().split())
