"""Checks that a text is one SELECT and nothing else.

A fence for mistakes and for a hostile line folder, in front of the real wall: a login that may only read, a read-only transaction, and
for SQLite a read-only connection. Pure; works on tokens, so words within quotes or comments neither hide nor accuse.
"""

import re
from itertools import pairwise

TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])"""
    r"""|(?P<cast>::)|(?P<parameter>:[A-Za-z_][A-Za-z0-9_]*)|(?P<word>[A-Za-z_][A-Za-z0-9_$\#]*)|(?P<semicolon>;)|(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
WRITES = frozenset(
    """insert update delete merge replace upsert into create alter drop truncate rename grant revoke deny exec execute call do declare
    begin commit rollback savepoint set reset lock unlock copy load attach detach pragma vacuum analyze reindex use kill shutdown backup
    restore bulk handler install listen notify prepare deallocate discard refresh cluster comment security import""".split()  # noqa: SIM905
)
DIRTY = frozenset({"nolock", "readuncommitted", "uncommitted"})
"""Dirty reads return rows that never were, and skip rows that are."""
FUNCTIONS = re.compile(
    r"nextval|setval|load_extension|writefile|readfile|edit|fts3_tokenizer|pg_.*|lo_.*|dblink.*|xp_.*|sp_.*|openrowset|opendatasource|openquery"
    r"|sleep|benchmark|load_file|waitfor|utl_.*|dbms_.*|query_to_xml|xmltable|database_to_xml|set_config|currval|lastval|outfile|dumpfile",
    re.IGNORECASE,
)
PARAMETER, LIMIT = ":since", ":limit"
AFTER_ORDER = frozenset({"limit", "fetch", "offset", "rows", "for", "option"})


def problems(sql: str) -> list[str]:
    """Why this is not one harmless SELECT; empty if it is. At most a few, each readable by the person who wrote it."""
    if "\0" in sql or len(sql) > 20_000:
        return ["sql holds a NUL character or is longer than 20,000 characters"]
    tokens = [(match.lastgroup or "", match.group()) for match in TOKEN.finditer(sql)]
    solid = [(kind, text) for kind, text in tokens if kind != "comment" and not text.isspace()]
    while solid and solid[-1][0] == "semicolon":
        solid.pop()
    found = _shape(solid) + _words(solid)
    if any(kind == "comment" and text.startswith("/*!") for kind, text in tokens):
        found.append("sql holds a comment that MySQL executes (/*! ... */)")
    return found


def _shape(solid: list[tuple[str, str]]) -> list[str]:
    found = []
    if not solid or solid[0][1].lower() not in ("select", "with"):
        found.append("sql must be a single SELECT")
    if any(kind == "semicolon" for kind, _ in solid):
        found.append("sql holds more than one statement")
    if any(kind == "other" and text in "'\"`" for kind, text in solid) or any(
        text == "/" and after == "*" for (_, text), (_, after) in _pairs(solid)
    ):
        found.append("sql holds a quote or a comment that does not end")
    if any(kind == "string" and "\\" in text for kind, text in solid):
        found.append("sql holds a backslash in a text: databases do not agree on where such a text ends")
    for kind, text in solid:
        if kind == "parameter" and text not in (PARAMETER, LIMIT):
            found.append(f"sql has the parameter {text}; only {PARAMETER} and {LIMIT} exist")
    return found


def _words(solid: list[tuple[str, str]]) -> list[str]:
    found = []
    for position, (kind, text) in enumerate(solid):
        word = text.lower()
        if kind != "word":
            continue
        after = solid[position + 1][1] if position + 1 < len(solid) else ""
        before = solid[position - 1][1] if position else ""
        if word in WRITES and before != "." and not (word == "replace" and after == "("):
            found.append(f'sql holds {text.upper()}: only reading is allowed; a column of this name is written in quotes: "{text}"')
        if word in DIRTY:
            found.append(f"sql holds {text.upper()}: dirty reads lose and invent rows")
        if after == "(" and FUNCTIONS.fullmatch(word):
            found.append(f"sql calls {text}(): only plain reading is allowed")
        if word == "for" and after.lower() in ("update", "share", "no", "key"):
            found.append("sql locks rows (FOR UPDATE): only reading is allowed")
    return found


def _pairs(solid: list[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    return list(pairwise(solid))


def orders_by(sql: str, column: str) -> bool:
    """True if the statement's last ORDER BY begins with the column, ascending: what is read in pieces must come in order."""
    words = [text for kind, text in ((m.lastgroup, m.group()) for m in TOKEN.finditer(sql)) if kind != "comment" and not text.isspace()]
    lowered = [word.lower() for word in words]
    starts = [i for i in range(len(words) - 2) if lowered[i] == "order" and lowered[i + 1] == "by"]
    if not starts:
        return False
    first: list[str] = []
    for word in lowered[starts[-1] + 2 :]:
        if word in (",", ";", ")") or word in AFTER_ORDER:
            break
        first.append(word)
    if "desc" in first:
        return False
    if "collate" in first:  # texts are compared here by code points, so a database that orders them otherwise has to be told
        del first[first.index("collate") :]
    name = [word.strip('"`[]') for word in first if word not in ("asc", ".")]
    return bool(name) and name[-1] == column.lower()


def escaped(sql: str) -> str:
    """The statement for sqlalchemy.text(): a colon within quotes or comments begins no parameter."""
    matches = [*TOKEN.finditer(sql), None]
    return "".join(_escaped(match, after) for match, after in pairwise(matches) if match is not None)


def _escaped(match: re.Match[str], after: re.Match[str] | None) -> str:
    if match.lastgroup in ("comment", "string", "quoted"):
        return match.group().replace(":", r"\:")
    # A parameter that PostgreSQL's :: follows would not be seen.
    return f"({match.group()})" if match.lastgroup == "parameter" and after is not None and after.lastgroup == "cast" else match.group()


def uses_since(sql: str) -> bool:
    """True if the statement takes the watermark."""
    return any(m.lastgroup == "parameter" and m.group() == PARAMETER for m in TOKEN.finditer(sql))
