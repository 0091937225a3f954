"""Files that nobody would write by hand, and what they say: written by code of its own, cut, damaged, grown, with an oracle for each.

The oracle: no Good value that the file does not say; a file that was cut is never whole, unless it was cut between two records, and then
its records are the first of those that were written; decimals are exact.
"""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from drivers.contract import GOOD
from drivers.mes_file.content import Refused, content_of, text_of
from drivers.mes_file.delivery import changes, delivery_of
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.mes_file.signs import about_this_file
from drivers.mes_file.values import readings, row_of

COLUMNS = ("id", "text", "number")
WIDTH = 48
KINDS = ("decimal", "float64", "float32", "int32", "int64", "string")
SETTINGS = FileSettings(pattern=(Pattern(name="p", glob="*", format="csv"),), max_line_bytes=2000, max_columns=20)
_ODD = [
    "",
    " ",
    "L,17",
    "a;b",
    'q"q',
    '""',
    "'",
    "#x",
    "x\ty",
    "é",
    "€",
    "0",
    "1,5",
    "-",
    "sep=;",
    "END",
    "<&>",
    "]]>",
    "\\n",
    "null",
    "NaN",
    "T,3",
]
_NO_NUMBERS = ("", "n/a", "<0.1", "1.2.3", "1 2", "1_0", "--1", "nan", "0x1F", "1e", "\u0663")
_LINES = ["a\nb", "a\r\nb", "\n"]


@dataclass(frozen=True)
class File:
    """A file as it was written. rows: what it says, in order; numbers: the exact value of each row's number, None where it has none.

    ends: how many records stand before which character, for each place behind a record; empty where records alone do not end a file.
    """

    pattern: Pattern
    data: bytes
    rows: list[dict[str, str]]
    numbers: list[Decimal | None]
    ends: dict[int, int]


def file_of(dice: random.Random) -> File:
    """Write a file of some format, with what its pattern declares of it."""
    form = dice.choice(("csv", "csv", "fixed", "jsonl", "b2mml"))
    options: dict[str, Any] = {"name": "p", "glob": "*", "format": form, "encoding": dice.choice(("utf-8", "cp1252", "utf-16"))}
    options["decimal"] = dice.choice((".", ","))
    options["thousands"] = dice.choice((None, None, ".", ",", " ", "'"))
    if options["thousands"] == options["decimal"] or form == "jsonl":
        options["thousands"] = None
    if form == "jsonl":
        options |= {"encoding": "utf-8", "decimal": "."}
    if form == "csv":
        options |= {"delimiter": dice.choice(",;\t|"), "key": dice.choice((None, "id"))}
    if form == "fixed":
        options["fields"] = [{"name": name, "start": 1 + WIDTH * place, "width": WIDTH} for place, name in enumerate(COLUMNS)]
    if form == "b2mml":
        options |= {"record": "Row", "encoding": "utf-8"}
    if form in ("csv", "fixed") and dice.random() < 0.3:
        options["whole"] = r"trailer:TRAILER (?P<records>\d+)"
    pattern = Pattern(**options)
    written = [_row(dice, number, pattern) for number in range(dice.choice((0, 1, 2, 3, 8)))]
    rows = [row for row, _ in written]
    end = dice.choice(("\n", "\r\n"))
    return File(pattern, _bytes(dice, pattern, rows, end), rows, [number for _, number in written], _ends(pattern, rows, end))


def _row(dice: random.Random, number: int, pattern: Pattern) -> tuple[dict[str, str], Decimal | None]:
    text = dice.choice(_ODD + (_LINES if pattern.format in ("csv", "jsonl") else []))
    if pattern.format in ("fixed", "b2mml"):
        text = text.strip()
    if pattern.encoding == "cp1252" or pattern.format == "fixed":
        text = text.replace("\n", " ").strip() if pattern.format == "fixed" else text
    value, written = _number(dice, pattern)
    return {"id": f"R{number}", "text": text, "number": written}, value


