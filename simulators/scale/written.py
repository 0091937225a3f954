"""Writes a line that a pattern accepts, with the values that a device has in its named groups."""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]  # the only public reader of a pattern is the compiler itself
from typing import Any

DECIMALS = (2, 1, 3, 0, 4, 5)
WIDEST = 12
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


class NoLine(ValueError):
    """No line that the pattern accepts is found for a value."""


class Writer:
    """Writes lines for one pattern. Raises NoLine where not even its own shape can be written."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern.encode("ascii"))
        self._tree = _parser.parse(pattern)
        self.groups = tuple(self._pattern.groupindex)
        self._numbers = {number: name for name, number in self._pattern.groupindex.items()}
        if self._pattern.fullmatch(self._line({}).encode("ascii", "replace")) is None:
            raise NoLine("its shape is too special to be written")

    def line(self, values: Mapping[str, Any], decimal: str = ".") -> tuple[str, dict[str, str]]:
        """Return a line and the text of each group in it. values: of groups; None: the group is to be absent. Raises NoLine."""
        chosen: dict[str, str | None] = {}
        for name, value in values.items():
            if name in self.groups:
                chosen[name] = self._fitting(name, value, chosen, decimal)
        text = self._line(chosen)
        match = self._pattern.fullmatch(text.encode("ascii"))
        assert match is not None  # each step of it was tried
        return text, {name: found.decode() for name, found in match.groupdict().items() if found is not None}

    def example(self, name: str) -> str:
        """Return a text for a group, which holds something where the pattern lets it."""
        texts = ("".join(self._texts(inner, {}, least=1)) for inner in self._found(self._tree, name))
        return next(texts, "")

    def _found(self, parts: Any, name: str) -> Iterator[Any]:
        for kind, value in parts:
            if kind is _constants.SUBPATTERN:
                if self._numbers.get(value[0]) == name:
                    yield value[3]
                yield from self._found(value[3], name)
            elif kind in _REPEATS:
                yield from self._found(value[2], name)
            elif kind is _constants.BRANCH:
                for branch in value[1]:
                    yield from self._found(branch, name)
            elif kind is _constants.ATOMIC_GROUP:
                yield from self._found(value, name)

    def _fitting(self, name: str, value: Any, chosen: Mapping[str, str | None], decimal: str) -> str | None:
        """Find a way to write a value: the one with which the whole line is accepted and gives it back."""
        for text in _ways(value, decimal):
            line = self._line({**chosen, name: text})
            match = self._pattern.fullmatch(line.encode("ascii", "replace"))
            if match is not None and _same(match[name], text):
                return text
        raise NoLine(f"no way to write {value!r} as {name} is found that the pattern accepts")

    def _line(self, chosen: Mapping[str, str | None]) -> str:
        return "".join(self._texts(self._tree, chosen))

    def _texts(self, parts: Any, chosen: Mapping[str, str | None], least: int = 0) -> Iterator[str]:
        for name, value in parts:
            yield self._text(name, value, chosen, least)

    def _text(self, kind: Any, value: Any, chosen: Mapping[str, str | None], least: int) -> str:
        """Write what one part accepts. least: so often what may be left out stands there."""
        if kind is _constants.SUBPATTERN:
            group, _, _, inner = value
            name = self._numbers.get(group, "")
            return str(chosen[name] or "") if name in chosen else "".join(self._texts(inner, chosen, least))
        if kind in _REPEATS:
            low, high, inner = value
            named = [self._numbers[each[1][0]] for each in inner if each[0] is _constants.SUBPATTERN and each[1][0] in self._numbers]
            times = max(low, 1 if any(chosen.get(name) for name in named) else least)
            return "".join(self._texts(inner, chosen, least)) * int(min(times, high))
        if kind is _constants.BRANCH:
            return "".join(self._texts(self._branch(value[1], chosen), chosen, least))
        if kind is _constants.ATOMIC_GROUP:
            return "".join(self._texts(value, chosen, least))
        return _one(kind, value)

    def _branch(self, branches: Any, chosen: Mapping[str, str | None]) -> Any:
        """Choose an alternative: one with a group that shall be there, else one without any that shall not."""
        held = [[name for name in self.groups if any(True for _ in self._found(branch, name))] for branch in branches]
        wanted = next((at for at, names in enumerate(held) if any(chosen.get(name) for name in names)), None)
        allowed = next((at for at, names in enumerate(held) if not any(name in chosen and chosen[name] is None for name in names)), 0)
        return branches[allowed if wanted is None else wanted]


def _one(kind: Any, value: Any) -> str:
    """Write one character that a part accepts; nothing for a part that is none."""
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.ANY:
        return "A"
    if kind is _constants.NOT_LITERAL:
        return "A" if value != ord("A") else "B"
    if kind is _constants.IN:
        return _of_set(value)
    return ""


def _of_set(items: Any) -> str:
    accepted = _compiler.compile(_set_of(items))
    return next((chr(code) for code in (*range(ord("0"), ord("z") + 1), *range(32, 127)) if accepted.fullmatch(chr(code))), "")


def _set_of(items: Any) -> Any:
    state = _parser.State()
    state.str = ""
    return _parser.SubPattern(state, [(_constants.IN, items)])


def _ways(value: Any, decimal: str) -> Iterator[str | None]:
    """Yield ways to write a value, the usual ones first."""
    if value is None or isinstance(value, str):
        yield value
        return
    exact = Fraction(str(value))
    for digits in DECIMALS:
        number = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
        sign, size = "-" if number < 0 else "+", abs(number)
        padded = [text for width in range(3, WIDEST) for text in (f"{number:{width}}", f"{number:0{width}}", f"{sign}{size:>{width}}")]
        for text in (str(number), f"{number:+}", *padded):
            yield text.replace(".", decimal)


def _same(matched: bytes | None, text: str | None) -> bool:
    return (matched or b"").decode("ascii").strip() == (text or "").strip()
