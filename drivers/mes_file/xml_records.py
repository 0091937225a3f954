"""Turns the bytes of an XML document into records: one per element of a name. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.parsers import expat

from drivers.mes_file.content import Refused, Unfinished

MOST_DEPTH = 64
_CUT = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
"""What expat says of a document that ends before its root element does."""


def xml_records(
    data: bytes, element: str, max_columns: int, named_by: Mapping[str, str] | None = None, parents: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield each `element`, its inner elements as dotted columns (Batch.ID; a second one Batch[2].ID), attributes as @name.

    named_by: inner element -> the child whose value names it, instead of its position (Parameter[SPEED].Value). parents: columns of the
    elements around the record that are added to it: ../ID is a child of the element around it without children, ../@id an attribute.
    No DOCTYPE: no entities, no external files. Raises Refused, and Unfinished where the document is cut.
    """
    collector = _Collector(element, max_columns, named_by or {})
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = collector.start
    parser.EndElementHandler = collector.end
    parser.CharacterDataHandler = collector.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's signature
    except expat.ExpatError as error:
        kind = Unfinished if error.code in _CUT else Refused
        raise kind(f"line {error.lineno}: {expat.errors.messages[error.code]}") from error
    except (ValueError, LookupError) as error:  # an encoding that expat does not read, or that does not exist
        raise Refused(f"its XML declaration: {error}") from error
    for record, around in zip(collector.records, collector.around, strict=True):
        for column in parents:
            levels, name = column.count("../"), column.rpartition("../")[2]
            if levels <= len(around) and name in around[-levels]:
                record[column] = around[-levels][name]
        yield record


def _no_doctype(*_: object) -> None:
    raise Refused("holds a DOCTYPE: entities are not read")


class _Collector:
    """Builds the records while expat goes through the file."""

    def __init__(self, element: str, max_columns: int, named_by: Mapping[str, str]) -> None:
        self.records: list[dict[str, Any]] = []
        self.around: list[list[dict[str, str]]] = []  # of each record: what the elements around it say, the outermost first
        self._element, self._max_columns, self._named_by = element, max_columns, named_by  # element: that is a record
        self._open: list[dict[str, str]] = []  # the elements outside a record that are open, with their children and attributes
        self._outside = ""  # the text since the last tag outside a record
        self._path: list[str] = []  # of the element that is being read, below the record
        self._counts: list[dict[str, int]] = []
        self._texts: list[list[str]] = []
        self._leaf = False  # the element that ends next holds no other, so that even an empty text is its value
        self._record: dict[str, Any] | None = None  # the one that is being read
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise Refused(f"elements nested deeper than {MOST_DEPTH}")
        local = name.rpartition(" ")[2]
        if self._record is None:
            if local == self._element:
                self._record, self._path, self._counts, self._texts = {}, [], [{}], [[]]
                self._attributes(attributes)
            else:
                self._open.append({f"@{key.rpartition(' ')[2]}": value for key, value in attributes.items()})
                self._outside, self._leaf = "", True
            return
        count = self._counts[-1][local] = self._counts[-1].get(local, 0) + 1
        self._path.append(local if count == 1 else f"{local}[{count}]")
        self._counts.append({})
        self._texts.append([])
        self._leaf = True
        self._attributes(attributes)

    def text(self, text: str) -> None:
        if self._record is not None:
            self._texts[-1].append(text)
        elif self._leaf:
            self._outside += text

    def end(self, name: str) -> None:
        self._depth -= 1
        local = name.rpartition(" ")[2]
        if self._record is None:
            self._end_outside(local)
            return
        texts = "".join(self._texts.pop()).strip()
        self._counts.pop()
        if not self._path and local == self._element:
            self.records.append(self._record)
            self.around.append(list(self._open))
            self._record, self._leaf = None, False
            return
        if texts or self._leaf:
            self._put(".".join(self._path), texts)
        self._leaf = False
        if local in self._named_by:
            self._name(local, self._named_by[local])
        self._path.pop()

    def _end_outside(self, local: str) -> None:
        """Keep what an element outside the records says for the one around it, if it holds no other."""
        self._open.pop()
        if self._leaf and self._open:
            self._open[-1].setdefault(local, self._outside.strip())
        self._leaf = False

    def _name(self, local: str, child: str) -> None:
        """Name the element that ends by the value of one of its children: a number in its order says nothing where the order may change."""
        assert self._record is not None
        begins = ".".join(self._path)
        value = self._record.get(f"{begins}.{child}")
        if not value:
            return
        number, above = 1, "".join(f"{part}." for part in self._path[:-1])
        while any(column.startswith(f"{above}{local}[{value}]{_nth(number)}.") for column in self._record):
            number += 1
        named = f"{above}{local}[{value}]{_nth(number)}"
        self._record = {
            named + column[len(begins) :] if column == begins or column.startswith(f"{begins}.") else column: said
            for column, said in self._record.items()
        }

    def _attributes(self, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            self._put(".".join([*self._path, f"@{name.rpartition(' ')[2]}"]), value)

    def _put(self, column: str, value: str) -> None:
        assert self._record is not None
        self._record[column] = value
        if len(self._record) > self._max_columns:
            raise Refused(f"a record of more than {self._max_columns} columns")


def _nth(number: int) -> str:
    """Write which one of several of a name it is, from the second on."""
    return "" if number == 1 else f"[{number}]"
