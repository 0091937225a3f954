"""Puts the snapshot's alarms and findings into words, the same on page and terminal."""

from collections.abc import Mapping
from typing import Any

MOST_SHOWN = 30
"""Rows that people are shown; programs have all of them in the JSON."""
BEFORE_START = "stood before the start"


def what(row: Mapping[str, Any]) -> str:
    """Write what was found: code, source, text."""
    source = f"{row['source']}: " if row["source"] and not row["text"].startswith(row["source"]) else ""
    return f"{row['code']}: {source}{text(row)}"


def text(row: Mapping[str, Any]) -> str:
    """Write its text, and how often it was said if more than once."""
    times = f" ({row['count']:,} times)" if row["count"] > 1 else ""
    return f"{row['text']}{times}"


def state(row: Mapping[str, Any], *, is_standing: bool) -> str:
    """Write whether it stands, in a word or two."""
    if row["not_said_since_start"] is not None:
        return BEFORE_START
    return "stands" if is_standing else "happened"


def rows(findings: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """List what is shown: each with its state in words. What stands comes first, then what happened."""
    standing = [(row, state(row, is_standing=True)) for row in findings["standing"]]
    return [*standing, *((row, state(row, is_standing=False)) for row in findings["recent"])]


def foot(findings: Mapping[str, Any]) -> str:
    """Write what the list does not tell."""
    every, unkept = rows(findings), findings["unkept"]
    texts = []
    if any(words == BEFORE_START for _, words in every):
        texts.append(f"What {BEFORE_START} was not said again since: nobody knows whether it still stands.")
    if len(every) > MOST_SHOWN:
        texts.append(f"{len(every) - MOST_SHOWN:,} more stand in `status --json`.")
    if unkept:
        texts.append(f"For {unkept:,} there was no room.")
    since = findings["known_since"]
    begun = f"Gathered since {since[:19].replace('T', ' ')} UTC; older ones" if since else "Older ones"
    return " ".join([*texts, f"{begun} are in the journal (ebr-gateway log)."])
