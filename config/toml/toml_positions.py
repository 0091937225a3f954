"""Finds the line of each key of a TOML text: tomllib does not give it, and a problem without its line is hard to find.

Call it on text that tomllib has accepted: the scanner relies on it and checks nothing again (TOML 1.0).
"""

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


MOST_DEEP = 64
"""Parts of a key with all around it. Ours have six; more cost the square of their number."""


class TooDeep(Exception):
    """A key has more than MOST_DEEP parts; `line` is where."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def positions(text: str) -> dict[Path, int]:
    """Find the lines, from 1, of every key and array element: ("source", 2, "security", "mode") -> 31. Raises TooDeep."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tables: dict[Path, int] = {}  # array of tables -> index of its last element

    def document(self) -> None:
        """Scan the whole text."""
        table: Path = ()
        while self._skip_blank():
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line, is_array = self._line(), self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._keys()
        self.at = self.text.index("]" * (2 if is_array else 1), self.at) + (2 if is_array else 1)
        path = (*self._resolved(keys[:-1]), keys[-1])
        if not is_array:
            return self._note(self._resolved(keys), line)
        self._tables[path] = self._tables.get(path, -1) + 1
        self._note(path, line)
        return self._note((*path, self._tables[path]), line)

    def _resolved(self, keys: Path) -> Path:
        """Add the index of the last element to each array of tables in a header's path, which names it without."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        keys = self._keys()
        self.at = self.text.index("=", self.at) + 1
        for end in range(1, len(keys) + 1):
            self._note((*table, *keys[:end]), line)
        self._value((*table, *keys))

    def _keys(self) -> Path:
        keys: list[str] = []
        while True:
            self._skip_blank()
            bare = _BARE_KEY.match(self.text, self.at)
            match = bare or _QUOTED_KEY.match(self.text, self.at)
            if match is None:
                raise ValueError(f"no key at line {self._line()}")
            self.at = match.end()
            keys.append(match.group() if bare else str(tomllib.loads(f"key = {match.group()}")["key"]))
            if len(keys) > MOST_DEEP:
                raise TooDeep(self._line())
            self._skip_blank()
            if not self.text.startswith(".", self.at):
                return tuple(keys)
            self.at += 1

    def _value(self, path: Path) -> None:
        self._skip_blank()
        first = self.text[self.at]
        if first in "[{":
            self._members(path, closing="]" if first == "[" else "}")
            return
        match = (_STRING if first in "\"'" else _SCALAR).match(self.text, self.at)
        if match is None:
            raise ValueError(f"no value at line {self._line()}")
        self.at = match.end()

    def _members(self, path: Path, closing: str) -> None:
        self.at += 1
        index = 0
        while self._skip_blank() and not self.text.startswith(closing, self.at):
            if closing == "}":
                self._pair(path)
            else:
                self._note((*path, index), self._line())
                self._value((*path, index))
                index += 1
            self._skip_blank()
            if self.text.startswith(",", self.at):
                self.at += 1
        self.at += 1

    def _note(self, path: Path, line: int) -> Path:
        if len(path) > MOST_DEEP:
            raise TooDeep(line)
        self.lines.setdefault(path, line)  # a table may be opened by a dotted key before its header: the first place counts
        return path

    def _line(self) -> int:
        return bisect_right(self._starts, self.at)

    def _skip_blank(self) -> bool:
        match = _BLANK.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return self.at < len(self.text)
