r"""Any instrument that sends one set of values per line: a regular expression whose named groups are the fields.

A group `unit` names the unit of the number that stands before it, `x_unit` that of the group `x`. A group `stable` that matched nothing,
or a group `moving` that matched something, makes numbers Uncertain, else they are Good. What the expression does not match as a whole is
no answer.

A group `bcc` is a block check character (ISO 1155): the exclusive or of the characters that the group `checked` matched, as one byte or as
two hexadecimal digits. A line in which it differs is no answer.

The expression must be of a kind that ends in time proportional to the line's length, however hostile the line: every repetition of
variable length is possessive (`\d++`, ` *+`), there are no back references and no look-around, and the ways in which its alternatives can
be taken are few. Alternatives of which one line can match one at most (`ST|US|OL`, `g|kg|mg`) are one way.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import combinations, takewhile
from operator import xor
from re import _constants, _parser  # type: ignore[attr-defined]  # the expression's own parse tree; the public module has no other door
from typing import Any

from drivers.contract import GOOD
from drivers.serial.answer import DYNAMIC, Answer, Field, NotAnAnswer

MOST_CHARACTERS = 500
MOST_WAYS = 64
_MARKS = ("stable", "moving")
_CHECK = ("checked", "bcc")
_ONCE = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT, _constants.CATEGORY)


class UnsafePattern(ValueError):
    """The expression could take very long, or is no expression; the text gives the reason."""


def fields_of(pattern: str) -> list[str]:
    """List the fields of an expression, in their order. Raises UnsafePattern with the reason and a way to write it safely.

    They are its named groups, and `stable` in place of `moving`; what the checksum needs is none.
    """
    every = names_in(pattern)
    names = [name for name in every if name not in _CHECK]
    if len(every) - len(names) == 1:
        raise UnsafePattern("a checksum needs both groups: checked, the characters that it covers, and bcc, the checksum itself")
    if set(names) >= set(_MARKS):
        raise UnsafePattern("stable and moving say the same: one of them is enough")
    if not names:
        raise UnsafePattern("it names no field: write (?P<weight>...)")
    return ["stable" if name == "moving" else name for name in names]


def units_of(pattern: str) -> dict[str, str]:
    """Map each field whose unit the line names to the field that names it.

    A unit stands behind its number (SI Brochure, 5.4.3): `unit` belongs to the nearest group before it; to the first one behind it if it
    stands in front of all. `x_unit` belongs to `x`, wherever it stands.
    """
    names = [name for name in re.compile(pattern.encode("ascii")).groupindex if name not in (*_MARKS, *_CHECK)]
    units = {name[: -len("_unit")]: name for name in names if name.endswith("_unit") and name[: -len("_unit")] in names}
    if "unit" in names:
        at = names.index("unit")
        beside = [*reversed(names[:at]), *names[at + 1 :]]
        owner = next((name for name in beside if name not in units and name not in units.values()), None)
        units |= {} if owner is None else {owner: "unit"}
    return units


def names_in(pattern: str) -> list[str]:
    """List the named groups of an expression, which may have none. Raises UnsafePattern."""
    if len(pattern) > MOST_CHARACTERS:
        raise UnsafePattern(f"longer than {MOST_CHARACTERS} characters")
    try:
        tree = _parser.parse(pattern)
        names = list(re.compile(pattern.encode("ascii")).groupindex)
    except (re.error, RecursionError, OverflowError, UnicodeEncodeError) as error:
        raise UnsafePattern(f"no regular expression: {error}") from error
    if _ways(tree) > MOST_WAYS:
        raise UnsafePattern(f"its alternatives can be taken in more than {MOST_WAYS} ways: let each begin with another character")
    return names


def _ways(tree: Any) -> int:
    """Count in how many ways its alternatives can be taken, at most; raise UnsafePattern at the first part that is not allowed."""
    ways = 1
    for operation, argument in tree:
        if operation in _ONCE:
            continue
        if operation is _constants.SUBPATTERN:
            ways *= _ways(argument[-1])
        elif operation is _constants.ATOMIC_GROUP:
            ways *= _ways(argument)
        elif operation is _constants.BRANCH:
            each = [_ways(branch) for branch in argument[1]]
            ways *= max(each) if _exclude_each_other(argument[1]) else sum(each)
        elif operation is _constants.POSSESSIVE_REPEAT:
            ways *= _ways(argument[2])
        elif operation is _constants.MAX_REPEAT and argument[0] == argument[1]:
            ways *= min(_ways(argument[2]), MOST_WAYS + 1) ** min(argument[0], MOST_WAYS)
        elif operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            raise UnsafePattern("a repetition must not give back what it took: write a + behind it, as in [0-9]++ or ` *+` or (?:...)?+")
        else:
            raise UnsafePattern("only characters, groups, alternatives and repetitions may stand in it")
        ways = min(ways, MOST_WAYS + 1)
    return ways


def _exclude_each_other(branches: Sequence[Any]) -> bool:
    """True if no text can match two of the alternatives: each pair differs in a literal character, at the same place."""
    literals = [[argument if operation is _constants.LITERAL else None for operation, argument in branch] for branch in branches]
    return all(any(None not in pair and pair[0] != pair[1] for pair in _while_literal(a, b)) for a, b in combinations(literals, 2))


def _while_literal(a: Sequence[int | None], b: Sequence[int | None]) -> Iterator[tuple[int | None, int | None]]:
    return takewhile(lambda pair: None not in pair, zip(a, b, strict=False))


def reader(pattern: str) -> Callable[[bytes], Answer]:
    """Make the function that reads one line. `pattern` has passed `fields_of`. The function raises NotAnAnswer."""
    compiled = re.compile(pattern.encode("ascii"))
    units = set(units_of(pattern).values())

    def read(line: bytes) -> Answer:
        match = compiled.fullmatch(line)  # as bytes: no decoding can fail before the comparison
        if match is None:
            raise NotAnAnswer(f"does not match the pattern: {line[:48].hex(' ')}")
        groups = match.groupdict()
        if "bcc" in groups:
            _verify(groups.pop("checked") or b"", groups.pop("bcc") or b"")
        marks = {name: bool((groups.pop(name) or b"").strip()) for name in _MARKS if name in groups}
        moving = not marks.get("stable", True) or marks.get("moving", False)
        fields: dict[str, Field] = {name: (_text(text), DYNAMIC if moving else GOOD) for name, text in groups.items()}
        if marks:
            fields["stable"] = (not moving, GOOD)
        for name in units:  # one that matched nothing names no unit
            if not fields[name][0]:
                fields[name] = (None, fields[name][1])
        return Answer(fields)

    return read


def _verify(checked: bytes, bcc: bytes) -> None:
    """Compare the block check character with the characters that it covers. Raises NotAnAnswer."""
    right = reduce(xor, checked, 0)
    if bcc.upper() != b"%02X" % right if len(bcc) == 2 else bcc != bytes([right]):
        raise NotAnAnswer(f"wrong checksum: {bcc.hex(' ') or 'none'}, right would be {right:02X}, of {checked[:48].hex(' ')}")


def _text(text: bytes | None) -> str:
    try:
        return (text or b"").decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise NotAnAnswer(f"not ASCII: {text!r}") from error
