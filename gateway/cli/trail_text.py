"""Writes rows of the audit trail for people."""

import json
from collections.abc import Mapping
from typing import Any

from gateway.entries.printable import printable_all


def text_of(row: Mapping[str, Any]) -> str:
    """Write a row for people: a paragraph of two to four lines. Reasons and values can neither act on the terminal nor make lines."""
    row = printable_all(dict(row))
    name = f" ({row['name']}, {row['role']})" if row["name"] else f" ({row['role']})" if row["role"] else ""
    head = f"{row['local']}  {row['epoch']}/{row['seq']}  {row['type']}{'  CRITICAL' if row['critical'] else ''}  {row['what']}"
    where = " ".join(str(row[part]) for part in ("interface", "station", "address") if row[part])
    at, about = f" at {where}" if where else "", f", {row['object']}" if row["object"] else ""
    by = f"    by {row['user']}{name}{at}{about}"
    change = None if row["old"] is None and row["new"] is None else f"    {cell(row['old'])} -> {cell(row['new'])}"
    why = None if row["reason"] is None else f"    because: {row['reason']}"
    return "\n".join(part for part in (head, by, change, why) if part is not None)


def cell(value: Any) -> Any:
    """Write what is no plain value as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) and not _is_plain_list(value) else value


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
