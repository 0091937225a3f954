"""Writes docs/findings.md from the table of codes: `python -m gateway.alarms.reference > docs/findings.md`."""

import sys
from collections.abc import Iterable

from gateway.alarms.codes import CODES, REMEMBERED, Code

_HEAD = """# Findings

What the gateway has to say to a person is a *finding*: an event in the journal with a code, a severity and a text ([the
schema](schemas/event-finding.json)). `alarm`: somebody must respond. `warning`: somebody should know. `info`: how it is, and that
something is over. Warnings and alarms are shown on [the status page](status.md#alarms-and-findings), and `run` logs each in one line.

Priority is what follows if nobody responds: high, medium or low (ISA-18.2). *Whom*: the [role](security.md) that has to respond; an
alarm for qa is acknowledged by qa alone, all others by operator, engineer, qa or admin. This page is made from the table that the
program shows
(`gateway/alarms/codes.csv`, `whom.csv`); a test holds that it names each code that the program can give, and no other.

## What persons do about an alarm

An alarm (ISA-18.2, 5.2.3) is *raised*; a person acknowledges it, with a comment; its end is told (*cleared*). Only when both have
come, in
either order, it leaves the lists; a finding that comes again after its end is raised anew, and its former acknowledgement is not
its. One that only
happened is over at once, and waits for the acknowledgement alone. Nothing is deleted: each of these is an entry of the journal.

    ebr-gateway alarms list LINE                                  ids, states, what to do; exit 1 while one needs somebody
    ebr-gateway alarms ack LINE ID --comment "sender called, file comes again" --user otto
    ebr-gateway alarms shelve LINE ID --until 2026-12-01T06:00+01:00 --reason "pump is being changed, order 4711" --user edda
    ebr-gateway alarms unshelve LINE ID --reason "pump is changed" --user edda
    ebr-gateway alarms history LINE --batch B2026-0417 --format csv       or --from, --to; text, csv, json; pdf --into DIR

Every alarm that nobody has acknowledged, and every one that stands, is a problem of `status` (exit 1), page and `top`. A shelved
alarm is none until its end, 72 h at most, also if it comes again meanwhile; then it comes back by itself.
It stays in the list, and the banner counts it. On the page the link beside an alarm leads to the same, for who is [logged
in](security.md#logging-in-at-the-page).

The lists are bounded: 200 that stand, 200 that are over and 200 that happened wait for a person. For how many more there was no
room is a problem of its own, which is acknowledged as
`unkept`; they are in the history.

The history is read from the journal, whether a gateway runs or not: each time that an alarm was raised, by whom and with which
comment it was acknowledged, when it ended, and how long it lasted.

"""
_STANDING = """
## Those that stand

They are shown until what ends them is told. *next start*: nothing tells their end; a start asks anew, and says it again if it is still
so. *severity info*: the same code, as information. After a start what stood before is shown as "stood before the start" until
it is said again, or for 24 h and until it is acknowledged; of those marked * the gateway itself remembers over a start that they stand.

| code | priority | whom | cause | what to do | ended by |
|---|---|---|---|---|---|
"""
_ONCE = """
## Those that happened

Each is shown for 24 h, the newest twenty; an alarm until somebody acknowledges it, however old it is.

| code | priority | whom | cause | what to do |
|---|---|---|---|---|
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
    return [code.priority, code.whom, code.cause, code.response]


def _ended_by(code: Code) -> str:
    words = {"info": "severity info", "start": "next start"}
    return ", ".join(words.get(end, f"`{end}`") for end in code.ends)


if __name__ == "__main__":
    sys.stdout.write(page())
