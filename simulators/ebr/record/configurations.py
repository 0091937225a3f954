"""The configurations under which a batch was recorded, as its end lists them; more than one is a change in mid batch."""

from collections.abc import Iterator, Mapping
from typing import Any

MOST_NAMED = 10
"""Changes named in a sentence, in every copy; the list in record.json has more, and the `config` event too."""


def changes_in(end: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Yield (time, sentence) of each configuration that came into force in the batch."""
    for configuration in (end.get("configurations") or [])[1:]:
        by = configuration.get("approved_by") or "nobody known"
        begun = f"Configuration version {configuration['version']} came into force in the batch at entry {configuration.get('from_seq')}"
        yield configuration.get("from"), f"{begun}, approved by {by}: {changes_text(configuration)}."


def changes_text(configuration: Mapping[str, Any]) -> str:
    """Say what a configuration changes against the one before it."""
    diff, count = configuration.get("diff") or [], configuration.get("changes")
    if count is None:
        return "what it changes is not known"
    if count == 0:
        return "nothing differs in meaning"
    more = f"; {count - len(diff[:MOST_NAMED])} more" if count > len(diff[:MOST_NAMED]) else ""
    return "; ".join(map(_change_text, diff[:MOST_NAMED])) + more


def _change_text(change: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{name} {old or '(empty)'} to {new or '(empty)'}" for name, old, new in change.get("fields") or [])
    return f"{change['what']} {change['kind']} {change['name']}{f': {fields}' if fields else ''}"


def versions_text(step: Mapping[str, Any]) -> str:
    """Name the versions of the configuration under which a step was recorded."""
    versions = step.get("config_versions") or []
    return f"configuration {', '.join(str(version or 'not known') for version in versions)}" if versions else ""
