"""Published schemas with nothing left open: what a message holds and its schema does not name is a gap of the schema."""

import json
from functools import cache
from typing import Any

import jsonschema
from kit.repository import SCHEMAS


def strict(schema: Any) -> Any:
    """A schema in which no member may stand that it does not name; members of free form stay free."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(one) for name, one in schema.items() if name != "examples"}
    return {**made, "additionalProperties": False} if "properties" in schema and schema.get("additionalProperties") is True else made


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The strict one of a file in docs/schemas."""
    return jsonschema.Draft202012Validator(strict(json.loads((SCHEMAS / name).read_text("utf-8"))))


def wrong(name: str, message: Any) -> list[str]:
    """What a message holds against its schema; empty if it is as published, member by member."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(message)]
