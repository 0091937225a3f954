r"""Proofs about lot rules: that no two lots become one, that no lot matches two rules, that matching takes linear time (URS-CTX-06).

A pattern is a closed subset of regular expressions, small enough to be decided: literals, [classes], \\d, (?P<name>groups), (?:groups),
alternatives, and the counts ?, {m}, {m,n}. It must be deterministic: the next character alone says where in the pattern one stands
(one-unambiguous, Brüggemann-Klein and Wood 1998; XML Schema asks the same of its content models). So a backtracking engine never
backtracks for long, and a match gives each group exactly one value.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from config.lots.rules import FIELD

MAX_POSITIONS = 500
MAX_DEPTH = 10
_PRINTABLE = frozenset(map(chr, range(32, 127)))
_DIGITS = frozenset("0123456789")
_COUNT = re.compile(r"\{([0-9]{1,2})(?:(,)([0-9]{1,2}))?\}")
_NAMED = re.compile(r"\(\?P<([a-z_][a-z0-9_]*)>")


class ProofError(ValueError):
    """The rule is refused; the text gives the reason. is_of_canonical: the mistake is in `canonical`, not in `pattern`."""

    def __init__(self, message: str, *, is_of_canonical: bool = False) -> None:
        super().__init__(message)
        self.is_of_canonical = is_of_canonical


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a pattern: one character of a set, a sequence, alternatives, or an optional piece. name: of a group."""

    kind: str  # char, seq, alt, opt
    chars: frozenset[str] = frozenset()
    parts: tuple["Node", ...] = ()
    name: str | None = None


@dataclass(slots=True)
class Language:
    """The texts of a pattern as an automaton: a state is a position in the pattern (Glushkov), 0 is the start."""

    tree: Node
    compiled: re.Pattern[str]
    chars: list[frozenset[str]] = field(default_factory=lambda: [frozenset()])
    follow: list[list[int]] = field(default_factory=lambda: [[]])
    ends: set[int] = field(default_factory=set)

    def meets(self, other: "Language") -> str | None:
        """Find the shortest text that both languages have, by a walk over pairs of states; None if there is none."""
        queue = deque([(0, 0, "")])
        seen = {(0, 0)}
        while queue:
            here, there, text = queue.popleft()
            if here in self.ends and there in other.ends:
                return text
            for next_here in self.follow[here]:
                for next_there in other.follow[there]:
                    common = self.chars[next_here] & other.chars[next_there]
                    if common and (next_here, next_there) not in seen:
                        seen.add((next_here, next_there))
                        queue.append((next_here, next_there, text + min(common)))
        return None

    def image(self, canonical: str) -> "Language":
        """Make the language of the canonical numbers of the rule; it may contain more texts, but has every number the rule can make."""
        return _automaton(_image(self.tree, canonical), re.compile(""))


def language(pattern: str) -> Language:
    """Parse a pattern. Raises ProofError if it lies outside the subset or is not deterministic."""
    automaton = _automaton(_Parser(pattern).whole(), re.compile(pattern, re.ASCII))
    _check_deterministic(automaton, "the pattern", is_of_canonical=False)
    return automaton


def proven(automaton: Language, canonical: str) -> None:
    """Prove that different lots get different numbers. Raises ProofError with the reason."""
    fields = {match["name"]: match for match in FIELD.finditer(canonical)}
    groups = {part.name: part for part in _top_parts(automaton.tree) if part.name}
    for name, match in fields.items():
        if name not in groups:
            raise ProofError(f"no group `{name}` stands at the outermost level of the pattern", is_of_canonical=True)
        _check_field(groups[name], match)
    for part in _top_parts(automaton.tree):
        if part.name not in fields and not _is_constant(part):
            what = f"group `{part.name}`" if part.name else "a part of the pattern outside the fields"
            raise ProofError(f"{what} varies but does not stand in the canonical number: two lots would become one", is_of_canonical=True)
    _check_deterministic(automaton.image(canonical), "the canonical number", is_of_canonical=True)


def _check_field(group: Node, match: re.Match[str]) -> None:
    alphabet = frozenset().union(*_alphabets(group))
    name = match["name"]
    if match["case"] and alphabet & {letter.upper() for letter in alphabet if letter.islower()}:
        raise ProofError(f"`{name}` has a letter in both cases, {{{name}:upper}} would make two lots one", is_of_canonical=True)
    if not match["width"]:
        return
    if not alphabet <= _DIGITS:
        raise ProofError(f"`{name}` is not of digits alone, zeros can not be added to it", is_of_canonical=True)
    shortest, longest = _lengths(group)
    if shortest == 0 or (shortest != longest and "0" in _first_characters(group)):
        raise ProofError(
            f"`{name}` can begin with 0 and has {shortest} to {longest} digits: 7 and 07 would become one; begin it with [1-9]",
            is_of_canonical=True,
        )


