"""The protocols that the driver speaks, as data: requests, readers of lines, fields."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from drivers.serial import lines, mtsics, sbi
from drivers.serial.answer import Answer
from drivers.serial.printout import Printout
from drivers.serial.settings import SerialSettings

TYPES = ("decimal", "float64", "float32", "string")


@dataclass(frozen=True)
class Dialect:
    """One protocol with its settings.

    units: field -> the field that names its unit. request: bytes that ask for a value; None if the instrument sends by itself. begin: bytes
    that start its sending, sent once. identify: True if it understands MT-SICS I4, by which the driver gets in step after a fault. Others
    must fall silent for a time-out. shows_beginning: True if no part of a line reads as a line, so that it need not be seen from its
    beginning. kind: "poll" where lines are samples, "change" where each line is an event of its own (a printed ticket). ignores: tells the
    lines that are neither values nor faults. printout: makes the place in a stream whose answers have several lines; else each line is one.
    pause_s: the longest pause in one. decimal: the decimal sign of numbers.
    """

    fields: Mapping[str, tuple[str, ...]]
    units: Mapping[str, str]
    read: Callable[[bytes], Answer]
    request: bytes | None
    begin: bytes | None = None
    terminator: bytes = b"\r\n"
    identify: bool = False
    shows_beginning: bool = False
    kind: Literal["poll", "change"] = "poll"
    may_be_silent: bool = False
    ignores: Callable[[bytes], bool] = field(default=lambda _: False)
    printout: Callable[[], Printout] | None = None
    pause_s: float = 0.0
    decimal: str = "."


def dialect_of(settings: SerialSettings) -> Dialect:
    """Make the dialect that the settings name. Raises lines.UnsafePattern."""
    unit = {"weight": "unit"}
    if settings.protocol == "mt-sics":
        command = settings.command.encode("ascii") + b"\r\n"
        asked, begin = (None, command) if settings.command == "SIR" else (command, None)
        return Dialect(mtsics.FIELDS, unit, mtsics.weight_of, asked, begin, identify=True, shows_beginning=True)
    if settings.protocol == "sbi":
        return Dialect(sbi.FIELDS, unit, sbi.weight_of, sbi.REQUEST)
    return _of_lines(settings)


def _of_lines(settings: SerialSettings) -> Dialect:
    names = [name for pattern in settings.patterns for name in lines.fields_of(pattern)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise lines.UnsafePattern(f"{', '.join(twice)}: named by two patterns; a unit of its own is x_unit, for the group x")
    readers = [lines.reader(pattern) for pattern in settings.patterns]
    return Dialect(
        {name: ("bool",) if name == "stable" else TYPES for name in names},
        {field: unit for pattern in settings.patterns for field, unit in lines.units_of(pattern).items()},
        readers[0],
        None if settings.request is None else settings.request.encode("ascii"),
        terminator=settings.terminator.encode("ascii"),
        kind="change" if settings.request is None else "poll",
        may_be_silent=settings.request is None,
        ignores=_ignores(settings.ignore),
        printout=_printout(settings, readers),
        pause_s=settings.pause_s,
        decimal=settings.decimal,
    )


def _printout(settings: SerialSettings, readers: Sequence[Callable[[bytes], Answer]]) -> Callable[[], Printout] | None:
    begin, end = settings.begin, settings.end
    if begin is None or end is None:
        return None
    for pattern in (begin, end):
        lines.names_in(pattern)
    return lambda: Printout(begin, end, readers)


def _ignores(patterns: tuple[str, ...]) -> Callable[[bytes], bool]:
    for pattern in patterns:
        lines.names_in(pattern)
    compiled = [re.compile(pattern.encode("ascii")) for pattern in patterns]
    return lambda line: any(each.fullmatch(line) for each in compiled)
