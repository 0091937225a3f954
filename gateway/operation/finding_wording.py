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


def state(row: Mapping[str, Any]) -> str:
    """Write in a few words whether it stands, and what persons have done about it."""
    stands = BEFORE_START if row["not_said_since_start"] else "stands" if row["is_standing"] else "over" if row["cleared"] else "happened"
    if row["shelved"]:
        return f"{stands}, shelved until {row['shelved']['local'][:16]} by {_who(row['shelved'])}"
    if row["acknowledged"]:
        return f"{stands}, acknowledged by {_who(row['acknowledged'])}"
    return f"{stands}, not acknowledged" if row["severity"] == "alarm" else stands


def when(row: Mapping[str, Any]) -> str:
    """Write since when it is so, and who knows of it."""
    since = f"{'since' if row['is_standing'] or row['cleared'] else 'at'} {row['local'][:16]}"
    if row["not_said_since_start"]:
        since = f"{since}, {BEFORE_START}"
    if row["acknowledged"]:
        return f"{since}, acknowledged by {_who(row['acknowledged'])}"
    return f"{since}, over, not acknowledged" if row["cleared"] else since


def _who(told: Mapping[str, Any]) -> str:
    return str(told["name"] or told["user"])


def every(findings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List what stands, then what is over and waits, then what happened."""
    return [*findings["standing"], *findings["cleared"], *findings["recent"]]


def rows(findings: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """List what is shown: each with its state in words."""
    return [(row, state(row)) for row in every(findings)]


def shelved(now: Mapping[str, Any]) -> int:
    """Count the alarms that are shelved."""
    return sum(row["shelved"] is not None and row["severity"] == "alarm" for row in every(now["findings"]))


def foot(findings: Mapping[str, Any]) -> str:
    """Write what the list does not tell."""
    shown, unkept = rows(findings), findings["unkept"]
    texts = []
    if any(words.startswith(BEFORE_START) for _, words in shown):
        texts.append(f"What {BEFORE_START} was not said again since: nobody knows whether it still stands.")
    if len(shown) > MOST_SHOWN:
        texts.append(f"{len(shown) - MOST_SHOWN:,} more stand in `status --json`.")
    if unkept:
        texts.append(f"For {unkept:,} there was no room.")
    since = findings["known_since"]
    begun = f"Gathered since {since[:19].replace('T', ' ')} UTC; older ones" if since else "Older ones"
    return " ".join([*texts, f"{begun} are in the journal (ebr-gateway log)."])
