"""Renders present values for a terminal."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway.operation import value_wording

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red"}


def value_table(now: dict[str, Any]) -> Group:
    """Render a snapshot of values."""
    table = Table(
        "tag",
        "value",
        "unit",
        "quality",
        "observed",
        "source",
        "origin",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 3, 0, 0),
    )
    table.columns[1].justify = "right"
    for row in now["tags"]:
        quality = value_wording.quality(row)
        told = (row["tag"], value_wording.shown(row), row["unit"] or "")
        table.add_row(
            *map(Text, told), Text(quality.word, style=_STYLES[quality.kind]), value_wording.age(row), Text(row["source"]), _origin(row)
        )
    return Group(Text(f"{now['gateway']}  {now['local']} {now['timezone']}", style="bold"), table)


def _origin(row: dict[str, Any]) -> Text:
    """Say how the values of a tag come to be; a gateway of before says nothing of it."""
    return Text(row.get("value_origin") or "not declared")
