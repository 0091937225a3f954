"""How a parallel run goes on: each batch with its newest comparison, each field over the batches, and whether the run may end (URS-OBS-05).

What counts are comparisons that stand in the journal, by the rules in force, declared before their batch, signed by somebody of role qa,
with nothing open. A batch that was made and not compared breaks the row: what nobody looked at is not without a difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import event_type, read_journal
from buffer.times import from_rfc3339
from config import Line
from gateway.documents import NotADocument, read
from gateway.validation.parallel_run.document import KIND
from gateway.validation.parallel_run.judging import MATCH, MISMATCH, NOT_COMPARABLE, ONLY_GATEWAY, ONLY_LEGACY
from gateway.validation.parallel_run.numbers import plain
from gateway.validation.parallel_run.rules import digest

Json = dict[str, Any]
GOOD = ("passed", "passed-with-dispositions")
ONE_SIDED = (ONLY_GATEWAY, ONLY_LEGACY)


class Told(NamedTuple):
    """What the journal tells.

    recorded: SHA-256 of the comparisons that it holds. newest: batch -> when its newest one was made, and its SHA-256. batches: those that
    ended, in order: ticks, number.
    """

    recorded: frozenset[str]
    newest: Mapping[str, tuple[str, str]]
    batches: list[tuple[int, str]]


class Found(NamedTuple):
    """A comparison in a file. problems: of its signatures."""

    file: str
    document: Mapping[str, Any]
    problems: Sequence[str]


def told_by(data: Path) -> Told:
    """Read which comparisons and which ends of batches the journal holds. Raises StorageError on damage, FileNotFoundError."""
    recorded, newest, ends = set[str](), dict[str, tuple[str, str]](), dict[str, int]()
    for entry in read_journal(data):
        kind = event_type(entry.payload)
        if kind == "document" and KIND.encode() in entry.payload:
            event = orjson.loads(entry.payload)["event"]
            if event["document"] == KIND:
                recorded.add(event["sha256"])
                made = (event["made_at"]["time"], event["sha256"])
                newest[event["batch"]] = max(made, newest.get(event["batch"], made))
        elif kind == "batch":
            event = orjson.loads(entry.payload)["event"]
            if event["transition"] == "end" and event.get("batch") and event.get("end"):
                ends[event["batch"]] = from_rfc3339(event["end"]["time"])
                if event.get("superseded_by"):
                    del ends[event["batch"]]
    return Told(frozenset(recorded), newest, sorted((ticks, batch) for batch, ticks in ends.items()))


def comparisons(folder: Path, gateway: str, check: Callable[[Mapping[str, Any]], Sequence[str]]) -> tuple[list[Found], list[str]]:
    """Read the comparisons in a folder; return them, and what is wrong with files that are none. check: problems of the signatures."""
    found, wrong = [], []
    for path in sorted(folder.rglob("*.json")):
        try:
            document = read(path)
        except (NotADocument, OSError, UnicodeDecodeError) as error:
            wrong.append(str(error))
            continue
        if document["document"] == KIND and document["gateway"] == gateway:
            found.append(Found(path.name, document, check(document)))
    return found, wrong


def trend(line: Line, told: Told, found: Sequence[Found]) -> Json:
    """Put the comparisons of all batches beside each other."""
    newest: dict[str, Found] = {}
    for one in sorted(found, key=lambda each: str(each.document["made_at"]["time"])):
        if one.document["sha256"] in told.recorded or str(one.document["batch"]) not in newest:
            newest[str(one.document["batch"])] = one
    rules = digest(line)
    first = min((ticks for ticks, batch in told.batches if batch in newest), default=None)
    batches = [_batch(batch, newest.get(batch), told, rules) for ticks, batch in told.batches if first is not None and ticks >= first]
    needed = line.parallel_run.consecutive_batches if line.parallel_run is not None else 0
    last, longest = _rows_of(batches)
    return {
        "batches": batches,
        "fields": [*_fields([newest[one["batch"]].document for one in batches if one["batch"] in newest])],
        "rules": rules,
        "needed": needed,
        "last": last,
        "longest": longest,
        "may_end": bool(needed) and last >= needed,
        "unknown": sorted(batch for batch in newest if batch not in {name for _, name in told.batches}),
    }


def _batch(batch: str, one: Found | None, told: Told, rules: str | None) -> Json:
    if one is None:
        return {"batch": batch, "document": None, "file": None, "counts": None, "result": None, "signed": [], "why_not": "was not compared"}
    document = one.document
    return {
        "batch": batch,
        "document": document["id"],
        "file": one.file,
        "counts": document["facts"]["counts"],
        "result": document["result"],
        "signed": [f"{each['name']} ({each['user']}, {each['role']})" for each in document["signatures"]],
        "why_not": next(iter(_against(one, told, rules)), None),
    }


def _against(one: Found, told: Told, rules: str | None) -> Iterator[str]:
    """Yield why a comparison does not count."""
    document, stated = one.document, one.document["facts"]["rules"]
    if document["sha256"] not in told.recorded:
        yield "stands in no entry of the journal: `document record`"
    if told.newest.get(document["batch"], ("", document["sha256"]))[1] != document["sha256"]:
        yield "the journal holds a newer comparison of it, which is not in the folder"
    if document["result"] not in GOOD:
        yield f"{document['facts']['counts']['open']} rows are open"
    if stated["sha256"] != rules:
        yield "was made by other rules than those in force: compare it again"
    if stated["declared_before"] != "yes":
        yield "its rules were not declared before the batch"
    if one.problems:
        yield f"a signature does not hold: {one.problems[0]}"
    if not any(each["role"] == "qa" for each in document["signatures"]):
        yield "is not signed by QA"


def _rows_of(batches: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Count the batches in a row that count: the row that ends with the newest batch, and the longest one."""
    last = longest = 0
    for one in batches:
        last = last + 1 if one["why_not"] is None else 0
        longest = max(longest, last)
    return last, longest


