"""Results of a sample that the laboratory replaced or withdrew: what was said first, and each time after it."""

from collections.abc import Mapping
from typing import Any

import orjson


def said(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List what a row of the laboratory said, the oldest first; the last one is what counts now."""
    return [*(result.get("replaced") or []), result]


def values_text(values: Mapping[str, Any] | None) -> str:
    """Write columns and values on one line; a withdrawn row has none."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in (values or {}).items()) or "withdrawn"


def result_text(result: Mapping[str, Any]) -> str:
    """Write what a row of the laboratory says, after all that it said before and was replaced."""
    told = [values_text(each.get("values")) for each in said(result)]
    left_out = result.get("replaced_count", len(told) - 1) - (len(told) - 1)
    told[1:1] = [f"{left_out} more"] if left_out else []
    return " replaced by ".join(told)


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def replacement_text(result: Mapping[str, Any]) -> str | None:
    """Say what replaced what, by the columns that differ; None if nothing was replaced."""
    if not result.get("replaced"):
        return None
    told = [dict(former.get("values") or {}) for former in said(result)]
    names = dict.fromkeys(name for values in told for name in values)
    differing = [name for name in names if any(values != {} and values.get(name) != told[0].get(name) for values in told)] or list(names)
    texts = [values_text({name: values[name] for name in differing if name in values}) for values in told]
    left_out = result.get("replaced_count", len(told) - 1) - (len(told) - 1)
    between = f" … {left_out} more …" if left_out else ""
    return f"{texts[0]}{between} → {' → '.join(texts[1:])}"
