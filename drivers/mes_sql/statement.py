"""What is made of a SELECT before it is asked: its parameters, a limit in the database's own words, and what it gives by its text alone."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from drivers.mes_sql.select import LIMIT, PARAMETER, TOKEN

Token = tuple[str, str]
CUTS: Final = frozenset({"limit", "fetch", "offset", "rows", "top"})
AFTER_ITEMS: Final = frozenset({"from", "union", "intersect", "except", "minus", "order", "where"})
LIMITS: Final = {
    "sqlite": "{sql}\nLIMIT {rows}",
    "postgresql": "{sql}\nLIMIT {rows}",
    "mysql": "{sql}\nLIMIT {rows}",
    "mariadb": "{sql}\nLIMIT {rows}",
    "mssql": "{sql}\nOFFSET 0 ROWS FETCH NEXT {rows} ROWS ONLY",
    "oracle": "SELECT * FROM (\n{sql}\n) WHERE ROWNUM <= {rows}",
}
"""SQL Server from 2012 on; Oracle's older form, as 11g and before have no FETCH FIRST. Others: the result is read that far and closed."""
LOWEST: Final = {
    ("postgresql", "timestamp"): "'0001-01-01'",
    ("mysql", "timestamp"): "'1000-01-01'",
    ("mariadb", "timestamp"): "'1000-01-01'",
    ("mssql", "timestamp"): "'1753-01-01'",
    ("oracle", "timestamp"): "DATE '0001-01-01'",
}
"""What stands for :since before the first row. A literal, not a parameter: it takes the column's type, with a time zone or without."""
LOWEST_NUMBER: Final = "-9223372036854775808"
"""SQLite orders all numbers and texts above it, whatever the column's type."""


def lowest(dialect: str, kind: str, start: int | str | None) -> str:
    """The literal for :since before the first row was read. start: as the line folder gives it."""
    if isinstance(start, int):
        return str(start)
    if start is not None:
        quoted = "'" + start.replace("'", "''") + "'"
        return f"TIMESTAMP {quoted}" if (dialect, kind) == ("oracle", "timestamp") else quoted
    return LOWEST.get((dialect, kind), LOWEST_NUMBER)


def with_since(sql: str, literal: str) -> str:
    """The statement with a literal in place of its :since."""
    return "".join(literal if (kind, text) == ("parameter", PARAMETER) else text for kind, text in _tokens(sql))


def never_read(sql: str, literal: str | None) -> str | None:
    """The statement for the rows that `x > :since` never gives: where x is empty or, with a literal, not above it (zero dates).

    None where the text does not compare a column so, or more than once.
    """
    tokens = list(_tokens(unordered(sql)))
    solid = [at for at, (kind, text) in enumerate(tokens) if kind != "comment" and not text.isspace()]
    words = [tokens[at][1].lower() for at in solid]
    if words.count(PARAMETER) != 1 or "::" in words:
        return None
    last = words.index(PARAMETER)
    name_at = last - (3 if words[last - 1] == "=" else 2)
    first = name_at
    while words[first - 1] == ".":
        first -= 2
    if words[name_at + 1] != ">" or tokens[solid[name_at]][0] not in ("word", "quoted") or words[first - 1] not in ("where", "and", "("):
        return None
    name = "".join(text for _, text in tokens[solid[first] : solid[name_at] + 1])
    meant = f"{name} IS NULL" if literal is None else f"({name} IS NULL OR {name} <= {literal})"
    return "".join([*(text for _, text in tokens[: solid[first]]), meant, *(text for _, text in tokens[solid[last] + 1 :])])


def limited(sql: str, dialect: str, rows: int) -> str:
    """The statement for at most so many rows, where it does not say so itself (:limit) and the database has words for it."""
    if uses_limit(sql) or dialect not in LIMITS:
        return sql
    return LIMITS[dialect].format(sql=body(sql), rows=rows)


def uses_limit(sql: str) -> bool:
    """True if the statement takes the number of rows."""
    return any(kind == "parameter" and text == LIMIT for kind, text in _tokens(sql))


