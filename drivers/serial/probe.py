"""Shows what an instrument says, line by line, and which tag takes what of each. Only requests for values are sent."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from config import Tag
from drivers.contract import BAD_DECODING, GOOD, Reading
from drivers.serial.answer import Answer, NotAnAnswer
from drivers.serial.conversation import Conversation
from drivers.serial.dialect import Dialect
from drivers.serial.library import LIBRARY
from drivers.serial.port import Line, Port, Silent, Unframed
from drivers.serial.printout import Incomplete, Printout
from drivers.serial.readings import Fields, unit_of
from drivers.serial.settings import SerialSettings

MOST_LINES = 10
MOST_LINES_OF_PRINTOUT = 100
LISTENED_S = 10.0
"""An instrument that speaks by itself is listened to for so long at most; a printer may say nothing in it."""


@dataclass
class ProbedTag:
    """A tag and the field that it takes. state: "ok", or what is wrong. value: of the newest line that was taken, in the map's unit."""

    tag: str
    field: str
    type: str
    unit: str | None
    state: str = "not-seen"  # "ok", "bad", "other-unit", "undecodable", "outside-range", "not-available", "not-seen"
    value: Any = None
    hint: str | None = None

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        unit = "" if self.unit in (None, "1") else f" {self.unit}"
        shown = f"{self.value}{unit}" if self.state == "ok" else f"{self.state}{f': {self.hint}' if self.hint else ''}"
        return [f"{'ok' if self.state == 'ok' else '!!'} {self.tag}  {self.field}  {shown}"]


@dataclass
class Heard:
    """One line as it came. problem: why nothing of it is taken; None if it is. taken: how it is taken."""

    text: str
    hex: str
    problem: str | None = None
    taken: str = "taken"

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        return [f"   {self.text}   {self.problem or self.taken}", *([f"      {self.hex}"] if self.problem else [])]


@dataclass
class ProbeReport:
    """What the instrument said. findings: why it could not be heard. unmatched: lines that are a gap while the gateway runs."""

    tags: list[ProbedTag]
    heard: list[Heard] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    unmatched: int = 0
    reads_as: dict[str, int] = field(default_factory=dict)
    """Instruments of the library that would take lines which are not taken, with how many of them."""

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        told = [line for heard in self.heard for line in heard.lines()]
        told += [f'   instrument = "{name}" would take {count} of them' for name, count in self.reads_as.items()]
        return [*told, *(f"!! {finding}" for finding in self.findings), *(line for tag in self.tags for line in tag.lines())]


async def probe(port: Port, tags: Sequence[Tag], dialect: Dialect, settings: SerialSettings) -> ProbeReport:
    """Ask, or listen to, an instrument until ten lines came; `port` is open. Raises LinkLost, BadReply."""
    fields = Fields(tags, dialect.units, dialect.decimal)
    report = ProbeReport([ProbedTag(tag.tag, name, tag.type, tag.unit) for tag, name in zip(tags, fields.names, strict=True)])
    talk = Conversation(port, dialect, settings)
    await talk.get_in_step()
    await talk.ask()
    deadline_s = asyncio.get_running_loop().time() + (LISTENED_S if dialect.request is None else talk.timeout_s)
    printout = None if dialect.printout is None else dialect.printout()
    while len(report.heard) < (MOST_LINES if printout is None else MOST_LINES_OF_PRINTOUT):
        try:
            line = await talk.line(deadline_s)
        except Silent as error:
            if not report.heard or error.partial:
                report.findings.append(str(error))
            break
        except Unframed as error:
            report.findings.append(str(error))
            continue
        answer = _heard(report, line, talk.has_beginning(line), dialect, printout)
        if answer is not None:
            _judge(report.tags, tags, fields, answer, talk.serial_number)
            if dialect.request is not None:
                break
    if settings.protocol == "line":
        report.reads_as = _reads_as([bytes.fromhex(heard.hex) for heard in report.heard if heard.problem is not None])
    return report


def _reads_as(lines: Sequence[bytes]) -> dict[str, int]:
    counts = {name: sum(_takes(keys["pattern"], line) for line in lines) for name, keys in LIBRARY.items()}
    return {name: count for name, count in counts.items() if count}


def _takes(pattern: str, line: bytes) -> bool:
    return re.fullmatch(pattern.encode("ascii"), line) is not None


def _heard(
    report: ProbeReport,
    line: Line,
    has_beginning: bool,  # noqa: FBT001 - of the line
    dialect: Dialect,
    printout: Printout | None,
) -> Answer | None:
    """Note a line; return the answer that the gateway would take it for, or that it ends."""
    heard = Heard(repr(line.text)[1:], line.text.hex(" "))
    report.heard.append(heard)
    if not has_beginning:
        heard.problem = "not taken: its beginning was not seen"
    elif dialect.ignores(line.text):
        heard.problem = "ignored"
    else:
        try:
            answer = dialect.read(line.text) if printout is None else printout.take(line.text)
        except NotAnAnswer as error:
            heard.problem = f"not taken: {str(error) if isinstance(error, Incomplete) else str(error).partition(':')[0]}"
            report.unmatched += 1
        else:
            heard.taken = "taken" if printout is None else "within a printout" if answer is None else "ends a printout: taken"
            return answer
    return None


def _judge(probed: Sequence[ProbedTag], tags: Sequence[Tag], fields: Fields, answer: Answer, serial: str | None) -> None:
    others = dict(fields.in_other_unit(answer))
    for told, tag, reading in zip(probed, tags, fields.readings(answer, serial), strict=True):
        told.state, told.value, told.hint = _state(tag, reading, others.get(reading[0]))


def _state(tag: Tag, reading: Reading, other_unit: str | None) -> tuple[str, Any, str | None]:
    _, value, status, _, _ = reading
    if other_unit is not None:
        return "other-unit", None, f"the instrument says {other_unit}, the map says {unit_of(tag)}"
    if value is None:
        return ("undecodable", None, f"no {tag.type}") if status == BAD_DECODING else ("bad", None, f"status {status:08X}")
    doubt = tag.doubt(value)
    if doubt is not None:
        return doubt, value, str(value)
    scaled = value
    if tag.scaling is not None and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        scaled = tag.scaling.apply(value)
    return "ok", scaled, None if status == GOOD else f"status {status:08X}"
