"""The codes of findings: cause, response, priority, and what ends one that stands (codes.csv), and whom each is for (whom.csv).

docs/findings.md is made from them.
"""

import csv
from collections import defaultdict
from importlib.resources import files
from typing import NamedTuple

REMEMBERED = frozenset({"fallback-open", "simulated-in-production", "tag-silent"})
"""The fold remembers over a restart that these stand; all others are found, and said, again by the run that comes after."""


class Code(NamedTuple):
    """One code. priority: high, medium or low, as ISA-18.2 ranks alarms: by what follows if nobody responds.

    whom: the role that has to respond, engineer where whom.csv names none. An alarm for qa is acknowledged by nobody else.
    ends: codes that end it. `info`: the same code with severity info. `start`: nothing tells its end; the next start asks anew.
    is_standing: False for something that happened, once; a code in `ends` takes it back all the same.
    """

    code: str
    priority: str
    is_standing: bool
    ends: tuple[str, ...]
    cause: str
    response: str
    whom: str


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(files("gateway.alarms").joinpath(name).read_text(encoding="utf-8").splitlines()))


def _read() -> dict[str, Code]:
    whom = {row["code"]: row["whom"] for row in _rows("whom.csv")}
    return {row["code"]: _code(row, whom.get(row["code"], "engineer")) for row in _rows("codes.csv")}


def _code(row: dict[str, str], whom: str) -> Code:
    ends = row["ends"]
    standing, ended_by = not ends.startswith("-"), tuple(ends.removeprefix("-").split())
    return Code(row["code"], row["priority"], standing, ended_by, row["cause"], row["response"], whom)


CODES = _read()
UNKNOWN = Code(
    "",
    "medium",
    is_standing=False,
    ends=(),
    cause="not described in this version",
    response="Read the text; ask for help if it does not say what to do",
    whom="engineer",
)


def _enders() -> dict[str, tuple[str, ...]]:
    enders: dict[str, list[str]] = defaultdict(list)
    for code in CODES.values():
        for end in code.ends:
            enders[code.code if end == "info" else end].append(code.code)
    return {end: tuple(codes) for end, codes in enders.items() if end != "start"}


ENDED_BY = _enders()
"""Code that ends something, if its severity is info -> the codes that it ends."""


def code_of(name: str) -> Code:
    """Describe a code; one of another version has no description, and says so."""
    return CODES.get(name) or UNKNOWN._replace(code=name)
