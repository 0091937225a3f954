"""Makes objects of the sections of line.toml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.problem import did_you_mean
from config.sections import (
    NOT_WRITTEN,
    Backup,
    BufferSection,
    ClockSection,
    Equipment,
    LineSection,
    Notify,
    Observation,
    ParallelRun,
    Periodic,
    Push,
    Route,
    Source,
    Transition,
    Uplink,
    Users,
    Web,
    Witness,
)
from config.toml.text import Document, Path_

SECTIONS: dict[str, type[BaseModel]] = {
    "line": LineSection,
    "clock": ClockSection,
    "buffer": BufferSection,
    "web": Web,
    "push": Push,
    "backup": Backup,
    "periodic": Periodic,
    "transition": Transition,
    "observation": Observation,
    "parallel_run": ParallelRun,
    "users": Users,
}
OPTIONAL = (
    "web",
    "push",
    "backup",
    "periodic",
    "transition",
    "observation",
    "parallel_run",
    "users",
)  # absent means absent, not the defaults
LISTS: dict[str, type[BaseModel]] = {
    "source": Source,
    "equipment": Equipment,
    "route": Route,
    "uplink": Uplink,
    "witness": Witness,
    "notify": Notify,
}
MAX_TABLES = 500  # of one kind: sources, uplinks, ...
MAX_TEXT = 20_000  # characters of one value; a long SQL query has some thousands

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Sections:
    """line.toml as objects, each list with the path of each object; None or a shorter list where a table has an error."""

    line: LineSection | None = None
    clock: ClockSection | None = None
    buffer: BufferSection | None = None
    web: Web | None = None
    push: Push | None = None
    users: Users | None = None
    source: list[tuple[Path_, Source]] = field(default_factory=list)
    equipment: list[tuple[Path_, Equipment]] = field(default_factory=list)
    route: list[tuple[Path_, Route]] = field(default_factory=list)
    uplink: list[tuple[Path_, Uplink]] = field(default_factory=list)
    witness: list[tuple[Path_, Witness]] = field(default_factory=list)
    notify: list[tuple[Path_, Notify]] = field(default_factory=list)
    backup: Backup | None = None
    periodic: Periodic | None = None
    parallel_run: ParallelRun | None = None
    transition: Transition | None = None
    observation: Observation | None = None
    tag_files: tuple[str, ...] = ("tags.csv",)


def sections(document: Document, folder: Path) -> Sections:
    """Validate every section on its own: a mistake in one does not hide a mistake in another."""
    parsed = Sections()
    for key in document.data:
        if key not in (*SECTIONS, *LISTS, "tags"):
            document.error((key,), f"unknown key `{key[:60]}`{did_you_mean(key, [*SECTIONS, *LISTS, 'tags'])}")
    _check_texts(document, (), document.data)
    for key, model in SECTIONS.items():
        if key not in OPTIONAL or key in document.data:
            setattr(parsed, key, validated(document, (key,), model, document.data.get(key, {})))
    for key, model in LISTS.items():
        getattr(parsed, key).extend(_listed(document, key, model, folder))
    parsed.tag_files = _tag_files(document)
    return parsed


def _check_texts(document: Document, path: Path_, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_texts(document, (*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_texts(document, (*path, index), inner)
    elif isinstance(value, str) and len(value) > MAX_TEXT:
        document.error(path, f"`{path[-1]}`: {len(value)} characters, at most {MAX_TEXT} are possible")
    elif isinstance(value, str) and "\x00" in value:
        document.error(path, f"`{path[-1]}`: a NUL character stands in it")


def _listed(document: Document, key: str, model: type[BaseModel], folder: Path) -> list[tuple[Path_, Any]]:
    tables = document.data.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        document.error((key,), f"write [[{key}]], once for each")
        return []
    if len(tables) > MAX_TABLES:
        document.error((key,), f"{len(tables)} tables [[{key}]], at most {MAX_TABLES} are possible")
        return []
    made: list[tuple[Path_, Any]] = []
    for index, table in enumerate(tables):
        data = _with_options(table, folder) if model is Source else table
        if (item := validated(document, (key, index), model, data)) is not None:
            made.append(((key, index), item))
    return made


def _with_options(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Separate a source's common keys from those of its driver, which the driver checks later."""
    common = Source.model_fields.keys() - NOT_WRITTEN
    own = {key: value for key, value in table.items() if key in common}
    return {**own, "options": {key: value for key, value in table.items() if key not in common}, "folder": folder}