def _fields(documents: Sequence[Mapping[str, Any]]) -> Iterator[Json]:
    """Yield each field over the batches, in the order of compare.csv."""
    rows: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for document in documents:
        for row in document["facts"]["rows"]:
            rows.setdefault(_named(row), []).append((str(document["batch"]), row))
    for field, told in rows.items():
        of = [row for _, row in told]
        differences = [number for row in of if (number := _number(row["difference"])) is not None]
        yield {
            "field": field,
            "name": next((row["name"] for row in of if row["name"]), None),
            "unit": next((unit for row in of if (unit := _unit(row)) is not None), None),
            "batches": len({batch for batch, _ in told}),
            "match": sum(row["verdict"] == MATCH for row in of),
            "mismatch": sum(row["verdict"] == MISMATCH for row in of),
            "one_sided": sum(row["verdict"] in ONE_SIDED for row in of),
            "not_comparable": sum(row["verdict"] == NOT_COMPARABLE for row in of),
            "explained": sum(row["explanation"] is not None for row in of),
            "largest": plain(max(differences, key=abs)) if differences else None,
            "mean": plain(sum(differences, Fraction(0)) / len(differences)) if differences else None,
            "by_batch": [{"batch": batch, "verdict": row["verdict"], "difference": row["difference"]} for batch, row in told],
        }


def _named(row: Mapping[str, Any]) -> str:
    """Name a row over the batches: what people entered is never in one figure with what a system measured."""
    name, theirs = str(row["field"] or row["item"]), row["legacy"]
    return name if theirs is None or theirs["origin"] == "automatic" else f"{name} ({theirs['origin']})"


def _unit(row: Mapping[str, Any]) -> str | None:
    if (row["difference"] or "").endswith(" s"):
        return "s"
    return None if row["gateway"] is None or row["gateway"]["unit"] is None else str(row["gateway"]["unit"])


def _number(text: str | None) -> Fraction | None:
    """Read a difference back from its text; seconds have their unit behind them, a number whose decimals do not end ~ before it."""
    return None if text is None else Fraction(text.removesuffix(" s").removeprefix("~"))
