"""Writes docs/findings.md from the table of codes: `python -m gateway.alarms.reference > docs/findings.md`."""

import sys
from collections.abc import Iterable

from gateway.alarms.codes import CODES, REMEMBERED, Code

_HEAD = """# Findings

What the gateway has to say to a person is a *finding*: an event in the journal with a code, a severity and a text ([the
schema](schemas/event-finding.json)). `alarm`: somebody must respond. `warning`: somebody should know. `info`: how it is, and that
something is over. Warnings and alarms are shown on [the status page](status.md#alarms-and-findings), and `run` logs each in one line.

Priority is what follows if nobody responds: high, medium or low (ISA-18.2). This page is made from the table that the program shows
(`gateway/alarms/codes.csv`); a test holds that it names each code that the program can give, and no other.
"""
_STANDING = """
## Those that stand

They are shown until what ends them is told. *next start*: nothing tells their end; a start asks anew, and says it again if it is still
so. *severity info*: the same code, as information. After a start what stood before is shown as "stood before the start" until
it is said again, or for 24 h; of those marked * the gateway itself remembers over a start that they stand.

| code | priority | cause | what to do | ended by |
|---|---|---|---|---|
"""
_ONCE = """
## Those that happened

Each is shown for 24 h, the newest twenty; an alarm needs attention for an hour.

| code | priority | cause | what to do |
|---|---|---|---|
"""
_DERIVED = """
`batch-incomplete`, `step-without-batch`, `batch-complete`, `clock-verified` and `tag-heard` are no events of their own: they follow from
the end record of a batch, the record of a step, an event of the clock and the close of a gap.
"""


def page() -> str:
    """Return the page."""
    standing = "".join(_row(code, [*_cells(code), _ended_by(code)]) for code in CODES.values() if code.is_standing)
    once = "".join(_row(code, _cells(code)) for code in CODES.values() if not code.is_standing)
    return f"{_HEAD}{_STANDING}{standing}{_ONCE}{once}{_DERIVED}"


def _row(code: Code, cells: Iterable[str]) -> str:
    mark = " *" if code.code in REMEMBERED else ""
    return f"| `{code.code}`{mark} | {' | '.join(cells)} |\n"


def _cells(code: Code) -> list[str]:
    return [code.priority, code.cause, code.response]


def _ended_by(code: Code) -> str:
    words = {"info": "severity info", "start": "next start"}
    return ", ".join(words.get(end, f"`{end}`") for end in code.ends)


if __name__ == "__main__":
    sys.stdout.write(page())
