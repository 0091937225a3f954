"""Decides by what sign a file is whole: `whole` of its pattern, which the plant declares for the system that writes. Pure.

Standing still proves nothing by itself: a copy that stalls, or a program that writes in blocks, stands still within a record.
"""

import fnmatch
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["line-end", "rename", "trigger", "trailer", "checksum", "quiet"]

SUMS = {".sha256": "sha256", ".sha512": "sha512", ".sha1": "sha1", ".md5": "md5"}
"""Ending of a file with a checksum -> the algorithm, as sha256sum and its like write them."""
FORMS = '"rename", "trigger:*.ok", "trailer:REGEX", "checksum" or "quiet:SECONDS"'
COUNT = "records"
"""The group of a trailer's expression that is the number of records."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The sign. argument: of trigger the name of the trigger file with a *, of trailer the expression, of quiet the seconds."""

    kind: Kind = "line-end"
    argument: str = ""

    @property
    def quiet_s(self) -> float:
        """How long the file must have stood unchanged."""
        return float(self.argument) if self.kind == "quiet" else 0.0

    def is_companion(self, name: str) -> bool:
        """Return True if a file of this name says something of another one, and holds no records itself."""
        if self.kind == "trigger":
            return fnmatch.fnmatchcase(name, self.argument)
        return self.kind == "checksum" and name.endswith(tuple(SUMS))

    def companions(self, name: str) -> list[str]:
        """List the names under which the sign of this file may stand: of `a.csv` the trigger is `a.ok` or `a.csv.ok`."""
        names = dict.fromkeys((name, name.rpartition(".")[0] or name))
        if self.kind == "trigger":
            return [self.argument.replace("*", one) for one in names]
        return [one + ending for one in names for ending in SUMS] if self.kind == "checksum" else []

    def trailer(self, line: str) -> re.Match[str] | None:
        """Match the last line against the trailer's expression."""
        return re.fullmatch(self.argument, line)

    def proves_itself(self, found: re.Match[str]) -> bool:
        """Return True if no longer line could be this trailer: it is a fixed text, or gives the number of records, which is compared."""
        return found.groupdict().get(COUNT) is not None or not set(self.argument) & set(r".^$*+?{}[]\|()")


def parse(text: str | None, *, line_format: bool) -> Whole:
    """Read `whole` of a pattern. line_format: its files are made of lines. Raises ValueError."""
    if text is None:
        return Whole()
    kind, _, argument = text.partition(":")
    if kind in ("rename", "checksum") and not argument:
        return Whole(kind)  # type: ignore[arg-type]
    if kind == "trigger" and re.fullmatch(r"(?!\.)[^/*?\[\]\x00]*\*[^/*?\[\]\x00]+", argument):
        return Whole("trigger", argument)
    if kind == "trailer" and argument:
        return Whole("trailer", _trailer(argument, line_format=line_format))
    if kind == "quiet" and re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", argument) and float(argument) > 0:
        return Whole("quiet", argument)
    raise ValueError(f"{text[:60]!r} is no sign that a file is whole: {FORMS} is meant")


def _trailer(expression: str, *, line_format: bool) -> str:
    if not line_format:
        raise ValueError("a trailer is the last line of a file of lines: XML and JSON documents have their own end")
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"trailer: no regular expression: {error}") from error
    return expression


def told_sum(text: str, name: str) -> str | None:
    """Read a file's digest out of the text of its checksum file (`HEX`, `HEX  name`, `HEX *name`); None if it has none for this name."""
    for line in text.splitlines():
        digest, _, rest = line.strip().partition(" ")
        if re.fullmatch(r"[0-9A-Fa-f]{32,128}", digest) and rest.strip().lstrip("*").rpartition("/")[2] in ("", name):
            return digest.lower()
    return None