def _image(tree: Node, canonical: str) -> Node:
    groups = {part.name: part for part in _top_parts(tree) if part.name}
    parts: list[Node] = []
    at = 0
    for match in FIELD.finditer(canonical):
        parts += [Node("char", frozenset(letter)) for letter in canonical[at : match.start()]]
        parts.append(_image_of_field(groups[match["name"]], match))
        at = match.end()
    return Node("seq", parts=(*parts, *(Node("char", frozenset(letter)) for letter in canonical[at:])))


def _image_of_field(group: Node, match: re.Match[str]) -> Node:
    if match["width"]:  # wider than what the group gives: a larger language can refuse a good rule, but never accept a bad one
        shortest, longest = _lengths(group)
        return _repeated(Node("char", _DIGITS), max(shortest, int(match["width"])), max(longest, int(match["width"])))
    return _upper(group) if match["case"] else group


def _upper(node: Node) -> Node:
    return Node(node.kind, frozenset(letter.upper() for letter in node.chars), tuple(map(_upper, node.parts)), node.name)


# ---- questions about a tree --------------------------------------------------------------------------------------------------------


def _top_parts(node: Node) -> Iterator[Node]:
    """Yield the parts of the outermost sequence, looking through groups without a name."""
    if node.kind == "seq" and node.name is None:
        for part in node.parts:
            yield from _top_parts(part)
    else:
        yield node


def _is_constant(node: Node) -> bool:
    return len(node.chars) == 1 if node.kind == "char" else node.kind == "seq" and all(map(_is_constant, node.parts))


def _alphabets(node: Node) -> Iterator[frozenset[str]]:
    yield node.chars
    for part in node.parts:
        yield from _alphabets(part)


def _lengths(node: Node) -> tuple[int, int]:
    """Compute the lengths of the (shortest, longest) text."""
    if node.kind == "char":
        return 1, 1
    low, high = zip(*map(_lengths, node.parts), strict=True) if node.parts else ((0,), (0,))
    if node.kind == "seq":
        return sum(low), sum(high)
    return (0 if node.kind == "opt" else min(low)), max(high)


def _first_characters(node: Node) -> frozenset[str]:
    automaton = _automaton(node, re.compile(""))
    return frozenset().union(*(automaton.chars[state] for state in automaton.follow[0]))


# ---- from a tree to its automaton --------------------------------------------------------------------------------------------------


def _automaton(tree: Node, compiled: re.Pattern[str]) -> Language:
    automaton = Language(tree, compiled)
    nullable, first, last = _positions(automaton, tree)
    automaton.follow[0] = first
    automaton.ends = {*last, *([0] if nullable else [])}
    return automaton


def _positions(automaton: Language, node: Node) -> tuple[bool, list[int], list[int]]:
    """Compute (can be empty, first positions, last positions) of a piece, and record the successors of each position in it."""
    if node.kind == "char":
        if len(automaton.chars) > MAX_POSITIONS:
            raise ProofError(f"the pattern is longer than {MAX_POSITIONS} characters when its counts are written out")
        automaton.chars.append(node.chars)
        automaton.follow.append([])
        return False, [len(automaton.chars) - 1], [len(automaton.chars) - 1]
    if node.kind == "seq":
        return _positions_of_sequence(automaton, node.parts)
    pieces = [_positions(automaton, part) for part in node.parts]
    nullable = node.kind == "opt" or any(piece[0] for piece in pieces)
    return nullable, [state for piece in pieces for state in piece[1]], [state for piece in pieces for state in piece[2]]


def _positions_of_sequence(automaton: Language, parts: Iterable[Node]) -> tuple[bool, list[int], list[int]]:
    nullable, first, last = True, list[int](), list[int]()
    for part in parts:
        may_miss, starts, ends = _positions(automaton, part)
        for state in last:
            automaton.follow[state] += starts
        first = first + starts if nullable else first
        last = last + ends if may_miss else ends
        nullable = nullable and may_miss
    return nullable, first, last


def _check_deterministic(automaton: Language, what: str, *, is_of_canonical: bool) -> None:
    for successors in automaton.follow:
        taken: set[str] = set()
        for state in successors:
            if both := taken & automaton.chars[state]:
                raise ProofError(
                    f"{what} can be read in two ways at `{min(both)}`: separate parts of varying length, and write alternatives"
                    " so that their first characters differ",
                    is_of_canonical=is_of_canonical,
                )
            taken |= automaton.chars[state]