def _number(dice: random.Random, pattern: Pattern) -> tuple[Decimal | None, str]:
    """Draw a number and write it as the pattern declares; sometimes what is none."""
    if dice.random() < 0.2 and pattern.format != "jsonl":
        return None, dice.choice(_NO_NUMBERS if pattern.encoding != "cp1252" else _NO_NUMBERS[:-1])
    digits = str(dice.randrange(10 ** dice.choice((1, 3, 6, 9, 17, 22))))
    part = "".join(dice.choice("0123456789") for _ in range(dice.choice((0, 0, 1, 2, 5, 12))))
    sign = dice.choice(("", "", "-"))
    value = Decimal(f"{sign}{digits}" + (f".{part}" if part else ""))
    groups = f"{int(digits):,}".replace(",", pattern.thousands) if pattern.thousands and dice.random() < 0.5 else digits
    return value, f"{sign}{groups}" + (f"{pattern.decimal}{part}" if part else "")


def _body(pattern: Pattern, rows: list[dict[str, str]], end: str) -> str:
    return {"csv": _csv, "fixed": _fixed, "jsonl": _jsonl, "b2mml": _xml}[pattern.format](pattern, rows, end)


def _ends(pattern: Pattern, rows: list[dict[str, str]], end: str) -> dict[int, int]:
    if pattern.whole or pattern.format == "b2mml":
        return {}
    none = "" if rows and pattern.format != "csv" else _body(pattern, [], end)
    ends = {len(none): 0} | {len(_body(pattern, rows[:count], end)): count for count in range(1, len(rows) + 1)}
    # The first character of a line end of two is one by itself.
    return ends | {place - 1: count for place, count in ends.items() if len(end) == 2 and place}


def _bytes(dice: random.Random, pattern: Pattern, rows: list[dict[str, str]], end: str) -> bytes:
    body = _body(pattern, rows, end)
    if pattern.whole:
        body += f"TRAILER {len(rows)}{dice.choice((end, ''))}"
    return body.encode(pattern.encoding, "strict")


