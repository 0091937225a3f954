"""Questions to a receiver about what it holds, and its answers as they are read (docs/uplink.md, Reconciliation). Pure."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

WIDTHS = (4_096, 64, 1)
"""Entries per root, from the coarse question to the finest: the next one is asked where a root differs."""
MOST_SPANS = 64
"""Roots in one answer: a receiver reads 262,144 entries at most for it, and this side keeps a few kilobytes."""
MOST_STREAMS, MOST_REJECTED, MOST_ABSENT = 1_000, 1_000, 1_000
MOST_WHY_CHARS = 200
_ROOT = re.compile(r"[0-9a-f]{64}")


class NotAnswered(Exception):
    """A question has no answer that could be compared: the receiver is away, does not know it, or says something else."""


class Question(NamedTuple):
    """How many entries of an epoch are held from `first` to `last`, and under which roots, cut at multiples of `width`."""

    epoch: int
    first: int
    last: int
    width: int

    def plain(self) -> dict[str, int]:
        """Write it as it stands in the question, and again in its answer."""
        return {"epoch": self.epoch, "from": self.first, "to": self.last, "width": self.width}

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges for which a root is asked."""
        for start in range((self.first - 1) // self.width * self.width + 1, self.last + 1, self.width):
            yield max(self.first, start), min(self.last, start + self.width - 1)


class Span(NamedTuple):
    """What the receiver says of entries `first` to `last`: how many it holds, and the RFC 6962 root over their leaf hashes."""

    first: int
    last: int
    entries: int
    root: bytes


class Absent(NamedTuple):
    """A range that the receiver says it does not hold, and why: never-had, pruned."""

    first: int
    last: int
    why: str


class Answer(NamedTuple):
    """The answer to one question. rejected: seq -> code. all_rejected: the list names each of the range."""

    spans: tuple[Span, ...]
    rejected: dict[int, str]
    absent: tuple[Absent, ...]
    all_rejected: bool

    def why_absent(self, first: int, last: int) -> str | None:
        """Return what the receiver says of a range that it does not hold as a whole; None: nothing."""
        return next((one.why for one in self.absent if one.first <= first and last <= one.last), None)


class Stream(NamedTuple):
    """One epoch of which the receiver holds entries, and how many."""

    epoch: int
    first: int
    last: int
    entries: int


def parse_spans(payload: bytes, gateway: str, question: Question) -> Answer:
    """Read the answer to a question. Raises NotAnswered: a login page, another question's answer, a number that is none."""
    told = _object(payload, gateway)
    stated = {name: told.get(name) for name in question.plain()}
    if list(stated.values()) != list(question):
        raise NotAnswered(f"it answers another question: {stated}, asked was {question.plain()}")
    asked, spans = list(question.spans()), told.get("spans")
    if not isinstance(spans, list) or len(spans) != len(asked):
        raise NotAnswered(f"spans is no list of {len(asked)} counts and roots")
    rejected = _list(told, "rejected", MOST_REJECTED)
    codes = {_count(_member(one, "seq")): str(_member(one, "code"))[:64] for one in rejected}
    absent = tuple(_absent(one) for one in _list(told, "absent", MOST_ABSENT))
    return Answer(tuple(_span(*one) for one in zip(asked, spans, strict=True)), codes, absent, len(rejected) < MOST_REJECTED)


def parse_streams(payload: bytes, gateway: str) -> list[Stream]:
    """Read which epochs the receiver holds. Raises NotAnswered."""
    told = _object(payload, gateway)
    if "streams" not in told:
        raise NotAnswered("streams is missing")
    names = ("epoch", "first", "last", "entries")
    found = [Stream(*(_count(_member(one, name)) for name in names)) for one in _list(told, "streams", MOST_STREAMS)]
    if len({one.epoch for one in found}) < len(found):
        raise NotAnswered("streams names an epoch twice")
    return found


def _object(payload: bytes, gateway: str) -> dict[str, Any]:
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise NotAnswered(f"what it answers is no JSON, or longer than an answer may be: {error}") from error
    if not isinstance(told, dict):
        raise NotAnswered("what it answers is no JSON object")
    if told.get("gateway") != gateway:
        raise NotAnswered(f"it answers for gateway {str(told.get('gateway'))[:80]}, not for {gateway}")
    if "error" in told:
        raise NotAnswered(f"it answers: {str(told['error'])[:MOST_WHY_CHARS]}")
    return told


def _span(where: tuple[int, int], told: Any) -> Span:
    if not isinstance(told, list) or len(told) != 2 or not isinstance(told[1], str) or not _ROOT.fullmatch(told[1]):
        raise NotAnswered(f"of entries {where[0]} to {where[1]} it gives no count and root")
    return Span(*where, _count(told[0]), bytes.fromhex(told[1]))


def _absent(told: Any) -> Absent:
    why = _member(told, "why")
    if why not in ("never-had", "pruned"):
        raise NotAnswered(f"absent: {str(why)[:80]} is no reason: never-had, pruned")
    return Absent(_count(_member(told, "first")), _count(_member(told, "last")), str(why))


def _member(told: Any, name: str) -> Any:
    if not isinstance(told, dict) or name not in told:
        raise NotAnswered(f"an element of its answer has no {name}")
    return told[name]


def _list(told: dict[str, Any], name: str, most: int) -> list[Any]:
    found = told.get(name, [])
    if not isinstance(found, list) or len(found) > most:
        raise NotAnswered(f"{name} is no list of at most {most:,}")
    return found


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:  # bool is an int; orjson gives larger integers too
        raise NotAnswered(f"{str(value)[:40]} is no count")
    return int(value)
