"""Tags whose unit, range or texts changed at the server: no reading of them is Good until the server declares again what the map says.

The bit SemanticsChanged (Part 4, 7.39.1; Part 8, 5.2) comes with one reading; those after it are Good to the server, which knows its new
unit. So a doubt lasts: it is stored with the watermark, over lost links and restarts, until what the server declares is read again.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from config import Tag
from drivers.contract import BAD, BAD_CONFIGURATION, UNCERTAIN, UNCERTAIN_CONFIGURATION, Finding, Reading
from drivers.opcua.session.declared import Compared, compared, is_comparable

SEMANTICS_CHANGED = 0x4000
"""Status bit: unit, range or texts of the item have changed."""
ASK_AGAIN_S = 60.0
"""Interval at which what is still in doubt is read again: not every server says that it is as it was."""
_INFO_BITS = 0xFFFF


class Semantics:
    """What is in doubt of one source's tags: by index, the status that their readings get."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self._tags = tags
        self._doubted: dict[int, int] = {}
        self._to_ask: set[int] = set()
        self._alarmed: set[int] = set()
        self._asked_s = 0.0
        self._is_restored = False
        self._looked_at: set[int] = set()
        self._accepted: dict[int, str] = {}
        self._enumerations: dict[int, str] = {}

    def restore(self, watermark: Mapping[str, Any]) -> list[Finding]:
        """Take over, once, what was in doubt when the process ended. A row of the map that was written anew since has been looked at."""
        findings: list[Finding] = []
        if self._is_restored:
            return findings
        stored, accepted, self._is_restored = watermark.get("doubted") or {}, watermark.get("accepted") or {}, True
        for index, tag in enumerate(self._tags):
            if accepted.get(tag.tag, ["", ""])[1] == _row(tag):
                self._accepted[index] = accepted[tag.tag][0]
            if tag.tag not in stored:
                continue
            status, row = stored[tag.tag]
            if row == _row(tag):
                self._doubted[index] = status
                self._alarmed.add(index)
            else:
                self._looked_at |= {index} if is_comparable(tag) else set()
                text = f"{tag.tag}: its row of the map was written anew since unit or range changed at the server; it counts from here on"
                findings.append(Finding("semantics-changed-over", text, (index,), "info"))
        self._to_ask |= self._doubted.keys()
        return findings

    def stored(self) -> dict[str, Any]:
        """Return what `restore` takes, for the watermark. A row that was looked at stays in it until the server was asked."""
        looked_at = {self._tags[index].tag: [UNCERTAIN_CONFIGURATION, ""] for index in sorted(self._looked_at)}
        return looked_at | {self._tags[index].tag: [status, _row(self._tags[index])] for index, status in sorted(self._doubted.items())}

    def accepted(self) -> dict[str, Any]:
        """Return what the server declares otherwise than the map, and a person has looked at, for the watermark."""
        return {self._tags[index].tag: [declared, _row(self._tags[index])] for index, declared in sorted(self._accepted.items())}

    def met(self, tag: int, stated: Mapping[str, str]) -> Finding | None:
        """Compare what the server declares at the start of a session with the map; return a finding where they differ.

        What changed while nobody listened has no bit that says so. Where a person wrote the row of the map anew after such a finding, what
        the server declares then is accepted, until it declares something else again.
        """
        if tag in self._doubted:
            return None  # it is asked for by itself
        enumeration, row = stated.get("enumeration"), self._tags[tag]
        if row.unit is None and row.source_unit is None:
            stated = {name: text for name, text in stated.items() if name != "source_unit"}
        now = compared(row, stated, self._enumerations.get(tag))
        if enumeration is not None:
            self._enumerations.setdefault(tag, enumeration)
        was_looked_at = tag in self._looked_at
        self._looked_at.discard(tag)
        if not now.differing:
            self._accepted.pop(tag, None)
            return None
        declared = sha256(repr(sorted(stated.items())).encode()).hexdigest()[:16]
        if was_looked_at:
            self._accepted[tag] = declared
        if self._accepted.get(tag) == declared:
            return None
        self._accepted.pop(tag, None)
        return self._doubtful(tag, now, stated, f"{row.tag}: the server declares otherwise than the map")

    def doubt(self, tag: int) -> None:
        """Note that the server says of a tag that its semantics changed."""
        self._doubted.setdefault(tag, UNCERTAIN_CONFIGURATION)
        self._to_ask.add(tag)

    def judged(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Give the readings of tags in doubt the status of the doubt; a value in a unit that is known to be another one is none."""
        if not self._doubted:
            return readings
        return [self._judged(reading) if reading[0] in self._doubted else reading for reading in readings]

    def _judged(self, reading: Reading) -> Reading:
        tag, value, status, source, server = reading
        doubt = self._doubted[tag]
        if status >= doubt & 0xC0000000 and (status >= BAD or (status >= UNCERTAIN and doubt < BAD)):
            return reading  # the source doubts it no less
        return tag, None if doubt >= BAD else value, doubt | SEMANTICS_CHANGED | status & _INFO_BITS, source, server

    def to_ask(self, now_s: float) -> list[int]:
        """Return the tags of which unit and range must be read now."""
        if now_s - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = now_s
            self._to_ask |= self._doubted.keys()
        asked, self._to_ask = sorted(self._to_ask), set()
        return asked

    def answered(self, tag: int, stated: Mapping[str, str]) -> Finding:
        """Decide by what the server declares now; return what a person should know."""
        now = compared(self._tags[tag], stated, self._enumerations.get(tag))
        row = self._tags[tag]
        evidence = {**stated, "map_unit": row.source_unit or row.unit or ""}
        head = f"{row.tag}: the server says that unit, range or enumeration changed"
        if now.is_proved:
            if tag not in self._to_ask:  # else they changed once more, while they were read
                self._doubted.pop(tag, None)
            code = "semantics-changed-over" if tag in self._alarmed else "semantics-changed"
            self._alarmed.discard(tag)
            return Finding(code, f"{head}; read again, they are as the map says", (tag,), "info", evidence)
        return self._doubtful(tag, now, stated, head)

    def _doubtful(self, tag: int, now: Compared, stated: Mapping[str, str], head: str) -> Finding:
        row = self._tags[tag]
        self._alarmed.add(tag)
        self._doubted[tag] = BAD_CONFIGURATION if now.unit_differs else UNCERTAIN_CONFIGURATION
        stored_as = "Bad" if now.unit_differs else "Uncertain"
        why = list(now.differing) or [f"the server does not declare {', '.join(now.unproved)}"]
        why += [f"not readable: {stated['refused']}"] if "refused" in stated else []
        evidence = {**stated, "map_unit": row.source_unit or row.unit or ""}
        return Finding("semantics-changed", f"{head}: {'; '.join(why)}; its readings are {stored_as}", (tag,), "alarm", evidence)

    def are_doubted(self, tags: Iterable[int]) -> bool:
        """Return True if one of these tags is in doubt."""
        return not self._doubted.keys().isdisjoint(tags)


def _row(tag: Tag) -> str:
    """Name what the map says of a tag, and in which words: whoever has looked at it writes so into its description."""
    facts = (tag.address, tag.type, tag.unit, tag.source_unit, tag.eu_low, tag.eu_high, tag.scaling, tag.codes, tag.description)
    return sha256(repr(facts).encode()).hexdigest()[:16]