def body(sql: str) -> str:
    """The statement without semicolons, comments and blanks at its end: what can be written on."""
    tokens = list(_tokens(sql))
    while tokens and (tokens[-1][0] in ("semicolon", "comment") or tokens[-1][1].isspace()):
        tokens.pop()
    return "".join(text for _, text in tokens)


def unordered(sql: str) -> str:
    """The statement without its last ORDER BY and what follows: what may stand in FROM (...) everywhere."""
    tokens = list(_tokens(body(sql)))
    at = _order_at(tokens)
    return "".join(text for _, text in (tokens if at is None else tokens[:at]))


def cut_without_limit(sql: str) -> str | None:
    """The word with which the statement cuts its result at a number that is not :limit: what is cut off would never be read."""
    tokens = [(kind, text.lower()) for kind, text in _solid(sql)]
    if uses_limit(sql):
        return None
    at = _order_at(tokens)
    tail = [text for _, (kind, text) in _at_top(tokens[at:]) if kind == "word"] if at is not None else []
    tops = [b for (kind, a), (_, b) in pairwise(tokens) if kind == "word" and a in ("select", "distinct")]
    return next((text for text in tail if text in CUTS), None) or ("top" if tokens[1:] and "top" in tops[:2] else None)


def columns(sql: str) -> list[str] | None:
    """The columns of the result in order, by the statement's text; None where the database alone knows them (*, an unnamed expression)."""
    tokens = _solid(sql)
    top = [(index, token) for index, token in _at_top(tokens)]
    start = next((index for index, (kind, text) in top if (kind, text.lower()) == ("word", "select")), None)
    if start is None:
        return None
    items: list[list[Token]] = [[]]
    for index, (kind, text) in top:
        if index <= start:
            continue
        if kind == "word" and text.lower() in AFTER_ITEMS:
            break
        if text == ",":
            items.append([])
        else:
            items[-1].append((kind, text))
    names = [_name(item) for item in items]
    return None if None in names else [name for name in names if name is not None]


def table(sql: str) -> str | None:
    """The one table or view that the statement reads, without its schema; None where it reads several, or a query within the query."""
    tokens = [token for _, token in _at_top(_solid(sql))]
    words = [text.lower() if kind == "word" else text for kind, text in tokens]
    if words.count("from") != 1 or "join" in words or not {"union", "intersect", "except", "minus"}.isdisjoint(words):
        return None
    at = words.index("from") + 1
    while tokens[at + 1 : at + 2] == [("other", ".")]:
        at += 2
    if at >= len(tokens) or tokens[at][0] not in ("word", "quoted") or "," in words[at : at + 3]:
        return None
    return _name([tokens[at]])


def _name(item: Sequence[Token]) -> str | None:
    """The name of an item of the SELECT list: its alias, or its column; None for what the database names."""
    words = [token for token in item if token[1].lower() not in ("distinct", "all")]
    if not words or words[-1][0] not in ("word", "quoted"):
        return None
    before = words[-2][1] if len(words) > 1 else ""
    if len(words) > 1 and before != "." and before.lower() != "as" and words[-2][0] not in ("word", "quoted", "string") and before != ")":
        return None
    if len(words) > 1 and words[-1][1].lower() == "end":
        return None
    kind, text = words[-1]
    return text[1:-1].replace(text[-1] * 2, text[-1]) if kind == "quoted" else text


def _tokens(sql: str) -> Iterator[Token]:
    return ((match.lastgroup or "", match.group()) for match in TOKEN.finditer(sql))


def _solid(sql: str) -> list[Token]:
    return [(kind, text) for kind, text in _tokens(sql) if kind not in ("comment", "semicolon") and not text.isspace()]


def _at_top(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens outside of all brackets, with their place; a bracketed part stands as its closing bracket."""
    depth = 0
    for index, token in enumerate(tokens):
        if token == ("other", "("):
            depth += 1
        elif token == ("other", ")"):
            depth -= 1
            if depth == 0:
                yield index, token
        elif depth == 0:
            yield index, token


def _order_at(tokens: Sequence[Token]) -> int | None:
    """Where the last ORDER BY outside of all brackets begins."""
    at = [index for index, (kind, text) in _at_top(tokens) if kind == "word" and text.lower() == "order"]
    return at[-1] if at else None