def _csv(pattern: Pattern, rows: list[dict[str, str]], end: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=pattern.delimiter, lineterminator=end, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(COLUMNS)
    writer.writerows([row[column] for column in COLUMNS] for row in rows)
    return out.getvalue()


def _fixed(pattern: Pattern, rows: list[dict[str, str]], end: str) -> str:
    del pattern
    return "".join("".join(row[column].ljust(WIDTH) for column in COLUMNS) + end for row in rows) or end


def _jsonl(pattern: Pattern, rows: list[dict[str, str]], end: str) -> str:
    del pattern
    return (
        "".join(
            f'{{"id":{json.dumps(row["id"])},"text":{json.dumps(row["text"], ensure_ascii=False)},"number":{row["number"]}}}{end}'
            for row in rows
        )
        or end
    )


def _xml(pattern: Pattern, rows: list[dict[str, str]], end: str) -> str:
    del pattern
    body = "".join(f"<Row>{''.join(f'<{name}>{escape(row[name])}</{name}>' for name in COLUMNS)}</Row>" for row in rows)
    return f'<?xml version="1.0"?>{end}<Rows>{body}</Rows>{end}'


def read(pattern: Pattern, data: bytes) -> list[dict[str, Any]] | None:
    """Read a content as the driver does: its records, or None if it is not read. Raises nothing else."""
    try:
        with about_this_file(pattern.sign):
            delivery = delivery_of(content_of(data, pattern, SETTINGS), None, [], pattern, SETTINGS)
            return [change.record for change in changes(delivery, pattern, SETTINGS)]
    except Refused:
        return None


def check_whole(file: File, seen: Counter[str]) -> None:
    """Read a whole file: it says what was written."""
    records = read(file.pattern, file.data)
    if records is None:
        # The only reasons: no line at all (a trailer without records is one), or a text that the form can not carry.
        seen["whole, not read"] += 1
        assert _may_be_refused(file), (file.pattern, file.data)
        return
    seen["whole"] += 1
    assert len(records) == len(file.rows), (file.pattern, file.data, records)
    for record, row, number in zip(records, file.rows, file.numbers, strict=True):
        assert {name: _said(record[name]) for name in ("id", "text")} == {"id": row["id"], "text": _carried(file.pattern, row["text"])}
        _check_values(file.pattern, record, number, seen)


def _carried(pattern: Pattern, text: str) -> str:
    return text.strip() if pattern.format in ("fixed", "b2mml") else text


def _may_be_refused(file: File) -> bool:
    return not file.rows


def _said(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _check_values(pattern: Pattern, record: dict[str, Any], number: Decimal | None, seen: Counter[str]) -> None:
    """Check that each Good value of a number column is exactly the number that was written."""
    made, why = readings([(index, "number", kind) for index, kind in enumerate(KINDS)], record, None, pattern)
    for (index, value, status, *_), kind in zip(made, KINDS, strict=True):
        if kind == "string":
            continue
        if status != GOOD:
            assert value is None
            seen["bad"] += 1
            continue
        seen["good"] += 1
        assert number is not None, (record, value, why)
        assert _exactly(value) == number, (record, kind, value, number, index)
    if number is not None:
        assert made[0][2] == GOOD, (record, why)  # a decimal holds every number
        assert str(made[0][1]).lstrip("-") == str(number).lstrip("-"), (record, made[0])  # to the last zero; -0 may be 0


def _exactly(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def check_cut(file: File, dice: random.Random, seen: Counter[str]) -> None:
    """Cut a file anywhere: it is not read, or was cut between two records, and then says the first of those that were written."""
    if not file.data:
        return
    at = dice.randrange(len(file.data))
    records = read(file.pattern, file.data[:at])
    if records is None:
        seen["cut, not read"] += 1
        return
    seen["cut between records"] += 1
    before, text = (data.decode(file.pattern.encoding) for data in (file.data[:at], file.data))
    if file.ends:
        assert file.ends.get(len(before)) == len(records), ("not behind the end of a record", file.pattern, file.data, at)
    else:
        assert text[len(before) :].strip() == "", (file.pattern, file.data, at)
    rows = [(_said(record["id"]), _said(record["text"])) for record in records]
    truth = [(row["id"], _carried(file.pattern, row["text"])) for row in file.rows[: len(rows)]]
    assert rows == truth, (file.pattern, file.data, at, rows)
    for record, number in zip(records, file.numbers, strict=False):
        _check_values(file.pattern, record, number, seen)


def check_damaged(file: File, dice: random.Random, seen: Counter[str]) -> None:
    """Damage a file: it is refused, or each Good number stands in it so, digit by digit."""
    data = bytearray(file.data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        place = dice.randrange(len(data) + 1)
        cut = dice.choice((0, 0, 1, 4))
        data[place : place + cut] = bytes(
            dice.choice((10, 13, 34, 44, 46, 59, 48, 57, 0, 255, 226, 32)) for _ in range(dice.choice((0, 1, 2)))
        )
    records = read(file.pattern, bytes(data))
    if records is None:
        seen["damaged, not read"] += 1
        return
    seen["damaged, read"] += 1
    text = text_of(bytes(data), file.pattern.encoding) if file.pattern.format != "b2mml" else bytes(data).decode("utf-8", "replace")
    for record in records:
        for value in _good_numbers(file.pattern, record):
            written = record["number"]
            said = _said(written)
            plain = said.strip(" \u00a0\u202f").replace(file.pattern.thousands or "\0", "").replace(file.pattern.decimal, ".")
            assert said in text or "&" in text or not isinstance(written, str), (file.pattern, data, said)
            assert _exactly(value) == Decimal(plain), (file.pattern, said, value)
    assert all(isinstance(row_of(record), dict) for record in records)


def _good_numbers(pattern: Pattern, record: dict[str, Any]) -> Iterator[Any]:
    made, _ = readings([(index, "number", kind) for index, kind in enumerate(KINDS[:-1])], record, None, pattern)
    yield from (value for _, value, status, *_ in made if status == GOOD)


def fuzz(seed: int, seen: Counter[str]) -> None:
    """Make one file and do everything to it. Raises AssertionError, which names the seed."""
    dice = random.Random(seed)
    file = file_of(dice)
    try:
        check_whole(file, seen)
        for _ in range(4):
            check_cut(file, dice, seen)
            check_damaged(file, dice, seen)
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise


def told(seen: Counter[str]) -> str:
    """Say what was done."""
    whole = f"{seen['whole']} files read as written, {seen['good']} values exact, {seen['bad']} Bad"
    cut = f"{seen['cut, not read']} cuts not read, {seen['cut between records']} between records"
    return f"{whole}; {cut}; {seen['damaged, not read']} damaged refused, {seen['damaged, read']} read as they stand"
