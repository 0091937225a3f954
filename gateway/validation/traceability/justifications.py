"""What a person answers for where no test has passed: requirements that are planned, built in part, or proved by no test.

They stand in one file of the tree, docs/validation/justifications.note: a signed note (C2SP signed-note, Ed25519) whose text names the
person, the moment, and each requirement with the SHA-256 of what is justified: its words, risk, state and what the page says is open. So a
justification ends by itself when any of these changes. A requirement that is justified has not passed.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from buffer.verify import Key
from gateway.validation.traceability.requirements import Problem, Requirement

NOTE = Path("docs/validation/justifications.note")
FORM = "ebr-gateway/justifications/1"
ASKS = ("passed, in part", "planned", "no test")
"""Results for which a person can answer. What failed or did not run is none of them: it has to run, and to pass."""
_LINE = re.compile(r"(URS-[A-Z]+-[0-9]{2})  ([0-9a-f]{64})")


class Justifications(NamedTuple):
    """What a note says. who: printed name and function of the person. at: RFC 3339. of: requirement -> digest of what was justified."""

    note: str
    who: str
    at: str
    of: Mapping[str, str]


NONE = Justifications("", "", "", {})


def digest(row: Requirement) -> str:
    """Return the digest of what a person answers for: all that says what is open, and what it is open of."""
    told = [row.id, row.text, row.risk, row.verification, row.state, row.remark]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def text_of(who: str, at: str, rows: Iterable[Requirement]) -> str:
    """Write what is signed."""
    return "\n".join((FORM, who, at, *(f"{row.id}  {digest(row)}" for row in rows))) + "\n"


def loads(note: str) -> Justifications:
    """Read a note, whoever signed it. Raises ValueError."""
    form, *rest = note.partition("\n\n")[0].split("\n")
    lines = [_LINE.fullmatch(line) for line in rest[2:]]
    if form != FORM or len(rest) < 3 or not all(lines):
        raise ValueError(f"{NOTE}: this is no {FORM}")
    return Justifications(note, rest[0], rest[1], {line[1]: line[2] for line in lines if line})


def of_tree(tree: Path) -> Justifications:
    """Read that of a source tree; none if there is none. Raises ValueError."""
    path = tree / NOTE
    return loads(path.read_text("utf-8")) if path.is_file() else NONE


def signed_by(told: Justifications, publics: Sequence[str]) -> str | None:
    """Return the name of the key that signed it, of those that are known; None if none did."""
    return next((key.name for key in map(Key.parse, publics) if told.note and key.signed(told.note)), None)


def said_of(row: Requirement, told: Justifications) -> str:
    """Return who has justified a requirement as it is now, and when; empty if nobody has."""
    return f"{told.who}, {told.at}" if told.of.get(row.id) == digest(row) else ""


def unjustified(rows: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield each requirement that nothing has passed for, or not the whole of it, and that nobody answers for. rows: of the matrix."""
    for row in rows:
        if row["result"] in ASKS and not row["justified"]:
            yield Problem(str(NOTE), 0, f"{row['urs']} is `{row['result']}`, and no signed justification is of it as it stands")