def validated(document: Document, path: Path_, model: type[M], data: Any) -> M | None:
    """Make an object of a table; None if it has problems, which go to the document."""
    if not isinstance(data, Mapping):
        document.error(path, f"`{path[-1]}` is a table: write [{path[-1]}]")
        return None
    try:
        return model.model_validate(_as_tuples(data, model), strict=True)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            at = (*path, *item["loc"])
            document.error(at, explained(dict(item), model))
        return None


def _as_tuples(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Turn TOML's lists into the tuples that frozen models hold; the options of a source stay as they were written."""
    keep = ("options",) if model is Source else ()
    return {key: value if key in keep else _as_tuple(value) for key, value in data.items()}


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_as_tuple(inner) for inner in value)
    return {key: _as_tuple(inner) for key, inner in value.items()} if isinstance(value, dict) else value


SECRET = re.compile(r"(?:^|_)(?:password|passwd|secret|token|private_key|api_key)$")
"""Keys whose value is a secret."""


def explained(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Rewrite one pydantic error as a sentence for the person who wrote the file."""
    key = next((str(part) for part in reversed(item["loc"]) if isinstance(part, str)), "?")
    kind = item["type"]
    if kind == "missing":
        return f"key `{key}` is missing"
    if SECRET.search(key) and isinstance(item["input"], str):  # it is not repeated, whatever is wrong with it
        return f'`{key}`: a secret never stands in a file, write {key} = {{ credential = "name" }}'
    if key == "credential" and isinstance(item["input"], str):
        return "`credential`: a name of letters, digits, _, - and dots is meant, under which the secret stands elsewhere"
    if kind == "extra_forbidden":
        return f"unknown key `{key[:60]}`{did_you_mean(key, _known_keys(model, item['loc']))}"
    if kind == "string_pattern_mismatch":
        return f"`{key}`: `{str(item['input'])[:60]}` does not match {item['ctx']['pattern']}"
    if kind == "literal_error":
        return f"`{key}`: {item['ctx']['expected']} is meant, not {_shown(item['input'])}"
    if kind == "value_error":  # a sentence of ours
        return f"`{key}`: {item['ctx']['error']}"
    if kind == "too_short":
        return f"`{key}`: at least {item['ctx']['min_length']} is needed"
    return f"`{key}`: {item['msg'][0].lower()}{item['msg'][1:]}, not {_shown(item['input'])}"


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) and len(str(value)) < 80 else f"a {type(value).__name__}"


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """List the keys that are allowed in place of an unknown one."""
    from config.sections import FromRow, FromTag, ObservationLimits, PushClient, Pushed, Tls

    inner: dict[str | int, type[BaseModel]] = {"row": FromRow, "tag": FromTag, "push": Pushed, "tls": Tls, "client": PushClient}
    inner |= {"limits": ObservationLimits}
    nearest = next((inner[part] for part in reversed(location[:-1]) if part in inner), model)
    return [key for key in nearest.model_fields if key not in NOT_WRITTEN]


def _tag_files(document: Document) -> tuple[str, ...]:
    names = document.data.get("tags", ["tags.csv"])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        document.error(("tags",), 'write tags = ["a.csv", "b.csv"], above the first section')
        return ()
    good = []
    for index, name in enumerate(names):
        if not name.endswith(".csv") or "/" in name or "\\" in name or name.startswith("."):
            document.error(("tags", index), f"`{name[:60]}`: a CSV file of this folder is meant, by its bare name")
        elif name in good:
            document.error(("tags", index), f"`{name}` stands twice")
        else:
            good.append(name)
    return tuple(good)
