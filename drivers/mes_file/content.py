"""From the bytes of a file to its text, if they are all there: decoded strictly, with its preamble and trailer taken off. Pure."""

import gzip
import io
import re
import zlib
from dataclasses import dataclass, field
from hashlib import sha256

from drivers.mes_file.settings import LINE_FORMATS, FileSettings, Pattern
from drivers.mes_file.whole import COUNT

END_OF_TEXT = "\x1a"
"""Ctrl-Z, with which DOS programs end a text."""
EBCDIC = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})
NEXT_LINE = "\x85"
"""NEL, which ends a line on the hosts that write EBCDIC (Unicode, UAX 14)."""
_BOMS = (
    (b"\xef\xbb\xbf", "UTF-8", ("utf-8", "utf8", "utf-8-sig")),
    (b"\xff\xfe\0\0", "UTF-32", ("utf-32", "utf-32-le")),
    (b"\xff\xfe", "UTF-16", ("utf-16", "utf-16-le")),
    (b"\xfe\xff", "UTF-16", ("utf-16", "utf-16-be")),
)
_SEPARATOR = re.compile(r"sep=(.)\r?\n")


class Refused(Exception):
    """The file is not what the pattern says; the text names the line."""


class Unfinished(Refused):
    """The file ends before it should: it was cut, or more of it is to come."""


MOST_TOLD = 5
"""Of the faults of one file: who mends it sees them at once, and a file of which every line is wrong makes no endless alarm."""


class Faults:
    """What is wrong with the records of one file: each is looked at, so that whoever mends it needs not deliver it once for each."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0

    def add(self, text: str) -> None:
        """Note one."""
        self._count += 1
        if self._count <= MOST_TOLD:
            self._told.append(text)

    @property
    def first(self) -> str:
        """The first one; there is one."""
        return self._told[0]

    def text(self) -> str:
        """List them, at most MOST_TOLD, and how many more there are; "" if there is none."""
        return "; ".join(self._told) + (f"; and {self._count - MOST_TOLD} more" if self._count > MOST_TOLD else "")

    def refuse(self, hint: str = "") -> None:
        """Raise Refused if there is one. hint: what may have happened."""
        if self._count:
            raise Refused(f"{self.text()}{hint}")


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read. digest: 32 hex digits of the SHA-256 of its bytes.

    body: of a file of lines the text with its records, CSV's header line included. lines_before: lines of the file that stand before it.
    counted: how many records its trailer says that there are.
    """

    data: bytes = field(repr=False)
    digest: str
    body: str = field(default="", repr=False)
    lines_before: int = 0
    counted: int | None = None


def digest_of(data: bytes | str) -> str:
    """Return 32 hex digits of the SHA-256: 128 bits, by which a content is known again."""
    return sha256(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).hexdigest()[:32]


def unpacked(data: bytes, name: str, most_bytes: int) -> bytes:
    """Unpack the bytes of a `.gz` file. Raises Refused, and Unfinished where the archive was cut."""
    if not name.lower().endswith(".gz"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(most_bytes + 1)
    except EOFError as error:
        raise Unfinished("the gzip file is cut") from error
    except (OSError, zlib.error) as error:
        raise Refused(f"no gzip file: {error}") from error
    if len(plain) > most_bytes:
        raise Refused(f"more than {most_bytes} bytes when it is unpacked")
    return plain


def content_of(data: bytes, pattern: Pattern, settings: FileSettings) -> Content:
    """Take the text of a file apart. Raises Refused, and Unfinished where the sign is missing that the file is whole."""
    if pattern.format not in LINE_FORMATS:
        return Content(data, digest_of(data))
    bound_lines(data, settings.max_line_bytes)
    text = text_of(data, pattern.encoding)
    if pattern.encoding.lower() in EBCDIC:
        text = text.replace(NEXT_LINE, "\n")
    begins, lines_before = _preamble(text, pattern)
    ends, counted = _trailer(text, begins, pattern)
    return Content(data, digest_of(data), text[begins:ends], lines_before, counted)


def bound_lines(data: bytes, most_bytes: int) -> None:
    """Refuse a file with a line that is too long, before any parser holds it in memory. Raises Refused."""
    start = 0
    while len(data) - start > most_bytes:
        end = data.find(b"\n", start, start + most_bytes + 1)
        if end < 0:
            raise Refused(f"a line is longer than {most_bytes} bytes (at byte {start})")
        start = end + 1


def text_of(data: bytes, encoding: str) -> str:
    """Decode strictly; a byte order mark is taken off where it agrees and refused where it does not. Raises Refused."""
    data = _without_mark(data, encoding)
    try:
        text = data.decode(encoding, "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if error.end >= len(data) and error.reason in ("unexpected end of data", "truncated data"):
            raise Unfinished(f"line {line}: ends within a character") from error
        raise Refused(f"line {line}: byte 0x{data[error.start]:02x} is not {encoding}") from error
    if text.endswith("\0"):  # a copy that was given its size first, and is not filled to its end
        raise Unfinished(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL character, and so to the end")
    if "\0" in text:
        raise Refused(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL character")
    if text.endswith(END_OF_TEXT):
        return text.rstrip(END_OF_TEXT)
    return text.removesuffix("\r\n").rstrip(END_OF_TEXT) if text.endswith(END_OF_TEXT + "\r\n") else text


def _without_mark(data: bytes, encoding: str) -> bytes:
    plain = encoding.lower().replace("_", "-")
    for mark, name, encodings in _BOMS:
        if data.startswith(mark):
            if plain not in encodings:
                raise Refused(f"begins with {name}'s byte order mark, but encoding is {encoding}")
            return data if plain in ("utf-16", "utf-32") else data[len(mark) :]  # those two need it to know the order
    return data


def _preamble(text: str, pattern: Pattern) -> tuple[int, int]:
    """Find where the body begins, and in which line: behind `sep=;`, which spreadsheets write and read, and behind skip_lines."""
    begins, lines = 0, 0
    if pattern.format == "csv" and (found := _SEPARATOR.match(text)):
        if found[1] != pattern.delimiter:
            raise Refused(f"line 1: sep={found[1]}, but delimiter is {pattern.delimiter!r}")
        begins, lines = found.end(), 1
    for _ in range(pattern.skip_lines):
        end = text.find("\n", begins)
        if end < 0:
            return len(text), lines
        begins, lines = end + 1, lines + 1
    return begins, lines


def _trailer(text: str, begins: int, pattern: Pattern) -> tuple[int, int | None]:
    """Find where the body ends, and the number of records that a trailer gives. Raises Unfinished where the end is not there."""
    sign = pattern.sign
    if sign.kind == "line-end":
        if not text:
            raise Unfinished("the file is empty")
        if text[-1] not in "\r\n":
            raise Unfinished(f"line {text.count(chr(10)) + 1} has no line end, so it may have been cut")
    if sign.kind != "trailer":
        return len(text), None
    body = text.rstrip()
    start = body.rfind("\n", begins) + 1 or begins
    found = sign.trailer(body[start:].rstrip("\r"))
    if found is None or (len(body) == len(text) and not sign.proves_itself(found)):
        raise Unfinished(f"line {text.count(chr(10), 0, start) + 1}: the trailer {sign.argument!r} is not there, or not ended")
    counted = found.groupdict().get(COUNT)
    if counted is not None and re.fullmatch(r"\s*[0-9]{1,9}\s*", counted) is None:
        raise Refused(f"the trailer gives {counted[:40]!r}, which is no number of records")
    return start, None if counted is None else int(counted)
