"""A printout of several lines as one answer: from the line that begins it to the line that ends it, each pattern met once. Pure.

Which of its lines hold values is said by the patterns; the others (headers, dates, signatures) are nothing. So a line that was spoiled is
missed by its pattern, and a printout of which a pattern met no line, or two, is none.
"""

import re
from collections.abc import Callable, Sequence

from drivers.serial.answer import Answer, Field, NotAnAnswer

MOST_LINES = 500


class Incomplete(NotAnAnswer):
    """A printout that was begun and is not whole: nothing of it is a value."""


class Printout:
    """The place in a stream of lines: outside of a printout at first.

    begin, end: patterns of the whole first and last line, which may hold fields too. readers: one for each pattern.
    """

    def __init__(self, begin: str, end: str, readers: Sequence[Callable[[bytes], Answer]]) -> None:
        self._begin, self._end, self._readers = re.compile(begin.encode("ascii")), re.compile(end.encode("ascii")), readers
        self.lines = 0
        """Lines of the printout that is under way; 0 outside of one."""
        self._said: dict[int, Answer] = {}
        self._twice = False

    def lose(self) -> None:
        """Give up the printout that is under way: one of its lines is missing, or its end does not come."""
        self.lines, self._said, self._twice = 0, {}, False

    def take(self, line: bytes) -> Answer | None:
        """Take the next line; return the fields of all patterns with the last one. None: within a printout.

        Raises NotAnAnswer for a line outside of one, Incomplete where one is not whole; a line that begins one is taken all the same.
        """
        if self._begin.fullmatch(line):
            lines = self.lines
            self.lose()
            self._note(line)
            if lines:
                raise Incomplete(f"a printout without its end, {lines} lines, before the one that begins with {line[:48]!r}")
            return None
        if not self.lines:
            raise NotAnAnswer(f"outside of a printout: {line[:48].hex(' ')}")
        self._note(line)
        if self._end.fullmatch(line):
            return self._whole()
        if self.lines >= MOST_LINES:
            self.lose()
            raise Incomplete(f"{MOST_LINES} lines, and no end of the printout")
        return None

    def _note(self, line: bytes) -> None:
        self.lines += 1
        for index, read in enumerate(self._readers):
            try:
                answer = read(line)
            except NotAnAnswer:
                continue
            self._twice = self._twice or index in self._said
            self._said[index] = answer

    def _whole(self) -> Answer:
        said, twice, missing = self._said, self._twice, len(self._readers) - len(self._said)
        self.lose()
        if missing or twice:
            what = f"{missing} of {len(self._readers)} patterns met no line of it" if missing else "a pattern met two lines of it"
            raise Incomplete(f"not a whole printout: {what}")
        fields: dict[str, Field] = {}
        for answer in said.values():
            fields |= answer.fields
        return Answer(fields)
