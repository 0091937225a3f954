"""What stands in the reference and in the schemas is what the program reads."""

import csv
import json
import re
import tomllib
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from kit.repository import DOCS
from pydantic import BaseModel

from config import examples
from config.csv.rows import CHOICES, TABLES
from config.reports import schema
from config.sections import NOT_WRITTEN
from config.toml.document import LISTS, SECTIONS
from config.toml.lot_rules import RuleTable
from drivers import driver_class
from drivers.mes_file.settings import Pattern
from drivers.mes_sql.settings import Query, Watermark

REFERENCE = (DOCS / "line-folder.md").read_text("utf-8")


def section(title: str) -> str:
    """The text below the heading that begins so."""
    match = re.search(rf"^##+ {re.escape(title)}.*?$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert match is not None, title
    return match[1]


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z0-9_.-]+", text))


@pytest.mark.parametrize("table", TABLES)
def test_every_column_stands_in_the_reference(table: str) -> None:
    title = "ebr-fields.csv, dispositions.csv" if table in ("ebr-fields.csv", "dispositions.csv") else table
    missing = [column for column in TABLES[table].all if column not in words(section(title))]
    assert missing == []


def test_every_word_of_a_closed_list_stands_in_the_reference() -> None:
    shortened = {f"{sign}int{bits}" for sign in ("", "u") for bits in (16, 32)}  # int8 to int64
    missing = [word for column in CHOICES for word in CHOICES[column] if word not in words(REFERENCE) | shortened]
    assert [word for word in missing if word != "event"] == []


def test_every_key_stands_in_the_reference() -> None:
    models: list[type[BaseModel]] = [*SECTIONS.values(), *LISTS.values(), RuleTable]
    keys = {field.alias or key for model in models for key, field in model.model_fields.items()} - NOT_WRITTEN
    assert sorted(keys - words(REFERENCE)) == []


@pytest.mark.parametrize("driver", ["opcua", "modbus", "serial", "mes_sql", "mes_file"])
def test_every_key_of_a_driver_stands_in_its_row(driver: str) -> None:
    row = next(line for line in section("line.toml").splitlines() if line.startswith(f"| {driver} |"))
    assert sorted(set(driver_class(driver).Settings.model_fields) - words(row)) == []


@pytest.mark.parametrize(("table", "models"), [("source.query", (Query, Watermark)), ("source.pattern", (Pattern,))])
def test_every_key_of_a_table_of_a_source_stands_in_the_paragraph_of_it(table: str, models: tuple[type[BaseModel], ...]) -> None:
    told = words(REFERENCE.replace(". ", " ").partition(f"`[[{table}]]`:")[2].partition("`[[")[0].partition("###")[0])
    assert sorted({key for model in models for key in model.model_fields} - told) == []
    closed = {word for model in models for field in model.model_fields.values() for word in get_args(field.annotation)}
    assert sorted({word for word in closed if isinstance(word, str) and len(word) > 1} - told) == []


@pytest.mark.urs("URS-MAP-01")
def test_the_schemas_in_the_tree_are_current() -> None:
    for name, text in schema.texts().items():
        assert (DOCS / "schemas" / name).read_text("utf-8") == text, "run python -m config.reports.schema docs/schemas"


@pytest.mark.urs("URS-MAP-01")
@pytest.mark.parametrize("name", examples.names())
def test_the_examples_keep_to_the_schemas(name: str) -> None:
    made = schema.schemas()
    folder = examples.folder(name)
    valid(made["line-toml.json"], tomllib.loads((folder / "line.toml").read_text("utf-8")))
    if (folder / "lots.toml").exists():
        valid(made["line-lots.json"], tomllib.loads((folder / "lots.toml").read_text("utf-8")))
    for table in TABLES:
        if (folder / table).exists():
            validator = Draft202012Validator(made["line-tables.json"]["$defs"][table])
            for row in csv.DictReader((folder / table).read_text("utf-8").splitlines()):
                assert list(validator.iter_errors({column: cell for column, cell in row.items() if cell})) == []


def valid(one: dict[str, Any], value: Any) -> None:
    Draft202012Validator.check_schema(one)
    assert [error.message for error in Draft202012Validator(one).iter_errors(json.loads(json.dumps(value)))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"clock": {"max_eror_s": 1}},
        {"line": {"site": "A B"}},
        {"uplink": [{"name": "x"}]},
        {"klock": {}},
        {"equipment": [{"name": "a", "batch": {"rwo": "x"}}]},
    ],
)
def test_the_schema_refuses_what_check_refuses(change: dict[str, Any]) -> None:
    good = tomllib.loads((examples.folder("new") / "line.toml").read_text("utf-8"))
    assert list(Draft202012Validator(schema.schemas()["line-toml.json"]).iter_errors(json.loads(json.dumps({**good, **change}))))
