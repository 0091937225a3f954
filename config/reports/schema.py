"""JSON Schemas of the line folder: for editors that complete keys, for reviewers, for tools that write maps (URS-MAP-01).

`python -m config.reports.schema docs/schemas` writes them; a test says when those in the tree are old.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from config.csv.columns import CHOICES, TABLES
from config.csv.tables import MAX_CELL, Columns
from config.sections import NOT_WRITTEN
from config.toml.document import LISTS, SECTIONS
from config.toml.lot_rules import RuleTable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_YES_NO = {"enum": ["yes", "no", "true", "false", "1", "0"]}
_NUMBER = {"type": "string", "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"}
_NUMBER_OR_TAG = {"type": "string", "pattern": rf"^((=|tag:)[A-Za-z0-9_./#-]+|{_NUMBER['pattern'][1:-1]})$"}
_DEADBAND = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?%?$"}


def schemas() -> dict[str, dict[str, Any]]:
    """Make the schemas: file name -> schema."""
    return {"line-toml.json": _line(), "line-lots.json": _lots(), "line-tables.json": _tables()}


def texts() -> dict[str, str]:
    """Make the schemas' files: file name -> text."""
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas().items()}


def _line() -> dict[str, Any]:
    models: list[type[BaseModel]] = [*SECTIONS.values(), *LISTS.values()]
    references, definitions = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    _open_sources(definitions["$defs"]["Source"])
    properties: dict[str, Any] = {key: references[model, "validation"] for key, model in SECTIONS.items()}
    properties |= {key: {"type": "array", "items": references[model, "validation"]} for key, model in LISTS.items()}
    properties["tags"] = {"type": "array", "items": {"type": "string", "pattern": r"^[^/\\.][^/\\]*\.csv$"}, "default": ["tags.csv"]}
    return {
        "$schema": DIALECT,
        "title": "line.toml",
        "type": "object",
        "properties": properties,
        "required": ["line"],
        "additionalProperties": False,
        "$defs": definitions["$defs"],
    }


def _open_sources(source: dict[str, Any]) -> None:
    """Allow a driver's own keys beside the common ones; the driver's own schema describes them."""
    for inner in NOT_WRITTEN:
        source["properties"].pop(inner, None)  # row_columns is not there in the first place
    source["additionalProperties"] = True


def _lots() -> dict[str, Any]:
    references, definitions = models_json_schema([(RuleTable, "validation")], ref_template="#/$defs/{model}")
    return {
        "$schema": DIALECT,
        "title": "lots.toml",
        "type": "object",
        "properties": {"version": {"type": "string"}, "rule": {"type": "array", "items": references[RuleTable, "validation"]}},
        "required": ["version"],
        "additionalProperties": False,
        "$defs": definitions["$defs"],
    }


def _tables() -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": "The tables of a line folder: one schema per file, of one row as column -> text. An absent cell takes its default.",
        "$defs": {name: _row(columns) for name, columns in TABLES.items()},
    }


def _row(columns: Columns) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {column: _cell(columns, column) for column in columns.all},
        "required": list(columns.required),
        "additionalProperties": False,
    }


def _cell(columns: Columns, column: str) -> dict[str, Any]:
    if column == "required":
        return _YES_NO
    if column == "deadband":
        return _DEADBAND
    if column == "tolerance" or (column in columns.formulas and column not in columns.numbers):
        return {"type": "string", "minLength": 1, "maxLength": MAX_CELL}  # a term: =tag, row.column or a text
    if column in columns.formulas:
        return _NUMBER_OR_TAG
    if column in columns.numbers:
        return _NUMBER
    is_closed = column in CHOICES and (column != "type" or "address" in columns.required)
    return {"enum": list(CHOICES[column])} if is_closed else {"type": "string", "minLength": 1, "maxLength": MAX_CELL}


if __name__ == "__main__":
    for name, text in texts().items():
        Path(sys.argv[1], name).write_text(text, "utf-8")
