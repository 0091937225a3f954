"""OPC UA addresses: NodeIds and browse paths (Part 3, 8.2; Part 4, A.2; Part 6, 5.3.1.11), with an element or a field of a value."""

import base64
import binascii
import re
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from config.grammars.address_error import AddressError


@dataclass(frozen=True, slots=True)
class OpcUaAddress:
    """A NodeId or a browse path, perhaps one element of its array value and one field of its structure.

    The namespace is one of: `namespace` (a short name of the source's `namespaces`), `namespace_uri`, `namespace_index` (0 where none is
    written). index: array position, one number per dimension. field: path into a structure; a step "[3]" is an element of an array in it.
    kind "path": identifier holds (namespace, name) for each browse name from the Objects folder on; namespace is a short name, or an index
    written in digits ("0" where none is written); the namespace members are then empty.
    """

    kind: Literal["i", "s", "g", "b", "path"]
    identifier: int | str | UUID | bytes | tuple[tuple[str, str], ...]
    namespace: str | None = None
    namespace_uri: str | None = None
    namespace_index: int | None = None
    index: tuple[int, ...] = ()
    field: tuple[str, ...] = ()

    @property
    def is_fragile(self) -> bool:
        """True for a bare namespace index, which may mean another namespace after the server's next start (Part 3, 8.2.2)."""
        if isinstance(self.identifier, tuple):
            return any(prefix.isdigit() and prefix != "0" for prefix, _ in self.identifier)
        return bool(self.namespace_index)

    @property
    def short_names(self) -> tuple[str, ...]:
        """The short names that the address needs in the source's `namespaces`, each once."""
        if isinstance(self.identifier, tuple):
            return tuple(dict.fromkeys(prefix for prefix, _ in self.identifier if not prefix.isdigit()))
        return () if self.namespace is None else (self.namespace,)

    @property
    def node(self) -> "OpcUaAddress":
        """The address of the node alone, without element and field."""
        return replace(self, index=(), field=()) if self.index or self.field else self


_NAMESPACE = re.compile(r"nsu=(?P<uri>[^;]*);|ns=(?P<index>[0-9]+);|(?P<short>[A-Za-z][A-Za-z0-9_-]*):(?=(?:[isgb]|s64)=)")


_STEP = r"\[[0-9]{1,9}(?:,[0-9]{1,9})*\]"


_MEMBER = r"[^\W\d][\w .-]*"


_SUFFIX = re.compile(rf"#(?:(?P<end>/)|(?P<index>{_STEP})?(?P<field>(?:/{_MEMBER}(?:/?{_STEP})?)*))$")


_FIELD_STEP = re.compile(rf"{_STEP}|{_MEMBER}")


_MISSING = "an identifier i=, s=, g= or b= is missing, as in plc:s=Name or nsu=urn:example;i=7"


_PREFIX = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z0-9_-]*|[0-9]{1,5}):(?=.)")


_SMART_QUOTES = re.compile("[\u201c\u201d\u201e\u00ab\u00bb]")


def parse_opcua(text: str) -> OpcUaAddress:
    """Parse `plc:s="DB"."Speed"`, `nsu=urn:x;i=7`, `ns=2;s=..`, `i=2258`, `path=/plc:DB/plc:Speed`; then `#[3]`, `#/Pv` or `#/Items[3]/Pv`.

    An identifier that itself ends like such a suffix is closed by `#/`. `s64=` is a string identifier in Base64, for those that no cell of
    a table keeps: empty, with blanks at an end, with line breaks.
    """
    if text.startswith("path="):
        index, field, body = _suffix(text[5:])
        return OpcUaAddress("path", _browse_path(body), index=index, field=field)
    head = _NAMESPACE.match(text)
    body = text[head.end() :] if head else text
    index, field, body = _suffix(body)
    if body.startswith("s64="):
        body = f"s={_base64_text(body)}"
    elif body.startswith("s="):
        _check_string(body[2:])
    elif len(body) < 3 or body[1] != "=" or body[0] not in "isgb":
        raise AddressError(_MISSING)
    named = head.groupdict() if head else {}
    if head and named["uri"] == "":
        raise AddressError("nsu= needs a namespace URI")
    number = int(named["index"]) if named.get("index") else None
    if number is not None and number > 65_535:
        raise AddressError(f"namespace index {number} is above 65535")
    return OpcUaAddress(
        kind=body[0],  # type: ignore[arg-type]  # one of isgb, looked at above
        identifier=_identifier(body[0], body[2:]),
        namespace=named.get("short"),
        namespace_uri=_unescaped(named["uri"]) if named.get("uri") else None,
        namespace_index=0 if head is None else number,
        index=index,
        field=field,
    )


def _suffix(body: str) -> tuple[tuple[int, ...], tuple[str, ...], str]:
    match = _SUFFIX.search(body)
    if match is None or match.group() == "#":
        return (), (), body
    index = tuple(map(int, match["index"][1:-1].split(","))) if match["index"] else ()
    field = tuple(step.strip() for step in _FIELD_STEP.findall(match["field"])) if match["field"] else ()
    return index, field, body[: match.start()]