# ---- the parser --------------------------------------------------------------------------------------------------------------------


def _repeated(node: Node, low: int, high: int) -> Node:
    """Write x{2,4} out as x x (x (x)?)?: nested, so that it stays deterministic."""
    tail: Node | None = None
    for _ in range(high - low):
        tail = Node("opt", parts=(node if tail is None else Node("seq", parts=(node, tail)),))
    return Node("seq", parts=(*([node] * low), *([tail] if tail else [])))


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.names: set[str] = set()

    def whole(self) -> Node:
        node = self._alternatives(0)
        if self.at < len(self.text):
            raise ProofError("a bracket is closed that was not opened")
        return node

    def _alternatives(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ProofError("groups are nested too deeply")
        branches = [self._sequence(depth)]
        while self._takes("|"):
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Node("alt", parts=tuple(branches))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._counted(self._piece(depth)))
        return Node("seq", parts=tuple(parts))

    def _counted(self, node: Node) -> Node:
        if self._takes("?"):
            self._refuse_second_count(node)
            return Node("opt", parts=(node,))
        match = _COUNT.match(self.text, self.at)
        if match is None:
            if self.text[self.at : self.at + 1] in ("*", "+", "{"):
                raise ProofError(f"`{self.text[self.at]}` has no end: write a count such as {{1,8}}")
            return node
        self.at = match.end()
        low = int(match[1])
        high = int(match[3]) if match[2] else low
        if high < low or high == 0:
            raise ProofError(f"`{match.group()}` is no count")
        if (low, high) != (1, 1):
            self._refuse_second_count(node)
        return _repeated(node, low, high)

    def _refuse_second_count(self, node: Node) -> None:
        if self.text[self.at : self.at + 1] in ("?", "*", "+", "{"):
            raise ProofError("two counts stand one behind the other")
        if any(part.name for part in _walk(node)):
            raise ProofError("a named group can not be repeated or left out; put the count inside it")
        shortest, longest = _lengths(node)
        if shortest != longest:
            raise ProofError("a count stands around a part of varying length (nested quantifiers)")

    def _piece(self, depth: int) -> Node:
        if named := _NAMED.match(self.text, self.at):
            return self._group(named.end(), depth, named[1])
        if self.text.startswith("(?:", self.at):
            return self._group(self.at + 3, depth, None)
        if self.text.startswith("(", self.at):
            raise ProofError("write groups as (?P<name>...) or (?:...)")
        return Node("char", self._class() if self.text[self.at] == "[" else self._character())

    def _group(self, start: int, depth: int, name: str | None) -> Node:
        if name in self.names:
            raise ProofError(f"group `{name}` stands twice")
        self.names |= {name} if name else set()
        self.at = start
        inner = self._alternatives(depth + 1)
        if not self._takes(")"):
            raise ProofError("a bracket is not closed")
        return Node(inner.kind, inner.chars, inner.parts, name) if inner.name is None else Node("seq", parts=(inner,), name=name)

    def _character(self) -> frozenset[str]:
        letter = self.text[self.at]
        self.at += 1
        if letter == "\\":
            return self._escaped()
        if letter == ".":
            return _PRINTABLE
        if letter not in _PRINTABLE or letter in "^$*+?{}]":
            raise ProofError(f"`{letter}` can not stand here; write \\{letter} for the character itself")
        return frozenset(letter)

    def _escaped(self) -> frozenset[str]:
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        if letter == "d":
            return _DIGITS
        if not letter or letter.isalnum() or letter not in _PRINTABLE:
            raise ProofError(f"`\\{letter}` is not possible here")
        return frozenset(letter)

    def _class(self) -> frozenset[str]:
        end = self.text.find("]", self.at + 2)
        body = self.text[self.at + 1 : end]
        if end < 0 or body.startswith("^") or re.search(r"[\[\\&~|]|--", body):
            raise ProofError("write a class as [A-Z0-9]; neither ^ nor \\ nor [ can stand in it")
        self.at = end + 1
        chars: set[str] = set()
        for match in re.finditer(r"(.)-(.)|(.)", body):
            low, high = (match[1], match[2]) if match[1] else (match[3], match[3])
            if low > high or low not in _PRINTABLE or high not in _PRINTABLE:
                raise ProofError(f"`{match.group()}` is no range")
            chars |= {chr(code) for code in range(ord(low), ord(high) + 1)}
        return frozenset(chars)

    def _takes(self, letter: str) -> bool:
        taken = self.text.startswith(letter, self.at)
        self.at += taken
        return taken


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _walk(part)
