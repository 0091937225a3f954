"""The JSON Schemas of every message, in both directions; as files, and as components of OpenAPI and AsyncAPI."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from buffer.entry import schemas as entry_schemas
from gateway.interfaces import digest_of
from gateway.validation.specification.messages import MESSAGES

Schema = dict[str, Any]
WORDS = ("description", "title", "examples", "$id", "$schema")
"""Members that people read, and that bind nobody."""
REF = "#/components/schemas/"


@cache
def messages() -> Mapping[str, Schema]:
    """Return every schema by its name, as `uplink-receipt`."""
    made = {name.removesuffix(".json"): schema for name, schema in entry_schemas()}
    for name, (model, example) in MESSAGES.items():
        schema = model.model_json_schema(by_alias=True)
        made[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:ebr-gateway:{name}:1", **schema}
        made[name]["examples"] = [example]
    return made


def text_of(schema: Any) -> str:
    """Write a schema, or any JSON, as its file's text."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def file_digest(name: str) -> str:
    """Return the SHA-256 of a schema's file."""
    return sha256(text_of(messages()[name]).encode()).hexdigest()


def contract_digest(name: str) -> str:
    """Return the digest of what a schema binds: without the words for people."""
    return digest_of(bare(messages()[name]))


def bare(schema: Any) -> Any:
    """Return a schema without the words for people. A property may be named as one of them: properties are kept whatever their names."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: one for name, one in schema.items() if name not in WORDS}
    return {
        name: {key: bare(value) for key, value in one.items()} if name in ("properties", "$defs") else bare(one)
        for name, one in kept.items()
    }


def components(names: Iterable[str], more: Mapping[str, Schema] | None = None) -> dict[str, Schema]:
    """Return schemas as components of one file, each model once: what several of them define alike stands in it once."""
    made: dict[str, Schema] = {}
    for name, schema in {**{name: messages()[name] for name in names}, **(more or {})}.items():
        for inner, definition in {**schema.get("$defs", {}), name: schema}.items():
            flat = _flat({key: value for key, value in definition.items() if key not in ("$defs", "$id", "$schema")})
            assert made.setdefault(inner, flat) == flat, f"two schemas are called {inner}"
    return dict(sorted(made.items()))


def _flat(schema: Any) -> Any:
    """Point references into the components."""
    if isinstance(schema, list):
        return [_flat(one) for one in schema]
    if not isinstance(schema, dict):
        return schema.replace("#/$defs/", REF) if isinstance(schema, str) and schema.startswith("#/$defs/") else schema
    return {name: _flat(one) for name, one in schema.items()}