def _browse_path(text: str) -> tuple[tuple[str, str], ...]:
    """Parse browse names from the Objects folder on, `/` before each, `&` before a character meant as itself (Part 4, A.2)."""
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "/":
            parts.append("")
        elif character == "&":
            parts[-1] += "&" + next(characters, "")
        else:
            parts[-1] += character
    if parts[0] or len(parts) < 2 or not all(parts[1:]):
        raise AddressError("a browse path is meant, `/` before each name from the Objects folder on, as in path=/plc:DB_GRN/plc:Speed")
    return tuple(_browse_name(part) for part in parts[1:])


def _browse_name(text: str) -> tuple[str, str]:
    """Parse (namespace, name). A name without a namespace is in namespace 0, OPC UA's own."""
    match = _PREFIX.match(text)
    prefix, name = (match["prefix"], text[match.end() :]) if match else ("0", text)
    if prefix.isdigit() and int(prefix) > 65_535:
        raise AddressError(f"namespace index {prefix} is above 65535")
    if not match and re.match(r"nsu?=|http", text):
        raise AddressError(f"`{text}`: give the namespace a short name in the source's `namespaces` and write it before each name")
    if _SMART_QUOTES.search(name):
        raise AddressError('curly quotation marks, a word processor changed them: write " instead')
    if re.sub("&.", "", name).endswith("&"):
        raise AddressError("`&` stands before nothing")
    name = re.sub("&(.)", r"\1", name)
    return str(int(prefix)) if prefix.isdigit() else prefix, name


def _browse_path_text(path: tuple[tuple[str, str], ...]) -> str:
    text = ""
    for prefix, name in path:
        written = re.sub(r"([&/])", r"&\1", name)
        if prefix == "0":
            written = re.sub(r"(:)", r"&\1", written, count=1)
            if re.match(r"nsu?=|http", written):
                written = "&" + written
        text += "/" + ("" if prefix == "0" else f"{prefix}:") + written
    return text


def _identifier(kind: str, text: str) -> int | str | UUID | bytes:
    if kind == "s":
        return text
    try:
        if kind == "i":
            return _uint32(text)
        return UUID(text) if kind == "g" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        meant = {"i": "a number from 0 to 4294967295", "g": "a GUID", "b": "Base64"}[kind]
        raise AddressError(f"`{kind}={text}`: {meant} is meant") from None


def _uint32(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > 0xFFFF_FFFF:
        raise ValueError
    return int(text)


def _base64_text(body: str) -> str:
    try:
        return base64.b64decode(body.removeprefix("s64="), validate=True).decode()
    except ValueError:  # binascii.Error and UnicodeDecodeError are such
        raise AddressError(f"`{body}`: Base64 of a text in UTF-8 is meant") from None


def _check_string(text: str) -> None:
    """Refuse a string identifier with damaged quotation marks: a PLC's quoted name is the first thing a spreadsheet damages."""
    if not text:
        raise AddressError(_MISSING)
    if _SMART_QUOTES.search(text):
        raise AddressError('curly quotation marks, a word processor changed them: write " instead')
    if text.startswith('"'):
        if '""' in text:
            raise AddressError('doubled quotation marks, a spreadsheet added them: write each " once (twice only inside a quoted CSV cell)')
        if text.count('"') % 2:
            raise AddressError('a quotation mark is missing: each name stands in two, as in "DB_GRN"."Speed"')


def _is_plain(text: str) -> bool:
    """True if a cell keeps a string identifier as it stands, and it is not taken for a damaged one."""
    try:
        _check_string(text)
    except AddressError:
        return False
    return text == text.strip() and all(ord(character) >= 32 for character in text)


def _escaped(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")  # Part 6, 5.3.1.11


def _unescaped(uri: str) -> str:
    return uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")


def opcua_text(address: OpcUaAddress) -> str:
    """Write an address so that `parse_opcua` reads an equal one."""
    suffix = f"[{','.join(map(str, address.index))}]" if address.index else ""
    suffix += "".join(step if step.startswith("[") else f"/{step}" for step in address.field)
    if isinstance(address.identifier, tuple):
        body = _browse_path_text(address.identifier)
        return f"path={body}#{suffix}" if suffix else f"path={body}{_closed(body)}"
    if address.namespace is not None:
        head = f"{address.namespace}:"
    elif address.namespace_uri is not None:
        head = f"nsu={_escaped(address.namespace_uri)};"
    else:
        head = f"ns={address.namespace_index};" if address.namespace_index else ""
    identifier, kind = address.identifier, str(address.kind)
    if isinstance(identifier, str) and not _is_plain(identifier):
        identifier, kind = identifier.encode(), "s64"
    body = base64.b64encode(identifier).decode() if isinstance(identifier, bytes) else str(identifier)
    if suffix:
        return f"{head}{kind}={body}#{suffix}"
    return f"{head}{kind}={body}{_closed(f'{kind}={body}')}"


def _closed(body: str) -> str:
    """Append `#/` to an identifier that would otherwise be read as ending in an element or a field."""
    return "#/" if _suffix(body)[2] != body else ""
