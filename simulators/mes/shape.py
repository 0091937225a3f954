"""Finds the table and the columns that a query needs from its text: enough for queries over simple names of one table or view."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|:?[A-Za-z_][A-Za-z0-9_$]*|\d+(?:\.\d+)?|<=|>=|<>|!=|.", re.DOTALL
)
KEYWORDS = frozenset("and or not is null in between like as asc desc by order limit where true false coalesce".split())  # noqa: SIM905


class NotServable(ValueError):
    """A simulated database can not serve the query; the text gives the reason."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The table and columns that a query reads.

    table: the name behind FROM. columns: result name -> name in the table, in order. fixed: further columns of the WHERE, each with the
    value that it is compared with.
    """

    table: str
    columns: Mapping[str, str]
    fixed: Mapping[str, Any]


def shape_of(name: str, sql: str) -> Shape:
    """Read the statement. Raises NotServable."""
    words = [word for word in TOKEN.findall(sql) if not word.isspace() and not word.startswith(("--", "/*"))]
    lowered = [word.lower() for word in words]
    if lowered[:1] != ["select"] or lowered.count("select") != 1 or "from" not in lowered:
        raise NotServable(f"query {name}: only a plain SELECT of one table can be simulated")
    at = lowered.index("from")
    table, rest = _table(name, words[at + 1 :])
    if "join" in lowered or rest[:1] == [","]:
        raise NotServable(f"query {name}: a join can not be simulated; read a view instead")
    aliases = {alias for alias in (table, *_alias(rest)) if alias}
    columns = dict(_column(name, item) for item in _items(words[1:at]))
    return Shape(table, columns, dict(_fixed(rest, aliases | set(columns))))


def plain(word: str) -> str:
    """Take a name out of its quotes."""
    return word[1:-1] if word[:1] in '"`[' else word


def _table(name: str, words: list[str]) -> tuple[str, list[str]]:
    if not words or not re.match(r"[A-Za-z_\"`\[]", words[0]):
        raise NotServable(f"query {name}: no table stands behind FROM")
    position = 1
    while words[position : position + 1] == ["."]:
        position += 2
    return plain(words[position - 1]), words[position:]


def _alias(rest: list[str]) -> list[str]:
    words = rest[1:] if rest[:1] and rest[0].lower() == "as" else rest
    return [plain(words[0])] if words and words[0].lower() not in KEYWORDS and re.match(r"[A-Za-z_\"`\[]", words[0]) else []


def _items(words: list[str]) -> Iterator[list[str]]:
    item: list[str] = []
    for word in words:
        if word == ",":
            yield item
            item = []
        else:
            item.append(word)
    yield item


def _column(name: str, item: list[str]) -> tuple[str, str]:
    """Parse `a`, `t.a`, `a AS b` or `a b` into (b, a)."""
    words = item[2:] if item[1:2] == ["."] else item
    if words and words[0].lower() != "distinct" and re.match(r"[A-Za-z_\"`\[]", words[0]):
        if len(words) == 1:
            return plain(words[0]), plain(words[0])
        if len(words) == 2 or (len(words) == 3 and words[1].lower() == "as"):
            return plain(words[-1]), plain(words[0])
    raise NotServable(f"query {name}: {' '.join(item)!r} is no simple column name; an expression can not be simulated")


def _fixed(rest: list[str], known: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield (column, value) of the WHERE: the literal that a column is compared with, None for any other column."""
    for position, word in enumerate(rest):
        is_name = re.match(r"[A-Za-z_\"`\[]", word) and word.lower() not in KEYWORDS
        if not is_name or rest[position + 1 : position + 2] in (["."], ["("]) or plain(word) in known:
            continue
        after = rest[position + 2] if rest[position + 1 : position + 2] == ["="] and position + 2 < len(rest) else ""
        yield plain(word), after[1:-1] if after.startswith("'") else (float(after) if re.fullmatch(r"\d+\.\d+", after) else _int(after))


def _int(text: str) -> int | None:
    return int(text) if text.isdigit() else None
