import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from kit.repository import SCHEMAS
from pydantic import ValidationError

from buffer import entry
from buffer.entry.examples import EVENTS, READINGS_ENTRY, event_entry

PUBLISHED = sorted(path.name for path in SCHEMAS.glob("*.json") if path.name.startswith(("document", "entry", "event", "uplink")))


@cache
def made() -> dict[str, Any]:
    """The schemas as the models have them; each worker collects this file, and one makes them."""
    return dict(entry.schemas())


@pytest.mark.urs("URS-VAL-01")
def test_the_published_schemas_are_the_models() -> None:
    published = {name: json.loads((SCHEMAS / name).read_text()) for name in PUBLISHED}

    assert published == json.loads(json.dumps(made())), "run: python -m buffer.entry docs/schemas"


@pytest.mark.urs("URS-VAL-01")
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_example_satisfies_its_schema(name: str) -> None:
    schema = made()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    (example,) = schema["examples"]

    jsonschema.Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_is_an_entry_that_the_models_take(kind: str) -> None:
    parsed = entry.parse(json.dumps(event_entry(EVENTS[kind])).encode())

    assert isinstance(parsed, entry.EventEntry)
    assert parsed.event.type == kind


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("previous", "00"),
        ("seq", 0),
        ("gateway", "Lyon/2"),
        ("time", "2026-11-22T07:15:02"),
        ("tagset", "xyz"),
        ("schema", "ebr-gateway/readings/2"),
    ],
)
def test_a_readings_entry_that_breaks_the_format_is_refused(path: str, value: object) -> None:
    entry.parse(json.dumps(READINGS_ENTRY).encode())

    with pytest.raises(ValidationError):
        entry.parse(json.dumps({**READINGS_ENTRY, path: value}).encode())


def test_an_unknown_event_type_is_refused() -> None:
    with pytest.raises(ValidationError):
        entry.parse(json.dumps(event_entry({"type": "surprise"})).encode())


def test_every_discriminator_maps_to_schemas_by_their_references() -> None:
    """One that maps to a choice is none to a program of another language, nor to OpenAPI."""

    def references(schema: Any) -> list[Any]:
        if isinstance(schema, list):
            return [found for one in schema for found in references(one)]
        if not isinstance(schema, dict):
            return []
        own = list(schema["mapping"].values()) if "propertyName" in schema and "mapping" in schema else []
        return own + [found for one in schema.values() for found in references(one)]

    found = references(list(made().values()))
    assert len(found) > 20
    assert [one for one in found if not isinstance(one, str)] == []
